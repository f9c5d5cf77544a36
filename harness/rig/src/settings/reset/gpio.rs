//! `driver = "gpio"`: a GPIO line is the reset line.

use super::super::{Place, Section, Settings};
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, Reset};
use proofbench_drivers::GpioLine;
use proofbench_drivers::reset::gpio::open;
use serde::Deserialize;

/// A reset line by GPIO.
#[derive(Debug, Clone, PartialEq)]
pub struct Gpio {
    /// Its line; active is asserted.
    pub line: GpioLine,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Keys {
    chip: String,
    line: u32,
    #[serde(default)]
    active_low: bool,
}

impl Settings for Keys {
    const EXAMPLE: &'static str = "chip = \"/dev/gpiochip0\"\nline = 27\nactive-low = true";
}

impl Gpio {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        let keys: Keys = section.settings()?;
        Ok(Self { line: GpioLine { chip: keys.chip.into(), line: keys.line, active_low: keys.active_low } })
    }

    pub(super) fn open(&self, place: &Place<'_>) -> Result<Box<dyn Reset>, ChannelError> {
        open(&self.line, place.time)
    }
}
