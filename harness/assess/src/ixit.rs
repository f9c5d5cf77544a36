//! Completeness of the IXIT: only what claimed provisions need must be filled, and that can be computed exactly.

use proofbench_model::ProvisionId;
use proofbench_model::catalogue::Catalogue;
use proofbench_model::dossier::Dossier;
use std::fmt;

/// Something that a claimed provision needs and the IXIT lacks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct IxitFinding {
    /// The claimed provision.
    pub provision: ProvisionId,
    /// The table's number.
    pub table: u8,
    /// The table's name.
    pub name: String,
    /// The row; none if the whole table is missing.
    pub row: Option<String>,
    /// The field; none if the whole table is missing.
    pub field: Option<String>,
}

impl fmt::Display for IxitFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} needs {}-{}", self.provision, self.table, self.name)?;
        match (&self.row, &self.field) {
            (Some(row), Some(field)) => write!(f, ": row {row} lacks `{field}`"),
            _ => f.write_str(": no row and no statement that it is empty"),
        }
    }
}

/// Cells whose emptiness means something: they must be there, but may be empty.
const MEANINGFUL_WHEN_EMPTY: [(u8, &str); 5] = [
    (6, "update-mechanism"),          // not updatable
    (10, "communication-mechanisms"), // never sent
    (13, "authentication-mechanism"), // open to everybody: the conceptual unit judges that
    (21, "communication-mechanisms"), // never sent
    (24, "personal-data"),            // none in this telemetry
];

/// What the claimed provisions lack, in the order of the standard.
pub fn completeness(catalogue: &Catalogue, dossier: &Dossier) -> Vec<IxitFinding> {
    let mut out = Vec::new();
    for provision in catalogue.provisions().iter().filter(|p| dossier.ics.claims(&p.id)) {
        let mut last_missing = 0;
        for need in catalogue.needed_fields(&provision.id) {
            let name = catalogue.table(need.table).map(|t| t.name.clone()).unwrap_or_default();
            let rows = dossier.ixit.rows(need.table);
            let finding = |row, field| IxitFinding { provision: provision.id.clone(), table: need.table, name: name.clone(), row, field };
            if rows.is_empty() {
                if dossier.ixit.declared_empty(need.table).is_none() && last_missing != need.table {
                    last_missing = need.table;
                    out.push(finding(None, None));
                }
                continue;
            }
            let may_be_empty = MEANINGFUL_WHEN_EMPTY.contains(&(need.table, need.key.as_str()));
            for row in rows {
                let filled = row.field(&need.key).is_some_and(|text| may_be_empty || !text.trim().is_empty());
                if !filled {
                    out.push(finding(Some(row.id.row.clone()), Some(need.key.clone())));
                }
            }
        }
    }
    out
}
