//! `[update]`

use super::port::Port;
use super::{Place, Section, Settings, Wiring};
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, UpdatePath};
use proofbench_drivers::smp::{self, UdpSetup};
use serde::Deserialize;
use toml::Spanned;

/// Drivers of update paths.
#[derive(Debug, Clone, PartialEq)]
pub enum UpdateDriver {
    /// The emulated device's own.
    Emulator,
    /// SMP on a serial line.
    Smp(Port),
    /// SMP over UDP.
    SmpUdp {
        /// `host:port`
        address: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct UdpSettings {
    address: Spanned<String>,
}

impl Settings for UdpSettings {
    const EXAMPLE: &'static str = "address = \"192.0.2.7:1337\"";
}

impl UpdateDriver {
    const NAMES: &'static [&'static str] = &["emulator", "smp", "smp-udp"];

    pub(crate) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        match section.driver() {
            "emulator" => section.nothing().map(|()| Self::Emulator),
            "smp" => Port::read(section).map(Self::Smp),
            "smp-udp" => Ok(Self::SmpUdp { address: section.address(&section.settings::<UdpSettings>()?.address)? }),
            _ => Err(section.no_driver(Self::NAMES)),
        }
    }

    /// Whose path it is.
    pub fn wiring(&self) -> Wiring {
        match self {
            Self::Emulator => Wiring::Emulator,
            Self::Smp(port) => port.wiring(),
            Self::SmpUdp { .. } => Wiring::Real,
        }
    }

    /// `None` for the emulated device's own, which is opened with it.
    pub(crate) fn open(&self, place: &Place<'_>) -> Result<Option<Box<dyn UpdatePath>>, ChannelError> {
        match self {
            Self::Emulator => Ok(None),
            Self::Smp(port) => smp::open_serial(&port.setup(place)).map(Some),
            Self::SmpUdp { address } => Ok(Some(smp::open_udp(&UdpSetup { address: address.clone(), time: place.time }))),
        }
    }
}
