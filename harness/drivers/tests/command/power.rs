//! Supplies.

use crate::{LONG, ends, long, sh, whole};
use proofbench_channel::{ErrorKind, Milliamps, Millivolts, Power, PowerAsk, PowerSeen, conformance};
use proofbench_drivers::child::Program;
use proofbench_drivers::power::Supply;
use proofbench_drivers::power::command::{CommandSetup, open};
use proofbench_drivers::{RealClock, TimeBase};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const OFF_MIN: Duration = Duration::from_millis(10);

struct Bench {
    time: TimeBase,
    dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { time: TimeBase::real(), dir: TempDir::new().unwrap() }
    }

    fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn programs(&self, on: Program, off: Program, state: Option<Program>) -> Box<dyn Power> {
        open(CommandSetup { on, off, state, supply: Supply { time: self.time, off_min: OFF_MIN } }).unwrap()
    }

    /// A switch that is a file, with this program to read it back.
    fn switch(&self, state: &str) -> Box<dyn Power> {
        std::fs::write(self.dir().join("switch"), "off").unwrap();
        self.programs(self.sh("printf on > switch"), self.sh("printf off > switch"), Some(self.sh(state)))
    }

    fn sh(&self, script: &str) -> Program {
        sh(self.dir(), script)
    }
}

#[test]
fn a_switch_that_says_a_word_behaves_as_a_supply() {
    let bench = Bench::new();
    conformance::power(&mut *bench.switch("cat switch"), &mut RealClock(bench.time)).unwrap();
}

#[test]
fn a_switch_with_meters_behaves_as_a_supply() {
    let bench = Bench::new();
    let state = r#"case $(cat switch) in
        on) echo '{"on": true, "millivolts": 5010, "milliamps": 120}';;
        *) echo '{"on": false, "millivolts": 3, "milliamps": 0}';;
    esac"#;
    let mut power = bench.switch(state);
    conformance::power(&mut *power, &mut RealClock(bench.time)).unwrap();
    power.set(PowerAsk::On, &long(bench.time)).unwrap();
    assert_eq!(power.rail(&long(bench.time)).unwrap(), Some(Millivolts(5010)));
    assert_eq!(power.current(&long(bench.time)).unwrap(), Some(Milliamps(120)));
}

#[test]
fn a_switch_that_is_not_read_back_is_unknown() {
    let bench = Bench::new();
    let mut power = bench.programs(bench.sh("true"), bench.sh("true"), None);
    conformance::power(&mut *power, &mut RealClock(bench.time)).unwrap();
    assert_eq!(power.state(&long(bench.time)).unwrap(), PowerSeen::Unknown);
}

#[test]
fn what_the_state_program_may_print_is_strict() {
    let bench = Bench::new();
    for (printed, seen) in [
        ("unknown\n", PowerSeen::Unknown),
        (r#"{"on": null}"#, PowerSeen::Unknown),
        (r#"{"on": true, "tripped": "over-current"}"#, PowerSeen::Tripped("over-current".to_owned())),
    ] {
        let mut power = bench.switch(&format!("cat <<'E'\n{printed}\nE"));
        assert_eq!(power.state(&long(bench.time)).unwrap(), seen, "{printed}");
    }
    for printed in
        ["", "ON", "on off", "1", "true", r#"{"on": 1}"#, r#"{"millivolts": 5000}"#, r#"{"on": true, "millivolt": 5000}"#, r#"{"on": true"#]
    {
        let mut power = bench.switch(&format!("cat <<'E'\n{printed}\nE"));
        let error = power.state(&long(bench.time)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Protocol, "{printed}");
        assert!(whole(&error).contains("valid: on, off, unknown"), "{}", whole(&error));
    }
}

#[test]
fn a_program_that_fails_is_an_error_with_its_complaint() {
    let bench = Bench::new();
    let mut power = bench.programs(bench.sh("echo 'no such relay' >&2; exit 4"), bench.sh("exit 5"), None);
    let error = power.set(PowerAsk::On, &long(bench.time)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Driver);
    assert!(whole(&error).contains("no such relay") && whole(&error).contains('4'), "{}", whole(&error));
    assert!(whole(&power.set(PowerAsk::Off, &long(bench.time)).unwrap_err()).contains("without a complaint"));
}

#[test]
fn a_program_that_hangs_is_killed_with_what_it_started() {
    let bench = Bench::new();
    let mut hangs = bench.sh("sleep 1000 & echo $! > pid.new; mv pid.new pid; wait");
    hangs.deadline = Duration::from_secs(1);
    let mut power = bench.programs(hangs, bench.sh("true"), None);
    assert_eq!(power.set(PowerAsk::On, &long(bench.time)).unwrap_err().kind, ErrorKind::Timeout);
    // On a busy machine the deadline may come before the first word of the script.
    if bench.dir().join("pid").exists() {
        ends(bench.dir());
    }
}

#[test]
fn a_cancel_ends_a_program_that_runs() {
    let bench = Bench::new();
    let mut power = bench.programs(bench.sh("sleep 1000 & echo $! > pid.new; mv pid.new pid; wait"), bench.sh("true"), None);
    let wait = long(bench.time);
    let canceller = std::thread::spawn({
        let (cancel, pid) = (wait.cancel.clone(), bench.dir().join("pid"));
        move || {
            while !pid.exists() {
                std::thread::yield_now();
            }
            cancel.cancel();
        }
    });
    assert_eq!(power.set(PowerAsk::On, &wait).unwrap_err().kind, ErrorKind::Cancelled);
    canceller.join().unwrap();
    ends(bench.dir());
}

#[test]
fn a_flood_and_a_missing_program_are_short_errors() {
    let bench = Bench::new();
    let error = bench.switch("head -c 3000000 /dev/zero").state(&long(bench.time)).unwrap_err();
    assert!(error.kind == ErrorKind::Protocol && whole(&error).len() < 2_000, "{}", whole(&error).len());
    let missing = Program { argv: vec!["/nowhere/relay".to_owned()], dir: None, deadline: LONG };
    let error = bench.programs(missing, bench.sh("true"), None).set(PowerAsk::On, &long(bench.time)).unwrap_err();
    assert!(whole(&error).contains("/nowhere/relay"), "{}", whole(&error));
}

#[test]
fn a_switch_that_takes_the_command_and_stays_on_is_refused() {
    let bench = Bench::new();
    let mut power = bench.programs(bench.sh("true"), bench.sh("true"), Some(bench.sh("echo on")));
    let error = power.set(PowerAsk::Off, &long(bench.time)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(whole(&error).contains("still reports on"), "{}", whole(&error));
}

#[test]
fn no_argument_is_shown_in_the_description_and_no_empty_vector_is_taken() {
    let bench = Bench::new();
    let power = bench.programs(bench.sh("secret"), bench.sh("secret"), Some(bench.sh("secret")));
    assert!(!power.describe().contains("secret"), "{}", power.describe());
    let mut off = bench.sh("true");
    off.argv.clear();
    let setup = CommandSetup { on: bench.sh("true"), off, state: None, supply: Supply { time: bench.time, off_min: OFF_MIN } };
    assert!(open(setup).err().unwrap().to_string().contains("`off`"));
}
