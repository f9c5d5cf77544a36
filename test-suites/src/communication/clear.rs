//! What can be read, and where the device goes.
//!
//! Purpose: 5.5-6-2 a and 5.5-7-2 a (critical secrets are confidential on their way), 5.8-1-2 a (personal data likewise), 5.5-5-2 b (no undeclared
//! communication). Procedure: secrets and data of the rig's own are given to the device; then it lives for a day with its services, without them, with a new
//! start; everything that the lab saw is searched, and every destination compared with 11-ComMech. Verdict: VIOLATED by a secret anywhere in what it sent, by
//! personal data outside TLS, by a destination that no row has. Control: declared connections were seen, and the search finds the data inside TLS or in what
//! the owner is shown.

use super::BUDGET;
use proofbench_channel::network::{Front, Seen, Service, Sight, Trade};
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
    title: "no secret leaves the device, personal data only inside TLS, and nothing to where nothing is declared",
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
    secret: bool,
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
    let (mut secrets, mut personal, mut strangers) = (Vec::new(), Vec::new(), BTreeSet::new());
    let declared = bench.clients();
    for s in &sights {
        let inside = s.conn != 0 && secured.contains(&s.conn);
        let text = words(s);
        for p in &planted {
            let Some(how) = encodings(&p.value).into_iter().find(|(_, v)| contains(&text, v)).map(|(how, _)| how) else { continue };
            let told = format!("{} ({how}) in {} to {}:{}", p.name, kind(&s.sight), s.host, s.port);
            match (p.secret, inside) {
                (true, _) => secrets.push(told),
                (false, false) => personal.push(told),
                (false, true) => {}
            }
        }
        let known = match &s.sight {
            Sight::Query { .. } => declared.iter().any(|(_, c)| c.host.as_deref() == Some(s.host.as_str())),
            _ => declared.iter().any(|(_, c)| c.host.as_deref() == Some(s.host.as_str()) && c.port == s.port),
        };
        if !known {
            strangers.insert(format!("{}:{}", s.host, s.port));
        }
    }
    bench.strength(format!("{} sights over a day, {} values in {} encodings", sights.len(), planted.len(), encodings("x").len()));
    judge(bench, &[SECRETS, REMOTE], "no critical secret stands in what the device sends", &secrets);
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
            out.push(Planted { name: row.id.to_string(), value, secret: store.kind == "secret" });
        }
    }
    let secret = |name: &str, value: String| Planted { name: name.to_owned(), value, secret: true };
    out.extend(bench.credential().map(|c| secret("the owner's secret", c.secret.clone())));
    let label = bench.dossier().device.sample.label.clone();
    out.extend(label.map(|l| secret("the label's secret", l.secret)));
    out.push(secret("the owner's session", bench.web_session()?));
    Ok(out)
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

fn contains(text: &[u8], value: &[u8]) -> bool {
    !value.is_empty() && text.windows(value.len()).any(|w| w.eq_ignore_ascii_case(value))
}

/// A value as products were found to hide it.
fn encodings(value: &str) -> Vec<(&'static str, Vec<u8>)> {
    let hex: String = value.bytes().map(|b| format!("{b:02x}")).collect();
    let wide: Vec<u8> = value.encode_utf16().flat_map(u16::to_le_bytes).collect();
    vec![
        ("as it is", value.as_bytes().to_vec()),
        ("in hex", hex.into_bytes()),
        ("in base64", base64(value.as_bytes())),
        ("reversed", value.bytes().rev().collect()),
        ("in UTF-16", wide),
    ]
}

/// Base64 without its end, which depends on what follows.
fn base64(bytes: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let whole = &bytes[..bytes.len() / 3 * 3];
    let group = |c: &[u8]| u32::from(c[0]) << 16 | u32::from(c[1]) << 8 | u32::from(c[2]);
    whole.chunks(3).map(group).flat_map(|g| [18, 12, 6, 0].map(|s| LETTERS[(g >> s & 63) as usize])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_in_each_of_its_encodings() {
        let all = encodings("Secret88");
        assert!(contains(b"x=536563726574383800", &all[1].1));
        assert!(contains(b"token=U2VjcmV0ODg=", &all[2].1));
        assert!(contains(b"88terceS", &all[3].1));
        assert!(!contains(b"nothing here", &all[0].1));
    }
}
