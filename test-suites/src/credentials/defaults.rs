//! Secrets that everybody knows, set-up that can be skipped, logins by other channels.
//!
//! Purpose: 5.1-1-2 b (nothing is usable before the owner has chosen a secret) and c (no secret but his and the label's), 5.1-3-2 a (login by the declared
//! channel only). Procedure: requests of every declared function in the factory state, set-up with no secret or the label's; known pairs after set-up, within
//! the declared tries; the login sent without TLS to every port. Verdict: VIOLATED by any of them that is taken. Control: set-up as declared works, the
//! right secret logs in before and after.

use super::{BUDGET, Declared, NEEDS, clear, owner, web_login};
use crate::debug_port::KNOWN;
use crate::report::{Report, each_row};
use proofbench_channel::network::Dial;
use proofbench_model::bind::{Credential, HttpAction};
use proofbench_model::dossier::Row;
use proofbench_runner::bench::{HttpSeen, WebLogin};
use proofbench_runner::{Bench, Check, Trouble};
use std::time::Duration;

const B: &str = "5.1-1-2 b";
const C: &str = "5.1-1-2 c";
const METHOD: &str = "5.1-3-2 a";
const ANSWER: Duration = Duration::from_secs(3);

/// Row 2.
pub const SET_UP_FIRST: Check = Check {
    id: "credentials/set-up-first",
    title: "before the owner has chosen a secret nothing is usable, and the choice cannot be skipped",
    units: &[B],
    table: Some(1),
    row_wanted: Some(web_login),
    needs: NEEDS,
    permissions: &[],
    defects: &["set-up-skippable", "label-logs-in-before-set-up", "set-up-takes-any-secret"],
    twins: &["plain-error-page", "slow-boot", "answers-chunked", "session-short"],
    control: "the declared set-up with a secret of one's own works afterwards, and its secret logs in",
    budget: BUDGET,
    run: |bench| each_row(bench, &[B], set_up_first),
};

/// Row 3.
pub const KNOWN_PAIRS: Check = Check {
    id: "credentials/known-pairs",
    title: "after set-up neither the label's secret nor a pair that everybody knows logs in over the network",
    units: &[C],
    table: Some(1),
    row_wanted: Some(web_login),
    needs: NEEDS,
    permissions: &[],
    defects: &["web-support-account", "label-secret-stays"],
    twins: &["web-lock-longer", "lock-stored-from-second", "answers-chunked"],
    control: "the owner's secret logs in before and after",
    budget: BUDGET,
    run: |bench| each_row(bench, &[C], known_pairs),
};

/// Row 5.
pub const CHANNEL: Check = Check {
    id: "credentials/login-channel",
    title: "a login is taken by the declared channel and by no other",
    units: &[METHOD],
    table: Some(1),
    row_wanted: Some(web_login),
    needs: NEEDS,
    permissions: &[],
    defects: &["login-over-plain-http", "session-is-counter"],
    twins: &["closes-strangers", "slow-boot", "redirect-permanent", "answers-chunked"],
    control: "the same login with TLS on the declared port works before and after",
    budget: BUDGET,
    run: |bench| each_row(bench, &[METHOD], channel),
};

fn set_up_first(bench: &mut Bench, _: &Row, report: &mut Report) -> Result<(), Trouble> {
    bench.serve_declared()?;
    bench.net_up()?;
    let web = bench.web()?;
    let label = bench.dossier().device.sample.label.clone().ok_or_else(|| Trouble::IxitMissing("[sample] label of device.toml".to_owned()))?;
    let mut usable = Vec::new();
    let functions: Vec<_> = bench.dossier().ixit.rows(13).iter().filter_map(|r| r.serv()).flat_map(|s| s.functions.clone()).collect();
    for f in functions.iter().filter(|f| f.role != "anybody" && !f.destructive) {
        if done(bench, &f.request, &[("value", "Early"), ("secret", "Early-8-bytes")])? {
            usable.push(f.name.clone());
        }
    }
    let as_owner = Credential { user: web.user.clone(), secret: label.secret.clone() };
    if let WebLogin::In(_) = bench.web_login(&as_owner)? {
        usable.push("a session with the label's secret".to_owned());
    }
    if let Some(set_up) = &web.set_up {
        for (how, secret) in [("no secret", ""), ("the label's secret", label.secret.as_str()), ("a secret of one character", "x")] {
            let decisions = decisions(bench);
            let mut params: Vec<(&str, &str)> = vec![("user", &label.user), ("label", &label.secret), ("secret", secret)];
            params.extend(decisions.iter().map(|(n, v)| (n.as_str(), v.as_str())));
            if done(bench, set_up, &params)? {
                usable.push(format!("set-up with {how}"));
                break;
            }
        }
    }
    let expected = "no function but the public ones is usable, and set-up wants a secret of the owner's own";
    if !usable.is_empty() {
        report.violated(bench, B, expected, &format!("usable: {}", usable.join(", ")));
        return Ok(());
    }
    bench.set_up(&[])?;
    let right = owner(bench)?;
    if !matches!(bench.web_login(&right)?, WebLogin::In(_)) {
        return Err(Trouble::NoOpportunity("the secret of the declared set-up does not log in".to_owned()));
    }
    bench.strength(format!("{} functions as a stranger, the label's secret, 3 ways to set up without a secret of one's own", functions.len()));
    report.satisfied(bench, B, expected, "all were refused until the declared set-up was done");
    Ok(())
}

/// Whether a request was carried out. A device that ends the connection has not done it; one that is silent has not refused it either.
fn done(bench: &mut Bench, request: &HttpAction, params: &[(&str, &str)]) -> Result<bool, Trouble> {
    match bench.http(request, params)? {
        HttpSeen::Answer(a) => Ok(bench.matches(&request.expect, &a)?.is_some()),
        silent @ HttpSeen::Silent(_) => Err(Trouble::Unreachable(format!("{} {}: {}", request.method, request.path, silent.words()))),
        HttpSeen::Refused | HttpSeen::Unsecured(_) | HttpSeen::Ended(_) => Ok(false),
    }
}

/// Each decision of set-up with its first option.
fn decisions(bench: &Bench) -> Vec<(String, String)> {
    let rows = bench.dossier().ixit.rows(26).iter();
    rows.filter_map(|r| r.dec().filter(|d| d.asked_at_set_up).and_then(|d| Some((r.id.row.to_ascii_lowercase(), d.options.first()?.clone()))))
        .collect()
}

fn known_pairs(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let declared = row.auth().map_or_else(|| Err(Trouble::IxitMissing("a binding of 1-AuthMech".to_owned())), Declared::of)?;
    let label = bench.dossier().device.sample.label.clone();
    bench.at_home()?;
    let user = bench.web()?.user;
    let mut pairs: Vec<(String, String)> = KNOWN.iter().map(|(u, s)| ((*u).to_owned(), (*s).to_owned())).collect();
    pairs.extend(label.map(|l| (user, l.secret)));
    let mut taken = Vec::new();
    for (n, (user, secret)) in pairs.iter().enumerate() {
        // The owner logs in before the tries are used up.
        if (n as u32).is_multiple_of((declared.tries - 1).max(1)) {
            clear(bench, &declared)?;
        }
        match bench.web_login(&Credential { user: user.clone(), secret: secret.clone() })? {
            WebLogin::In(_) => taken.push(if n + 1 == pairs.len() { format!("{user} with the label's secret") } else { format!("{user}/{secret}") }),
            WebLogin::Refused(_) => {}
            WebLogin::Locked(words) | WebLogin::Other(words) => {
                return Err(Trouble::NoOpportunity(format!("a known pair was neither taken nor refused: {words}")));
            }
        }
    }
    clear(bench, &declared)?;
    bench.strength(format!("one unit, {} known pairs and the label's secret", KNOWN.len()));
    let expected = "no secret but the one that the owner chose logs in";
    match taken.is_empty() {
        true => report.satisfied(bench, C, expected, &format!("{} pairs were refused", pairs.len())),
        false => report.violated(bench, C, expected, &format!("taken: {}", taken.join(", "))),
    }
    Ok(())
}

/// Sessions that are compared with one another.
const SESSIONS: usize = 6;

fn channel(bench: &mut Bench, _: &Row, report: &mut Report) -> Result<(), Trouble> {
    bench.at_home()?;
    let web = bench.web()?;
    let right = owner(bench)?;
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        match bench.web_login(&right)? {
            WebLogin::In(session) => sessions.push(session),
            other => return Err(Trouble::NoOpportunity(format!("the declared login does not work: {other:?}"))),
        }
    }
    let (_, bytes) = bench.request(&web.login, &[("user", &right.user), ("secret", &right.secret)])?;
    let (mut wrong, mut ports) = (Vec::new(), 0u32);
    for port in crate::exposure::open_ports(bench)? {
        ports += 1;
        let seen = bench.http_bytes(&Dial::plain(port), &bytes, ANSWER)?;
        if let WebLogin::In(_) = bench.login_outcome(&web, &seen)? {
            wrong.push(format!("the login was taken without TLS on port {port}"));
        }
    }
    if let Some(why) = related(&sessions) {
        wrong.push(why);
    }
    if !matches!(bench.web_login(&right)?, WebLogin::In(_)) {
        return Err(Trouble::NoOpportunity("the declared login does not work any more".to_owned()));
    }
    bench.strength(format!("the right login without TLS on {ports} open ports; {SESSIONS} sessions compared"));
    let expected = "the login is taken with TLS only, and a session tells nothing about the next";
    match wrong.is_empty() {
        true => report.satisfied(bench, METHOD, expected, "no other way was taken; the sessions have nothing in common"),
        false => report.violated(bench, METHOD, expected, &wrong.join("; ")),
    }
    Ok(())
}

/// What sessions have in common, if they have more than chance gives them: equal ones, or most of their characters in the same places.
fn related(sessions: &[String]) -> Option<String> {
    for (n, a) in sessions.iter().enumerate() {
        for b in &sessions[n + 1..] {
            let same = a.bytes().zip(b.bytes()).filter(|(x, y)| x == y).count();
            let most = a.len().max(b.len());
            if a == b || most < 16 || same * 2 > most {
                return Some(format!("two sessions agree in {same} of {most} characters"));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_short_sessions_are_related_and_random_ones_are_not() {
        let text = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        assert!(related(&text(&["00000000000000000000000000000001", "00000000000000000000000000000002"])).is_some());
        assert!(related(&text(&["abcd", "efgh"])).is_some());
        assert!(related(&text(&["3f9a1c77e2b04d5586c1aa90be17f263", "c4d80e6b19f7325aa1e94c0dd26b8357"])).is_none());
    }
}
