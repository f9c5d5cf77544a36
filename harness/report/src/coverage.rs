//! `coverage.txt`: for each of the 68 provisions and 226 units, what became of it and through whom: executed and by which check, a person's, not applicable,
//! not covered and why. Always all lines, in the order of the standard, so that two runs can be compared line by line.

use crate::instances::Instances;
use crate::run::Run;
use proofbench_assess::{UnitResult, UnitState};
use proofbench_model::catalogue::{Catalogue, Kind};
use proofbench_model::{CheckId, Outcome, UnitId};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Functional units that no check of this program observes, and why not.
pub const NOT_COVERED: &[(&str, &str)] = &[];

/// What became of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Covered {
    /// Checks ran, each with its outcome over all rows.
    Executed(Vec<(CheckId, Outcome)>),
    /// A person answers it.
    Human,
    /// The ICS says N/A.
    NotApplicable,
    /// The ICS says N.
    NotClaimed,
    /// The run was limited to other units.
    NotSelected,
    /// A document stands in its place.
    Evidence(String),
    /// Functional, and nothing observed it.
    NotCovered(String),
}

impl Covered {
    /// The word at the head of its line.
    pub fn word(&self) -> &'static str {
        match self {
            Covered::Executed(_) => "executed",
            Covered::Human => "human",
            Covered::NotApplicable => "not applicable",
            Covered::NotClaimed => "not claimed",
            Covered::NotSelected => "not selected",
            Covered::Evidence(_) => "evidence",
            Covered::NotCovered(_) => "not covered",
        }
    }

    /// What follows the word: which checks, which document, why not.
    pub fn detail(&self) -> String {
        match self {
            Covered::Executed(by) => by_suite(by),
            Covered::Human => "a person judges it".to_owned(),
            Covered::NotCovered(why) => why.clone(),
            Covered::Evidence(document) => document.clone(),
            Covered::NotApplicable | Covered::NotClaimed | Covered::NotSelected => String::new(),
        }
    }
}

/// What became of each unit, by the records of the run.
pub fn of(run: &Run<'_>) -> BTreeMap<UnitId, Covered> {
    of_instances(run, &Instances::of(run.journal))
}

/// The same, where the instances are at hand.
pub fn of_instances(run: &Run<'_>, instances: &Instances) -> BTreeMap<UnitId, Covered> {
    let mut by_unit: BTreeMap<&UnitId, Vec<(&CheckId, Outcome)>> = BTreeMap::new();
    for (key, instance) in &instances.by_key {
        by_unit.entry(&key.unit).or_default().push((&key.check, instance.outcome()));
    }
    let said_of = |unit: &UnitId| by_unit.get(unit).map_or(&[][..], Vec::as_slice);
    run.assessment.units.iter().map(|unit| (unit.unit.clone(), one(unit, said_of(&unit.unit)))).collect()
}

fn one(unit: &UnitResult, said: &[(&CheckId, Outcome)]) -> Covered {
    match &unit.state {
        UnitState::NotApplicable => return Covered::NotApplicable,
        UnitState::NotClaimed => return Covered::NotClaimed,
        UnitState::CoveredByEvidence { document, .. } => return Covered::Evidence(document.clone()),
        UnitState::Due(_) | UnitState::NotYetRun | UnitState::NotSelected => {}
    }
    let mut by: BTreeMap<CheckId, Outcome> = BTreeMap::new();
    for (check, outcome) in said {
        by.entry((*check).clone()).and_modify(|worst| *worst = worse(*worst, *outcome)).or_insert(*outcome);
    }
    let by: Vec<(CheckId, Outcome)> = by.into_iter().collect();
    if by.iter().any(|(_, o)| !matches!(o, Outcome::Unresolved(_))) {
        return Covered::Executed(by);
    }
    if !by.is_empty() {
        // Checks are there, and none of them came to anything: what they say is the reason.
        return Covered::NotCovered(by_suite(&by));
    }
    match (&unit.state, unit.kind) {
        (UnitState::NotSelected, _) => Covered::NotSelected,
        (_, Kind::Functional) => Covered::NotCovered(why_not(&unit.unit)),
        _ => Covered::Human,
    }
}

/// `SATISFIED by reset (identity, unasked), update (install)`.
fn by_suite(by: &[(CheckId, Outcome)]) -> String {
    let mut grouped: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for (check, outcome) in by {
        let name = check.to_string();
        let (suite, rest) = name.split_once('/').unwrap_or((&name, ""));
        grouped.entry(outcome.to_string()).or_default().entry(suite.to_owned()).or_default().push(rest.to_owned());
    }
    let words = |suites: BTreeMap<String, Vec<String>>| {
        suites.into_iter().map(|(s, names)| format!("{s} ({})", names.join(", "))).collect::<Vec<_>>().join(", ")
    };
    grouped.into_iter().map(|(outcome, suites)| format!("{outcome} by {}", words(suites))).collect::<Vec<_>>().join("; ")
}

/// VIOLATED before UNRESOLVED before SATISFIED.
fn worse(a: Outcome, b: Outcome) -> Outcome {
    let rank = |o: &Outcome| match o {
        Outcome::Violated => 0,
        Outcome::Unresolved(_) => 1,
        Outcome::Satisfied => 2,
    };
    if rank(&b) < rank(&a) { b } else { a }
}

fn why_not(unit: &UnitId) -> String {
    let name = unit.to_string();
    let known = NOT_COVERED.iter().find(|(u, _)| *u == name).map(|(_, why)| *why);
    known.unwrap_or("no check of this run observes it on this rig; a person does").to_owned()
}

/// The table.
pub fn table(run: &Run<'_>) -> String {
    let covered = of(run);
    let catalogue = Catalogue::load();
    let mut out = String::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for provision in catalogue.provisions() {
        let group = run.assessment.groups.iter().find(|g| g.provision == provision.id);
        let verdict =
            group.map_or_else(|| "no test group".to_owned(), |g| g.verdict.map_or_else(|| crate::units::plan_state(&g.fate), |v| v.to_string()));
        let _ = writeln!(out, "{:<8} {verdict}  {}", provision.id.to_string(), provision.summary);
        for (unit, state) in covered.iter().filter(|(u, _)| u.provision() == provision.id) {
            let kind = run
                .assessment
                .units
                .iter()
                .find(|u| u.unit == *unit)
                .map_or("", |u| if u.kind == Kind::Functional { "functional" } else { "conceptual" });
            *counts.entry(state.word()).or_default() += 1;
            let _ = writeln!(out, "{}", format!("  {:<12} {kind:<10} {:<14} {}", unit.to_string(), state.word(), state.detail()).trim_end());
        }
    }
    let counted: Vec<String> = counts.iter().map(|(word, n)| format!("{n} {word}")).collect();
    let _ = writeln!(out, "\n{} provisions, {} units: {}", catalogue.provisions().len(), covered.len(), counted.join(", "));
    out
}
