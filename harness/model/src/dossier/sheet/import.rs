//! Out of tables into the text of `ics.toml` and `ixit.toml`.

use super::super::{NamedText, ics, ixit};
use super::{BINDING, CONDITIONS, EMPTY, ICS, SheetError, SheetErrors, cell, file_of};
use crate::catalogue::{Catalogue, Table};
use crate::dossier::error::nearest;
use crate::verdict::Method;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Two files of a dossier, made from tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// `ics.toml`
    pub ics: String,
    /// `ixit.toml`
    pub ixit: String,
}

/// Reads the files of a folder, by their names below it, as [`super::export`] makes them and as spreadsheets save them: with or without byte-order mark,
/// with commas or semicolons. All mistakes of all files are told together; a file that is missing is a mistake, so that nothing is lost by forgetting it.
pub fn import(files: &BTreeMap<String, Vec<u8>>) -> Result<Imported, SheetErrors> {
    let catalogue = Catalogue::load();
    let mut errors = Vec::new();
    let mut known: Vec<String> = vec![ICS.to_owned(), CONDITIONS.to_owned(), EMPTY.to_owned()];
    known.extend(catalogue.tables().iter().map(file_of));
    for name in files.keys().filter(|n| !known.contains(n)) {
        let valid = nearest(name, known.iter().map(String::as_str), 3).join(", ");
        errors.push(whole(name, "", "no file of a dossier".to_owned(), valid));
    }
    let ics_text = ics_text(catalogue, files, &mut errors);
    let ixit_text = ixit_text(catalogue, files, &mut errors);
    if errors.is_empty() {
        // What was made must be what reading takes; each row was read by itself before, so this tells of rows together.
        let made = |name: &str, text: &str| NamedText { name: name.to_owned(), text: text.to_owned() };
        let ics_errors = ics::parse(&made("ics.toml", &ics_text)).err();
        let ixit_errors = ixit::parse(&made("ixit.toml", &ixit_text)).err();
        for e in ics_errors.into_iter().chain(ixit_errors).flatten() {
            errors.push(whole(&e.file, "", format!("what was made of the tables cannot be read: {e}"), "see the message".to_owned()));
        }
    }
    if errors.is_empty() { Ok(Imported { ics: ics_text, ixit: ixit_text }) } else { Err(SheetErrors(errors)) }
}

fn whole(file: &str, table: &str, problem: String, valid: String) -> SheetError {
    SheetError { file: file.to_owned(), line: 1, table: table.to_owned(), row: String::new(), field: String::new(), problem, valid }
}

/// A file as rows of cells by column name, each with its line.
struct Sheet {
    file: String,
    table: String,
    rows: Vec<(u64, BTreeMap<String, String>)>,
}

impl Sheet {
    fn error(&self, line: u64, row: &str, field: &str, problem: impl Into<String>, valid: impl Into<String>) -> SheetError {
        let own = |s: &str| s.to_owned();
        SheetError {
            file: own(&self.file),
            line,
            table: own(&self.table),
            row: own(row),
            field: own(field),
            problem: problem.into(),
            valid: valid.into(),
        }
    }
}

/// Reads one file. `needed` columns must be there, `others` may; anything else is a mistake.
fn sheet(files: &BTreeMap<String, Vec<u8>>, file: &str, table: &str, needed: &[&str], others: &[&str], errors: &mut Vec<SheetError>) -> Sheet {
    let mut out = Sheet { file: file.to_owned(), table: table.to_owned(), rows: Vec::new() };
    let Some(bytes) = files.get(file) else {
        errors.push(whole(file, table, "the file is missing".to_owned(), "all files of an export; an empty table keeps its first line".to_owned()));
        return out;
    };
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => {
            let line = bytes[..e.valid_up_to()].iter().filter(|b| **b == b'\n').count() as u64 + 1;
            errors.push(out.error(line, "", "", "bytes that are no UTF-8", "UTF-8 (in Excel: CSV UTF-8)"));
            return out;
        }
    };
    let first = text.lines().next().unwrap_or_default();
    let delimiter = if !first.contains(',') && first.contains(';') { b';' } else { b',' };
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).from_reader(text.as_bytes());
    let mut columns: Vec<String> = Vec::new();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(e) => {
                let line = line_at(text, e.position());
                errors.push(out.error(line, "", "", e.to_string(), format!("{} cells in each row, as in the first line", columns.len())));
                return out;
            }
        };
        let line = line_at(text, record.position());
        if columns.is_empty() {
            columns = record.iter().map(|c| c.trim().to_owned()).collect();
            for (i, name) in columns.iter().enumerate() {
                let valid = || needed.iter().chain(others).copied().collect::<Vec<_>>().join(", ");
                if !needed.contains(&name.as_str()) && !others.contains(&name.as_str()) {
                    errors.push(out.error(line, "", name, "unknown column", valid()));
                } else if columns[..i].contains(name) {
                    errors.push(out.error(line, "", name, "the column is there twice", valid()));
                }
            }
            for name in needed.iter().filter(|n| !columns.iter().any(|c| c == *n)) {
                errors.push(out.error(line, "", name, "the column is missing", needed.join(", ")));
            }
            continue;
        }
        // Spreadsheets leave rows of nothing behind.
        if record.iter().any(|c| !c.trim().is_empty()) {
            out.rows.push((line, columns.iter().cloned().zip(record.iter().map(str::to_owned)).collect()));
        }
    }
    if columns.is_empty() {
        errors.push(out.error(1, "", "", "the file has no first line", needed.join(", ")));
    }
    out
}

/// The line on which a record begins. A position may still be before the line end of the record before it.
fn line_at(text: &str, position: Option<&csv::Position>) -> u64 {
    let byte = position.map_or(0, |p| usize::try_from(p.byte()).unwrap_or(usize::MAX)).min(text.len());
    let (before, rest) = text.as_bytes().split_at(byte);
    let ends = rest.iter().take_while(|b| matches!(b, b'\r' | b'\n'));
    before.iter().chain(ends).filter(|b| **b == b'\n').count() as u64 + 1
}

fn at(row: &BTreeMap<String, String>, column: &str) -> Option<String> {
    row.get(column).and_then(|c| cell::read(c))
}

/// A TOML text on one line.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn ics_text(catalogue: &Catalogue, files: &BTreeMap<String, Vec<u8>>, errors: &mut Vec<SheetError>) -> String {
    let mut out = String::from("# The implementation conformance statement: one row per provision.\nformat = 1\n");
    let sheet_ics = sheet(files, ICS, "ICS", &["Provision", "Support", "Detail"], &["Status", "What it asks"], errors);
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for (line, row) in &sheet_ics.rows {
        let id = at(row, "Provision").unwrap_or_default().trim().to_owned();
        let support = at(row, "Support").unwrap_or_default().trim().to_owned();
        let detail = at(row, "Detail").unwrap_or_default();
        if !catalogue.provisions().iter().any(|p| p.id.as_str() == id) {
            let valid = nearest(&id, catalogue.provisions().iter().map(|p| p.id.as_str()), 4).join(", ");
            errors.push(sheet_ics.error(*line, &id, "Provision", format!("`{id}`: unknown provision"), valid));
            continue;
        }
        if let Some(first) = seen.insert(id.clone(), *line) {
            errors.push(sheet_ics.error(
                *line,
                &id,
                "Provision",
                format!("the provision has a row already, in line {first}"),
                "one row per provision",
            ));
            continue;
        }
        match support.as_str() {
            "" if detail.is_empty() => continue,
            "Y" | "N" | "N/A" => {}
            other => {
                let problem = if other.is_empty() { "a detail without an answer".to_owned() } else { format!("`{other}`: no answer of the form") };
                errors.push(sheet_ics.error(*line, &id, "Support", problem, "Y, N, N/A"));
                continue;
            }
        }
        let _ = write!(out, "\n[[provision]]\nid = {}\nsupport = {}\n", quoted(&id), quoted(&support));
        if !detail.is_empty() {
            let _ = writeln!(out, "detail = {}", quoted(&detail));
        }
    }
    let conditions = sheet(files, CONDITIONS, "ICS conditions", &["Number", "Holds", "Detail"], &["Condition"], errors);
    let mut seen: BTreeMap<u8, u64> = BTreeMap::new();
    for (line, row) in &conditions.rows {
        let number = at(row, "Number").unwrap_or_default().trim().to_owned();
        let detail = at(row, "Detail").unwrap_or_default();
        let Some(n) = number.parse().ok().filter(|n| catalogue.condition(Method::Ts103701, *n).is_some()) else {
            errors.push(conditions.error(*line, &number, "Number", format!("`{number}`: no number of a condition"), "1 to 28"));
            continue;
        };
        if let Some(first) = seen.insert(n, *line) {
            errors.push(conditions.error(
                *line,
                &number,
                "Number",
                format!("the condition is declared already, in line {first}"),
                "one row per condition",
            ));
            continue;
        }
        let holds = match at(row, "Holds").unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "yes" | "true" => true,
            "no" | "false" => false,
            "" if detail.is_empty() => continue,
            other => {
                let problem = if other.is_empty() { "a detail without an answer".to_owned() } else { format!("`{other}` says neither yes nor no") };
                errors.push(conditions.error(*line, &number, "Holds", problem, "yes, no, or nothing"));
                continue;
            }
        };
        let _ = write!(out, "\n[[condition]]\nnumber = {n}\nholds = {holds}\n");
        if !detail.is_empty() {
            let _ = writeln!(out, "detail = {}", quoted(&detail));
        }
    }
    out
}

fn ixit_text(catalogue: &Catalogue, files: &BTreeMap<String, Vec<u8>>, errors: &mut Vec<SheetError>) -> String {
    let mut out = String::from("# The 29 IXIT tables: prose and, where a rig can act on a row, its machine binding.\nformat = 1\n");
    for table in catalogue.tables() {
        if table.has_rows { rows(table, files, &mut out, errors) } else { list(table, files, &mut out, errors) }
    }
    let empty = sheet(files, EMPTY, "empty tables", &["Table", "Because"], &[], errors);
    for (line, row) in &empty.rows {
        let (name, because) = (at(row, "Table").unwrap_or_default(), at(row, "Because").unwrap_or_default());
        if catalogue.table_named(name.trim()).is_none_or(|t| !t.has_rows) {
            let valid = nearest(&name, catalogue.tables().iter().filter(|t| t.has_rows).map(|t| t.name.as_str()), 4).join(", ");
            errors.push(empty.error(*line, &name, "Table", format!("`{name}`: no IXIT table with rows"), valid));
        } else if because.trim().is_empty() {
            errors.push(empty.error(*line, &name, "Because", "an empty table needs a reason", "a sentence that says why there is none"));
        } else {
            let _ = write!(out, "\n[[empty]]\ntable = {}\nbecause = {}\n", quoted(name.trim()), quoted(&because));
        }
    }
    out
}

fn list(table: &Table, files: &BTreeMap<String, Vec<u8>>, out: &mut String, errors: &mut Vec<SheetError>) {
    let sheet = sheet(files, &file_of(table), &format!("{}-{}", table.number, table.name), &["Field", "Answer"], &["What belongs into it"], errors);
    let mut answers = String::new();
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    for (line, row) in &sheet.rows {
        let name = at(row, "Field").unwrap_or_default();
        let Some(field) = table.fields.iter().find(|f| f.name == name.trim()) else {
            let valid = nearest(&name, table.fields.iter().map(|f| f.name.as_str()), 4).join(", ");
            errors.push(sheet.error(*line, "", &name, format!("`{name}`: no field of the table"), valid));
            continue;
        };
        if let Some(first) = seen.insert(&field.key, *line) {
            errors.push(sheet.error(*line, "", &name, format!("the field is answered already, in line {first}"), "one row per field"));
            continue;
        }
        if let Some(answer) = at(row, "Answer") {
            let _ = writeln!(answers, "{} = {}", field.key, quoted(&answer));
        }
    }
    if !answers.is_empty() {
        let _ = write!(out, "\n[{}]\n{answers}", table.name);
    }
}

fn rows(table: &Table, files: &BTreeMap<String, Vec<u8>>, out: &mut String, errors: &mut Vec<SheetError>) {
    let mut needed: Vec<&str> = vec!["ID"];
    needed.extend(table.fields.iter().map(|f| f.name.as_str()));
    let sheet = sheet(files, &file_of(table), &format!("{}-{}", table.number, table.name), &needed, &[BINDING], errors);
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for (line, row) in &sheet.rows {
        let id = at(row, "ID").unwrap_or_default();
        if let Some(first) = seen.insert(id.clone(), *line) {
            errors.push(sheet.error(*line, &id, "ID", format!("the table has a row of this id already, in line {first}"), "an id of its own"));
            continue;
        }
        let mut text = format!("\n[[{}]]\nid = {}\n", table.name, quoted(&id));
        for field in &table.fields {
            if let Some(answer) = at(row, &field.name) {
                let _ = writeln!(text, "{} = {}", field.key, quoted(&answer));
            }
        }
        if let Some(bind) = at(row, BINDING) {
            match binding(table, &bind) {
                Ok(bound) => text.push_str(&bound),
                Err(why) => {
                    errors.push(sheet.error(*line, &id, BINDING, why, "a TOML table on one line: { key = \"value\" }"));
                    continue;
                }
            }
        }
        // The row by itself, so that what is wrong with it is told with its row and not with a line that nobody wrote.
        let alone = NamedText { name: sheet.file.clone(), text: format!("format = 1\n{text}") };
        match ixit::parse(&alone) {
            Ok(_) => out.push_str(&text),
            Err(found) => errors.extend(found.into_iter().map(|e| {
                let field = if text_line(&alone.text, e.line).starts_with("id =") { "ID" } else { BINDING };
                let shown = if e.found.is_empty() { String::new() } else { format!("`{}`: ", e.found) };
                let valid = if e.valid.is_empty() { "see docs/dossier.md".to_owned() } else { e.valid.join(", ") };
                sheet.error(*line, &id, field, format!("{shown}{}", e.problem), valid)
            })),
        }
    }
}

fn text_line(text: &str, line: usize) -> &str {
    text.lines().nth(line.saturating_sub(1)).unwrap_or_default()
}

/// A binding as the tables under its row: `[UpdMech.bind]` and what is below it.
fn binding(table: &Table, text: &str) -> Result<String, String> {
    let whole: toml::Table = format!("bind = {text}").parse().map_err(|e: toml::de::Error| format!("no TOML: {}", e.message().trim_end()))?;
    let row: toml::Value = whole.into();
    let under: toml::Table = [(table.name.clone(), toml::Value::Array(vec![row]))].into_iter().collect();
    let text = toml::to_string(&under).map_err(|e| format!("no TOML that can be written: {e}"))?;
    // The row's own header stands already.
    let head = format!("[[{}]]\n", table.name);
    Ok(text.replacen(&head, "", 1).trim_start_matches('\n').to_owned())
}
