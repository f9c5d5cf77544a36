//! Fronts that take nothing, and services that come and go.

use crate::bench::{Bench, SHORT};
use proofbench_channel::network::{End, Front, Network, Sight, Trade};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

const HOST: &str = "cloud.example";

fn bench(front: Front) -> (Bench, SocketAddr) {
    let mut bench = Bench::new();
    bench.serve(HOST, 443, front, Trade::Sink);
    let place = bench.place(HOST, 443);
    (bench, place)
}

fn dialled(bench: &mut Bench) -> u64 {
    bench.sees("dial", |s| s.host == HOST && matches!(s.sight, Sight::Dialled { hello: None })).conn
}

#[test]
fn refused_is_a_reset_at_once() {
    let (mut bench, place) = bench(Front::Refuse);
    // The reset may come before the client has its connection.
    if let Ok(mut stream) = TcpStream::connect(place) {
        assert_eq!(stream.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    let conn = dialled(&mut bench);
    assert_eq!(bench.of(conn), [Sight::Dialled { hello: None }]);
}

#[test]
fn silent_and_stalled_give_nothing_and_keep_the_connection() {
    for front in [Front::Silent, Front::Stall] {
        let (mut bench, place) = bench(front);
        let mut stream = TcpStream::connect(place).unwrap();
        stream.write_all(b"anybody?").unwrap();
        stream.set_read_timeout(Some(SHORT)).unwrap();
        assert!(matches!(stream.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
        let conn = dialled(&mut bench);
        drop(stream);
        if front == Front::Stall {
            let sights = bench.until_end(conn);
            assert_eq!(sights, [Sight::Dialled { hello: None }, Sight::Bytes(b"anybody?".to_vec()), Sight::Ended(End::Fin)]);
        }
    }
}

#[test]
fn hung_up_is_an_end_in_order() {
    let (mut bench, place) = bench(Front::HangUp);
    let mut stream = TcpStream::connect(place).unwrap();
    stream.write_all(b"x").unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
    dialled(&mut bench);
}

#[test]
fn a_service_that_was_withdrawn_is_refused_and_its_connections_are_cut() {
    let (mut bench, place) = bench(Front::Plain);
    let mut stream = TcpStream::connect(place).unwrap();
    stream.write_all(b"x").unwrap();
    bench.sees("bytes", |s| s.sight == Sight::Bytes(b"x".to_vec()));
    let wait = bench.long();
    bench.lab.withdraw(HOST, 443, &wait).unwrap();
    assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)));
    assert_eq!(TcpStream::connect(place).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(crate::bench::resolve(bench.lab.resolver(), HOST), None, "its name is gone with it");
    // And it can come back at the same place.
    bench.serve(HOST, 443, Front::Plain, Trade::Sink);
    assert_eq!(bench.place(HOST, 443), place);
    TcpStream::connect(place).unwrap();
}

#[test]
fn connections_go_on_when_a_service_changes_unless_its_new_front_takes_none() {
    let (mut bench, place) = bench(Front::Plain);
    let mut stream = TcpStream::connect(place).unwrap();
    stream.write_all(b"one").unwrap();
    bench.sees("bytes", |s| s.sight == Sight::Bytes(b"one".to_vec()));
    bench.serve(HOST, 443, Front::Stall, Trade::Sink);
    stream.write_all(b"two").unwrap();
    bench.sees("bytes", |s| s.sight == Sight::Bytes(b"two".to_vec()));
    bench.serve(HOST, 443, Front::HangUp, Trade::Sink);
    assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)));
}

#[test]
fn whoever_comes_from_elsewhere_is_not_served_and_counts_as_lost() {
    let mut bench = Bench::with(|setup| (setup.device, setup.many_addresses) = ([192, 0, 2, 1].into(), false));
    let wait = bench.long();
    bench.lab.link(true, &wait).unwrap();
    bench.serve(HOST, 443, Front::Plain, Trade::Sink);
    let mut stream = TcpStream::connect(bench.lab.real(443)).unwrap();
    assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)));
    let now = bench.wait(std::time::Duration::ZERO);
    assert_eq!((bench.lab.seen(&now).unwrap(), bench.lab.lost()), (vec![], 1));
    bench.lab.clear(&wait).unwrap();
    assert_eq!(bench.lab.lost(), 0);
}
