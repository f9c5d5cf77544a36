//! Decisions of the owner: asked where the dossier says so, each answer kept.
//!
//! Purpose: 5.12-1-2 a (the decision is triggered as declared), b (its options are the declared ones and hold), d (nothing is decided for the owner that the
//! dossier does not say). Procedure: set-up without the answer; set-up with each answer; later changes, over a power cut. Verdict: VIOLATED by a set-up that
//! goes on without an answer, or a setting that is not what was answered. Control: the same set-up with the answer goes on; each setting reads as something
//! else after another answer.

use super::{BUDGET, NEEDS};
use crate::report::{Report, each_row};
use proofbench_model::bind::DecBind;
use proofbench_model::dossier::Row;
use proofbench_runner::bench::Did;
use proofbench_runner::{Bench, Check, Permission, Trouble};

const UNITS: &[&str] = &["5.12-1-2 a", "5.12-1-2 b", "5.12-1-2 d"];

/// Rows 28 and 80.
pub const DECISIONS: Check = Check {
    id: "choices/decisions",
    title: "each decision of the owner is asked as declared, and each answer holds",
    units: UNITS,
    table: Some(26),
    row_wanted: Some(|row| row.dec().is_some()),
    needs: NEEDS,
    permissions: &[Permission::FactoryReset, Permission::PowerCut],
    defects: &["decision-not-asked", "decision-no-ignored", "decision-undone", "auto-off-in-ram", "withdrawal-in-ram"],
    twins: &["slow-boot", "session-short", "answers-chunked", "withdrawal-message"],
    control: "the same set-up with the answer goes on, and another answer reads otherwise",
    budget: BUDGET,
    run: |bench| each_row(bench, UNITS, decisions),
};

fn decisions(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let [asked, options, defaults] = ["5.12-1-2 a", "5.12-1-2 b", "5.12-1-2 d"];
    let Some(dec) = row.dec().cloned() else { return Ok(()) };
    let name = row.id.row.clone();
    let (mut wrong, mut unasked) = (Vec::new(), false);
    bench.serve_declared()?;
    if dec.asked_at_set_up {
        factory_fresh(bench)?;
        bench.net_up()?;
        let (taken, words) = bench.try_set_up(&[], Some(&name))?;
        let expected = "set-up does not go on without the owner's answer";
        if taken {
            unasked = true;
            report.violated(bench, asked, expected, &format!("without an answer to {name} it went on: {words}"));
        }
        for option in &dec.options {
            factory_fresh(bench)?;
            bench.net_up()?;
            bench.set_up(&[(&name, option)])?;
            if let Some(told) = read(bench, &dec)?
                && told != *option
            {
                wrong.push(format!("answered `{option}` at set-up, it is `{told}`"));
            }
        }
        if dec.options.is_empty() {
            // A free answer: whatever it is good for is judged elsewhere; here it must be taken.
            factory_fresh(bench)?;
            bench.net_up()?;
            bench.set_up(&[])?;
        }
        if !unasked {
            report.satisfied(bench, asked, expected, &format!("{name}: refused without it ({words}), done with it"));
        }
    } else {
        bench.at_home()?;
        report.satisfied(bench, asked, "the owner decides where the dossier says", &format!("{name} is his to change on the local interface"));
    }
    if let Some(default) = &dec.default {
        let told = read(bench, &dec)?;
        match told.as_ref() == Some(default) {
            true => report.satisfied(bench, defaults, "until the owner decides the declared default holds", &format!("{name} is `{default}`")),
            false => report.violated(
                bench,
                defaults,
                "until the owner decides the declared default holds",
                &format!("{name} is {told:?}, not `{default}`"),
            ),
        }
    } else if unasked {
        report.violated(bench, defaults, "nothing is decided for the owner", &format!("{name} was decided for him"));
    } else {
        report.satisfied(
            bench,
            defaults,
            "nothing is decided for the owner",
            &format!("{name} has no default, and set-up does not go on without it"),
        );
    }
    wrong.extend(changes(bench, &dec)?);
    let expected = "each answer holds until the owner gives another, over a power cut as well";
    match wrong.is_empty() {
        true => report.satisfied(
            bench,
            options,
            expected,
            &match dec.options.is_empty() {
                true => format!("{name}: the answer was taken"),
                false => format!("{name}: {} held, each of them", dec.options.join(", ")),
            },
        ),
        false => report.violated(bench, options, expected, &format!("{name}: {}", wrong.join("; "))),
    }
    Ok(())
}

/// Changes the decision to each option and looks, at once and after a power cut.
fn changes(bench: &mut Bench, dec: &DecBind) -> Result<Vec<String>, Trouble> {
    let mut wrong = Vec::new();
    let Some(set) = dec.set.clone() else { return Ok(wrong) };
    // Round and back to the first: each of them follows another one.
    for option in dec.options.iter().chain(dec.options.first()) {
        match bench.perform(&set, &[("value", option)])? {
            Did::Done { .. } => {}
            other => return Err(Trouble::Precondition(format!("the decision was not changed to `{option}`: {other:?}"))),
        }
        for when in ["at once", "after a power cut"] {
            if when == "after a power cut" {
                bench.power_cycle()?;
                bench.net_up()?;
            }
            if let Some(told) = read(bench, dec)?
                && told != *option
            {
                wrong.push(format!("changed to `{option}`, it is `{told}` {when}"));
            }
        }
    }
    Ok(wrong)
}

/// What holds; nothing where the dossier gives no way to read it.
fn read(bench: &mut Bench, dec: &DecBind) -> Result<Option<String>, Trouble> {
    let Some(get) = &dec.get else { return Ok(None) };
    match bench.perform(get, &[])? {
        Did::Done { value, .. } => Ok(value),
        other => Err(Trouble::Unreachable(format!("the setting was not told: {other:?}"))),
    }
}

/// A device without an owner, by the first declared deletion at the device itself.
fn factory_fresh(bench: &mut Bench) -> Result<(), Trouble> {
    if bench.is_owned() {
        let row = bench.dossier().ixit.rows(25).iter().find(|r| r.del().is_some_and(|d| !crate::reset::asks_for_token(&d.start))).cloned();
        let row = row.ok_or_else(|| Trouble::IxitMissing("a row of 25-DelFunc that is worked at the device".to_owned()))?;
        let planted = crate::reset::Planted::plant(bench, &[], "choices")?;
        let route = crate::reset::route::Route::new(bench, &row, &planted)?;
        if route.run(bench)?.boot.is_none() {
            return Err(Trouble::Precondition(format!("{}: the device was not ready in time", route.id)));
        }
    }
    Ok(())
}
