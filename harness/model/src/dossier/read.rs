//! Walking a TOML text with positions: one error per mistake, not one per file.

use super::NamedText;
use super::error::{DossierError, nearest};
use serde::de::DeserializeOwned;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A file being read, and the mistakes found so far.
pub(super) struct Reader<'f> {
    file: &'f NamedText,
    pub(super) errors: Vec<DossierError>,
}

impl<'f> Reader<'f> {
    pub(super) fn new(file: &'f NamedText) -> Self {
        Self { file, errors: Vec::new() }
    }

    /// The whole file as a table, or nothing and the parser's errors.
    pub(super) fn root(&mut self) -> Option<DeTable<'f>> {
        match DeTable::parse(&self.file.text) {
            Ok(table) => Some(table.into_inner()),
            Err(e) => {
                self.toml_error(&e);
                None
            }
        }
    }

    /// A mistake at a place.
    pub(super) fn error(&mut self, span: Range<usize>, found: &str, problem: impl Into<String>, valid: Vec<String>) {
        let (line, column) = position(&self.file.text, span.start);
        self.errors.push(DossierError { file: self.file.name.clone(), line, column, found: found.to_owned(), problem: problem.into(), valid });
    }

    fn toml_error(&mut self, e: &toml::de::Error) {
        let span = e.span().unwrap_or(0..0);
        let text = self.file.text.get(span.clone()).unwrap_or_default();
        // The span of a missing key is the whole table: its first line is enough to recognise it.
        let found: String = text.lines().next().unwrap_or_default().chars().take(60).collect();
        self.error(span, found.trim(), e.message().trim_end(), Vec::new());
    }

    /// Line number of an offset.
    pub(super) fn line(&self, offset: usize) -> usize {
        position(&self.file.text, offset).0
    }

    /// Refuses every key that is not in `valid`, naming the nearest.
    pub(super) fn only_keys(&mut self, table: &DeTable<'_>, valid: &[&str]) {
        let keys: Vec<_> = table.keys().map(|k| (k.span(), k.get_ref().to_string())).collect();
        for (span, key) in keys {
            if !valid.contains(&key.as_str()) {
                let shown = if valid.len() > 8 { nearest(&key, valid.iter().copied(), 4) } else { own(valid) };
                self.error(span, &key, "unknown key", shown);
            }
        }
    }

    /// The value of a key, or an error at `at` that it is missing.
    pub(super) fn required<'t, 'i>(&mut self, table: &'t DeTable<'i>, at: Range<usize>, key: &str, what: &str) -> Option<&'t Spanned<DeValue<'i>>> {
        let value = table.get(key);
        if value.is_none() {
            self.error(at, "", format!("{what} lacks the key `{key}`"), Vec::new());
        }
        value
    }

    /// A text.
    pub(super) fn text(&mut self, value: &Spanned<DeValue<'_>>, what: &str) -> Option<String> {
        match value.get_ref().as_str() {
            Some(text) => Some(text.to_owned()),
            None => {
                self.wrong_type(value, what, "a text in quotes");
                None
            }
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, value: &Spanned<DeValue<'_>>, what: &str) -> Option<bool> {
        match value.get_ref().as_bool() {
            Some(b) => Some(b),
            None => {
                self.wrong_type(value, what, "true or false");
                None
            }
        }
    }

    /// A table.
    pub(super) fn table<'t, 'i>(&mut self, value: &'t Spanned<DeValue<'i>>, what: &str) -> Option<&'t DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(value, what, "a table");
        }
        table
    }

    /// An array of tables, as `[[name]]` makes it.
    pub(super) fn tables<'t, 'i>(&mut self, value: &'t Spanned<DeValue<'i>>, what: &str) -> Vec<(Range<usize>, &'t DeTable<'i>)> {
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(value, what, &format!("[[{what}]] tables"));
            return Vec::new();
        };
        array.iter().filter_map(|item| self.table(item, what).map(|t| (item.span(), t))).collect()
    }

    /// `format = 1`, in the files that need it.
    pub(super) fn format(&mut self, table: &DeTable<'_>) {
        let Some(value) = self.required(table, 0..0, "format", "the file") else { return };
        let number = value.get_ref().as_integer().map(|i| i.as_str().to_owned());
        if number.as_deref() != Some("1") {
            let found = number.unwrap_or_else(|| value.get_ref().type_str().to_owned());
            self.error(value.span(), &found, "unknown format of the file", own(&["1"]));
        }
    }

    /// A value through serde; unknown keys and wrong types are told with their place.
    pub(super) fn typed<T: DeserializeOwned>(&mut self, value: &Spanned<DeValue<'_>>) -> Option<T> {
        match T::deserialize(toml::de::ValueDeserializer::from(value.clone())) {
            Ok(out) => Some(out),
            Err(e) => {
                // Some serde errors (an enum's) carry no place; the value's own is near enough.
                if e.span().is_some() {
                    self.toml_error(&e);
                } else {
                    self.error(value.span(), "", e.message().trim_end(), Vec::new());
                }
                None
            }
        }
    }

    fn wrong_type(&mut self, value: &Spanned<DeValue<'_>>, what: &str, valid: &str) {
        let found = self.file.text.get(value.span()).and_then(|t| t.lines().next()).unwrap_or_default().to_owned();
        let problem = format!("`{what}` is of type {}", value.get_ref().type_str());
        self.error(value.span(), &found, problem, vec![valid.to_owned()]);
    }
}

/// Borrowed names as owned ones.
pub(super) fn own(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

/// Line and column, both from 1, of a byte offset.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
