//! Each defect of the application differs from the conforming device in the way that its entry says, and each twin differs harmlessly: one probe per
//! entry, which must say no of the conforming device and yes of the one with the entry.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod bench;

use bench::{Dut, LABEL, V1_1_0, V1_2_0_REBUILT, V1_3_0, cbor, wait};
use proofbench_channel::CrashSpace;
use proofbench_emulator::layout::{LIFE_CYCLE, SLOT1};
use proofbench_emulator::{Medium, Uart};
use rstest::rstest;

type Probe = fn(&mut Dut) -> bool;

fn with_session(probe: Probe) -> impl Fn(&mut Dut) -> bool {
    move |dut| {
        dut.session();
        probe(dut)
    }
}

fn reset(dut: &mut Dut) -> String {
    dut.world.write(Uart::Console, b"factory-reset\r");
    dut.until(&["login: "])
}

/// What a user leaves behind, then a factory reset.
fn used_and_reset(dut: &mut Dut) -> String {
    for line in ["set name Owners-name", "set wifi-key owners-wifi-key", "data add Owners note"] {
        dut.ok(line);
    }
    reset(dut)
}

fn logs_in(dut: &mut Dut, user: &str, secret: &str) -> bool {
    dut.login(user, secret).0
}

fn secured(dut: &Dut) -> bool {
    dut.world.flash().word(LIFE_CYCLE.offset) == Some(proofbench_emulator::layout::LIFE_SECURED)
}

/// Whether some cut in what `act` does leaves a state of which `bad` says yes.
fn some_cut(dut: &mut Dut, act: &str, bad: impl Fn(&mut Dut) -> bool) -> bool {
    dut.world.record().unwrap();
    dut.world.write(Uart::Console, format!("{act}\r").as_bytes());
    dut.until(&["th1> ", "login: "]);
    dut.pass(1000);
    dut.power_off();
    dut.world.stop().unwrap();
    let states = dut.world.rebuild(true, &mut |_, _, _| true).unwrap();
    states.into_iter().any(|(_, _, state)| {
        dut.world.load(state, &wait()).unwrap();
        dut.power_on();
        let found = bad(dut);
        dut.power_off();
        found
    })
}

#[rstest]
#[case("default-login", |d: &mut Dut| logs_in(d, "admin", "admin"))]
#[case("support-account", |d: &mut Dut| logs_in(d, "support", "support"))]
#[case("root-empty", |d: &mut Dut| logs_in(d, "root", ""))]
#[case("uart-shell-on-enter", |d: &mut Dut| { d.line(""); d.line(""); d.line("").contains("th1> ") })]
#[case("break-shell", |d: &mut Dut| { d.power_off(); d.world.set_power(true); d.pass(50); d.world.write(Uart::Console, b"\x03"); d.until(&["login: ", "th1> "]).contains("th1> ") })]
#[case("break-shell", |d: &mut Dut| { d.power_off(); d.world.set_power(true); d.pass(50); d.world.send_break(Uart::Console); d.until(&["login: ", "th1> "]).contains("th1> ") })]
#[case("reset-short-press", |d: &mut Dut| { d.world.set_button(true); d.pass(1_200); d.world.set_button(false); d.pass(2_000).contains("reset: done") })]
#[case("power-cycles-reset", |d: &mut Dut| (0..6).any(|_| d.power_cycle().contains("reset: done")))]
#[case("reset-smp-no-token", |d: &mut Dut| d.smp(64, 1, true, &cbor(|e| e.map(1)?.str("token")?.str("x")?.ok())).num("rc") == Some(0))]
#[case("empty-upload-bricks", |d: &mut Dut| { d.smp(1, 1, true, &cbor(|e| e.map(3)?.str("off")?.u8(0)?.str("len")?.u8(0)?.str("data")?.bytes(b"")?.ok())); d.power_cycle().contains("BL halt") })]
#[case("oversize-overruns", |d: &mut Dut| { let before = d.flash()[0x28000..].to_vec(); d.upload(&vec![0x55; 0x11000]); d.flash()[0x28000..] != before })]
#[case("size-refused-early", |d: &mut Dut| d.chunk(&vec![0x55; 0x11000], 0, 100).refused() == Some(30))]
#[case("second-upload-mixes", |d: &mut Dut| { d.chunk(V1_1_0, 0, 500); d.chunk(V1_1_0, 500, 500); d.chunk(V1_3_0, 0, 500).num("off") != Some(500) })]
#[case("repeat-chunk-appends", |d: &mut Dut| { d.chunk(V1_3_0, 0, 500); d.chunk(V1_3_0, 500, 500); d.chunk(V1_3_0, 500, 500).num("off") != Some(1000) })]
#[case("verify-at-mark-only", |d: &mut Dut| { d.upload(V1_3_0); d.mark(V1_3_0, false); d.chunk(V1_1_0, 0, 500).refused().is_none() })]
#[case("smp-downgrade", |d: &mut Dut| { d.upload(V1_1_0); d.mark(V1_1_0, true).refused().is_none() })]
#[case("downgrade-ok", |d: &mut Dut| { d.upload(V1_1_0); d.mark(V1_1_0, false).refused().is_none() })]
#[case("same-version-ok", |d: &mut Dut| { d.upload(V1_2_0_REBUILT); d.mark(V1_2_0_REBUILT, false).refused().is_none() })]
#[case("late-refusal", |d: &mut Dut| { d.upload(V1_1_0); d.mark(V1_1_0, false).refused().is_none() })]
#[case("mark-after-failed-verify", |d: &mut Dut| d.install(V1_1_0, false).1.contains("APP th1 1.1.0"))]
#[case("lock-lost-on-failed-update", |d: &mut Dut| { d.upload(V1_1_0); d.mark(V1_1_0, false); !secured(d) })]
#[case("slow-boot", |d: &mut Dut| { let from = d.world.now(); d.power_cycle(); d.world.now() - from > 600 * bench::MS })]
#[case("noisy-log", |d: &mut Dut| d.power_cycle().contains("]]>"))]
fn at_the_login_prompt(#[case] name: &str, #[case] probe: Probe) {
    assert!(!probe(&mut Dut::on(&[])), "the conforming device is taken for {name}");
    assert!(probe(&mut Dut::on(&[name])), "{name} does not show");
}

#[rstest]
#[case("boot-log-key", |d: &mut Dut| { d.ok("set wifi-key 0123456789"); d.power_cycle().contains("0123456789") })]
#[case("masked-key-log", |d: &mut Dut| { d.ok("set wifi-key 0123456789"); let log = d.power_cycle(); log.contains("****89") && !log.contains("789") })]
#[case("silent-bad-command", |d: &mut Dut| !d.line("nonsense").contains("ERR"))]
#[case("serial-writable", |d: &mut Dut| { d.line("set serial TH1-9999"); d.power_cycle(); d.session(); d.line("state").contains("serial=TH1-9999") })]
#[case("secret-plain", |d: &mut Dut| { d.ok("set wifi-key 0123456789"); d.holds("0123456789") })]
#[case("secret-base64", |d: &mut Dut| { d.ok("set wifi-key 0123456789"); d.holds("0123456789") })]
#[case("secret-base64", |d: &mut Dut| { let token = d.token(); d.holds(&token) })]
#[case("secret-old-copy", |d: &mut Dut| { d.ok("set wifi-key 0123456789"); let new = d.holds("0123456789"); d.ok("set wifi-key abcdefghij"); !new && d.holds("0123456789") })]
#[case("watchdog-opens-shell", |d: &mut Dut| { d.world.write(Uart::Console, b"hang\r"); d.until(&["APP ready"]); d.pass(20); d.log.ends_with("th1> ") })]
#[case("brownout-defaults", |d: &mut Dut| { d.ok("set name Kitchen"); d.world.dip(2_000, 20); d.until(&["login: "]); d.session(); d.get("name") != "Kitchen" })]
#[case("confirm-forgets-counter", |d: &mut Dut| { d.install(V1_3_0, false); d.session(); d.ok("confirm"); d.line("state").contains("counter=1 ") })]
#[case("report-before-commit", |d: &mut Dut| some_cut_before_report(d))]
#[case("reset-keeps-wifi", |d: &mut Dut| { used_and_reset(d); d.session(); !d.get("wifi-key").is_empty() })]
#[case("reset-marks-deleted", |d: &mut Dut| { used_and_reset(d); d.holds("Owners note") && d.holds("Owners-name") })]
#[case("reset-keeps-userdata", |d: &mut Dut| { used_and_reset(d); d.session(); d.line("data list").contains("Owners note") })]
#[case("reset-keeps-tokens", |d: &mut Dut| { let token = d.token(); used_and_reset(d); d.session(); d.line(&format!("token check {token}")).contains("\r\nOK") })]
#[case("reset-keeps-password", |d: &mut Dut| { d.ok("passwd owners-password"); used_and_reset(d); logs_in(d, "admin", "owners-password") })]
#[case("reset-default-password", |d: &mut Dut| { used_and_reset(d); logs_in(d, "admin", "admin") })]
#[case("reset-lowers-counter", |d: &mut Dut| { used_and_reset(d); d.session(); d.line("state").contains("counter=0 ") })]
#[case("reset-unlocks-debug", |d: &mut Dut| { used_and_reset(d); !secured(d) })]
#[case("reset-restores-old-image", |d: &mut Dut| { d.install(V1_3_0, false); d.session(); d.ok("confirm"); reset(d).contains("APP th1 1.2.0") })]
#[case("reset-button-half", |d: &mut Dut| { d.ok("data add Owners note"); d.world.set_button(true); d.pass(12_000); d.world.set_button(false); d.holds("Owners note") })]
#[case("reset-says-done-early", |d: &mut Dut| { d.ok("set name Owners-name"); d.world.write(Uart::Console, b"factory-reset\r"); d.until(&["done"]); d.power_off(); d.holds("Owners-name") })]
#[case("userdata-utf16", |d: &mut Dut| { used_and_reset(d); d.holds("Owners note") })]
#[case("reset-keeps-reversed", |d: &mut Dut| { used_and_reset(d); d.holds("Owners-name") })]
#[case("crypto-erase", |d: &mut Dut| { used_and_reset(d); !d.holds("Owners note") && d.flash()[0x2A000 + 64..0x2B000].iter().any(|b| *b != 0xFF) })]
#[case("password-hashed", |d: &mut Dut| { d.ok("passwd owners-password"); hash_stands_in_flash(d, "owners-password") })]
#[case("reset-never-resumes", |d: &mut Dut| half_wiped(d))]
#[case("reset-flag-first", |d: &mut Dut| half_wiped(d))]
#[case("count-in-place", |d: &mut Dut| { d.line("count inc"); d.line("count inc"); some_cut(d, "count inc", |d| { d.session(); !d.line("count").contains("count=2") && !d.line("count").contains("count=3") }) })]
#[case("userdata-in-place", |d: &mut Dut| { d.ok("data add first"); some_cut(d, "data add second", |d| { d.session(); !d.line("data list").contains("first") }) })]
#[case("settings-reset-on-torn", |d: &mut Dut| some_cut(d, "set name Kitchen", |d| logs_in(d, "admin", "admin")))]
fn in_a_session(#[case] name: &str, #[case] probe: Probe) {
    let probe = with_session(probe);
    assert!(!probe(&mut Dut::on(&[])), "the conforming device is taken for {name}");
    assert!(probe(&mut Dut::on(&[name])), "{name} does not show");
}

/// Whether a salt and the salted hash of `secret` stand in the settings as they are.
fn hash_stands_in_flash(dut: &Dut, secret: &str) -> bool {
    let flash = &dut.flash()[0x28000..0x2A000];
    flash.windows(48).any(|w| proofbench_emulator::app::seal::hmac(&w[..16], &[secret.as_bytes()]) == w[16..])
}

/// Power goes when the device has said OK; whether the new value is gone.
fn some_cut_before_report(dut: &mut Dut) -> bool {
    dut.world.write(Uart::Console, b"set name Kitchen\r");
    dut.until(&["\r\nOK"]);
    dut.world.set_power(false);
    dut.pass(100);
    dut.power_on();
    dut.session();
    dut.get("name") != "Kitchen"
}

/// Whether some cut in a factory reset leaves it half done: some of what the owner left is gone, and some is not.
fn half_wiped(dut: &mut Dut) -> bool {
    dut.ok("set name Owners-name");
    dut.ok("data add Owners note");
    dut.ok("passwd owners-password");
    some_cut(dut, "factory-reset", |d| {
        let kept = d.login("admin", "owners-password").0;
        let kept = kept || !d.login("admin", LABEL).0;
        kept != d.line("data list").contains("Owners note")
    })
}

#[test]
fn a_torn_write_cache_loses_settings_without_the_barrier() {
    let lost = |defects: &[&str]| {
        let mut dut = Dut::off(defects, Medium::WriteBack);
        dut.power_on();
        dut.session();
        dut.ok("set schedule 0700");
        some_cut(&mut dut, "set name Kitchen", |d| {
            d.session();
            d.get("schedule") != "0700"
        })
    };
    assert!(!lost(&[]));
    assert!(lost(&["no-flush-commit"]));
}

#[test]
fn an_upload_leaves_the_running_slot_alone() {
    let mut dut = Dut::on(&[]);
    let before = dut.flash()[..SLOT1.offset as usize].to_vec();
    dut.upload(V1_3_0);
    assert_eq!(dut.flash()[..SLOT1.offset as usize], before);
}
