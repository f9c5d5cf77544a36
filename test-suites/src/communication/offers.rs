//! What is offered of TLS.
//!
//! Purpose: 5.5-1-2 a (the cryptography is the declared one). Procedure: the ClientHello of each connection that the device begins, the versions and suites that
//! each of its servers takes, against the row; weaker and other both count. Verdict: VIOLATED by anything that is offered or taken and not declared, or
//! declared and missing. Control: a handshake with the device ends well in the same run. A version about which the scan learnt nothing leaves the row unresolved.

use super::BUDGET;
use super::attempt::{here, next_attempt};
use crate::report::{Report, each_row};
use proofbench_channel::network::{Dial, Dialled, End, Hello, Sight};
use proofbench_model::Reason;
use proofbench_model::bind::TlsTerms;
use proofbench_model::dossier::Row;
use proofbench_runner::{Bench, Capability, Check, Trouble};
use std::collections::BTreeSet;
use std::time::Duration;

pub(super) const A: &str = "5.5-1-2 a";
pub(super) const NEEDS: &[Capability] = &[Capability::Console, Capability::Power, Capability::Network];

/// Row 39.
pub const HELLO: Check = Check {
    id: "communication/client-hello",
    title: "what the device offers when it begins TLS is what is declared",
    units: &[A],
    table: Some(11),
    row_wanted: Some(|row| row.com().is_some_and(|c| c.role == "client" && c.tls.is_some() && c.host.is_some())),
    needs: NEEDS,
    permissions: &[],
    defects: &["hello-offers-tls10", "hello-undeclared-suite", "hello-without-name"],
    twins: &["hello-other-order", "slow-boot", "manifest-twice"],
    control: "the handshake that began with this hello ends well",
    budget: BUDGET,
    run: |bench| each_row(bench, &[A], hello),
};

/// Row 40.
pub const SERVER: Check = Check {
    id: "communication/server-offer",
    title: "what the device's own servers take of TLS is what is declared",
    units: &[A],
    table: Some(11),
    row_wanted: Some(|row| row.com().is_some_and(|c| c.role == "server" && c.tls.is_some())),
    needs: NEEDS,
    permissions: &[],
    defects: &["server-takes-tls10", "server-undeclared-suite"],
    twins: &["closes-strangers", "slow-boot", "closes-after-answer", "web-slow-start"],
    control: "a handshake with the server ends well before and after the scan",
    budget: BUDGET,
    run: |bench| each_row(bench, &[A], server),
};

/// What is in one and not in the other, in words.
fn differences(declared: &TlsTerms, versions: &BTreeSet<String>, suites: &BTreeSet<String>) -> Vec<String> {
    let meant: BTreeSet<String> = declared.values().flatten().cloned().collect();
    let named: BTreeSet<String> = declared.keys().cloned().collect();
    let mut out = Vec::new();
    let mut tell = |what: &str, list: Vec<&String>| {
        if !list.is_empty() {
            out.push(format!("{what} {}", list.into_iter().cloned().collect::<Vec<_>>().join(", ")));
        }
    };
    tell("offers undeclared", versions.difference(&named).collect());
    tell("does not offer", named.difference(versions).collect());
    tell("offers undeclared", suites.difference(&meant).collect());
    tell("does not offer", meant.difference(suites).collect());
    out
}

fn hello(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let Some(com) = row.com().cloned() else { return Ok(()) };
    let Some(declared) = &com.tls else { return Ok(()) };
    bench.at_home()?;
    bench.forget_sights()?;
    let Some(n) = next_attempt(bench, &com, |s| matches!(s, Sight::Secured { .. }))? else {
        return Err(Trouble::NoOpportunity("no handshake of the device ended well".to_owned()));
    };
    let conn = bench.sights().get(n).map(|s| s.conn);
    // What was said before the connection that ended well was offered too, to a server that was the same.
    let said = bench.sights().iter().take(n).filter(|s| here(&com, s)).filter_map(|s| match &s.sight {
        Sight::Dialled { hello: Some(hello) } => Some((s.conn, hello.clone())),
        _ => None,
    });
    let said: Vec<(u64, Hello)> = said.collect();
    if said.last().map(|(c, _)| *c) != conn {
        return Err(Trouble::RigFault("a handshake ended well whose hello the lab did not see".to_owned()));
    }
    let offered = |what: fn(&Hello) -> &Vec<String>| said.iter().flat_map(|(_, h)| what(h).clone()).collect::<BTreeSet<_>>();
    let (versions, suites) = (offered(|h| &h.versions), offered(|h| &h.suites));
    let mut wrong = differences(declared, &versions, &suites);
    if let Some((_, unnamed)) = said.iter().find(|(_, h)| h.name != com.host) {
        wrong.push(format!("asks for the server {:?}", unnamed.name));
    }
    let expected = "the hello offers the declared versions and suites, no more and no less, and names the server";
    let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(", ");
    let words = format!("{}; {}; {} hello(s) until a handshake ended well", list(&versions), list(&suites), said.len());
    match wrong.is_empty() {
        true => report.satisfied(bench, A, expected, &words),
        false => report.violated(bench, A, expected, &format!("{}; hello: {words}", wrong.join("; "))),
    }
    Ok(())
}

fn server(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let Some(com) = row.com().cloned() else { return Ok(()) };
    let Some(declared) = &com.tls else { return Ok(()) };
    bench.at_home()?;
    handshake(bench, com.port)?;
    let wait = bench.wait(Duration::from_secs(120));
    let offer = bench.network()?.tls_offer(com.port, &wait)?;
    handshake(bench, com.port)?;
    if !offer.unknown.is_empty() {
        let why = format!("nothing was learnt about {}", offer.unknown.join(", "));
        report.unresolved(bench, A, Reason::NoOpportunity, &why);
        return Ok(());
    }
    let versions = offer.taken.iter().filter(|(_, s)| !s.is_empty()).map(|(v, _)| v.clone()).collect();
    let suites = offer.taken.iter().flat_map(|(_, s)| s.clone()).collect();
    let wrong = differences(declared, &versions, &suites);
    let expected = "the server takes the declared versions and suites, no more and no less";
    let words = offer.taken.iter().map(|(v, s)| format!("{v}: {}", s.join(", "))).collect::<Vec<_>>().join("; ");
    match wrong.is_empty() {
        true => report.satisfied(bench, A, expected, &words),
        false => report.violated(bench, A, expected, &format!("{}; taken: {words}", wrong.join("; "))),
    }
    Ok(())
}

fn handshake(bench: &mut Bench, port: u16) -> Result<(), Trouble> {
    let wait = bench.wait(Duration::from_secs(10));
    match bench.network()?.connect(&Dial::tls(port), &wait)? {
        Dialled::Open(conn, Some(_)) => Ok(bench.network()?.close(conn, End::Fin)?),
        other => Err(Trouble::NoOpportunity(format!("no handshake with port {port} ended well: {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weaker_other_and_missing_offers_are_told_and_order_is_not() {
        let declared: TlsTerms = [("TLS 1.3".to_owned(), vec!["B".to_owned(), "A".to_owned()])].into();
        let set = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<BTreeSet<_>>();
        assert!(differences(&declared, &set(&["TLS 1.3"]), &set(&["A", "B"])).is_empty());
        assert_eq!(differences(&declared, &set(&["TLS 1.0", "TLS 1.3"]), &set(&["A"])), ["offers undeclared TLS 1.0", "does not offer B"]);
    }
}
