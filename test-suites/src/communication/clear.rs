//! What can be read, and where the device goes.
//!
//! Purpose: 5.5-6-2 a and 5.5-7-2 a (critical secrets are confidential on their way), 5.8-1-2 a (personal data likewise), 5.5-5-2 b (no undeclared
//! communication). Procedure: secrets and data of the rig's own are given to the device; then it lives for a day with its services, without them, with a new
//! start; everything that the lab saw is searched, and every destination compared with 11-ComMech. Verdict: VIOLATED by a secret outside TLS, or inside it on
//! a way that its row does not name, by personal data outside TLS, by a destination that no row has. Control: declared connections were seen, and the search finds the data inside TLS or in what
//! the owner is shown.

use super::BUDGET;
use super::attempt::here;
use crate::forms::shown_in;
use proofbench_channel::network::{Front, Seen, Service, Sight, Trade};
use proofbench_model::dossier::Row;
use proofbench_runner::bench::Did;
use proofbench_runner::{Bench, Capability, Check, Trouble};
use std::collections::BTreeSet;
use std::time::Duration;

const SECRETS: &str = "5.5-6-2 a";
const REMOTE: &str = "5.5-7-2 a";
const PERSONAL: &str = "5.8-1-2 a";
const FLOWS: &str = "5.5-5-2 b";

/// Rows 43 and 49.
pub const IN_CLEAR: Check = Check {
    id: "communication/in-clear",
    title: "secrets travel as declared, personal data only inside TLS, and nothing to where nothing is declared",
    units: &[SECRETS, REMOTE, PERSONAL, FLOWS],
    table: None,
    row_wanted: None,
    needs: &[Capability::Console, Capability::Power, Capability::Network],
    permissions: &[],
    defects: &["ssid-in-mdns", "ssid-in-query", "key-in-url", "secret-as-mqtt-user", "undeclared-host"],
    twins: &["hello-other-order", "slow-boot", "mdns-often", "manifest-twice", "redirect-permanent", "time-asked-twice", "withdrawal-message"],
    control: "declared connections were seen, and every value was read back or used",
    budget: BUDGET,
    run: in_clear,
};

struct Planted {
    name: String,
    value: String,
    /// For a critical secret: the rows of 11-ComMech over which it is declared to travel.
    travels: Option<Vec<String>>,
}

fn in_clear(bench: &mut Bench) -> Result<(), Trouble> {
    bench.at_home()?;
    // Every name is answered, so that a stranger's port is seen and not only his name.
    bench.serve(&Service { host: "*".to_owned(), port: 443, front: Front::Plain, trade: Trade::Sink })?;
    let planted = plant(bench)?;
    bench.forget_sights()?;
    bench.net_down()?;
    bench.sleep(Duration::from_secs(2))?;
    bench.net_up()?;
    for (_, com) in bench.clients() {
        if let Some(trigger) = &com.trigger {
            bench.perform(trigger, &[])?;
        }
    }
    bench.watch(Duration::from_secs(12 * 3600))?;
    bench.power_cycle()?;
    bench.net_up()?;
    bench.watch(Duration::from_secs(12 * 3600))?;
    let sights = bench.sights().to_vec();
    let secured: BTreeSet<u64> = sights.iter().filter(|s| matches!(s.sight, Sight::Secured { .. })).map(|s| s.conn).collect();
    if secured.is_empty() {
        return Err(Trouble::NoOpportunity("no declared connection of the device was seen".to_owned()));
    }
    let declared = bench.clients();
    let (mut secrets, mut personal, mut strangers) = (Vec::new(), Vec::new(), BTreeSet::new());
    for s in &sights {
        let inside = s.conn != 0 && secured.contains(&s.conn);
        let text = words(s);
        for p in &planted {
            let Some(how) = shown_in(&text, p.value.as_bytes()) else { continue };
            let over = declared.iter().find(|(_, c)| here(c, s)).map(|(row, _)| row.id.row.clone()).filter(|_| inside);
            let told = format!("{} ({how}) in {} to {}:{}", p.name, kind(&s.sight), s.host, s.port);
            match (&p.travels, over) {
                // Inside TLS a secret may go where its row says that it goes.
                (Some(over), Some(way)) if over.contains(&way) => {}
                (Some(_), Some(way)) => secrets.push(format!("{told}, inside TLS over {way}, which its row does not name")),
                (Some(_), None) => secrets.push(told),
                (None, None) => personal.push(told),
                (None, Some(_)) => {}
            }
        }
        let known = match &s.sight {
            Sight::Query { .. } => declared.iter().any(|(_, c)| c.host.as_deref() == Some(s.host.as_str())),
            _ => declared.iter().any(|(_, c)| here(c, s)),
        };
        if !known {
            strangers.insert(format!("{}:{}", s.host, s.port));
        }
    }
    bench.strength(format!("{} sights over a day, {} values in every encoding that is known here", sights.len(), planted.len()));
    judge(bench, &[SECRETS, REMOTE], "a critical secret travels inside TLS, and only where its row of 10-SecParam says", &secrets);
    judge(bench, &[PERSONAL], "personal data leave the device inside TLS only", &personal);
    judge(bench, &[FLOWS], "the device goes nowhere but where 11-ComMech says", &strangers.into_iter().collect::<Vec<_>>());
    Ok(())
}

fn judge(bench: &mut Bench, units: &[&str], expected: &str, wrong: &[String]) {
    let mut wrong = wrong.to_vec();
    wrong.dedup();
    for unit in units {
        if wrong.is_empty() {
            bench.satisfied(unit, None, expected, "nothing else was seen");
        } else {
            bench.violated(unit, None, expected, &wrong.iter().take(5).cloned().collect::<Vec<_>>().join("; "));
        }
    }
}

/// Values of the rig's own in every store that it can write to, and the credentials in force.
fn plant(bench: &mut Bench) -> Result<Vec<Planted>, Trouble> {
    let mut out = Vec::new();
    let seed = bench.seed();
    let rows: Vec<_> = [10u8, 21].into_iter().flat_map(|t| bench.dossier().ixit.rows(t).to_vec()).collect();
    for (n, row) in rows.iter().enumerate() {
        let Some(store) = row.store().filter(|s| s.kind != "identity") else { continue };
        let Some(set) = &store.set else { continue };
        // The login must stay: it is planted below as it is.
        if store.scheme == "hashed" {
            continue;
        }
        let value = format!("Cn{n}{:014x}", seed.rotate_left(n as u32) >> 8);
        if let Did::Done { .. } = bench.perform(set, &[("value", &value)])? {
            let travels = (store.kind == "secret").then(|| declared_way(row));
            out.push(Planted { name: row.id.to_string(), value, travels });
        }
    }
    // A login's secret is the one that is kept as a hash.
    let logins = rows.iter().filter(|r| r.store().is_some_and(|s| s.kind == "secret" && s.scheme == "hashed"));
    let login: Vec<String> = logins.flat_map(declared_way).collect();
    let secret = |name: &str, value: String| Planted { name: name.to_owned(), value, travels: Some(login.clone()) };
    out.extend(bench.credential().map(|c| secret("the owner's secret", c.secret.clone())));
    let label = bench.dossier().device.sample.label.clone();
    out.extend(label.map(|l| secret("the label's secret", l.secret)));
    out.push(secret("the owner's session", bench.web_session()?));
    Ok(out)
}

/// Rows of 11-ComMech that a row names as its way.
fn declared_way(row: &Row) -> Vec<String> {
    row.names("communication-mechanisms").into_iter().map(str::to_owned).collect()
}

fn kind(sight: &Sight) -> &'static str {
    match sight {
        Sight::Query { .. } => "a name query",
        Sight::Datagram(_) => "a datagram",
        Sight::Request { .. } => "a request",
        Sight::Connect { .. } => "an MQTT connect",
        Sight::Published { .. } | Sight::Subscribed { .. } => "an MQTT message",
        _ => "a connection",
    }
}

/// Everything of a sight that carries bytes of the device.
fn words(s: &Seen) -> Vec<u8> {
    let mut out = s.host.clone().into_bytes();
    out.push(b'\n');
    match &s.sight {
        Sight::Request { target, head, body, .. } => {
            [out, target.clone().into_bytes(), b"\n".to_vec(), head.clone().into_bytes(), body.clone()].concat()
        }
        Sight::Connect { client, user, .. } => {
            [out, client.clone().into_bytes(), b"\n".to_vec(), user.clone().unwrap_or_default().into_bytes()].concat()
        }
        Sight::Published { topic, payload, .. } => [out, topic.clone().into_bytes(), b"\n".to_vec(), payload.clone()].concat(),
        Sight::Subscribed { filter } => [out, filter.clone().into_bytes()].concat(),
        Sight::Bytes(bytes) | Sight::Datagram(bytes) => [out, bytes.clone()].concat(),
        Sight::Dialled { hello: Some(h) } => [out, h.name.clone().unwrap_or_default().into_bytes()].concat(),
        _ => out,
    }
}
