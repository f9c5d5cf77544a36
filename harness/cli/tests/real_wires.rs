//! The suites on a bench of real drivers: console over RFC 2217, supply behind a Tasmota plug and a real broker, reset by RTS, probe-rs, SMP over UDP.
//! One fault of the bench at a time, and the right word for it, and a supply that is off at the end.

#![allow(clippy::unwrap_used)] // a test that cannot set up its ground may stop there

mod common;

use common::root;
use proofbench_testkit::{Patch, Peer, find, fixture, free_port, python};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

const PASSWORD: &str = "correct horse";
/// Checks that need no storage and no dip of the supply.
const CHECKS: [&str; 4] = ["debug-port/running", "debug-port/after-reboot", "update/unsigned", "reset/other-causes"];

struct Bench {
    dir: tempfile::TempDir,
    broker_port: u16,
    broker: Peer,
    _plug: Peer,
    _board: Peer,
    ports: Value,
    /// The wires of console and probe.
    console: Patch,
    probe: Patch,
}

impl Bench {
    /// The board behind its plug; `None` if a peer is not installed. `plug` are further options of the plug.
    fn start(plug: &[&str]) -> Option<Self> {
        let (mosquitto, passwd) = (find("mosquitto")?, find("mosquitto_passwd")?);
        let python = python(&["paho.mqtt.client"])?;
        let dir = tempfile::tempdir().unwrap();
        let beside = Path::new(env!("CARGO_BIN_EXE_proofbench")).with_file_name("proofbench-board");
        let mut board = Peer::start(
            Command::new(&beside)
                .args(["--switched", "--dir"])
                .arg(dir.path().join("board"))
                .arg("--image")
                .arg(fixture("fixtures/devices/thermostat/images/1.2.0.bin")),
        );
        let ports: Value = serde_json::from_str(&board.wait_for_line("\"switch\"")).unwrap();

        let users = dir.path().join("users");
        assert!(Command::new(passwd).args(["-b", "-c"]).arg(&users).args(["bench", PASSWORD]).status().unwrap().success());
        let broker_port = free_port();
        let config = format!("listener {broker_port} 127.0.0.1\nallow_anonymous false\npassword_file {}\npersistence false\n", users.display());
        std::fs::write(dir.path().join("mosquitto.conf"), config).unwrap();
        let broker = Self::broker(&mosquitto, dir.path(), broker_port);

        let mut command = Command::new(python);
        command.arg(fixture("fixtures/peers/tasmota_mqtt.py")).args(["--port", &broker_port.to_string(), "--topic", "plug1"]);
        command.args(["--user", "bench", "--password", PASSWORD, "--switch", &format!("127.0.0.1:{}", ports["switch"])]).args(plug);
        let mut plug = Peer::start(&mut command);
        plug.ready();
        let [console, probe] = ["rfc2217", "debug"].map(|name| Patch::to(u16::try_from(ports[name].as_u64().unwrap()).unwrap()));
        Some(Self { dir, broker_port, broker, _plug: plug, _board: board, ports, console, probe })
    }

    fn broker(mosquitto: &Path, dir: &Path, port: u16) -> Peer {
        let mut broker = Peer::start(Command::new(mosquitto).arg("-c").arg(dir.join("mosquitto.conf")));
        broker.wait_for_port(port);
        broker
    }

    /// A rig file for this bench, some text of it exchanged.
    fn rig(&self, from: &str, to: &str) -> PathBuf {
        let text = format!(
            "format = 1\ndossier = {dossier:?}\nlease = \"bench.lease\"\n\
             [console]\ndriver = \"serial\"\nport = {{ rfc2217 = \"127.0.0.1:{rfc2217}\" }}\n\
             [power]\ndriver = \"tasmota-mqtt\"\nbroker = \"127.0.0.1:{broker}\"\ntopic = \"plug1\"\nuser = \"bench\"\npassword = {{ env = \"BENCH_PASSWORD\" }}\noff-min = \"50ms\"\n\
             [reset]\ndriver = \"serial-lines\"\nline = \"rts\"\n\
             [debug]\ndriver = \"probe-rs\"\nprobe = \"1d50:6018:127.0.0.1:{debug}\"\n\
             [update]\ndriver = \"smp-udp\"\naddress = \"127.0.0.1:{smp}\"\n\
             [permissions]\nfactory-reset = true\ncounter-increment = true\npower-cut = true\n",
            dossier = root().join("fixtures/devices/thermostat"),
            rfc2217 = self.console.port(),
            broker = self.broker_port,
            debug = self.probe.port(),
            smp = self.ports["smp_udp"],
        );
        assert!(text.contains(from), "the rig has no `{from}`");
        let path = self.dir.path().join("rig.toml");
        std::fs::write(&path, text.replace(from, to)).unwrap();
        path
    }

    fn run(&self, rig: &Path, password: &str, checks: &[&str]) -> Peer {
        let mut command = Command::new(env!("CARGO_BIN_EXE_proofbench"));
        command.args(["run", "--rig"]).arg(rig).arg("--out").arg(self.out()).env("BENCH_PASSWORD", password).current_dir(root());
        for check in checks {
            command.args(["--check", check]);
        }
        Peer::start(&mut command)
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    /// What the board's own switch says to this.
    fn switch(&self, ask: &str) -> String {
        let port = u16::try_from(self.ports["switch"].as_u64().unwrap()).unwrap();
        let mut wire = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        writeln!(wire, "{ask}").unwrap();
        let mut answer = String::new();
        BufReader::new(wire).read_line(&mut answer).unwrap();
        answer.trim().to_owned()
    }

    /// What the board itself says of its power.
    fn powered(&self) -> bool {
        self.switch("pid") != "none"
    }
}

/// Outcome of each observation of a run, by check, unit and row.
fn outcomes(run: &Path) -> BTreeMap<String, Value> {
    let text = std::fs::read_to_string(run.join("journal.jsonl")).unwrap();
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].clone());
    events.filter(|e| e["event"] == "observation").map(|e| (format!("{} {} {}", e["check"], e["unit"], e["row"]), e["outcome"].clone())).collect()
}

/// What the same checks come to on the emulated device.
fn emulated(bench: &Bench, checks: &[&str]) -> BTreeMap<String, Value> {
    let out = bench.dir.path().join("emulated");
    let mut command = Command::new(env!("CARGO_BIN_EXE_proofbench"));
    command.args(["run", "--out"]).arg(&out).current_dir(root());
    for check in checks {
        command.args(["--check", check]);
    }
    assert_eq!(Peer::start(&mut command).end().code(), Some(0));
    outcomes(&out)
}

#[test]
fn the_suites_run_unchanged_on_a_bench_of_real_drivers() {
    let Some(bench) = Bench::start(&[]) else { return };
    let mut run = bench.run(&bench.rig("", ""), PASSWORD, &CHECKS);
    let code = run.end().code();
    assert_eq!(outcomes(&bench.out()), emulated(&bench, &CHECKS), "{}", run.output().join("\n"));
    assert_eq!(code, Some(0));
    assert!(!bench.powered(), "the supply is off at the end");
}

#[test]
fn a_wrong_password_is_told_and_not_shown() {
    let Some(bench) = Bench::start(&[]) else { return };
    let mut run = bench.run(&bench.rig("", ""), "incorrect pony", &CHECKS[..1]);
    let code = run.end().code();
    let said = run.output().join("\n");
    assert!(code.is_some_and(|c| c >= 2), "{code:?}: {said}");
    assert!(said.contains("refused: the broker") && said.contains("password"), "{said}");
    assert!(!said.contains("pony"), "{said}");
    let seen = outcomes(&bench.out());
    assert!(
        !seen.is_empty() && seen.values().all(|o| o["UNRESOLVED"] == "aborted-safety"),
        "nothing is begun on a rig that cannot be made safe: {seen:#?}"
    );
    assert!(!bench.powered());
}

#[test]
fn a_plug_that_lies_is_a_fault_of_the_rig() {
    // It calls every request done, and leaves the supply on.
    let Some(bench) = Bench::start(&["--lie", "--on"]) else { return };
    assert_eq!(bench.switch("on"), "ok");
    let mut run = bench.run(&bench.rig("", ""), PASSWORD, &CHECKS[..1]);
    let code = run.end().code();
    let said = run.output().join("\n");
    let seen = outcomes(&bench.out());
    assert!(!seen.is_empty() && seen.values().all(is_fault), "{seen:#?}\n{said}");
    assert!(said.contains("could not be made safe") && said.contains("still talks"), "{said}");
    assert_eq!(code, Some(2));
}

/// One part of the bench goes away after the first check: the checks after it say that the rig is at fault, and the supply is off at the end.
fn with_fault(checks: &[&str], fault: impl FnOnce(&mut Bench)) -> Option<(Bench, String)> {
    let mut bench = Bench::start(&[])?;
    let mut run = bench.run(&bench.rig("", ""), PASSWORD, checks);
    run.wait_for_line(checks[0]);
    fault(&mut bench);
    let code = run.end().code();
    let said = run.output().join("\n");
    let seen = outcomes(&bench.out());
    let (before, after): (Vec<_>, Vec<_>) = seen.iter().partition(|(key, _)| key.contains(checks[0]));
    assert!(!before.is_empty() && before.iter().all(|(_, o)| **o == "SATISFIED"), "{seen:#?}\n{said}");
    assert!(!after.is_empty() && after.iter().all(|(_, o)| is_fault(o)), "{seen:#?}\n{said}");
    assert_eq!(code, Some(2), "{said}");
    Some((bench, said))
}

fn is_fault(outcome: &Value) -> bool {
    outcome["UNRESOLVED"] == "rig-fault"
}

#[test]
fn a_console_port_that_goes_away_is_no_verdict() {
    let Some((bench, _)) = with_fault(&CHECKS[..2], |bench| bench.console.pull()) else { return };
    assert!(!bench.powered(), "the supply is off at the end");
}

#[test]
fn a_probe_that_goes_away_is_no_verdict() {
    let Some((bench, _)) = with_fault(&CHECKS[..2], |bench| bench.probe.pull()) else { return };
    assert!(!bench.powered(), "the supply is off at the end");
}

#[test]
fn a_broker_that_goes_away_is_no_verdict_and_the_supply_is_said_to_be_unknown() {
    let Some((_, said)) = with_fault(&CHECKS[..2], |bench| bench.broker.kill()) else { return };
    assert!(said.contains("could not be made safe"), "{said}");
}

#[test]
fn a_broker_that_is_started_again_costs_no_verdict() {
    let Some(mut bench) = Bench::start(&[]) else { return };
    let checks = &CHECKS[..3];
    let mut run = bench.run(&bench.rig("", ""), PASSWORD, checks);
    run.wait_for_line(checks[0]);
    bench.broker.kill();
    bench.broker = Bench::broker(&find("mosquitto").unwrap(), bench.dir.path(), bench.broker_port);
    let code = run.end().code();
    assert_eq!(outcomes(&bench.out()), emulated(&bench, checks), "{}", run.output().join("\n"));
    assert_eq!(code, Some(0));
    assert!(!bench.powered(), "the supply is off at the end");
}
