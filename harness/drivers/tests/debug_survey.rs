//! The survey over the emulated wire: every lock, protocol and attach condition.
#![allow(clippy::unwrap_used)] // helpers of tests may fail like tests

use proofbench_channel::debug::{Access, Attach, DebugPort, Protocol, Said, Survey, SurveyJob, Unfit, classify};
use proofbench_channel::{Cancel, ErrorKind, Moment, Wait};
use proofbench_drivers::debug::{EmulatedProbe, Port};
use proofbench_emulator::debug::{BareBoard, Level, LockRules, Pins, RAM};
use rstest::rstest;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

const KNOWN: u32 = 0x4148_5431;

/// A bare board that the test and the probe share.
#[derive(Clone)]
struct Bench(Rc<RefCell<BareBoard>>);

impl Pins for Bench {
    fn edge(&mut self, tms: Option<bool>, tdi: bool) {
        self.0.borrow_mut().edge(tms, tdi);
    }
    fn swdio(&self) -> bool {
        self.0.borrow().swdio()
    }
    fn tdo(&self) -> bool {
        self.0.borrow().tdo()
    }
    fn set_nrst(&mut self, low: bool) {
        self.0.borrow_mut().set_nrst(low);
    }
    fn set_clock_low(&mut self, low: bool) {
        self.0.borrow_mut().set_clock_low(low);
    }
    fn nrst_low(&self) -> bool {
        self.0.borrow().nrst_low()
    }
    fn vtref_mv(&self) -> u32 {
        self.0.borrow().vtref_mv()
    }
    fn now_ns(&self) -> u64 {
        self.0.borrow().now_ns()
    }
}

impl Port for Bench {
    fn spend(&mut self, _clocks: u32) {}
}

fn rules(names: &[&str]) -> LockRules {
    LockRules::of(|n| names.contains(&n))
}

fn bench(rules: LockRules, secured: bool) -> Bench {
    let mut flash = vec![0xFF; 0x4_0000];
    flash[0x8400..0x8404].copy_from_slice(&KNOWN.to_le_bytes());
    Bench(Rc::new(RefCell::new(BareBoard::new(rules, secured, flash, 250))))
}

fn job(protocol: Protocol, attach: Attach) -> SurveyJob {
    SurveyJob { attach, poll_ms: 50, ..SurveyJob::new(protocol, RAM, 0x8400, Some(KNOWN)) }
}

fn wait() -> Wait {
    Wait::until(Moment(u64::MAX), &Cancel::new())
}

/// Surveys a board that has run for a second, or that the probe waits for.
fn look(bench: &Bench, job: &SurveyJob) -> Survey {
    let mut probe = EmulatedProbe::new(Box::new(bench.clone()));
    if job.attach != Attach::PowerOnRace {
        bench.0.borrow_mut().set_power(true);
        bench.0.borrow_mut().spend(1_000_000_000);
    }
    probe.begin(job, &wait()).unwrap();
    bench.0.borrow_mut().set_power(true);
    probe.finish(&wait()).unwrap()
}

#[rstest]
fn every_lock_has_its_level_over_every_protocol(
    #[values(Protocol::Swd, Protocol::Jtag, Protocol::SwdFromDormant)] protocol: Protocol,
    #[values(Attach::Running, Attach::UnderReset, Attach::PowerOnRace, Attach::ColdPlug)] attach: Attach,
    #[values(
        (Level::Open, Access::Open),
        (Level::Silent, Access::Silent),
        (Level::ApDisabled, Access::ApDisabled),
        (Level::FlashFault, Access::Partial),
        (Level::FlashZero, Access::Partial),
        (Level::ApHidden, Access::NoMemAp),
        (Level::ApWait, Access::ApStuck),
        (Level::NoPowerAck, Access::PowerUpRefused)
    )]
    lock: (Level, Access),
) {
    let bench = bench(LockRules { locked_as: lock.0, ..LockRules::conforming() }, true);
    let survey = look(&bench, &job(protocol, attach));
    assert_eq!(classify(&survey), Ok(lock.1), "{survey:#?}");
    let board = bench.0.borrow();
    assert_eq!(board.wire.audit().erase_alls, 0);
    assert!(!board.wire.core_halted(), "the core was left halted");
    assert!(!board.nrst_low(), "nRST was left low");
}

#[rstest]
// What each leak shows, and where it shows nothing.
#[case("debug-open", Protocol::Swd, Attach::Running, Access::Open)]
#[case("debug-late-lock", Protocol::Swd, Attach::Running, Access::ApDisabled)]
#[case("debug-late-lock", Protocol::Swd, Attach::UnderReset, Access::Open)]
#[case("debug-late-lock", Protocol::Jtag, Attach::PowerOnRace, Access::Open)]
#[case("debug-open-under-reset", Protocol::Swd, Attach::Running, Access::ApDisabled)]
#[case("debug-open-under-reset", Protocol::Swd, Attach::UnderReset, Access::Open)]
#[case("debug-open-under-reset", Protocol::Swd, Attach::PowerOnRace, Access::ApDisabled)]
#[case("debug-second-ap", Protocol::Swd, Attach::Running, Access::Open)]
#[case("debug-partial", Protocol::Swd, Attach::Running, Access::Partial)]
#[case("debug-flash-zero", Protocol::Jtag, Attach::Running, Access::Partial)]
#[case("debug-jtag-open", Protocol::Swd, Attach::Running, Access::ApDisabled)]
#[case("debug-jtag-open", Protocol::Jtag, Attach::Running, Access::Open)]
#[case("debug-dormant-open", Protocol::Swd, Attach::Running, Access::ApDisabled)]
#[case("debug-dormant-open", Protocol::SwdFromDormant, Attach::Running, Access::Open)]
#[case("debug-silent", Protocol::Swd, Attach::UnderReset, Access::Silent)]
#[case("debug-cold-plug", Protocol::Swd, Attach::Running, Access::Silent)]
#[case("debug-cold-plug", Protocol::Swd, Attach::UnderReset, Access::Silent)]
#[case("debug-cold-plug", Protocol::Swd, Attach::PowerOnRace, Access::Silent)]
#[case("debug-cold-plug", Protocol::Swd, Attach::ColdPlug, Access::Open)]
#[case("debug-cold-plug", Protocol::Jtag, Attach::ColdPlug, Access::Open)]
#[case("debug-cold-plug-answers", Protocol::Swd, Attach::Running, Access::Silent)]
#[case("debug-cold-plug-answers", Protocol::Swd, Attach::ColdPlug, Access::ApDisabled)]
#[case("debug-late-lock", Protocol::Swd, Attach::ColdPlug, Access::Open)]
#[case("debug-reset-by-debugger", Protocol::Swd, Attach::Running, Access::ApDisabled)]
#[case("debug-reset-by-debugger", Protocol::Swd, Attach::PowerOnRace, Access::Partial)]
#[case("debug-reset-by-debugger", Protocol::Jtag, Attach::UnderReset, Access::Partial)]
#[case("debug-ap-hidden", Protocol::Swd, Attach::Running, Access::NoMemAp)]
#[case("debug-power-up-refused", Protocol::Jtag, Attach::UnderReset, Access::PowerUpRefused)]
fn a_leak_shows_where_it_is(#[case] defect: &str, #[case] protocol: Protocol, #[case] attach: Attach, #[case] level: Access) {
    let survey = look(&bench(rules(&[defect]), true), &job(protocol, attach));
    assert_eq!(classify(&survey), Ok(level), "{survey:#?}");
}

#[rstest]
#[case("debug-reset-by-debugger", Protocol::Swd, Attach::PowerOnRace, Access::Open)]
#[case("debug-reset-by-debugger", Protocol::Jtag, Attach::UnderReset, Access::Open)]
#[case("debug-reset-by-debugger", Protocol::SwdFromDormant, Attach::UnderReset, Access::Open)]
#[case("debug-reset-by-debugger", Protocol::Swd, Attach::Running, Access::ApDisabled)]
#[case("debug-partial", Protocol::Swd, Attach::Running, Access::Partial)]
#[case("debug-flash-zero", Protocol::Jtag, Attach::Running, Access::Partial)]
fn a_reset_by_the_debugger_opens_what_is_latched_at_other_resets_only(
    #[case] defect: &str,
    #[case] protocol: Protocol,
    #[case] attach: Attach,
    #[case] level: Access,
) {
    let bench = bench(rules(&[defect]), true);
    let survey = look(&bench, &SurveyJob { software_reset: true, ..job(protocol, attach) });
    assert_eq!(classify(&survey), Ok(level), "{survey:#?}");
    let asked = survey.notes.iter().any(|n| n.contains("took place"));
    let board = bench.0.borrow();
    assert_eq!(asked, level >= Access::Partial, "without a core within reach nothing is asked: {:?}", survey.notes);
    assert_eq!(board.wire.audit().resets, u32::from(asked));
    assert!(!board.wire.core_halted(), "the core was left halted");
}

#[test]
fn a_part_that_was_plugged_cold_runs_again_afterwards() {
    let bench = bench(rules(&["debug-cold-plug"]), true);
    let survey = look(&bench, &job(Protocol::Swd, Attach::ColdPlug));
    assert_eq!(survey.unmet, None);
    assert!(!bench.0.borrow().wire.core_halted() && !bench.nrst_low());
    assert_eq!(bench.0.borrow().resets, 2, "one to plug, one to leave");
    // Pulled again with the clock at rest, the port is dead as before.
    assert_eq!(classify(&look(&bench, &job(Protocol::Swd, Attach::UnderReset))), Ok(Access::Silent));
}

/// Any window on the emulated wire, down to a few transactions.
#[rstest]
fn a_window_after_power_on_is_found(
    #[values(Protocol::Swd, Protocol::Jtag, Protocol::SwdFromDormant)] protocol: Protocol,
    #[values(1, 2, 20, 500)] ms: u64,
) {
    let window = LockRules { window: Some(Duration::from_millis(ms)), ..LockRules::conforming() };
    let survey = look(&bench(window, true), &job(protocol, Attach::PowerOnRace));
    assert_eq!(classify(&survey), Ok(Access::Open), "{survey:#?}");
}

#[test]
fn core_control_is_recorded_apart_from_memory() {
    let survey = look(&bench(rules(&["debug-partial"]), true), &job(Protocol::Swd, Attach::Running));
    let ap = survey.aps.iter().find(|a| a.ap == 0).unwrap();
    assert_eq!(ap.flash, Said::Fault);
    assert!(matches!((&ap.cpuid, &ap.ram, &ap.core), (Said::Value(_), Said::Value(_), Said::Value(_))), "{ap:?}");
    // R0 was cold: zero; its complement was written, read, and taken back.
    assert_eq!(ap.core_write, Said::Value(u32::MAX));
    assert_eq!(look(&bench(rules(&[]), true), &job(Protocol::Swd, Attach::Running)).aps[0].core_write, Said::NotTried);
}

#[test]
fn an_unsecured_part_is_open_and_its_core_answers() {
    let survey = look(&bench(rules(&[]), false), &job(Protocol::Swd, Attach::Running));
    let ap = survey.aps.iter().find(|a| a.ap == 0).unwrap();
    assert_eq!(ap.flash, Said::Value(KNOWN));
    assert!(matches!(ap.core, Said::Value(pc) if (0x8600..0x8A00).contains(&pc)), "{ap:?}");
    assert_eq!(survey.self_test, Some(true));
    assert_eq!(survey.vtref_mv, Some(3300));
}

#[test]
fn a_board_without_power_holds_its_line_low() {
    let bench = bench(rules(&[]), true);
    let mut probe = EmulatedProbe::new(Box::new(bench));
    probe.begin(&job(Protocol::Swd, Attach::Running), &wait()).unwrap();
    let survey = probe.finish(&wait()).unwrap();
    assert_eq!((&survey.dpidr, survey.vtref_mv), (&Said::Protocol, Some(0)));
    assert_eq!(classify(&survey), Err(Unfit::Unpowered(0)));
}

#[test]
fn a_reset_pulse_reaches_the_board() {
    let bench = bench(rules(&[]), true);
    bench.0.borrow_mut().set_power(true);
    EmulatedProbe::new(Box::new(bench.clone())).pulse_reset(&wait()).unwrap();
    assert_eq!((bench.0.borrow().resets, bench.nrst_low()), (1, false));
}

#[test]
fn a_survey_past_its_deadline_is_a_bench_error_and_releases_reset() {
    let bench = bench(rules(&[]), true);
    bench.0.borrow_mut().set_power(true);
    let mut probe = EmulatedProbe::new(Box::new(bench.clone()));
    let short = Wait::until(Moment(100_000), &Cancel::new());
    probe.begin(&job(Protocol::Swd, Attach::UnderReset), &short).unwrap();
    assert_eq!(probe.finish(&short).unwrap_err().kind, ErrorKind::Timeout);
    assert!(!bench.nrst_low());
}

#[test]
fn a_halted_core_keeps_the_window_open() {
    // The lock closes the port 30 ms after reset; with a clock this slow the survey of all access ports takes far longer.
    let mut flash = vec![0xFF; 0x1_0000];
    flash[0x8400..0x8404].copy_from_slice(&KNOWN.to_le_bytes());
    let slow = Bench(Rc::new(RefCell::new(BareBoard::new(rules(&["debug-late-lock"]), true, flash, 5_000))));
    let survey = look(&slow, &SurveyJob { poll_ms: 500, ..job(Protocol::Swd, Attach::PowerOnRace) });
    assert_eq!(classify(&survey), Ok(Access::Open), "{survey:#?}");
}
