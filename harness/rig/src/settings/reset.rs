//! `[reset]`

pub mod command;
pub mod gpio;
pub mod lines;
pub mod scpi;

use super::console::ConsoleDriver;
use super::{Place, Section, Wiring};
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, Reset};
use proofbench_drivers::boardproc::Board;
use proofbench_drivers::qemu::Qemu;

/// Drivers of reset lines.
#[derive(Debug, Clone, PartialEq)]
pub enum ResetDriver {
    /// The emulated device's own.
    Emulator,
    /// The board's, by its fixture.
    Board,
    /// The machine's, by QMP.
    Qemu,
    /// A control line of the console's port.
    SerialLines(lines::Lines),
    /// nRST of the probe of `[debug]`.
    Probe,
    /// A GPIO line.
    Gpio(gpio::Gpio),
    /// A digital output of an instrument.
    Scpi(scpi::Scpi),
    /// The user's programs.
    Command(command::Command),
}

impl ResetDriver {
    const NAMES: &'static [&'static str] = &["emulator", "board", "qemu", "probe", "serial-lines", "gpio", "scpi", "command"];

    pub(crate) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        match section.driver() {
            "emulator" => section.nothing().map(|()| Self::Emulator),
            "board" => section.nothing().map(|()| Self::Board),
            "qemu" => section.nothing().map(|()| Self::Qemu),
            "serial-lines" => lines::Lines::read(section).map(Self::SerialLines),
            "probe" => section.nothing().map(|()| Self::Probe),
            "gpio" => gpio::Gpio::read(section).map(Self::Gpio),
            "scpi" => scpi::Scpi::read(section).map(Self::Scpi),
            "command" => command::Command::read(section).map(Self::Command),
            _ => Err(section.no_driver(Self::NAMES)),
        }
    }

    /// Whether the rest of the rig has what this driver needs.
    pub(crate) fn fits(&self, console: Option<&ConsoleDriver>, section: &Section<'_>) -> Result<(), RigFileError> {
        match self {
            Self::SerialLines(driver) => driver.fits(console, section),
            Self::Emulator | Self::Board | Self::Qemu | Self::Probe | Self::Gpio(_) | Self::Scpi(_) | Self::Command(_) => Ok(()),
        }
    }

    /// Whose line it is; `probe` is what the probe of `[debug]` is wired to.
    pub fn wiring(&self, probe: Option<Wiring>) -> Wiring {
        match self {
            Self::Emulator => Wiring::Emulator,
            Self::Board => Wiring::Board,
            Self::Qemu => Wiring::Qemu,
            Self::Probe => probe.unwrap_or(Wiring::Real),
            Self::SerialLines(_) | Self::Gpio(_) | Self::Scpi(_) | Self::Command(_) => Wiring::Real,
        }
    }

    /// `None` for the emulated device's own, which is opened with it, and for the probe's, which is opened with that.
    pub(crate) fn open(&self, place: &Place<'_>) -> Result<Option<Box<dyn Reset>>, ChannelError> {
        match self {
            Self::Emulator | Self::Probe => Ok(None),
            Self::Board => place.board.map(Board::reset).transpose(),
            Self::Qemu => Ok(place.qemu.map(Qemu::reset)),
            Self::SerialLines(driver) => driver.open(place).map(Some),
            Self::Gpio(driver) => driver.open(place).map(Some),
            Self::Scpi(driver) => driver.open(place).map(Some),
            Self::Command(driver) => driver.open(place).map(Some),
        }
    }
}
