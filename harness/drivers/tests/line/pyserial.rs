//! pyserial's RFC 2217 server before a port with control lines, which tells what its clients do.

use crate::bench::{PATIENCE, chain, every_byte, hear, hear_bytes, open, rfc2217, setup, within};
use proofbench_channel::{Console, ErrorKind, conformance};
use proofbench_drivers::RealClock;
use proofbench_drivers::line::{ControlLine, Flow, LineConsole, LineSettings, LineSetup, Parity};
use proofbench_testkit::{Peer, Pty, fixture, python};
use rstest::rstest;
use std::process::Command;
use std::time::Duration;

/// The server with its port; more arguments to it. `None`: there is no pyserial.
fn start(more: &[&str]) -> Option<(Peer, u16)> {
    let mut command = Command::new(python(&["serial"])?);
    command.arg(fixture("fixtures/peers/rfc2217_server.py")).args(more);
    let mut peer = Peer::start(&mut command);
    let port = peer.ready();
    Some((peer, port))
}

#[test]
fn a_console_conforms() {
    let device = Pty::new();
    let Some((_peer, port)) = start(&["--serial", device.node().to_str().unwrap()]) else { return };
    device.echo();
    let setup = setup(rfc2217(port));
    let mut console = open(&setup);
    conformance::console(&mut console, &mut RealClock(setup.time), b"state\r", b"state\r").unwrap();
}

#[test]
fn every_byte_passes_unchanged_both_ways() {
    let Some((_peer, port)) = start(&[]) else { return };
    let setup = setup(rfc2217(port));
    let mut console = open(&setup);
    let all = every_byte();
    console.write(&all, &within(setup.time, PATIENCE)).unwrap();
    assert_eq!(hear_bytes(&mut console, setup.time, all.len()), all);
}

#[test]
fn the_server_sees_the_settings_before_the_first_byte() {
    let Some((mut peer, port)) = start(&[]) else { return };
    let settings =
        LineSettings { baud: 57_600, data_bits: 7, parity: Parity::Even, stop_bits: 2, flow: Flow::Hardware, dtr: Some(true), rts: Some(false) };
    let setup = LineSetup { settings, ..setup(rfc2217(port)) };
    let mut console = open(&setup);
    // The server tells each change; these are there when the console is open.
    peer.wait_for_line("client");
    peer.wait_for_line("baud 57600");
    peer.wait_for_line("frame 7E2");
    peer.wait_for_line("DTR 1");
    peer.wait_for_line("RTS 0");
    assert_eq!(console.describe(), format!("rfc2217 127.0.0.1:{port} 57600 7E2 RTS/CTS DTR asserted RTS cleared"));
    console.write(b"text", &within(setup.time, PATIENCE)).unwrap();
    assert_eq!(hear_bytes(&mut console, setup.time, 4), b"text");
}

#[test]
fn a_baud_rate_that_the_server_does_not_take_is_named() {
    let Some((_peer, port)) = start(&["--fastest", "57600"]) else { return };
    let e = LineConsole::open(&setup(rfc2217(port))).err().expect("too fast");
    assert_eq!(e.kind, ErrorKind::Refused);
    assert!(chain(&e).contains("baud rate: asked for 115200, the server says 9600"), "{}", chain(&e));
}

#[rstest]
#[case(ControlLine::Rts, "RTS", true)]
#[case(ControlLine::Dtr, "DTR", false)]
fn a_reset_line_is_pulsed_held_and_let_go(#[case] line: ControlLine, #[case] name: &str, #[case] held_by: bool) {
    let Some((mut peer, port)) = start(&[]) else { return };
    let setup = setup(rfc2217(port));
    let console = open(&setup);
    let (held, free) = (format!("{name} {}", u8::from(held_by)), format!("{name} {}", u8::from(!held_by)));
    let mut reset = console.lines().reset(line, held_by).unwrap();
    // Lines in their order: each is looked for after the one before.
    peer.wait_for_line("client");
    peer.wait_for_line(&free);
    let wait = within(setup.time, PATIENCE);
    reset.pulse(Duration::from_millis(10), &wait).unwrap();
    peer.wait_for_line(&held);
    peer.wait_for_line(&free);
    reset.set(true, &wait).unwrap();
    peer.wait_for_line(&held);
    reset.set(false, &wait).unwrap();
    peer.wait_for_line(&free);
    let given_up = within(setup.time, PATIENCE);
    given_up.cancel.cancel();
    for e in [reset.set(true, &given_up).unwrap_err(), reset.pulse(Duration::ZERO, &given_up).unwrap_err()] {
        assert_eq!(e.kind, ErrorKind::Cancelled);
    }
    reset.set(false, &wait).unwrap();
    peer.kill();
    let told = peer.output().iter().filter(|l| **l == held).count();
    let at_start = usize::from(held_by);
    assert_eq!(told, 2 + at_start, "a cancelled reset drives nothing: {:?}", peer.output());
}

#[test]
fn a_pulse_that_is_cancelled_lets_the_line_go() {
    let Some((mut peer, port)) = start(&[]) else { return };
    let setup = setup(rfc2217(port));
    let console = open(&setup);
    let mut reset = console.lines().reset(ControlLine::Rts, true).unwrap();
    peer.wait_for_line("client");
    peer.wait_for_line("RTS 0");
    let wait = within(setup.time, PATIENCE);
    std::thread::scope(|s| {
        s.spawn(|| {
            peer.wait_for_line("RTS 1");
            wait.cancel.cancel();
        });
        let e = reset.pulse(Duration::from_secs(3600), &wait).unwrap_err();
        assert_eq!(e.kind, ErrorKind::Cancelled, "{}", chain(&e));
    });
    peer.wait_for_line("RTS 0");
}

#[test]
fn a_break_begins_and_ends() {
    let Some((mut peer, port)) = start(&[]) else { return };
    let setup = setup(rfc2217(port));
    let mut console = open(&setup);
    console.send_break(&within(setup.time, PATIENCE)).unwrap();
    peer.wait_for_line("BREAK 1");
    peer.wait_for_line("BREAK 0");
}

#[test]
fn a_server_that_runs_again_gets_settings_and_levels_again() {
    let Some((mut peer, port)) = start(&[]) else { return };
    let settings = LineSettings::baud(38_400);
    let setup = LineSetup { settings, ..setup(rfc2217(port)) };
    let mut console = open(&setup);
    let mut reset = console.lines().reset(ControlLine::Rts, true).unwrap();
    reset.set(true, &within(setup.time, PATIENCE)).unwrap();
    peer.kill();
    hear(&mut console, setup.time, |h| !h.gone.is_empty());
    // The device is let go while nobody can tell the server; that counts once it is back.
    reset.set(false, &within(setup.time, PATIENCE)).unwrap();
    let e = reset.set(true, &within(setup.time, Duration::from_millis(100))).unwrap_err();
    assert_eq!(e.kind, ErrorKind::Disconnected, "nobody holds a line that is not there: {}", chain(&e));
    let Some((mut peer, _)) = start(&["--port", &port.to_string()]) else { return };
    peer.wait_for_line("client");
    peer.wait_for_line("baud 38400");
    peer.wait_for_line("RTS 0");
    console.write(b"again", &within(setup.time, PATIENCE)).unwrap();
    assert_eq!(hear(&mut console, setup.time, |h| h.bytes.len() >= 5).bytes, b"again");
}
