//! No way down.
//!
//! Purpose: 5.5-1-2 a. Procedure: for each secured connection that the device begins, the secure service refuses, is silent, hangs up, stalls, speaks plainly on
//! the same port, and shows a wrong certificate, each for as long as several attempts take; traps stand at the ports of the plain twins. Verdict: VIOLATED by a
//! connection to a trap, a byte outside TLS, or a hello that offers what is not declared. Control: attempts are seen during each trouble, and the honest service
//! is used before, and afterwards if nothing was found.

use super::BUDGET;
use super::attempt::{here, next_attempt, patience};
use super::offers::A;
use crate::report::{Report, each_row};
use proofbench_channel::network::{Certificate, Front, Service, Sight, Trade};
use proofbench_model::dossier::Row;
use proofbench_runner::{Bench, Capability, Check, Trouble};

/// Row 42.
pub const FALLBACK: Check = Check {
    id: "communication/no-fall-back",
    title: "a device that cannot reach its service securely does not try it otherwise",
    units: &[A],
    table: Some(11),
    row_wanted: Some(|row| row.com().is_some_and(|c| c.role == "client" && c.tls.is_some() && c.host.is_some())),
    needs: &[Capability::Console, Capability::Power, Capability::Network],
    permissions: &[],
    defects: &["plain-mqtt-after-failures", "plain-after-failures", "tls10-after-failures"],
    twins: &["slow-boot", "noisy-log", "time-asked-twice", "retry-slower", "net-retry-next-day"],
    control: "attempts are seen during each trouble, the honest service is used before, and after when nothing was found",
    budget: BUDGET,
    run: |bench| each_row(bench, &[A], fallback),
};

/// Ports of plain twins.
const PLAIN: [u16; 6] = [80, 1883, 8000, 8080, 8081, 8883];
/// Attempts that are waited for in each trouble.
const ATTEMPTS: u32 = 6;

fn fallback(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let Some(com) = row.com().cloned() else { return Ok(()) };
    let Some(declared) = com.tls.clone() else { return Ok(()) };
    let trade = bench.honest(&com).map(|s| s.trade).ok_or_else(|| Trouble::IxitMissing("a host of a client of 11-ComMech".to_owned()))?;
    let declared_all = bench.clients();
    bench.at_home()?;
    reached(bench, &com, "before")?;
    for port in PLAIN.iter().filter(|p| **p != com.port) {
        bench.serve(&Service { host: "*".to_owned(), port: *port, front: Front::Plain, trade: Trade::Sink })?;
    }
    let troubles = [Front::Refuse, Front::Silent, Front::HangUp, Front::Stall, Front::Plain, Front::Tls(Certificate::UnknownCa)];
    let (mut wrong, mut seen) = (Vec::new(), 0u32);
    for front in troubles {
        bench.serve_as(&com, Front::HangUp, trade.clone())?;
        bench.serve_as(&com, front, if front == Front::Plain { Trade::Sink } else { trade.clone() })?;
        bench.forget_sights()?;
        let mut here_now = 0;
        for _ in 0..ATTEMPTS {
            if next_attempt_quietly(bench, &com)? {
                here_now += 1;
            }
        }
        if here_now == 0 {
            return Err(Trouble::NoOpportunity(format!("no attempt was seen while the service was {front:?}")));
        }
        seen += here_now;
        for s in bench.sights() {
            // Another connection that is declared there is nobody's way down.
            let meant = declared_all.iter().any(|(_, c)| here(c, s));
            let trap = PLAIN.contains(&s.port) && !meant && matches!(s.sight, Sight::Dialled { .. });
            let plain = here(&com, s) && matches!(&s.sight, Sight::Bytes(_) | Sight::Connect { .. } | Sight::Request { .. });
            let secured = here(&com, s) && matches!(&s.sight, Sight::Secured { .. });
            if secured {
                return Err(Trouble::RigFault(format!("the service was to be {front:?}, and a handshake with it ended well")));
            }
            if trap || plain {
                wrong.push(format!(
                    "{} bytes or a connection outside TLS at {}:{} while the service was {front:?}",
                    if plain { "" } else { "no" },
                    s.host,
                    s.port
                ));
            }
            if let Sight::Dialled { hello: Some(hello) } = &s.sight
                && here(&com, s)
            {
                let other: Vec<&String> = hello.versions.iter().filter(|v| !declared.contains_key(*v)).collect();
                if !other.is_empty() {
                    wrong.push(format!("a hello with {other:?} while the service was {front:?}"));
                }
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    bench.strength(format!("{seen} attempts in {} kinds of trouble, traps at {PLAIN:?}", troubles.len()));
    let expected = "whatever is wrong with the secure service, the device does not go to a plain one, nor to an older version";
    if !wrong.is_empty() {
        // Seen is seen: a device that has gone down may well not come up again.
        report.violated(bench, A, expected, &wrong.into_iter().take(4).collect::<Vec<_>>().join("; "));
        return Ok(());
    }
    bench.serve_as(&com, Front::HangUp, trade.clone())?;
    bench.serve_as(&com, Front::Tls(Certificate::Good), trade)?;
    bench.forget_sights()?;
    reached(bench, &com, "after")?;
    report.satisfied(bench, A, expected, &format!("{seen} attempts, all of them secured"));
    Ok(())
}

/// Waits for one more attempt on the connection, however the device makes it.
fn next_attempt_quietly(bench: &mut Bench, com: &proofbench_model::bind::ComBind) -> Result<bool, Trouble> {
    if let Some(trigger) = &com.trigger {
        bench.perform(trigger, &[])?;
    }
    Ok(bench.watch_for(patience(com), |s| here(com, s) && matches!(s.sight, Sight::Dialled { .. }))?.is_some())
}

fn reached(bench: &mut Bench, com: &proofbench_model::bind::ComBind, when: &str) -> Result<(), Trouble> {
    match next_attempt(bench, com, |s| matches!(s, Sight::Secured { .. }))? {
        Some(_) => Ok(()),
        None => Err(Trouble::NoOpportunity(format!("the device did not use the honest service {when} the troubles"))),
    }
}
