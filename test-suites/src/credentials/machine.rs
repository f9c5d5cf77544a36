//! How the device proves itself to machines.
//!
//! Purpose: 5.1-3-2 a (real logins are made by the declared mechanism, and a weaker one cannot be forced). Supports 5.1-2A-2 b of V2.1.1 (a channel between
//! machines does not do with a password), which has no unit in V1.1.1. Procedure, per row of 1-AuthMech that is a certificate of the device: every connection
//! of the clients that are declared to show one, with an honest service, with one that refuses the login as wrong and as not authorized, and again with an
//! honest one. Verdict: VIOLATED by a session that begins without the certificate, or that carries a user name or password which is not the declared token.
//! Control: a session with the certificate begins before and after; each kind of refusal was met by several attempts.

use super::{BUDGET, NEEDS};
use crate::report::{Report, each_row};
use proofbench_channel::network::{BrokerConduct, Certificate, Front, Seen, Sight, Trade};
use proofbench_model::bind::{AuthBind, ComBind};
use proofbench_model::dossier::Row;
use proofbench_runner::{Bench, Check, Trouble};
use std::collections::BTreeMap;
use std::time::Duration;

const A: &str = "5.1-3-2 a";
/// Refusals of MQTT 3.1.1: wrong user name or password; not authorized.
const REFUSALS: [(&str, u8); 2] = [("a refusal of the password", 4), ("a refusal as not authorized", 5)];
/// Attempts with each kind of service.
const ATTEMPTS: usize = 6;

/// Row 10.
pub const MACHINE: Check = Check {
    id: "credentials/machine-login",
    title: "the device proves itself to its services by certificate, and by nothing less when that is refused",
    units: &[A],
    table: Some(1),
    row_wanted: Some(|row| row.auth().is_some_and(|a| a.over == "certificate")),
    needs: NEEDS,
    permissions: &[],
    defects: &["cloud-password-only", "cloud-password-after-refusal", "secret-as-mqtt-user"],
    twins: &["cloud-token-as-password", "retry-slower", "hello-other-order", "slow-boot", "event-after-pause"],
    control: "sessions with the certificate begin before and after the refusals",
    budget: BUDGET,
    run: |bench| each_row(bench, &[A], machine),
};

/// What is wrong with the sessions among these sights, and how many there were.
fn sessions(sights: &[Seen], com: &ComBind, auth: &AuthBind) -> (usize, Vec<String>) {
    let mut identity: BTreeMap<u64, bool> = BTreeMap::new();
    let (mut count, mut wrong) = (0, Vec::new());
    for s in sights.iter().filter(|s| Some(s.host.as_str()) == com.host.as_deref()) {
        match &s.sight {
            Sight::Secured { client, .. } => {
                identity.insert(s.conn, client.is_some());
            }
            Sight::Connect { user, secret, .. } => {
                count += 1;
                let token = auth.token_user.as_ref().zip(user.as_ref()).is_some_and(|(p, u)| crate::text::matches(p, u));
                let with = match (user, secret) {
                    (Some(user), true) => format!("with the user name `{}` and a password", crate::text::shown(user.as_bytes(), 40)),
                    (Some(user), false) => format!("with the user name `{}`", crate::text::shown(user.as_bytes(), 40)),
                    (None, true) => "with a password".to_owned(),
                    (None, false) => "with nothing".to_owned(),
                };
                if identity.get(&s.conn) != Some(&true) {
                    wrong.push(format!("a session on port {} without the certificate, {with}", s.port));
                } else if (user.is_some() || *secret) && !token {
                    wrong.push(format!("a session on port {} {with}, beside the certificate and not declared", s.port));
                }
            }
            Sight::Request { target, .. } => {
                count += 1;
                if identity.get(&s.conn) != Some(&true) {
                    wrong.push(format!("a request for {} without the certificate", crate::text::shown(target.as_bytes(), 80)));
                }
            }
            _ => {}
        }
    }
    wrong.dedup();
    (count, wrong)
}

/// Waits until so many sessions began, or the device had the time that it takes by its own declaration.
fn begun(bench: &mut Bench, com: &ComBind, most: usize) -> Result<usize, Trouble> {
    let mut n = 0;
    let patience = Duration::from_millis(com.retry.as_ref().map_or(0, |r| 2 * r.most_ms).max(com.within_ms.unwrap_or(0)) + 60_000);
    while n < most {
        let host = com.host.clone();
        let session = |s: &Seen| Some(&s.host) == host.as_ref() && matches!(s.sight, Sight::Connect { .. } | Sight::Request { .. });
        if bench.watch_for(patience, session)?.is_none() {
            break;
        }
        n += 1;
    }
    Ok(n)
}

fn machine(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let Some(auth) = row.auth().cloned() else { return Ok(()) };
    let clients: Vec<ComBind> = bench.clients().into_iter().map(|(_, c)| c).filter(|c| c.client_certificate && c.host.is_some()).collect();
    let Some(com) = clients.into_iter().find(|c| c.protocol == "mqtt") else {
        return Err(Trouble::IxitMissing("a client of 11-ComMech over MQTT that shows a certificate".to_owned()));
    };
    let (mut wrong, mut strength) = (Vec::new(), Vec::new());
    bench.at_home()?;
    for how in ["an honest service", REFUSALS[0].0, REFUSALS[1].0, "an honest service again"] {
        let refusal = REFUSALS.iter().find(|(name, _)| *name == how).map(|(_, code)| *code);
        match refusal {
            Some(code) => bench.serve_as(&com, Front::Tls(Certificate::Good), Trade::Broker(BrokerConduct::Refuse(code)))?,
            None => bench.serve_declared()?,
        }
        // What is connected has no reason to come again: the link goes for a moment.
        bench.net_down()?;
        bench.sleep(Duration::from_secs(1))?;
        bench.forget_sights()?;
        bench.net_up()?;
        let least = if refusal.is_some() { ATTEMPTS } else { 1 };
        begun(bench, &com, least)?;
        let (count, found) = sessions(bench.sights(), &com, &auth);
        strength.push(format!("{count} sessions with {how}"));
        if count < least && found.is_empty() && wrong.is_empty() {
            return Err(Trouble::NoOpportunity(format!("{count} sessions with {how}: too few to say what the device falls back to")));
        }
        wrong.extend(found.into_iter().map(|w| format!("{w}, with {how}")));
    }
    bench.strength(strength.join(", "));
    wrong.truncate(6);
    let expected = "each session begins with the unit's certificate and without a password";
    match wrong.is_empty() {
        true => report.satisfied(bench, A, expected, "each did, before, during and after the refusals"),
        false => report.violated(bench, A, expected, &wrong.join("; ")),
    }
    Ok(())
}
