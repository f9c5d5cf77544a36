//! Observations of one row: which units of a check are still due when it cannot go on.

use proofbench_model::dossier::Row;
use proofbench_model::{Reason, RowId};
use proofbench_runner::{Bench, Trouble};
use std::collections::BTreeSet;

/// The row that is judged, and the units that it has an observation for.
pub struct Report {
    row: RowId,
    seen: BTreeSet<&'static str>,
}

impl Report {
    /// The device did as declared.
    pub fn satisfied(&mut self, bench: &mut Bench, unit: &'static str, expected: &str, observed: &str) {
        self.seen.insert(unit);
        bench.satisfied(unit, Some(&self.row), expected, observed);
    }

    /// The device did the contrary, and the control of the check held.
    pub fn violated(&mut self, bench: &mut Bench, unit: &'static str, expected: &str, observed: &str) {
        self.seen.insert(unit);
        bench.violated(unit, Some(&self.row), expected, observed);
    }

    /// No meaningful answer.
    pub fn unresolved(&mut self, bench: &mut Bench, unit: &'static str, reason: Reason, why: &str) {
        self.seen.insert(unit);
        bench.unresolved(unit, Some(&self.row), reason, why);
    }
}

/// Carries out `judge` for each row of the check. A row that cannot be judged leaves its own units unresolved and the next row is tried; a stop asked
/// for from outside ends the check.
pub fn each_row(
    bench: &mut Bench,
    units: &'static [&'static str],
    judge: impl Fn(&mut Bench, &Row, &mut Report) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let rows = bench.rows();
    if rows.is_empty() {
        return Err(Trouble::IxitMissing("a row with a binding that this check can act on".to_owned()));
    }
    for row in rows {
        let mut report = Report { row: row.id.clone(), seen: BTreeSet::new() };
        let Err(trouble) = judge(bench, &row, &mut report) else { continue };
        for unit in units.iter().filter(|u| !report.seen.contains(**u)) {
            bench.unresolved(unit, Some(&row.id), trouble.reason(), &trouble.explain());
        }
        if trouble.is_cancelled() || matches!(trouble, Trouble::Budget(_) | Trouble::Safety(_) | Trouble::Harness(_)) {
            return Err(trouble);
        }
    }
    Ok(())
}
