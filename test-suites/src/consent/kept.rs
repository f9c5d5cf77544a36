//! How long the device keeps what it gathers by itself.
//!
//! Purpose: 6-5-2 b (what is collected is what is said). Supports 6-6-2 b and d of V2.1.1 (data that nobody entered; data whose time is over is removed), which
//! have no unit in V1.1.1. Procedure, per row of 24-TelData that says what is kept: with consent nothing is entered until records are there; then their declared
//! life passes, with a look halfway. Verdict: VIOLATED by a record that was there at the beginning and still is when its life and the declared sweep are over.
//! Control: at the end there are newer records, so that the device gathered all the time and shows what it keeps.

use super::{BUDGET, NEEDS, carried_out};
use crate::report::{Report, each_row};
use proofbench_model::bind::KeptBind;
use proofbench_model::dossier::Row;
use proofbench_runner::bench::Did;
use proofbench_runner::{Bench, Check, Trouble};
use std::collections::BTreeSet;
use std::time::Duration;

const STATED: &str = "6-5-2 b";

/// Row 73.
pub const EXPIRED: Check = Check {
    id: "consent/kept-as-declared",
    title: "what the device gathers by itself is removed when its declared life is over",
    units: &[STATED],
    table: Some(24),
    row_wanted: Some(|row| row.tel().is_some_and(|t| t.kept.is_some())),
    needs: NEEDS,
    permissions: &[],
    defects: &["history-for-ever", "history-renewed"],
    twins: &["history-half-day", "slow-boot", "session-short", "answers-chunked", "event-after-pause"],
    control: "newer records are there at the end",
    budget: BUDGET,
    run: |bench| each_row(bench, &[STATED], expired),
};

/// Records that are kept now.
fn records(bench: &mut Bench, kept: &KeptBind) -> Result<BTreeSet<String>, Trouble> {
    match bench.perform(&kept.list, &[])? {
        Did::Done { value: Some(list), .. } => Ok(crate::text::all(&kept.record, &list)),
        other => Err(Trouble::Precondition(format!("what is kept could not be read: {other:?}"))),
    }
}

fn expired(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let Some(tel) = row.tel().cloned() else { return Ok(()) };
    let kept = tel.kept.ok_or_else(|| Trouble::IxitMissing("`kept` of a row of 24-TelData".to_owned()))?;
    bench.at_home()?;
    if let Some(consent) = &tel.consent {
        carried_out(bench, &consent.give, "consent")?;
    }
    // Nobody enters anything from here on.
    let every = Duration::from_millis(kept.every_ms);
    bench.watch(every + every / 2)?;
    let first = records(bench, &kept)?;
    if first.is_empty() {
        return Err(Trouble::NoOpportunity(format!("no record after {:?}: nothing whose life could be watched", every + every / 2)));
    }
    let life = Duration::from_millis(kept.life_ms);
    bench.watch(life / 2)?;
    records(bench, &kept)?;
    // A tenth of an hour for clocks that count whole minutes.
    bench.watch(life - life / 2 + Duration::from_millis(kept.sweep_ms) + Duration::from_secs(360))?;
    let last = records(bench, &kept)?;
    let stayed: Vec<&String> = first.intersection(&last).collect();
    let newer = last.difference(&first).count();
    bench.strength(format!("{} records of the beginning, {newer} newer ones at the end, {life:?} between them", first.len()));
    let expected = format!("no record is kept longer than {life:?}");
    if !stayed.is_empty() {
        report.violated(
            bench,
            STATED,
            &expected,
            &format!("still there: {}", stayed.iter().take(6).map(|s| s.as_str()).collect::<Vec<_>>().join(", ")),
        );
    } else if newer == 0 {
        return Err(Trouble::NoOpportunity("no newer record either: the device may have stopped gathering, or showing".to_owned()));
    } else {
        report.satisfied(bench, STATED, &expected, &format!("all {} of the beginning were gone", first.len()));
    }
    Ok(())
}
