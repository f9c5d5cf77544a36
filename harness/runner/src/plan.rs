//! Catalogue, dossier, rig, checks and a selection become a plan: one fate for every catalogued unit and every check, and the list of answers that the run owes.
//!
//! Nothing that is due vanishes: what the rig or the dossier does not allow stays in the list of answers owed and becomes UNRESOLVED with its reason.

use crate::bench::judged_rows;
use crate::check::{Capability, Check, Permission};
use proofbench_model::catalogue::{Catalogue, Kind};
use proofbench_model::dossier::{Dossier, Support};
use proofbench_model::journal::Due;
use proofbench_model::{CheckId, Claim, Fate, Method, ProvisionId, Reason, RowId, UnitId};
use proofbench_rig::Permissions;
use std::collections::{BTreeMap, BTreeSet};

/// Which checks are to run. Empty lists select everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Names of suites.
    pub suites: Vec<String>,
    /// Provisions; checks that bear on none of them do not run.
    pub provisions: Vec<ProvisionId>,
    /// Patterns over check ids: `*` stands for any text, `?` for one character.
    pub checks: Vec<String>,
    /// Provisions that the profile speaks of. Leaving out the others takes nothing from the claim, which is about these.
    pub scope: Vec<ProvisionId>,
}

impl Selection {
    /// Whether it leaves out nothing of what its profile speaks of.
    pub fn is_whole(&self) -> bool {
        self.suites.is_empty() && self.provisions.is_empty() && self.checks.is_empty()
    }

    fn speaks_of(&self, unit: &UnitId) -> bool {
        self.scope.is_empty() || self.scope.contains(&unit.provision())
    }

    fn takes(&self, check: &Check, units: &[UnitId]) -> bool {
        let suite = self.suites.is_empty() || self.suites.iter().any(|s| s == check.suite());
        let glob = self.checks.is_empty() || self.checks.iter().any(|g| glob_matches(g, check.id));
        suite
            && glob
            && units.iter().any(|u| self.speaks_of(u))
            && (self.provisions.is_empty() || units.iter().any(|u| self.provisions.contains(&u.provision())))
    }
}

/// `*` stands for any text, `?` for one character. Linear in text times pattern.
pub fn glob_matches(glob: &str, text: &str) -> bool {
    let (g, t) = (glob.as_bytes(), text.as_bytes());
    let (mut gi, mut ti) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while ti < t.len() {
        match g.get(gi) {
            Some(b'*') => {
                star = Some((gi, ti));
                gi += 1;
            }
            Some(c) if *c == b'?' || *c == t[ti] => {
                gi += 1;
                ti += 1;
            }
            _ => match star {
                // The last star takes one character more.
                Some((sg, st)) => {
                    star = Some((sg, st + 1));
                    gi = sg + 1;
                    ti = st + 1;
                }
                None => return false,
            },
        }
    }
    g[gi..].iter().all(|c| *c == b'*')
}

/// A list of checks that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Two checks of one id, or one that is no id.
    #[error("the list of checks is wrong: {0}")]
    List(String),
    /// The selection names something that does not exist.
    #[error("{what} `{name}` selects nothing; there are: {there}")]
    Nothing {
        /// What was named.
        what: &'static str,
        /// How.
        name: String,
        /// What could have been named.
        there: String,
    },
}

/// An answer owed that cannot be given, known before the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Short {
    /// The unit.
    pub unit: UnitId,
    /// The row.
    pub row: Option<RowId>,
    /// Why not.
    pub reason: Reason,
    /// In words.
    pub why: String,
}

/// What becomes of one check.
#[derive(Debug, Clone)]
pub struct PlannedCheck {
    /// Its place in the list.
    pub index: usize,
    /// Its id.
    pub id: CheckId,
    /// Its fate: `Run`, or why not.
    pub fate: Fate,
    /// The answers it owes.
    pub due: Vec<Due>,
    /// Those of them that it cannot give.
    pub short: Vec<Short>,
}

/// What a run will do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Checks in the order of the list.
    pub checks: Vec<PlannedCheck>,
    /// Fate of every catalogued unit.
    pub units: BTreeMap<UnitId, Fate>,
    /// What the run may claim if it comes to its end.
    pub claim: Claim,
}

impl Plan {
    /// Every answer owed.
    pub fn due(&self) -> Vec<Due> {
        self.checks.iter().flat_map(|c| c.due.iter().cloned()).collect()
    }

    /// How many checks will run.
    pub fn runs(&self) -> usize {
        self.checks.iter().filter(|c| c.fate == Fate::Run).count()
    }
}

/// What the rig brings: all that a plan needs to know of it.
#[derive(Debug, Clone)]
pub struct RigFacts {
    /// Its capabilities.
    pub capabilities: Vec<Capability>,
    /// What it grants.
    pub permissions: Permissions,
}

/// Makes the plan. Touches nothing.
pub fn plan(dossier: &Dossier, rig: &RigFacts, checks: &[&'static Check], selection: &Selection) -> Result<Plan, PlanError> {
    let catalogue = Catalogue::load();
    let mut planned = Vec::with_capacity(checks.len());
    let mut seen = BTreeSet::new();
    let mut parsed = Vec::with_capacity(checks.len());
    for check in checks {
        let id: CheckId = check.id.parse().map_err(|e| PlanError::List(format!("{e}")))?;
        if !seen.insert(id.clone()) {
            return Err(PlanError::List(format!("two checks are called {id}")));
        }
        let mut units = Vec::with_capacity(check.units.len());
        for text in check.units {
            let unit: UnitId = text.parse().map_err(|e| PlanError::List(format!("{id}: {e}")))?;
            if !catalogue.has_unit(&unit) {
                return Err(PlanError::List(format!("{id}: TS 103 701 has no unit {unit}")));
            }
            units.push(unit);
        }
        parsed.push((id, units));
    }
    names_exist(checks, &parsed, selection, catalogue)?;
    for (index, (check, (id, units))) in checks.iter().zip(&parsed).enumerate() {
        planned.push(one(index, check, id, units, dossier, rig, selection));
    }
    let units = unit_fates(catalogue, dossier, &planned, &parsed, selection);
    let claim = if selection.is_whole() { Claim::Full } else { Claim::None };
    Ok(Plan { checks: planned, units, claim })
}

fn names_exist(checks: &[&'static Check], parsed: &[(CheckId, Vec<UnitId>)], selection: &Selection, catalogue: &Catalogue) -> Result<(), PlanError> {
    let nothing = |what, name: &str, mut there: Vec<String>| {
        there.sort();
        there.dedup();
        Err(PlanError::Nothing { what, name: name.to_owned(), there: there.join(", ") })
    };
    for suite in &selection.suites {
        if !checks.iter().any(|c| c.suite() == suite) {
            return nothing("suite", suite, checks.iter().map(|c| c.suite().to_owned()).collect());
        }
    }
    for glob in &selection.checks {
        if !checks.iter().any(|c| glob_matches(glob, c.id)) {
            return nothing("check", glob, checks.iter().map(|c| c.id.to_owned()).collect());
        }
    }
    for provision in &selection.provisions {
        if catalogue.provision(provision).is_none() || !parsed.iter().any(|(_, units)| units.iter().any(|u| u.provision() == *provision)) {
            let there = parsed.iter().flat_map(|(_, units)| units.iter().map(|u| u.provision().to_string())).collect();
            return nothing("provision", provision.as_str(), there);
        }
    }
    Ok(())
}

fn one(index: usize, check: &Check, id: &CheckId, units: &[UnitId], dossier: &Dossier, rig: &RigFacts, selection: &Selection) -> PlannedCheck {
    let mut out = PlannedCheck { index, id: id.clone(), fate: Fate::NotSelected, due: Vec::new(), short: Vec::new() };
    if !selection.takes(check, units) {
        return out;
    }
    let named = |u: &UnitId| selection.provisions.is_empty() || selection.provisions.contains(&u.provision());
    let selected = |u: &&UnitId| selection.speaks_of(u) && named(u);
    let claimed: Vec<&UnitId> = units.iter().filter(selected).filter(|u| dossier.ics.claims(&u.provision())).collect();
    if claimed.is_empty() {
        out.fate = units.first().map_or(Fate::NotSelected, |u| unclaimed(dossier, u));
        return out;
    }
    let lacking = lacking(check, rig);
    let table_name = |t: u8| Catalogue::load().table(t).map_or_else(|| t.to_string(), |t| format!("{}-{}", t.number, t.name));
    let mut judged = false;
    let mut why_none = None;
    for unit in claimed {
        let table = table_of(check, unit);
        let rows = rows_of(check, table, dossier);
        if rows.is_empty() {
            let number = table.unwrap_or_default();
            if let Some(empty) = dossier.ixit.declared_empty(number) {
                why_none = Some(format!("table {} is declared empty: {}", table_name(number), empty.because));
            } else if !dossier.ixit.rows(number).is_empty() {
                // The rows there are belong to other checks: nothing is owed here.
                why_none = Some(format!("no row of table {} is of the kind that this check judges", table_name(number)));
            } else {
                let why = format!("table {} has no rows", table_name(number));
                out.due.push(Due { check: id.clone(), unit: unit.clone(), row: None });
                out.short.push(Short { unit: unit.clone(), row: None, reason: Reason::IxitMissing, why: why.clone() });
            }
        }
        for (row, bound) in &rows {
            out.due.push(Due { check: id.clone(), unit: unit.clone(), row: row.clone() });
            let short = |reason, why: String| Short { unit: unit.clone(), row: row.clone(), reason, why };
            match (&lacking, bound) {
                (_, false) => {
                    let name = row.as_ref().map(ToString::to_string).unwrap_or_default();
                    out.short.push(short(Reason::IxitMissing, format!("row {name} has no `bind` table: the rig does not know how to act on it")));
                }
                (Some(what), true) => out.short.push(short(Reason::RigCapabilityMissing, format!("the rig has no {what}"))),
                (None, true) => judged = true,
            }
        }
    }
    if out.due.is_empty() {
        out.fate = Fate::NotRun { why: why_none.unwrap_or_else(|| "nothing is owed".to_owned()) };
        return out;
    }
    out.fate = match lacking {
        Some(what) => Fate::CannotRun { missing: what },
        None if !judged => Fate::CannotRun { missing: out.short.first().map_or_else(|| "a row to judge".to_owned(), |s| s.why.clone()) },
        None => Fate::Run,
    };
    out
}

/// The table whose rows a unit is judged on: the check's own where the unit's case reads it, else the first that the case reads. A check that
/// bears on units of several provisions owes each of them its own rows.
fn table_of(check: &Check, unit: &UnitId) -> Option<u8> {
    let own = check.table?;
    let tables = Catalogue::load().case(&unit.case).map(|c| c.tables.as_slice()).unwrap_or_default();
    if tables.contains(&own) { Some(own) } else { Some(tables.first().copied().unwrap_or(own)) }
}

/// Rows of a table that the check can judge (`true`), and rows that have no binding although rows of the table can have one (`false`).
fn rows_of(check: &Check, table: Option<u8>, dossier: &Dossier) -> Vec<(Option<RowId>, bool)> {
    let Some(number) = table else { return vec![(None, true)] };
    // About rows of another table than its own a check is asked as well; one that knows none of them owes all.
    let knows = |wanted: &fn(&proofbench_model::dossier::Row) -> bool| table == check.table || dossier.ixit.rows(number).iter().any(wanted);
    let wanted = check.row_wanted.filter(knows);
    let bound = judged_rows(dossier, table, wanted).map(|r| (Some(r.id.clone()), true));
    let unbound = dossier.ixit.rows(number).iter().filter(|r| r.bind.is_none()).map(|r| (Some(r.id.clone()), false));
    bound.chain(unbound).collect()
}

/// What the rig lacks for a check, in words.
fn lacking(check: &Check, rig: &RigFacts) -> Option<String> {
    let channels = check.needs.iter().filter(|c| !rig.capabilities.contains(c)).map(|c: &Capability| c.as_str().to_owned());
    let grants = check.permissions.iter().filter(|p| !rig.permissions.grants(**p)).map(|p: &Permission| format!("permission {p}"));
    let all: Vec<String> = channels.chain(grants).collect();
    if all.is_empty() { None } else { Some(all.join(", ")) }
}

fn unclaimed(dossier: &Dossier, unit: &UnitId) -> Fate {
    let provision = unit.provision();
    let row = dossier.ics.row(&provision);
    match row.map(|r| r.support) {
        None => Fate::NotClaimed { reason: "the ICS has no row for this provision".to_owned() },
        Some(Support::NotApplicable) => Fate::NotApplicable { condition: condition(&provision, row.map_or("", |r| r.detail.as_str())) },
        Some(Support::No | Support::Yes) => {
            let detail = row.map_or("", |r| r.detail.as_str());
            Fate::NotClaimed { reason: if detail.is_empty() { "the ICS says N".to_owned() } else { detail.to_owned() } }
        }
    }
}

/// The conditions of a provision, in words, with the supplier's detail.
fn condition(provision: &ProvisionId, detail: &str) -> String {
    let catalogue = Catalogue::load();
    let status = catalogue.provision(provision).map(|p| p.status(Method::default()));
    let conditions: Vec<String> = status
        .iter()
        .flat_map(|s| &s.conditions)
        .filter_map(|n| catalogue.condition(Method::default(), *n))
        .map(|c| format!("({}) {}", c.number, c.text))
        .collect();
    match (conditions.is_empty(), detail.is_empty()) {
        (true, true) => "the ICS says N/A".to_owned(),
        (true, false) => detail.to_owned(),
        (false, true) => conditions.join("; "),
        (false, false) => format!("{}: {detail}", conditions.join("; ")),
    }
}

fn unit_fates(
    catalogue: &Catalogue,
    dossier: &Dossier,
    planned: &[PlannedCheck],
    parsed: &[(CheckId, Vec<UnitId>)],
    selection: &Selection,
) -> BTreeMap<UnitId, Fate> {
    let fate = |unit: &UnitId| {
        if !dossier.ics.claims(&unit.provision()) {
            return unclaimed(dossier, unit);
        }
        if !selection.speaks_of(unit) {
            return Fate::NotSelected;
        }
        let mine: Vec<&PlannedCheck> = planned.iter().zip(parsed).filter(|(_, (_, units))| units.contains(unit)).map(|(p, _)| p).collect();
        let owing = || mine.iter().filter(|p| p.due.iter().any(|d| d.unit == *unit));
        if owing().any(|p| p.fate == Fate::Run) {
            return Fate::Run;
        }
        if let Some(p) = owing().next() {
            return p.fate.clone();
        }
        if !selection.is_whole() {
            return Fate::NotSelected;
        }
        if let Some(p) = mine.iter().find(|p| p.fate != Fate::NotSelected) {
            return p.fate.clone();
        }
        if catalogue.unit_kind(unit) == Kind::Conceptual {
            return Fate::NotRun { why: "a person has to judge it".to_owned() };
        }
        if catalogue.reference(unit).is_some() {
            return Fate::NotRun { why: "judged by the units that it refers to".to_owned() };
        }
        Fate::NotRun { why: "no check bears on it".to_owned() }
    };
    catalogue.units().map(|u| (u.clone(), fate(&u))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("*", "power-loss/install", true)]
    #[case("power-loss/*", "power-loss/install", true)]
    #[case("*/install", "power-loss/install", true)]
    #[case("p*-*/i?stall", "power-loss/install", true)]
    #[case("*install*x", "power-loss/install", false)]
    #[case("power-loss", "power-loss/install", false)]
    #[case("power-loss/instal?", "power-loss/install", true)]
    #[case("?", "", false)]
    #[case("", "", true)]
    fn globs_match(#[case] glob: &str, #[case] text: &str, #[case] want: bool) {
        assert_eq!(glob_matches(glob, text), want);
    }
}
