//! Chip families: how each locks its debug port, what a locked part shows on the wire, and which doors stand beside the lock.
//!
//! Engineering knowledge as data, each statement with what it rests on. It helps to read a survey; no verdict follows from it alone.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::OnceLock;

/// The text of the file, for digests in a journal header.
pub const CHIP_FAMILIES_TOML: &str = include_str!("../data/chip-families.toml");

/// What every report says beside a row of the table.
pub const CAVEAT: &str = "engineering knowledge, to be confirmed against the part's data sheet and errata";

/// What a statement rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Basis {
    /// An experiment of ours.
    #[serde(rename = "P")]
    Shown,
    /// The source of public tools.
    #[serde(rename = "S")]
    Source,
    /// Public documentation of the vendor.
    #[serde(rename = "D")]
    Documented,
    /// Engineering knowledge that nobody has checked here.
    #[serde(rename = "K")]
    Knowledge,
}

impl Basis {
    /// In words, for a report.
    pub fn as_str(self) -> &'static str {
        match self {
            Basis::Shown => "shown by experiment",
            Basis::Source => "from the source of public tools",
            Basis::Documented => "documented",
            Basis::Knowledge => "not checked",
        }
    }
}

/// One statement and what it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Statement {
    /// The statement.
    pub text: String,
    /// What it rests on.
    pub basis: Basis,
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.basis.as_str())
    }
}

/// A way in beside the lock that takes no fault injection.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Door {
    /// What it is.
    pub text: String,
    /// What the statement rests on.
    pub basis: Basis,
    /// Ids of the checks that try it; empty where none does.
    #[serde(default)]
    pub tried_by: Vec<String>,
}

/// A family of chips that lock alike.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ChipFamily {
    /// Stable name, for dossiers.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// What locks.
    pub mechanism: Statement,
    /// The state as delivered by the chip's maker and after a mass erase.
    pub default: Statement,
    /// What a probe sees of a locked part.
    pub locked: Statement,
    /// Whether SWCLK held low at the release of reset opens a port that is dead otherwise.
    #[serde(default)]
    pub cold_plug: bool,
    /// Ways in beside the lock.
    pub doors: Vec<Door>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    family: Vec<ChipFamily>,
}

impl ChipFamily {
    /// All of them, in the order of the file.
    pub fn all() -> &'static [ChipFamily] {
        static ALL: OnceLock<Vec<ChipFamily>> = OnceLock::new();
        ALL.get_or_init(|| {
            let file: File = toml::from_str(CHIP_FAMILIES_TOML).expect("the table of chip families is part of the program, and a test reads it");
            file.family
        })
    }

    /// The family of that name.
    pub fn find(id: &str) -> Option<&'static ChipFamily> {
        Self::all().iter().find(|f| f.id == id)
    }

    /// Names of all families, for messages.
    pub fn names() -> String {
        Self::all().iter().map(|f| f.id.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// The name of a family that exists. Reading one that does not is an error that names those that do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FamilyId(String);

impl FamilyId {
    /// Its family.
    pub fn family(&self) -> &'static ChipFamily {
        ChipFamily::find(&self.0).expect("a family's name is looked up when it is read")
    }

    /// Its spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FamilyId {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match ChipFamily::find(&text) {
            Some(_) => Ok(Self(text)),
            None => Err(format!("`{text}` is no chip family; valid: {}", ChipFamily::names())),
        }
    }
}

impl std::str::FromStr for FamilyId {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        text.to_owned().try_into()
    }
}

impl From<FamilyId> for String {
    fn from(id: FamilyId) -> String {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::CheckId;
    use std::collections::BTreeSet;

    #[test]
    fn the_table_is_whole_and_its_names_are_unique() {
        let all = ChipFamily::all();
        assert_eq!(all.len(), 21, "a family is added or taken away on purpose");
        assert_eq!(all.iter().map(|f| &f.id).collect::<BTreeSet<_>>().len(), all.len());
        for f in all {
            let texts = [&f.name, &f.mechanism.text, &f.default.text, &f.locked.text].into_iter().chain(f.doors.iter().map(|d| &d.text));
            assert!(texts.clone().all(|t| !t.trim().is_empty()), "{}", f.id);
            for check in f.doors.iter().flat_map(|d| &d.tried_by) {
                assert!(check.parse::<CheckId>().is_ok() && check.starts_with("debug-port/"), "{}: {check}", f.id);
            }
        }
    }

    #[test]
    fn a_family_that_does_not_exist_is_answered_with_those_that_do() {
        let error = FamilyId::try_from("nrf25".to_owned()).unwrap_err();
        assert!(error.contains("`nrf25`") && error.contains("nrf52-old, nrf52-new"), "{error}");
        assert_eq!("sam-d-e".parse::<FamilyId>().unwrap().family().id, "sam-d-e");
    }

    #[test]
    fn only_parts_with_a_device_service_unit_care_for_the_clock_at_reset() {
        let cold: Vec<&str> = ChipFamily::all().iter().filter(|f| f.cold_plug).map(|f| f.id.as_str()).collect();
        assert_eq!(cold, ["sam-d-e", "sam-l11"]);
    }
}
