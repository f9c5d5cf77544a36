//! `[reset]`

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
}

impl ResetDriver {
    const NAMES: &'static [&'static str] = &["emulator", "board"];

    pub(crate) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        match section.driver() {
            "emulator" => section.nothing().map(|()| Self::Emulator),
            "board" => section.nothing().map(|()| Self::Board),
            _ => Err(section.no_driver(Self::NAMES)),
        }
    }

    /// Whose line it is.
    pub fn wiring(&self) -> Wiring {
        match self {
            Self::Emulator => Wiring::Emulator,
            Self::Board => Wiring::Board,
        }
    }

    /// `None` for the emulated device's own, which is opened with it.
    pub(crate) fn open(&self, place: &Place<'_>) -> Result<Option<Box<dyn Reset>>, ChannelError> {
        match self {
            Self::Emulator => Ok(None),
            Self::Board => place.board.map(Board::reset).transpose(),
        }
    }
}
