//! The console over TCP: pyserial's RFC 2217 client, raw bytes, and both beside the terminal.

use crate::switched::{Switched, connect};
use proofbench_channel::conformance::{self, Outcome};
use proofbench_drivers::line::{ControlLine, LineAddress, LineConsole, LineSettings, LineSetup};
use proofbench_drivers::{RealClock, TimeBase};
use proofbench_testkit::{Peer, fixture, python};
use rstest::rstest;
use std::io::{Read, Write};
use std::process::Command;

/// What pyserial saw of each step, in order.
fn pyserial(board: &Switched, steps: &[&str]) -> Option<Vec<String>> {
    let python = python(&["serial"])?;
    let mut command = Command::new(python);
    command.arg(fixture("fixtures/peers/rfc2217_host.py")).arg(board.port("rfc2217").to_string()).args(steps);
    let mut host = Peer::start(&mut command);
    host.wait_for_line("done");
    Some(host.output())
}

/// The harness's own driver on this address.
fn driver(address: LineAddress) -> (LineConsole, RealClock) {
    let time = TimeBase::real();
    (LineConsole::open(&LineSetup::new(address, LineSettings::default(), time)).unwrap(), RealClock(time))
}

fn address(board: &Switched, port: &str) -> LineAddress {
    let at = format!("127.0.0.1:{}", board.port(port)).parse().unwrap();
    if port == "raw" { LineAddress::Tcp(at) } else { LineAddress::Rfc2217(at) }
}

#[rstest]
fn the_console_conforms_over_the_network(#[values("rfc2217", "raw")] port: &str) -> Outcome {
    let (board, _terminal) = Switched::on(&[]);
    let (mut console, mut clock) = driver(address(&board, port));
    conformance::console(&mut console, &mut clock, b"nobody\r", b"password: ")
}

#[rstest]
fn the_console_conforms_over_the_network_without_power(#[values("rfc2217", "raw")] port: &str) -> Outcome {
    let board = Switched::new(&[]);
    let (mut console, mut clock) = driver(address(&board, port));
    conformance::console_without_device(&mut console, &mut clock)
}

#[test]
fn a_reset_line_over_the_network_conforms() -> Outcome {
    let (board, _terminal) = Switched::on(&[]);
    let (mut console, mut clock) = driver(address(&board, "rfc2217"));
    let mut reset = console.lines().reset(ControlLine::Rts, true).unwrap();
    conformance::reset(&mut *reset, &mut console, &mut clock, b"cause=pin")
}

#[test]
fn pyserial_holds_the_device_in_reset_by_rts_and_reads_its_boot_log_once_it_lets_go() {
    let (board, mut terminal) = Switched::on(&["--speed", "8"]);
    let steps =
        ["modem", "dtr=1", "type=\\r", "expect=login: ", "rts=1", "type=nobody\\r", "rts=0", "expect=login: ", "type=nobody\\r", "expect=password: "];
    let Some(said) = pyserial(&board, &steps) else { return };
    assert_eq!(said[0], "modem: cts=1 dsr=1");
    assert_eq!(said[3], r"expect=login: : b'\r\nlogin: '", "DTR is wired to nothing");
    assert!(said[7].starts_with("expect=login: : b'ROM th1 id=") && said[7].contains("cause=pin") && said[7].contains("ram=kept"), "{}", said[7]);
    assert_eq!(said[9], r"expect=password: : b'nobody\r\npassword: '", "what was typed in reset is lost");
    // The terminal beside it has seen the same.
    let log = terminal.expect("password: ");
    assert_eq!(log.matches("cause=pin").count(), 1, "{log}");
}

#[test]
fn a_break_from_pyserial_reaches_the_firmware_which_goes_on_as_if_nothing_had_been() {
    let (mut board, _terminal) = Switched::on(&["--speed", "8"]);
    assert_eq!(board.ask("breaks"), "0");
    let Some(said) = pyserial(&board, &["break", "type=nobody\\r", "expect=password: "]) else { return };
    assert_eq!(said[2], r"expect=password: : b'nobody\r\npassword: '");
    assert_eq!(board.ask("breaks"), "1");
}

#[test]
fn at_a_wrong_speed_pyserial_reads_and_types_nonsense() {
    let (board, mut terminal) = Switched::on(&["--speed", "8"]);
    // At 9600 the device takes no line end for one; at 115200 again it answers.
    let Some(said) = pyserial(&board, &["baud=9600", "type=root\\r", "baud=115200", "type=\\x03\\r", "expect=login: "]) else { return };
    assert!(!said[4].contains("root"), "{}", said[4]);
    assert!(!terminal.expect("login: ").contains("root"));
}

#[test]
fn what_is_typed_anywhere_reaches_the_device_and_what_it_says_goes_everywhere() {
    let (board, mut terminal) = Switched::on(&["--speed", "8"]);
    let mut raw = board.raw();
    assert!(raw.expect("login: ").contains("cause=power-on"), "kept for the first caller");
    let mut other = board.raw();
    // The second caller is known to be there once he has typed and been heard.
    other.say("us");
    for line in [&mut raw, &mut terminal, &mut other] {
        line.expect("us");
    }
    raw.say("er");
    for line in [&mut raw, &mut terminal, &mut other] {
        line.expect("er");
    }
    terminal.say("\r");
    for line in [&mut raw, &mut terminal, &mut other] {
        assert_eq!(line.expect("password: "), "\r\npassword: ");
    }
}

#[test]
fn a_host_that_hangs_up_lets_go_of_the_reset_line() {
    let (board, mut terminal) = Switched::on(&["--speed", "8"]);
    let mut host = connect(board.port("rfc2217"));
    // WILL COM-PORT-OPTION, SET-CONTROL RTS on; then DTR on, which changes nothing.
    host.write_all(&[255, 251, 44, 255, 250, 44, 5, 11, 255, 240, 255, 250, 44, 5, 8, 255, 240]).unwrap();
    // Its answers: the first three bytes of each request's echo are those of the request, the code raised by 100.
    let mut answers = Vec::new();
    while !answers.ends_with(&[255, 250, 44, 105, 8, 255, 240]) {
        let mut byte = [0];
        host.read_exact(&mut byte).unwrap();
        answers.push(byte[0]);
        assert!(answers.len() < 200_000, "{answers:?}");
    }
    terminal.say("nobody is listening\r");
    drop(host);
    let log = terminal.expect("login: ");
    assert!(log.starts_with("ROM") && log.contains("cause=pin"), "{log}");
}

#[test]
fn hosts_that_never_read_and_hosts_that_babble_stop_nobody() {
    let (board, mut terminal) = Switched::on(&["--speed", "8"]);
    // Requests of every protocol, again and again, and no answer is ever read.
    let babble: [(&str, &[u8]); 5] = [
        ("rfc2217", &[255, 251, 44, 255, 250, 44, 0, 255, 240]),
        ("bitbang", b"R040R"),
        ("pyocd", b"{\"id\":1,\"request\":\"read_dp\",\"arguments\":[0]}\nnonsense\n"),
        ("debug", b"!GA#!So!"),
        ("raw", &[0]),
    ];
    let mut hosts: Vec<_> = babble.into_iter().map(|(name, request)| (connect(board.port(name)), request.repeat(4_096))).collect();
    for _ in 0..64 {
        for (stream, requests) in &mut hosts {
            stream.set_nonblocking(true).unwrap();
            let _ = stream.write(requests);
        }
    }
    terminal.say("nobody\r");
    terminal.expect("password: ");
}
