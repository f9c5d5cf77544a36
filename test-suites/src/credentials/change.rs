//! The secret changed.
//!
//! Purpose: 5.1-4-2 a (the change works as documented) and b (the old secret is dead). Procedure: a session is opened, the secret changed by the declared way,
//! then new and old secret and the older session are tried; the same after a power cut. Verdict: VIOLATED for a if the new secret is not taken, for b if the
//! old one is, or a session that the row declares ended goes on. Control: old secret and older session work before the change.

use super::{BUDGET, NEEDS, owner, web_login};
use crate::report::{Report, each_row};
use proofbench_model::bind::{Credential, HttpAction};
use proofbench_model::dossier::Row;
use proofbench_runner::bench::{Did, HttpSeen, WebLogin};
use proofbench_runner::{Bench, Check, Permission, Trouble};

const A: &str = "5.1-4-2 a";
const B: &str = "5.1-4-2 b";

/// Row 6.
pub const CHANGE: Check = Check {
    id: "credentials/change",
    title: "a changed secret is taken from then on, and the old one is not, not even after a power cut",
    units: &[A, B],
    table: Some(1),
    row_wanted: Some(|row| web_login(row) && row.auth().is_some_and(|a| a.change.is_some())),
    needs: NEEDS,
    permissions: &[Permission::PowerCut],
    defects: &["web-change-in-ram", "web-old-secret-stays", "web-sessions-survive-change"],
    twins: &["web-change-ends-all", "slow-boot", "session-short", "answers-chunked", "closes-after-answer"],
    control: "the old secret and the older session work before the change",
    budget: BUDGET,
    run: |bench| each_row(bench, &[A, B], change),
};

fn change(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let Some(auth) = row.auth().cloned() else { return Ok(()) };
    let Some(change) = auth.change else { return Ok(()) };
    bench.at_home()?;
    let old = owner(bench)?;
    let older = session(bench, &old)?.ok_or_else(|| Trouble::NoOpportunity("the old secret does not log in before the change".to_owned()))?;
    let probe = probe(bench)?;
    if !alive(bench, &probe, &older)? {
        return Err(Trouble::NoOpportunity("a session does not work before the change".to_owned()));
    }
    let new = Credential { user: old.user.clone(), secret: format!("New-{:016x}", bench.seed().rotate_left(13)) };
    match bench.perform(&change, &[("old", &old.secret), ("secret", &new.secret)])? {
        Did::Done { .. } => {}
        other => return Err(Trouble::Precondition(format!("the secret was not changed: {other:?}"))),
    }
    let (mut not_taken, mut alive_still) = (Vec::new(), Vec::new());
    for when in ["at once", "after a power cut"] {
        if when != "at once" {
            bench.set_credential(new.clone());
            bench.power_cycle()?;
            bench.net_up()?;
        }
        if session(bench, &new)?.is_none() {
            not_taken.push(format!("the new secret is refused {when}"));
        }
        if session(bench, &old)?.is_some() {
            alive_still.push(format!("the old secret logs in {when}"));
        }
        if auth.ends_sessions && alive(bench, &probe, &older)? {
            alive_still.push(format!("a session from before goes on {when}"));
        }
    }
    let expected_a = "the new secret logs in, at once and after a power cut";
    let expected_b = "neither the old secret nor a session from before works any more";
    match not_taken.is_empty() {
        true => report.satisfied(bench, A, expected_a, "it did both times"),
        false => report.violated(bench, A, expected_a, &not_taken.join("; ")),
    }
    match alive_still.is_empty() {
        true => report.satisfied(bench, B, expected_b, "both were refused, both times"),
        false => report.violated(bench, B, expected_b, &alive_still.join("; ")),
    }
    Ok(())
}

/// A session, if the secret is taken.
fn session(bench: &mut Bench, credential: &Credential) -> Result<Option<String>, Trouble> {
    match bench.web_login(credential)? {
        WebLogin::In(session) => Ok(Some(session)),
        WebLogin::Refused(_) => Ok(None),
        WebLogin::Locked(words) | WebLogin::Other(words) => Err(Trouble::NoOpportunity(format!("a login was neither taken nor refused: {words}"))),
    }
}

/// A request that a session may make and nobody else.
pub(crate) fn probe(bench: &Bench) -> Result<HttpAction, Trouble> {
    let rows = bench.dossier().ixit.rows(13).iter().filter_map(|r| r.serv());
    let found = rows.flat_map(|s| &s.functions).find(|f| f.role != "anybody" && f.request.method == "GET").map(|f| f.request.clone());
    found.ok_or_else(|| Trouble::IxitMissing("a function of 13-SoftServ that is read with a session".to_owned()))
}

/// Whether this session works.
pub(crate) fn alive(bench: &mut Bench, probe: &HttpAction, session: &str) -> Result<bool, Trouble> {
    match bench.http(probe, &[("session", session)])? {
        HttpSeen::Answer(a) => Ok(bench.matches(&probe.expect, &a)?.is_some()),
        other => Err(Trouble::Unreachable(format!("{} {}: {}", probe.method, probe.path, other.words()))),
    }
}
