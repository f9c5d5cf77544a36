//! Reset lines.

use crate::bench::{Bench, whole};
use crate::common::FileConsole;
use proofbench_channel::{ChannelError, ErrorKind, Reset, conformance};
use proofbench_drivers::RealClock;
use proofbench_drivers::reset::scpi::{ScpiSetup, open};

fn line(bench: &Bench, assert: &str, release: &str) -> Result<Box<dyn Reset>, ChannelError> {
    let setup = ScpiSetup { address: bench.setup.address.clone(), assert: assert.to_owned(), release: release.to_owned(), time: bench.time };
    open(setup)
}

#[test]
fn two_commands_behave_as_a_reset_line() {
    let Some(bench) = Bench::start(&[]) else { return };
    let mut reset = line(&bench, "ROUT:CLOS (@101)", "ROUT:OPEN (@101)").unwrap();
    let mut console = FileConsole::new(bench.file("console"), bench.time);
    conformance::reset(&mut *reset, &mut console, &mut RealClock(bench.time), b"hello").unwrap();
    assert_eq!(std::fs::read_to_string(bench.file("line")).unwrap(), "released");
}

#[test]
fn a_command_that_the_instrument_does_not_know_is_refused_in_its_words() {
    let Some(bench) = Bench::start(&[]) else { return };
    let error = line(&bench, "DIG:OUT ON", "DIG:OUT OFF").unwrap().set(true, &bench.wait()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(whole(&error).contains("Undefined header") && whole(&error).contains("DIG:OUT ON"), "{}", whole(&error));
}

#[test]
fn what_is_no_single_command_is_told_before_anything_is_sent() {
    let bench = Bench::nowhere();
    for (assert, release, key) in [("", "A", "assert"), ("A", "B?", "release"), ("A\n*RST", "B", "assert")] {
        assert!(line(&bench, assert, release).err().unwrap().to_string().contains(key));
    }
}
