//! The resolver and dig.

use crate::{Ground, LONG, run, text};
use proofbench_peers::dns::{Conduct, DnsServer, DnsSetup, Record, Unknown, Zone};
use proofbench_testkit::{find, python};
use rstest::rstest;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};
use std::path::Path;
use std::process::Command;

const LAB: Unknown = Unknown::Lab { v4: Ipv4Addr::new(192, 0, 2, 99), v6: Some(Ipv6Addr::LOCALHOST), ttl: 5 };

fn zone() -> Zone {
    let mut zone = Zone::new();
    zone.add("update.example.org", 300, Record::A(Ipv4Addr::new(192, 0, 2, 1))).unwrap();
    zone.add("update.example.org.", 300, Record::Aaaa(Ipv6Addr::LOCALHOST)).unwrap();
    zone.add("update.example.org", 300, Record::Txt(b"v=1; \"quoted\"".to_vec())).unwrap();
    zone.add("update.example.org", 300, Record::Mx { preference: 10, exchange: "mail.example.org".to_owned() }).unwrap();
    zone.add("alias.example.org", 60, Record::Cname("update.example.org".to_owned())).unwrap();
    zone.add("*.wild.example.org", 60, Record::A(Ipv4Addr::new(192, 0, 2, 2))).unwrap();
    for n in 0..100 {
        zone.add("many.example.org", 60, Record::A(Ipv4Addr::new(192, 0, 2, n))).unwrap();
    }
    zone
}

/// A resolver that behaves so.
fn with(unknown: Unknown, conduct: Conduct) -> (Ground, DnsServer) {
    let ground = Ground::new();
    let setup = DnsSetup { name: "resolver".into(), listen: "127.0.0.1:0".parse().unwrap(), zone: zone(), unknown };
    let server = DnsServer::start(&ground.lab, setup).unwrap();
    server.set_conduct(conduct);
    (ground, server)
}

/// What dig says.
fn dig(program: &Path, server: &DnsServer, arguments: &[&str]) -> String {
    let port = server.address().port().to_string();
    text(&run(Command::new(program).args(["-r", "@127.0.0.1", "-p", &port, "+tries=1", "+timeout=30"]).args(arguments)).stdout)
}

#[rstest]
#[case(&["update.example.org"], "192.0.2.1\n")]
#[case(&["UPDATE.example.org"], "192.0.2.1\n")]
#[case(&["update.example.org", "AAAA"], "::1\n")]
#[case(&["update.example.org", "TXT"], "\"v=1; \\\"quoted\\\"\"\n")]
#[case(&["update.example.org", "MX"], "10 mail.example.org.\n")]
#[case(&["alias.example.org"], "update.example.org.\n192.0.2.1\n")]
#[case(&["a.b.wild.example.org"], "192.0.2.2\n")]
#[case(&["elsewhere.test"], "")]
fn the_zone_is_told(#[case] question: &[&str], #[case] answer: &str, #[values("+notcp", "+tcp")] over: &str) {
    let Some(program) = find("dig") else { return };
    let (ground, server) = with(Unknown::NxDomain, Conduct::Honest);
    assert_eq!(dig(&program, &server, &[question, &["+short", over]].concat()), answer);
    let over = if over == "+tcp" { "TCP" } else { "UDP" };
    let asked = ground.seen(&format!("{over} asks {}.", question[0]));
    assert!(!asked.bytes.is_empty());
}

#[test]
fn a_name_that_is_not_there_does_not_exist() {
    let Some(program) = find("dig") else { return };
    let (_ground, server) = with(Unknown::NxDomain, Conduct::Honest);
    let said = dig(&program, &server, &["elsewhere.test"]);
    assert!(said.contains("status: NXDOMAIN") && said.contains("flags: qr rd ra;") && said.contains("EDNS: version: 0"), "{said}");
}

#[test]
fn every_name_can_be_the_labs() {
    let Some(program) = find("dig") else { return };
    let (ground, server) = with(LAB, Conduct::Honest);
    assert_eq!(dig(&program, &server, &["+short", "telemetry.vendor.test"]), "192.0.2.99\n");
    assert_eq!(dig(&program, &server, &["+short", "telemetry.vendor.test", "AAAA"]), "::1\n");
    assert_eq!(dig(&program, &server, &["+short", "update.example.org"]), "192.0.2.1\n", "what is known stays");
    let said = dig(&program, &server, &["telemetry.vendor.test", "MX"]);
    assert!(said.contains("status: NOERROR") && said.contains("ANSWER: 0"), "{said}");
    ground.seen("asks telemetry.vendor.test. AAAA IN");
    server.set_zone(Zone::new(), Unknown::NxDomain);
    assert!(dig(&program, &server, &["update.example.org"]).contains("status: NXDOMAIN"));
}

#[rstest]
#[case(Conduct::ServFail, "status: SERVFAIL")]
#[case(Conduct::Refused, "status: REFUSED")]
#[case(Conduct::WrongId, "ID mismatch")]
#[case(Conduct::WrongQuestion, "Question section mismatch: got not-asked-for.invalid/A/IN")]
#[case(Conduct::CompressionLoop, "bad compression pointer")]
// dig listens to nobody but whom it asked.
#[case(Conduct::OtherPort, "timed out")]
#[case(Conduct::Silent, "timed out")]
#[case(Conduct::Ttl(0), "update.example.org.\t0\tIN\tA")]
#[case(Conduct::Ttl(1 << 31), "update.example.org.\t2147483648 IN\tA")]
#[case(Conduct::ManyRecords(3000), "ANSWER: 3000,")]
#[case(Conduct::OversizedTxt(50_000), "IN\tTXT\t\"xxx")]
fn what_was_told_is_done(#[case] conduct: Conduct, #[case] said: &str) {
    let Some(program) = find("dig") else { return };
    let (ground, server) = with(Unknown::NxDomain, conduct);
    // dig waits on where nothing comes that it listens to.
    let deaf = matches!(conduct, Conduct::Silent | Conduct::OtherPort | Conduct::WrongId | Conduct::WrongQuestion);
    let patience = if deaf { "+timeout=5" } else { "+timeout=30" };
    let got = dig(&program, &server, &[patience, "+notcp", "+ignore", "update.example.org"]);
    assert!(got.contains(said), "{}", got.chars().take(3000).collect::<String>());
    ground.seen(if conduct == Conduct::Silent { "UDP not answered" } else { "UDP " });
}

#[test]
fn what_does_not_fit_a_datagram_is_had_over_tcp() {
    let Some(program) = find("dig") else { return };
    let (ground, server) = with(Unknown::NxDomain, Conduct::Honest);
    assert_eq!(dig(&program, &server, &["+short", "+noedns", "many.example.org"]).lines().count(), 100);
    ground.seen("truncated");
    ground.seen("TCP asks many.example.org.");
}

#[test]
fn a_datagram_that_the_client_takes_is_not_truncated() {
    let Some(program) = find("dig") else { return };
    let (ground, server) = with(Unknown::NxDomain, Conduct::Honest);
    assert_eq!(dig(&program, &server, &["+short", "+bufsize=4000", "many.example.org"]).lines().count(), 100);
    assert!(ground.unseen("TCP"));
}

#[test]
fn told_to_truncate_it_has_the_truth_over_tcp_only() {
    let Some(program) = find("dig") else { return };
    let (_ground, server) = with(Unknown::NxDomain, Conduct::Truncate);
    let cut = dig(&program, &server, &["+ignore", "update.example.org"]);
    assert!(cut.contains("flags: qr tc rd ra;") && cut.contains("ANSWER: 0"), "{cut}");
    assert_eq!(dig(&program, &server, &["+short", "update.example.org"]).lines().last(), Some("192.0.2.1"));
}

#[test]
fn what_the_device_asks_for_goes_into_text_escaped() {
    let Some(program) = find("dig") else { return };
    let (ground, server) = with(LAB, Conduct::Honest);
    dig(&program, &server, &["+noidnin", "a\\010b\\027\\200.test"]);
    let asked = ground.seen("UDP asks a");
    assert!(asked.what.bytes().all(|b| (0x20..0x7f).contains(&b)), "{:?}", asked.what);
}

#[test]
fn a_datagram_that_is_bent_is_an_error_of_its_form() {
    let Some(python) = python(&["socket"]) else { return };
    let (ground, server) = with(LAB, Conduct::Honest);
    // A header that says one question, and none behind it.
    let script = "import socket, sys\n\
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(60)\n\
        s.sendto(bytes.fromhex('abcd01000001000000000000'), ('127.0.0.1', int(sys.argv[1])))\n\
        print(s.recv(512).hex())\n";
    let got = run(Command::new(python).args(["-c", script, &server.address().port().to_string()]));
    let answer = text(&got.stdout);
    assert!(answer.starts_with("abcd80") && answer[6..8].ends_with('1'), "{answer} {}", text(&got.stderr));
    ground.seen("no query that can be read, 12 bytes");
}

#[test]
fn the_other_port_is_another_one_with_the_truth() {
    let Some(python) = python(&["socket"]) else { return };
    let (_ground, server) = with(LAB, Conduct::OtherPort);
    let script = "import socket, sys\n\
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(60); p = int(sys.argv[1])\n\
        s.sendto(bytes.fromhex('abcd010000010000000000000474657374'+'0000010001'), ('127.0.0.1', p))\n\
        b, (host, port) = s.recvfrom(512); print(b[:2].hex(), b[-4:].hex(), host, port != p)\n";
    let got = run(Command::new(python).args(["-c", script, &server.address().port().to_string()]));
    assert_eq!(text(&got.stdout), "abcd c0000263 127.0.0.1 True\n", "{}", text(&got.stderr));
}

#[test]
fn a_connection_may_ask_twice_and_end_in_the_middle() {
    let (ground, server) = with(LAB, Conduct::Refused);
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let query = b"\0\x16\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x04test\0\0\x01\0\x01";
    for _ in 0..2 {
        stream.write_all(query).unwrap();
        let mut answer = [0; 24];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer[..6], [0, 22, 0x12, 0x34, 0x81, 0x85]);
    }
    stream.write_all(&query[..9]).unwrap();
    drop(stream);
    ground.seen("TCP broken off");
}
