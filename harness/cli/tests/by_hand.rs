//! Bringing up a bench by hand: console, supply and reset line, what is said of them and what the lease says afterwards.

#![allow(clippy::unwrap_used)] // a test that cannot set up its ground may stop there

mod common;

use common::{parts, proofbench, root};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

const DIALOGUE: &str = "admin\nk7Qm-2vTx-9Rpa\nstate\n";

fn piped(words: &[&str], input: &str) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proofbench"));
    let mut child = command.args(words).current_dir(root()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    parts(&child.wait_with_output().unwrap())
}

#[test]
fn a_pipe_holds_a_dialogue_line_by_line() {
    for rig in ["rigs/emulated.toml", "rigs/board.toml"] {
        let (code, out, err) = piped(&["console", "--rig", rig], DIALOGUE);
        assert_eq!(code, 0, "{out}{err}");
        assert!(out.contains("ROM th1 id=") && out.contains("login: ") && out.contains("serial=TH1-0001"), "{rig}: {out}{err}");
        assert!(err.contains("its supply is switched on"), "{err}");
    }
}

#[test]
fn without_input_it_listens_for_as_long_as_it_is_told() {
    let (code, out, _) = piped(&["console", "--for", "2s", "--rig", "rigs/emulated.toml"], "");
    assert_eq!(code, 0);
    assert!(out.contains("APP ready"), "{out}");
    assert_eq!(piped(&["console", "--for", "two seconds"], "").0, 3);
}

#[test]
fn lines_have_their_times_and_a_log_has_what_was_shown() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("console.log");
    let (code, out, err) = piped(&["console", "--rig", "rigs/emulated.toml", "--stamp", "--log", log.to_str().unwrap()], DIALOGUE);
    assert_eq!(code, 0, "{err}");
    assert_eq!(std::fs::read_to_string(log).unwrap(), out);
    let times: Vec<f64> = out.lines().filter(|l| !l.trim().is_empty()).map(|l| l[1..11].trim().parse().unwrap_or_else(|_| panic!("{l}"))).collect();
    assert!(times.len() > 5 && times.is_sorted(), "{out}");
}

/// A pseudo terminal: what a person's program holds, and what the command gets.
fn terminal() -> (File, OwnedFd) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&person).unwrap();
    unlockpt(&person).unwrap();
    let name = ptsname(&person, Vec::new()).unwrap();
    let side = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    (File::from(person), side.into())
}

#[test]
fn a_terminal_passes_keys_on_and_is_set_back_at_the_end() {
    use rustix::termios::{LocalModes, tcgetattr};
    let (person, side) = terminal();
    let kept = side.try_clone().unwrap();
    let again = || Stdio::from(side.try_clone().unwrap());
    let mut child = Command::new(env!("CARGO_BIN_EXE_proofbench"))
        .args(["console", "--rig", "rigs/emulated.toml"])
        .current_dir(root())
        .stdin(again())
        .stdout(again())
        .stderr(again())
        .spawn()
        .unwrap();
    let (tell, told) = channel();
    let mut reader = person.try_clone().unwrap();
    std::thread::spawn(move || {
        let mut part = [0; 4096];
        while let Ok(n @ 1..) = reader.read(&mut part) {
            if tell.send(part[..n].to_vec()).is_err() {
                return;
            }
        }
    });
    let mut shown = Vec::new();
    let mut wait_for = |what: &str| {
        let end = Instant::now() + Duration::from_secs(60);
        while !String::from_utf8_lossy(&shown).contains(what) {
            let left = end.saturating_duration_since(Instant::now());
            let part = told.recv_timeout(left).unwrap_or_else(|_| panic!("no `{what}` in {:?}", String::from_utf8_lossy(&shown)));
            shown.extend(part);
        }
        shown.clear();
    };
    wait_for("Ctrl-] ends");
    wait_for("login: ");
    assert!(!tcgetattr(&kept).unwrap().local_modes.contains(LocalModes::ICANON), "raw while it runs");
    let mut keys = &person;
    keys.write_all(b"admin\r").unwrap();
    wait_for("password: ");
    // Ctrl-C is a key like any other; the device begins anew with it or not, but the command goes on.
    keys.write_all(b"\x03\r").unwrap();
    wait_for("login: ");
    keys.write_all(b"\x1d").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let modes = tcgetattr(&kept).unwrap().local_modes;
    assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG), "set back: {modes:?}");
}

#[test]
fn a_supply_that_lives_only_as_long_as_the_command_says_so() {
    let (code, out, err) = parts(&proofbench(&["power", "cycle", "--rig", "rigs/emulated.toml"]));
    assert_eq!(code, 0, "{out}{err}");
    for part in ["asked     off", "asked     on", "observed  rail at 3300 mV", "cause `power-on`", "lives only as long as this command"] {
        assert!(out.contains(part), "no `{part}` in {out}");
    }
    let (code, out, _) = parts(&proofbench(&["power", "state", "--rig", "rigs/emulated.toml"]));
    assert_eq!(code, 0);
    assert!(out.contains("observed  the switch reports off") && out.contains("observed  rail at 0 mV") && !out.contains("asked"), "{out}");
}

#[test]
fn the_reset_line_is_pulsed_or_held() {
    let (code, out, err) = parts(&proofbench(&["reset", "--rig", "rigs/emulated.toml"]));
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("asked     a pulse") && out.contains("cause `pin`"), "{out}");
    let (code, out, _) = parts(&proofbench(&["reset", "--hold", "2s", "--rig", "rigs/emulated.toml"]));
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("asked     reset asserted") && out.contains("asked     reset released") && out.contains("cause `pin`"), "{out}");
    let (code, out, _) = piped(&["reset", "--rig", "rigs/emulated.toml", "--hold"], "\n");
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("Enter releases it") && out.contains("asked     reset released"), "{out}");
}

#[test]
fn a_channel_that_the_rig_has_not_is_bad_input() {
    let dir = tempfile::tempdir().unwrap();
    let rig = common::rig_with(dir.path(), "[reset]\ndriver = \"emulator\"\n", "");
    let (code, _, err) = parts(&proofbench(&["reset", "--rig", rig.to_str().unwrap()]));
    assert_eq!(code, 3);
    assert!(err.contains("this rig has no [reset]"), "{err}");
}

/// A rig of a user's programs: a supply whose state is a file.
fn bench(dir: &Path) -> (PathBuf, PathBuf) {
    let (state, lease) = (dir.join("state"), dir.join("rig.lease"));
    std::fs::write(&state, "off\n").unwrap();
    let tell = |word: &str| format!("[\"/bin/sh\", \"-c\", \"echo {word} > {}\"]", state.display());
    let text = format!(
        "format = 1\ndossier = {:?}\nlease = {lease:?}\n[power]\ndriver = \"command\"\noff-min = \"10ms\"\non = {}\noff = {}\nstate = [\"/bin/cat\", {state:?}]\n",
        root().join("fixtures/devices/thermostat"),
        tell("on"),
        tell("off"),
    );
    let rig = dir.join("rig.toml");
    std::fs::write(&rig, text).unwrap();
    (rig, lease)
}

#[test]
fn the_lease_of_a_bench_that_is_left_on_says_so_until_somebody_makes_it_safe() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, lease) = bench(dir.path());
    let power = |what: &str| parts(&proofbench(&["power", what, "--rig", rig.to_str().unwrap()]));
    let mark = || std::fs::read_to_string(&lease).unwrap();
    let (code, out, err) = power("on");
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("observed  the switch reports on") && out.contains("left      on"), "{out}");
    assert_eq!(mark(), "left on by hand, by proofbench power\n");

    // Reading changes nothing, and the mark stays true.
    let (code, out, _) = power("state");
    assert_eq!(code, 0);
    assert!(out.contains("reports on"), "{out}");
    assert_eq!(mark(), "left on by hand, by proofbench power\n");

    let (code, out, _) = power("off");
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("left      off and safe"), "{out}");
    assert_eq!(mark(), "safe\n");

    // Whoever comes next hears of it and makes it safe first.
    power("on");
    let (_, out, _) = parts(&proofbench(&["doctor", "--rig", rig.to_str().unwrap()]));
    assert!(out.contains("it had not been left safe (left on by hand, by proofbench power)"), "{out}");
    assert_eq!(mark(), "safe\n");
}

#[test]
fn a_switch_that_does_nothing_is_a_failure_and_the_lease_does_not_call_the_rig_safe() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, lease) = bench(dir.path());
    let text = std::fs::read_to_string(&rig).unwrap();
    let stuck = text.lines().map(|l| if l.starts_with("off = ") { "off = [\"/bin/true\"]" } else { l }).collect::<Vec<_>>().join("\n");
    std::fs::write(&rig, stuck).unwrap();
    let power = |what: &str| parts(&proofbench(&["power", what, "--rig", rig.to_str().unwrap()]));
    assert_eq!(power("on").0, 0);
    let (code, out, err) = power("off");
    assert_eq!(code, 3, "{out}{err}");
    assert!(out.contains("asked     off") && err.contains("reports"), "{out}{err}");
    assert_eq!(std::fs::read_to_string(&lease).unwrap(), "left in an unknown state by hand, by proofbench power\n");
}

#[test]
fn a_switch_that_fails_leaves_a_mark_that_does_not_lie() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, lease) = bench(dir.path());
    let text = std::fs::read_to_string(&rig).unwrap();
    let broken = text.lines().map(|l| if l.starts_with("off = ") { "off = [\"/bin/false\"]" } else { l }).collect::<Vec<_>>().join("\n");
    std::fs::write(&rig, broken).unwrap();
    let (code, _, err) = parts(&proofbench(&["power", "off", "--rig", rig.to_str().unwrap()]));
    assert_eq!(code, 3, "{err}");
    assert_eq!(std::fs::read_to_string(&lease).unwrap(), "left in an unknown state by hand, by proofbench power\n");
}

#[test]
fn the_ports_of_this_machine_are_listed() {
    let (code, out, err) = parts(&proofbench(&["list", "ports"]));
    assert_eq!(code, 0, "{err}");
    assert!(out.lines().last().unwrap().ends_with("serial ports"), "{out}");
}
