//! The secrets on the labels.
//!
//! Purpose: 5.1-2-2 a (pre-installed passwords come plausibly from the declared generator). Procedure: the labels of all units are compared with the declared
//! spelling, with each other, and with what anybody can see of the units. Verdict: VIOLATED by a label that is spelt otherwise than declared, by two that are
//! alike, or by a way in which the secrets follow from public identifiers; UNRESOLVED by fewer than eight labels in which nothing is found. Control: the device under test is one of the units, and its label is the dossier's.

use super::{BUDGET, LEAST, labels, relations};
use crate::report::{Report, each_row};
use proofbench_model::dossier::Row;
use proofbench_runner::{Bench, Capability, Check, Trouble};

const A: &str = "5.1-2-2 a";

/// Row 4.
pub const UNRELATED: Check = Check {
    id: "fleet/label-secrets",
    title: "the secrets on the labels are spelt as declared, all different, and follow from nothing that anybody can see",
    units: &[A],
    table: Some(1),
    row_wanted: Some(|row| row.auth().is_some_and(|a| a.generated.is_some())),
    needs: &[Capability::Fleet],
    permissions: &[],
    defects: &["label-is-mac", "label-from-serial", "label-counts", "label-repeats"],
    twins: &["label-keyed"],
    control: "the label of the dossier's sample is among them",
    budget: BUDGET,
    run: |bench| each_row(bench, &[A], unrelated),
};

fn unrelated(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let generated = row.auth().and_then(|a| a.generated.clone());
    let generated = generated.ok_or_else(|| Trouble::IxitMissing(format!("`generated` in the binding of row {}", row.id)))?;
    let labels = labels(bench)?;
    let sample = bench.dossier().device.sample.serial.clone();
    if !labels.iter().any(|l| l.serial == sample) {
        return Err(Trouble::RigFault(format!("the sample {sample} is not among the labels of the fleet: these may be of another model")));
    }
    let otherwise: Vec<&str> = labels.iter().filter(|l| !crate::text::matches(&generated.pattern, &l.secret)).map(|l| l.serial.as_str()).collect();
    let mut wrong = relations::relations(&labels, generated.random_symbols as usize);
    if !otherwise.is_empty() {
        wrong.push(format!("spelt otherwise than declared on {}", otherwise.join(", ")));
    }
    bench.strength(format!("{} labels; pieces, counters, and cuts of MD5, SHA-1 and SHA-256 in six spellings", labels.len()));
    let expected = "each secret is spelt as declared, none is like another, and none follows from a public identifier";
    // A few labels can show how secrets are made; that they do not show it says nothing.
    if wrong.is_empty() && labels.len() < LEAST {
        return Err(Trouble::RigFault(format!("no relation was found, and {} labels are too few to say so; {LEAST} are needed", labels.len())));
    }
    match wrong.is_empty() {
        true => report.satisfied(bench, A, expected, &format!("no relation was found among {} labels", labels.len())),
        false => report.violated(bench, A, expected, &wrong.join("; ")),
    }
    Ok(())
}
