//! `[power]`

use super::{Place, Section, Wiring};
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, Power};
use proofbench_drivers::boardproc::Board;

/// Drivers of supplies.
#[derive(Debug, Clone, PartialEq)]
pub enum PowerDriver {
    /// The emulated device's own.
    Emulator,
    /// The board process: starting it is on, killing it is off.
    Board,
}

impl PowerDriver {
    const NAMES: &'static [&'static str] = &["emulator", "board"];

    pub(crate) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        match section.driver() {
            "emulator" => section.nothing().map(|()| Self::Emulator),
            "board" => section.nothing().map(|()| Self::Board),
            _ => Err(section.no_driver(Self::NAMES)),
        }
    }

    /// Whose supply it switches.
    pub fn wiring(&self) -> Wiring {
        match self {
            Self::Emulator => Wiring::Emulator,
            Self::Board => Wiring::Board,
        }
    }

    /// `None` for the emulated device's own, which is opened with it.
    pub(crate) fn open(&self, place: &Place<'_>) -> Result<Option<Box<dyn Power>>, ChannelError> {
        match self {
            Self::Emulator => Ok(None),
            Self::Board => place.board.map(Board::power).transpose(),
        }
    }
}
