//! Deletion over the network: by the device's own interface, at its service, and what a deletion leaves of sessions and guests.
//!
//! Purpose: 5.11-1-2 (row 75 of the checks, and the functions of 25-DelFunc that take the network), 5.11-2-2 a and b and 5.11-4-1 for data at a service (rows 78
//! and 79). Whether the service itself deletes cannot be seen here: the lab stands in its place, and sees what the device asks of it.

use super::BUDGET;
use super::canary::Planted;
use super::erase;
use super::route::{Ran, Route};
use crate::credentials::{alive, guest, owner, probe};
use crate::report::{Report, each_row};
use proofbench_channel::network::{Front, Sight};
use proofbench_model::bind::{ComBind, ServiceDelBind};
use proofbench_model::dossier::Row;
use proofbench_runner::bench::{Did, WebLogin};
use proofbench_runner::{Bench, Capability, Check, Permission, Trouble};
use std::time::Duration;

const NEEDS: &[Capability] = &[Capability::Console, Capability::Power, Capability::Network];
const ERASED: &[&str] = &["5.11-1-2 a", "5.11-1-2 b", "5.11-1-2 c"];
const SESSION: &[&str] = &["5.11-1-2 c"];
const AT_SERVICE: &[&str] = &["5.11-2-2 a", "5.11-2-2 b", "5.11-4-1 a", "5.11-4-1 b"];
const TWINS: &[&str] = &["crypto-erase", "slow-boot", "session-short", "closes-after-answer"];

/// Row 74 by the device's own interface.
pub const OVER_NETWORK: Check = Check {
    id: "reset/over-network",
    title: "a deletion that the owner asks for over the network leaves nothing of the user's data and credentials",
    units: ERASED,
    table: Some(25),
    row_wanted: Some(|row| row.del_any().is_some_and(|d| !d.at_device() && d.service.is_none())),
    needs: NEEDS,
    permissions: &[Permission::FactoryReset],
    defects: &["reset-web-half", "reset-keeps-userdata", "reset-keeps-password"],
    twins: TWINS,
    control: "every canary read back, password and token used with success before the reset",
    budget: BUDGET,
    run: |bench| {
        each_row(bench, ERASED, |bench, row, report| {
            bench.at_home()?;
            erase::erases(bench, row, report)
        })
    },
};

/// Row 75.
pub const SESSIONS: Check = Check {
    id: "reset/sessions",
    title: "after a deletion no session, guest or secret from before opens the device's own interface",
    units: SESSION,
    table: Some(25),
    row_wanted: Some(|row| row.del_any().is_some_and(|d| d.service.is_none())),
    needs: NEEDS,
    permissions: &[Permission::FactoryReset],
    defects: &["session-survives-reset", "guest-survives-reset"],
    twins: TWINS,
    control: "session, guest and secret worked before; the next owner's work afterwards",
    budget: BUDGET,
    run: |bench| each_row(bench, SESSION, sessions),
};

/// Rows 78 and 79.
pub const SERVICE: Check = Check {
    id: "reset/service-data",
    title: "a deletion at the service reaches it, and is called done when the service has acknowledged it",
    units: AT_SERVICE,
    table: Some(25),
    row_wanted: Some(|row| row.del_any().is_some_and(|d| d.service.is_some())),
    needs: NEEDS,
    permissions: &[],
    defects: &["delete-said-done", "delete-dropped"],
    twins: &["delete-later", "event-after-pause", "slow-boot", "session-short"],
    control: "the device was seen to use the service before, and the request reached it when it was there again",
    budget: Duration::from_secs(24 * 3600),
    run: |bench| each_row(bench, AT_SERVICE, service_data),
};

fn sessions(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    bench.at_home()?;
    let probe = probe(bench)?;
    let planted = Planted::plant(bench, &[], "sessions")?;
    let route = Route::new(bench, row, &planted)?;
    let before = owner(bench)?;
    let guest = guest(bench)?;
    let session = match bench.web_login(&before)? {
        WebLogin::In(session) => session,
        other => return Err(Trouble::NoOpportunity(format!("the owner's secret does not log in: {other:?}"))),
    };
    if !alive(bench, &probe, &session)? {
        return Err(Trouble::NoOpportunity("a fresh session does not work".to_owned()));
    }
    let Ran { did, boot, .. } = route.run(bench)?;
    if boot.is_none() {
        return Err(Trouble::Precondition(format!("{}: {}, and the device was not ready in time", route.id, erase::said(&did))));
    }
    bench.net_up()?;
    let mut wrong = Vec::new();
    for when in ["after it", "after the next owner has set the device up"] {
        if when != "after it" {
            bench.set_up(&[])?;
        }
        if alive(bench, &probe, &session)? {
            wrong.push(format!("the owner's session works {when}"));
        }
        if let Some((credential, session)) = &guest {
            if alive(bench, &probe, session)? {
                wrong.push(format!("the guest's session works {when}"));
            }
            if matches!(bench.web_login(credential)?, WebLogin::In(_)) {
                wrong.push(format!("the guest's secret is taken {when}"));
            }
        }
        if matches!(bench.web_login(&before)?, WebLogin::In(_)) {
            wrong.push(format!("the owner's secret is taken {when}"));
        }
    }
    let fresh = bench.web_session()?;
    if !alive(bench, &probe, &fresh)? {
        return Err(Trouble::NoOpportunity("the next owner's session does not work".to_owned()));
    }
    let expected = "what opened the device's own interface before the deletion opens it no more";
    match wrong.is_empty() {
        true => report.satisfied(bench, SESSION[0], expected, &format!("{}: session, guest and secret of the owner before were refused", route.id)),
        false => report.violated(bench, SESSION[0], expected, &format!("{}: {}", route.id, wrong.join("; "))),
    }
    Ok(())
}

fn service_data(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let bind = row.del_any().cloned().ok_or_else(|| Trouble::IxitMissing(format!("binding of row {}", row.id)))?;
    let service = bind.service.clone().ok_or_else(|| Trouble::IxitMissing(format!("`service` of row {}", row.id)))?;
    let com = bench.clients().into_iter().find(|(r, _)| r.id.row == service.over).map(|(_, com)| com);
    let com = com.ok_or_else(|| Trouble::IxitMissing(format!("a binding of row {} of 11-ComMech", service.over)))?;
    let topic = service.topic.replace("{serial}", &bench.dossier().device.sample.serial);
    let within = Duration::from_millis(service.within_ms);
    let patience = Duration::from_millis(com.retry.as_ref().map_or(0, |r| 2 * r.most_ms).max(com.within_ms.unwrap_or(0)) + 60_000);
    bench.at_home()?;
    if !published(bench, &com, patience, None)? {
        return Err(Trouble::NoOpportunity("the device sent nothing to its service".to_owned()));
    }
    report.satisfied(bench, AT_SERVICE[0], "data of the user are at the service", "the device was seen to send there");
    // The service goes away: nobody can have acknowledged anything.
    let trade = bench.honest(&com).map(|s| s.trade).ok_or_else(|| Trouble::IxitMissing("a host of a client of 11-ComMech".to_owned()))?;
    bench.serve_as(&com, Front::HangUp, trade.clone())?;
    bench.watch(Duration::from_secs(5))?;
    bench.forget_sights()?;
    match bench.perform(&bind.start, &[])? {
        Did::Done { .. } => {}
        other => return Err(Trouble::Precondition(format!("the deletion could not be asked for: {}", erase::said(&other)))),
    }
    bench.watch(Duration::from_secs(60))?;
    let early = progress(bench, &service)?;
    if bench.sights().iter().any(|s| matches!(s.sight, Sight::Published { .. })) {
        return Err(Trouble::NoOpportunity("the service was to be away, and the device reached it".to_owned()));
    }
    bench.serve_as(&com, Front::Tls(proofbench_channel::network::Certificate::Good), trade)?;
    let reached = published(bench, &com, patience + within, Some(&topic))?;
    let back = published(bench, &com, patience, None)?;
    if !reached && !back {
        return Err(Trouble::NoOpportunity("the device did not come back to its service".to_owned()));
    }
    let expected = "the request reaches the service, and until the service has acknowledged it nobody is told that it is done";
    let end = bench.now() + within;
    let mut last = progress(bench, &service)?;
    while reached && last != service.done && bench.now() < end {
        bench.watch(Duration::from_secs(5))?;
        last = progress(bench, &service)?;
    }
    match (reached, last == service.done) {
        (true, true) => {
            report.satisfied(bench, AT_SERVICE[1], expected, &format!("the request came on {topic}, and afterwards the device says `{last}`"))
        }
        (true, false) => report.violated(bench, AT_SERVICE[1], expected, &format!("the request came, and {within:?} later the device says `{last}`")),
        (false, _) => report.violated(
            bench,
            AT_SERVICE[1],
            expected,
            &format!("no request came within {:?} although the device uses the service; it says `{last}`", patience + within),
        ),
    }
    let told = "the deletion is confirmed";
    match last == service.done {
        true => report.satisfied(bench, AT_SERVICE[2], told, &format!("the device says `{last}`")),
        false => report.violated(bench, AT_SERVICE[2], told, &format!("the device says `{last}`")),
    }
    let truth = "it is not confirmed before it was done";
    match early == service.done {
        false => report.satisfied(bench, AT_SERVICE[3], truth, &format!("`{early}` while the service was away")),
        true => report.violated(bench, AT_SERVICE[3], truth, &format!("the device says `{early}` while the service was away")),
    }
    Ok(())
}

/// Waits until the device publishes on its service, on this topic where one is named.
fn published(bench: &mut Bench, com: &ComBind, within: Duration, on: Option<&str>) -> Result<bool, Trouble> {
    let here = |host: &str, port: u16| Some(host) == com.host.as_deref() && port == com.port;
    let found = bench.watch_for(within, |s| match &s.sight {
        Sight::Published { topic, .. } => here(&s.host, s.port) && on.is_none_or(|t| t == topic),
        _ => false,
    })?;
    Ok(found.is_some())
}

fn progress(bench: &mut Bench, service: &ServiceDelBind) -> Result<String, Trouble> {
    match bench.perform(&service.progress, &[])? {
        Did::Done { value: Some(word), .. } => Ok(word),
        other => Err(Trouble::Unreachable(format!("what became of the deletion was not told: {}", erase::said(&other)))),
    }
}
