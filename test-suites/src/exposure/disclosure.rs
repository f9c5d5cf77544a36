//! What strangers learn.
//!
//! Purpose: 5.6-2-2 a. Procedure: the owner's values are known (set by the rig, or asked as the owner); then everything that the device tells without a login is
//! collected: banners of its ports, answers and error pages of its own interface, paths that devices were found to leave open, announcements. Verdict: VIOLATED
//! if a fact stands there that the row does not list in `discloses`. Control: the same search finds the facts in what the owner is shown.

use super::ports::scan_tcp;
use super::{BUDGET, networks};
use crate::report::{Report, each_row};
use proofbench_channel::network::{Dial, Dialled, End, Sight};
use proofbench_model::Reason;
use proofbench_model::bind::HttpAction;
use proofbench_model::dossier::Row;
use proofbench_runner::bench::{Did, HttpSeen};
use proofbench_runner::{Bench, Capability, Check, Trouble};
use std::time::Duration;

const A: &str = "5.6-2-2 a";

/// Rows 33 and 53.
pub const STRANGERS: Check = Check {
    id: "exposure/disclosure",
    title: "strangers learn nothing but what is declared",
    units: &[A],
    table: Some(15),
    row_wanted: Some(networks),
    needs: &[Capability::Console, Capability::Power, Capability::Network],
    permissions: &[],
    defects: &["version-in-header", "serial-in-mdns", "ssid-in-mdns", "name-on-error-page", "backup-open"],
    twins: &["plain-error-page", "slow-boot", "noisy-log", "mdns-often", "redirect-permanent", "net-log", "answers-chunked"],
    control: "the search finds the version in what the owner is told, and announcements and answers were seen",
    budget: BUDGET,
    run: |bench| each_row(bench, &[A], strangers),
};

/// Paths that devices were found to answer without asking who wants to know.
pub(crate) const PATHS: &[&str] = &[
    "/",
    "/index.html",
    "/login",
    "/status",
    "/info",
    "/version",
    "/config",
    "/config.json",
    "/backup",
    "/backup.cfg",
    "/api",
    "/api/",
    "/api/info",
    "/api/state",
    "/api/status",
    "/api/version",
    "/api/config",
    "/api/backup",
    "/api/debug",
    "/api/log",
    "/api/settings",
    "/api/settings/name",
    "/api/settings/wifi-ssid",
    "/api/users",
    "/debug",
    "/debug/console",
    "/debug/vars",
    "/metrics",
    "/log",
    "/system.log",
    "/cgi-bin/",
    "/cgi-bin/upgrade",
    "/cgi-bin/config",
    "/HNAP1/",
    "/System/configurationFile",
    "/onvif/device_service",
    "/setup",
    "/setup.xml",
    "/description.xml",
    "/.well-known/core",
    "/.git/config",
    "/robots.txt",
    "/favicon.ico",
    "/nosuchpage",
];
const BANNER: Duration = Duration::from_secs(2);

/// Something that a stranger should not learn.
struct Fact {
    name: &'static str,
    value: String,
}

fn strangers(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let allowed: Vec<String> = row.intf().map(|i| i.discloses.clone()).unwrap_or_default();
    bench.at_home()?;
    let facts = facts(bench)?;
    let owners = owners_view(bench)?;
    if !facts.iter().any(|f| f.name == "version" && owners.contains(&f.value)) {
        return Err(Trouble::NoOpportunity("the search does not find the version in what the owner is told".to_owned()));
    }
    // The announcement comes with the link.
    bench.net_down()?;
    // Long enough for any device to notice.
    bench.sleep(Duration::from_secs(2))?;
    bench.forget_sights()?;
    bench.net_up()?;
    let mut told = pages(bench)?;
    told.extend(banners(bench)?);
    bench.watch(Duration::from_secs(5))?;
    let announced: Vec<(String, Vec<u8>)> = bench
        .sights()
        .iter()
        .filter_map(|s| {
            if let Sight::Datagram(bytes) = &s.sight { Some((format!("announcement to {}:{}", s.host, s.port), bytes.clone())) } else { None }
        })
        .collect();
    if announced.is_empty() && bench.clients().iter().any(|(_, c)| c.protocol == "mdns") {
        return Err(Trouble::NoOpportunity("the declared announcement was not seen".to_owned()));
    }
    told.extend(announced);
    let (mut learnt, mut perhaps) = (Vec::new(), Vec::new());
    for (place, bytes) in &told {
        for fact in facts.iter().filter(|f| !allowed.iter().any(|a| a == f.name)) {
            if stands(bytes, &fact.value) {
                let list = if fact.value.len() < SHORT { &mut perhaps } else { &mut learnt };
                list.push(format!("{} ({})", fact.name, place));
            }
        }
    }
    bench.strength(format!("{} answers of strangers' requests, banners and announcements, {} facts looked for", told.len(), facts.len()));
    let expected = "what the device tells without a login holds nothing but what the row declares";
    if learnt.is_empty() && !perhaps.is_empty() {
        perhaps.dedup();
        perhaps.truncate(6);
        let why = format!("found, but so short that it may be something else: {}", perhaps.join("; "));
        report.unresolved(bench, A, Reason::IxitAmbiguous, &why);
    } else if learnt.is_empty() {
        report.satisfied(bench, A, expected, &format!("none of: {}", facts.iter().map(|f| f.name).collect::<Vec<_>>().join(", ")));
    } else {
        learnt.dedup();
        learnt.truncate(12);
        report.violated(bench, A, expected, &format!("a stranger learns: {}", learnt.join("; ")));
    }
    Ok(())
}

/// Facts below this length stand in many a text by chance.
const SHORT: usize = 5;

/// Whether a fact stands there. Numbers must stand as numbers of their own: firmware `1.2.0` is not told by `11.2.0`, nor by the HTTP version of a status line.
fn stands(bytes: &[u8], value: &str) -> bool {
    let value = value.as_bytes();
    if value.is_empty() {
        return false;
    }
    let text = bytes.strip_prefix(b"HTTP/").map_or(bytes, |rest| &rest[rest.iter().position(|b| *b == b' ').unwrap_or(0)..]);
    let number = value.iter().all(|b| b.is_ascii_digit() || *b == b'.');
    let digit = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(u8::is_ascii_digit);
    let point = |at: Option<usize>| at.and_then(|at| text.get(at)) == Some(&b'.');
    let mut hits = text.windows(value.len()).enumerate().filter(|(_, w)| w.eq_ignore_ascii_case(value)).map(|(at, _)| at);
    hits.any(|at| {
        let end = at + value.len();
        let (before, more) = (at.checked_sub(1), at.checked_sub(2));
        let runs_on = digit(before) || point(before) && digit(more) || digit(Some(end)) || point(Some(end)) && digit(Some(end + 1));
        !(number && runs_on)
    })
}

/// The unit's version and serial number, and canaries in everything that the user can set.
fn facts(bench: &mut Bench) -> Result<Vec<Fact>, Trouble> {
    let mut facts = Vec::new();
    for name in ["version", "serial"] {
        if bench.can_ask(name) {
            facts.push(Fact { name, value: bench.ask(name)? });
        }
    }
    for (n, row) in bench.dossier().ixit.rows(21).to_vec().iter().enumerate() {
        let Some(set) = row.store().and_then(|s| s.set.clone()) else { continue };
        let value = format!("Canary{n}x{:08x}", bench.seed() as u32);
        if let Did::Done { .. } = bench.perform(&set, &[("value", &value)])? {
            facts.push(Fact { name: "user data", value });
        }
    }
    Ok(facts)
}

/// What the owner is shown by the functions of the device's services.
fn owners_view(bench: &mut Bench) -> Result<String, Trouble> {
    let session = bench.web_session()?;
    let reads: Vec<HttpAction> = bench
        .dossier()
        .ixit
        .rows(13)
        .iter()
        .filter_map(|r| r.serv())
        .flat_map(|s| s.functions.iter().filter(|f| f.request.method == "GET" && f.role != "anybody").map(|f| f.request.clone()))
        .collect();
    let mut text = String::new();
    for request in reads {
        if let HttpSeen::Answer(a) = bench.http(&request, &[("session", &session)])? {
            text.push_str(&a.line());
        }
    }
    Ok(text)
}

/// Answers to strangers' requests, good and bad.
pub(super) fn pages(bench: &mut Bench) -> Result<Vec<(String, Vec<u8>)>, Trouble> {
    let web = bench.web()?;
    let dial = if web.tls { Dial::tls(web.port) } else { Dial::plain(web.port) };
    let mut requests: Vec<String> = PATHS.iter().map(|p| format!("GET {p} HTTP/1.1\r\nHost: device\r\n\r\n")).collect();
    requests.push("FOO / HTTP/1.1\r\nHost: device\r\n\r\n".to_owned());
    requests.push("GET / HTTP/9.9\r\n\r\n".to_owned());
    requests.push("OPTIONS * HTTP/1.1\r\nHost: device\r\n\r\n".to_owned());
    let mut out = Vec::new();
    for request in requests {
        let first = request.lines().next().unwrap_or_default().to_owned();
        match bench.http_bytes(&dial, request.as_bytes(), BANNER)? {
            HttpSeen::Answer(a) => out.push((first, [a.head.into_bytes(), a.body].concat())),
            HttpSeen::Ended(bytes) | HttpSeen::Silent(bytes) => out.push((first, bytes)),
            HttpSeen::Refused | HttpSeen::Unsecured(_) => {}
        }
    }
    if out.is_empty() {
        return Err(Trouble::Unreachable("no request of a stranger was answered in any way".to_owned()));
    }
    Ok(out)
}

/// What each open port says by itself.
pub(super) fn banners(bench: &mut Bench) -> Result<Vec<(String, Vec<u8>)>, Trouble> {
    let mut out = Vec::new();
    for port in scan_tcp(bench)?.open {
        let wait = bench.wait(BANNER);
        let Dialled::Open(conn, _) = bench.network()?.connect(&Dial::plain(port), &wait)? else { continue };
        let mut bytes = Vec::new();
        bench.network()?.receive(conn, &mut bytes, &wait)?;
        bench.network()?.close(conn, End::Fin)?;
        out.push((format!("banner of port {port}"), bytes));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::stands;
    use rstest::rstest;

    #[rstest]
    #[case(b"HTTP/1.1 200 OK\r\nServer: unit/1.2.0\r\n", "1.2.0", true)]
    #[case(b"firmware v1.2.0.", "1.2.0", true)]
    #[case(b"firmware 11.2.0", "1.2.0", false)]
    #[case(b"address 10.1.2.0", "1.2.0", false)]
    #[case(b"address 1.2.0.7", "1.2.0", false)]
    #[case(b"HTTP/1.1 200 OK\r\n\r\n", "1.1", false)]
    #[case(b"my-AB7-0001-unit", "ab7-0001", true)]
    #[case(b"anything", "", false)]
    fn a_fact_is_told_by_itself_and_not_by_a_part_of_something_else(#[case] told: &[u8], #[case] fact: &str, #[case] stands_there: bool) {
        assert_eq!(stands(told, fact), stands_there);
    }
}
