//! `driver = "scpi"`: an output of a bench supply.

use super::super::{Place, Section, Settings, TimeSpan};
use super::{off_min, supply};
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, Milliamps, Millivolts, Power};
use proofbench_drivers::power::scpi::{ScpiSetup, models, open};
use serde::Deserialize;
use std::time::Duration;
use toml::Spanned;

/// A supply by SCPI.
#[derive(Debug, Clone, PartialEq)]
pub struct Scpi {
    /// `host:port`
    pub address: String,
    /// Name of the dialect.
    pub model: String,
    /// Output, 1 for the first.
    pub channel: u32,
    /// Voltage.
    pub volts: Millivolts,
    /// Most current.
    pub amps: Milliamps,
    /// Whether more current cuts the output.
    pub protect: bool,
    /// Off time.
    pub off_min: Duration,
}

/// What becomes of more current than is allowed.
#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
enum Overcurrent {
    /// The voltage sags.
    #[default]
    Limit,
    /// The output is cut.
    Trip,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Keys {
    address: Spanned<String>,
    model: Option<Spanned<String>>,
    channel: Spanned<u32>,
    volts: Spanned<f64>,
    amps: Spanned<f64>,
    overcurrent: Option<Spanned<Overcurrent>>,
    off_min: Option<Spanned<TimeSpan>>,
}

impl Settings for Keys {
    const EXAMPLE: &'static str = "address = \"192.0.2.7:5025\"\nchannel = 1\nvolts = 5.0\namps = 0.5";
}

impl Scpi {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        let keys: Keys = section.settings()?;
        let named = keys.model.as_ref().map_or("generic", |m| m.get_ref().as_str());
        let Some(model) = models().iter().find(|m| m.name == named) else {
            let valid: Vec<&str> = models().iter().map(|m| m.name.as_str()).collect();
            return Err(section.error(keys.model.map(|m| m.span()).unwrap_or_default(), "no model of a supply", &valid));
        };
        let most = if model.state_bits.is_empty() { 16 } else { u32::try_from(model.state_bits.len()).unwrap_or(0) };
        let protect = match &keys.overcurrent {
            Some(said) if matches!(said.get_ref(), Overcurrent::Trip) && model.protect.is_empty() => {
                return Err(section.error(said.span(), format!("the model `{named}` has no protection that trips"), &["limit"]));
            }
            said => said.as_ref().is_some_and(|s| matches!(s.get_ref(), Overcurrent::Trip)),
        };
        Ok(Self {
            address: section.address(&keys.address)?,
            model: named.to_owned(),
            channel: section.within(&keys.channel, 1..=most, "output of this model", &format!("1 to {most}"))?,
            volts: Millivolts(thousandths(section, &keys.volts, "voltage")?),
            amps: Milliamps(thousandths(section, &keys.amps, "current")?),
            protect,
            off_min: off_min(section, keys.off_min)?,
        })
    }

    pub(super) fn open(&self, place: &Place<'_>) -> Result<Box<dyn Power>, ChannelError> {
        open(ScpiSetup {
            address: self.address.clone(),
            model: self.model.clone(),
            channel: self.channel,
            volts: self.volts,
            amps: self.amps,
            protect: self.protect,
            supply: supply(place, self.off_min),
        })
    }
}

fn thousandths(section: &Section<'_>, value: &Spanned<f64>, what: &str) -> Result<u32, RigFileError> {
    let value = section.within(value, 0.001..=1000.0, what, "0.001 to 1000")?;
    Ok((value * 1000.0).round() as u32)
}
