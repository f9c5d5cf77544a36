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
pub struct Instance {
    /// All of them.
    pub observations: Vec<Observation>,
}

impl Instance {
    /// The observation that decides: a VIOLATED stands whatever came later; otherwise the worst of the last attempt.
    pub fn deciding(&self) -> Option<&Observation> {
        if let Some(violated) = self.observations.iter().find(|o| o.outcome == Outcome::Violated) {
            return Some(violated);
        }
        let last = self.observations.iter().map(|o| o.attempt).max()?;
        let of_last: Vec<&Observation> = self.observations.iter().filter(|o| o.attempt == last).collect();
        of_last.iter().find(|o| matches!(o.outcome, Outcome::Unresolved(_))).or(of_last.first()).copied()
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
pub struct Instances {
    /// Instances in unit order.
    pub by_key: BTreeMap<Key, Instance>,
    /// Bench time of each check, milliseconds.
    pub time_ms: BTreeMap<CheckId, u64>,
}

impl Instances {
    /// Collects them.
    pub fn of(journal: &Journal) -> Self {
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
                    out.by_key.entry(key).or_default().observations.push(o.clone());
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
