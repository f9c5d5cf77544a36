//! `junit.xml`: one test case per instance (unit, IXIT row, check), and one per unit that no check answered.

use crate::chips;
use crate::instances::{Instance, Instances, Key};
use crate::junit::{Case, Shown, Suite};
use crate::run::Run;
use proofbench_assess::{GroupResult, UnitResult, UnitState};
use proofbench_model::{Fate, Outcome, Profile, Reason, UnitId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The suites: ICS validation first, then one per provision.
pub fn suites(run: &Run<'_>) -> Vec<Suite> {
    let instances = Instances::of(run.journal);
    let chips = chips::one_line(run, &instances);
    // By unit once: looking through all instances for each unit takes the square of their number.
    let mut by_unit: BTreeMap<&UnitId, Vec<(&Key, &Instance)>> = BTreeMap::new();
    for said in &instances.by_key {
        by_unit.entry(&said.0.unit).or_default().push(said);
    }
    let mut timed = BTreeSet::new();
    let mut out = vec![ics_suite(run)];
    for group in &run.assessment.groups {
        let mut cases = Vec::new();
        for unit in run.assessment.units.iter().filter(|u| u.unit.provision() == group.provision) {
            let own = by_unit.get(&unit.unit).map_or(&[][..], Vec::as_slice);
            if own.is_empty() {
                cases.push(unit_case(run, group, unit));
            }
            for &(key, instance) in own {
                let time_ms = if timed.insert(key.check.clone()) { instances.time_ms.get(&key.check).copied().unwrap_or(0) } else { 0 };
                cases.push(instance_case(run, &chips, key, instance, time_ms));
            }
        }
        out.push(run.suite(format!("EN 303 645 provision {}", group.provision), cases));
    }
    out
}

fn ics_suite(run: &Run<'_>) -> Suite {
    let mut cases: Vec<Case> = Vec::new();
    let findings = run.assessment.ics_findings.iter().map(|f| (f.provision.to_string(), f.to_string()));
    let contradictions = run.assessment.contradictions.iter().map(|c| (format!("condition {}", c.condition), c.to_string()));
    for (name, text) in findings.chain(contradictions) {
        let shown = Shown::Failure("etsi.ICS-INVALID".to_owned(), text.clone(), text);
        let n = cases.iter().filter(|c: &&Case| c.name.starts_with(&name)).count();
        let name = if n == 0 { name } else { format!("{name} #{}", n + 1) };
        cases.push(Case { classname: run.class("ICS"), name, time_ms: 0, shown, properties: Vec::new(), system_out: String::new() });
    }
    if cases.is_empty() {
        let name = "the ICS is valid".to_owned();
        cases.push(Case { classname: run.class("ICS"), name, time_ms: 0, shown: Shown::Passed, properties: Vec::new(), system_out: String::new() });
    }
    run.suite("ICS-validation".to_owned(), cases)
}

fn instance_case(run: &Run<'_>, chips: &BTreeMap<String, String>, key: &Key, instance: &Instance, time_ms: u64) -> Case {
    let mut out = String::new();
    for o in &instance.observations {
        let _ = writeln!(out, "attempt {}: {}", o.attempt, o.outcome);
        if !o.expected.is_empty() {
            let _ = writeln!(out, "  expected: {}", o.expected);
        }
        let _ = writeln!(out, "  observed: {}", o.observed);
        if let Some(strength) = &o.strength {
            let _ = writeln!(out, "  strength: {strength}");
        }
        if let Some(replay) = &o.replay {
            let _ = writeln!(out, "  replay: {replay}");
        }
        for e in &o.evidence {
            let _ = writeln!(out, "  evidence: evidence/{}/{}", o.check.as_str().replace('/', "."), e.0);
        }
    }
    let message = instance.deciding().map_or_else(
        || "the check was due and reported nothing".to_owned(),
        |o| match o.outcome {
            Outcome::Unresolved(_) => o.observed.clone(),
            _ => format!("expected {}; observed {}", o.expected, o.observed),
        },
    );
    let shown = match instance.outcome() {
        Outcome::Satisfied => Shown::Passed,
        Outcome::Violated if instance.intermittent() => Shown::Failure("etsi.FAIL.intermittent".to_owned(), message, out.clone()),
        Outcome::Violated => Shown::Failure("etsi.FAIL".to_owned(), message, out.clone()),
        Outcome::Unresolved(Reason::HumanPending) => pending(run, &message),
        Outcome::Unresolved(reason) => Shown::Error(format!("etsi.INCONCLUSIVE.{reason}"), message, out.clone()),
    };
    let row = key.row.as_ref().map(|r| format!(" [{}]", r.row)).unwrap_or_default();
    let mut properties = vec![("unit".to_owned(), key.unit.to_string()), ("check".to_owned(), key.check.to_string())];
    properties.extend(key.row.as_ref().map(|r| ("ixit".to_owned(), r.to_string())));
    properties.push(("requirements".to_owned(), key.unit.provision().to_string()));
    if let Some(family) = key.row.as_ref().and_then(|r| chips.get(&r.to_string())) {
        properties.push(("chip-family".to_owned(), family.clone()));
    }
    let system_out = if matches!(shown, Shown::Passed) { out } else { String::new() };
    Case {
        classname: run.class(key.unit.provision().as_str()),
        name: format!("{}{row} {}", key.unit, key.check),
        time_ms,
        shown,
        properties,
        system_out,
    }
}

fn pending(run: &Run<'_>, message: &str) -> Shown {
    match run.assessment.options.profile {
        Profile::Ci => Shown::Skipped(format!("PENDING-HUMAN: {message}")),
        Profile::Certify => Shown::Error(format!("etsi.INCONCLUSIVE.{}", Reason::HumanPending), message.to_owned(), String::new()),
    }
}

/// A unit that no check of the run answered.
fn unit_case(run: &Run<'_>, group: &GroupResult, unit: &UnitResult) -> Case {
    let mut system_out = String::new();
    let shown = match &unit.state {
        UnitState::NotClaimed | UnitState::NotApplicable => Shown::Skipped(plan_state(&group.fate)),
        UnitState::NotSelected => Shown::Skipped("NOT-SELECTED".to_owned()),
        UnitState::CoveredByEvidence { document, sha256 } => {
            let _ = writeln!(system_out, "covered by external evidence: {document} sha256={sha256}");
            Shown::Passed
        }
        UnitState::NotYetRun => pending(run, "no check bears on this unit; a person must answer it"),
        UnitState::Due(outcome) => {
            let why: Vec<String> = unit.instances.iter().flat_map(|i| i.why.iter().cloned()).collect();
            let why = why.join("\n");
            let message = why.lines().next().unwrap_or("see the units it refers to").to_owned();
            match outcome {
                Outcome::Satisfied => {
                    system_out.push_str(&why);
                    Shown::Passed
                }
                Outcome::Violated => Shown::Failure("etsi.FAIL".to_owned(), message, why),
                Outcome::Unresolved(Reason::HumanPending) => pending(run, &message),
                Outcome::Unresolved(reason) => Shown::Error(format!("etsi.INCONCLUSIVE.{reason}"), message, why),
            }
        }
    };
    let provision = group.provision.to_string();
    let properties = vec![("unit".to_owned(), unit.unit.to_string()), ("requirements".to_owned(), provision.clone())];
    Case { classname: run.class(&provision), name: unit.unit.to_string(), time_ms: 0, shown, properties, system_out }
}

/// A plan state as readers of JUnit see it.
pub(crate) fn plan_state(fate: &Fate) -> String {
    match fate {
        Fate::NotApplicable { condition } => format!("ICS N/A: {condition}"),
        Fate::NotClaimed { reason } => format!("ICS N: {reason}"),
        other => other.to_string(),
    }
}
