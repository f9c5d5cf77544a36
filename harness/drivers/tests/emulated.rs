//! The behaviour suites of every channel, on the emulated device in virtual time.
#![allow(clippy::unwrap_used)] // the lint knows test functions, not their helpers

use proofbench_channel::conformance::{self, Outcome};
use proofbench_channel::debug::{Protocol, SurveyJob};
use proofbench_channel::{Cancel, ConsoleRead, ErrorKind, Moment, PowerAsk, Wait};
use proofbench_drivers::Channels;
use proofbench_drivers::emulated::{self, EmulatedSetup};
use std::path::Path;
use std::time::Duration;

fn setup() -> EmulatedSetup {
    let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/devices/thermostat/images/1.2.0.bin");
    let image = std::fs::read(image).expect("the delivered image").into();
    EmulatedSetup { unit: 1, seed: 7, image, defects: Vec::new(), faults: Vec::new(), medium: None }
}

fn within(rig: &Channels, seconds: u64) -> Wait {
    Wait::until(rig.clock.now() + Duration::from_secs(seconds), &Cancel::new())
}

fn switch(rig: &mut Channels, ask: PowerAsk) {
    let wait = within(rig, 10);
    rig.power.as_mut().expect("power").set(ask, &wait).unwrap();
}

fn read_until(rig: &mut Channels, text: &str) -> String {
    let wait = within(rig, 10);
    let mut bytes = Vec::new();
    loop {
        let said = String::from_utf8_lossy(&bytes).into_owned();
        if said.contains(text) {
            return said;
        }
        let read = rig.console.as_mut().expect("console").read(&mut bytes, &wait).unwrap();
        assert_ne!(read, ConsoleRead::Silence, "no `{text}` in {said:?}");
    }
}

fn running() -> Channels {
    let mut rig = emulated::open(&setup()).unwrap();
    switch(&mut rig, PowerAsk::On);
    read_until(&mut rig, "login: ");
    rig
}

#[test]
fn the_clock_conforms() -> Outcome {
    conformance::clock(&mut *running().clock)
}

#[test]
fn the_network_conforms() -> Outcome {
    let mut rig = running();
    let device = conformance::NetworkDevice {
        open: 8080,
        talk: Some((b"GET / HTTP/1.1\r\nHost: th1.local\r\n\r\n", b"Location: https://th1.local:8443/")),
        ends: None,
        tls: Some(8443),
        closed: 9,
        goes: None,
    };
    conformance::network(&mut **rig.network.as_mut().expect("network"), &mut *rig.clock, &device)
}

#[test]
fn the_console_conforms() -> Outcome {
    let mut rig = running();
    conformance::console(&mut **rig.console.as_mut().expect("console"), &mut *rig.clock, b"nobody\r", b"password: ")
}

#[test]
fn the_console_conforms_without_power() -> Outcome {
    let mut rig = emulated::open(&setup()).unwrap();
    conformance::console_without_device(&mut **rig.console.as_mut().expect("console"), &mut *rig.clock)
}

#[test]
fn the_supply_conforms() -> Outcome {
    let mut rig = emulated::open(&setup()).unwrap();
    conformance::power(&mut **rig.power.as_mut().expect("power"), &mut *rig.clock)
}

#[test]
fn the_reset_line_conforms() -> Outcome {
    let mut rig = running();
    let (reset, console) = (rig.reset.as_mut().expect("reset"), rig.console.as_mut().expect("console"));
    conformance::reset(&mut **reset, &mut **console, &mut *rig.clock, b"cause=pin")
}

#[test]
fn the_fixture_conforms() -> Outcome {
    let mut rig = running();
    conformance::fixture(&mut **rig.fixture.as_mut().expect("fixture"), &mut *rig.clock, "reset")
}

#[test]
fn the_flash_reader_conforms() -> Outcome {
    let mut rig = running();
    conformance::storage_refuses(&mut **rig.storage.as_mut().expect("storage"), &mut *rig.clock)?;
    switch(&mut rig, PowerAsk::Off);
    let wait = within(&rig, 1);
    rig.clock.sleep_until(&wait).unwrap();
    conformance::storage(&mut **rig.storage.as_mut().expect("storage"), &mut *rig.clock, 0x2_c000)
}

#[test]
fn the_update_path_conforms() -> Outcome {
    let mut rig = running();
    conformance::update(&mut **rig.update.as_mut().expect("update"), &mut *rig.clock)
}

#[test]
fn the_update_path_conforms_without_power() -> Outcome {
    let mut rig = emulated::open(&setup()).unwrap();
    conformance::update_without_device(&mut **rig.update.as_mut().expect("update"), &mut *rig.clock)
}

#[test]
fn the_debug_port_conforms() -> Outcome {
    let mut rig = running();
    let job = SurveyJob { max_ap: 3, ..SurveyJob::new(Protocol::Swd, 0x2000_0000, 0x8400, None) };
    conformance::debug_port(&mut **rig.debug.as_mut().expect("debug"), &mut *rig.clock, &job)
}

#[test]
fn the_crash_space_conforms() -> Outcome {
    let mut rig = emulated::open(&setup()).unwrap();
    let mut space = rig.crash.take().expect("crash");
    let mut clock = rig.clock;
    rig.clock = Box::new(proofbench_drivers::RealClock(proofbench_drivers::TimeBase::real()));
    let (mut power, mut fixture) = (rig.power.take().expect("power"), rig.fixture.take().expect("fixture"));
    let mut console = rig.console.take().expect("console");
    // Holding the button for ten seconds is a factory reset, which writes.
    let mut work = || {
        let until = |seconds: u64| Wait::until(Moment(seconds * 1_000_000_000), &Cancel::new());
        let mut heard = Vec::new();
        power.set(PowerAsk::On, &until(100)).unwrap();
        while console.read(&mut heard, &until(5)).unwrap() != ConsoleRead::Silence {}
        fixture.button("reset", true, &until(100)).unwrap();
        while console.read(&mut heard, &until(17)).unwrap() != ConsoleRead::Silence {}
        fixture.button("reset", false, &until(100)).unwrap();
        while console.read(&mut heard, &until(20)).unwrap() != ConsoleRead::Silence {}
        power.set(PowerAsk::Off, &until(100)).unwrap();
        while console.read(&mut heard, &until(21)).unwrap() != ConsoleRead::Silence {}
    };
    conformance::crash_space(&mut *space, &mut *clock, &mut work)
}

#[test]
fn two_rigs_of_one_seed_hear_the_same_bytes_at_the_same_moments() {
    let hear = || {
        let mut rig = running();
        let mut bytes = Vec::new();
        let wait = within(&rig, 1);
        rig.console.as_mut().expect("console").write(b"admin\rwrong\r", &wait).unwrap();
        while rig.console.as_mut().expect("console").read(&mut bytes, &wait).unwrap() != ConsoleRead::Silence {}
        (bytes, rig.clock.now())
    };
    assert_eq!(hear(), hear());
}

#[test]
fn a_long_wait_on_an_idle_device_costs_no_more_than_its_events() {
    let mut rig = running();
    let wait = within(&rig, 30 * 24 * 3600);
    rig.clock.sleep_until(&wait).unwrap();
    assert_eq!(rig.clock.now(), wait.until);
}

#[test]
fn names_that_nobody_knows_are_errors_that_list_the_valid_ones() {
    let mistaken = |change: fn(&mut EmulatedSetup)| {
        let mut setup = setup();
        change(&mut setup);
        let error = emulated::open(&setup).expect_err("unknown name");
        assert_eq!(error.kind, ErrorKind::Unsupported);
        format!("{error} {}", std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default())
    };
    assert!(mistaken(|s| s.defects = vec!["no-such".into()]).contains("sig-unchecked"));
    assert!(mistaken(|s| s.medium = Some("butter".into())).contains("ecc-64"));
    assert!(mistaken(|s| s.faults = vec!["gremlins".into()]).contains("dead-console"));
}
