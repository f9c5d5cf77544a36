//! `[update]`

use super::console::Port;
use super::{Place, Section, Wiring};
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, UpdatePath};
use proofbench_drivers::smp;

/// Drivers of update paths.
#[derive(Debug, Clone, PartialEq)]
pub enum UpdateDriver {
    /// The emulated device's own.
    Emulator,
    /// SMP on a serial line.
    Smp(Port),
}

impl UpdateDriver {
    const NAMES: &'static [&'static str] = &["emulator", "smp"];

    pub(crate) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        match section.driver() {
            "emulator" => section.nothing().map(|()| Self::Emulator),
            "smp" => Port::read(section).map(Self::Smp),
            _ => Err(section.no_driver(Self::NAMES)),
        }
    }

    /// Whose path it is.
    pub fn wiring(&self) -> Wiring {
        match self {
            Self::Emulator => Wiring::Emulator,
            Self::Smp(port) => port.wiring(),
        }
    }

    /// `None` for the emulated device's own, which is opened with it.
    pub(crate) fn open(&self, place: &Place<'_>) -> Result<Option<Box<dyn UpdatePath>>, ChannelError> {
        match self {
            Self::Emulator => Ok(None),
            Self::Smp(port) => smp::open_serial(&port.setup(place)).map(Some),
        }
    }
}
