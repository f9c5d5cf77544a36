//! Certificates that a device must refuse.
//!
//! Purpose: 5.5-1-2 a (the declared security guarantees hold). Procedure, per connection that the device begins: the good certificate first (control), then
//! each bad one of the matrix, then the good one again; each time the lab waits for an attempt. Verdict: VIOLATED if a handshake ends well on a certificate
//! that the declared guarantees exclude; what the device then sent is evidence. An attempt that is not seen leaves the row unresolved: a device that does not
//! come has refused nothing.

use super::BUDGET;
use crate::report::{Report, each_row};
use proofbench_channel::network::{Certificate, Front, Seen, Sight};
use proofbench_model::bind::ComBind;
use proofbench_model::dossier::Row;
use proofbench_runner::bench::Did;
use proofbench_runner::{Bench, Capability, Check, Trouble};
use std::time::Duration;

const A: &str = "5.5-1-2 a";
const UNITS: &[&str] = &[A];

/// Row 41.
pub const REFUSED: Check = Check {
    id: "communication/certificates",
    title: "a connection that the device begins refuses every certificate but the right one",
    units: UNITS,
    table: Some(11),
    row_wanted: Some(|row| row.com().is_some_and(|c| c.role == "client" && c.tls.is_some() && c.host.is_some())),
    needs: &[Capability::Console, Capability::Power, Capability::Network],
    permissions: &[],
    defects: &[
        "tls-unverified-cloud",
        "tls-unverified-updates",
        "tls-name-unchecked",
        "tls-time-unchecked",
        "tls-leaf-as-ca",
        "tls-usage-unchecked",
        "tls-weak-ok",
        "tls-cn-ok",
    ],
    twins: &["slow-boot", "noisy-log", "manifest-twice", "time-asked-twice", "net-retry-next-day"],
    control: "the good certificate is taken before and after the bad ones, on the same connection",
    budget: BUDGET,
    run: |bench| each_row(bench, UNITS, refused),
};

/// What an attempt came to.
enum Came {
    /// The device took the certificate.
    Took,
    /// It ended the handshake, in these words.
    Declined(String),
}

fn refused(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let Some(com) = row.com().cloned() else { return Ok(()) };
    bench.at_home()?;
    control(bench, &com, "before")?;
    let mut taken = Vec::new();
    for bad in Certificate::BAD {
        show(bench, &com, bad)?;
        match attempt(bench, &com, bad)? {
            Some(Came::Took) => taken.push(bad.id()),
            Some(Came::Declined(_)) => {}
            None => return Err(Trouble::NoOpportunity(format!("no attempt was seen while the lab showed the certificate {}", bad.id()))),
        }
    }
    control(bench, &com, "after")?;
    bench.strength(format!("{} bad certificates, one attempt each", Certificate::BAD.len()));
    let expected = "the device ends the handshake with every certificate but the right one";
    if taken.is_empty() {
        report.satisfied(bench, A, expected, "every bad certificate was refused, the good one taken before and after");
    } else {
        report.violated(bench, A, expected, &format!("the device took the certificate {}", taken.join(", ")));
    }
    Ok(())
}

fn show(bench: &mut Bench, com: &ComBind, shown: Certificate) -> Result<(), Trouble> {
    let trade = bench.honest(com).map(|s| s.trade).ok_or_else(|| Trouble::IxitMissing("a host of a client of 11-ComMech".to_owned()))?;
    // Whatever is open goes first: the next connection meets the new certificate.
    bench.serve_as(com, Front::HangUp, trade.clone())?;
    bench.serve_as(com, Front::Tls(shown), trade)?;
    bench.forget_sights()
}

fn control(bench: &mut Bench, com: &ComBind, when: &str) -> Result<(), Trouble> {
    show(bench, com, Certificate::Good)?;
    match attempt(bench, com, Certificate::Good)? {
        Some(Came::Took) => Ok(()),
        Some(Came::Declined(why)) => Err(Trouble::NoOpportunity(format!("the device refused the good certificate {when} the bad ones: {why}"))),
        None => Err(Trouble::NoOpportunity(format!("the device did not connect {when} the bad certificates were shown"))),
    }
}

/// The next attempt of the device on this connection, made by its trigger where it has one, awaited for as long as it may take otherwise.
fn attempt(bench: &mut Bench, com: &ComBind, asked: Certificate) -> Result<Option<Came>, Trouble> {
    let most = com.retry.as_ref().map_or(0, |r| 2 * r.most_ms).max(com.within_ms.unwrap_or(0)) + 60_000;
    let here = |s: &Seen| Some(s.host.as_str()) == com.host.as_deref() && s.port == com.port;
    let ends = |s: &Seen| here(s) && matches!(s.sight, Sight::Secured { .. } | Sight::Declined { .. });
    if let Some(trigger) = &com.trigger {
        // A device that is busy says so; it comes by itself then.
        let _busy: Did = bench.perform(trigger, &[])?;
    }
    let Some(n) = bench.watch_for(Duration::from_millis(most), ends)? else { return Ok(None) };
    match bench.sights().get(n).map(|s| s.sight.clone()) {
        Some(Sight::Declined { shown: Some(shown), why }) if shown == asked => Ok(Some(Came::Declined(why))),
        Some(Sight::Secured { shown, .. }) if shown == asked => Ok(Some(Came::Took)),
        other => Err(Trouble::RigFault(format!("the lab was to show the certificate {}, and this came of it: {other:?}", asked.id()))),
    }
}
