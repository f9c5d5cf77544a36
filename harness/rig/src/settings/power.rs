//! `[power]`

pub mod command;
pub mod gpio;
pub mod scpi;
pub mod snmp;
pub mod usb_hub;

use super::{Place, Section, TimeSpan, Wiring};
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, Power};
use proofbench_drivers::boardproc::Board;
use proofbench_drivers::power::{OFF_MIN_UNSAID, Supply};
use std::time::Duration;
use toml::Spanned;

/// Longest off time that a rig may ask for: a rail that takes longer needs a bleeder, not patience.
const OFF_MIN_MOST: Duration = Duration::from_secs(600);

/// Drivers of supplies.
#[derive(Debug, Clone, PartialEq)]
pub enum PowerDriver {
    /// The emulated device's own.
    Emulator,
    /// The board process: starting it is on, killing it is off.
    Board,
    /// A port of a USB hub.
    UsbHub(usb_hub::UsbHub),
    /// An outlet of a PDU.
    Snmp(snmp::Snmp),
    /// A bench supply.
    Scpi(scpi::Scpi),
    /// A relay on a GPIO line.
    Gpio(gpio::Gpio),
    /// The user's programs.
    Command(command::Command),
}

impl PowerDriver {
    const NAMES: &'static [&'static str] = &["emulator", "board", "usb-hub", "snmp", "scpi", "gpio", "command"];

    pub(crate) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        match section.driver() {
            "emulator" => section.nothing().map(|()| Self::Emulator),
            "board" => section.nothing().map(|()| Self::Board),
            "usb-hub" => usb_hub::UsbHub::read(section).map(Self::UsbHub),
            "snmp" => snmp::Snmp::read(section).map(Self::Snmp),
            "scpi" => scpi::Scpi::read(section).map(Self::Scpi),
            "gpio" => gpio::Gpio::read(section).map(Self::Gpio),
            "command" => command::Command::read(section).map(Self::Command),
            _ => Err(section.no_driver(Self::NAMES)),
        }
    }

    /// Whose supply it switches.
    pub fn wiring(&self) -> Wiring {
        match self {
            Self::Emulator => Wiring::Emulator,
            Self::Board => Wiring::Board,
            Self::UsbHub(_) | Self::Snmp(_) | Self::Scpi(_) | Self::Gpio(_) | Self::Command(_) => Wiring::Real,
        }
    }

    /// `None` for the emulated device's own, which is opened with it.
    pub(crate) fn open(&self, place: &Place<'_>) -> Result<Option<Box<dyn Power>>, ChannelError> {
        match self {
            Self::Emulator => Ok(None),
            Self::Board => place.board.map(Board::power).transpose(),
            Self::UsbHub(driver) => driver.open(place).map(Some),
            Self::Snmp(driver) => driver.open(place).map(Some),
            Self::Scpi(driver) => driver.open(place).map(Some),
            Self::Gpio(driver) => driver.open(place).map(Some),
            Self::Command(driver) => driver.open(place).map(Some),
        }
    }
}

/// `off-min`, or what a rig gets that does not say it.
fn off_min(section: &Section<'_>, said: Option<Spanned<TimeSpan>>) -> Result<Duration, RigFileError> {
    said.map_or(Ok(OFF_MIN_UNSAID), |span| section.span(&span, OFF_MIN_MOST))
}

fn supply(place: &Place<'_>, off_min: Duration) -> Supply {
    Supply { time: place.time, off_min }
}
