//! Ways that are bad: late, lost and sent again, half-open, cut, with bits that flip.

use crate::bench::{Bench, SHORT};
use proofbench_channel::ErrorKind as Kind;
use proofbench_channel::network::{End, Fault, Front, Network, Page, Sight, Trade};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const HOST: &str = "cloud.example";
const LATE: Duration = Duration::from_millis(400);
const ASKED: &[u8] = b"GET / HTTP/1.1\r\nHost: cloud.example\r\n\r\n";

fn bench() -> (Bench, SocketAddr) {
    let mut bench = Bench::new();
    bench.serve(HOST, 80, Front::Plain, Trade::Web(vec![Page::new("/", vec![b'x'; 4000])]));
    let place = bench.place(HOST, 80);
    (bench, place)
}

fn disturb(bench: &mut Bench, fault: Option<Fault>) {
    let wait = bench.long();
    bench.lab.disturb(HOST, 80, fault, &wait).unwrap();
}

/// A request on a connection, and its answer as far as it comes; `None` for what ended by a reset.
fn ask(stream: &mut TcpStream) -> (Vec<u8>, Option<usize>) {
    stream.write_all(ASKED).unwrap();
    let mut got = Vec::new();
    let mut bytes = [0; 4096];
    while got.windows(4).position(|w| w == b"\r\n\r\n").is_none_or(|end| got.len() < end + 4 + 4000) {
        match stream.read(&mut bytes) {
            Ok(0) => return (got, Some(0)),
            Ok(n) => got.extend_from_slice(&bytes[..n]),
            Err(_) => return (got, None),
        }
    }
    (got, Some(4000))
}

#[test]
fn what_is_late_is_late_both_ways_and_comes_whole_and_in_order() {
    for fault in [Fault::Delay(LATE), Fault::Loss { one_in: 1, again: LATE }] {
        let (mut bench, place) = bench();
        disturb(&mut bench, Some(fault));
        let mut stream = TcpStream::connect(place).unwrap();
        let before = proofbench_channel::Clock::now(&bench.clock());
        let (got, whole) = ask(&mut stream);
        let request = bench.sees("request", |s| matches!(s.sight, Sight::Request { .. }));
        let after = proofbench_channel::Clock::now(&bench.clock());
        assert!(whole.is_some() && got.ends_with(b"xxx"), "{} bytes with {fault:?}", got.len());
        // Not how quick it is, but that it is no quicker. The first bytes were looked at when they came: only the answer to them was late.
        assert!(after.since(before) >= LATE, "{fault:?}");
        assert!(request.at >= before);
        let (_, whole) = ask(&mut stream);
        let both = proofbench_channel::Clock::now(&bench.clock());
        assert!(whole.is_some() && both.since(after) >= 2 * LATE, "the second request is late, and so is its answer: {fault:?}");
    }
}

#[test]
fn a_half_open_connection_is_never_heard_of_again_and_a_new_one_is() {
    let (mut bench, place) = bench();
    let mut stream = TcpStream::connect(place).unwrap();
    assert!(ask(&mut stream).1.is_some());
    bench.sees("request", |s| matches!(s.sight, Sight::Request { .. }));
    disturb(&mut bench, Some(Fault::HalfOpen));
    stream.set_read_timeout(Some(SHORT)).unwrap();
    stream.write_all(ASKED).unwrap();
    assert!(matches!(stream.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    drop(stream);
    // Lifting it brings nothing back.
    disturb(&mut bench, None);
    let mut other = TcpStream::connect(place).unwrap();
    assert!(ask(&mut other).1.is_some());
    drop(other);
    let last = bench.sees("the end of the new one", |s| matches!(s.sight, Sight::Ended(_)));
    assert_eq!(bench.of(last.conn).len(), 3, "dial, request, end");
    assert_eq!(last.sight, Sight::Ended(End::Fin));
}

#[test]
fn a_cut_lets_so_many_bytes_through_and_then_resets() {
    let (mut bench, place) = bench();
    disturb(&mut bench, Some(Fault::CutAfter(100)));
    let mut stream = TcpStream::connect(place).unwrap();
    let (got, whole) = ask(&mut stream);
    assert_eq!(whole, None);
    // A reset may overtake bytes that nobody has read yet.
    assert!(got.len() <= 100, "{}", got.len());
    disturb(&mut bench, None);
    assert!(ask(&mut TcpStream::connect(place).unwrap()).1.is_some());
}

#[test]
fn bits_flip_on_the_way_to_the_device_and_only_there() {
    let (mut bench, place) = bench();
    let (whole, _) = ask(&mut TcpStream::connect(place).unwrap());
    disturb(&mut bench, Some(Fault::Corrupt { one_in: 200 }));
    let mut stream = TcpStream::connect(place).unwrap();
    stream.write_all(ASKED).unwrap();
    let mut hit = vec![0; whole.len()];
    stream.read_exact(&mut hit).unwrap();
    let changed = whole.iter().zip(&hit).filter(|(a, b)| a != b).count();
    assert!((1..100).contains(&changed), "{changed} of {}", whole.len());
    bench.sees("the request as it was sent", |s| matches!(&s.sight, Sight::Request { target, .. } if target == "/"));
}

#[test]
fn datagrams_have_no_such_way() {
    let mut bench = Bench::new();
    let wait = bench.long();
    let refused = bench.lab.disturb("resolver", 53, Some(Fault::HalfOpen), &wait).unwrap_err();
    assert_eq!(refused.kind, Kind::Unsupported);
}
