//! Factory reset: by every route, cut at every operation, and what must not reset.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod bench;

use bench::{Dut, LABEL, cbor, wait};
use proofbench_channel::{CrashSpace, Tear};
use proofbench_emulator::{Medium, Uart};
use rstest::rstest;

const CANARIES: [&str; 5] = ["Canary-name", "canary-schedule", "canary-ssid", "canary-wifi-key", "canary note"];
const PASSWORD: &str = "canary-password";

/// A device with something in every store, and a token.
fn lived_in(defects: &[&str], medium: Medium) -> (Dut, String) {
    let mut dut = Dut::off(defects, medium);
    dut.power_on();
    dut.session();
    for (key, value) in ["name", "schedule", "wifi-ssid", "wifi-key"].iter().zip(CANARIES) {
        dut.ok(&format!("set {key} {value}"));
    }
    dut.ok(&format!("data add {}", CANARIES[4]));
    dut.line("count inc");
    let token = dut.token();
    dut.ok(&format!("passwd {PASSWORD}"));
    (dut, token)
}

/// Nothing of the former owner is left, and the device is as the factory made it.
fn assert_wiped(dut: &mut Dut, token: &str) {
    for canary in CANARIES.into_iter().chain([PASSWORD, token]) {
        assert!(!dut.holds(canary), "{canary} is still in flash");
    }
    assert!(!dut.login("admin", PASSWORD).0 && !dut.login("admin", "admin").0);
    assert!(dut.login("admin", LABEL).0, "{}", dut.log);
    assert_eq!(dut.get("name"), "Thermostat");
    assert_eq!(dut.get("wifi-key"), "");
    assert!(dut.line("data list").contains("data list\r\nOK\r\n"));
    assert!(dut.line(&format!("token check {token}")).contains("ERR bad token"));
    assert!(dut.line("count").contains("\r\ncount=1\r\n"), "the usage counter stays");
    assert!(dut.line("state").contains("version=1.2.0+0 slot=confirmed counter=1 serial=TH1-0001 lock=locked life=secured"));
}

fn by_console(dut: &mut Dut) -> String {
    dut.world.write(Uart::Console, b"factory-reset\r");
    dut.until(&["login: ", "BL halt"])
}

fn by_button(dut: &mut Dut) -> String {
    dut.world.set_button(true);
    dut.pass(100);
    assert_eq!(dut.world.led(), "red blink");
    let mut log = dut.pass(10_900);
    dut.world.set_button(false);
    log += &dut.pass(500);
    log
}

fn by_smp(dut: &mut Dut, token: &str) -> String {
    let body = cbor(|e| e.map(1)?.str("token")?.str(token)?.ok());
    assert_eq!(dut.smp(64, 1, true, &body).num("rc"), Some(0));
    dut.until(&["login: "])
}

#[rstest]
fn every_route_erases_everything_and_confirms_it(#[values("console", "button", "smp")] route: &str, #[values("", "crypto-erase")] twin: &str) {
    let twins: Vec<&str> = [twin].into_iter().filter(|t| !t.is_empty()).collect();
    let (mut dut, token) = lived_in(&twins, Medium::SpiNor);
    let log = match route {
        "console" => by_console(&mut dut),
        "button" => by_button(&mut dut),
        _ => by_smp(&mut dut, &token),
    };
    assert!(log.contains(if route == "console" { "\r\nErasing... done\r\n" } else { "\r\nFactory reset: done\r\n" }), "{log}");
    assert!(log.contains("cause=software"), "{log}");
    assert_wiped(&mut dut, &token);
    let restart = dut.power_cycle();
    assert!(!restart.contains("Factory reset"), "it is finished: {restart}");
}

#[test]
fn a_short_press_and_a_wrong_token_do_nothing() {
    let (mut dut, _) = lived_in(&[], Medium::SpiNor);
    let before = dut.world.flash().digest();
    for hold in [50, 1_000, 5_000, 9_900] {
        dut.world.set_button(true);
        dut.pass(hold);
        dut.world.set_button(false);
        dut.pass(500);
        assert_eq!(dut.world.led(), "green");
    }
    for token in ["", "00112233445566778899aabbccddeeff", "admin"] {
        let answer = dut.smp(64, 1, true, &cbor(|e| e.map(1)?.str("token")?.str(token)?.ok()));
        assert_eq!(answer.num("rc"), Some(11));
    }
    assert_eq!(dut.smp(64, 1, true, &[0xA0]).num("rc"), Some(11));
    assert_eq!((dut.world.flash().digest(), dut.world.boots()), (before, 1));
}

#[test]
fn a_button_held_through_the_start_does_not_reset_by_itself() {
    let (mut dut, _) = lived_in(&[], Medium::SpiNor);
    dut.power_off();
    dut.world.set_button(true);
    dut.power_on();
    dut.pass(2_000);
    dut.world.set_button(false);
    assert!(dut.login("admin", PASSWORD).0);
}

#[rstest]
fn a_reset_that_was_cut_is_never_left_half_done(
    #[values(Medium::Ideal, Medium::SpiNor, Medium::Ecc256, Medium::UnstableBits, Medium::WriteOnce, Medium::WriteBack)] medium: Medium,
) {
    let (mut dut, token) = lived_in(&[], medium);
    dut.power_off();
    let before = dut.world.save(&wait()).unwrap();
    dut.power_on();
    assert!(dut.login("admin", PASSWORD).0);
    dut.world.record().unwrap();
    by_console(&mut dut);
    dut.power_off();
    dut.world.stop().unwrap();
    let states = dut.world.rebuild(true, &mut |_, _, _| true).unwrap();
    assert!(states.len() > 10);
    let (mut old, mut new) = (0, 0);
    for (at, tear, state) in states.into_iter().chain([(0, Tear::Before, before)]) {
        dut.world.load(state, &wait()).unwrap();
        dut.log.clear();
        dut.power_on();
        if dut.login("admin", PASSWORD).0 {
            // Nothing has happened yet: then nothing at all.
            assert_eq!(dut.get("name"), CANARIES[0], "cut {at} {tear:?}");
            assert!(dut.line("data list").contains(CANARIES[4]), "cut {at} {tear:?}");
            old += 1;
        } else {
            assert_wiped(&mut dut, &token);
            new += 1;
        }
        dut.power_off();
    }
    assert!(old >= 1 && new > 5, "{old} {new}");
}

#[test]
fn causes_of_reset_leave_the_state_as_it_is() {
    let (mut dut, token) = lived_in(&[], Medium::SpiNor);
    let before = dut.world.flash().digest();
    let check = |dut: &mut Dut, cause: &str| {
        let log = dut.log.clone();
        assert!(log.contains(&format!("cause={cause}\r\n")), "{cause}: {log}");
        assert!(dut.login("admin", PASSWORD).0, "{cause}: {}", dut.log);
        dut.ok(&format!("token check {token}"));
        assert!(dut.line("state").contains("lock=locked"));
        dut.log.clear();
    };
    dut.power_cycle();
    check(&mut dut, "power-on");
    dut.world.set_nrst(true);
    dut.pass(10);
    dut.world.set_nrst(false);
    dut.until(&["login: "]);
    check(&mut dut, "pin");
    dut.world.dip(2_000, 20);
    dut.until(&["login: "]);
    check(&mut dut, "brown-out");
    dut.world.write(Uart::Console, b"hang\r");
    dut.until(&["login: "]);
    check(&mut dut, "watchdog");
    assert_eq!(dut.world.flash().digest(), before);
}
