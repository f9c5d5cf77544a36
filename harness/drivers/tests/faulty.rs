//! Each bench fault does what it says, and only that.
#![allow(clippy::unwrap_used)] // the lint knows test functions, not their helpers

use proofbench_channel::debug::{Access, Protocol, Said, SurveyJob, classify};
use proofbench_channel::{Answer, Cancel, ConsoleRead, ErrorKind, Millivolts, PowerAsk, PowerSeen, Wait};
use proofbench_drivers::emulated::{self, EmulatedSetup};
use proofbench_drivers::{Channels, faulty};
use rstest::rstest;
use std::path::Path;
use std::time::Duration;

fn bench(faults: &[&str]) -> Channels {
    seeded(faults, 7)
}

fn seeded(faults: &[&str], seed: u64) -> Channels {
    let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/devices/thermostat/images/1.2.0.bin");
    let image = std::fs::read(image).expect("the delivered image").into();
    let faults = faults.iter().map(|f| (*f).to_owned()).collect();
    emulated::open(&EmulatedSetup { unit: 1, seed, image, defects: Vec::new(), faults, medium: None }).unwrap()
}

fn within(rig: &Channels, ms: u64) -> Wait {
    Wait::until(rig.clock.now() + Duration::from_millis(ms), &Cancel::new())
}

fn switch(rig: &mut Channels, ask: PowerAsk) {
    let wait = within(rig, 1_000);
    rig.power.as_mut().expect("power").set(ask, &wait).unwrap();
}

fn sleep(rig: &mut Channels, ms: u64) {
    let wait = within(rig, ms);
    rig.clock.sleep_until(&wait).unwrap();
}

/// All that the console brings in this time.
fn hear(rig: &mut Channels, ms: u64) -> Vec<u8> {
    let wait = within(rig, ms);
    let mut bytes = Vec::new();
    while rig.console.as_mut().expect("console").read(&mut bytes, &wait).unwrap() != ConsoleRead::Silence {}
    bytes
}

fn dump(rig: &mut Channels) -> Vec<u8> {
    let wait = within(rig, 1_000);
    let storage = rig.storage.as_mut().expect("storage");
    let mut bytes = vec![0; usize::try_from(storage.len()).unwrap()];
    storage.read(0, &mut bytes, &wait).unwrap();
    bytes
}

#[test]
fn a_dead_console_lets_time_pass_and_says_nothing() {
    let mut rig = bench(&["dead-console"]);
    switch(&mut rig, PowerAsk::On);
    let before = rig.clock.now();
    assert!(hear(&mut rig, 500).is_empty());
    assert_eq!(rig.clock.now(), before + Duration::from_millis(500));
}

#[test]
fn a_garbled_console_changes_some_bytes_and_keeps_their_number() {
    let heard = |faults: &[&str]| {
        let mut rig = bench(faults);
        switch(&mut rig, PowerAsk::On);
        hear(&mut rig, 500)
    };
    let (clean, garbled) = (heard(&[]), heard(&["garbled-console"]));
    assert_eq!(clean.len(), garbled.len());
    let wrong = clean.iter().zip(&garbled).filter(|(a, b)| a != b).count();
    assert!(wrong > clean.len() / 20 && wrong < clean.len() / 2, "{wrong} of {}", clean.len());
    assert_eq!(garbled, heard(&["garbled-console"]), "the same seed garbles alike");
}

#[test]
fn garbling_does_not_depend_on_how_reads_are_cut() {
    let mut whole = bench(&["garbled-console"]);
    switch(&mut whole, PowerAsk::On);
    let expected = hear(&mut whole, 500);
    let mut pieces = bench(&["garbled-console"]);
    switch(&mut pieces, PowerAsk::On);
    let heard: Vec<u8> = (0..500).flat_map(|_| hear(&mut pieces, 1)).collect();
    assert_eq!(heard, expected);
}

#[test]
fn a_stuck_switch_reports_off_while_the_device_runs_on() {
    let mut rig = bench(&["stuck-power"]);
    switch(&mut rig, PowerAsk::On);
    hear(&mut rig, 500);
    switch(&mut rig, PowerAsk::Off);
    let wait = within(&rig, 100);
    let power = rig.power.as_mut().expect("power");
    assert_eq!(power.state(&wait).unwrap(), PowerSeen::Off);
    assert_eq!(power.rail(&wait).unwrap(), None::<Millivolts>);
    sleep(&mut rig, 100);
    rig.console.as_mut().expect("console").write(b"\r", &Wait::until(rig.clock.now(), &Cancel::new())).unwrap();
    assert!(!hear(&mut rig, 500).is_empty(), "it still answers");
    let mut byte = [0];
    let read = rig.storage.as_mut().expect("storage").read(0, &mut byte, &within_now(&*rig.clock));
    assert_eq!(read.unwrap_err().kind, ErrorKind::Refused, "its flash is still in use");
}

#[test]
fn a_back_fed_board_runs_on_and_its_rail_only_sags() {
    let mut rig = bench(&["back-feed"]);
    switch(&mut rig, PowerAsk::On);
    hear(&mut rig, 500);
    let rail = |rig: &mut Channels| {
        let wait = within(rig, 100);
        rig.power.as_mut().expect("power").rail(&wait).unwrap()
    };
    assert_eq!(rail(&mut rig), Some(Millivolts(3_300)));
    switch(&mut rig, PowerAsk::Off);
    sleep(&mut rig, 100);
    let wait = within(&rig, 100);
    assert_eq!(rig.power.as_mut().expect("power").state(&wait).unwrap(), PowerSeen::Off);
    assert_eq!(rail(&mut rig), Some(Millivolts(2_200)), "neither up nor down");
    rig.console.as_mut().expect("console").write(b"\r", &Wait::until(rig.clock.now(), &Cancel::new())).unwrap();
    assert!(!hear(&mut rig, 500).is_empty(), "it still answers");
    switch(&mut rig, PowerAsk::On);
    assert!(!String::from_utf8_lossy(&hear(&mut rig, 500)).contains("ROM th1"), "and does not start again");
    assert_eq!(rail(&mut rig), Some(Millivolts(3_300)));
}

fn within_now(clock: &dyn proofbench_channel::Clock) -> Wait {
    Wait::until(clock.now() + Duration::from_secs(1), &Cancel::new())
}

#[test]
fn a_silent_probe_sees_nothing_where_an_honest_one_sees_a_port() {
    let job = SurveyJob { max_ap: 3, ..SurveyJob::new(Protocol::Swd, 0x2000_0000, 0x8400, Some(1)) };
    let survey = |faults: &[&str]| {
        let mut rig = bench(faults);
        switch(&mut rig, PowerAsk::On);
        sleep(&mut rig, 500);
        let wait = within(&rig, 10_000);
        let probe = rig.debug.as_mut().expect("debug");
        probe.begin(&job, &wait).unwrap();
        probe.finish(&wait).unwrap()
    };
    assert!(matches!(survey(&[]).dpidr, Said::Value(_)));
    let silent = survey(&["silent-probe"]);
    assert_eq!(silent.dpidr, Said::NoAck);
    assert_eq!(silent.job, job);
    assert_eq!(classify(&silent), Ok(Access::Silent));
}

#[test]
fn a_lying_reader_shows_an_empty_flash_and_keeps_its_contract_otherwise() {
    let mut rig = bench(&["lying-flash-reader"]);
    assert!(dump(&mut rig).iter().all(|b| *b == 0xff));
    switch(&mut rig, PowerAsk::On);
    sleep(&mut rig, 100);
    let wait = within(&rig, 100);
    assert_eq!(rig.storage.as_mut().expect("storage").read(0, &mut [0], &wait).unwrap_err().kind, ErrorKind::Refused);
}

#[test]
fn a_stale_reader_shows_the_flash_as_it_was() {
    let mut rig = bench(&["stale-flash-reader"]);
    let first = dump(&mut rig);
    assert_eq!(first, dump(&mut bench(&[])), "the first dump is honest");
    // Ten seconds on the button are a factory reset, which writes.
    switch(&mut rig, PowerAsk::On);
    hear(&mut rig, 1_000);
    for pressed in [true, false] {
        let wait = within(&rig, 100);
        rig.fixture.as_mut().expect("fixture").button("reset", pressed, &wait).unwrap();
        hear(&mut rig, 12_000);
    }
    switch(&mut rig, PowerAsk::Off);
    sleep(&mut rig, 100);
    let state = rig.crash.as_mut().expect("crash").save(&within_now(&*rig.clock)).unwrap();
    let mut truth = vec![0; first.len()];
    rig.crash.as_ref().expect("crash").read(state, 0, &mut truth).unwrap();
    assert_ne!(truth, first, "the flash has changed");
    assert_eq!(dump(&mut rig), first, "the reader does not show it");
}

#[test]
fn a_deaf_update_path_is_silent_at_the_deadline() {
    let mut rig = bench(&["deaf-update"]);
    switch(&mut rig, PowerAsk::On);
    sleep(&mut rig, 500);
    let wait = within(&rig, 700);
    assert_eq!(rig.update.as_mut().expect("update").state(&wait).unwrap(), Answer::Silent);
    assert_eq!(rig.clock.now(), wait.until);
}

#[test]
fn faults_of_absent_channels_and_none_at_all_change_nothing() {
    let all: Vec<String> = faulty::ALL.iter().map(|f| f.name.to_owned()).collect();
    let empty = Channels::new(bench(&[]).clock);
    assert!(faulty::apply(empty, &all, 1).unwrap().describe().is_empty());
}

#[rstest]
#[case("dead-consoles")]
#[case("")]
#[case("Dead-Console")]
fn a_name_that_is_no_fault_is_an_error_that_lists_all(#[case] name: &str) {
    let error = faulty::apply(bench(&[]), &[name.to_owned()], 1).expect_err("refused").to_string();
    assert!(faulty::ALL.iter().all(|f| error.contains(f.name)), "{error}");
}

#[test]
fn a_broken_channel_describes_itself_as_whole() {
    let all: Vec<&str> = faulty::ALL.iter().map(|f| f.name).collect();
    assert_eq!(bench(&all).describe(), bench(&[]).describe());
}

#[test]
fn the_behaviour_suites_find_broken_channels() {
    use proofbench_channel::conformance;
    let mut rig = bench(&["dead-console", "lying-flash-reader", "deaf-update"]);
    let writes = conformance::storage(&mut **rig.storage.as_mut().expect("storage"), &mut *rig.clock, 0x2_c000);
    assert_eq!(writes.unwrap_err().rule, "what was written is read");
    switch(&mut rig, PowerAsk::On);
    sleep(&mut rig, 500);
    let dead = conformance::console(&mut **rig.console.as_mut().expect("console"), &mut *rig.clock, b"nobody\r", b"password: ");
    assert_eq!(dead.unwrap_err().rule, "an answer arrives");
    let deaf = conformance::update(&mut **rig.update.as_mut().expect("update"), &mut *rig.clock);
    assert_eq!(deaf.unwrap_err().rule, "a device that runs says what it holds");
}
