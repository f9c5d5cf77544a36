//! `[fixture]`: a channel that only devices of the rig's own have.

use super::{Section, Wiring};
use crate::error::RigFileError;

/// Drivers of channels that nothing real serves yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnDriver {
    /// The emulated device.
    Emulator,
    /// The board process.
    Board,
}

impl OwnDriver {
    /// `[fixture]`
    pub(crate) fn fixture(section: &Section<'_>) -> Result<Self, RigFileError> {
        Self::read(section, &["emulator", "board"])
    }

    fn read(section: &Section<'_>, names: &[&str]) -> Result<Self, RigFileError> {
        match section.driver() {
            name if !names.contains(&name) => Err(section.no_driver(names)),
            "board" => section.nothing().map(|()| Self::Board),
            _ => section.nothing().map(|()| Self::Emulator),
        }
    }

    /// Whose it is.
    pub fn wiring(&self) -> Wiring {
        match self {
            Self::Emulator => Wiring::Emulator,
            Self::Board => Wiring::Board,
        }
    }
}
