//! Secrets on their way to the device.
//!
//! Purpose: 5.5-6-2 a (a critical parameter goes by the declared, secured mechanism and by no weaker one). Procedure, per row of 10-SecParam that is handed over
//! on the network: the very request that works with TLS is made in clear at every open TCP port. Verdict: VIOLATED by one that is carried out. Control: the same
//! request with TLS is carried out before and after. What protects the radio on which a device is set up is not looked at: this is about the way above it.

use super::BUDGET;
use super::offers::NEEDS;
use crate::report::{Report, each_row};
use proofbench_channel::network::Dial;
use proofbench_model::bind::HttpAction;
use proofbench_model::dossier::Row;
use proofbench_runner::bench::HttpSeen;
use proofbench_runner::{Bench, Check, Trouble};
use std::time::Duration;

const A: &str = "5.5-6-2 a";
const ANSWER: Duration = Duration::from_secs(3);

/// Row 44, above the radio.
pub const HAND_OVER: Check = Check {
    id: "communication/key-handover",
    title: "a secret that the owner hands over is not taken in clear",
    units: &[A],
    table: Some(10),
    row_wanted: Some(|row| row.store().is_some_and(|s| s.hand_over.as_ref().is_some_and(|h| h.tls))),
    needs: NEEDS,
    permissions: &[],
    defects: &["key-over-plain-http", "setup-port-stays"],
    twins: &["redirect-permanent", "closes-strangers", "plain-error-page", "session-short", "slow-boot"],
    control: "the same request with TLS is carried out before and after",
    budget: BUDGET,
    run: |bench| each_row(bench, &[A], hand_over),
};

/// The request and where it goes, with a session of the owner.
fn request(bench: &mut Bench, h: &HttpAction, value: &str) -> Result<(Dial, Vec<u8>), Trouble> {
    let session = if h.login { Some(bench.web_session()?) } else { None };
    let mut params = vec![("value", value)];
    params.extend(session.iter().map(|s| ("session", s.as_str())));
    bench.request(h, &params)
}

fn done(bench: &mut Bench, h: &HttpAction, seen: &HttpSeen) -> Result<bool, Trouble> {
    match seen {
        HttpSeen::Answer(a) => Ok(bench.matches(&h.expect, a)?.is_some()),
        _ => Ok(false),
    }
}

/// That the request with TLS is carried out.
fn control(bench: &mut Bench, h: &HttpAction, value: &str) -> Result<(), Trouble> {
    // A session that has ended says nothing about the request.
    bench.forget_web_session();
    let (dial, bytes) = request(bench, h, value)?;
    let seen = bench.http_bytes(&dial, &bytes, Duration::from_millis(h.within_ms))?;
    match done(bench, h, &seen)? {
        true => Ok(()),
        false => Err(Trouble::NoOpportunity(format!("the declared request is not carried out with TLS either: {}", seen.words()))),
    }
}

fn hand_over(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let h = row.store().and_then(|s| s.hand_over.clone()).ok_or_else(|| Trouble::IxitMissing("`hand-over` of a row of 10-SecParam".to_owned()))?;
    bench.at_home()?;
    let value = format!("Handed-{:08x}", bench.seed() as u32);
    control(bench, &h, &value)?;
    let (mut taken, mut ports) = (Vec::new(), 0u32);
    for port in crate::exposure::open_ports(bench)? {
        ports += 1;
        bench.forget_web_session();
        let (_, bytes) = request(bench, &h, &value)?;
        let seen = bench.http_bytes(&Dial::plain(port), &bytes, ANSWER)?;
        if done(bench, &h, &seen)? {
            taken.push(port.to_string());
        }
    }
    control(bench, &h, &value)?;
    bench.strength(format!("the request of {} in clear at {ports} open ports", row.id.row));
    let expected = "the request is carried out with TLS only";
    match taken.is_empty() {
        true => report.satisfied(bench, A, expected, "no open port took it in clear"),
        false => report.violated(bench, A, expected, &format!("taken in clear at TCP {}", taken.join(", "))),
    }
    Ok(())
}
