//! Dialects of bench supplies as data, and what their answers mean.

use crate::text::shown;
use proofbench_channel::{ChannelError, ErrorKind};
use serde::Deserialize;
use std::sync::LazyLock;

/// One dialect; see `data/scpi-models.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Model {
    /// How a rig file calls it.
    pub name: String,
    /// Which products.
    pub what: String,
    /// Against what it was checked.
    pub checked: String,
    /// Selects the channel for what follows.
    pub select: Option<String>,
    /// Sets the voltage.
    pub volts: String,
    /// Sets the current limit.
    pub amps: String,
    /// Arms the overcurrent protection.
    #[serde(default)]
    pub protect: Vec<String>,
    /// Lets the output be switched on after protection has cut it.
    #[serde(default)]
    pub clear: Vec<String>,
    /// Asks whether protection has cut the output.
    pub tripped: Option<String>,
    /// Switches the output on.
    pub on: Vec<String>,
    /// Switches it off.
    pub off: String,
    /// Asks whether it is on.
    pub state: String,
    /// Bit of each channel in the status word that `state` answers; empty where it answers on or off.
    #[serde(default)]
    pub state_bits: Vec<u32>,
    /// Measures the voltage at the terminals.
    pub rail: String,
    /// Measures the current.
    pub current: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    model: Vec<Model>,
}

static TABLE: LazyLock<Result<Vec<Model>, String>> = LazyLock::new(|| {
    let table: Result<Table, _> = toml::from_str(include_str!("../../../data/scpi-models.toml"));
    table.map(|t| t.model).map_err(|e| e.to_string())
});

/// All dialects, for lists and for messages.
pub fn models() -> &'static [Model] {
    TABLE.as_deref().unwrap_or_default()
}

/// The dialect of this name; the error lists the valid ones.
pub fn model(name: &str) -> Result<&'static Model, ChannelError> {
    let table = TABLE.as_ref().map_err(|e| ChannelError::caused(ErrorKind::Driver, "read the table of supplies", e.clone()))?;
    table.iter().find(|m| m.name == name).ok_or_else(|| {
        let valid: Vec<&str> = table.iter().map(|m| m.name.as_str()).collect();
        ChannelError::caused(ErrorKind::Unsupported, format!("use a supply of model `{name}`"), format!("valid: {}", valid.join(", ")))
    })
}

/// On or off, however a supply says it.
pub(super) fn yes(answer: &str) -> Option<bool> {
    match answer.to_ascii_uppercase().as_str() {
        "1" | "ON" | "YES" => Some(true),
        "0" | "OFF" | "NO" => Some(false),
        _ => None,
    }
}

impl Model {
    /// Whether the output of this channel is on, from what `state` answered.
    pub(super) fn is_on(&self, channel: u32, answer: &str) -> Option<bool> {
        if self.state_bits.is_empty() {
            return yes(answer);
        }
        let hex = answer.strip_prefix("0x").or_else(|| answer.strip_prefix("0X"))?;
        let bit = channel.checked_sub(1).and_then(|n| self.state_bits.get(usize::try_from(n).ok()?))?;
        Some(u32::from_str_radix(hex, 16).ok()? >> bit & 1 == 1)
    }

    /// Whether this dialect can say anything of this channel.
    pub(super) fn channel(&self, channel: u32) -> Result<u32, ChannelError> {
        let most = if self.state_bits.is_empty() { 16 } else { u32::try_from(self.state_bits.len()).unwrap_or(0) };
        if (1..=most).contains(&channel) {
            return Ok(channel);
        }
        let doing = format!("use channel {channel} of a supply of model `{}`", self.name);
        Err(ChannelError::caused(ErrorKind::Unsupported, doing, format!("valid: 1 to {most}")))
    }
}

/// A measured value in thousandths of its unit: `5.0012`, `+5.001200E+00`, `5.001V`. What is below zero is zero.
pub(super) fn thousandths(answer: &str, unit: char) -> Result<u32, String> {
    let number = answer.trim_end_matches([unit, unit.to_ascii_lowercase()]).trim_end();
    match number.parse::<f64>() {
        // 9.9E37 is how SCPI says infinity, and 9.91E37 no number at all. No bench supply reaches 10 000.
        Ok(value) if value.is_finite() && value < 10_000.0 => Ok((value.max(0.0) * 1000.0).round() as u32),
        _ => Err(format!("it measures `{}`, which is no value", shown(answer.as_bytes()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        assert!(models().len() >= 5, "{:?}", TABLE.as_ref().err());
        for (n, model) in models().iter().enumerate() {
            assert!(models()[..n].iter().all(|m| m.name != model.name), "{} stands there twice", model.name);
            assert!(model.volts.contains("{volts}") && model.amps.contains("{amps}") && !model.checked.is_empty(), "{}", model.name);
            let asks = [Some(&model.state), Some(&model.rail), Some(&model.current), model.tripped.as_ref()];
            assert!(asks.into_iter().flatten().all(|c| c.contains('?')), "{}", model.name);
            let tells = [&model.on, &model.protect, &model.clear];
            assert!(tells.into_iter().flatten().chain([&model.off, &model.volts]).all(|c| !c.contains('?')), "{}", model.name);
            let addressed = |c: &String| c.contains("{channel}");
            assert!(model.select.as_ref().is_some_and(addressed) || (addressed(&model.off) && addressed(&model.volts)), "{}", model.name);
        }
    }

    #[test]
    fn states_are_read_as_they_are_written() {
        let (generic, siglent) = (model("generic").unwrap(), model("siglent-spd3303x").unwrap());
        assert_eq!((generic.is_on(1, "1"), generic.is_on(1, "Off"), generic.is_on(1, "2")), (Some(true), Some(false), None));
        assert_eq!((siglent.is_on(1, "0x0010"), siglent.is_on(2, "0x0010"), siglent.is_on(1, "ON")), (Some(true), Some(false), None));
        assert!(siglent.channel(3).is_err() && siglent.channel(0).is_err() && siglent.channel(2).is_ok());
    }

    #[test]
    fn values_are_read_in_all_their_forms_and_nothing_else_is() {
        for (answer, value) in [("5.0012", 5001), ("+5.001200E+00", 5001), ("5.001V", 5001), ("-0.002", 0), ("0", 0)] {
            assert_eq!(thousandths(answer, 'V'), Ok(value), "{answer}");
        }
        for answer in ["", "V", "9.9E37", "NAN", "inf", "5,0", "5.0A"] {
            assert!(thousandths(answer, 'V').is_err(), "{answer}");
        }
    }

    #[test]
    fn a_model_that_is_not_there_is_told_with_those_that_are() {
        assert!(model("dp832").unwrap_err().source.unwrap().to_string().contains("rigol-dp800"));
    }
}
