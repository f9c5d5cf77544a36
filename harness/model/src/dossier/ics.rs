//! `ics.toml`: what the supplier claims, provision by provision.

use super::NamedText;
use super::error::{DossierError, nearest};
use super::read::{Reader, own};
use crate::catalogue::Catalogue;
use crate::ids::ProvisionId;
use crate::verdict::Method;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The supplier's answer for one provision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Support {
    /// Claimed.
    #[serde(rename = "Y")]
    Yes,
    /// Not claimed.
    #[serde(rename = "N")]
    No,
    /// Its condition does not hold.
    #[serde(rename = "N/A")]
    NotApplicable,
}

impl Support {
    /// The spelling of the form.
    pub fn as_str(self) -> &'static str {
        match self {
            Support::Yes => "Y",
            Support::No => "N",
            Support::NotApplicable => "N/A",
        }
    }
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One row of the form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IcsRow {
    /// The provision.
    pub provision: ProvisionId,
    /// The answer.
    pub support: Support,
    /// How it is met, or why not; empty if the supplier gave nothing.
    pub detail: String,
    /// Where it stands in the file; 0 for a row made by a program.
    pub line: usize,
}

/// The supplier's explicit word on a condition of the status table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredCondition {
    /// Its number.
    pub number: u8,
    /// Whether it holds.
    pub holds: bool,
    /// Why.
    pub detail: String,
}

/// The implementation conformance statement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ics {
    rows: BTreeMap<ProvisionId, IcsRow>,
    conditions: BTreeMap<u8, DeclaredCondition>,
}

impl Ics {
    /// A statement from rows; a later row for the same provision replaces an earlier one.
    pub fn new(rows: impl IntoIterator<Item = IcsRow>, conditions: impl IntoIterator<Item = DeclaredCondition>) -> Self {
        Self {
            rows: rows.into_iter().map(|r| (r.provision.clone(), r)).collect(),
            conditions: conditions.into_iter().map(|c| (c.number, c)).collect(),
        }
    }

    /// The row of a provision.
    pub fn row(&self, id: &ProvisionId) -> Option<&IcsRow> {
        self.rows.get(id)
    }

    /// The answer for a provision; none if the form has no row for it.
    pub fn support(&self, id: &ProvisionId) -> Option<Support> {
        self.row(id).map(|r| r.support)
    }

    /// Whether the provision is claimed.
    pub fn claims(&self, id: &ProvisionId) -> bool {
        self.support(id) == Some(Support::Yes)
    }

    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = &IcsRow> {
        self.rows.values()
    }

    /// The supplier's word on a condition.
    pub fn condition(&self, number: u8) -> Option<&DeclaredCondition> {
        self.conditions.get(&number)
    }
}

pub(super) fn parse(file: &NamedText) -> Result<Ics, Vec<DossierError>> {
    let catalogue = Catalogue::load();
    let mut reader = Reader::new(file);
    let Some(root) = reader.root() else { return Err(reader.errors) };
    reader.format(&root);
    reader.only_keys(&root, &["format", "provision", "condition"]);
    let mut ics = Ics::default();
    let Some(provisions) = reader.required(&root, 0..0, "provision", "the file") else { return Err(reader.errors) };
    for (span, table) in reader.tables(provisions, "provision") {
        reader.only_keys(table, &["id", "support", "detail"]);
        let id = reader.required(table, span.clone(), "id", "a provision").cloned();
        let support = reader.required(table, span.clone(), "support", "a provision").cloned();
        let detail = table.get("detail").and_then(|v| reader.text(v, "detail")).unwrap_or_default();
        let (Some(id), Some(support)) = (id, support) else { continue };
        let Some(text) = reader.text(&id, "id") else { continue };
        let Some(provision) = catalogue.provisions().iter().find(|p| p.id.as_str() == text) else {
            let valid = nearest(&text, catalogue.provisions().iter().map(|p| p.id.as_str()), 4);
            reader.error(id.span(), &text, "unknown provision", valid);
            continue;
        };
        let answer = match reader.text(&support, "support").as_deref() {
            Some("Y") => Support::Yes,
            Some("N") => Support::No,
            Some("N/A") => Support::NotApplicable,
            Some(other) => {
                reader.error(support.span(), other, "no answer of the form", own(&["Y", "N", "N/A"]));
                continue;
            }
            None => continue,
        };
        let line = reader.line(id.span().start);
        if let Some(first) = ics.rows.get(&provision.id) {
            let problem = format!("the provision has a row already, in line {}", first.line);
            reader.error(id.span(), &text, problem, Vec::new());
            continue;
        }
        ics.rows.insert(provision.id.clone(), IcsRow { provision: provision.id.clone(), support: answer, detail, line });
    }
    if let Some(conditions) = root.get("condition") {
        for (span, table) in reader.tables(conditions, "condition") {
            reader.only_keys(table, &["number", "holds", "detail"]);
            let number = reader.required(table, span.clone(), "number", "a condition").cloned();
            let holds = reader.required(table, span.clone(), "holds", "a condition").cloned().and_then(|v| reader.boolean(&v, "holds"));
            let detail = table.get("detail").and_then(|v| reader.text(v, "detail")).unwrap_or_default();
            let (Some(number), Some(holds)) = (number, holds) else { continue };
            let text = number.get_ref().as_integer().map(|i| i.as_str().to_owned()).unwrap_or_default();
            match text.parse::<u8>().ok().filter(|n| catalogue.condition(Method::Ts103701, *n).is_some()) {
                Some(n) if ics.conditions.contains_key(&n) => {
                    reader.error(number.span(), &text, "the condition is declared already", Vec::new());
                }
                Some(n) => {
                    ics.conditions.insert(n, DeclaredCondition { number: n, holds, detail });
                }
                None => reader.error(number.span(), &text, "no number of a condition", own(&["1 to 28"])),
            }
        }
    }
    if reader.errors.is_empty() { Ok(ics) } else { Err(reader.errors) }
}
