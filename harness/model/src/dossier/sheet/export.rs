//! Out of a dossier into tables.

use super::super::skeleton::status_words;
use super::super::{Dossier, DossierErrors, DossierFiles};
use super::{BINDING, CONDITIONS, EMPTY, ICS, cell, file_of};
use crate::catalogue::Catalogue;
use crate::verdict::Method;
use std::collections::BTreeMap;

/// Every file below the folder, by name. With `bom` each begins with the byte-order mark that Excel wants before it believes in UTF-8.
///
/// `device.toml` is not among them: it holds the secret of the sample.
pub fn export(files: &DossierFiles, bom: bool) -> Result<BTreeMap<String, Vec<u8>>, DossierErrors> {
    let dossier = Dossier::parse(files)?;
    let catalogue = Catalogue::load();
    let mut out = BTreeMap::new();
    let mut add = |name: String, rows: Vec<Vec<String>>| {
        out.insert(name, csv(&rows, bom));
    };
    add(ICS.to_owned(), ics(catalogue, &dossier));
    let mut conditions = vec![head(&["Number", "Condition", "Holds", "Detail"])];
    for c in catalogue.conditions(Method::Ts103701) {
        let declared = dossier.ics.condition(c.number);
        let holds = declared.map_or("", |d| if d.holds { "yes" } else { "no" }).to_owned();
        conditions.push(vec![
            c.number.to_string(),
            c.text.clone(),
            holds,
            cell::write(declared.map(|d| d.detail.as_str()).filter(|d| !d.is_empty())),
        ]);
    }
    add(CONDITIONS.to_owned(), conditions);
    let bindings = bindings(&files.ixit.text);
    for table in catalogue.tables() {
        let rows = dossier.ixit.rows(table.number);
        if !table.has_rows {
            let mut lines = vec![head(&["Field", "Answer", "What belongs into it"])];
            for field in &table.fields {
                lines.push(vec![field.name.clone(), cell::write(rows.first().and_then(|r| r.field(&field.key))), field.meaning.clone()]);
            }
            add(file_of(table), lines);
            continue;
        }
        let mut first = vec!["ID".to_owned()];
        first.extend(table.fields.iter().map(|f| f.name.clone()));
        first.push(BINDING.to_owned());
        let mut lines = vec![first];
        for row in rows {
            let mut line = vec![cell::write(Some(&row.id.row))];
            line.extend(table.fields.iter().map(|f| cell::write(row.field(&f.key))));
            line.push(cell::write(bindings.get(&(table.name.clone(), row.id.row.clone())).map(String::as_str)));
            lines.push(line);
        }
        add(file_of(table), lines);
    }
    let mut empty = vec![head(&["Table", "Because"])];
    for table in catalogue.tables() {
        empty.extend(dossier.ixit.declared_empty(table.number).map(|e| vec![table.name.clone(), cell::write(Some(&e.because))]));
    }
    add(EMPTY.to_owned(), empty);
    Ok(out)
}

fn head(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

/// One row per provision, those that the ICS has no row for included.
fn ics(catalogue: &Catalogue, dossier: &Dossier) -> Vec<Vec<String>> {
    let mut out = vec![head(&["Provision", "Status", "Support", "Detail", "What it asks"])];
    for p in catalogue.provisions() {
        let status = p.status(Method::Ts103701);
        let row = dossier.ics.row(&p.id);
        let support = row.map_or("", |r| r.support.as_str()).to_owned();
        let detail = cell::write(row.map(|r| r.detail.as_str()).filter(|d| !d.is_empty()));
        let texts = status.conditions.iter().filter_map(|n| catalogue.condition(Method::Ts103701, *n)).map(|c| format!("; {}: {}", c.number, c.text));
        let words = status_words(status) + &texts.collect::<String>();
        out.push(vec![p.id.to_string(), words, support, detail, p.summary.clone()]);
    }
    out
}

/// The binding of each row as TOML that stands on one line; by table and row.
fn bindings(ixit: &str) -> BTreeMap<(String, String), String> {
    let mut out = BTreeMap::new();
    // The text was read before: what is not as expected here has no binding.
    let Ok(root) = ixit.parse::<toml::Table>() else { return out };
    for (table, rows) in &root {
        for row in rows.as_array().into_iter().flatten().filter_map(toml::Value::as_table) {
            if let (Some(id), Some(bind)) = (row.get("id").and_then(toml::Value::as_str), row.get("bind")) {
                out.insert((table.clone(), id.to_owned()), bind.to_string());
            }
        }
    }
    out
}

fn csv(rows: &[Vec<String>], bom: bool) -> Vec<u8> {
    let mut out =
        csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(if bom { "\u{feff}".as_bytes().to_vec() } else { Vec::new() });
    for row in rows {
        // Rows of one file have one length and go into memory: there is nothing that could fail.
        out.write_record(row).expect("rows of one length into memory");
    }
    out.into_inner().expect("memory takes everything")
}
