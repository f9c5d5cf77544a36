//! The records of a run by unit and by check, made once: looking through all observations for each of 226 units would not be done in ten seconds.

use crate::instances::{Instance, Instances, Key};
use crate::run::Run;
use proofbench_assess::Instance as Assessed;
use proofbench_model::{CheckId, Outcome, RowId, UnitId};
use std::collections::BTreeMap;

/// What a check said of a unit and a row.
pub type Said<'a> = (&'a Key, &'a Instance<'a>);

/// Instances with the ways to find them.
pub struct Indexed<'a> {
    /// All instances.
    pub instances: &'a Instances<'a>,
    /// The same by check, in unit order.
    pub by_check: BTreeMap<&'a CheckId, Vec<Said<'a>>>,
    /// The same by unit, worst first.
    by_unit: BTreeMap<&'a UnitId, Vec<Said<'a>>>,
    /// What the assessment makes of a unit's own instances, by unit and row.
    assessed: BTreeMap<(&'a UnitId, Option<&'a RowId>), &'a Assessed>,
}

impl<'a> Indexed<'a> {
    /// Of a run.
    pub fn of(run: &Run<'a>, instances: &'a Instances<'a>) -> Self {
        let mut by_check: BTreeMap<&CheckId, Vec<Said<'a>>> = BTreeMap::new();
        let mut by_unit: BTreeMap<&UnitId, Vec<Said<'a>>> = BTreeMap::new();
        for said in &instances.by_key {
            by_check.entry(&said.0.check).or_default().push(said);
            by_unit.entry(&said.0.unit).or_default().push(said);
        }
        for of_unit in by_unit.values_mut() {
            of_unit.sort_by_key(|(_, i)| rank(i.outcome()));
        }
        // A reference unit also has instances of the units that it refers to; they are shown where they belong.
        let own = run.assessment.units.iter().flat_map(|u| u.instances.iter().filter(|i| i.unit == u.unit));
        let assessed = own.map(|i| ((&i.unit, i.row.as_ref()), i)).collect();
        Self { instances, by_check, by_unit, assessed }
    }

    /// What checks said of a unit, worst first.
    pub fn of_unit(&self, unit: &UnitId) -> &[Said<'a>] {
        self.by_unit.get(unit).map_or(&[], Vec::as_slice)
    }

    /// Whether a violation still counts. One that was annulled is on record and decides nothing; where the assessment has no such row, the record stands.
    pub fn counts(&self, key: &Key) -> bool {
        self.assessed.get(&(&key.unit, key.row.as_ref())).is_none_or(|i| i.outcome == Outcome::Violated)
    }
}

/// VIOLATED, UNRESOLVED, SATISFIED.
pub fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Violated => 0,
        Outcome::Unresolved(_) => 1,
        Outcome::Satisfied => 2,
    }
}
