//! `device.toml`: who made what, which unit is on the bench, how a rig sees it.

use super::NamedText;
use super::error::DossierError;
use super::read::Reader;
use crate::bind::{Credential, DeviceBind};
use serde::{Deserialize, Serialize};

/// `device.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The form of TS 103 701.
    pub identification: Identification,
    /// The unit on the bench.
    pub sample: Sample,
    /// How a rig sees the device at all.
    pub bind: DeviceBind,
}

/// The identification form of TS 103 701.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Identification {
    /// Name of the device.
    pub name: String,
    /// Model designation.
    pub model: String,
    /// Brand names.
    pub brand: String,
    /// Hardware release.
    pub hardware: String,
    /// Serial number, where the form names one unit.
    #[serde(default)]
    pub serial: Option<String>,
    /// Firmware as delivered.
    pub firmware: String,
    /// Operating system.
    pub os: String,
    /// Associated services.
    #[serde(default)]
    pub services: Vec<String>,
    /// Whether the supplier calls the device constrained.
    #[serde(default)]
    pub constrained: bool,
    /// Why; without a reason no N/A may rest on it.
    #[serde(default)]
    pub constrained_because: Option<String>,
    /// The supplier.
    #[serde(default)]
    pub supplier: Option<String>,
    /// How to reach the supplier.
    #[serde(default)]
    pub contact: Option<String>,
    /// Date of the form.
    #[serde(default)]
    pub date: Option<String>,
}

/// What the identification says about constraint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Constrained {
    /// Not constrained.
    No,
    /// Constrained, with a reason.
    Justified,
    /// Constrained, without a reason: nothing may rest on it.
    Unjustified,
}

impl Identification {
    /// What may be concluded from the two fields on constraint.
    pub fn constraint(&self) -> Constrained {
        match (self.constrained, self.constrained_because.as_deref().map(str::trim)) {
            (false, _) => Constrained::No,
            (true, Some(reason)) if !reason.is_empty() => Constrained::Justified,
            (true, _) => Constrained::Unjustified,
        }
    }
}

/// The unit on the bench. What stands here is never written to a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Sample {
    /// Its serial number, which the device must report.
    pub serial: String,
    /// The credential on its label.
    #[serde(default)]
    pub label: Option<Credential>,
}

pub(super) fn parse(file: &NamedText) -> Result<Device, Vec<DossierError>> {
    let mut reader = Reader::new(file);
    let Some(root) = reader.root() else { return Err(reader.errors) };
    reader.format(&root);
    reader.only_keys(&root, &["format", "identification", "sample", "bind"]);
    let identification = reader.required(&root, 0..0, "identification", "the file").and_then(|v| reader.typed(v));
    let sample = reader.required(&root, 0..0, "sample", "the file").and_then(|v| reader.typed(v));
    let bind = reader.required(&root, 0..0, "bind", "the file").and_then(|v| reader.typed(v));
    match (identification, sample, bind) {
        (Some(identification), Some(sample), Some(bind)) if reader.errors.is_empty() => Ok(Device { identification, sample, bind }),
        _ => Err(reader.errors),
    }
}
