//! Who may use what.
//!
//! Purpose: 5.5-4-2 a (without the right nobody gets in), b (with it he does), c (the login itself is protected by its session); 5.5-5-2 a (settings that
//! matter to security, in every state). Procedure: every declared function of 13-SoftServ as a stranger, with an invented session, one that was logged out, a
//! guest's, and with other spellings of method and path; then as the owner. Verdict: VIOLATED for a by a function that was carried out, for b by one that was
//! refused to its user. Control: the owner's requests are the same ones, with his session. What destroys is asked for where a refusal is expected only.

use super::change::{alive, probe};
use super::{BUDGET, NEEDS, owner};
use crate::report::{Report, each_row};
use proofbench_model::bind::{Credential, FunctionBind, HttpAction};
use proofbench_model::dossier::Row;
use proofbench_runner::bench::{HttpSeen, WebLogin};
use proofbench_runner::{Bench, Check, Permission, Trouble};
use std::time::Duration;

const A: &str = "5.5-4-2 a";
const B: &str = "5.5-4-2 b";
const C: &str = "5.5-4-2 c";
const STATE: &str = "5.5-5-2 a";

/// Row 47.
pub const MATRIX: Check = Check {
    id: "credentials/access",
    title: "every function is for those who may use it and for nobody else",
    units: &[A, B, C],
    table: Some(13),
    row_wanted: Some(|row| row.serv().is_some_and(|s| s.functions.iter().any(|f| f.role != "anybody"))),
    needs: NEEDS,
    permissions: &[],
    defects: &[
        "notes-without-login",
        "only-get-guarded",
        "trailing-slash-open",
        "guest-may-change",
        "guest-may-reset",
        "session-survives-logout",
        "any-session",
    ],
    twins: &["plain-error-page", "closes-strangers", "closes-after-answer", "answers-chunked", "session-short", "slow-boot", "net-log"],
    control: "the same requests with the owner's session are carried out",
    budget: BUDGET,
    run: |bench| each_row(bench, &[A, B, C], matrix),
};

/// Row 48.
pub const STATES: Check = Check {
    id: "credentials/access-in-every-state",
    title: "settings that matter to security want a login in every state of the device",
    units: &[STATE],
    table: Some(13),
    row_wanted: Some(|row| row.serv().is_some_and(|s| s.functions.iter().any(|f| f.security_relevant))),
    needs: NEEDS,
    permissions: &[Permission::PowerCut],
    defects: &["network-key-open-at-start", "only-get-guarded"],
    twins: &["plain-error-page", "slow-boot", "web-slow-start", "session-short"],
    control: "the same requests with the owner's session are carried out",
    budget: BUDGET,
    run: |bench| each_row(bench, &[STATE], states),
};

/// Texts that requests are filled with.
const FILL: [(&str, &str); 2] = [("value", "Trespass"), ("secret", "Trespass-88")];
const ANSWER: Duration = Duration::from_secs(5);

/// Whether the request was carried out; nothing if the connection ended without an answer. Silence is no refusal, and an error here.
fn carried_out(bench: &mut Bench, request: &HttpAction, session: Option<&str>) -> Result<Option<bool>, Trouble> {
    let mut params: Vec<(&str, &str)> = FILL.to_vec();
    params.extend(session.map(|s| ("session", s)));
    match bench.http(request, &params)? {
        HttpSeen::Answer(a) => Ok(Some(bench.matches(&request.expect, &a)?.is_some())),
        silent @ HttpSeen::Silent(_) => Err(Trouble::Unreachable(format!("{} {}: {}", request.method, request.path, silent.words()))),
        HttpSeen::Refused | HttpSeen::Unsecured(_) | HttpSeen::Ended(_) => Ok(None),
    }
}

fn functions(row: &Row) -> Vec<FunctionBind> {
    row.serv().map(|s| s.functions.clone()).unwrap_or_default()
}

fn matrix(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let guarded: Vec<FunctionBind> = functions(row).into_iter().filter(|f| f.role != "anybody").collect();
    bench.at_home()?;
    let (mut got_in, mut asked) = (Vec::new(), 0u32);
    let dead = logged_out(bench)?;
    let guest = guest(bench)?.map(|(_, session)| session);
    let invented = "0123456789abcdef0123456789abcdef".to_owned();
    let mut who: Vec<(&str, Option<String>)> =
        vec![("a stranger", None), ("an invented session", Some(invented)), ("an empty session", Some(String::new()))];
    who.extend(dead.clone().map(|s| ("a session that was logged out", Some(s))));
    for f in guarded.iter().filter(|f| !f.destructive) {
        for (name, session) in &who {
            asked += 1;
            if carried_out(bench, &f.request, session.as_deref())? == Some(true) {
                got_in.push(format!("{} by {name}", f.name));
            }
        }
        for (how, request) in spellings(&f.request) {
            asked += 1;
            if carried_out(bench, &request, None)? == Some(true) {
                got_in.push(format!("{} by a stranger, {how}", f.name));
            }
        }
        if let (Some(session), "owner") = (&guest, f.role.as_str()) {
            asked += 1;
            if carried_out(bench, &f.request, Some(session))? == Some(true) {
                got_in.push(format!("{} by a guest", f.name));
            }
        }
    }
    let mut refused = Vec::new();
    let session = bench.web_session()?;
    for f in guarded.iter().filter(|f| !f.destructive) {
        if carried_out(bench, &f.request, Some(&session))? != Some(true) {
            refused.push(f.name.clone());
        }
    }
    if refused.len() == guarded.iter().filter(|f| !f.destructive).count() {
        return Err(Trouble::NoOpportunity("no request with the owner's session was carried out".to_owned()));
    }
    // What destroys comes last: one that is carried out ends the check.
    for f in guarded.iter().filter(|f| f.destructive) {
        asked += 1;
        if carried_out(bench, &f.request, None)? == Some(true) {
            got_in.push(format!("{} by a stranger", f.name));
            break;
        }
        if let (Some(session), "owner") = (&guest, f.role.as_str()) {
            asked += 1;
            if carried_out(bench, &f.request, Some(session))? == Some(true) {
                got_in.push(format!("{} by a guest", f.name));
                break;
            }
        }
    }
    bench.strength(format!(
        "{asked} requests without the right on {} functions; guest {}",
        guarded.len(),
        if guest.is_some() { "tried" } else { "not declared" }
    ));
    let expected = "no function is carried out for somebody who may not use it";
    match got_in.is_empty() {
        true => report.satisfied(bench, A, expected, &format!("{asked} requests were refused")),
        false => report.violated(bench, A, expected, &format!("carried out: {}", short(&got_in))),
    }
    let expected = "every function is carried out for its owner";
    match refused.is_empty() {
        true => report.satisfied(bench, B, expected, "all were"),
        false => report.violated(bench, B, expected, &format!("refused: {}", refused.join(", "))),
    }
    let expected = "a session that was logged out is dead";
    match dead {
        None => report.unresolved(bench, C, proofbench_model::Reason::IxitMissing, "[bind.web] of device.toml has no `logout`"),
        Some(_) if got_in.iter().any(|g| g.contains("logged out")) => report.violated(bench, C, expected, &short(&got_in)),
        Some(_) => report.satisfied(bench, C, expected, "it was refused everywhere"),
    }
    Ok(())
}

fn short(list: &[String]) -> String {
    let shown = list.iter().take(6).cloned().collect::<Vec<_>>().join("; ");
    if list.len() > 6 { format!("{shown}; {} more", list.len() - 6) } else { shown }
}

/// A session that worked and was logged out; nothing if nobody can log out.
fn logged_out(bench: &mut Bench) -> Result<Option<String>, Trouble> {
    let Some(logout) = bench.web()?.logout else { return Ok(None) };
    let probe = probe(bench)?;
    let right = owner(bench)?;
    let WebLogin::In(session) = bench.web_login(&right)? else {
        return Err(Trouble::NoOpportunity("the owner's secret does not log in".to_owned()));
    };
    if !alive(bench, &probe, &session)? {
        return Err(Trouble::NoOpportunity("a fresh session does not work".to_owned()));
    }
    match carried_out(bench, &logout, Some(&session))? {
        Some(true) => Ok(Some(session)),
        _ => Err(Trouble::Precondition("the declared logout was not done".to_owned())),
    }
}

/// A guest's credential and session, where the dossier says how one is let in.
pub(crate) fn guest(bench: &mut Bench) -> Result<Option<(Credential, String)>, Trouble> {
    let Some(guest) = bench.web()?.guest else { return Ok(None) };
    let session = bench.web_session()?;
    let credential = Credential { user: guest.user.clone(), secret: format!("Guest-{:08x}", bench.seed() as u32) };
    let made = bench.http(&guest.admit, &[("session", &session), ("secret", &credential.secret)])?;
    let HttpSeen::Answer(a) = made else { return Err(Trouble::Precondition(format!("no guest was let in: {}", made.words()))) };
    if bench.matches(&guest.admit.expect, &a)?.is_none() {
        return Err(Trouble::Precondition(format!("no guest was let in: {}", a.line())));
    }
    match bench.web_login(&credential)? {
        WebLogin::In(session) => Ok(Some((credential, session))),
        other => Err(Trouble::Precondition(format!("the guest does not get in: {other:?}"))),
    }
}

/// The same request otherwise spelt.
fn spellings(request: &HttpAction) -> Vec<(&'static str, HttpAction)> {
    let with = |path: String| HttpAction { path, ..request.clone() };
    let path = &request.path;
    vec![
        ("with a slash at the end", with(format!("{path}/"))),
        ("with two slashes at the front", with(format!("/{path}"))),
        ("with a dot in the path", with(format!("/.{path}"))),
        ("with an encoded letter", with(path.replacen('a', "%61", 1))),
        ("with a query", with(format!("{path}?x=1"))),
        ("in capitals", with(path.to_ascii_uppercase())),
    ]
}

fn states(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let relevant: Vec<FunctionBind> = functions(row).into_iter().filter(|f| f.security_relevant && !f.destructive).collect();
    let (mut changed, mut asked) = (Vec::new(), 0u32);
    bench.serve_declared()?;
    bench.net_up()?;
    for state in ["factory", "set-up", "just started", "without its services"] {
        match state {
            "set-up" => bench.at_home()?,
            "just started" => {
                bench.power_cycle()?;
                bench.net_up()?;
            }
            "without its services" => {
                for (_, com) in bench.clients() {
                    if com.tls.is_some() {
                        let wait = bench.wait(ANSWER);
                        let host = com.host.clone().unwrap_or_default();
                        bench.network()?.withdraw(&host, com.port, &wait)?;
                    }
                }
                bench.sleep(Duration::from_secs(600))?;
            }
            _ => {}
        }
        for f in &relevant {
            asked += 1;
            match carried_out(bench, &f.request, None)? {
                Some(true) => changed.push(format!("{} ({state})", f.name)),
                Some(false) => {}
                None => return Err(Trouble::Unreachable(format!("{} was not answered ({state})", f.name))),
            }
        }
    }
    let session = bench.web_session()?;
    for f in &relevant {
        if carried_out(bench, &f.request, Some(&session))? != Some(true) {
            return Err(Trouble::NoOpportunity(format!("{} is not carried out for the owner either", f.name)));
        }
    }
    bench.strength(format!("{asked} requests of a stranger in 4 states"));
    let expected = "no setting that matters to security changes without a login";
    match changed.is_empty() {
        true => report.satisfied(bench, STATE, expected, &format!("{asked} requests were refused")),
        false => report.violated(bench, STATE, expected, &format!("changed: {}", short(&changed))),
    }
    Ok(())
}
