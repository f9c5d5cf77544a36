//! Figures of a run, and who has to act next.

use crate::Assessment;
use crate::rollup::{UnitResult, UnitState};
use proofbench_model::catalogue::{Catalogue, Kind};
use proofbench_model::{Outcome, Reason, RowId, UnitId};
use std::collections::BTreeMap;

/// How many units stand where. The plan states and the outcomes add up to `total`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    /// All units of the catalogue.
    pub total: usize,
    /// Due in this run: claimed, selected, not covered by evidence.
    pub due: usize,
    /// Of these, SATISFIED.
    pub satisfied: usize,
    /// Of these, VIOLATED.
    pub violated: usize,
    /// Of these, UNRESOLVED for a reason other than a person's pending answer.
    pub unresolved: usize,
    /// Of these, waiting for a person only.
    pub pending: usize,
    /// Not claimed (N).
    pub not_claimed: usize,
    /// Not applicable (N/A).
    pub not_applicable: usize,
    /// Not selected.
    pub not_selected: usize,
    /// Covered by accepted external evidence.
    pub by_evidence: usize,
    /// Functional units that are due.
    pub functional_due: usize,
    /// Functional units that a check or a person resolved.
    pub functional_resolved: usize,
    /// Unresolved instances by reason.
    pub reasons: BTreeMap<Reason, usize>,
}

impl Coverage {
    pub(crate) fn of(catalogue: &Catalogue, units: &[UnitResult]) -> Self {
        let mut out = Self { total: catalogue.units().count(), ..Self::default() };
        for unit in units {
            match &unit.state {
                UnitState::NotClaimed => out.not_claimed += 1,
                UnitState::NotApplicable => out.not_applicable += 1,
                UnitState::NotSelected => out.not_selected += 1,
                UnitState::CoveredByEvidence { .. } => out.by_evidence += 1,
                UnitState::NotYetRun | UnitState::Due(_) => out.count(unit),
            }
        }
        out
    }

    fn count(&mut self, unit: &UnitResult) {
        self.due += 1;
        match unit.outcome() {
            Some(Outcome::Satisfied) => self.satisfied += 1,
            Some(Outcome::Violated) => self.violated += 1,
            _ if unit.is_only_pending() => self.pending += 1,
            _ => self.unresolved += 1,
        }
        if unit.kind == Kind::Functional {
            self.functional_due += 1;
            self.functional_resolved += usize::from(!unit.is_unresolved());
        }
        if unit.instances.is_empty() {
            *self.reasons.entry(Reason::HumanPending).or_default() += 1;
        }
        for reason in unit.instances.iter().flat_map(|i| &i.reasons) {
            *self.reasons.entry(*reason).or_default() += 1;
        }
    }
}

/// Something that somebody has to do before a unit can be resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// The unit.
    pub unit: UnitId,
    /// The row.
    pub row: Option<RowId>,
    /// Why it is unresolved.
    pub reason: Reason,
    /// In words.
    pub why: String,
}

impl Assessment {
    /// What is unresolved, by who has to act: `supplier`, `laboratory`, `device`, `operator`.
    pub fn who_must_act(&self) -> BTreeMap<&'static str, Vec<Action>> {
        let mut out: BTreeMap<&'static str, Vec<Action>> = BTreeMap::new();
        for unit in self.units.iter().filter(|u| u.is_unresolved()) {
            if unit.instances.is_empty() {
                let why = "nobody has answered it".to_owned();
                let action = Action { unit: unit.unit.clone(), row: None, reason: Reason::HumanPending, why };
                out.entry(Reason::HumanPending.who_must_act()).or_default().push(action);
            }
            for instance in &unit.instances {
                let why = instance.why.iter().cloned().collect::<Vec<_>>().join("; ");
                for reason in &instance.reasons {
                    let action = Action { unit: unit.unit.clone(), row: instance.row.clone(), reason: *reason, why: why.clone() };
                    out.entry(reason.who_must_act()).or_default().push(action);
                }
            }
        }
        for finding in &self.ixit_findings {
            let units = self.units.iter().find(|u| u.unit.provision() == finding.provision);
            let Some(unit) = units else { continue };
            let row = finding.row.as_ref().map(|row| RowId { table: finding.table, row: row.clone() });
            let action = Action { unit: unit.unit.clone(), row, reason: Reason::IxitMissing, why: finding.to_string() };
            out.entry(Reason::IxitMissing.who_must_act()).or_default().push(action);
        }
        out
    }
}
