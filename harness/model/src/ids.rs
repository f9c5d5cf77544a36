//! Names of the standard's parts and of ours, as types that cannot be mixed up.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A text that is not the id it was read as; the message says what a valid one looks like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no {kind}; a valid one looks like `{example}`")]
pub struct BadId {
    /// What was read.
    pub found: String,
    /// What it should have been.
    pub kind: &'static str,
    /// A valid example.
    pub example: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $example:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);
        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl FromStr for $name {
            type Err = BadId;
            fn from_str(s: &str) -> Result<Self, BadId> {
                let valid: fn(&str) -> bool = $valid;
                if valid(s) {
                    Ok(Self(s.to_owned()))
                } else {
                    Err(BadId { found: s.to_owned(), kind: $kind, example: $example })
                }
            }
        }
        impl TryFrom<String> for $name {
            type Error = BadId;
            fn try_from(s: String) -> Result<Self, BadId> {
                s.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

fn digits(s: &str) -> bool {
    !s.is_empty() && s.len() <= 3 && s.bytes().all(|b| b.is_ascii_digit())
}

/// `5.3-2`, `4-1`, `5.1-2A`: clause, hyphen, number with an optional capital.
fn provision_like(s: &str) -> bool {
    let Some((clause, number)) = s.split_once('-') else { return false };
    let number = number.strip_suffix(|c: char| c.is_ascii_uppercase()).unwrap_or(number);
    clause.split('.').count() <= 2 && clause.split('.').all(digits) && digits(number)
}

text_id!(
    /// A provision of EN 303 645, and the TS 103 701 test group that addresses it: `5.3-2`.
    ProvisionId, "provision", "5.3-2", provision_like
);
text_id!(
    /// A test case of TS 103 701: `5.3-2-2`.
    CaseId, "test case", "5.3-2-2",
    |s| s.rsplit_once('-').is_some_and(|(p, n)| provision_like(p) && digits(n))
);
text_id!(
    /// One of our checks: `power-loss/install`.
    CheckId, "check", "power-loss/install",
    |s| s.len() <= 80
        && s.split_once('/').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty() && !b.contains('/'))
        && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'/')
);

impl CaseId {
    /// The provision (and group) that the case belongs to.
    pub fn provision(&self) -> ProvisionId {
        let (p, _) = self.0.rsplit_once('-').expect("checked when it was made");
        ProvisionId(p.to_owned())
    }
}

/// A test unit of TS 103 701: case and letter, `5.3-2-2 b`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnitId {
    /// The case it is part of.
    pub case: CaseId,
    /// Its letter, `a` to `z`.
    pub letter: char,
}

impl UnitId {
    /// The provision that the unit's case belongs to.
    pub fn provision(&self) -> ProvisionId {
        self.case.provision()
    }
}

impl fmt::Display for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} {}", self.case, self.letter))
    }
}

impl FromStr for UnitId {
    type Err = BadId;
    fn from_str(s: &str) -> Result<Self, BadId> {
        let bad = || BadId { found: s.to_owned(), kind: "test unit", example: "5.3-2-2 b" };
        let (case, letter) = s.split_once(' ').ok_or_else(bad)?;
        let mut letters = letter.chars();
        match (case.parse(), letters.next(), letters.next()) {
            (Ok(case), Some(letter @ 'a'..='z'), None) => Ok(Self { case, letter }),
            _ => Err(bad()),
        }
    }
}

impl TryFrom<String> for UnitId {
    type Error = BadId;
    fn try_from(s: String) -> Result<Self, BadId> {
        s.parse()
    }
}

impl From<UnitId> for String {
    fn from(id: UnitId) -> String {
        id.to_string()
    }
}

/// A row of one of the 29 IXIT tables: `7-UpdMech/UpdMech-1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RowId {
    /// Table number, 1 to 29.
    pub table: u8,
    /// The row's own id (`UpdMech-1`); tables without rows (2, 4, 9) use their name.
    pub row: String,
}

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.table, self.row)
    }
}

impl FromStr for RowId {
    type Err = BadId;
    fn from_str(s: &str) -> Result<Self, BadId> {
        let bad = || BadId { found: s.to_owned(), kind: "IXIT row", example: "7/UpdMech-1" };
        let (table, row) = s.split_once('/').ok_or_else(bad)?;
        match table.parse() {
            Ok(table @ 1..=29) if !row.is_empty() => Ok(Self { table, row: row.to_owned() }),
            _ => Err(bad()),
        }
    }
}

impl TryFrom<String> for RowId {
    type Error = BadId;
    fn try_from(s: String) -> Result<Self, BadId> {
        s.parse()
    }
}

impl From<RowId> for String {
    fn from(id: RowId) -> String {
        id.to_string()
    }
}
