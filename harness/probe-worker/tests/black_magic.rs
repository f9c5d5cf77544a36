//! Unmodified probe-rs through the board's Black Magic Probe server: the same survey, the same levels.
#![allow(clippy::unwrap_used)] // helpers of tests may fail like tests

use proofbench_board::bmp::Session;
use proofbench_board::probes::Conversation;
use proofbench_channel::debug::{Access as Level, Attach, Failure, Protocol, Survey, SurveyJob, Unfit, WorkerAct, WorkerJob, WorkerSays, classify};
use proofbench_emulator::debug::{BareBoard, Level as Lock, LockRules, Pins, RAM};
use proofbench_probe_worker::run;
use rstest::rstest;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const KNOWN: u32 = 0x4148_5431;

#[derive(Clone)]
struct Shared(Arc<Mutex<BareBoard>>);

/// Serves one host until it hangs up.
fn serve(mut stream: TcpStream, board: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut session = Session::default();
    let mut received = [0u8; 4096];
    loop {
        let n = stream.read(&mut received)?;
        let mut answers = Vec::new();
        let goes_on = n > 0 && session.feed(&received[..n], &mut *board.0.lock().unwrap(), &mut answers);
        stream.write_all(&answers)?;
        if !goes_on {
            return Ok(());
        }
    }
}

/// A powered board that has run for a second, and where its probe listens.
fn board(rules: LockRules) -> (Shared, SocketAddr) {
    let mut flash = vec![0xFF; 0x1_0000];
    flash[0x8400..0x8404].copy_from_slice(&KNOWN.to_le_bytes());
    let mut board = BareBoard::new(rules, true, flash, 250);
    board.set_power(true);
    board.spend(1_000_000_000);
    let shared = Shared(Arc::new(Mutex::new(board)));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = shared.clone();
    std::thread::spawn(move || {
        // A host that went away without a word is everyday life.
        listener.incoming().flatten().for_each(|stream| drop(serve(stream, &served)));
    });
    (shared, address)
}

fn job(address: SocketAddr, protocol: Protocol, attach: Attach, max_ap: u8) -> WorkerJob {
    let survey = SurveyJob { attach, max_ap, poll_ms: 50, ..SurveyJob::new(protocol, RAM, 0x8400, Some(KNOWN)) };
    WorkerJob { selector: format!("1d50:6018:{address}"), speed: 1.0, deadline_ms: 30_000, act: WorkerAct::Survey(survey) }
}

fn surveyed(job: &WorkerJob) -> Survey {
    let mut polling = 0;
    match run(job, &mut |say| polling += usize::from(*say == WorkerSays::Polling), &mut |_| {}) {
        WorkerSays::Survey(survey) => {
            assert_eq!(polling, 1, "a race can start exactly once");
            *survey
        }
        other => panic!("{other:?}"),
    }
}

#[rstest]
fn every_lock_has_the_level_that_the_emulated_probe_finds(
    #[values(Protocol::Swd, Protocol::Jtag, Protocol::SwdFromDormant)] protocol: Protocol,
    #[values(Attach::Running, Attach::UnderReset)] attach: Attach,
    #[values(
        (Lock::Open, Level::Open),
        (Lock::Silent, Level::Silent),
        (Lock::ApDisabled, Level::ApDisabled),
        (Lock::FlashFault, Level::Partial),
        (Lock::FlashZero, Level::Partial),
        (Lock::ApHidden, Level::NoMemAp),
        (Lock::ApWait, Level::ApStuck),
        (Lock::NoPowerAck, Level::PowerUpRefused)
    )]
    lock: (Lock, Level),
) {
    let (shared, address) = board(LockRules { locked_as: lock.0, ..LockRules::conforming() });
    let survey = surveyed(&job(address, protocol, attach, 4));
    assert_eq!(classify(&survey), Ok(lock.1), "{survey:#?}");
    let board = shared.0.lock().unwrap();
    assert_eq!(board.wire.audit().erase_alls, 0);
    assert_eq!(board.wire.audit().resets, 0);
    assert!(!board.wire.core_halted(), "the core was left halted");
    assert!(!board.nrst_low(), "nRST was left low");
}

#[rstest]
#[case("debug-open-under-reset", Protocol::Swd, Attach::Running, Level::ApDisabled)]
#[case("debug-open-under-reset", Protocol::Swd, Attach::UnderReset, Level::Open)]
#[case("debug-open-under-reset", Protocol::Jtag, Attach::UnderReset, Level::Open)]
#[case("debug-late-lock", Protocol::Swd, Attach::UnderReset, Level::Open)]
#[case("debug-second-ap", Protocol::Swd, Attach::Running, Level::Open)]
#[case("debug-jtag-open", Protocol::Jtag, Attach::Running, Level::Open)]
#[case("debug-dormant-open", Protocol::SwdFromDormant, Attach::Running, Level::Open)]
fn a_leak_shows_through_the_real_driver(#[case] defect: &str, #[case] protocol: Protocol, #[case] attach: Attach, #[case] level: Level) {
    let (shared, address) = board(LockRules::of(|n| n == defect));
    let survey = surveyed(&job(address, protocol, attach, 4));
    assert_eq!(classify(&survey), Ok(level), "{survey:#?}");
    assert!(!shared.0.lock().unwrap().nrst_low(), "nRST was left low");
}

#[rstest]
fn a_probe_that_cannot_move_swclk_says_so_and_is_no_proof(#[values(Protocol::Swd, Protocol::Jtag)] protocol: Protocol) {
    let (shared, address) = board(LockRules::conforming());
    let survey = surveyed(&job(address, protocol, Attach::ColdPlug, 4));
    assert!(survey.unmet.as_ref().is_some_and(|why| why.contains("cannot hold SWCLK low")), "{survey:#?}");
    assert!(matches!(classify(&survey), Err(Unfit::Unmet(_))), "{survey:#?}");
    assert!(!shared.0.lock().unwrap().nrst_low(), "nRST was left low");
}

#[rstest]
fn a_reset_through_the_core_works_through_the_real_driver(#[values(Protocol::Swd, Protocol::Jtag)] protocol: Protocol) {
    let (shared, address) = board(LockRules::of(|n| n == "debug-reset-by-debugger"));
    let mut job = job(address, protocol, Attach::UnderReset, 4);
    assert_eq!(classify(&surveyed(&job)), Ok(Level::Partial));
    assert_eq!(shared.0.lock().unwrap().wire.audit().resets, 0, "nothing is reset without the grant");
    if let WorkerAct::Survey(survey) = &mut job.act {
        survey.software_reset = true;
    }
    let survey = surveyed(&job);
    assert_eq!(classify(&survey), Ok(Level::Open), "{survey:#?}");
    let board = shared.0.lock().unwrap();
    assert_eq!(board.wire.audit().resets, 1);
    assert!(!board.wire.core_halted() && !board.nrst_low(), "the device was not let go");
}

/// Any window, in the virtual time of the board: the device is switched on by its tenth look.
#[rstest]
fn a_window_after_power_on_is_found_by_polling(
    #[values(Protocol::Swd, Protocol::Jtag, Protocol::SwdFromDormant)] protocol: Protocol,
    #[values(20, 50)] window_ms: u64,
) {
    let window = LockRules { window: Some(Duration::from_millis(window_ms)), ..LockRules::conforming() };
    let (shared, address) = board(window);
    shared.0.lock().unwrap().set_power(false);
    let mut job = job(address, protocol, Attach::PowerOnRace, 4);
    if let WorkerAct::Survey(survey) = &mut job.act {
        survey.poll_ms = 20_000;
    }
    let on = shared.clone();
    let mut when_polling = |say: &WorkerSays| {
        if *say == WorkerSays::Polling {
            on.0.lock().unwrap().set_power(true);
        }
    };
    let said = run(&job, &mut when_polling, &mut |_| {});
    let WorkerSays::Survey(survey) = said else { panic!("{said:?}") };
    assert_eq!(classify(&survey), Ok(Level::Open), "{survey:#?}");
    assert!(survey.attempts > survey.answered, "{survey:#?}");
    assert!(!shared.0.lock().unwrap().wire.core_halted(), "the core was left halted");
}

#[test]
fn one_probe_session_after_another_may_change_the_protocol() {
    let (_shared, address) = board(LockRules { never_locked: true, ..LockRules::conforming() });
    for protocol in [Protocol::Swd, Protocol::Jtag, Protocol::Swd, Protocol::SwdFromDormant, Protocol::Jtag] {
        let survey = surveyed(&job(address, protocol, Attach::Running, 1));
        assert_eq!(classify(&survey), Ok(Level::Open), "{survey:#?}");
    }
}

#[test]
fn a_probe_that_is_not_there_is_a_failure_and_never_a_silent_port() {
    // A port that was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = run(&job(address, Protocol::Swd, Attach::Running, 1), &mut |_| {}, &mut |_| {});
    assert!(matches!(said, WorkerSays::Failed { kind: Failure::Disconnected, .. }), "{said:?}");
}

#[test]
fn the_process_answers_a_job_and_refuses_nonsense() {
    let (shared, address) = board(LockRules::conforming());
    let ask = |text: &str| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_proofbench-probe-worker")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let out = child.wait_with_output().unwrap().stdout;
        let lines: Vec<WorkerSays> = String::from_utf8(out).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        lines
    };
    let said = ask(&serde_json::to_string(&job(address, Protocol::Swd, Attach::Running, 1)).unwrap());
    assert!(matches!(&said[..], [WorkerSays::Polling, WorkerSays::Survey(s)] if classify(s) == Ok(Level::ApDisabled)), "{said:?}");
    assert!(matches!(&ask("{")[..], [WorkerSays::Failed { kind: Failure::Driver, .. }]));
    let pulse = WorkerJob { act: WorkerAct::PulseReset(1), ..job(address, Protocol::Swd, Attach::Running, 1) };
    assert_eq!(ask(&serde_json::to_string(&pulse).unwrap()), [WorkerSays::Done]);
    assert_eq!(shared.0.lock().unwrap().resets, 1);
}
