//! The device's own look at how it is set up.
//!
//! Purpose: 5.12-3-1 b (the documented check is carried out). Procedure: set up as the maker recommends, the device finds nothing to warn of; then each
//! decision that has a recommended answer gets another one, and the device must warn; then back. Verdict: VIOLATED if it says the same of a device that is set
//! up otherwise than recommended. Control: its word for the recommended set-up.

use super::{BUDGET, NEEDS};
use proofbench_model::bind::DecBind;
use proofbench_runner::bench::{Did, HttpSeen};
use proofbench_runner::{Bench, Check, Trouble};

const B: &str = "5.12-3-1 b";

/// Row 81.
pub const SECURITY: Check = Check {
    id: "choices/security-check",
    title: "the device's own security check warns of a set-up that is not the recommended one",
    units: &[B],
    // The unit is about the user's information (2-UserInfo), which has no rows to judge.
    table: None,
    row_wanted: None,
    needs: NEEDS,
    permissions: &[],
    defects: &["security-always-ok"],
    twins: &["security-tells-more", "slow-boot", "answers-chunked"],
    control: "set up as recommended the device finds nothing",
    budget: BUDGET,
    run: security,
};

fn security(bench: &mut Bench) -> Result<(), Trouble> {
    let rows = bench.dossier().ixit.rows(26).iter();
    let decisions: Vec<(String, DecBind)> =
        rows.filter_map(|r| r.dec().filter(|d| d.secure.is_some() && d.set.is_some()).map(|d| (r.id.row.clone(), d.clone()))).collect();
    if decisions.is_empty() {
        return Err(Trouble::IxitMissing("a row of 26-UserDec with `secure` and `set`".to_owned()));
    }
    bench.at_home()?;
    for (_, dec) in &decisions {
        decide(bench, dec, dec.secure.as_deref().unwrap_or_default())?;
    }
    let good = said(bench)?;
    if good != "true" {
        return Err(Trouble::NoOpportunity(format!("set up as recommended, the device's own check says `{good}`")));
    }
    let mut unwarned = Vec::new();
    for (name, dec) in &decisions {
        for other in dec.options.iter().filter(|o| Some(*o) != dec.secure.as_ref()) {
            decide(bench, dec, other)?;
            if said(bench)? == good {
                unwarned.push(format!("{name} = {other}"));
            }
        }
        decide(bench, dec, dec.secure.as_deref().unwrap_or_default())?;
    }
    let expected = "the device's own check tells a set-up that is not the recommended one from one that is";
    match unwarned.is_empty() {
        true => bench.satisfied(B, None, expected, "it warned of each other answer, and of nothing when all were the recommended ones"),
        false => bench.violated(B, None, expected, &format!("it finds nothing with {}", unwarned.join(", "))),
    }
    Ok(())
}

fn decide(bench: &mut Bench, dec: &DecBind, option: &str) -> Result<(), Trouble> {
    let Some(set) = dec.set.clone() else { return Ok(()) };
    match bench.perform(&set, &[("value", option)])? {
        Did::Done { .. } => Ok(()),
        other => Err(Trouble::Precondition(format!("a decision was not changed to `{option}`: {other:?}"))),
    }
}

/// What the device's own check says.
fn said(bench: &mut Bench) -> Result<String, Trouble> {
    let action = bench.web()?.security.ok_or_else(|| Trouble::IxitMissing("`security` of [bind.web] of device.toml".to_owned()))?;
    let session = bench.web_session()?;
    let seen = bench.http(&action, &[("session", &session)])?;
    let HttpSeen::Answer(answer) = &seen else { return Err(Trouble::Unreachable(format!("the device's own check: {}", seen.words()))) };
    match bench.matches(&action.expect, answer)? {
        Some(Some(word)) => Ok(word),
        _ => Err(Trouble::IxitAmbiguous(format!("the device's own check answers otherwise than declared: {}", seen.words()))),
    }
}
