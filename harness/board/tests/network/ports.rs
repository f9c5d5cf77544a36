//! The device's own ports before real clients.

use crate::bench::{Board, LOW, PATIENCE, Side, ear, ends_by_reset};
use proofbench_channel::{Cancel, Wait};
use proofbench_peers::tls::scan::{Target, VERSIONS, scan};
use proofbench_testkit::find;
use std::io::{Read, Write};
use std::net::{SocketAddrV4, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;

fn s_client(openssl: &std::path::Path, board: &Board, options: &[&str]) -> String {
    let mut command = Command::new(openssl);
    command.args(["s_client", "-brief", "-connect", &format!("{}:8443", board.address)]).args(options);
    let done = command.stdin(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned()
}

#[test]
fn curl_is_served_and_openssl_sees_the_units_name_and_exactly_its_versions_and_suites() {
    let (Some(curl), Some(openssl)) = (find("curl"), find("openssl")) else { return };
    let side = Side::empty();
    let board = Board::up(&side, &[]);
    assert_eq!(board.curl(&curl, "/api/info", &[]), r#"{"model":"TH-1","set-up":false}"#);
    let says = |options: &[&str], part: &str| {
        let said = s_client(&openssl, &board, options);
        assert!(said.contains(part), "{options:?}: {said}");
    };
    says(&[], "CN = TH1-0001");
    says(&["-tls1_3"], "Ciphersuite: TLS_AES_128_GCM_SHA256");
    says(&["-tls1_2"], "Ciphersuite: ECDHE-ECDSA-AES128-GCM-SHA256");
    says(&["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"], "Ciphersuite: ECDHE-ECDSA-CHACHA20-POLY1305");
    says(&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"], "alert handshake failure");
    says(&["-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"], "alert handshake failure");
    says(&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "alert");
}

#[test]
fn old_versions_and_suites_of_lax_units_are_found_by_a_scan() {
    let sees = |defects: &[&str], version: u16, suite: u16| {
        let side = Side::empty();
        let board = Board::up(&side, defects);
        let target = Target {
            peer: "scan".into(),
            address: (board.address, 8443).into(),
            name: None,
            versions: VERSIONS.to_vec(),
            patience: PATIENCE,
            pause: Duration::ZERO,
            tries: 1,
        };
        let wait = Wait::until(side.lab.timeline.now() + PATIENCE, &Cancel::new());
        let scan = scan(&side.lab, &target, &wait).unwrap();
        assert!(scan.is_controlled());
        scan.versions.iter().any(|v| v.version == version && v.suites.contains(&suite))
    };
    assert!(sees(&[], 0x0303, 0xC02B));
    assert!(!sees(&[], 0x0301, 0xC009));
    assert!(sees(&["--defect", "server-takes-tls10"], 0x0301, 0xC009));
    assert!(!sees(&[], 0x0303, 0xC023));
    assert!(sees(&["--defect", "server-undeclared-suite"], 0x0303, 0xC023));
}

#[test]
fn the_units_certificate_is_the_same_after_a_restart() {
    let Some(openssl) = find("openssl") else { return };
    let side = Side::empty();
    let shown = || {
        let board = Board::up(&side, &[]);
        let mut command = Command::new(&openssl);
        command.args(["s_client", "-showcerts", "-connect", &format!("{}:8443", board.address)]);
        let done = command.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        said.split("-----BEGIN").nth(1).and_then(|s| s.split("-----END").next()).unwrap().to_owned()
    };
    assert_eq!(shown(), shown());
}

#[test]
fn plain_bytes_on_a_tls_port_are_answered_by_an_alert_and_the_end() {
    let side = Side::empty();
    let board = Board::up(&side, &[]);
    let mut stream = board.connect(8443).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(answer.first(), Some(&0x15), "{answer:02x?}");
}

#[test]
fn a_client_that_only_ends_its_own_side_still_gets_its_answer() {
    let side = Side::empty();
    let board = Board::up(&side, &[]);
    let mut stream = board.connect(8080).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 301"), "{answer:?}");
}

#[test]
fn ports_come_and_go_as_firmware_has_it() {
    let Some(curl) = find("curl") else { return };
    let side = Side::empty();
    // The first is closed thirty seconds of the device after its start, the second opens with an owner.
    let board = Board::up(&side, &["--defect", "telnet-at-boot", "--defect", "setup-port-stays"]);
    board.wait_for(LOW + 23, true);
    assert!(board.connect(8888).is_err());
    board.set_up(&curl);
    board.wait_for(8888, true);
    board.wait_for(LOW + 23, false);
    board.wait_for(8443, true);
}

#[test]
fn too_many_callers_are_turned_away_and_the_others_are_served() {
    let side = Side::empty();
    let board = Board::up(&side, &[]);
    let mut held: Vec<_> = (0..64).map(|_| board.connect(8443).unwrap()).collect();
    // One in the midst of a handshake that never goes on; the kernel takes the next one before the module turns it away.
    let mut late = board.connect(8443).unwrap();
    assert!(ends_by_reset(&mut late));
    held.clear();
    board.wait_for(8443, true);
}

#[test]
fn datagrams_reach_bound_ports_and_others_are_closed() {
    let side = Side::empty();
    let board = Board::up(&side, &["--defect", "udp-9999"]);
    let ask = |port: u16, bytes: &[u8]| {
        let socket = UdpSocket::bind((side.place.gateway, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect((board.address, port)).unwrap();
        socket.send(bytes).unwrap();
        let mut answer = [0; 2048];
        socket.recv(&mut answer).map(|n| answer[..n].to_vec())
    };
    assert_eq!(ask(9999, b"?").unwrap(), b"TH1 service");
    // SMP: echo "on".
    let echo = [&[8, 0, 0, 6, 0, 0, 1, 0, 0xA1, 0x61, b'd', 0x62][..], b"on"].concat();
    assert!(ask(1337, &echo).unwrap().ends_with(b"on"));
    assert_eq!(ask(9998, b"?").unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn broadcasts_of_the_device_are_heard_on_its_network() {
    let side = Side::empty();
    let socket = ear(SocketAddrV4::new([127, 255, 255, 255].into(), LOW + 69));
    let _board = Board::up(&side, &["--defect", "boot-asks-tftp"]);
    let mut bytes = [0; 100];
    loop {
        let (n, from) = socket.recv_from(&mut bytes).unwrap();
        // Another test's device may be on this loopback network too.
        if from.ip() == side.place.device {
            assert_eq!(&bytes[..n], b"\0\x01th1.bin\0octet\0");
            return;
        }
    }
}

#[test]
fn announcements_of_the_device_are_heard_by_its_group() {
    let side = Side::empty();
    let socket = ear(SocketAddrV4::new([224, 0, 0, 251].into(), 5353));
    socket.join_multicast_v4(&"224.0.0.251".parse().unwrap(), &side.place.gateway).unwrap();
    let _board = Board::up(&side, &[]);
    let mut bytes = [0; 1000];
    loop {
        let (n, from) = socket.recv_from(&mut bytes).unwrap();
        if from.ip() == side.place.device {
            assert!(String::from_utf8_lossy(&bytes[..n]).contains("model=TH-1"));
            return;
        }
    }
}

#[test]
fn who_does_not_read_loses_his_connection_and_nobody_else_notices() {
    let Some(curl) = find("curl") else { return };
    let side = Side::empty();
    let board = Board::up(&side, &[]);
    let mut deaf = board.connect(8080).unwrap();
    deaf.set_write_timeout(Some(PATIENCE)).unwrap();
    // Requests without end, whose answers nobody reads; the device allows a hundred on a connection.
    while deaf.write_all(&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100)).is_ok() {}
    assert!(board.curl(&curl, "/api/info", &[]).contains("TH-1"));
}
