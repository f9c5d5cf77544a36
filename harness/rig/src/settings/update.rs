//! `[update]`

pub mod command;
pub mod modem;
pub mod pull;
pub mod push;
pub mod ssh;

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
    /// A boot loader that takes XMODEM or YMODEM.
    Modem(modem::Modem),
    /// Images go to a URL of the device.
    HttpPush(Box<push::Push>),
    /// The device fetches images from the harness.
    HttpPull(pull::Pull),
    /// The user's program.
    Command(command::Command),
    /// The update stack of a Linux board, worked by command lines over SSH.
    Ssh(Box<ssh::Ssh>),
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
    const NAMES: &'static [&'static str] = &["emulator", "smp", "smp-udp", "xmodem", "ymodem", "http-push", "http-pull", "command", "ssh"];

    pub(crate) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        match section.driver() {
            "emulator" => section.nothing().map(|()| Self::Emulator),
            "smp" => Port::read(section).map(Self::Smp),
            "smp-udp" => Ok(Self::SmpUdp { address: section.address(&section.settings::<UdpSettings>()?.address)? }),
            "xmodem" | "ymodem" => modem::Modem::read(section).map(Self::Modem),
            "http-push" => push::Push::read(section).map(Box::new).map(Self::HttpPush),
            "http-pull" => pull::Pull::read(section).map(Self::HttpPull),
            "command" => command::Command::read(section).map(Self::Command),
            "ssh" => ssh::Ssh::read(section).map(Box::new).map(Self::Ssh),
            _ => Err(section.no_driver(Self::NAMES)),
        }
    }

    /// Whose path it is.
    pub fn wiring(&self) -> Wiring {
        match self {
            Self::Emulator => Wiring::Emulator,
            Self::Smp(port) => port.wiring(),
            Self::Modem(modem) => modem.port.wiring(),
            Self::SmpUdp { .. } | Self::HttpPush(_) | Self::HttpPull(_) | Self::Command(_) | Self::Ssh(_) => Wiring::Real,
        }
    }

    /// The line of the machine of `[qemu]`, if it is one.
    pub(crate) fn qemu_line(&self) -> Option<&str> {
        match self {
            Self::Smp(port) => port.qemu_line(),
            Self::Modem(modem) => modem.port.qemu_line(),
            Self::Emulator | Self::SmpUdp { .. } | Self::HttpPush(_) | Self::HttpPull(_) | Self::Command(_) | Self::Ssh(_) => None,
        }
    }

    /// `None` for the emulated device's own, which is opened with it.
    pub(crate) fn open(&self, place: &Place<'_>) -> Result<Option<Box<dyn UpdatePath>>, ChannelError> {
        match self {
            Self::Emulator => Ok(None),
            Self::Smp(port) => smp::open_serial(&port.setup(place)).map(Some),
            Self::SmpUdp { address } => Ok(Some(smp::open_udp(&UdpSetup { address: address.clone(), time: place.time }))),
            Self::Modem(modem) => modem.open(place).map(Some),
            Self::HttpPush(push) => push.open(place).map(Some),
            Self::HttpPull(pull) => pull.open(place).map(Some),
            Self::Command(command) => command.open(place).map(Some),
            Self::Ssh(ssh) => ssh.open(place).map(Some),
        }
    }
}

/// A pattern over a device's bytes.
fn pattern(section: &Section<'_>, value: &Spanned<String>) -> Result<String, RigFileError> {
    match proofbench_drivers::update::pattern(value.get_ref()) {
        Ok(_) => Ok(value.get_ref().clone()),
        Err(_) => Err(section.error(value.span(), "no pattern", &["a regular expression, such as ^## OK"])),
    }
}
