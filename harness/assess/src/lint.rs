//! The linter of dossiers: what a supplier would be asked about before a device is touched.
//!
//! Reading a dossier ([`Dossier::parse`]) refuses what cannot be understood: unknown keys, wrong types, references to rows that do not exist. This looks at
//! what can be understood and does not hold together. It decides no verdict: what makes the ICS invalid or the IXIT incomplete is found by [`crate::ics`] and
//! [`crate::ixit`], and told here with its place; the rest is what a person would otherwise find on the day of the test.

mod answers;
mod place;
mod prose;

use proofbench_model::Method;
use proofbench_model::catalogue::Catalogue;
use proofbench_model::dossier::{Dossier, DossierFiles};
use std::fmt;

/// What a finding would mean for an assessment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grade {
    /// The whole would FAIL.
    Fails,
    /// Something claimed cannot be judged: INCONCLUSIVE.
    Incomplete,
    /// Two places of the dossier cannot both be right; a person has to say which is.
    Disagrees,
}

impl Grade {
    /// The word at the head of a line.
    pub fn as_str(self) -> &'static str {
        match self {
            Grade::Fails => "invalid",
            Grade::Incomplete => "incomplete",
            Grade::Disagrees => "disagrees",
        }
    }
}

/// One finding, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it would mean.
    pub grade: Grade,
    /// The file.
    pub file: String,
    /// 1 for the first line; that of the field where it is there, else that of its row, else the first of the file.
    pub line: usize,
    /// `ICS`, `7-UpdMech`, `identification`.
    pub table: String,
    /// The row: a provision, an IXIT row, a condition; empty for a table as a whole.
    pub row: String,
    /// The field; empty for a row as a whole.
    pub field: String,
    /// What is wrong.
    pub problem: String,
    /// What would be valid.
    pub valid: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.file, self.line, self.grade.as_str(), self.table)?;
        if !self.row.is_empty() {
            write!(f, ", row {}", self.row)?;
        }
        if !self.field.is_empty() {
            write!(f, ", field `{}`", self.field)?;
        }
        write!(f, ": {}; valid: {}", self.problem, self.valid)
    }
}

/// All findings, in the order of the files and their lines.
pub fn lint(catalogue: &Catalogue, files: &DossierFiles, dossier: &Dossier, method: Method) -> Vec<Finding> {
    let mut out = answers::of_ics(catalogue, files, dossier, method);
    out.extend(answers::of_ixit(catalogue, files, dossier));
    out.extend(prose::against_bindings(catalogue, files, dossier));
    let order = |f: &Finding| [&files.device.name, &files.ics.name, &files.ixit.name].iter().position(|n| **n == f.file);
    out.sort_by_key(|f| (order(f), f.line));
    out
}
