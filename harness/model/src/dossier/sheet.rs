//! ICS and IXIT as tables for people with a spreadsheet: comma-separated values after RFC 4180, out of a dossier and back into one, without loss.
//!
//! `ics.csv` has a row per provision, `conditions.csv` the supplier's word on conditions, `ixit/<nn>-<Table>.csv` a row per item, `empty.csv` the tables that
//! are said to be empty. The three lists among the tables (2, 4, 9) stand as field and answer. Bindings stand in a column of their own, as TOML.
//!
//! What a spreadsheet would spoil is kept from it ([`cell`]): nothing that looks like a formula begins a cell, and an answer that is empty on purpose is
//! written out, because an empty cell means that there is none.

pub mod cell;
mod export;
mod import;

pub use export::export;
pub use import::{Imported, import};

use std::fmt;

/// The ICS.
pub const ICS: &str = "ics.csv";
/// The supplier's word on conditions.
pub const CONDITIONS: &str = "conditions.csv";
/// Tables that are said to be empty.
pub const EMPTY: &str = "empty.csv";
/// Column of a row's binding.
const BINDING: &str = "Binding (TOML)";

/// Name of the file of an IXIT table: `ixit/07-UpdMech.csv`.
pub fn file_of(table: &crate::catalogue::Table) -> String {
    format!("ixit/{:02}-{}.csv", table.number, table.name)
}

/// A mistake in one cell of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SheetError {
    /// The file, below the folder that was read.
    pub file: String,
    /// Line of the file, 1 for the first; that of the row's beginning.
    pub line: u64,
    /// `ICS`, `7-UpdMech`.
    pub table: String,
    /// The row, by its id; empty for the file as a whole.
    pub row: String,
    /// The column; empty for the row as a whole.
    pub field: String,
    /// What is wrong, with what was found.
    pub problem: String,
    /// What would be valid.
    pub valid: String,
}

impl fmt::Display for SheetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.table)?;
        if !self.row.is_empty() {
            write!(f, ", row {}", self.row)?;
        }
        if !self.field.is_empty() {
            write!(f, ", field `{}`", self.field)?;
        }
        write!(f, ": {}; valid: {}", self.problem, self.valid)
    }
}

impl std::error::Error for SheetError {}

/// All mistakes, in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SheetErrors(pub Vec<SheetError>);

impl fmt::Display for SheetErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for SheetErrors {}
