//! A switched board, and the peers whose relays are its power switch.

use proofbench_channel::{Cancel, Console, ConsoleRead, Milliamps, Millivolts, Power, Reset, Wait};
use proofbench_drivers::child::Program;
use proofbench_drivers::line::{self, LineAddress, LineSettings, LineSetup};
use proofbench_drivers::power::Supply;
use proofbench_drivers::power::scpi::ScpiSetup;
use proofbench_drivers::power::snmp::{Access, SnmpSetup};
use proofbench_drivers::{Secret, TimeBase, power, reset};
use proofbench_testkit::{Peer, find, fixture, free_udp_port, python};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(120);

pub struct Bench {
    pub time: TimeBase,
    pub console: Box<dyn Console>,
    switch: u16,
    fixture: u16,
    peers: Vec<Peer>,
    dir: TempDir,
    /// Ended last: its ports are what the others talk to.
    _board: Peer,
}

impl Bench {
    /// A board without power.
    pub fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let image = fixture("fixtures/devices/thermostat/images/1.2.0.bin");
        let mut command = Command::new(env!("CARGO_BIN_EXE_proofbench-board"));
        command.args(["--switched", "--speed", "8", "--dir"]).arg(dir.path().join("board")).arg("--image").arg(image);
        std::fs::create_dir(dir.path().join("board")).unwrap();
        let mut board = Peer::start(&mut command);
        let ready: Value = serde_json::from_str(&board.wait_for_line("\"switch\"")).unwrap();
        let port = |name: &str| u16::try_from(ready[name].as_u64().unwrap()).unwrap();
        let time = TimeBase::real();
        let address = LineAddress::Tcp(format!("127.0.0.1:{}", port("raw")).parse().unwrap());
        let console = line::open(&LineSetup::new(address, LineSettings::baud(115_200), time)).unwrap();
        Self { time, console, switch: port("switch"), fixture: port("fixture"), peers: Vec::new(), dir, _board: board }
    }

    pub fn wait(&self) -> Wait {
        Wait::until(self.time.now() + LONG, &Cancel::new())
    }

    fn supply(&self) -> Supply {
        Supply { time: self.time, off_min: Duration::from_millis(100) }
    }

    /// What the board's own switch answers.
    pub fn ask(&self, line: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.switch)).unwrap();
        stream.write_all(format!("{line}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        answer.trim().to_owned()
    }

    /// Reads the console up to `text`.
    pub fn expect(&mut self, text: &str) {
        let wait = self.wait();
        let mut bytes = Vec::new();
        while !String::from_utf8_lossy(&bytes).contains(text) {
            let read = self.console.read(&mut bytes, &wait).unwrap();
            assert_ne!(read, ConsoleRead::Silence, "no `{text}` in {:?}", String::from_utf8_lossy(&bytes));
        }
    }

    fn script(name: &str) -> Option<(PathBuf, PathBuf)> {
        let python = python(&[])?;
        let python = if python.is_absolute() { python } else { find(&python.display().to_string())? };
        Some((python, fixture("fixtures/peers").join(name)))
    }

    /// Debian's snmpd, whose outlet 3 is the board's switch.
    pub fn snmp(&mut self) -> Option<Box<dyn Power>> {
        let (snmpd, (python, script)) = (find("snmpd")?, Self::script("snmp_pdu.py")?);
        let conf = self.dir.path().join("snmpd.conf");
        let program = format!("{} {} --switch 127.0.0.1:{}", python.display(), script.display(), self.switch);
        std::fs::write(&conf, format!("rwcommunity private 127.0.0.1\npass_persist .1.3.6.1.4.1.318 {program}\n")).unwrap();
        let address = format!("127.0.0.1:{}", free_udp_port());
        let mut command = Command::new(snmpd);
        command.args(["-f", "-Lo", "-I", "-smux", "-C", "-c"]).arg(conf).arg(format!("udp:{address}"));
        command.env("MIBS", "").env("SNMP_PERSISTENT_DIR", self.dir.path().join("snmp"));
        let mut peer = Peer::start(&mut command);
        peer.wait_for_line("NET-SNMP version");
        self.peers.push(peer);
        let (access, supply) = (Access::V2c(Secret::new("private")), self.supply());
        Some(power::snmp::open(SnmpSetup { address, access, family: "apc-rpdu2".to_owned(), outlet: vec![3], supply }).unwrap())
    }

    /// A supply by SCPI, whose output 1 is the board's switch and whose voltmeter is on the board's rail.
    pub fn scpi(&mut self) -> Option<Box<dyn Power>> {
        let (python, script) = Self::script("scpi_supply.py")?;
        let mut peer = Peer::start(Command::new(python).arg(script).arg("--switch").arg(format!("127.0.0.1:{}", self.switch)));
        let address = format!("127.0.0.1:{}", peer.ready());
        self.peers.push(peer);
        let (volts, amps, supply) = (Millivolts(3300), Milliamps(500), self.supply());
        Some(power::scpi::open(ScpiSetup { address, model: "generic".to_owned(), channel: 1, volts, amps, protect: false, supply }).unwrap())
    }

    /// Programs that talk to the board's switch.
    pub fn command(&self) -> Option<Box<dyn Power>> {
        let program = self.program(self.switch)?;
        let (on, off, state) = (program("on"), program("off"), Some(program("state")));
        Some(power::command::open(power::command::CommandSetup { on, off, state, supply: self.supply() }).unwrap())
    }

    /// Programs that talk to the board's fixture.
    pub fn reset(&self) -> Option<Box<dyn Reset>> {
        let program = self.program(self.fixture)?;
        let (assert, release) = (program("assert"), program("release"));
        Some(reset::command::open(reset::command::CommandSetup { assert, release, time: self.time }).unwrap())
    }

    fn program(&self, port: u16) -> Option<impl Fn(&str) -> Program + use<>> {
        let (python, script) = Self::script("board_switch.py")?;
        let base = [python.display().to_string(), script.display().to_string(), port.to_string()];
        Some(move |what: &str| Program { argv: base.iter().cloned().chain([what.to_owned()]).collect(), dir: None, deadline: LONG })
    }
}
