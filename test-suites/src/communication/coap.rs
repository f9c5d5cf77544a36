//! CoAP without its security.
//!
//! Purpose: 5.5-1-2 a (what is to be secured is not to be had without security beside it). Procedure: confirmable requests in clear (RFC 7252) to the port of
//! CoAP, to that of CoAP over DTLS, and to every UDP port of 13-SoftServ that nothing guards: discovery, what it lists, and resources that products were found
//! to have. Verdict: VIOLATED by content of a resource that 13-SoftServ does not declare for everybody at that port. Control: the local interface answers
//! before and after, and another UDP port is seen to be closed or to answer: datagrams get there and back. DTLS itself is not spoken.

use super::BUDGET;
use super::offers::{A, NEEDS};
use proofbench_channel::network::DatagramSeen;
use proofbench_model::bind::Pattern;
use proofbench_runner::{Bench, Check, Trouble};
use std::collections::BTreeSet;
use std::time::Duration;

/// Row 45.
pub const COAP: Check = Check {
    id: "communication/coap-in-clear",
    title: "CoAP without security tells nothing but what is declared for everybody",
    units: &[A],
    // The unit is about 11-ComMech; a port in clear that should not be there has no row.
    table: None,
    row_wanted: None,
    needs: NEEDS,
    permissions: &[],
    defects: &["coap-nosec", "coap-hidden"],
    twins: &["coap-discovery", "slow-boot", "closes-strangers", "web-slow-start"],
    control: "the local interface answers before and after, and another UDP port answers or is seen to be closed",
    budget: BUDGET,
    run: coap,
};

const PORTS: [u16; 2] = [5683, 5684];
const DISCOVERY: &str = ".well-known/core";
/// Resources that products were found to have.
const GUESSES: &[&str] = &[
    "",
    "state",
    "status",
    "config",
    "settings",
    "info",
    "device",
    "sensors",
    "temperature",
    "mode",
    "light",
    "switch",
    "wifi",
    "auth",
    "time",
    "firmware",
    "oic/res",
    "oic/d",
    "oic/p",
    "oic/sec/doxm",
    "15001",
    "15011/15012",
    "cit/d",
    "cit/s",
    "sys/dev/status",
    "rd",
    "ps",
];
/// Resources of a list that are asked for.
const LISTED_MOST: usize = 64;
/// How often a request is repeated that nothing answers, and how long each is waited for (RFC 7252 section 4.2 doubles 2 s; a local network is quicker).
const REPEATS: u32 = 3;
const ANSWER: Duration = Duration::from_millis(700);
/// Ports that hardly anything listens on: closed ones say that datagrams get there and back.
const QUIET: [u16; 4] = [9, 61_999, 48_123, 33_333];

/// A confirmable GET.
fn get(path: &str, id: u16) -> Vec<u8> {
    let mut out = vec![0x42, 1, (id >> 8) as u8, id as u8, 0x70, 0x62];
    let mut delta = 11u8;
    for segment in path.split('/').filter(|s| !s.is_empty()) {
        match segment.len() {
            n @ 0..=12 => out.push(delta << 4 | n as u8),
            n => out.extend([delta << 4 | 13, (n.min(268) - 13) as u8]),
        }
        out.extend(segment.bytes().take(268));
        delta = 0;
    }
    out
}

/// Code and payload of an answer; nothing if it is none.
fn answer(bytes: &[u8]) -> Option<(u8, Vec<u8>)> {
    let (head, rest) = bytes.split_at_checked(4)?;
    if head[0] >> 6 != 1 {
        return None;
    }
    let rest = rest.get(usize::from(head[0] & 15)..)?;
    // Options are passed over by their lengths, because 0xFF may stand inside one; each turn takes a byte at least.
    let mut at = 0;
    while let Some(first) = rest.get(at) {
        at += 1;
        if *first == 0xFF {
            return Some((head[1], rest.get(at..).unwrap_or_default().to_vec()));
        }
        let mut len = 0;
        for nibble in [first >> 4, first & 15] {
            let more = |n: usize| rest.get(at..at + n).map(|b| b.iter().fold(0usize, |v, b| v << 8 | usize::from(*b)));
            len = match nibble {
                13 => more(1)? + 13,
                14 => more(2)? + 269,
                15 => return None,
                n => usize::from(n),
            };
            at += match nibble {
                13 => 1,
                14 => 2,
                _ => 0,
            };
        }
        at = at.checked_add(len)?;
    }
    Some((head[1], Vec::new()))
}

/// The targets of a list of links (RFC 6690).
fn links(list: &str) -> BTreeSet<String> {
    list.split('<').skip(1).filter_map(|l| l.split_once('>')).map(|(t, _)| t.trim_start_matches('/').to_owned()).take(LISTED_MOST).collect()
}

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    Answer(u8, Vec<u8>),
    /// Something that is no CoAP.
    Other,
    Closed,
    Silent,
}

fn ask(bench: &mut Bench, port: u16, path: &str, id: u16) -> Result<Got, Trouble> {
    let request = get(path, id);
    for _ in 0..REPEATS {
        let wait = bench.wait(ANSWER);
        match bench.network()?.datagram(port, &request, &wait)? {
            DatagramSeen::Answer(bytes) => return Ok(answer(&bytes).map_or(Got::Other, |(code, text)| Got::Answer(code, text))),
            DatagramSeen::Closed => return Ok(Got::Closed),
            DatagramSeen::Silent => {}
        }
    }
    Ok(Got::Silent)
}

fn coap(bench: &mut Bench) -> Result<(), Trouble> {
    bench.at_home()?;
    let open: Vec<(u16, Vec<Pattern>)> = bench
        .dossier()
        .ixit
        .rows(13)
        .iter()
        .filter_map(|r| r.serv())
        .filter(|s| s.transport == "udp" && s.guard.is_none())
        .map(|s| (s.port, s.paths.clone()))
        .collect();
    let ports: BTreeSet<u16> = PORTS.into_iter().chain(open.iter().map(|(p, _)| *p)).collect();
    let declared = |port: u16, path: &str| {
        let path = format!("/{path}");
        open.iter().any(|(p, paths)| *p == port && paths.iter().any(|pattern| crate::text::matches(pattern, &path)))
    };
    let (mut told, mut asked, mut back, mut silent, mut later) = (Vec::new(), 0u16, false, Vec::new(), Vec::new());
    for port in ports {
        let first = ask(bench, port, DISCOVERY, 1)?;
        asked += 1;
        match &first {
            Got::Closed => {
                back = true;
                continue;
            }
            Got::Silent => {
                silent.push(port.to_string());
                continue;
            }
            Got::Answer(..) | Got::Other => back = true,
        }
        let mut paths: BTreeSet<String> = GUESSES.iter().map(|g| (*g).to_owned()).collect();
        if let Got::Answer(_, list) = &first {
            paths.extend(links(&String::from_utf8_lossy(list)));
        }
        paths.insert(DISCOVERY.to_owned());
        for path in paths {
            asked += 1;
            match ask(bench, port, &path, asked)? {
                // Class 2 is success; its content is what is told.
                Got::Answer(code, text) if code >> 5 == 2 && !declared(port, &path) => {
                    told.push(format!("UDP {port} /{path}: {}", crate::text::shown(&text, 60)));
                }
                // An empty acknowledgement: the answer comes in a datagram of its own, which nobody waits for here.
                Got::Answer(0, _) => later.push(format!("UDP {port} /{path}")),
                _ => {}
            }
        }
    }
    for port in QUIET.into_iter().filter(|_| !back).collect::<Vec<_>>() {
        let wait = bench.wait(ANSWER);
        back |= bench.network()?.datagram(port, b"\r\n", &wait)? != DatagramSeen::Silent;
    }
    bench.net_up()?;
    if !back && told.is_empty() {
        return Err(Trouble::NoOpportunity("no datagram of the lab was answered in any way: silence says nothing about a port".to_owned()));
    }
    if let (Some(first), true) = (later.first(), told.is_empty()) {
        return Err(Trouble::NoOpportunity(format!("{} requests were only acknowledged, such as {first}: their answers were not seen", later.len())));
    }
    let silence = if silent.is_empty() { String::new() } else { format!("; silent: UDP {}", silent.join(", ")) };
    bench.strength(format!("{asked} requests in clear{silence}; no DTLS"));
    told.truncate(8);
    let expected = "CoAP in clear gives no content that is not declared for everybody";
    match told.is_empty() {
        true => bench.satisfied(A, None, expected, "none was given"),
        false => bench.violated(A, None, expected, &told.join("; ")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_carries_each_segment_as_an_option() {
        assert_eq!(get("a/bc", 7), b"\x42\x01\0\x07pb\xb1a\x02bc");
        assert_eq!(get("abcdefghijklmn", 7)[6..9], [0xBD, 1, b'a']);
        assert_eq!(get("", 7).len(), 6);
    }

    #[test]
    fn the_payload_of_an_answer_is_found_behind_its_options() {
        // Content-Format 40, then an ETag that holds 0xFF.
        assert_eq!(answer(b"\x62\x45\0\x01pb\x42\xff\xff\x81\x28\xffhello"), Some((0x45, b"hello".to_vec())));
        assert_eq!(answer(b"\x60\x84\0\x01"), Some((0x84, Vec::new())));
        assert_eq!(answer(b"\r\nhello"), None);
        assert_eq!(answer(b"\x22\x45"), None);
    }

    #[test]
    fn the_targets_of_a_list_are_its_links() {
        assert_eq!(links("</a>;rt=\"x\",</b/c>"), ["a".to_owned(), "b/c".to_owned()].into());
        assert!(links("none").is_empty());
    }
}
