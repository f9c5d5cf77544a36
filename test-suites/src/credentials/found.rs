//! Logins that nobody declared.
//!
//! Purpose: 5.1-1-2 a and 5.1-5-2 a (every login on the network is in 1-AuthMech). Procedure: all TCP ports, as delivered and with an owner; what each says by
//! itself and to an empty line; requests of a stranger on every port that speaks HTTP. Verdict: VIOLATED by a port that asks for a login and belongs to no
//! service whose guard is declared, or by a challenge that the declared service does not make. A port that is open and asks for nothing is the business of
//! suite `exposure`. Control: the declared login is found by the same look.

use super::{BUDGET, NEEDS};
use crate::exposure::{PATHS, open_ports};
use proofbench_channel::network::{Dial, Dialled, End};
use proofbench_runner::bench::{HttpSeen, WebLogin};
use proofbench_runner::{Bench, Check, Trouble};
use std::time::Duration;

const UNITS: [&str; 2] = ["5.1-1-2 a", "5.1-5-2 a"];
const PAUSE: Duration = Duration::from_secs(2);
/// Words by which services ask for a login.
const ASKS: &[&str] = &["login", "username", "user name", "password", "passwd"];
/// How services begin that want one.
const GREETINGS: &[&str] = &["220 ", "SSH-", "+OK", "* OK", "RFB "];
/// Paths where maintenance pages were found, beside those that strangers ask for.
const PAGES: &[&str] = &["/manager", "/manager/html", "/admin", "/maintenance", "/service", "/web", "/webadmin", "/private"];

/// Row 1.
pub const FOUND: Check = Check {
    id: "credentials/undeclared-logins",
    title: "every login that is found on the network is declared",
    units: &UNITS,
    // The units are about what 1-AuthMech lacks: no row of it.
    table: None,
    row_wanted: None,
    needs: NEEDS,
    permissions: &[],
    defects: &["telnet-open", "ftp-on-40021", "basic-auth-page"],
    twins: &["plain-error-page", "closes-strangers", "closes-after-answer", "redirect-permanent", "front-page-for-all"],
    control: "the declared login is taken, on a port that the same look finds open",
    budget: BUDGET,
    run: found,
};

fn found(bench: &mut Bench) -> Result<(), Trouble> {
    bench.serve_declared()?;
    bench.net_up()?;
    let web = bench.web()?;
    let guarded: Vec<u16> = bench.dossier().ixit.rows(13).iter().filter_map(|r| r.serv()).filter(|s| s.guard.is_some()).map(|s| s.port).collect();
    let (mut strangers, mut looked, mut own) = (Vec::new(), 0u32, false);
    for state in ["as delivered", "with an owner"] {
        if state == "with an owner" {
            bench.at_home()?;
        }
        for port in open_ports(bench)? {
            looked += 1;
            own |= port == web.port;
            let said = banner(bench, port)?;
            if asks(&said) && !guarded.contains(&port) {
                strangers.push(format!("port {port} {state}: {}", crate::text::shown(&said, 120)));
            }
            for path in PATHS.iter().chain(PAGES) {
                let dial = Dial { port, tls: port == web.port && web.tls, from: 0 };
                let request = format!("GET {path} HTTP/1.1\r\nHost: device\r\n\r\n");
                let HttpSeen::Answer(a) = bench.http_bytes(&dial, request.as_bytes(), PAUSE)? else { break };
                if let Some(challenge) = a.field("www-authenticate") {
                    strangers.push(format!("{path} on port {port} {state}: {}", crate::text::shown(challenge.as_bytes(), 120)));
                }
            }
        }
    }
    let right = super::owner(bench)?;
    if !own || !matches!(bench.web_login(&right)?, WebLogin::In(_)) {
        return Err(Trouble::NoOpportunity("the declared login was not found".to_owned()));
    }
    bench
        .strength(format!("65535 TCP ports in 2 states, {looked} open ones looked at, {} paths on those that speak HTTP", PATHS.len() + PAGES.len()));
    strangers.dedup();
    strangers.truncate(8);
    let expected = "each login that is found belongs to a row of 1-AuthMech";
    for unit in UNITS {
        match strangers.is_empty() {
            true => bench.satisfied(unit, None, expected, "no other login was found"),
            false => bench.violated(unit, None, expected, &strangers.join("; ")),
        }
    }
    Ok(())
}

/// What a port says by itself, and then to an empty line.
fn banner(bench: &mut Bench, port: u16) -> Result<Vec<u8>, Trouble> {
    let wait = bench.wait(PAUSE);
    let Dialled::Open(conn, _) = bench.network()?.connect(&Dial::plain(port), &wait)? else { return Ok(Vec::new()) };
    let mut said = Vec::new();
    bench.network()?.receive(conn, &mut said, &wait)?;
    let wait = bench.wait(PAUSE);
    if said.is_empty() && bench.network()?.send(conn, b"\r\n", &wait)? {
        bench.network()?.receive(conn, &mut said, &wait)?;
    }
    bench.network()?.close(conn, End::Fin)?;
    Ok(said)
}

/// Whether this is how services ask for a login. An answer in HTTP is looked at by its status and fields, not by its words.
fn asks(said: &[u8]) -> bool {
    let text = String::from_utf8_lossy(said);
    let low = text.to_lowercase();
    !text.starts_with("HTTP/") && (GREETINGS.iter().any(|g| text.starts_with(g)) || ASKS.iter().any(|w| low.contains(w)))
}

#[cfg(test)]
mod tests {
    use super::asks;

    #[test]
    fn a_prompt_and_a_greeting_ask_for_a_login_and_an_error_page_does_not() {
        assert!(asks(b"unit login: "));
        assert!(asks(b"220 ready\r\n"));
        assert!(asks(b"SSH-2.0-dropbear"));
        assert!(!asks(b"HTTP/1.1 400 Bad Request\r\n\r\n{\"error\":\"login first\"}"));
        assert!(!asks(b""));
    }
}
