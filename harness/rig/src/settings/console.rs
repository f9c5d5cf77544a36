//! `[console]`

use super::{Place, Section, Settings, Wiring};
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, Console};
use proofbench_drivers::line::{self, LineAddress, LineSettings, LineSetup};
use serde::Deserialize;
use toml::Spanned;

const DEFAULT_BAUD: u32 = 115_200;

/// Drivers of consoles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsoleDriver {
    /// The emulated device's own.
    Emulator,
    /// A serial port.
    Serial(Port),
}

/// A serial port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Node; may begin with `{board}`.
    pub path: String,
    /// Baud rate.
    pub baud: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct PortSettings {
    port: PortRef,
    baud: Option<Spanned<u32>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct PortRef {
    path: Spanned<String>,
}

impl Settings for PortSettings {
    const EXAMPLE: &'static str = "port = { path = \"/dev/ttyUSB0\" }";
}

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

    /// `None` for the emulated device's own, which is opened with it.
    pub(crate) fn open(&self, place: &Place<'_>) -> Result<Option<Box<dyn Console>>, ChannelError> {
        match self {
            Self::Emulator => Ok(None),
            Self::Serial(port) => line::open(&port.setup(place)).map(Some),
        }
    }
}

impl Port {
    pub(crate) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        let PortSettings { port, baud } = section.settings()?;
        let baud = baud.map_or(Ok(DEFAULT_BAUD), |b| section.within(&b, 50..=12_000_000, "baud rate", "50 to 12000000"))?;
        Ok(Self { path: section.placeholders(&port.path, &["{board}"])?, baud })
    }

    pub(crate) fn wiring(&self) -> Wiring {
        if self.path.contains("{board}") { Wiring::Board } else { Wiring::Real }
    }

    pub(crate) fn setup(&self, place: &Place<'_>) -> LineSetup {
        LineSetup::new(LineAddress::Path(place.path(&self.path)), LineSettings::baud(self.baud), place.time)
    }
}
