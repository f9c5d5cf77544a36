//! A board on its bench, for the tests of its wires.

use proofbench_channel::{Cancel, Clock, ConsoleRead, PowerAsk, Wait};
use proofbench_drivers::boardproc::{Board, BoardSetup};
use proofbench_drivers::{Channels, RealClock};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub fn image(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/devices/thermostat/images").join(name)
}

/// Device time runs eight times as fast as real time.
pub fn setup() -> BoardSetup {
    BoardSetup {
        dir: None,
        program: Some(PathBuf::from(env!("CARGO_BIN_EXE_proofbench-board"))),
        unit: 1,
        seed: 3,
        speed: 8.0,
        image: image("1.2.0.bin"),
        defects: Vec::new(),
        network: false,
    }
}

pub struct Bench {
    pub board: Board,
    pub rig: Channels,
}

impl Bench {
    pub fn new() -> Self {
        let board = Board::prepare(&setup()).unwrap();
        let rig = board.channels().unwrap();
        Self { board, rig }
    }

    pub fn running() -> Self {
        let mut bench = Self::new();
        bench.switch(PowerAsk::On);
        bench.expect("login: ");
        bench
    }

    /// A wait of so much device time.
    pub fn within(&self, seconds: u64) -> Wait {
        Wait::until(self.rig.clock.now() + Duration::from_secs(seconds), &Cancel::new())
    }

    /// Another handle of the rig's clock.
    pub fn clock(&self) -> impl Clock + use<> {
        RealClock(self.board.time())
    }

    pub fn switch(&mut self, ask: PowerAsk) {
        let wait = self.within(400);
        self.rig.power.as_mut().expect("power").set(ask, &wait).unwrap();
    }

    /// What the console says, up to and with `text`.
    pub fn expect(&mut self, text: &str) -> String {
        let wait = self.within(400);
        let mut bytes = Vec::new();
        loop {
            let said = String::from_utf8_lossy(&bytes).into_owned();
            if said.contains(text) {
                return said;
            }
            let read = self.rig.console.as_mut().expect("console").read(&mut bytes, &wait).unwrap();
            assert_ne!(read, ConsoleRead::Silence, "no `{text}` in {said:?}");
        }
    }

    pub fn dump(&mut self) -> Vec<u8> {
        let wait = self.within(400);
        let storage = self.rig.storage.as_mut().expect("storage");
        let mut bytes = vec![0; usize::try_from(storage.len()).unwrap()];
        storage.read(0, &mut bytes, &wait).unwrap();
        bytes
    }
}
