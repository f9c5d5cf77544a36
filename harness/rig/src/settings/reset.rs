//! `[reset]`

pub mod command;
pub mod gpio;
pub mod scpi;

use super::{Place, Section, Wiring};
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, Reset};
use proofbench_drivers::boardproc::Board;

/// Drivers of reset lines.
#[derive(Debug, Clone, PartialEq)]
pub enum ResetDriver {
    /// The emulated device's own.
    Emulator,
    /// The board's, by its fixture.
    Board,
    /// A GPIO line.
    Gpio(gpio::Gpio),
    /// A digital output of an instrument.
    Scpi(scpi::Scpi),
    /// The user's programs.
    Command(command::Command),
}

impl ResetDriver {
    const NAMES: &'static [&'static str] = &["emulator", "board", "gpio", "scpi", "command"];

    pub(crate) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        match section.driver() {
            "emulator" => section.nothing().map(|()| Self::Emulator),
            "board" => section.nothing().map(|()| Self::Board),
            "gpio" => gpio::Gpio::read(section).map(Self::Gpio),
            "scpi" => scpi::Scpi::read(section).map(Self::Scpi),
            "command" => command::Command::read(section).map(Self::Command),
            _ => Err(section.no_driver(Self::NAMES)),
        }
    }

    /// Whose line it is.
    pub fn wiring(&self) -> Wiring {
        match self {
            Self::Emulator => Wiring::Emulator,
            Self::Board => Wiring::Board,
            Self::Gpio(_) | Self::Scpi(_) | Self::Command(_) => Wiring::Real,
        }
    }

    /// `None` for the emulated device's own, which is opened with it.
    pub(crate) fn open(&self, place: &Place<'_>) -> Result<Option<Box<dyn Reset>>, ChannelError> {
        match self {
            Self::Emulator => Ok(None),
            Self::Board => place.board.map(Board::reset).transpose(),
            Self::Gpio(driver) => driver.open(place).map(Some),
            Self::Scpi(driver) => driver.open(place).map(Some),
            Self::Command(driver) => driver.open(place).map(Some),
        }
    }
}
