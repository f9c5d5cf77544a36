//! Ports: what is open, what is declared.
//!
//! Purpose: 5.6-1-2 a (declared services are as declared in each state) and b (nothing else is open). Procedure: all TCP ports by connecting, the UDP ports of
//! a list by asking, as delivered and after set-up. Verdict: VIOLATED for b by an open port that no row of 13-SoftServ has in that state, for a by a declared
//! one that is closed. Control: the local interface answers before and after each scan, and the scan itself finds it. A TCP port from which nothing comes back
//! is neither open nor closed and leaves b unresolved; UDP ports are silent as a rule, and the report says how many were.

use super::{BUDGET, networks};
use crate::report::{Report, each_row};
use proofbench_channel::network::{DatagramSeen, PortMap};
use proofbench_model::Reason;
use proofbench_model::dossier::Row;
use proofbench_runner::{Bench, Capability, Check, Trouble};
use std::collections::BTreeSet;
use std::time::Duration;

pub(super) const A: &str = "5.6-1-2 a";
pub(super) const B: &str = "5.6-1-2 b";
pub(super) const NOTHING_ELSE: &str = "no port is open but those of the services that 13-SoftServ declares for this state";

/// Rows 50 and 51.
pub const DECLARED: Check = Check {
    id: "exposure/ports",
    title: "the services that are declared are there, and no others, as delivered and after set-up",
    units: &[A, B],
    table: Some(15),
    row_wanted: Some(networks),
    needs: &[Capability::Console, Capability::Power, Capability::Network],
    permissions: &[],
    defects: &["telnet-open", "ftp-on-40021", "udp-9999", "setup-port-stays", "redirect-gone"],
    twins: &["closes-strangers", "slow-boot", "noisy-log", "web-slow-start", "mdns-often", "closes-after-answer", "time-asked-twice"],
    control: "the local interface answers before and after each scan, and each scan finds it open",
    budget: BUDGET,
    run: |bench| each_row(bench, &[A, B], declared),
};

/// UDP ports at which devices were found to listen, each asked with an empty line, a DNS question, and a text probe.
const UDP: &[u16] = &[
    7, 13, 19, 53, 67, 69, 111, 123, 137, 161, 177, 389, 427, 500, 514, 520, 623, 1194, 1434, 1604, 1645, 1701, 1812, 1900, 2049, 2123, 3283, 3478,
    3702, 4500, 5004, 5060, 5093, 5351, 5353, 5355, 5632, 5683, 5684, 6346, 8767, 9000, 9100, 9999, 10001, 11211, 17185, 20000, 27015, 30718, 32414,
    33848, 34962, 37215, 37810, 44818, 47808, 48899, 49152, 50000, 53413, 64738,
];
const PROBES: &[&[u8]] = &[b"\r\n", b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\0\0\x01\0\x01", b"help\n"];
/// A UDP answer takes no longer on a local network.
const ANSWER: Duration = Duration::from_millis(300);
/// A whole scan.
const SCAN: Duration = Duration::from_secs(600);

/// What is open now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Exposed {
    pub tcp: BTreeSet<u16>,
    pub udp: BTreeSet<u16>,
    /// TCP ports about which nothing is known.
    pub silent: BTreeSet<u16>,
    pub udp_silent: usize,
    pub not_ours: Vec<(u16, String)>,
}

/// Scans all TCP ports.
pub(super) fn scan_tcp(bench: &mut Bench) -> Result<PortMap, Trouble> {
    let wait = bench.wait(SCAN);
    Ok(bench.network()?.scan(&[1..=65_535], &wait)?)
}

/// Scans TCP and UDP, with the control around it.
pub(super) fn scan(bench: &mut Bench) -> Result<Exposed, Trouble> {
    bench.net_up()?;
    let map = scan_tcp(bench)?;
    let mut out =
        Exposed { tcp: map.open.into_iter().collect(), silent: map.silent.into_iter().collect(), not_ours: map.not_ours, ..Exposed::default() };
    let declared: Vec<u16> = services(bench, None).into_iter().filter(|(t, _)| t == "udp").map(|(_, p)| p).collect();
    for port in UDP.iter().copied().chain(declared) {
        let mut seen = DatagramSeen::Silent;
        for probe in PROBES {
            let wait = bench.wait(ANSWER);
            seen = bench.network()?.datagram(port, probe, &wait)?;
            if seen != DatagramSeen::Silent {
                break;
            }
        }
        match seen {
            DatagramSeen::Answer(_) => {
                out.udp.insert(port);
            }
            DatagramSeen::Silent => out.udp_silent += 1,
            DatagramSeen::Closed => {}
        }
    }
    // A device that went away in the middle would look well closed.
    bench.net_up()?;
    let own = bench.web()?.port;
    if !out.tcp.contains(&own) {
        return Err(Trouble::RigFault(format!("the scan did not find the local interface on port {own}, which answers")));
    }
    Ok(out)
}

/// Transport and port of the services that are declared for a state; for all states without one.
pub(super) fn services(bench: &Bench, state: Option<&str>) -> BTreeSet<(String, u16)> {
    let rows = bench.dossier().ixit.rows(13).iter().filter_map(|r| r.serv());
    rows.filter(|s| state.is_none_or(|state| s.states.iter().any(|x| x == state))).map(|s| (s.transport.clone(), s.port)).collect()
}

/// Ports that are open and not declared for the state, in words.
pub(super) fn undeclared(bench: &Bench, state: &str, seen: &Exposed) -> Vec<String> {
    let declared = services(bench, Some(state));
    let stranger = |transport: &str, port: &u16| !declared.contains(&(transport.to_owned(), *port));
    let tcp = seen.tcp.iter().filter(|p| stranger("tcp", p)).map(|p| format!("TCP {p}"));
    tcp.chain(seen.udp.iter().filter(|p| stranger("udp", p)).map(|p| format!("UDP {p}"))).collect()
}

fn declared(bench: &mut Bench, _: &Row, report: &mut Report) -> Result<(), Trouble> {
    bench.serve_declared()?;
    let mut strangers = Vec::new();
    let mut missing = Vec::new();
    let (mut silent, mut udp_silent, mut unheard) = (0, 0, Vec::new());
    for state in ["factory", "set-up"] {
        if state == "set-up" {
            bench.at_home()?;
        }
        let seen = scan(bench)?;
        strangers.extend(undeclared(bench, state, &seen).into_iter().map(|w| format!("{w} ({state})")));
        let absent = services(bench, Some(state)).into_iter().filter(|(t, p)| t == "tcp" && !seen.tcp.contains(p));
        for (_, p) in absent {
            // Who does not answer has not closed anything.
            let list = if seen.silent.contains(&p) { &mut unheard } else { &mut missing };
            list.push(format!("TCP {p} ({state})"));
        }
        silent += seen.silent.len();
        udp_silent += seen.udp_silent;
        bench.note(&format!("{state}: TCP {:?}, UDP {:?}, not the device's {:?}", seen.tcp, seen.udp, seen.not_ours));
    }
    bench.strength(format!(
        "65535 TCP ports and {} UDP ports with {} probes each, in 2 states; {udp_silent} UDP looks without any answer",
        UDP.len(),
        PROBES.len()
    ));
    let expected = "each service that 13-SoftServ declares for a state is there in it";
    match (missing.is_empty(), unheard.is_empty()) {
        (true, true) => report.satisfied(bench, A, expected, "all declared TCP services took a connection"),
        (true, false) => report.unresolved(bench, A, Reason::NoOpportunity, &format!("neither open nor closed: {}", unheard.join(", "))),
        (false, _) => report.violated(bench, A, expected, &format!("closed: {}", missing.join(", "))),
    }
    judge(bench, report, &strangers, silent);
    Ok(())
}

/// The verdict on unit b.
pub(super) fn judge(bench: &mut Bench, report: &mut Report, strangers: &[String], silent: usize) {
    if !strangers.is_empty() {
        report.violated(bench, B, NOTHING_ELSE, &format!("open and not declared: {}", strangers.join(", ")));
    } else if silent > 0 {
        report.unresolved(bench, B, Reason::NoOpportunity, &format!("{silent} TCP ports did not answer: neither open nor closed"));
    } else {
        report.satisfied(bench, B, NOTHING_ELSE, "every other port refused");
    }
}
