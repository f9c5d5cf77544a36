//! References between IXIT tables: a row that names a row that does not exist is a mistake of the dossier.

use super::NamedText;
use super::error::{DossierError, nearest};
use super::ixit::{Ixit, Row};
use super::read::Reader;
use crate::ids::RowId;

/// Table, field key, table that it names.
const REFERENCES: [(u8, &str, u8); 5] = [
    (6, "update-mechanism", 7),
    (10, "communication-mechanisms", 11),
    (13, "authentication-mechanism", 1),
    (21, "communication-mechanisms", 11),
    (24, "personal-data", 21),
];

/// Rows that the references of a row name, whether they exist or not.
pub fn references_of(row: &Row) -> Vec<RowId> {
    let named = REFERENCES.iter().filter(|(table, ..)| *table == row.id.table);
    named.flat_map(|(_, key, to)| row.names(key).into_iter().map(|name| RowId { table: *to, row: name.to_owned() })).collect()
}

pub(super) fn references(file: &NamedText, ixit: &Ixit, errors: &mut Vec<DossierError>) {
    for row in ixit.all_rows() {
        for target in references_of(row) {
            if ixit.row(&target).is_none() {
                let key = REFERENCES.iter().find(|(t, _, to)| *t == row.id.table && *to == target.table).map_or("", |(_, k, _)| k);
                errors.push(dangling(file, row, key, &target.row, ixit.rows(target.table)));
            }
        }
        for name in bound_names(row) {
            let target: Result<RowId, _> = name.parse();
            if target.as_ref().map_or(true, |t| ixit.row(t).is_none()) {
                let all: Vec<String> = ixit.all_rows().map(|r| r.id.to_string()).collect();
                let mut error = dangling(file, row, "bind", name, &[]);
                error.valid = nearest(name, all.iter().map(String::as_str), 4);
                errors.push(error);
            }
        }
    }
}

/// Rows that a binding names in full, `21/PersData-1`.
fn bound_names(row: &Row) -> impl Iterator<Item = &str> {
    let deletes = row.del_any().map(|b| b.deletes.as_slice()).unwrap_or_default();
    let keeps = row.res().map(|b| b.keeps.as_slice()).unwrap_or_default();
    deletes.iter().chain(keeps).map(String::as_str)
}

fn dangling(file: &NamedText, row: &Row, key: &str, name: &str, rows: &[Row]) -> DossierError {
    let mut reader = Reader::new(file);
    // Rows are kept without the offsets of their fields: look for the name from the row's first line on.
    let from: usize = file.text.split_inclusive('\n').take(row.line.saturating_sub(1)).map(str::len).sum();
    let at = file.text.get(from..).and_then(|rest| rest.find(name)).map_or(from, |i| from + i);
    let valid = nearest(name, rows.iter().map(|r| r.id.row.as_str()), 4);
    let problem = format!("`{key}` of {} names a row that does not exist", row.id);
    let valid = if valid.is_empty() { vec!["an empty text (the table has no rows)".to_owned()] } else { valid };
    reader.error(at..at + name.len(), name, problem, valid);
    reader.errors.remove(0)
}
