//! The cable.

use crate::bench::{Bench, SHORT, device, echo};
use proofbench_channel::ErrorKind;
use proofbench_channel::network::{DatagramSeen, Dial, Dialled, Front, Network, Received, Sight, Trade};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};

const HOST: &str = "cloud.example";

#[test]
fn while_the_link_is_pulled_nothing_passes_and_nothing_ends() {
    let mut bench = Bench::new();
    let port = device(bench.device, echo);
    bench.serve(HOST, 80, Front::Plain, Trade::Web(vec![proofbench_channel::network::Page::new("/", "yes")]));
    let long = bench.long();
    let Dialled::Open(conn, _) = bench.lab.connect(&Dial::plain(port), &long).unwrap() else { panic!() };
    let mut visit = TcpStream::connect(bench.place(HOST, 80)).unwrap();
    visit.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    visit.read_exact(&mut [0; 41]).unwrap();
    bench.sees("request", |s| matches!(s.sight, Sight::Request { .. }));
    bench.forget();

    bench.lab.link(false, &long).unwrap();
    assert_eq!(bench.cable.lock().unwrap().last(), Some(&false));
    visit.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(bench.lab.send(conn, b"held", &long).unwrap());
    let resolver = UdpSocket::bind("127.0.0.1:0").unwrap();
    resolver.send_to(b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01", bench.lab.resolver()).unwrap();
    let mut bytes = Vec::new();
    let short = bench.wait(SHORT);
    assert_eq!(bench.lab.receive(conn, &mut bytes, &short).unwrap(), Received::Silence);
    let short = bench.wait(SHORT);
    assert_eq!(bench.lab.connect(&Dial::plain(port), &short).unwrap(), Dialled::Silent);
    let short = bench.wait(SHORT);
    assert_eq!(bench.lab.datagram(port, b"x", &short).unwrap(), DatagramSeen::Silent);
    let map = bench.lab.scan(&[port..=port], &long).unwrap();
    assert_eq!(map.silent, [port]);
    visit.set_read_timeout(Some(SHORT)).unwrap();
    assert!(visit.read(&mut [0; 1]).is_err());
    let short = bench.wait(SHORT);
    assert_eq!(bench.lab.seen(&short).unwrap(), []);

    bench.lab.link(true, &long).unwrap();
    assert!(matches!(bench.lab.receive(conn, &mut bytes, &long).unwrap(), Received::Bytes(_)));
    assert_eq!(bytes, b"HELD");
    visit.set_read_timeout(Some(crate::bench::LONG)).unwrap();
    visit.read_exact(&mut [0; 41]).unwrap();
    bench.sees("request", |s| matches!(s.sight, Sight::Request { .. }));
    resolver.set_read_timeout(Some(SHORT)).unwrap();
    assert!(resolver.recv(&mut [0; 100]).is_err(), "a datagram of then is lost");
}

#[test]
fn a_link_without_a_way_to_pull_it_cannot_be_pulled_and_is_down_after_clearing() {
    let mut bench = Bench::with(|setup| setup.link = None);
    let long = bench.long();
    bench.lab.link(true, &long).unwrap();
    assert_eq!(bench.lab.link(false, &long).unwrap_err().kind, ErrorKind::Unsupported);
    let port = device(bench.device, echo);
    assert!(matches!(bench.lab.connect(&Dial::plain(port), &long).unwrap(), Dialled::Open(..)));
    bench.lab.clear(&long).unwrap();
    let short = bench.wait(SHORT);
    assert_eq!(bench.lab.connect(&Dial::plain(port), &short).unwrap(), Dialled::Silent);
}
