//! Scans, banners and UDP probes.

use super::{PATIENCE, http_server, lab, patience};
use proofbench_channel::{Cancel, ErrorKind, Wait};
use proofbench_peers::ports::{Banner, BannerSetup, Control, Probe, ScanSetup, State, UdpProbe, UdpState, banners, probe_udp, scan};
use proofbench_testkit::{Peer, find, free_port, free_udp_port, python};
use std::collections::BTreeSet;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// An address of loopback that is this test's alone: other tests listen elsewhere, so that the scans see the same ports.
const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 88, 71, 3));

/// The open ports that nmap finds by connecting.
fn by_nmap(nmap: &std::path::Path, address: IpAddr, ports: &str) -> BTreeSet<u16> {
    let mut command = Command::new(nmap);
    command.args(["-sT", "-n", "-Pn", "-T5", "--open", "-oG", "-", "-p", ports, &address.to_string()]);
    if address.is_ipv6() {
        command.arg("-6");
    }
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("1 host up"), "{text}");
    text.split_whitespace().filter_map(|w| w.split_once("/open/tcp")).map(|(port, _)| port.parse().unwrap()).collect()
}

#[test]
fn all_ports_of_an_address_are_as_nmap_finds_them() {
    let Some(nmap) = find("nmap") else { return };
    let lab = lab();
    let listeners: Vec<TcpListener> = (0..40).map(|_| TcpListener::bind((OWN, 0)).unwrap()).collect();
    let low = TcpListener::bind((OWN, 1_234)).unwrap();
    let own: BTreeSet<u16> = listeners.iter().chain([&low]).map(|l| l.local_addr().unwrap().port()).collect();
    // Others on this machine may begin or cease to listen on all addresses between the two scans: not three times in a row.
    let agreed = (0..3).any(|_| {
        let found = scan(&lab, &ScanSetup { open: Some(1_234), closed: Some(1), ..ScanSetup::all(OWN) }, &patience(&lab)).unwrap();
        let open: BTreeSet<u16> = found.open_ports().into_iter().collect();
        assert!(own.is_subset(&open), "{:?}", own.difference(&open));
        assert_eq!(found.ports.len(), 65_535);
        assert_eq!((&found.open, &found.closed), (&Control::Held, &Control::Held));
        assert_eq!(found.ports.values().filter(|s| !matches!(s, State::Open | State::Closed)).count(), 0);
        let theirs = by_nmap(&nmap, OWN, "1-65535");
        if open != theirs {
            eprintln!("found by one only: {:?}", open.symmetric_difference(&theirs));
        }
        open == theirs
    });
    assert!(agreed);
}

#[test]
fn ports_of_an_ipv6_address_are_as_nmap_finds_them() {
    let Some(nmap) = find("nmap") else { return };
    let lab = lab();
    let address = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let listeners: Vec<TcpListener> = (0..5).map(|_| TcpListener::bind((address, 0)).unwrap()).collect();
    let open: Vec<u16> = listeners.iter().map(|l| l.local_addr().unwrap().port()).collect();
    let mut ports = open.clone();
    // Port 1 and 2 are nobody's.
    ports.extend([1, 2]);
    let found = scan(&lab, &ScanSetup { ports: ports.clone(), ..ScanSetup::all(address) }, &patience(&lab)).unwrap();
    assert_eq!(found.open_ports().into_iter().collect::<BTreeSet<_>>(), open.iter().copied().collect());
    let list = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
    assert_eq!(by_nmap(&nmap, address, &list), open.into_iter().collect());
    assert_eq!((&found.ports[&1], &found.ports[&2]), (&State::Closed, &State::Closed));
}

#[test]
fn a_listener_that_takes_no_more_connections_is_silent_and_not_closed() {
    let lab = lab();
    let Some(python) = python(&["socket"]) else { return };
    let script =
        "import signal, socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(0); print('ready', s.getsockname()[1]); signal.pause()";
    let mut peer = Peer::start(Command::new(python).args(["-u", "-c", script]));
    let port = peer.ready();
    // Nobody accepts: one connection fills the queue.
    let full = TcpStream::connect((LOCALHOST, port)).unwrap();
    let setup = ScanSetup { ports: vec![port], patience: Duration::from_millis(200), open: Some(port), ..ScanSetup::all(LOCALHOST) };
    let found = scan(&lab, &setup, &patience(&lab)).unwrap();
    assert_eq!(found.ports[&port], State::Silent);
    assert_eq!(found.open, Control::Broken { port, before: State::Silent, after: State::Silent });
    drop(full);
}

#[test]
fn controls_that_do_not_hold_are_told() {
    let lab = lab();
    let listener = TcpListener::bind((LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let setup = ScanSetup { ports: vec![], open: Some(1), closed: Some(port), ..ScanSetup::all(LOCALHOST) };
    let found = scan(&lab, &setup, &patience(&lab)).unwrap();
    assert_eq!(found.open, Control::Broken { port: 1, before: State::Closed, after: State::Closed });
    assert_eq!(found.closed, Control::Broken { port, before: State::Open, after: State::Open });
}

#[test]
fn what_this_machine_cannot_ask_is_failed_and_not_closed() {
    let lab = lab();
    // A link-local address without its interface.
    let found = scan(&lab, &ScanSetup { ports: vec![0, 80], ..ScanSetup::all("fe80::1".parse().unwrap()) }, &patience(&lab)).unwrap();
    assert!(found.ports.values().all(|s| matches!(s, State::Failed(_))), "{:?}", found.ports);
    assert_eq!(found.ports.len(), 2);
}

/// Runs one test of this binary again, in a process whose descriptors are few.
#[test]
fn without_descriptors_ports_are_failed_and_with_few_they_are_asked_one_after_another() {
    let inner = "ports::inner_with_few_descriptors";
    let run = |limit: &str| {
        let script = format!("ulimit -n {limit} && exec \"$0\" --exact {inner} --nocapture --test-threads 1");
        let own = std::env::current_exe().unwrap();
        let output = Command::new("sh").arg("-c").arg(script).arg(own).env("PROOFBENCH_NET_INNER", limit).output().unwrap();
        assert!(output.status.success(), "{limit}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains("scanned with few"), "the inner test ran");
    };
    run("24");
}

#[test]
fn inner_with_few_descriptors() {
    if std::env::var_os("PROOFBENCH_NET_INNER").is_none() {
        return;
    }
    let lab = lab();
    let listener = TcpListener::bind((LOCALHOST, 0)).unwrap();
    let open = listener.local_addr().unwrap().port();
    let setup = ScanSetup { ports: vec![1, 2, 3, open], ..ScanSetup::all(LOCALHOST) };
    let found = scan(&lab, &setup, &patience(&lab)).unwrap();
    assert_eq!(found.open_ports(), [open]);
    assert_eq!(found.ports[&2], State::Closed);
    let mut hoard = vec![];
    while let Ok(file) = std::fs::File::open("/dev/null") {
        hoard.push(file);
    }
    // One for the scan's own poll, none for a socket.
    hoard.pop();
    let found = scan(&lab, &setup, &patience(&lab)).unwrap();
    hoard.clear();
    assert!(found.ports.values().all(|s| matches!(s, State::Failed(_))), "{:?}", found.ports);
    println!("scanned with few");
}

#[test]
fn a_cancel_and_a_deadline_end_a_scan() {
    let lab = lab();
    let cancel = Cancel::new();
    let other = cancel.clone();
    let listener = TcpListener::bind((LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    // Cancelled as soon as the first control is asked: the scan is under way.
    let canceller = std::thread::spawn(move || {
        let _ = listener.accept().unwrap();
        other.cancel();
    });
    let wait = Wait::until(lab.timeline.now() + PATIENCE, &cancel);
    let setup = ScanSetup { patience: PATIENCE, open: Some(address.port()), ..ScanSetup::all(LOCALHOST) };
    let e = scan(&lab, &setup, &wait).unwrap_err();
    assert_eq!(e.kind, ErrorKind::Cancelled);
    canceller.join().unwrap();
    let e = scan(&lab, &ScanSetup::all(LOCALHOST), &Wait::until(lab.timeline.now(), &Cancel::new())).unwrap_err();
    assert_eq!(e.kind, ErrorKind::Timeout);
}

fn banner(at: SocketAddr, probes: &[Probe]) -> Banner {
    let lab = lab();
    let setup = BannerSetup { probes: probes.to_vec(), quiet: Duration::from_millis(500), ..BannerSetup::default() };
    banners(&lab, &[at], &setup, &patience(&lab)).unwrap().pop().unwrap()
}

#[test]
fn a_web_server_is_silent_and_answers_the_http_probe() {
    let folder = tempfile::tempdir().unwrap();
    let Some((_server, at)) = http_server(folder.path()) else { return };
    let banner = banner(at, &Probe::ALL);
    assert!(banner.said.is_empty());
    let answered = banner.answered.unwrap();
    assert_eq!(answered.probe, Probe::Http);
    assert!(answered.bytes.starts_with(b"HTTP/1.0 200 OK"), "{answered:?}");
}

#[test]
fn a_tls_server_answers_the_client_hello_with_a_hello() {
    let Some(openssl) = find("openssl") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut make = Command::new(&openssl);
    make.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=test",
        "-keyout",
        "key",
        "-out",
        "cert",
    ]);
    assert!(make.current_dir(folder.path()).output().unwrap().status.success());
    for version in ["-tls1_2", "-tls1_3"] {
        let port = free_port();
        let mut server = Command::new(&openssl);
        server
            .args(["s_server", "-accept", &format!("127.0.0.1:{port}"), "-cert", "cert", "-key", "key", "-www", version])
            .current_dir(folder.path());
        let mut server = Peer::start(&mut server);
        server.wait_for_port(port);
        let answered = banner((LOCALHOST, port).into(), &[Probe::Tls]).answered.unwrap();
        // A handshake record with a ServerHello (in TLS 1.3 it is the request for another key share).
        assert_eq!((answered.bytes[0], answered.bytes[5]), (22, 2), "{version}: {answered:?}");
    }
}

#[test]
fn a_broker_answers_the_connect_probe() {
    let Some(mosquitto) = find("mosquitto") else { return };
    let port = free_port();
    let mut broker = Peer::start(Command::new(mosquitto).args(["-p", &port.to_string()]));
    broker.wait_for_port(port);
    let banner = banner((LOCALHOST, port).into(), &Probe::ALL);
    let answered = banner.answered.unwrap();
    assert_eq!(answered.probe, Probe::Mqtt, "it hangs up on the others");
    assert_eq!(&answered.bytes[..2], [0x20, 2], "CONNACK");
}

#[test]
fn a_service_that_speaks_first_is_heard_and_one_that_never_stops_is_cut_short() {
    let lab = lab();
    let listener = TcpListener::bind((LOCALHOST, 0)).unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            while stream.write_all(b"endless \xff\x00").is_ok() {}
        }
    });
    let setup = BannerSetup { bytes: 5_000, ..BannerSetup::default() };
    let found = banners(&lab, &[at, at], &setup, &patience(&lab)).unwrap();
    assert_eq!(found.len(), 2);
    for banner in found {
        assert_eq!(banner.said.len(), 5_000);
        assert!(banner.said.starts_with(b"endless \xff\x00"));
        let answered = banner.answered.unwrap();
        assert_eq!((answered.probe, answered.bytes.len()), (Probe::EmptyLine, 5_000));
    }
}

#[test]
fn a_port_that_closed_since_is_trouble_and_not_an_empty_banner() {
    let banner = banner((LOCALHOST, free_port()).into(), &Probe::ALL);
    assert!(banner.trouble[0].contains("connect"), "{banner:?}");
}

#[test]
fn udp_services_answer_are_unreachable_or_silent() {
    let lab = lab();
    let silent = UdpSocket::bind((LOCALHOST, 0)).unwrap();
    let closed = free_udp_port();
    let asks = [(UdpProbe::Ntp, (LOCALHOST, closed).into()), (UdpProbe::Dns, silent.local_addr().unwrap())];
    let found = probe_udp(&lab, &asks, Duration::from_millis(100), &patience(&lab)).unwrap();
    let UdpState::Unreachable(icmp) = &found[0].state else { panic!("{found:?}") };
    assert_eq!((icmp.name(), icmp.from), ("port unreachable", Some(LOCALHOST)));
    assert_eq!(found[1].state, UdpState::Silent);
    // Asked twice.
    silent.set_nonblocking(true).unwrap();
    let mut buffer = [0; 100];
    assert_eq!((0..3).filter(|_| silent.recv(&mut buffer).is_ok()).count(), 2);
}

#[test]
fn a_tftp_like_answer_from_another_port_is_taken() {
    let lab = lab();
    let asked = UdpSocket::bind((LOCALHOST, 0)).unwrap();
    let at = asked.local_addr().unwrap();
    let other = UdpSocket::bind((LOCALHOST, 0)).unwrap();
    let from = other.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (_, peer) = asked.recv_from(&mut [0; 100]).unwrap();
        other.send_to(b"\x00\x05\x00\x01no\x00", peer).unwrap();
    });
    let found = probe_udp(&lab, &[(UdpProbe::Tftp, at)], PATIENCE, &patience(&lab)).unwrap();
    assert_eq!(found[0].state, UdpState::Answered { bytes: b"\x00\x05\x00\x01no\x00"[..].into(), from });
}

#[test]
fn an_snmp_agent_answers_the_public_probe() {
    let Some(snmpd) = find("snmpd") else { return };
    let lab = lab();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("snmpd.conf");
    std::fs::write(&config, "rocommunity public\nsysDescr under test\n").unwrap();
    let port = free_udp_port();
    let mut agent = Command::new(snmpd);
    agent.args(["-f", "-Lo", "-r", "-C", "-c"]).arg(&config).arg(format!("udp:127.0.0.1:{port}")).env("SNMP_PERSISTENT_DIR", folder.path());
    let mut agent = Peer::start(&mut agent);
    agent.wait_for_line("NET-SNMP version");
    let found = probe_udp(&lab, &[(UdpProbe::SnmpPublic, (LOCALHOST, port).into())], PATIENCE, &patience(&lab)).unwrap();
    let UdpState::Answered { bytes, from } = &found[0].state else { panic!("{found:?}") };
    assert_eq!(*from, port);
    assert!(bytes.windows(10).any(|w| w == b"under test"), "{bytes:?}");
}

/// Every probe is what tshark knows as a whole message of its protocol.
#[test]
fn udp_probes_are_what_tshark_takes_them_for() {
    let protocols = [
        (UdpProbe::Dns, "dns"),
        (UdpProbe::Ntp, "ntp"),
        (UdpProbe::SnmpPublic, "snmp"),
        (UdpProbe::Mdns, "mdns"),
        (UdpProbe::Ssdp, "ssdp"),
        (UdpProbe::CoapCore, "coap"),
        (UdpProbe::Tftp, "tftp"),
    ];
    let file = tempfile::NamedTempFile::new().unwrap();
    let capture = super::capture::create(&file, 1 << 20);
    for (probe, _) in protocols {
        capture.udp(
            "192.0.2.1:40000".parse().unwrap(),
            SocketAddr::new("192.0.2.2".parse().unwrap(), probe.port()),
            probe.bytes(),
            Default::default(),
            None,
        );
    }
    capture.finish().unwrap();
    let Some(found) = super::capture::tshark(file.path(), &["-T", "fields", "-e", "frame.protocols", "-e", "_ws.malformed"]) else { return };
    for ((_, protocol), line) in protocols.iter().zip(found.lines()) {
        assert_eq!(line.trim_end(), format!("raw:ip:udp:{protocol}"));
    }
    assert_eq!(found.lines().count(), protocols.len());
}
