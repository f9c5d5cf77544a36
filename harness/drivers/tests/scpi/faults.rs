//! Supplies that are gone, misbehave or refuse.

use crate::bench::{Bench, whole};
use proofbench_channel::{ErrorKind, Millivolts, PowerAsk, PowerSeen};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

#[test]
fn nobody_there_and_somebody_gone_are_disconnected_and_who_comes_back_is_used() {
    let error = Bench::nowhere().open().set(PowerAsk::On, &Bench::nowhere().wait()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Disconnected);

    let Some(mut bench) = Bench::start(&[]) else { return };
    let mut power = bench.open();
    power.set(PowerAsk::On, &bench.wait()).unwrap();
    bench.peer.as_mut().unwrap().kill();
    let error = power.set(PowerAsk::Off, &bench.wait()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Disconnected, "{}", whole(&error));
    let port = bench.setup.address.rsplit_once(':').unwrap().1.to_owned();
    let again = Bench::start(&["--port", &port]).unwrap();
    power.set(PowerAsk::On, &again.wait()).unwrap();
    assert_eq!(again.relay(), "on");
}

#[test]
fn an_instrument_that_says_nothing_is_a_timeout_that_names_it() {
    let Some(bench) = Bench::start(&["--fault", "silent"]) else { return };
    let mut wait = bench.wait();
    wait.until = bench.time.now() + Duration::from_millis(500);
    let error = bench.open().state(&wait).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Timeout);
    assert!(whole(&error).contains(&bench.setup.address), "{}", whole(&error));
}

#[test]
fn strangers_floods_and_endless_errors_end_in_a_short_error() {
    for (fault, kind, says) in [
        ("garbage", ErrorKind::Protocol, "no instrument does"),
        ("flood", ErrorKind::Protocol, "has no end"),
        ("errors", ErrorKind::Protocol, "error queue has no end"),
        ("hangup", ErrorKind::Disconnected, "hung up"),
    ] {
        let Some(bench) = Bench::start(&["--fault", fault]) else { return };
        let error = bench.open().state(&bench.wait()).unwrap_err();
        assert_eq!(error.kind, kind, "{fault}: {}", whole(&error));
        assert!(whole(&error).contains(says) && whole(&error).len() < 1000, "{fault}: {}", whole(&error));
    }
}

#[test]
fn a_measurement_that_is_no_number_is_not_zero_volts() {
    let Some(bench) = Bench::start(&["--fault", "nan"]) else { return };
    let mut power = bench.open();
    assert_eq!(power.rail(&bench.wait()).unwrap_err().kind, ErrorKind::Protocol);
    assert_eq!(power.current(&bench.wait()).unwrap_err().kind, ErrorKind::Protocol);
}

#[test]
fn a_voltage_that_the_supply_cannot_give_is_refused_and_the_output_stays_off() {
    let Some(mut bench) = Bench::start(&[]) else { return };
    bench.setup.volts = Millivolts(48_000);
    let mut power = bench.open();
    let error = power.set(PowerAsk::On, &bench.wait()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(whole(&error).contains("VOLT 48.000") && whole(&error).contains("-222"), "{}", whole(&error));
    assert_eq!((power.state(&bench.wait()).unwrap(), bench.relay().as_str()), (PowerSeen::Off, "off"));
}

#[test]
fn a_supply_that_lies_is_believed_which_is_why_an_off_needs_a_witness() {
    let Some(bench) = Bench::start(&["--fault", "lies"]) else { return };
    let mut power = bench.open();
    power.set(PowerAsk::On, &bench.wait()).unwrap();
    assert_eq!((power.state(&bench.wait()).unwrap(), bench.relay().as_str()), (PowerSeen::On, "off"));
}

#[test]
fn errors_of_others_are_not_ours() {
    let Some(bench) = Bench::start(&[]) else { return };
    let mut other = bench.wire();
    other.say("NONSENSE");
    // Answered means that what stood before it has been read.
    other.measure();
    bench.open().set(PowerAsk::On, &bench.wait()).unwrap();
}

#[test]
fn an_answer_may_be_a_block_with_a_line_end_inside() {
    let Some(bench) = Bench::start(&["--fault", "block"]) else { return };
    assert_eq!(bench.open().state(&bench.wait()).unwrap(), PowerSeen::Off);
}

/// An instrument that answers its first question with this.
fn first_answer(answer: &'static [u8]) -> Bench {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut bench = Bench::nowhere();
    bench.setup.address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut question = String::new();
        BufReader::new(stream.try_clone().unwrap()).read_line(&mut question).unwrap();
        let _ = stream.write_all(answer);
    });
    bench
}

#[test]
fn blocks_that_are_too_long_or_do_not_end_are_errors() {
    for (answer, says) in [
        (b"#9999999999".as_slice(), "announces a block"),
        (b"#15a,b,cX\n", "does not end where it says"),
        (b"#15a,", "hung up"),
        (b"#", "hung up"),
        (b"#0a,b,c", "hung up"),
        (b"\xff\xfe,,\n", "it answers"),
    ] {
        let bench = first_answer(answer);
        let error = whole(&bench.open().state(&bench.wait()).unwrap_err());
        assert!(error.contains(says), "{}: {error}", String::from_utf8_lossy(answer));
    }
}
