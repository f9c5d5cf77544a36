//! The worker as a process against the board as a process: the probe as debug port and as reset line of a rig, and a window found in real time.
#![allow(clippy::unwrap_used)] // helpers of tests may fail like tests

use proofbench_channel::conformance::{self, Outcome};
use proofbench_channel::debug::{Access, Attach, DebugPort, Protocol, SurveyJob, classify};
use proofbench_channel::{Cancel, ConsoleRead, PowerAsk, Wait};
use proofbench_drivers::boardproc::{Board, BoardSetup};
use proofbench_drivers::debug::WorkerProbe;
use proofbench_drivers::{Channels, RealClock};
use rstest::rstest;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The word at 0x400 of the delivered image, which stands at 0x8400 of the flash.
fn known() -> u32 {
    let image = std::fs::read(image()).unwrap();
    u32::from_le_bytes(image[0x400..0x404].try_into().unwrap())
}

fn image() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/devices/thermostat/images/1.2.0.bin")
}

struct Bench {
    board: Board,
    rig: Channels,
    probe: WorkerProbe,
}

impl Bench {
    fn new(speed: f64, defects: &[&str]) -> Self {
        let worker = PathBuf::from(env!("CARGO_BIN_EXE_proofbench-probe-worker"));
        let program = worker.with_file_name("proofbench-board");
        assert!(program.is_file(), "{} is not built: `cargo test --workspace` builds it, or `cargo build --workspace`", program.display());
        let defects = defects.iter().map(|d| (*d).to_owned()).collect();
        let setup = BoardSetup { dir: None, program: Some(program), unit: 1, seed: 3, speed, image: image(), defects, network: false };
        let board = Board::prepare(&setup).unwrap();
        let rig = board.channels().unwrap();
        let probe = WorkerProbe::new(format!("1d50:6018:127.0.0.1:{}", board.debug_port()), Some(worker), board.time()).unwrap();
        Self { board, rig, probe }
    }

    /// A wait of so much device time.
    fn within(&self, seconds: u64) -> Wait {
        Wait::until(self.board.time().now() + Duration::from_secs(seconds), &Cancel::new())
    }

    fn switch(&mut self, ask: PowerAsk) {
        let wait = self.within(400);
        self.rig.power.as_mut().expect("power").set(ask, &wait).unwrap();
    }

    fn running(mut self) -> Self {
        self.switch(PowerAsk::On);
        let wait = self.within(400);
        let mut bytes = Vec::new();
        while !String::from_utf8_lossy(&bytes).contains("login: ") {
            let read = self.rig.console.as_mut().expect("console").read(&mut bytes, &wait).unwrap();
            assert_ne!(read, ConsoleRead::Silence, "{}", String::from_utf8_lossy(&bytes));
        }
        self
    }
}

#[test]
fn nrst_of_the_probe_conforms_as_reset_line() -> Outcome {
    let mut bench = Bench::new(4.0, &[]).running();
    let mut clock = RealClock(bench.board.time());
    let mut line = bench.probe.reset_line();
    conformance::reset(&mut line, &mut **bench.rig.console.as_mut().expect("console"), &mut clock, b"cause=pin")
}

#[rstest]
fn the_probe_conforms_as_debug_port(#[values(Protocol::Swd, Protocol::Jtag, Protocol::SwdFromDormant)] protocol: Protocol) -> Outcome {
    let mut bench = Bench::new(4.0, &[]).running();
    let mut clock = RealClock(bench.board.time());
    let job = SurveyJob { max_ap: 3, ..SurveyJob::new(protocol, 0x2000_0000, 0x8400, Some(known())) };
    conformance::debug_port(&mut bench.probe, &mut clock, &job)
}

/// The port is open for 30 ms after reset. The device lives five times slower than the clock on the wall, so that a machine under load sees the window
/// too; a miss is tried again, and only never is a failure.
#[rstest]
fn a_window_after_power_on_is_found_in_real_time(#[values(Protocol::Swd, Protocol::Jtag)] protocol: Protocol) {
    let mut bench = Bench::new(0.2, &["debug-late-lock"]);
    let job = SurveyJob { attach: Attach::PowerOnRace, max_ap: 1, poll_ms: 400, ..SurveyJob::new(protocol, 0x2000_0000, 0x8400, Some(known())) };
    let mut seen = Vec::new();
    for _ in 0..10 {
        let wait = bench.within(20);
        bench.probe.begin(&job, &wait).unwrap();
        bench.switch(PowerAsk::On);
        let survey = bench.probe.finish(&wait).unwrap();
        bench.switch(PowerAsk::Off);
        match classify(&survey) {
            Ok(Access::Open) => return,
            other => seen.push((other, survey.notes)),
        }
    }
    panic!("never: {seen:#?}");
}
