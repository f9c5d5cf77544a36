//! `driver = "gpio"`: a relay on a GPIO line switches the supply.

use super::super::{Place, Section, Settings, TimeSpan};
use super::{off_min, supply};
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, Power};
use proofbench_drivers::GpioLine;
use proofbench_drivers::power::gpio::open;
use serde::Deserialize;
use std::time::Duration;
use toml::Spanned;

/// A supply by GPIO.
#[derive(Debug, Clone, PartialEq)]
pub struct Gpio {
    /// Its line; active is on.
    pub line: GpioLine,
    /// Off time.
    pub off_min: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Keys {
    chip: String,
    line: u32,
    #[serde(default)]
    active_low: bool,
    off_min: Option<Spanned<TimeSpan>>,
}

impl Settings for Keys {
    const EXAMPLE: &'static str = "chip = \"/dev/gpiochip0\"\nline = 17";
}

impl Gpio {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        let keys: Keys = section.settings()?;
        let line = GpioLine { chip: keys.chip.into(), line: keys.line, active_low: keys.active_low };
        Ok(Self { line, off_min: off_min(section, keys.off_min)? })
    }

    pub(super) fn open(&self, place: &Place<'_>) -> Result<Box<dyn Power>, ChannelError> {
        open(&self.line, supply(place, self.off_min))
    }
}
