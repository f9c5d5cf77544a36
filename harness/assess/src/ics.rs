//! Validity of the ICS: as it was handed in, and after what was observed.

use crate::instance::{is_critical, says_yes};
use crate::records::Records;
use proofbench_model::catalogue::{Catalogue, Obligation, Status};
use proofbench_model::dossier::{Constrained, Dossier, Support};
use proofbench_model::{CheckId, EvidenceId, Method, Outcome, ProvisionId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Why a row of the ICS is invalid.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum IcsProblem {
    /// The form has no row for the provision.
    NoRow,
    /// A mandatory provision is not claimed.
    MandatoryNotClaimed,
    /// N/A on a provision without condition.
    UnconditionalNotApplicable,
    /// N/A although all its conditions are indicated to hold.
    ConditionHolds(Vec<u8>),
    /// Y although a condition is indicated not to hold.
    ConditionAbsent(u8),
    /// N/A rests on constraint, and the identification gives no reason for constraint.
    ConstraintNotJustified,
}

/// One invalid row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct IcsFinding {
    /// The provision.
    pub provision: ProvisionId,
    /// What is wrong.
    pub problem: IcsProblem,
    /// In words, with the source of the indication.
    pub text: String,
}

impl fmt::Display for IcsFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.provision, self.text)
    }
}

/// An observation that falsifies an answer of the ICS.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contradiction {
    /// The provision whose N/A it falsifies; none if it falsifies only the supplier's word on the condition.
    pub provision: Option<ProvisionId>,
    /// The condition that was seen to hold.
    pub condition: u8,
    /// What was seen.
    pub observed: String,
    /// By which checks.
    pub checks: BTreeSet<CheckId>,
    /// Evidence.
    pub evidence: BTreeSet<EvidenceId>,
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ICS-CONTRADICTION: ")?;
        match &self.provision {
            Some(provision) => write!(f, "{provision} is N/A, but condition {} holds: {}", self.condition, self.observed),
            None => write!(f, "the ICS says that condition {} does not hold, but it does: {}", self.condition, self.observed),
        }
    }
}

/// What the dossier itself indicates of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Indicated {
    holds: bool,
    because: String,
}

/// The invalid rows of the ICS as it was handed in, in the order of the standard.
pub fn validate(catalogue: &Catalogue, dossier: &Dossier, method: Method) -> Vec<IcsFinding> {
    let indicated = indications(dossier);
    let mut out = Vec::new();
    for provision in catalogue.provisions() {
        let status = provision.status(method);
        let found = match dossier.ics.support(&provision.id) {
            None => Some((IcsProblem::NoRow, "the ICS has no row for it".to_owned())),
            Some(Support::Yes) => claimed(status, &indicated),
            Some(Support::No) if status.obligation == Obligation::Mandatory => {
                Some((IcsProblem::MandatoryNotClaimed, format!("N on a mandatory provision ({})", status.text())))
            }
            Some(Support::No) => None,
            Some(Support::NotApplicable) => not_applicable(status, dossier, &indicated),
        };
        out.extend(found.map(|(problem, text)| IcsFinding { provision: provision.id.clone(), problem, text }));
    }
    out
}

/// Conditions 4 and 5 speak of constraint, which is argued and never measured; a constrained device may claim more than it must.
fn is_constraint(condition: u8) -> bool {
    matches!(condition, 4 | 5)
}

fn claimed(status: &Status, indicated: &BTreeMap<u8, Indicated>) -> Option<(IcsProblem, String)> {
    let absent = |n: &&u8| !is_constraint(**n) && indicated.get(n).is_some_and(|i| !i.holds);
    let n = *status.conditions.iter().find(absent)?;
    Some((IcsProblem::ConditionAbsent(n), format!("Y, but condition {n} does not hold: {}", indicated[&n].because)))
}

fn not_applicable(status: &Status, dossier: &Dossier, indicated: &BTreeMap<u8, Indicated>) -> Option<(IcsProblem, String)> {
    if !status.conditional {
        return Some((IcsProblem::UnconditionalNotApplicable, format!("N/A on a provision without condition ({})", status.text())));
    }
    let constraint = dossier.device.identification.constraint();
    if status.conditions.contains(&5) && constraint == Constrained::Unjustified {
        let text = "N/A rests on constraint, and the identification gives no reason why the device is constrained";
        return Some((IcsProblem::ConstraintNotJustified, text.to_owned()));
    }
    // N/A needs one condition that does not hold; it is refused where there is an indication for every one of them.
    let holding: Vec<&Indicated> = status.conditions.iter().filter_map(|n| indicated.get(n)).filter(|i| i.holds).collect();
    if !status.conditions.is_empty() && holding.len() == status.conditions.len() {
        let because: Vec<&str> = holding.iter().map(|i| i.because.as_str()).collect();
        let text = format!("N/A, but its condition holds ({}): {}", status.text(), because.join("; "));
        return Some((IcsProblem::ConditionHolds(status.conditions.clone()), text));
    }
    None
}

/// What identification, ICS and IXIT say of each condition. A condition that is not listed is open: nothing speaks for or against it.
fn indications(dossier: &Dossier) -> BTreeMap<u8, Indicated> {
    let mut out: BTreeMap<u8, Indicated> = BTreeMap::new();
    for (n, said) in all_indications(dossier) {
        // An indication that it holds outweighs one that it does not: it takes one counter-example to falsify an N/A.
        match out.get(&n) {
            Some(there) if there.holds || !said.holds => {}
            _ => {
                out.insert(n, said);
            }
        }
    }
    out
}

/// Conditions of which the dossier says both that they hold and that they do not, each with a reason for and a reason against.
pub fn conflicts(dossier: &Dossier) -> Vec<(u8, String, String)> {
    let all = all_indications(dossier);
    let first = |n: u8, holds: bool| all.iter().find(|(m, i)| *m == n && i.holds == holds).map(|(_, i)| i.because.clone());
    (1..=28).filter_map(|n| Some((n, first(n, true)?, first(n, false)?))).collect()
}

/// Whether the dossier says of a condition that it holds (`true`), that it does not, or nothing.
pub fn indicated(dossier: &Dossier, condition: u8) -> Option<bool> {
    indications(dossier).get(&condition).map(|i| i.holds)
}

/// Every indication by itself, in the order of its sources.
fn all_indications(dossier: &Dossier) -> Vec<(u8, Indicated)> {
    let mut out: Vec<(u8, Indicated)> = Vec::new();
    let ixit = &dossier.ixit;
    let mut say = |conditions: &[u8], holds: bool, because: String| {
        out.extend(conditions.iter().map(|n| (*n, Indicated { holds, because: because.clone() })));
    };
    match dossier.device.identification.constraint() {
        Constrained::No => {
            say(&[5], true, "the identification does not call the device constrained".to_owned());
            say(&[4], false, "the identification does not call the device constrained".to_owned());
        }
        Constrained::Justified => {
            say(&[4], true, "the identification calls the device constrained".to_owned());
            say(&[5], false, "the identification calls the device constrained".to_owned());
        }
        Constrained::Unjustified => {}
    }
    for n in 1..=28 {
        if let Some(declared) = dossier.ics.condition(n).filter(|_| !is_constraint(n)) {
            let because = if declared.detail.trim().is_empty() { String::new() } else { format!(" ({})", declared.detail) };
            say(&[n], declared.holds, format!("the ICS declares it{because}"));
        }
    }
    let rows = |table: u8| ixit.rows(table).iter();
    let filled = |text: Option<&str>| text.is_some_and(|t| !t.trim().is_empty());
    for row in rows(1).filter(|r| r.field("authentication-factor").is_some_and(|f| f.to_ascii_lowercase().contains("password"))) {
        say(&[1, 8], true, format!("{} uses a password", row.id));
    }
    for row in rows(6).filter(|r| r.field("update-mechanism").is_some_and(|m| m.trim().is_empty())) {
        say(&[3], true, format!("{} has no update mechanism", row.id));
    }
    if ixit.rows(6).iter().any(|_| true) && ixit.rows(6).iter().all(|r| filled(r.field("update-mechanism"))) {
        say(&[3], false, "every component of 6-SoftComp has an update mechanism".to_owned());
    }
    for row in rows(7) {
        say(&[12], true, format!("{} is an update mechanism", row.id));
    }
    for row in rows(10) {
        say(&[14], true, format!("{} is a security parameter", row.id));
    }
    for row in rows(10).filter(|r| is_critical(r)) {
        say(&[20], true, format!("{} is a critical security parameter", row.id));
        if filled(row.field("communication-mechanisms")) {
            say(&[18], true, format!("{} is communicated", row.id));
        }
    }
    for row in rows(13).filter(|r| says_yes(r.field("allows-configuration"))) {
        say(&[17], true, format!("{} allows configuration", row.id));
    }
    for row in rows(21) {
        say(&[26, 28], true, format!("{} is personal data", row.id));
        if filled(row.field("communication-mechanisms")) {
            say(&[21], true, format!("{} is sent", row.id));
            if says_yes(row.field("sensitive")) {
                say(&[22], true, format!("{} is sensitive and sent", row.id));
            }
        }
    }
    if !ixit.rows(21).is_empty() && rows(21).all(|r| r.field("communication-mechanisms").is_some_and(|c| c.trim().is_empty())) {
        say(&[21, 22], false, "no row of 21-PersData is sent".to_owned());
    }
    for row in rows(22) {
        say(&[23], true, format!("{} is a sensor", row.id));
    }
    for row in rows(24) {
        say(&[6], true, format!("{} is telemetry", row.id));
    }
    for row in rows(25) {
        say(&[24], true, format!("{} deletes user data", row.id));
    }
    for row in rows(27).chain(rows(28)) {
        say(&[27], true, format!("{} takes input", row.id));
    }
    let statements: [(u8, &[u8]); 7] =
        [(1, &[1, 2, 8]), (7, &[9, 11, 12]), (10, &[14, 15, 18, 19, 20]), (13, &[16, 17]), (21, &[21, 22, 26, 28]), (22, &[23]), (24, &[6])];
    for (table, conditions) in statements {
        if let Some(empty) = ixit.declared_empty(table) {
            say(conditions, false, format!("the supplier states that table {table} is empty: {}", empty.because));
        }
    }
    out
}

/// Observation, and the conditions that it shows to hold. `true`: any outcome that the unit can only have if the thing is there; `false`: VIOLATED only.
const SHOWN: &[(&str, bool, &[u8])] = &[
    ("5.1-1-2 a", false, &[1, 8]), // an undeclared login was found
    ("5.1-1-2 c", true, &[1, 2]),  // a factory password was compared
    ("5.1-2-2 a", true, &[1, 2]),
    ("5.1-4-2 a", true, &[8]), // a login secret was changed
    ("5.1-4-2 b", true, &[8]),
    ("5.1-5-2 a", false, &[8]),
    ("5.1-5-2 b", true, &[8]),
    ("5.3-1-2 a", true, &[12]), // an image was offered and taken or refused
    ("5.3-2-2 b", true, &[12]),
    ("5.3-10-1 c", false, &[11, 12]),
    ("5.4-1-2 a", false, &[14]), // a planted secret was found
    ("5.5-5-2 b", false, &[16]),
    ("5.6-4-2 a", false, &[13]), // a probe was answered
    ("5.6-4-2 b", false, &[13]),
    ("5.8-3-1 c", false, &[23]),
    ("5.11-1-2 a", true, &[24]), // user data was made
    ("6-2-2 a", true, &[7]),
    ("6-3-2 a", true, &[7]),
];

/// What was seen of a condition.
#[derive(Default)]
struct Seen {
    observed: BTreeSet<String>,
    checks: BTreeSet<CheckId>,
    evidence: BTreeSet<EvidenceId>,
}

/// Answers of the ICS that observations falsify, however late.
pub fn contradictions(catalogue: &Catalogue, dossier: &Dossier, records: &Records, method: Method) -> Vec<Contradiction> {
    let seen = seen(records);
    let indicated = indications(dossier);
    let mut out = BTreeSet::new();
    for provision in catalogue.provisions() {
        let status = provision.status(method);
        if dossier.ics.support(&provision.id) != Some(Support::NotApplicable) || !status.conditional {
            continue;
        }
        let holds = |n: &u8| seen.contains_key(n) || indicated.get(n).is_some_and(|i| i.holds);
        if status.conditions.iter().all(holds) {
            let observed = status.conditions.iter().filter_map(|n| seen.get(n).map(|s| (*n, s)));
            out.extend(observed.map(|(n, s)| contradiction(Some(provision.id.clone()), n, s)));
        }
    }
    for (n, s) in &seen {
        let known = catalogue.condition(method, *n).is_some();
        if known && dossier.ics.condition(*n).is_some_and(|declared| !declared.holds) {
            out.insert(contradiction(None, *n, s));
        }
    }
    out.into_iter().collect()
}

fn contradiction(provision: Option<ProvisionId>, condition: u8, seen: &Seen) -> Contradiction {
    let observed = seen.observed.iter().cloned().collect::<Vec<_>>().join("; ");
    Contradiction { provision, condition, observed, checks: seen.checks.clone(), evidence: seen.evidence.clone() }
}

fn seen(records: &Records) -> BTreeMap<u8, Seen> {
    let mut out: BTreeMap<u8, Seen> = BTreeMap::new();
    let mut add = |n: u8, observed: &str, check: &CheckId, evidence: &[EvidenceId]| {
        let seen = out.entry(n).or_default();
        seen.observed.insert(observed.to_owned());
        seen.checks.insert(check.clone());
        seen.evidence.extend(evidence.iter().cloned());
    };
    // Without evidence, nothing was seen.
    for i in records.indications.iter().filter(|i| !i.evidence.is_empty() && !is_constraint(i.condition)) {
        add(i.condition, &i.observed, &i.check, &i.evidence);
    }
    for o in records.observations.iter().filter(|o| !o.evidence.is_empty() && !records.is_annulled(o)) {
        let unit = o.unit.to_string();
        for (_, any, conditions) in SHOWN.iter().filter(|(u, ..)| *u == unit) {
            let shows = o.outcome == Outcome::Violated || (*any && o.outcome == Outcome::Satisfied);
            conditions.iter().filter(|_| shows).for_each(|n| add(*n, &o.observed, &o.check, &o.evidence));
        }
    }
    out
}
