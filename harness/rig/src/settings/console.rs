//! `[console]`

use super::port::Port;
use super::{Place, Section, Wiring};
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, Console};
use proofbench_drivers::line::{ControlLines, LineConsole};

/// Drivers of consoles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsoleDriver {
    /// The emulated device's own.
    Emulator,
    /// A byte line.
    Serial(Port),
}

/// An open console, and the control lines of its port.
pub(crate) type OpenConsole = (Box<dyn Console>, ControlLines);

impl ConsoleDriver {
    const NAMES: &'static [&'static str] = &["emulator", "serial"];

    pub(crate) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        match section.driver() {
            "emulator" => section.nothing().map(|()| Self::Emulator),
            "serial" => Port::read(section).map(Self::Serial),
            _ => Err(section.no_driver(Self::NAMES)),
        }
    }

    /// Whose console it is.
    pub fn wiring(&self) -> Wiring {
        match self {
            Self::Emulator => Wiring::Emulator,
            Self::Serial(port) => port.wiring(),
        }
    }

    /// The line of the machine of `[qemu]`, if it is one.
    pub(crate) fn qemu_line(&self) -> Option<&str> {
        match self {
            Self::Emulator => None,
            Self::Serial(port) => port.qemu_line(),
        }
    }

    /// `None` for the emulated device's own, which is opened with it.
    pub(crate) fn open(&self, place: &Place<'_>) -> Result<Option<OpenConsole>, ChannelError> {
        match self {
            Self::Emulator => Ok(None),
            Self::Serial(port) => {
                let console = LineConsole::open(&port.setup(place))?;
                let lines = console.lines();
                Ok(Some((Box::new(console), lines)))
            }
        }
    }
}
