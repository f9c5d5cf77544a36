//! The console: start, login, shell, what is remembered.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod bench;

use bench::{Dut, LABEL, MS};
use proofbench_emulator::{Medium, Uart};
use rstest::rstest;

#[test]
fn the_boot_log_is_as_documented_and_ends_at_the_login() {
    let mut dut = Dut::off(&[], Medium::SpiNor);
    let log = dut.power_on();
    let lines: Vec<&str> = log.split("\r\n").collect();
    assert!(lines[0].starts_with("ROM th1 id=") && lines[0].ends_with(" cause=power-on"), "{log}");
    assert_eq!(&lines[1..], ["BL slot0 1.2.0+0 valid", "APP th1 1.2.0+0 confirmed ram=lost", "APP ready", "login: "]);
    assert!(dut.world.now() < 150 * MS, "ready within 150 ms: {}", dut.world.now());
    assert_eq!(dut.world.led(), "green");
}

#[test]
fn power_cycles_alone_change_nothing_in_flash() {
    let mut dut = Dut::on(&[]);
    let before = dut.world.flash().digest();
    for _ in 0..8 {
        dut.power_cycle();
    }
    assert_eq!(dut.world.flash().digest(), before);
}

#[rstest]
#[case("reboot", "software", true)]
#[case("hang", "watchdog", true)]
fn commands_restart_with_their_cause_and_ram_is_kept(#[case] command: &str, #[case] cause: &str, #[case] kept: bool) {
    let mut dut = Dut::on(&[]);
    dut.session();
    dut.world.write(Uart::Console, format!("{command}\r").as_bytes());
    let log = dut.until(&["login: "]);
    assert!(log.contains(&format!("cause={cause}\r\n")) && log.contains(if kept { "ram=kept" } else { "ram=lost" }), "{log}");
    dut.session();
    assert!(dut.line("state").contains(&format!("cause={cause}")));
}

#[test]
fn the_state_line_is_as_documented() {
    let mut dut = Dut::on(&[]);
    dut.session();
    let said = dut.line("state");
    let line = said.lines().find(|l| l.starts_with("version=")).unwrap();
    assert!(line.starts_with("version=1.2.0+0 slot=confirmed counter=1 serial=TH1-0001 lock=locked life=secured id="), "{line}");
    assert!(line.ends_with(" cause=power-on"), "{line}");
}

#[test]
fn settings_count_notes_and_password_outlive_power() {
    let mut dut = Dut::on(&[]);
    dut.session();
    assert_eq!(dut.get("name"), "Thermostat");
    for line in ["set name Living room", "set schedule 0700-2200", "set wifi-ssid home", "set wifi-key hunter2hunter2", "set mode away"] {
        dut.ok(line);
    }
    dut.ok("data add first note");
    dut.ok("data add second note");
    assert!(dut.line("count inc").contains("\r\ncount=1\r\n"));
    dut.ok("passwd correct-horse");
    let token = dut.token();
    dut.power_cycle();
    assert!(!dut.login("admin", LABEL).0, "the label no longer works");
    assert!(dut.login("admin", "correct-horse").0);
    assert_eq!(dut.get("name"), "Living room");
    assert_eq!(dut.get("schedule"), "0700-2200");
    assert_eq!(dut.get("wifi-ssid"), "home");
    assert_eq!(dut.get("wifi-key"), "********");
    assert_eq!(dut.get("mode"), "away");
    assert!(dut.line("data list").contains("data[0]=first note\r\ndata[1]=second note\r\nOK\r\n"));
    assert!(dut.line("count").contains("\r\ncount=1\r\n"));
    dut.ok(&format!("token check {token}"));
    assert!(dut.line("token check 00112233445566778899aabbccddeeff").contains("ERR bad token"));
    for secret in ["hunter2hunter2", "correct-horse", &token] {
        assert!(!dut.holds(secret), "{secret} stands in flash");
    }
    assert!(dut.holds("Living room") && dut.holds("first note"), "the search finds what is stored plain");
}

#[rstest]
#[case("nonsense", "ERR unknown command")]
#[case("state of affairs", "ERR unknown command")]
#[case("get shoe-size", "ERR no such setting")]
#[case("set serial TH1-9999", "ERR read-only")]
#[case("set name", "ERR usage")]
#[case("passwd short", "ERR password")]
#[case("data", "ERR usage")]
#[case("token", "ERR usage")]
fn what_is_not_understood_is_refused(#[case] line: &str, #[case] answer: &str) {
    let mut dut = Dut::on(&[]);
    dut.session();
    let before = dut.world.flash().digest();
    assert!(dut.line(line).contains(answer), "{}", dut.log);
    assert_eq!(dut.world.flash().digest(), before);
}

#[test]
fn long_values_and_long_lines_are_refused_and_the_shell_goes_on() {
    let mut dut = Dut::on(&[]);
    dut.session();
    assert!(dut.line(&format!("set name {}", "x".repeat(65))).contains("ERR value"));
    assert!(dut.line(&format!("data add {}", "x".repeat(65))).contains("ERR longer"));
    assert!(dut.line(&"y".repeat(5000)).contains("ERR line too long"));
    dut.ok(&format!("set name {}", "z".repeat(64)));
}

#[test]
fn five_wrong_secrets_lock_the_login_and_a_power_cycle_does_not_unlock_it() {
    let mut dut = Dut::on(&[]);
    for _ in 0..4 {
        assert!(dut.login("admin", "wrong").1.contains("Login incorrect"));
    }
    dut.power_cycle();
    assert!(dut.login("admin", "wrong").1.contains("Locked for 10 s"), "tries are counted over power cycles");
    let (inside, said) = dut.login("admin", LABEL);
    assert!(!inside && said.contains("Locked for"), "the right secret does not work while locked: {said}");
    dut.power_cycle();
    assert!(dut.login("admin", LABEL).1.contains("Locked for"));
    dut.pass(10_500);
    assert!(dut.login("admin", LABEL).0);
    dut.line("exit");
    assert!(dut.login("admin", "wrong").1.contains("Login incorrect"), "the count begins anew");
}

#[rstest]
#[case("admin", "admin")]
#[case("root", "")]
#[case("support", "support")]
#[case("root", "root")]
#[case("admin", "")]
fn well_known_pairs_do_not_log_in(#[case] user: &str, #[case] secret: &str) {
    let mut dut = Dut::on(&[]);
    assert!(!dut.login(user, secret).0);
}

#[test]
fn exit_ends_the_session_and_a_secret_is_not_echoed() {
    let mut dut = Dut::on(&[]);
    dut.session();
    assert!(dut.line("exit").contains("login: "));
    assert!(!dut.log.contains(LABEL));
    assert!(dut.line("state").contains("password: "), "a command at the login is a user name");
}

#[test]
fn a_full_note_store_refuses_and_keeps_what_it_has() {
    let mut dut = Dut::on(&[]);
    dut.session();
    let text = "n".repeat(60);
    let stored = (0..200).take_while(|i| dut.line(&format!("data add {i:03}{text}")).contains("\r\nOK\r\n")).count();
    assert!(stored >= 40, "{stored}");
    dut.power_cycle();
    dut.session();
    let list = dut.line("data list");
    assert!((0..stored).all(|i| list.contains(&format!("data[{i}]={i:03}{text}\r\n"))));
    assert!(dut.line("data add one more note of some length that does not fit any more......").contains("ERR full"));
}

#[test]
fn two_units_differ_in_label_and_two_runs_do_not_differ_at_all() {
    let run = || {
        let mut dut = Dut::on(&[]);
        dut.session();
        dut.token();
        dut.ok("set wifi-key abcdefgh");
        (dut.log.clone(), dut.world.flash().digest())
    };
    assert_eq!(run(), run());
}
