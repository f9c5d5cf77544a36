//! `[fleet]`: other units of the same model.

use super::{Section, Settings, Wiring, network};
use crate::error::RigFileError;
use proofbench_channel::fleet::UnitLabel;
use proofbench_channel::{ChannelError, ErrorKind, Fleet};
use proofbench_drivers::boardproc::{Board, BoardSetup};
use proofbench_drivers::fleet::{Labels, Units};
use proofbench_drivers::{Channels, RealClock};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use toml::Spanned;

/// Drivers of fleets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FleetDriver {
    /// Units 1 to n of the emulated device.
    Emulator {
        /// How many.
        units: u32,
    },
    /// Units 1 to n as board processes, each with a lab of its own.
    Board {
        /// How many.
        units: u32,
    },
    /// Labels that somebody wrote down.
    Labels {
        /// File with `[[unit]]` tables, below the rig file's folder.
        file: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct UnitsSettings {
    units: Spanned<u32>,
}

impl Settings for UnitsSettings {
    const EXAMPLE: &'static str = "units = 20";
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct LabelsSettings {
    file: String,
}

impl Settings for LabelsSettings {
    const EXAMPLE: &'static str = "file = \"labels.toml\"";
}

/// A file of labels.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    unit: Vec<Unit>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Unit {
    serial: String,
    user: String,
    secret: String,
    #[serde(default)]
    public: BTreeMap<String, String>,
}

impl FleetDriver {
    pub(crate) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        match section.driver() {
            own @ ("emulator" | "board") => {
                let units = section.settings::<UnitsSettings>()?.units;
                let units = section.within(&units, 2..=1000, "number of units", "2 to 1000")?;
                Ok(if own == "board" { Self::Board { units } } else { Self::Emulator { units } })
            }
            "labels" => Ok(Self::Labels { file: section.settings::<LabelsSettings>()?.file }),
            _ => Err(section.no_driver(&["emulator", "board", "labels"])),
        }
    }

    /// Whose units they are.
    pub fn wiring(&self) -> Wiring {
        match self {
            Self::Emulator { .. } => Wiring::Emulator,
            Self::Board { .. } => Wiring::Board,
            Self::Labels { .. } => Wiring::Real,
        }
    }
}

/// Units of the board: each a process with a network, a supply and a lab of its own, as its maker delivered it whenever it is opened.
pub(crate) fn boards(setup: &BoardSetup, units: u32) -> Result<Box<dyn Fleet>, ChannelError> {
    let defects = setup.defects.clone();
    let setup = BoardSetup { dir: None, network: true, ..setup.clone() };
    let open = move |unit| {
        let board = Board::prepare(&BoardSetup { unit, ..setup.clone() })?;
        let mut channels = Channels::new(Box::new(RealClock(board.time())));
        channels.power = Some(board.power()?);
        channels.network = Some(network::board(&board)?);
        Ok(channels)
    };
    Ok(Box::new(Units::new(units, &defects, "boards, each with a lab of its own", Box::new(open))?))
}

/// Reads a file of labels: `[[unit]]` with `serial`, `user`, `secret`, and `public = { mac = ".." }`. The error names the file, and the place in it.
pub(crate) fn labels(file: &Path) -> Result<Box<dyn Fleet>, ChannelError> {
    let doing = || format!("read the labels of a fleet from {}", file.display());
    let text = std::fs::read_to_string(file).map_err(|e| ChannelError::caused(ErrorKind::Driver, doing(), e))?;
    let read: File = toml::from_str(&text).map_err(|e| ChannelError::caused(ErrorKind::Refused, doing(), e))?;
    let label = |u: Unit| UnitLabel { serial: u.serial, user: u.user, secret: u.secret, public: u.public };
    Ok(Box::new(Labels(read.unit.into_iter().map(label).collect())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proofbench_channel::{Cancel, Moment, Wait};

    #[test]
    fn labels_are_read_from_a_file_and_a_mistake_in_it_is_told_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("labels.toml");
        std::fs::write(&file, "[[unit]]\nserial = \"A1\"\nuser = \"admin\"\nsecret = \"x\"\npublic = { mac = \"02:00\" }\n").unwrap();
        let wait = Wait::until(Moment(0), &Cancel::new());
        let read = labels(&file).unwrap().labels(&wait).unwrap();
        assert_eq!((read.len(), read[0].serial.as_str(), read[0].public["mac"].as_str()), (1, "A1", "02:00"));
        std::fs::write(&file, "[[unit]]\nserial = \"A1\"\nsecrte = \"x\"\n").unwrap();
        let Err(error) = labels(&file) else { panic!("a mistake was read") };
        let text = error.explain().to_string();
        assert!(text.contains("labels.toml") && text.contains("secrte") && text.contains("line 3"), "{text}");
    }
}
