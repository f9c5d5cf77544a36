//! Factory reset by every declared route.
//!
//! Purpose: 5.11-1-2 (a: data are created that differ from the defaults; b: the function is carried out as documented; c: nothing remains) and 5.11-4-1
//! (confirmation). Procedure: canaries in every store that the function must delete, a new password, a token, each read back or used; the flash is searched; the
//! function is carried out; then the device is asked, old credentials are tried, and the flash is searched again, at once and after two restarts. Verdict:
//! VIOLATED for c if a canary is shown, an old credential or a universal pair is taken, or a canary stands in the flash in any encoding. Cipher text may stay.

use super::canary::Planted;
use super::route::{Ran, Route};
use super::state::{self, Reader, State};
use super::{BUDGET, bound_here};
use crate::report::{Report, each_row};
use proofbench_model::dossier::Row;
use proofbench_runner::bench::Did;
use proofbench_runner::{Bench, Capability, Check, Permission, Trouble};

const UNITS: &[&str] = &["5.11-1-2 a", "5.11-1-2 b", "5.11-1-2 c"];
const A: &str = "5.11-1-2 a";
const B: &str = "5.11-1-2 b";
const C: &str = "5.11-1-2 c";
const NEEDS: &[Capability] = &[Capability::Console, Capability::Power];
const GONE: &str = "nothing of what the user put in remains, no old credential works, and the label's does";

/// Rows 74 and 75.
pub const ERASES: Check = Check {
    id: "reset/erases-user-data",
    title: "factory reset by each route leaves nothing of the user's data and credentials",
    units: UNITS,
    table: Some(25),
    row_wanted: Some(bound_here),
    needs: NEEDS,
    permissions: &[Permission::FactoryReset],
    defects: &[
        "reset-keeps-wifi",
        "reset-marks-deleted",
        "reset-keeps-userdata",
        "reset-keeps-tokens",
        "reset-keeps-password",
        "reset-default-password",
        "reset-button-half",
        "userdata-utf16",
        "reset-keeps-reversed",
    ],
    twins: &["crypto-erase", "password-hashed", "silent-bad-command", "slow-boot", "noisy-log"],
    control: "every canary read back, password and token used with success before the reset; the search finds a piece of the running image in the same dump",
    budget: BUDGET,
    run: |bench| each_row(bench, UNITS, erases),
};

pub(super) fn erases(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let deletes = row.del_any().map(|d| d.deletes.clone()).unwrap_or_default();
    let mut reader = Reader::default();
    reader.peek(bench)?;
    let planted = Planted::plant(bench, &deletes, "erases")?;
    if planted.stores.is_empty() && planted.tokens.is_empty() && planted.password.is_none() {
        return Err(Trouble::IxitMissing(format!("a row named in `deletes` of {} whose binding can be set", row.id)));
    }
    let expected_a = "user data that differ from the defaults exist in every store that the function deletes";
    report.satisfied(bench, A, expected_a, &[vec![planted.summary()], planted.skipped.clone()].concat().join("; not planted: "));
    let route = Route::new(bench, row, &planted)?;
    let before = reader.peek(bench)?;
    let seen_before = before.as_deref().map(|d| state::remains(d, &planted)).unwrap_or_default();
    let Ran { did, confirmed, boot } = route.run(bench)?;
    let expected_b = "the function does what its documentation says, and the device is ready again within the declared time";
    let words = format!("{}: {}; confirmed: {confirmed:?}", route.id, said(&did));
    match (&did, &boot) {
        (Did::Done { .. }, Some(boot)) => report.satisfied(bench, B, expected_b, &format!("{words}; ready after {:?}", boot.took)),
        (Did::Done { .. }, None) if bench.boot_seen().boots > 0 => {
            report.violated(bench, B, expected_b, &format!("{words}; not ready within {} ms", route.bind.within_ms));
            return Err(Trouble::Precondition("the reset did not come to its end".to_owned()));
        }
        (Did::Done { .. }, None) => return Err(Trouble::Unreachable(format!("{words}; nothing on the console afterwards"))),
        (Did::Refused { .. }, _) => {
            report.violated(bench, B, expected_b, &words);
            return Err(Trouble::Precondition("the reset was refused".to_owned()));
        }
        (Did::Silent, _) => return Err(Trouble::Unreachable(words)),
    }
    let mut wrong = state::wrong_logins(bench, &planted)?;
    // Asking needs a session; without the label's credential the old one may still open it, and then everything else is known already.
    if !wrong.iter().any(|w| w.contains("label")) {
        wrong.extend(state::still(&planted, bench)?.into_iter().map(|n| format!("{n} is still there")));
        for n in 1..=2 {
            bench.reboot()?;
            wrong.extend(state::still(&planted, bench)?.into_iter().map(|what| format!("{what} is there after restart {n}")));
        }
    }
    let after = reader.peek(bench)?;
    if let Some(after) = &after {
        let hits = state::remains(after, &planted);
        if !hits.is_empty() {
            bench.evidence("flash-after-reset.bin", after);
            wrong.push(format!("the flash holds {}", state::tell(&hits)));
        }
    }
    bench.strength(match &after {
        Some(d) => format!(
            "interfaces, logins, tokens, and {} KiB of flash; {} canaries seen in the flash before the reset",
            d.len() / 1024,
            seen_before.len()
        ),
        None => "interfaces, logins and tokens only: the rig has no flash reader".to_owned(),
    });
    if wrong.is_empty() {
        report.satisfied(bench, C, GONE, &format!("{}: nothing found, at once and after two restarts", route.id));
    } else {
        wrong.dedup();
        report.violated(bench, C, GONE, &format!("{}: {}", route.id, wrong.join("; ")));
    }
    Ok(())
}

pub(super) fn said(did: &Did) -> String {
    match did {
        Did::Done { .. } => "done".to_owned(),
        Did::Refused { text } => format!("refused ({text})"),
        Did::Silent => "no answer".to_owned(),
    }
}

const CONFIRMED: &[&str] = &["5.11-4-1 a", "5.11-4-1 b"];

/// Row 79.
pub const CONFIRMATION: Check = Check {
    id: "reset/confirmation",
    title: "a deletion is confirmed, and only when it has been done",
    units: CONFIRMED,
    table: Some(25),
    row_wanted: Some(|row| bound_here(row) && row.del().is_some_and(|d| d.confirmation.is_some())),
    needs: NEEDS,
    permissions: &[Permission::FactoryReset, Permission::PowerCut],
    defects: &["reset-says-done-early"],
    twins: &["crypto-erase", "silent-bad-command", "noisy-log"],
    control: "the canaries stand in the flash before the deletion and are found by the same search",
    budget: BUDGET,
    run: |bench| each_row(bench, CONFIRMED, confirmation),
};

/// The supply is cut at the very moment of the confirmation: whatever the device still means to do then, it said that it had done it.
fn confirmation(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    const TRUE: &str = "the confirmation comes when the deletion is done, not before";
    let deletes = row.del_any().map(|d| d.deletes.clone()).unwrap_or_default();
    let mut reader = Reader::default();
    reader.peek(bench)?;
    let planted = Planted::plant(bench, &deletes, "confirmation")?;
    let route = Route::new(bench, row, &planted)?;
    let before = reader.peek(bench)?;
    let visible = before.as_deref().map(|d| state::remains(d, &planted)).unwrap_or_default();
    let (did, confirmed) = route.start(bench)?;
    if confirmed != Some(true) {
        if !did.is_done() {
            return Err(Trouble::Precondition(format!("{}: {}", route.id, said(&did))));
        }
        report.violated(bench, CONFIRMED[0], "the user is told that the deletion is done", &format!("{}: done and not confirmed", route.id));
        return Err(Trouble::NoOpportunity("without a confirmation its truth cannot be judged".to_owned()));
    }
    bench.power_off()?;
    report.satisfied(bench, CONFIRMED[0], "the user is told that the deletion is done", &format!("{}: confirmed", route.id));
    if visible.is_empty() {
        // Nothing to see from outside (everything is sealed, or there is no reader): what the device shows after the cut must do. A reset that is made good
        // at this start hides behind it, and the strength says so.
        state::wake(bench)?;
        bench.strength("judged by what the device shows after a power cut at the confirmation".to_owned());
        match state::look(bench, &planted)? {
            State::Erased => report.satisfied(bench, CONFIRMED[1], TRUE, "cut at the confirmation: everything is gone"),
            State::Intact => report.violated(bench, CONFIRMED[1], TRUE, "cut at the confirmation: everything is still there"),
            State::Half(what) => report.violated(bench, CONFIRMED[1], TRUE, &format!("cut at the confirmation: {what}")),
        }
        return Ok(());
    }
    // The reader has shown that it sees what the device writes; a flash that is as it was before the deletion is an answer here.
    let Some(after) = state::dump(bench)? else { return Err(Trouble::Capability(Capability::Storage)) };
    state::wake(bench)?;
    let hits = state::remains(&after, &planted);
    bench.strength(format!("{} canaries seen in the flash before, searched again at the moment of the confirmation", visible.len()));
    if hits.is_empty() {
        report.satisfied(bench, CONFIRMED[1], TRUE, &format!("{}: cut at the confirmation, and nothing is left in the flash", route.id));
    } else {
        bench.evidence("flash-at-confirmation.bin", &after);
        report.violated(bench, CONFIRMED[1], TRUE, &format!("{}: confirmed while the flash holds {}", route.id, state::tell(&hits)));
    }
    Ok(())
}
