//! The supply in Python, the driver on it, and a second hand on the same instrument.

use proofbench_channel::{Cancel, ChannelError, Milliamps, Millivolts, Power, Wait};
use proofbench_drivers::TimeBase;
use proofbench_drivers::power::Supply;
use proofbench_drivers::power::scpi::{ScpiSetup, open};
use proofbench_testkit::{Peer, fixture, free_port, python};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

pub struct Bench {
    pub time: TimeBase,
    pub setup: ScpiSetup,
    pub peer: Option<Peer>,
    pub dir: TempDir,
}

/// The error with all that lies beneath.
pub fn whole(error: &ChannelError) -> String {
    let cause = error.source.as_ref().map_or_else(String::new, |cause| format!(": {cause}"));
    format!("{error}{cause}")
}

impl Bench {
    pub fn nowhere() -> Self {
        let time = TimeBase::real();
        let setup = ScpiSetup {
            address: format!("127.0.0.1:{}", free_port()),
            model: "generic".to_owned(),
            channel: 1,
            volts: Millivolts(5000),
            amps: Milliamps(500),
            protect: false,
            supply: Supply { time, off_min: Duration::from_millis(10) },
        };
        Self { time, setup, peer: None, dir: TempDir::new().unwrap() }
    }

    /// A supply with these options. `None` without Python.
    pub fn start(options: &[&str]) -> Option<Self> {
        let python = python(&[])?;
        let mut bench = Self::nowhere();
        let mut command = Command::new(python);
        command.arg(fixture("fixtures/peers/scpi_supply.py")).args(options);
        for name in ["relay", "line", "console"] {
            command.arg(format!("--{name}")).arg(bench.file(name));
        }
        std::fs::write(bench.file("console"), "").unwrap();
        let mut peer = Peer::start(&mut command);
        bench.setup.address = format!("127.0.0.1:{}", peer.ready());
        bench.peer = Some(peer);
        Some(bench)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn wait(&self) -> Wait {
        Wait::until(self.time.now() + Duration::from_secs(60), &Cancel::new())
    }

    pub fn open(&self) -> Box<dyn Power> {
        self.try_open().unwrap()
    }

    pub fn try_open(&self) -> Result<Box<dyn Power>, ChannelError> {
        open(self.setup.clone())
    }

    /// What the relay behind output 1 really is.
    pub fn relay(&self) -> String {
        std::fs::read_to_string(self.file("relay")).unwrap()
    }

    /// Another connection to the instrument.
    pub fn wire(&self) -> Hand {
        let stream = TcpStream::connect(&self.setup.address).unwrap();
        Hand { answers: BufReader::new(stream.try_clone().unwrap()), stream }
    }
}

/// Somebody at the front panel.
pub struct Hand {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
}

impl Hand {
    pub fn say(&mut self, command: &str) {
        self.stream.write_all(format!("{command}\n").as_bytes()).unwrap();
    }

    pub fn select(&mut self, channel: u32) {
        self.say(&format!("INST:NSEL {channel}"));
    }

    pub fn measure(&mut self) -> f64 {
        self.say("MEAS:VOLT?");
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().parse().unwrap()
    }
}
