//! Servers that do one thing, whatever they are asked. Real servers are in the tests beside the crate.

use super::*;
use crate::Timeline;
use proofbench_channel::{Cancel, Moment};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::time::Instant;
use tokio::runtime::{Builder, Runtime};

const LONG: Duration = Duration::from_secs(60);

fn lab() -> (Runtime, Lab) {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let start = Instant::now();
    let timeline = Timeline::new(move || Moment(start.elapsed().as_nanos() as u64));
    let lab = Lab { runtime: runtime.handle().clone(), timeline };
    (runtime, lab)
}

/// A server that reads one hello a connection, gives these bytes to the first ones and then those, and ends its side if `ends`.
fn server(first: (usize, Vec<u8>), then: Vec<u8>, ends: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for (n, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let mut head = [0; 5];
            if stream.read_exact(&mut head).is_err() {
                continue;
            }
            let mut hello = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
            stream.read_exact(&mut hello).unwrap();
            let _ = stream.write_all(if n < first.0 { &first.1 } else { &then });
            if ends {
                let _ = stream.shutdown(Shutdown::Write);
            }
            kept.push(stream);
        }
    });
    address
}

/// A ServerHello of this version and suite in its record.
fn server_hello(version: u16, suite: u16) -> Vec<u8> {
    let [a, b] = version.to_be_bytes();
    let [c, d] = suite.to_be_bytes();
    [&[22, 3, 0, 0, 42, 2, 0, 0, 38, a, b][..], &[9; 32], &[0, c, d, 0]].concat()
}

fn run(address: SocketAddr, version: u16, patience: Duration) -> (Scan, Vec<String>) {
    run_with(address, version, patience, 1)
}

fn run_with(address: SocketAddr, version: u16, patience: Duration, tries: u8) -> (Scan, Vec<String>) {
    let (_runtime, lab) = lab();
    let target = Target { peer: "scanner".into(), address, name: None, versions: vec![version], patience, pause: Duration::ZERO, tries };
    let found = scan(&lab, &target, &Wait::until(lab.timeline.now() + LONG, &Cancel::new())).unwrap();
    (found, lab.timeline.take().0.into_iter().map(|e| e.what).collect())
}

/// Replies to all that is left of a version, after a control that was answered by TLS 1.2.
fn replies(version: u16, then: Vec<u8>, ends: bool, patience: Duration) -> (VersionSeen, Scan) {
    let (found, _) = run(server((1, server_hello(TLS_1_2, 0x002f)), then, ends), version, patience);
    assert!(matches!(found.before[..], [Reply::Accepted { version: TLS_1_2, suite: 0x002f }]), "{found:?}");
    (found.versions[0].clone(), found)
}

#[test]
fn a_dead_port_supports_nothing_that_we_know_of() {
    let address = SocketAddr::from(([127, 0, 0, 1], proofbench_testkit::free_port()));
    let (found, said) = run(address, TLS_1_2, LONG);
    assert!(matches!(found.before[..], [Reply::NoConnection(_), Reply::NoConnection(_)]), "{found:?}");
    assert!(found.versions.is_empty() && found.after.is_none() && !found.is_controlled());
    assert!(said.last().unwrap().starts_with("nothing was asked"), "{said:?}");
}

#[test]
fn refusals_are_told_apart_and_the_control_afterwards_fails_with_them() {
    let (seen, found) = replies(TLS_1_2, vec![21, 3, 1, 0, 2, 2, 70], true, LONG);
    assert!(seen.suites.is_empty() && seen.is_whole() && !found.is_controlled());
    assert!(seen.rest.iter().all(|(_, r)| *r == Reply::Alert { level: 2, description: 70 }), "{seen:?}");
    assert_eq!(seen.rest.iter().map(|(s, _)| s.len()).sum::<usize>(), suites_of(TLS_1_2).len());
    let (seen, _) = replies(TLS_1_2, vec![], true, LONG);
    assert!(seen.is_whole() && seen.rest.iter().all(|(_, r)| *r == Reply::Closed), "{seen:?}");
    let (seen, _) = replies(TLS_1_2, server_hello(TLS_1_1, 0x002f), true, LONG);
    assert!(seen.suites.is_empty() && seen.rest.iter().all(|(_, r)| *r == Reply::Other { version: TLS_1_1, suite: 0x002f }), "{seen:?}");
}

#[test]
fn silence_and_noise_are_no_refusals() {
    // Long enough for the control, which is answered; TLS 1.3 has the fewest questions that are not.
    let patience = Duration::from_secs(1);
    let (seen, found) = replies(TLS_1_3, vec![], false, patience);
    assert!(!seen.is_whole() && !found.is_controlled() && seen.rest.iter().all(|(_, r)| *r == Reply::Silent), "{seen:?}");
    let (seen, _) = replies(TLS_1_3, vec![22, 3, 3, 0, 42, 2], false, patience);
    assert!(!seen.is_whole() && seen.rest.iter().all(|(_, r)| matches!(r, Reply::Garbled(_))), "{seen:?}");
    let (seen, _) = replies(TLS_1_3, b"220 mail.test ESMTP\r\n".to_vec(), false, LONG);
    assert!(!seen.is_whole() && seen.rest.iter().all(|(_, r)| matches!(r, Reply::Garbled(_))), "{seen:?}");
}

#[test]
fn a_question_that_was_not_answered_is_asked_again_as_often_as_told() {
    let silent_once = || server((1, vec![]), server_hello(TLS_1_3, 0x1301), false);
    let (found, _) = run_with(silent_once(), TLS_1_3, Duration::from_secs(1), 2);
    assert_eq!(found.before, [Reply::Accepted { version: TLS_1_3, suite: 0x1301 }]);
    let (found, _) = run_with(silent_once(), TLS_1_3, Duration::from_secs(1), 1);
    assert_eq!(found.before[0], Reply::Silent);
}

#[test]
fn a_server_that_names_one_suite_for_ever_accepts_it_once() {
    // SSL 3.0, in the form that a server of that time sends.
    let hello = server_hello(SSL_3_0, 0x000a);
    let (found, _) = run(server((0, vec![]), hello, true), SSL_3_0, LONG);
    assert_eq!(found.before[0], Reply::Other { version: SSL_3_0, suite: 0x000a });
    assert_eq!(found.before[1], Reply::Accepted { version: SSL_3_0, suite: 0x000a });
    assert!(found.is_controlled());
    let seen = &found.versions[0];
    assert_eq!(seen.suites, [0x000a]);
    assert!(seen.rest.iter().all(|(rest, r)| !rest.contains(&0x000a) && *r == Reply::Other { version: SSL_3_0, suite: 0x000a }));
}

#[test]
fn a_warning_about_the_name_before_the_answer_is_no_refusal() {
    let warned = [&[21, 3, 1, 0, 2, 1, 112][..], &server_hello(TLS_1_2, 0x002f)].concat();
    let (found, _) = run(server((0, vec![]), warned, true), TLS_1_2, LONG);
    assert_eq!(found.versions[0].suites, [0x002f]);
    let (seen, _) = replies(TLS_1_2, vec![21, 3, 1, 0, 2, 2, 112], true, LONG);
    assert!(seen.rest.iter().all(|(_, r)| *r == Reply::Alert { level: 2, description: 112 }), "{seen:?}");
}

#[test]
fn a_cancel_ends_a_scan_of_a_silent_server() {
    let (_runtime, lab) = lab();
    let address = server((0, vec![]), vec![], false);
    let target = Target { peer: "scanner".into(), address, name: None, versions: vec![TLS_1_2], patience: LONG, pause: Duration::ZERO, tries: 1 };
    let cancel = Cancel::new();
    let wait = Wait::until(Moment(u64::MAX), &cancel);
    let scanning = std::thread::spawn(move || scan(&lab, &target, &wait));
    cancel.cancel();
    assert_eq!(scanning.join().unwrap().unwrap_err().kind, proofbench_channel::ErrorKind::Cancelled);
}

#[test]
fn every_known_suite_is_asked_for_in_its_version_and_no_signal_is() {
    let (old, new) = (suites_of(TLS_1_2), suites_of(TLS_1_3));
    assert!(old.len() > 330 && old.contains(&0xc02f) && old.contains(&0x0001) && !old.contains(&0x1301));
    assert!(new.contains(&0x1301) && new.contains(&0x1305) && !new.contains(&0x002f));
    assert!([0x0000, 0x00ff, 0x5600].iter().all(|s| !old.contains(s) && !new.contains(s)));
}
