//! Failures that are expected, as a file: each with a reason, and if wanted with a last day. They change what a process exits with, and nothing else.

use anyhow::{Context, Result, bail};
use proofbench_model::{CheckId, RowId, UnitId};
use serde::Deserialize;
use std::path::Path;
use toml::Spanned;

/// The file.
#[derive(Debug)]
pub struct Baseline {
    /// Its entries, in the order of the file.
    pub entries: Vec<Entry>,
}

/// One expected failure.
#[derive(Debug)]
pub struct Entry {
    /// Line of the file.
    pub line: usize,
    /// The unit that is expected not to be satisfied.
    pub unit: UnitId,
    /// Only on this row; on all if none.
    pub row: Option<RowId>,
    /// Only by this check; by all if none.
    pub check: Option<CheckId>,
    /// Why it is expected.
    pub reason: String,
    /// The last day on which it is.
    pub until: Option<jiff::civil::Date>,
}

impl Entry {
    /// Whether it is about this result.
    pub fn matches(&self, unit: &UnitId, row: Option<&RowId>, check: Option<&CheckId>) -> bool {
        self.unit == *unit && (self.row.is_none() || self.row.as_ref() == row) && (self.check.is_none() || self.check.as_ref() == check)
    }

    /// Whether its last day is over.
    pub fn is_over(&self, today: jiff::civil::Date) -> bool {
        self.until.is_some_and(|last| today > last)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    #[serde(default)]
    expected: Vec<Spanned<Raw>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    unit: UnitId,
    #[serde(default)]
    row: Option<RowId>,
    #[serde(default)]
    check: Option<CheckId>,
    reason: String,
    #[serde(default)]
    until: Option<String>,
}

/// Reads one.
pub fn read(path: &Path) -> Result<Baseline> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let file: File = toml::from_str(&text).with_context(|| format!("read {}", path.display()))?;
    if file.format != 1 {
        bail!("{}: format {}; valid: 1", path.display(), file.format);
    }
    let mut entries = Vec::new();
    for spanned in file.expected {
        let line = text[..spanned.span().start].matches('\n').count() + 1;
        let raw = spanned.into_inner();
        let at = format!("{}:{line}: unit {}", path.display(), raw.unit);
        if raw.reason.trim().is_empty() {
            bail!("{at}: field `reason`: an expected failure needs a reason; valid: a sentence that says why");
        }
        let until = match &raw.until {
            None => None,
            Some(day) => match day.parse() {
                Ok(day) => Some(day),
                Err(_) => bail!("{at}: field `until`: `{day}` is no day; valid: 2027-03-31"),
            },
        };
        entries.push(Entry { line, unit: raw.unit, row: raw.row, check: raw.check, reason: raw.reason, until });
    }
    Ok(Baseline { entries })
}
