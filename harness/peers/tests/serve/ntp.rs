//! The time server and chronyd, which measures and sets nothing.

use crate::{Ground, LONG, run, text};
use proofbench_peers::ntp::{Clock, Conduct, ERA_1, Kiss, NtpServer, NtpSetup, UNIX_EPOCH, UNIX_OVERFLOW};
use proofbench_testkit::find;
use rstest::rstest;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::SystemTime;

const SECOND: i128 = 1_000_000_000;
/// Seconds of an era.
const ERA: f64 = 4_294_967_296.0;

fn real() -> i128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as i128
}

fn start(ground: &Ground, clock: Clock) -> NtpServer {
    NtpServer::start(&ground.lab, NtpSetup { name: "time".into(), listen: "127.0.0.1:0".parse().unwrap(), clock }).unwrap()
}

/// By how many seconds this machine's clock is wrong, if the server is right; `None`: chronyd would not have its time within `patience` seconds.
fn chronyd(program: &Path, server: &NtpServer, patience: u32) -> Option<f64> {
    let folder = tempfile::tempdir().unwrap();
    let source = format!("server 127.0.0.1 port {} iburst maxsamples 1", server.address().port());
    let pid = format!("pidfile {}", folder.path().join("pid").display());
    let got = run(Command::new(program).args([
        "-Q",
        "-x",
        "-U",
        "-u",
        "root",
        "-t",
        &patience.to_string(),
        &source,
        &pid,
        "cmdport 0",
        "bindcmdaddress /",
    ]));
    let said = text(&got.stdout) + &text(&got.stderr);
    let wrong = said.split("System clock wrong by ").nth(1).and_then(|s| s.split(' ').next());
    assert!(wrong.is_some() || said.contains("No suitable source for synchronisation") || said.contains("Timeout reached"), "{said}");
    wrong.map(|w| w.parse().unwrap())
}

#[test]
fn an_honest_server_agrees_with_this_machine() {
    let Some(program) = find("chronyd") else { return };
    let ground = Ground::new();
    let server = start(&ground, Arc::new(real));
    let wrong = chronyd(&program, &server, 60).unwrap();
    assert!(wrong.abs() < 1.0, "{wrong}");
    assert_eq!(ground.seen("asks, version 4").bytes[0] & 7, 3);
    assert_eq!(ground.seen("told ").bytes.len(), 48);
}

#[rstest]
#[case(Conduct::Offset(3600 * SECOND), |_| 3600.0)]
#[case(Conduct::Offset(-86_400 * SECOND), |_| -86_400.0)]
#[case(Conduct::From(UNIX_OVERFLOW), |now| (UNIX_OVERFLOW / SECOND) as f64 - now)]
#[case(Conduct::From(ERA_1), |now| (ERA_1 / SECOND) as f64 - now)]
#[case(Conduct::From(ERA_1 - SECOND / 10), |now| (ERA_1 / SECOND) as f64 - now)]
#[case(Conduct::From(UNIX_EPOCH), |now: f64| -now)]
fn a_false_time_is_believed(#[case] conduct: Conduct, #[case] wanted: fn(f64) -> f64) {
    let Some(program) = find("chronyd") else { return };
    let ground = Ground::new();
    let server = start(&ground, Arc::new(real));
    let wanted = wanted((real() / SECOND) as f64);
    server.set_conduct(conduct);
    let wrong = chronyd(&program, &server, 60).unwrap();
    // Starting a program takes some seconds at the most, and lies are of hours.
    // The era is not told, and which one chronyd takes depends on the day it was built.
    let apart = (wrong - wanted + ERA / 2.0).rem_euclid(ERA) - ERA / 2.0;
    assert!(apart.abs() < 60.0, "{wrong} is not {wanted}");
}

#[test]
fn the_time_is_the_one_handed_in() {
    let Some(program) = find("chronyd") else { return };
    let ground = Ground::new();
    let server = start(&ground, Arc::new(|| real() + 7200 * SECOND));
    let wrong = chronyd(&program, &server, 60).unwrap();
    assert!((wrong - 7200.0).abs() < 60.0, "{wrong}");
}

#[rstest]
#[case(Conduct::KissOfDeath(Kiss::Deny))]
#[case(Conduct::KissOfDeath(Kiss::Rate))]
#[case(Conduct::Status { leap: 3, stratum: 1 })]
#[case(Conduct::Status { leap: 0, stratum: 16 })]
#[case(Conduct::WrongOrigin)]
#[case(Conduct::Silent)]
fn a_time_that_is_none_is_not_had(#[case] conduct: Conduct) {
    let Some(program) = find("chronyd") else { return };
    let ground = Ground::new();
    let server = start(&ground, Arc::new(real));
    server.set_conduct(conduct);
    assert_eq!(chronyd(&program, &server, 5), None);
    ground.seen("asks, version 4");
    ground.seen(if conduct == Conduct::Silent { "not answered" } else { "told " });
}

/// The answer to a request whose transmit timestamp is 1, 2, 3, 4, 5, 6, 7, 8.
fn ask(server: &NtpServer) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    let mut request = [0; 48];
    request[0] = 0x23;
    request[40..].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
    socket.send_to(&request, server.address()).unwrap();
    let mut answer = [0; 100];
    let (length, from) = socket.recv_from(&mut answer).unwrap();
    assert_eq!(from, server.address());
    answer[..length].to_vec()
}

#[test]
fn a_frozen_clock_tells_one_moment_for_ever() {
    let ground = Ground::new();
    let server = start(&ground, Arc::new(real));
    server.set_conduct(Conduct::Frozen(ERA_1 + 5 * SECOND));
    let first = ask(&server);
    assert_eq!(first[40..], [0, 0, 0, 5, 0, 0, 0, 0]);
    assert_eq!(ask(&server), first);
}

#[rstest]
#[case(Conduct::KissOfDeath(Kiss::Rate), 0xe4, 0, b"RATE")]
#[case(Conduct::KissOfDeath(Kiss::Deny), 0xe4, 0, b"DENY")]
#[case(Conduct::Status { leap: 1, stratum: 15 }, 0x64, 15, b"LAB\0")]
#[case(Conduct::Honest, 0x24, 1, b"LAB\0")]
fn an_answer_says_where_its_time_is_from(#[case] conduct: Conduct, #[case] first: u8, #[case] stratum: u8, #[case] id: &[u8; 4]) {
    let ground = Ground::new();
    let server = start(&ground, Arc::new(real));
    server.set_conduct(conduct);
    let answer = ask(&server);
    assert_eq!((answer[0], answer[1], &answer[12..16], &answer[24..32]), (first, stratum, &id[..], &[1, 2, 3, 4, 5, 6, 7, 8][..]));
}

#[test]
fn what_is_no_request_is_seen_and_not_answered() {
    let ground = Ground::new();
    let server = start(&ground, Arc::new(real));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"\x17\x00\x03\x2a\x00\x00\x00\x00", server.address()).unwrap();
    assert_eq!(ground.seen("not a request: 8 bytes").bytes[0], 0x17);
    // The answer to a later request is the first that comes.
    assert_eq!(ask(&server).len(), 48);
    socket.set_nonblocking(true).unwrap();
    assert!(socket.recv(&mut [0; 100]).is_err());
}
