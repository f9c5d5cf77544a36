//! Secrets that are built in and replaced.
//!
//! Purpose: 5.4-3-2 a (provisioning really replaces what is hard-coded in the software). Procedure, per row of 10-SecParam with a built-in value: the request
//! that the value opens is made with it as delivered, after set-up, and after each restart that the rig can bring about; then with the unit's own value.
//! Verdict: VIOLATED by a request that the built-in value still opens once the device is set up, or a replacement that is that value. Control: the same request
//! with the built-in value is carried out as delivered, and with the unit's own value afterwards; one that never worked says nothing.

use super::{BUDGET, NEEDS};
use crate::report::{Report, each_row};
use proofbench_model::bind::BuiltInBind;
use proofbench_model::dossier::Row;
use proofbench_runner::bench::{Did, HttpSeen};
use proofbench_runner::{Bench, Check, Permission, Trouble};

const A: &str = "5.4-3-2 a";

/// Row 38.
pub const REPLACED: Check = Check {
    id: "credentials/built-in-secrets",
    title: "a secret that is built in opens nothing once set-up has replaced it",
    units: &[A],
    table: Some(10),
    row_wanted: Some(|row| row.store().is_some_and(|s| s.built_in.is_some())),
    needs: NEEDS,
    permissions: &[Permission::PowerCut],
    defects: &["built-in-token-stays", "built-in-token-returns"],
    twins: &["built-in-refused-otherwise", "plain-error-page", "slow-boot", "answers-chunked", "closes-after-answer"],
    control: "the same request with the built-in value works as delivered, and with the unit's own value afterwards",
    budget: BUDGET,
    run: |bench| each_row(bench, &[A], replaced),
};

/// Whether the request is carried out for whoever shows this value.
fn opens(bench: &mut Bench, built_in: &BuiltInBind, value: &str) -> Result<bool, Trouble> {
    let mut params = vec![("value", value)];
    if built_in.as_session {
        params.push(("session", value));
    }
    match bench.http(&built_in.request, &params)? {
        HttpSeen::Answer(a) if bench.matches(&built_in.request.expect, &a)?.is_some() => Ok(true),
        HttpSeen::Answer(a) => match &built_in.request.refuse {
            Some(refuse) if bench.matches(refuse, &a)?.is_none() => Err(Trouble::IxitAmbiguous(format!(
                "neither the declared answer nor the declared refusal: {}",
                crate::text::shown(a.line().as_bytes(), 200)
            ))),
            _ => Ok(false),
        },
        other => Err(Trouble::Unreachable(format!("no whole answer to the request with a built-in secret: {other:?}"))),
    }
}

fn replaced(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let built_in = row.store().and_then(|s| s.built_in.clone());
    let built_in = built_in.ok_or_else(|| Trouble::IxitMissing("`built-in` of a row of 10-SecParam".to_owned()))?;
    bench.serve_declared()?;
    bench.net_up()?;
    if !opens(bench, &built_in, &built_in.value)? {
        return Err(Trouble::NoOpportunity(
            "the declared built-in value opens nothing as delivered: whether it is replaced cannot be seen".to_owned(),
        ));
    }
    bench.set_up(&[])?;
    let mut wrong = Vec::new();
    if opens(bench, &built_in, &built_in.value)? {
        wrong.push("right after set-up".to_owned());
    }
    bench.power_cycle()?;
    bench.net_up()?;
    if opens(bench, &built_in, &built_in.value)? {
        wrong.push("after a power cut".to_owned());
    }
    let mut restarts = 1u32;
    if bench.can_act("reboot") {
        bench.act("reboot")?;
        bench.net_up()?;
        restarts += 1;
        if opens(bench, &built_in, &built_in.value)? {
            wrong.push("after a restart".to_owned());
        }
    }
    bench.strength(format!("one unit; the request of {} as delivered, after set-up, and after {restarts} restarts", row.id.row));
    let expected = "the built-in value opens nothing once the device is set up";
    if !wrong.is_empty() {
        report.violated(bench, A, expected, &format!("it opens the declared request {}", wrong.join(", ")));
        return Ok(());
    }
    let own = match bench.perform(&built_in.replacement, &[])? {
        Did::Done { value: Some(own), .. } => own,
        other => return Err(Trouble::Precondition(format!("the replacement could not be read: {other:?}"))),
    };
    if own == built_in.value {
        report.violated(bench, A, expected, "the value that is said to replace it is the built-in one");
        return Ok(());
    }
    if !opens(bench, &built_in, &own)? {
        return Err(Trouble::NoOpportunity("the unit's own value opens nothing either: the request may be gone altogether".to_owned()));
    }
    report.satisfied(bench, A, expected, "it opened the request as delivered and never again; the unit's own value does");
    Ok(())
}
