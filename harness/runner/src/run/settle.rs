//! From what a check reported to what may be recorded.

use super::decided;
use super::prepare::Health;
use crate::plan::PlannedCheck;
use crate::trouble::Trouble;
use proofbench_model::{Observation, Outcome, Reason, RowId, UnitId};

fn unresolved(planned: &PlannedCheck, unit: &UnitId, row: Option<&RowId>, reason: Reason, why: &str, attempt: u32) -> Observation {
    Observation {
        check: planned.id.clone(),
        unit: unit.clone(),
        row: row.cloned(),
        outcome: Outcome::Unresolved(reason),
        expected: String::new(),
        observed: why.to_owned(),
        evidence: Vec::new(),
        strength: None,
        replay: None,
        attempt,
    }
}

/// What is owed and known beforehand to be impossible.
pub(super) fn short(planned: &PlannedCheck, attempt: u32) -> Vec<Observation> {
    planned.short.iter().map(|s| unresolved(planned, &s.unit, s.row.as_ref(), s.reason, &s.why, attempt)).collect()
}

/// Adds an UNRESOLVED for every answer owed and not there.
pub(super) fn owed(planned: &PlannedCheck, mut there: Vec<Observation>, reason: Reason, why: &str, attempt: u32) -> Vec<Observation> {
    for due in &planned.due {
        if there.iter().any(|o| o.unit == due.unit && o.row == due.row) {
            continue;
        }
        there.push(match planned.short.iter().find(|s| s.unit == due.unit && s.row == due.row) {
            Some(s) => unresolved(planned, &s.unit, s.row.as_ref(), s.reason, &s.why, attempt),
            None => unresolved(planned, &due.unit, due.row.as_ref(), reason, why, attempt),
        });
    }
    there
}

/// Lets stand what may stand: no SATISFIED without a healthy rig afterwards, nothing decided on a rig that is at fault, nothing decided without evidence,
/// an UNRESOLVED for everything owed.
pub(super) fn settle(
    planned: &PlannedCheck,
    reported: Vec<Observation>,
    trouble: Option<&Trouble>,
    health: &Health,
    attempt: u32,
) -> Vec<Observation> {
    // A mistake of the harness spoils what the check called right; a violation had its control before.
    let harness = trouble.filter(|t| t.reason() == Reason::HarnessFault).map(Trouble::explain);
    let rig = trouble.filter(|t| t.reason() == Reason::RigFault).map(Trouble::explain);
    let reported = reported
        .into_iter()
        .map(|mut o| {
            let spoiled = match (&o.outcome, health) {
                (Outcome::Unresolved(_), _) => None,
                (_, Health::Bad { why, rig: true }) => Some((Reason::RigFault, why.clone())),
                (Outcome::Satisfied, Health::Bad { why, .. }) => Some((Reason::RigFault, why.clone())),
                (Outcome::Satisfied, Health::Unknown) => Some((Reason::AbortedSafety, "the rig was not looked at afterwards".to_owned())),
                (Outcome::Satisfied, Health::Good) => {
                    let harness = harness.clone().map(|why| (Reason::HarnessFault, why));
                    harness.or_else(|| rig.clone().map(|why| (Reason::RigFault, why)))
                }
                (Outcome::Violated, _) => None,
            };
            if let Some((reason, why)) = spoiled {
                o.observed = format!("{}: {why} (before that: {}: {})", reason, o.outcome, o.observed);
                o.outcome = Outcome::Unresolved(reason);
            }
            if decided(o.outcome) && o.evidence.is_empty() {
                o.observed = format!("{} without evidence: {}", o.outcome, o.observed);
                o.outcome = Outcome::Unresolved(Reason::HarnessFault);
            }
            o
        })
        .collect();
    match trouble {
        Some(t) => owed(planned, reported, t.reason(), &t.explain(), attempt),
        None => owed(planned, reported, Reason::HarnessFault, "the check ended without an answer that it owes", attempt),
    }
}
