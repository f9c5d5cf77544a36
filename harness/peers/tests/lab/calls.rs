//! Connections and questions of the bench to a device.

use crate::bench::{Bench, LONG, SHORT, device, echo};
use crate::conform::{closed, tls_server};
use proofbench_channel::network::{DatagramSeen, Dial, Dialled, End, Network, Received};
use proofbench_channel::{Cancel, ErrorKind, Wait};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::mpsc::channel;

fn open(bench: &mut Bench, dial: Dial) -> proofbench_channel::network::ConnId {
    let wait = bench.long();
    match bench.lab.connect(&dial, &wait).unwrap() {
        Dialled::Open(conn, _) => conn,
        other => panic!("{other:?}"),
    }
}

fn read_until(bench: &mut Bench, conn: proofbench_channel::network::ConnId, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let wait = bench.long();
    while bytes.len() < length {
        let read = bench.lab.receive(conn, &mut bytes, &wait).unwrap();
        assert!(matches!(read, Received::Bytes(_)), "{read:?} after {} bytes", bytes.len());
    }
    bytes
}

#[test]
fn much_goes_both_ways_in_order() {
    let mut bench = Bench::new();
    let port = device(bench.device, echo);
    let conn = open(&mut bench, Dial::plain(port));
    let sent: Vec<u8> = (0..3_000_000_u32).flat_map(|n| n.to_be_bytes()).map(|b| b"abcdefghijklmnop"[usize::from(b & 15)]).collect();
    // The device says back more than anybody keeps: what is not read waits with it, and so do we.
    for piece in sent.chunks(100_000) {
        let wait = bench.long();
        assert!(bench.lab.send(conn, piece, &wait).unwrap());
        assert!(read_until(&mut bench, conn, piece.len()) == piece.to_ascii_uppercase());
    }
}

#[test]
fn an_end_and_a_reset_are_told_apart_in_both_directions() {
    let mut bench = Bench::new();
    let (tell, told) = channel();
    let port = device(bench.device, move |mut stream| {
        let mut bytes = [0; 100];
        let end = loop {
            match stream.read(&mut bytes[..3]) {
                Ok(0) => break None,
                // A byte that came and was not read makes the end a reset.
                Ok(_) if bytes.starts_with(b"rst") => {
                    let _ = stream.peek(&mut bytes[..1]);
                    return;
                }
                Ok(_) => {}
                Err(e) => break Some(e.kind()),
            }
        };
        tell.send(end).unwrap();
    });
    let conn = open(&mut bench, Dial::plain(port));
    bench.lab.close(conn, End::Fin).unwrap();
    assert_eq!(told.recv_timeout(LONG).unwrap(), None);
    let conn = open(&mut bench, Dial::plain(port));
    bench.lab.close(conn, End::Reset).unwrap();
    assert_eq!(told.recv_timeout(LONG).unwrap(), Some(std::io::ErrorKind::ConnectionReset));
    let conn = open(&mut bench, Dial::plain(port));
    let wait = bench.long();
    bench.lab.send(conn, b"rst", &wait).unwrap();
    bench.lab.send(conn, b"more than is read", &wait).unwrap();
    let read = bench.lab.receive(conn, &mut Vec::new(), &wait).unwrap();
    assert!(matches!(read, Received::Reset(_)), "{read:?}");
    assert!(!bench.lab.send(conn, b"x", &wait).unwrap());
}

#[test]
fn tls_is_negotiated_and_what_was_shown_is_told() {
    let mut bench = Bench::new();
    let server = tls_server(&bench);
    let wait = bench.long();
    let Dialled::Open(conn, Some(secured)) = bench.lab.connect(&Dial::tls(server.address().port()), &wait).unwrap() else { panic!() };
    assert_eq!((secured.version.as_str(), secured.subject.as_str()), ("TLS 1.3", "proofbench peer"));
    assert!(secured.suite.starts_with("TLS_") && secured.key.len() == 64, "{secured:?}");
    bench.lab.send(conn, b"question", &wait).unwrap();
    assert_eq!(read_until(&mut bench, conn, 3), b"yes");
    let read = bench.lab.receive(conn, &mut Vec::new(), &wait).unwrap();
    assert!(matches!(read, Received::Closed(_)), "close_notify: {read:?}");
    let offer = bench.lab.tls_offer(server.address().port(), &wait).unwrap();
    let versions: Vec<&str> = offer.taken.iter().map(|(v, _)| v.as_str()).collect();
    assert_eq!((versions.as_slice(), offer.unknown.as_slice()), (&["TLS 1.2", "TLS 1.3"][..], &[][..]));
    assert_eq!(offer.shown.unwrap().key, secured.key);
}

#[test]
fn a_port_without_tls_is_unsecured_and_nothing_is_known_of_its_versions() {
    let mut bench = Bench::new();
    let port = device(bench.device, |mut stream| {
        let _ = stream.read(&mut [0; 1000]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let wait = bench.long();
    let dialled = bench.lab.connect(&Dial::tls(port), &wait).unwrap();
    assert!(matches!(dialled, Dialled::Unsecured(_)), "{dialled:?}");
    let offer = bench.lab.tls_offer(port, &wait).unwrap();
    assert!(offer.taken.is_empty() && offer.unknown.len() == 5, "{offer:?}");
}

#[test]
fn a_connection_comes_from_the_address_that_was_asked_for() {
    let mut bench = Bench::new();
    let (tell, told) = channel();
    let port = device(bench.device, move |stream| tell.send(stream.peer_addr().unwrap().ip()).unwrap());
    let IpAddr::V4(own) = bench.lab.resolver().ip() else { panic!() };
    for from in [0, 3] {
        open(&mut bench, Dial { from, ..Dial::plain(port) });
        let [a, b, c, d] = own.octets();
        assert_eq!(told.recv_timeout(LONG).unwrap(), IpAddr::from([a, b, c, d + from]));
    }
    let wait = bench.long();
    let e = bench.lab.connect(&Dial { from: 255, ..Dial::plain(port) }, &wait).unwrap_err();
    assert_eq!(e.kind, ErrorKind::Unsupported);
}

#[test]
fn a_scan_finds_what_is_open_under_the_devices_own_numbers() {
    let mut bench = Bench::new();
    let port = device(bench.device, echo);
    // The device's port 80, which is moved here.
    let low = TcpListener::bind(SocketAddr::new(IpAddr::V4(bench.device), bench.lab.real(80).port())).unwrap();
    let everywhere = TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
    let host = TcpListener::bind(("0.0.0.0", everywhere)).unwrap();
    let closed = closed(&bench);
    let moved = low.local_addr().unwrap().port();
    let wait = bench.long();
    let ports = [79..=80, port..=port, closed..=closed, moved..=moved, everywhere..=everywhere];
    let map = bench.lab.scan(&ports, &wait).unwrap();
    let mut open = vec![80, port];
    open.sort_unstable();
    assert_eq!((&map.open, map.closed, map.silent.len()), (&open, 2, 0), "{map:?}");
    let not_ours: Vec<u16> = map.not_ours.iter().map(|(p, _)| *p).collect();
    assert!(not_ours.len() == 2 && not_ours.contains(&moved) && not_ours.contains(&everywhere), "{map:?}");
    drop(host);
}

#[test]
fn a_datagram_is_answered_refused_or_not() {
    let mut bench = Bench::new();
    let socket = UdpSocket::bind((bench.device, 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    let answering = std::thread::spawn(move || {
        let mut bytes = [0; 100];
        let (n, from) = socket.recv_from(&mut bytes).unwrap();
        socket.send_to(&bytes[..n].to_ascii_uppercase(), from).unwrap();
        socket
    });
    let wait = bench.long();
    assert_eq!(bench.lab.datagram(port, b"who", &wait).unwrap(), DatagramSeen::Answer(b"WHO".to_vec()));
    let _held = answering.join().unwrap();
    let short = bench.wait(SHORT);
    assert_eq!(bench.lab.datagram(port, b"who", &short).unwrap(), DatagramSeen::Silent);
    let closed = closed(&bench);
    assert_eq!(bench.lab.datagram(closed, b"who", &wait).unwrap(), DatagramSeen::Closed);
}

#[test]
fn a_cancel_ends_a_wait_that_is_under_way() {
    let mut bench = Bench::new();
    let port = device(bench.device, echo);
    let conn = open(&mut bench, Dial::plain(port));
    let cancel = Cancel::new();
    let wait = Wait::until(proofbench_channel::Moment(u64::MAX), &cancel);
    // Whenever it comes, before the call or in it, the call ends.
    let other = std::thread::spawn(move || cancel.cancel());
    let e = bench.lab.receive(conn, &mut Vec::new(), &wait).unwrap_err();
    assert_eq!(e.kind, ErrorKind::Cancelled);
    other.join().unwrap();
}
