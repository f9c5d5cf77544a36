//! Debian's ser2net before a pseudo terminal: RFC 2217 and raw TCP.

use crate::bench::{PATIENCE, chain, every_byte, hear, hear_bytes, open, rfc2217, setup, tcp, within};
use proofbench_channel::{Console, ErrorKind, conformance};
use proofbench_drivers::RealClock;
use proofbench_drivers::line::{ControlLine, LineAddress, LineConsole};
use proofbench_testkit::{Peer, Pty, find, free_port};
use rstest::rstest;
use std::path::Path;
use std::process::Command;

/// How ser2net speaks to its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Rfc2217,
    Raw,
}

/// A running ser2net before the port at `tty`. `None`: it is not installed.
struct Server {
    peer: Peer,
    port: u16,
    config: tempfile::NamedTempFile,
}

impl Server {
    fn start(mode: Mode, tty: &Path) -> Option<Self> {
        let config = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
        let port = free_port();
        let accepter = match mode {
            Mode::Rfc2217 => "telnet(rfc2217),tcp",
            Mode::Raw => "tcp",
        };
        let text = format!(
            "connection: &con\n  accepter: {accepter},127.0.0.1,{port}\n  connector: serialdev,{},115200n81,local\n  options:\n    kickolduser: false\n",
            tty.display()
        );
        std::fs::write(config.path(), text).unwrap();
        Some(Self { peer: Self::run(config.path(), port)?, port, config })
    }

    fn run(config: &Path, port: u16) -> Option<Peer> {
        let mut command = Command::new(find("ser2net")?);
        // In the foreground, errors told, no lock files.
        command.args(["-n", "-d", "-u", "-c"]).arg(config);
        let mut peer = Peer::start(&mut command);
        // A call would be a user of the port, and the next one would be told that it is in use.
        peer.wait_for_listener(port);
        Some(peer)
    }

    fn kill(&mut self) {
        self.peer.kill();
    }

    fn start_again(&mut self) {
        self.peer = Self::run(self.config.path(), self.port).unwrap();
    }

    fn address(&self, mode: Mode) -> LineAddress {
        match mode {
            Mode::Rfc2217 => rfc2217(self.port),
            Mode::Raw => tcp(self.port),
        }
    }
}

#[rstest]
fn a_console_conforms(#[values(Mode::Rfc2217, Mode::Raw)] mode: Mode) {
    let device = Pty::new();
    let Some(server) = Server::start(mode, device.node()) else { return };
    device.echo();
    let setup = setup(server.address(mode));
    let mut console = open(&setup);
    conformance::console(&mut console, &mut RealClock(setup.time), b"state\r", b"state\r").unwrap();
    let settings = if mode == Mode::Rfc2217 { " 115200 8N1" } else { "" };
    assert_eq!(console.describe(), format!("{}{settings}", setup.address));
}

#[rstest]
fn every_byte_passes_unchanged_both_ways(#[values(Mode::Rfc2217, Mode::Raw)] mode: Mode) {
    let device = Pty::new();
    let Some(server) = Server::start(mode, device.node()) else { return };
    let setup = setup(server.address(mode));
    let mut console = open(&setup);
    let all = every_byte();
    console.write(&all, &within(setup.time, PATIENCE)).unwrap();
    assert_eq!(device.receive_exactly(all.len()), all);
    device.send(&all);
    assert_eq!(hear_bytes(&mut console, setup.time, all.len()), all);
}

#[rstest]
fn a_server_that_is_killed_is_gone_until_it_runs_again(#[values(Mode::Rfc2217, Mode::Raw)] mode: Mode) {
    let device = Pty::new();
    let Some(mut server) = Server::start(mode, device.node()) else { return };
    let setup = setup(server.address(mode));
    let mut console = open(&setup);
    // Until it has opened the port, ser2net throws away what comes from there.
    console.write(b"hello", &within(setup.time, PATIENCE)).unwrap();
    assert_eq!(device.receive_exactly(5), b"hello");
    device.send(b"before");
    assert_eq!(hear_bytes(&mut console, setup.time, 6), b"before");
    server.kill();
    let lost = hear(&mut console, setup.time, |h| !h.gone.is_empty());
    assert_eq!(lost.bytes, b"");
    let e = console.write(b"lost", &within(setup.time, std::time::Duration::from_millis(200))).unwrap_err();
    assert_eq!(e.kind, ErrorKind::Disconnected, "{}", chain(&e));
    server.start_again();
    console.write(b"after", &within(setup.time, PATIENCE)).unwrap();
    assert_eq!(device.receive_exactly(5), b"after");
    device.send(b"answer");
    assert_eq!(hear_bytes(&mut console, setup.time, 6), b"answer");
}

#[test]
fn a_control_line_that_the_server_does_not_confirm_is_an_error() {
    let device = Pty::new();
    let Some(server) = Server::start(Mode::Rfc2217, device.node()) else { return };
    let setup = setup(server.address(Mode::Rfc2217));
    let mut console = open(&setup);
    let e = console.lines().reset(ControlLine::Rts, true).err().expect("a pseudo terminal has no RTS");
    assert!(chain(&e).contains("RTS"), "{}", chain(&e));
    console.write(b"alive", &within(setup.time, PATIENCE)).unwrap();
    assert_eq!(device.receive_exactly(5), b"alive");
}

#[test]
fn raw_tcp_has_no_lines_and_no_break() {
    let device = Pty::new();
    let Some(server) = Server::start(Mode::Raw, device.node()) else { return };
    let setup = setup(server.address(Mode::Raw));
    let mut console = open(&setup);
    let e = console.send_break(&within(setup.time, PATIENCE)).unwrap_err();
    assert_eq!((e.kind, chain(&e).contains("bytes only")), (ErrorKind::Unsupported, true), "{}", chain(&e));
    let e = console.lines().reset(ControlLine::Dtr, true).err().expect("no lines");
    assert_eq!((e.kind, chain(&e).contains("bytes only")), (ErrorKind::Unsupported, true), "{}", chain(&e));
}

#[test]
fn a_raw_port_is_no_rfc2217_server() {
    let device = Pty::new();
    let Some(server) = Server::start(Mode::Raw, device.node()) else { return };
    let setup = setup(server.address(Mode::Rfc2217));
    let e = LineConsole::open(&setup).err().expect("no negotiation");
    assert_eq!(e.kind, ErrorKind::Protocol);
    assert!(chain(&e).contains("is this the bridge's raw TCP port?"), "{}", chain(&e));
}
