//! The standard as data: provisions, test groups, cases, units, IXIT tables, conditions and both status tables.
//!
//! The two data files are part of the program and are parsed once; a test pins their counts.

use crate::ids::{CaseId, ProvisionId, UnitId};
use crate::verdict::Method;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::OnceLock;

mod needed;

/// The text of the provisions file, for digests in a journal header.
pub const PROVISIONS_TOML: &str = include_str!("../data/provisions.toml");
/// The text of the test-specification file, for digests in a journal header.
pub const TS103701_TOML: &str = include_str!("../data/ts103701.toml");

/// Mandatory or recommended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Obligation {
    /// "shall"
    Mandatory,
    /// "should"
    Recommended,
}

/// One row of a status table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// M or R.
    pub obligation: Obligation,
    /// Whether the letter C stands in the row: N/A is then a possible answer.
    pub conditional: bool,
    /// Numbers of the conditions that must all hold for the provision to apply.
    pub conditions: Vec<u8>,
}

impl Status {
    fn parse(text: &str, conditions: Vec<u8>) -> Self {
        let obligation = if text.starts_with('M') { Obligation::Mandatory } else { Obligation::Recommended };
        Self { obligation, conditional: text.ends_with('C'), conditions }
    }

    /// The row in the spelling of the tables: `M`, `M C (9, 12)`.
    pub fn text(&self) -> String {
        let letter = if self.obligation == Obligation::Mandatory { "M" } else { "R" };
        if !self.conditional {
            return letter.to_owned();
        }
        let numbers: Vec<String> = self.conditions.iter().map(u8::to_string).collect();
        format!("{letter} C ({})", numbers.join(", "))
    }
}

/// A provision of EN 303 645, which is also a test group of TS 103 701.
#[derive(Debug, Clone)]
pub struct Provision {
    /// Its id, in the spelling of TS 103 701 (`6-1`, not `6.1`).
    pub id: ProvisionId,
    /// The clause it stands in: `5.3`.
    pub clause: String,
    /// The clause's title.
    pub title: String,
    /// What it asks, in our words.
    pub summary: String,
    /// Its test cases, in order.
    pub cases: Vec<CaseId>,
    /// What is known of it in the later edition, V3.1.3.
    pub later: Later,
    en: Status,
    assessment: Status,
}

/// A provision in EN 303 645 V3.1.3, as far as our sources say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Later {
    /// Ids with status, as the table prints them; more than one where the provision was split: `5.3-6A R F (h)`.
    pub rows: Vec<String>,
    /// What changed, in our words.
    pub change: String,
    /// What two independent sources agree on: `status and wording`, `status only`.
    pub verified: String,
}

impl Later {
    /// Whether it stands in the later edition under one id, with status and wording verified.
    pub fn is_verified(&self) -> bool {
        self.rows.len() == 1 && self.verified == "status and wording"
    }
}

/// A provision that the later edition has and V2.1.1 has not.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct NewProvision {
    /// Its id there.
    pub id: String,
    /// Its status there.
    pub status: String,
    /// What it asks, in our words.
    pub summary: String,
}

impl Provision {
    /// Its row in the status table that the method uses.
    pub fn status(&self, method: Method) -> &Status {
        match method {
            Method::Ts103701 => &self.assessment,
            Method::EnAnnexB => &self.en,
        }
    }
}

/// How a case is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// By reading and judging.
    Conceptual,
    /// By trying it on the device.
    Functional,
    /// Some units by reading, some by trying (5.3-10-1 only).
    Mixed,
}

/// A test case of TS 103 701.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its id.
    pub id: CaseId,
    /// How it is answered.
    pub kind: Kind,
    /// Letters of its units.
    pub units: Vec<char>,
    /// Numbers of the IXIT tables it reads.
    pub tables: Vec<u8>,
    /// Cases whose units it applies again.
    pub reuses: Vec<CaseId>,
    /// What it does, in our words.
    pub does: String,
}

impl Case {
    /// The ids of its units.
    pub fn unit_ids(&self) -> impl Iterator<Item = UnitId> + '_ {
        self.units.iter().map(|&letter| UnitId { case: self.id.clone(), letter })
    }
}

/// One of the 29 IXIT tables.
#[derive(Debug, Clone)]
pub struct Table {
    /// 1 to 29.
    pub number: u8,
    /// `AuthMech`.
    pub name: String,
    /// Its title.
    pub title: String,
    /// Its fields without the ID column.
    pub fields: Vec<Field>,
    /// Whether it consists of rows with ids; tables 2, 4 and 9 are one list of fields.
    pub has_rows: bool,
}

/// A column of an IXIT table.
#[derive(Debug, Clone)]
pub struct Field {
    /// The column's name in the form: `Brute Force Prevention`.
    pub name: String,
    /// Its key in `ixit.toml`: `brute-force-prevention`.
    pub key: String,
    /// What belongs into it.
    pub meaning: String,
}

/// A numbered condition of a status table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Its number.
    pub number: u8,
    /// What must hold.
    pub text: String,
    /// The observation that contradicts its absence, in words.
    pub contradicted_by: Option<String>,
}

/// A field of an IXIT table that a claimed provision needs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Need {
    /// Table number.
    pub table: u8,
    /// Field keys.
    pub key: String,
}

/// A unit that applies another unit again, to fewer rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The unit that refers.
    pub unit: UnitId,
    /// The units whose instances it takes.
    pub to: Vec<UnitId>,
    /// Which of their rows count.
    pub restriction: Restriction,
}

/// Which rows of the referenced table a reference unit takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restriction {
    /// Rows of table 11 named under `communication-mechanisms` of table 10.
    ComMechOfSecParams,
    /// Rows of table 11 named under `communication-mechanisms` of table 21.
    ComMechOfPersData,
    /// Rows of table 11 named under `communication-mechanisms` of table 21 rows that are sensitive.
    ComMechOfSensitiveData,
    /// Rows of table 13 that allow configuration.
    ConfigurationServices,
    /// Rows of table 7 named under `update-mechanism` of table 6.
    UpdMechOfComponents,
    /// All rows of table 7.
    AllUpdMech,
}

/// Everything.
#[derive(Debug)]
pub struct Catalogue {
    provisions: Vec<Provision>,
    cases: Vec<Case>,
    tables: Vec<Table>,
    en_conditions: Vec<Condition>,
    assessment_conditions: Vec<Condition>,
    references: Vec<Reference>,
    later: Vec<NewProvision>,
    by_provision: BTreeMap<ProvisionId, usize>,
    by_case: BTreeMap<CaseId, usize>,
}

impl Catalogue {
    /// The catalogue. Parsed on first use.
    pub fn load() -> &'static Catalogue {
        static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
        CATALOGUE.get_or_init(|| Catalogue::parse(PROVISIONS_TOML, TS103701_TOML).expect("the catalogue that is part of the program parses"))
    }

    fn parse(provisions: &str, specification: &str) -> Result<Self, String> {
        let p: ProvisionFile = toml::from_str(provisions).map_err(|e| format!("provisions.toml: {e}"))?;
        let t: SpecificationFile = toml::from_str(specification).map_err(|e| format!("ts103701.toml: {e}"))?;
        let bad = |e: crate::BadId| e.to_string();
        let mut cases = Vec::new();
        let mut cases_of: BTreeMap<String, Vec<CaseId>> = BTreeMap::new();
        for group in &t.test_group {
            // The group is named after the provision in the spelling of TS 103 701 (`6-1`); its `provision` has that of EN 303 645 (`6.1`).
            let provision = bare(&group.id);
            for case in &group.case {
                let id: CaseId = bare(&case.id).parse().map_err(bad)?;
                cases_of.entry(provision.to_owned()).or_default().push(id.clone());
                cases.push(Case {
                    id,
                    kind: match case.kind.as_str() {
                        "conceptual" => Kind::Conceptual,
                        "functional" => Kind::Functional,
                        "conceptual/functional" => Kind::Mixed,
                        other => return Err(format!("{}: unknown kind `{other}`", case.id)),
                    },
                    units: case.units.iter().filter_map(|u| u.chars().next()).collect(),
                    tables: case.ixit.iter().map(|x| table_number(x)).collect::<Result<_, _>>()?,
                    reuses: case.reuses.iter().map(|r| bare(r).parse().map_err(bad)).collect::<Result<_, _>>()?,
                    does: case.does.clone(),
                });
            }
        }
        let mut list = Vec::new();
        for row in p.provision {
            let id = row.ts103701_id.unwrap_or(row.id);
            list.push(Provision {
                cases: cases_of.remove(&id).ok_or_else(|| format!("{id} has no test group"))?,
                id: id.parse().map_err(bad)?,
                clause: row.clause,
                title: row.title,
                summary: row.summary,
                later: Later {
                    rows: row.v3_1_3_status.split(';').map(|r| r.trim().to_owned()).filter(|r| !r.is_empty()).collect(),
                    change: row.v3_1_3,
                    verified: row.v3_verified,
                },
                en: Status::parse(&row.status, row.conditions),
                assessment: Status::parse(&row.assessment_status, row.assessment_conditions),
            });
        }
        let tables = t
            .ixit
            .into_iter()
            .map(|x| Table {
                number: x.number,
                has_rows: x.fields.iter().any(|f| f.name == "ID"),
                fields: x
                    .fields
                    .into_iter()
                    .filter(|f| f.name != "ID")
                    .map(|f| Field { key: field_key(&f.name), name: f.name, meaning: f.meaning })
                    .collect(),
                name: x.name,
                title: x.title,
            })
            .collect();
        Ok(Self {
            by_provision: list.iter().enumerate().map(|(i, p)| (p.id.clone(), i)).collect(),
            by_case: cases.iter().enumerate().map(|(i, c)| (c.id.clone(), i)).collect(),
            provisions: list,
            cases,
            tables,
            en_conditions: p.condition.into_iter().map(Into::into).collect(),
            assessment_conditions: p.assessment_condition.into_iter().map(Into::into).collect(),
            references: references()?,
            later: p.v3_new_provision,
        })
    }

    /// The 68 provisions (and test groups), in the order of the standard.
    pub fn provisions(&self) -> &[Provision] {
        &self.provisions
    }

    /// The 109 cases.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// The 29 IXIT tables.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// The 226 units.
    pub fn units(&self) -> impl Iterator<Item = UnitId> + '_ {
        self.cases.iter().flat_map(Case::unit_ids)
    }

    /// The conditions of the status table that the method uses.
    pub fn conditions(&self, method: Method) -> &[Condition] {
        match method {
            Method::Ts103701 => &self.assessment_conditions,
            Method::EnAnnexB => &self.en_conditions,
        }
    }

    /// A condition by number.
    pub fn condition(&self, method: Method, number: u8) -> Option<&Condition> {
        self.conditions(method).iter().find(|c| c.number == number)
    }

    /// Provisions that V3.1.3 has and V2.1.1 has not.
    pub fn later_only(&self) -> &[NewProvision] {
        &self.later
    }

    /// A provision by id.
    pub fn provision(&self, id: &ProvisionId) -> Option<&Provision> {
        self.by_provision.get(id).map(|&i| &self.provisions[i])
    }

    /// A case by id.
    pub fn case(&self, id: &CaseId) -> Option<&Case> {
        self.by_case.get(id).map(|&i| &self.cases[i])
    }

    /// Whether the unit exists.
    pub fn has_unit(&self, unit: &UnitId) -> bool {
        self.case(&unit.case).is_some_and(|c| c.units.contains(&unit.letter))
    }

    /// How a unit is answered. In the one mixed case, 5.3-10-1, only unit c is tried on the device.
    pub fn unit_kind(&self, unit: &UnitId) -> Kind {
        match self.case(&unit.case).map(|c| c.kind) {
            Some(Kind::Functional) => Kind::Functional,
            Some(Kind::Mixed) if unit.letter == 'c' => Kind::Functional,
            _ => Kind::Conceptual,
        }
    }

    /// A table by number.
    pub fn table(&self, number: u8) -> Option<&Table> {
        self.tables.iter().find(|t| t.number == number)
    }

    /// A table by name: `AuthMech`.
    pub fn table_named(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|t| t.name == name)
    }

    /// The reference that a unit makes, if it is one of the reference units.
    pub fn reference(&self, unit: &UnitId) -> Option<&Reference> {
        self.references.iter().find(|r| &r.unit == unit)
    }

    /// All reference units.
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// The IXIT fields that must be filled for a claimed provision: TS Annex B joined with the fields that its units name.
    pub fn needed_fields(&self, provision: &ProvisionId) -> Vec<Need> {
        needed::needed(self, provision)
    }
}

/// `Brute Force Prevention` becomes `brute-force-prevention`.
pub fn field_key(name: &str) -> String {
    let words: Vec<String> = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_ascii_lowercase).collect();
    words.join("-")
}

/// `Test case 5.3-2-2` becomes `5.3-2-2`.
fn bare(id: &str) -> &str {
    id.rsplit(' ').next().unwrap_or(id)
}

/// `IXIT 7-UpdMech` becomes 7.
fn table_number(id: &str) -> Result<u8, String> {
    bare(id).split('-').next().and_then(|n| n.parse().ok()).ok_or_else(|| format!("`{id}` names no IXIT table"))
}

/// The reference units of the assessment rules (2.2, rule 4). Which rows count is not in the data files.
fn references() -> Result<Vec<Reference>, String> {
    use Restriction::*;
    let list: [(&str, &[&str], Restriction); 7] = [
        ("5.3-1-2 a", &["5.3-2-2 a", "5.3-2-2 b"], UpdMechOfComponents),
        ("5.3-10-1 a", &["5.3-9-1 a", "5.3-9-1 b"], AllUpdMech),
        ("5.5-5-2 a", &["5.5-4-2 a", "5.5-4-2 b", "5.5-4-2 c"], ConfigurationServices),
        ("5.5-6-2 a", &["5.5-1-2 a"], ComMechOfSecParams),
        ("5.5-7-2 a", &["5.5-1-2 a"], ComMechOfSecParams),
        ("5.8-1-2 a", &["5.5-1-2 a"], ComMechOfPersData),
        ("5.8-2-2 a", &["5.5-1-2 a"], ComMechOfSensitiveData),
    ];
    list.iter()
        .map(|(unit, to, restriction)| {
            Ok(Reference {
                unit: unit.parse().map_err(|e: crate::BadId| e.to_string())?,
                to: to.iter().map(|t| t.parse().map_err(|e: crate::BadId| e.to_string())).collect::<Result<_, _>>()?,
                restriction: *restriction,
            })
        })
        .collect()
}

#[derive(Deserialize)]
struct ProvisionFile {
    provision: Vec<ProvisionRow>,
    condition: Vec<ConditionRow>,
    v3_new_provision: Vec<NewProvision>,
    assessment_condition: Vec<ConditionRow>,
}

#[derive(Deserialize)]
struct ProvisionRow {
    id: String,
    ts103701_id: Option<String>,
    clause: String,
    title: String,
    summary: String,
    status: String,
    conditions: Vec<u8>,
    assessment_status: String,
    assessment_conditions: Vec<u8>,
    v3_1_3_status: String,
    v3_1_3: String,
    v3_verified: String,
}

#[derive(Deserialize)]
struct ConditionRow {
    number: u8,
    text: String,
    contradicted_by: Option<String>,
}

impl From<ConditionRow> for Condition {
    fn from(row: ConditionRow) -> Self {
        Self { number: row.number, text: row.text, contradicted_by: row.contradicted_by }
    }
}

#[derive(Deserialize)]
struct SpecificationFile {
    ixit: Vec<IxitRow>,
    test_group: Vec<GroupRow>,
}

#[derive(Deserialize)]
struct IxitRow {
    number: u8,
    name: String,
    title: String,
    fields: Vec<FieldRow>,
}

#[derive(Deserialize)]
struct FieldRow {
    name: String,
    meaning: String,
}

#[derive(Deserialize)]
struct GroupRow {
    id: String,
    case: Vec<CaseRow>,
}

#[derive(Deserialize)]
struct CaseRow {
    id: String,
    kind: String,
    units: Vec<String>,
    ixit: Vec<String>,
    #[serde(default)]
    reuses: Vec<String>,
    does: String,
}
