//! `[power]`

pub mod command;
pub mod gpio;
pub mod scpi;
pub mod shelly;
pub mod snmp;
pub mod tasmota_http;
pub mod tasmota_mqtt;
pub mod usb_hub;

use super::{Place, Section, TimeSpan, Wiring};
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, Power};
use proofbench_drivers::boardproc::Board;
use proofbench_drivers::power::{OFF_MIN_UNSAID, RELAY_MOST, Supply, URL_EXAMPLE, url_trouble};
use proofbench_drivers::qemu::Qemu;
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
    /// The machine's process: starting it is on, killing it is off.
    Qemu,
    /// A port of a USB hub.
    UsbHub(usb_hub::UsbHub),
    /// A Tasmota plug behind an MQTT broker.
    TasmotaMqtt(tasmota_mqtt::TasmotaMqtt),
    /// A Tasmota plug by its web interface.
    TasmotaHttp(tasmota_http::TasmotaHttp),
    /// A Shelly plug.
    Shelly(shelly::Shelly),
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
    const NAMES: &'static [&'static str] =
        &["emulator", "board", "qemu", "usb-hub", "tasmota-mqtt", "tasmota-http", "shelly", "snmp", "scpi", "gpio", "command"];

    pub(crate) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        match section.driver() {
            "emulator" => section.nothing().map(|()| Self::Emulator),
            "board" => section.nothing().map(|()| Self::Board),
            "qemu" => section.nothing().map(|()| Self::Qemu),
            "usb-hub" => usb_hub::UsbHub::read(section).map(Self::UsbHub),
            "tasmota-mqtt" => tasmota_mqtt::TasmotaMqtt::read(section).map(Self::TasmotaMqtt),
            "tasmota-http" => tasmota_http::TasmotaHttp::read(section).map(Self::TasmotaHttp),
            "shelly" => shelly::Shelly::read(section).map(Self::Shelly),
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
            Self::Qemu => Wiring::Qemu,
            Self::UsbHub(_) | Self::Gpio(_) | Self::Command(_) => Wiring::Real,
            Self::TasmotaMqtt(_) | Self::TasmotaHttp(_) | Self::Shelly(_) | Self::Snmp(_) | Self::Scpi(_) => Wiring::Real,
        }
    }

    /// `None` for the emulated device's own, which is opened with it.
    pub(crate) fn open(&self, place: &Place<'_>) -> Result<Option<Box<dyn Power>>, ChannelError> {
        match self {
            Self::Emulator => Ok(None),
            Self::Board => place.board.map(Board::power).transpose(),
            Self::Qemu => Ok(place.qemu.map(Qemu::power)),
            Self::UsbHub(driver) => driver.open(place).map(Some),
            Self::TasmotaMqtt(driver) => driver.open(place).map(Some),
            Self::TasmotaHttp(driver) => driver.open(place).map(Some),
            Self::Shelly(driver) => driver.open(place).map(Some),
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

/// `relay` of a Tasmota; the first if it is not said.
fn relay(section: &Section<'_>, said: Option<Spanned<u8>>) -> Result<u8, RigFileError> {
    said.map_or(Ok(1), |relay| section.within(&relay, 1..=RELAY_MOST, "relay of a Tasmota", "1 to 32"))
}

/// `url` of a plug.
fn plug_url(section: &Section<'_>, url: &Spanned<String>) -> Result<String, RigFileError> {
    match url_trouble(url.get_ref()) {
        None => Ok(url.get_ref().clone()),
        // A message shows the value that it is about, and in this one stands a password.
        Some(why) if url.get_ref().contains('@') => Err(section.wrong(format!("no `url` of a plug: {why}"), &[URL_EXAMPLE])),
        Some(why) => Err(section.error(url.span(), format!("no URL of a plug: {why}"), &[URL_EXAMPLE])),
    }
}
