//! The power switch of a switched board: ports that stay, a device that dies, rails and switches that are not as they should be.

use crate::switched::{PATIENCE, Switched, connect, hangs_up};
use mcumgr_toolkit::MCUmgrClient;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

const TCP: [&str; 6] = ["rfc2217", "raw", "debug", "bitbang", "pyocd", "fixture"];

fn pid(text: &str) -> Pid {
    text.parse().ok().and_then(Pid::from_raw).unwrap_or_else(|| panic!("`{text}` is no process"))
}

/// A handle on the device's process that does not mistake another one for it.
fn handle(board: &mut Switched) -> OwnedFd {
    pidfd_open(pid(&board.ask("pid")), PidfdFlags::empty()).unwrap()
}

fn wait_for_end(process: &OwnedFd) {
    let patience = Timespec { tv_sec: i64::try_from(PATIENCE.as_secs()).unwrap(), tv_nsec: 0 };
    let mut fds = [PollFd::new(process, PollFlags::IN)];
    assert_eq!(poll(&mut fds, Some(&patience)), Ok(1), "the device's process lives on");
}

#[test]
fn ports_stay_while_the_power_comes_and_goes_and_connections_do_not() {
    let mut board = Switched::new(&[]);
    assert_eq!([board.ask("state"), board.ask("rail"), board.ask("pid")], ["off", "0", "none"]);
    let told: serde_json::Value = serde_json::from_str(&board.ask("ports")).unwrap();
    assert_eq!(told, board.ready);
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(board.dir.path().join("board.json")).unwrap()).unwrap();
    assert_eq!(file, board.ready);
    for _ in 0..2 {
        assert_eq!((board.link("console"), board.link("update")), (None, None));
        for name in TCP {
            assert!(hangs_up(&mut connect(board.port(name))), "{name} talks without power");
        }
        let mut terminal = board.power_on();
        assert_eq!(board.ask("state"), "on");
        assert_eq!(board.rail(), 3300);
        let boot = board.raw().expect("login: ");
        assert!(boot.contains("cause=power-on") && boot.contains("ram=lost"), "{boot}");
        let mut connections = TCP.map(|name| connect(board.port(name)));
        // Each is the device's own by now: a question to it has been answered.
        connections[2].write_all(b"!GA#").unwrap();
        connections[3].write_all(b"R").unwrap();
        connections[4].write_all(b"{\"id\":1,\"request\":\"hello\",\"arguments\":[1]}\n").unwrap();
        connections[5].write_all(b"{\"do\":\"led\"}\n").unwrap();
        let mut answers = [0; 256];
        for (connection, name) in connections.iter_mut().zip(TCP).skip(2) {
            assert!(connection.read(&mut answers).unwrap() > 0, "{name}");
        }
        let process = handle(&mut board);
        assert_eq!(board.ask("off"), "ok");
        wait_for_end(&process);
        for (mut connection, name) in connections.into_iter().zip(TCP) {
            // What was under way may still arrive; then it is over.
            let mut rest = Vec::new();
            let ended = connection.read_to_end(&mut rest);
            assert!(ended.is_ok() || ended.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset), "{name}");
        }
        let mut rest = Vec::new();
        assert!(terminal.0.read_to_end(&mut rest).is_err_and(|e| e.kind() != std::io::ErrorKind::TimedOut), "the terminal is unplugged");
        assert_eq!([board.ask("state"), board.ask("rail"), board.ask("pid")], ["off", "0", "none"]);
    }
}

#[test]
fn a_cut_in_the_middle_of_an_upload_leaves_what_the_flash_file_holds() {
    let (mut board, _terminal) = Switched::on(&[]);
    assert_eq!(board.ask("off"), "ok");
    let before = board.flash();
    board.power_on();
    let client = MCUmgrClient::new_from_udp(("127.0.0.1", board.port("smp_udp")), PATIENCE).unwrap();
    let image = std::fs::read(crate::bench::image("1.3.0.bin")).unwrap();
    let mut part = |sent: u64, _: u64| sent < 4_000;
    assert!(client.image_upload(&image, None, None, false, Some(&mut part)).is_err(), "broken off");
    assert_eq!(board.ask("off"), "ok");
    let after = board.flash();
    assert_eq!(before[0x8000..0x1_8000], after[0x8000..0x1_8000], "the running slot is untouched");
    assert_ne!(before[0x1_8000..0x2_8000], after[0x1_8000..0x2_8000], "the other slot holds a part");
    assert_eq!(board.ask("on"), "ok");
    assert!(board.terminal().expect("login: ").contains("APP th1 1.2.0"));
}

#[test]
fn large_capacitors_keep_the_device_alive_and_switching_on_in_time_is_no_power_cut() {
    let (mut board, mut terminal) = Switched::on(&["--slow-rail", "600000"]);
    let process = board.ask("pid");
    assert_eq!([board.ask("off"), board.ask("state")], ["ok", "off"]);
    terminal.say("\r");
    assert_eq!(terminal.expect("login: "), "\r\nlogin: ", "it runs on");
    assert!((2700..=3300).contains(&board.rail()), "{}", board.rail());
    assert_eq!([board.ask("on"), board.ask("state"), board.ask("pid")], ["ok", "on", &process]);
    terminal.say("\r");
    assert_eq!(terminal.expect("login: "), "\r\nlogin: ", "it never restarted");
    assert_eq!(board.ask("slow-rail 20"), "ok");
    assert_eq!(board.ask("off"), "ok");
    board.until("pid", "none");
    assert_eq!(board.rail(), 0);
    assert_eq!(board.ask("on"), "ok");
    assert!(board.terminal().expect("login: ").contains("cause=power-on"));
}

#[test]
fn a_device_that_is_fed_past_the_switch_runs_on_and_its_rail_tells() {
    let (mut board, mut terminal) = Switched::on(&[]);
    assert_eq!([board.ask("backfeed on"), board.ask("off"), board.ask("state")], ["ok", "ok", "off"]);
    board.until("rail", "2900");
    terminal.say("\r");
    assert_eq!(terminal.expect("login: "), "\r\nlogin: ");
    let process = handle(&mut board);
    assert_eq!(board.ask("backfeed off"), "ok");
    wait_for_end(&process);
    assert_eq!([board.ask("rail"), board.ask("pid")], ["0", "none"]);
}

#[test]
fn a_feed_below_the_brown_out_level_stops_the_device_and_keeps_its_ram() {
    let (mut board, mut terminal) = Switched::on(&[]);
    assert_eq!([board.ask("backfeed 1800"), board.ask("off")], ["ok", "ok"]);
    board.until("rail", "1800");
    terminal.say("nobody is listening\r");
    assert_eq!(board.ask("on"), "ok");
    let boot = terminal.expect("login: ");
    assert!(boot.starts_with("ROM") && boot.contains("cause=brown-out") && boot.contains("ram=kept"), "{boot}");
}

#[test]
fn a_switch_that_lies_says_ok_and_off_and_does_nothing() {
    let (mut board, mut terminal) = Switched::on(&[]);
    let process = board.ask("pid");
    assert_eq!([board.ask("lie on"), board.ask("off"), board.ask("state")], ["ok", "ok", "off"]);
    assert_eq!([board.ask("rail"), board.ask("pid")], ["3300", &process]);
    terminal.say("\r");
    terminal.expect("login: ");
    assert_eq!([board.ask("lie off"), board.ask("off"), board.ask("pid")], ["ok", "ok", "none"]);
    assert_eq!([board.ask("lie on"), board.ask("on"), board.ask("state"), board.ask("pid")], ["ok", "ok", "on", "none"]);
}

#[test]
fn a_device_that_dies_by_itself_leaves_the_switch_on_and_the_rail_dead() {
    let (mut board, _terminal) = Switched::on(&[]);
    let process = handle(&mut board);
    kill_process(pid(&board.ask("pid")), Signal::KILL).unwrap();
    wait_for_end(&process);
    board.until("pid", "none");
    assert_eq!([board.ask("state"), board.ask("rail")], ["on", "0"]);
    assert_eq!(board.link("console"), None);
    board.power_on();
}

#[test]
fn no_device_outlives_its_supervisor() {
    for orderly in [true, false] {
        let (mut board, _terminal) = Switched::on(&[]);
        let process = handle(&mut board);
        if orderly {
            board.stdin = None;
            assert!(board.child.wait().unwrap().success(), "the end of its bench is an orderly end");
        } else {
            board.child.kill().unwrap();
        }
        wait_for_end(&process);
        assert_eq!((board.link("console"), board.link("update")), (None, None), "no name leads to somebody else's terminal");
    }
}

#[test]
fn nonsense_on_the_switch_port_is_told_what_would_be_and_never_grows() {
    let mut board = Switched::new(&[]);
    let answer = board.ask("of");
    assert!(answer.starts_with("error: ") && answer.contains("slow-rail MS"), "{answer}");
    let mut endless = connect(board.port("switch"));
    // The other end hangs up after a while, and then nothing more can be sent.
    while endless.write_all(&[b'x'; 4096]).is_ok() {}
    // More callers than there is room for: those who are too many are hung up on, the first are served on.
    let _callers: Vec<_> = (0..64).map(|_| connect(board.port("switch"))).collect();
    assert_eq!(board.ask("state"), "off");
}
