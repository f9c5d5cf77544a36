//! What a run makes of checks that go well, badly, or not at all.

mod common;

use common::{UNIT, check, dossier, options, resolved, rig, rig_granting, sticky, whole_plan};
use proofbench_channel::PowerSeen;
use proofbench_model::journal::{Event, Header, Subject};
use proofbench_model::{Claim, Fate, Observation, Outcome, Reason};
use proofbench_rig::{Permissions, Rig};
use proofbench_runner::bench::Stop;
use proofbench_runner::journal::{JournalWriter, verify};
use proofbench_runner::run::{Progress, RunError, RunOptions, RunSummary, run};
use proofbench_runner::sink::MemorySink;
use proofbench_runner::{Bench, Capability, Check, Permission, Trouble};
use rstest::rstest;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

static GOOD: Check = check("test/good", |b| {
    let boot = b.power_cycle()?;
    b.satisfied(UNIT, None, "it comes back", &format!("boot {}", boot.id));
    Ok(())
});

fn go(rig: Rig, checks: &[&'static Check]) -> (RunSummary, MemorySink) {
    let plan = whole_plan(&rig, checks);
    let (options, sink) = options();
    (run(&plan, rig, checks, options, &mut ()).expect("memory takes every record"), sink)
}

fn outcomes(summary: &RunSummary) -> Vec<Outcome> {
    summary.observations().map(|o| o.outcome).collect()
}

/// Runs one check on a healthy rig and gives its outcomes and texts.
fn one(check: &'static Check) -> (Vec<Outcome>, String) {
    let (summary, _) = go(rig(&[], &[]), &[check]);
    let texts = summary.observations().map(|o| o.observed.clone()).collect::<Vec<_>>().join("; ");
    (outcomes(&summary), texts)
}

#[test]
fn a_good_check_is_satisfied_with_evidence_in_a_folder_that_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(&[], &[]);
    let plan = whole_plan(&rig, &[&GOOD]);
    let writer = JournalWriter::create(dir.path(), Header::default()).unwrap();
    let summary = run(&plan, rig, &[&GOOD], RunOptions::new(7, Box::new(writer)), &mut ()).unwrap();
    assert_eq!(outcomes(&summary), [Outcome::Satisfied]);
    assert_eq!(summary.claim, Claim::Full);
    let found = verify(dir.path()).unwrap();
    assert_eq!(found.problems, Vec::<String>::new());
    assert_eq!(found.journal.ended(), Some(Claim::Full));
    // The reference flash and the transcript.
    assert_eq!(found.evidence, 2);
}

#[test]
fn two_runs_of_one_seed_are_equal_byte_for_byte() {
    let journal = || {
        let dir = tempfile::tempdir().unwrap();
        let rig = rig(&[], &[]);
        let plan = whole_plan(&rig, &[&GOOD]);
        let writer = JournalWriter::create(dir.path(), Header::default()).unwrap();
        run(&plan, rig, &[&GOOD], RunOptions::new(7, Box::new(writer)), &mut ()).unwrap();
        std::fs::read(dir.path().join("journal.jsonl")).unwrap()
    };
    assert!(journal() == journal());
}

static PANICS: Check = check("test/panics", |b| {
    b.satisfied(UNIT, None, "x", "y");
    panic!("a bug of the check");
});

#[test]
fn a_panic_is_a_harness_fault_and_the_run_goes_on() {
    let (summary, _) = go(rig(&[], &[]), &[&PANICS, &GOOD]);
    assert_eq!(outcomes(&summary), [Outcome::Unresolved(Reason::HarnessFault), Outcome::Satisfied]);
    let told = summary.checks[0].trouble.clone().unwrap();
    assert!(told.contains("a bug of the check") && told.contains("run.rs"), "{told}");
}

static UNREACHABLE: Check = check("test/unreachable", |_| Err(Trouble::Unreachable("nobody there".into())));
static PRECONDITION: Check = check("test/precondition", |_| Err(Trouble::Precondition("not so".into())));
static SILENT: Check = check("test/silent", |_| Ok(()));
static FOREIGN: Check = check("test/foreign", |b| {
    b.satisfied("5.1-1-2 a", None, "x", "y");
    b.satisfied(UNIT, None, "x", "y");
    Ok(())
});
static VIOLATES_THEN_FAILS: Check = check("test/violates", |b| {
    b.violated(UNIT, None, "x", "y");
    Err(Trouble::Unreachable("after that".into()))
});
static SATISFIES_THEN_RIG: Check = check("test/satisfies-then-rig", |b| {
    b.satisfied(UNIT, None, "x", "y");
    Err(Trouble::RigFault("the reader lied".into()))
});
static OVER_BUDGET: Check = Check {
    budget: Duration::from_secs(5),
    ..check("test/over-budget", |b| {
        for _ in 0..100 {
            b.sleep(Duration::from_secs(1))?;
        }
        b.satisfied(UNIT, None, "x", "y");
        Ok(())
    })
};
static CLIPPED: Check = Check {
    budget: Duration::from_secs(5),
    ..check("test/clipped", |b| {
        let wait = b.wait(Duration::from_secs(100));
        let mut nothing = Vec::new();
        while b.now() < wait.until {
            let _ = b.console()?.read(&mut nothing, &wait)?;
        }
        b.violated(UNIT, None, "it answers within 100 s", "silence");
        Ok(())
    })
};

#[rstest]
#[case(&UNREACHABLE, Outcome::Unresolved(Reason::DutUnreachable), "nobody there")]
#[case(&PRECONDITION, Outcome::Unresolved(Reason::PreconditionUnmet), "not so")]
#[case::no_answer(&SILENT, Outcome::Unresolved(Reason::HarnessFault), "without an answer that it owes")]
#[case::a_unit_of_another(&FOREIGN, Outcome::Unresolved(Reason::HarnessFault), "5.1-1-2 a, which it does not list")]
#[case::a_violation_stands(&VIOLATES_THEN_FAILS, Outcome::Violated, "y")]
#[case::no_pass_on_a_lying_rig(&SATISFIES_THEN_RIG, Outcome::Unresolved(Reason::RigFault), "the reader lied")]
#[case(&OVER_BUDGET, Outcome::Unresolved(Reason::BudgetExceeded), "out of budget")]
#[case::a_wait_cut_by_the_budget_is_no_deadline(&CLIPPED, Outcome::Unresolved(Reason::BudgetExceeded), "silence")]
fn what_a_check_ends_with(#[case] check: &'static Check, #[case] want: Outcome, #[case] text: &str) {
    let (outcomes, texts) = one(check);
    assert_eq!(outcomes, [want], "{texts}");
    assert!(texts.contains(text), "{texts}");
}

#[test]
fn another_device_decides_nothing() {
    let mut rig = rig(&[], &[]);
    let mut other = (*dossier()).clone();
    other.device.sample.serial = "TH1-0002".into();
    rig.dossier = Arc::new(other);
    let (summary, _) = go(rig, &[&GOOD]);
    assert_eq!(outcomes(&summary), [Outcome::Unresolved(Reason::PreconditionUnmet)]);
    let text = &summary.checks[0].observations[0].observed;
    assert!(text.contains("`TH1-0001`") && text.contains("`TH1-0002`"), "{text}");
}

#[test]
fn another_firmware_decides_nothing() {
    let mut rig = rig(&[], &[]);
    let mut other = (*dossier()).clone();
    other.device.identification.firmware = "9.9.9".into();
    rig.dossier = Arc::new(other);
    let (summary, _) = go(rig, &[&GOOD]);
    assert_eq!(outcomes(&summary), [Outcome::Unresolved(Reason::PreconditionUnmet)]);
}

static NEEDS_STORAGE: Check = Check { needs: &[Capability::Storage], ..check("test/storage", |_| panic!("must not run")) };
static NEEDS_ERASE: Check = Check { permissions: &[Permission::MassErase], ..check("test/erase", |_| panic!("must not run")) };

#[test]
fn what_the_rig_cannot_do_is_still_owed() {
    let mut rig = rig(&[], &[]);
    rig.channels.storage = None;
    let (summary, sink) = go(rig, &[&NEEDS_STORAGE, &NEEDS_ERASE]);
    assert_eq!(outcomes(&summary), [Outcome::Unresolved(Reason::RigCapabilityMissing); 2]);
    let texts: Vec<&str> = summary.observations().map(|o| o.observed.as_str()).collect();
    assert_eq!(texts, ["the rig has no storage", "the rig has no permission mass-erase"]);
    assert!(summary.checks.iter().all(|c| matches!(c.fate, Fate::CannotRun { .. })));
    let taken = sink.0.borrow();
    assert!(taken.events.iter().any(|(_, e)| matches!(e, Event::Plan { due } if due.len() == 2)));
}

static BREAKS: Check = Check {
    needs: &[Capability::Storage],
    ..check("test/breaks", |b| {
        b.power_off()?;
        let slot = b.bind().regions["slot0"];
        let wait = b.wait(Duration::from_secs(1));
        b.storage()?.write(slot.offset, &[0; 0x2000], &wait)?;
        b.satisfied(UNIT, None, "x", "y");
        Ok(())
    })
};
static SATISFIES_AND_SILENCES: Check = check("test/silences", |b| {
    b.satisfied(UNIT, None, "x", "y");
    break_the_device();
    Ok(())
});

#[test]
fn the_next_check_finds_the_flash_as_it_was_and_the_journal_says_so() {
    let (summary, sink) = go(rig(&[], &[]), &[&BREAKS, &GOOD]);
    assert_eq!(outcomes(&summary), [Outcome::Satisfied; 2]);
    assert!(sink.0.borrow().events.iter().any(|(_, e)| matches!(e, Event::Restored { what, .. } if what == "flash")));
}

#[test]
fn without_the_grant_no_check_writes_the_flash() {
    let granted = Permissions { flash_write: false, ..Permissions::all() };
    let (summary, _) = go(rig_granting(granted), &[&BREAKS]);
    let o = &summary.checks[0].observations[0];
    assert_eq!(o.outcome, Outcome::Unresolved(Reason::RigFault));
    assert!(o.observed.contains("without the rig's grant `flash-write`"), "{}", o.observed);
}

#[test]
fn without_the_grant_nothing_is_restored_and_a_broken_device_decides_nothing_more() {
    let mut rig = rig_granting(Permissions { flash_write: false, ..Permissions::all() });
    DEAF.set(Some(deaf(&mut rig)));
    let (summary, sink) = go(rig, &[&SATISFIES_AND_SILENCES, &GOOD]);
    assert_eq!(outcomes(&summary), [Outcome::Unresolved(Reason::RigFault), Outcome::Unresolved(Reason::DutUnreachable)]);
    assert!(!sink.0.borrow().events.iter().any(|(_, e)| matches!(e, Event::Restored { .. })));
}

static BRICKS: Check = check("test/bricks", |b| {
    b.violated(UNIT, None, "it comes back", "it does not");
    break_the_device();
    Ok(())
});

#[test]
fn a_violation_stands_if_the_device_itself_does_not_come_back() {
    let mut rig = rig_granting(Permissions { flash_write: false, ..Permissions::all() });
    // A device that never says a word again, on a rig that cannot restore it: its own doing, or the console's. The control came before.
    DEAF.set(Some(deaf(&mut rig)));
    let (summary, _) = go(rig, &[&BRICKS]);
    assert_eq!(outcomes(&summary), [Outcome::Violated]);
}

thread_local! {
    static DEAF: RefCell<Option<Rc<Cell<bool>>>> = const { RefCell::new(None) };
}

fn break_the_device() {
    DEAF.with_borrow(|d| d.as_ref().expect("the test gave one").set(true));
}

/// Lets the console fall silent on demand.
fn deaf(rig: &mut Rig) -> Rc<Cell<bool>> {
    use proofbench_channel::{ChannelError, Console, ConsoleRead, Wait};
    struct Deaf(Box<dyn Console>, Rc<Cell<bool>>);
    impl Console for Deaf {
        fn read(&mut self, into: &mut Vec<u8>, wait: &Wait) -> Result<ConsoleRead, ChannelError> {
            if self.1.get() { Ok(ConsoleRead::Silence) } else { self.0.read(into, wait) }
        }
        fn write(&mut self, bytes: &[u8], wait: &Wait) -> Result<(), ChannelError> {
            self.0.write(bytes, wait)
        }
        fn send_break(&mut self, wait: &Wait) -> Result<(), ChannelError> {
            self.0.send_break(wait)
        }
        fn describe(&self) -> String {
            self.0.describe()
        }
    }
    let silent = Rc::new(Cell::new(false));
    let inner = rig.channels.console.take().expect("a console");
    rig.channels.console = Some(Box::new(Deaf(inner, silent.clone())));
    silent
}

thread_local! {
    static STUCK: RefCell<Option<Rc<Cell<bool>>>> = const { RefCell::new(None) };
    static STOP: RefCell<Option<Stop>> = const { RefCell::new(None) };
}

fn break_the_switch() {
    STUCK.with_borrow(|s| s.as_ref().expect("the test gave one").set(true));
}

static BREAKS_THE_RIG: Check = check("test/breaks-the-rig", |b| {
    b.satisfied(UNIT, None, "x", "y");
    break_the_switch();
    Ok(())
});
static VIOLATES_AND_BREAKS_THE_RIG: Check = check("test/violates-and-breaks-the-rig", |b| {
    b.violated(UNIT, None, "x", "y");
    break_the_switch();
    Ok(())
});

#[rstest]
#[case(&BREAKS_THE_RIG)]
#[case(&VIOLATES_AND_BREAKS_THE_RIG)]
fn a_rig_that_died_during_a_check_decides_nothing(#[case] check: &'static Check) {
    let mut rig = rig(&[], &[]);
    STUCK.set(Some(sticky(&mut rig)));
    let (summary, _) = go(rig, &[check]);
    assert_eq!(outcomes(&summary), [Outcome::Unresolved(Reason::RigFault)]);
    assert!(summary.checks[0].trouble.is_some());
}

fn stop_once() {
    STOP.with_borrow(|s| s.as_ref().expect("the test gave one").signal());
}

static STOPPED: Check = check("test/stopped", |b| {
    stop_once();
    b.sleep(Duration::from_secs(1))?;
    b.satisfied(UNIT, None, "x", "y");
    Ok(())
});
static STOPPED_AFTER: Check = check("test/stopped-after", |b| {
    b.satisfied(UNIT, None, "x", "y");
    stop_once();
    Ok(())
});
static STOPPED_TWICE: Check = check("test/stopped-twice", |b| {
    b.satisfied(UNIT, None, "x", "y");
    stop_once();
    stop_once();
    Ok(())
});

#[rstest]
#[case::first_signal(&STOPPED, Outcome::Unresolved(Reason::AbortedSafety))]
#[case::what_was_decided_before_stands(&STOPPED_AFTER, Outcome::Satisfied)]
#[case::second_signal(&STOPPED_TWICE, Outcome::Unresolved(Reason::AbortedSafety))]
fn a_stopped_run_is_safe_and_recorded(#[case] first: &'static Check, #[case] want: Outcome) {
    let rig = rig(&[], &[]);
    let plan = whole_plan(&rig, &[first, &GOOD]);
    let (options, sink) = options();
    STOP.set(Some(options.stop.clone()));
    let summary = run(&plan, rig, &[first, &GOOD], options, &mut ()).unwrap();
    assert_eq!(outcomes(&summary), [want, Outcome::Unresolved(Reason::AbortedSafety)]);
    assert!(matches!(&summary.checks[1].fate, Fate::NotRun { why } if why.contains("cancelled")));
    assert!(summary.cancelled && summary.safe.is_safe() && summary.claim == Claim::None);
    assert!(matches!(sink.0.borrow().events.last(), Some((_, Event::Ended { claim: Claim::None }))));
}

static RECORD_BREAKS: Check = check("test/record-breaks", |b| {
    break_the_record();
    b.sleep(Duration::from_secs(1))?;
    b.satisfied(UNIT, None, "x", "y");
    Ok(())
});

thread_local! {
    static RECORD: RefCell<Option<MemorySink>> = const { RefCell::new(None) };
}

fn break_the_record() {
    RECORD.with_borrow(|r| r.as_ref().expect("the test gave one").0.borrow_mut().fail = Some("write the journal: no space".into()));
}

#[test]
fn a_run_that_cannot_be_recorded_has_no_result_and_leaves_the_rig_safe() {
    let mut rig = rig(&[], &[]);
    let seen = Rc::new(RefCell::new(PowerSeen::Unknown));
    watch_supply(&mut rig, seen.clone());
    let plan = whole_plan(&rig, &[&RECORD_BREAKS, &GOOD]);
    let (options, sink) = options();
    RECORD.set(Some(sink));
    let e = run(&plan, rig, &[&RECORD_BREAKS, &GOOD], options, &mut ()).unwrap_err();
    assert!(matches!(&e, RunError::Record(why) if why.contains("no space")), "{e}");
    assert_eq!(*seen.borrow(), PowerSeen::Off);
}

/// Keeps what the supply was last asked.
fn watch_supply(rig: &mut Rig, seen: Rc<RefCell<PowerSeen>>) {
    use proofbench_channel::{ChannelError, Millivolts, Power, PowerAsk, Wait};
    struct Watched(Box<dyn Power>, Rc<RefCell<PowerSeen>>);
    impl Power for Watched {
        fn set(&mut self, ask: PowerAsk, wait: &Wait) -> Result<(), ChannelError> {
            *self.1.borrow_mut() = if ask == PowerAsk::On { PowerSeen::On } else { PowerSeen::Off };
            self.0.set(ask, wait)
        }
        fn state(&mut self, wait: &Wait) -> Result<PowerSeen, ChannelError> {
            self.0.state(wait)
        }
        fn rail(&mut self, wait: &Wait) -> Result<Option<Millivolts>, ChannelError> {
            self.0.rail(wait)
        }
        fn off_min(&self) -> Duration {
            self.0.off_min()
        }
        fn dip(&mut self, to: Millivolts, hold: Duration, wait: &Wait) -> Result<(), ChannelError> {
            self.0.dip(to, hold, wait)
        }
        fn describe(&self) -> String {
            self.0.describe()
        }
    }
    let inner = rig.channels.power.take().expect("a supply");
    rig.channels.power = Some(Box::new(Watched(inner, seen)));
}

#[test]
fn a_supply_that_cannot_be_made_safe_ends_the_use_of_the_rig() {
    let mut rig = rig(&[], &[]);
    use proofbench_channel::{ChannelError, ErrorKind, Millivolts, Power, PowerAsk, Wait};
    struct Broken;
    impl Power for Broken {
        fn set(&mut self, _: PowerAsk, _: &Wait) -> Result<(), ChannelError> {
            Err(ChannelError::new(ErrorKind::Disconnected, "switch the supply"))
        }
        fn state(&mut self, _: &Wait) -> Result<PowerSeen, ChannelError> {
            Ok(PowerSeen::Unknown)
        }
        fn rail(&mut self, _: &Wait) -> Result<Option<Millivolts>, ChannelError> {
            Ok(None)
        }
        fn off_min(&self) -> Duration {
            Duration::ZERO
        }
        fn dip(&mut self, _: Millivolts, _: Duration, _: &Wait) -> Result<(), ChannelError> {
            Ok(())
        }
        fn describe(&self) -> String {
            "broken".into()
        }
    }
    rig.channels.power = Some(Box::new(Broken));
    let (summary, sink) = go(rig, &[&GOOD]);
    assert!(!summary.safe.is_safe());
    assert!(matches!(&summary.checks[0].fate, Fate::NotRun { why } if why.contains("could not be made safe")));
    assert!(outcomes(&summary).iter().all(|o| matches!(o, Outcome::Unresolved(_))));
    assert!(sink.0.borrow().events.iter().any(|(_, e)| matches!(e, Event::Fate { subject: Subject::Check(_), .. })));
}

#[test]
fn a_rig_that_was_left_in_use_is_recovered_and_marked_safe() {
    let dir = tempfile::tempdir().unwrap();
    let lease = dir.path().join("rig.lease");
    std::fs::write(&lease, "in use by a run that died\n").unwrap();
    let mut resolved = resolved();
    resolved.lease = Some(lease.clone());
    let rig = resolved.open(dossier(), 7, "a test").unwrap();
    assert!(resolved.open(dossier(), 7, "another").is_err(), "one holder at a time");
    let (summary, sink) = go(rig, &[&GOOD]);
    assert_eq!(outcomes(&summary), [Outcome::Satisfied]);
    assert!(common::notes(&sink).iter().any(|n| n.contains("not been left safe (in use by a run that died)")));
    assert_eq!(std::fs::read_to_string(&lease).unwrap(), "safe\n");
}

#[rstest]
#[case("dead-console")]
#[case("stuck-power")]
#[case("garbled-console")]
fn a_faulty_bench_decides_nothing(#[case] fault: &str) {
    let (summary, _) = go(rig(&[], &[fault]), &[&GOOD]);
    assert!(matches!(outcomes(&summary)[..], [Outcome::Unresolved(_)]), "{fault}: {:?}", outcomes(&summary));
}

#[test]
fn progress_is_told_in_order() {
    #[derive(Default)]
    struct Told(Vec<String>);
    impl Progress for Told {
        fn check_started(&mut self, check: &Check, index: usize, total: usize) {
            self.0.push(format!("{} {index}/{total}", check.id));
        }
        fn observation(&mut self, o: &Observation) {
            self.0.push(o.outcome.to_string());
        }
        fn check_ended(&mut self, result: &proofbench_runner::CheckResult) {
            self.0.push(format!("end {}", result.id));
        }
    }
    let rig = rig(&[], &[]);
    let plan = whole_plan(&rig, &[&GOOD, &UNREACHABLE]);
    let mut told = Told::default();
    run(&plan, rig, &[&GOOD, &UNREACHABLE], options().0, &mut told).unwrap();
    let want = ["test/good 0/2", "SATISFIED", "end test/good", "test/unreachable 1/2", "UNRESOLVED(dut-unreachable)", "end test/unreachable"];
    assert_eq!(told.0, want);
}

#[test]
fn a_check_has_its_own_seed_whatever_runs_before_it() {
    thread_local! { static SEEDS: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) }; }
    fn keep(b: &mut Bench) -> Result<(), Trouble> {
        SEEDS.with_borrow_mut(|s| s.push(b.seed()));
        Ok(())
    }
    static A: Check = check("test/a", keep);
    static B: Check = check("test/b", keep);
    go(rig(&[], &[]), &[&A, &B]);
    go(rig(&[], &[]), &[&B]);
    let seeds = SEEDS.with_borrow(Clone::clone);
    assert_eq!(seeds[1], seeds[2]);
    assert_ne!(seeds[0], seeds[1]);
}
