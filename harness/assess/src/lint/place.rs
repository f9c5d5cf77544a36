//! Where in a file something stands.

use proofbench_model::catalogue::Catalogue;
use proofbench_model::dossier::{NamedText, Row};

/// The line of a key of the table whose `id` (or header) stands in line `row`; `row` itself where the table has no such key.
///
/// A line-wise look is enough: dossiers that were read have one key a line at the top level of a row, and a wrong line would be off by a few.
pub(super) fn of_key(file: &NamedText, row: usize, key: &str) -> usize {
    let lines: Vec<&str> = file.text.lines().collect();
    let here = row.saturating_sub(1).min(lines.len().saturating_sub(1));
    let is_header = |line: &str| line.trim_start().starts_with('[');
    let from = (0..=here).rev().find(|i| lines.get(*i).is_some_and(|l| is_header(l))).unwrap_or(here);
    let to = (from + 1..lines.len()).find(|i| is_header(lines[*i])).unwrap_or(lines.len());
    let is_key = |line: &str| line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='));
    (from..to).find(|i| is_key(lines[*i])).map_or(row.max(1), |i| i + 1)
}

/// The first line that has this text; 1 if none.
pub(super) fn of_text(file: &NamedText, text: &str) -> usize {
    file.text.lines().position(|l| l.contains(text)).map_or(1, |i| i + 1)
}

/// How a table is called: `7-UpdMech`.
pub(super) fn table_name(catalogue: &Catalogue, number: u8) -> String {
    catalogue.table(number).map_or_else(|| number.to_string(), |t| format!("{}-{}", t.number, t.name))
}

/// How a row is called; the tables that are one list have none.
pub(super) fn row_name(catalogue: &Catalogue, row: &Row) -> String {
    if catalogue.table(row.id.table).is_some_and(|t| t.has_rows) { row.id.row.clone() } else { String::new() }
}
