//! The instances of a run: every (check, unit, IXIT row) that was due or observed, each with all that was said of it.

use proofbench_model::journal::{Event, Journal};
use proofbench_model::{CheckId, Observation, Outcome, Reason, RowId, UnitId};
use std::collections::BTreeMap;

/// What identifies an instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The unit.
    pub unit: UnitId,
    /// The row; none for units without rows.
    pub row: Option<RowId>,
    /// The check.
    pub check: CheckId,
}

/// One instance with its observations, oldest first. Empty observations: it was due and nothing was reported.
#[derive(Debug, Clone, Default)]
pub struct Instance<'j> {
    /// All of them, where they stand in the journal: a long one is not copied for each report.
    pub observations: Vec<&'j Observation>,
}

impl<'j> Instance<'j> {
    /// The observation that decides: a VIOLATED stands whatever came later; otherwise the worst of the last attempt.
    pub fn deciding(&self) -> Option<&'j Observation> {
        let all = || self.observations.iter().copied();
        if let Some(violated) = all().find(|o| o.outcome == Outcome::Violated) {
            return Some(violated);
        }
        let last = self.observations.iter().map(|o| o.attempt).max()?;
        let mut of_last = all().filter(|o| o.attempt == last);
        let first = of_last.next()?;
        if matches!(first.outcome, Outcome::Unresolved(_)) {
            return Some(first);
        }
        Some(of_last.find(|o| matches!(o.outcome, Outcome::Unresolved(_))).unwrap_or(first))
    }

    /// The outcome. A due instance about which nothing was reported is a fault of the harness.
    pub fn outcome(&self) -> Outcome {
        self.deciding().map_or(Outcome::Unresolved(Reason::HarnessFault), |o| o.outcome)
    }

    /// Whether attempts disagree although nobody annulled one: VIOLATED in one, SATISFIED in another.
    pub fn intermittent(&self) -> bool {
        let violated = self.observations.iter().find(|o| o.outcome == Outcome::Violated);
        violated.is_some_and(|v| self.observations.iter().any(|o| o.attempt != v.attempt && o.outcome == Outcome::Satisfied))
    }
}

/// What a journal says of its checks.
#[derive(Debug, Clone, Default)]
pub struct Instances<'j> {
    /// Instances in unit order.
    pub by_key: BTreeMap<Key, Instance<'j>>,
    /// Bench time of each check, milliseconds.
    pub time_ms: BTreeMap<CheckId, u64>,
}

impl<'j> Instances<'j> {
    /// Collects them.
    pub fn of(journal: &'j Journal) -> Self {
        let mut out = Instances::default();
        for record in &journal.records {
            match &record.event {
                Event::Plan { due } => {
                    for d in due {
                        out.by_key.entry(Key { unit: d.unit.clone(), row: d.row.clone(), check: d.check.clone() }).or_default();
                    }
                }
                Event::Observation(o) => {
                    let key = Key { unit: o.unit.clone(), row: o.row.clone(), check: o.check.clone() };
                    out.by_key.entry(key).or_default().observations.push(o);
                }
                Event::CheckEnded { check, virtual_ms, .. } => {
                    *out.time_ms.entry(check.clone()).or_default() += virtual_ms;
                }
                _ => {}
            }
        }
        out
    }
}
