//! `[debug]`

use super::{Place, Section, Settings, Wiring};
use crate::error::RigFileError;
use proofbench_channel::ChannelError;
use proofbench_drivers::debug::WorkerProbe;
use serde::Deserialize;
use toml::Spanned;

/// Drivers of debug ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DebugDriver {
    /// The emulated device's own.
    Emulator,
    /// A debug probe behind the worker.
    ProbeRs {
        /// `vid:pid:serial`; may hold `{board.debug}`.
        probe: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ProbeSettings {
    probe: Spanned<String>,
}

impl Settings for ProbeSettings {
    const EXAMPLE: &'static str = "probe = \"0483:374b:066BFF504955\"";
}

impl DebugDriver {
    const NAMES: &'static [&'static str] = &["emulator", "probe-rs"];

    pub(crate) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        match section.driver() {
            "emulator" => section.nothing().map(|()| Self::Emulator),
            "probe-rs" => Ok(Self::ProbeRs { probe: selector(section, &section.settings::<ProbeSettings>()?.probe)? }),
            _ => Err(section.no_driver(Self::NAMES)),
        }
    }

    /// Whose port it is.
    pub fn wiring(&self) -> Wiring {
        match self {
            Self::Emulator => Wiring::Emulator,
            Self::ProbeRs { probe } if probe.contains("{board.debug}") => Wiring::Board,
            Self::ProbeRs { .. } => Wiring::Real,
        }
    }

    /// `None` for the emulated device's own, which is opened with it. The probe may serve `[reset]` as well.
    pub(crate) fn open(&self, place: &Place<'_>) -> Result<Option<WorkerProbe>, ChannelError> {
        match self {
            Self::Emulator => Ok(None),
            Self::ProbeRs { probe } => WorkerProbe::new(place.probe(probe), None, place.time).map(Some),
        }
    }
}

fn selector(section: &Section<'_>, probe: &Spanned<String>) -> Result<String, RigFileError> {
    let text = section.placeholders(probe, &["{board.debug}"])?;
    let hex4 = |s: Option<&str>| s.is_some_and(|s| s.len() == 4 && s.bytes().all(|b| b.is_ascii_hexdigit()));
    let mut parts = text.splitn(3, ':');
    if hex4(parts.next()) && hex4(parts.next()) {
        Ok(text)
    } else {
        Err(section.error(probe.span(), "no probe selector", &["vid:pid:serial, such as 0483:374b:066BFF504955"]))
    }
}
