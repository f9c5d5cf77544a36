//! Reset lines.

use crate::common::FileConsole;
use crate::{long, sh, whole};
use proofbench_channel::conformance;
use proofbench_drivers::reset::command::{CommandSetup, open};
use proofbench_drivers::{RealClock, TimeBase};
use std::time::Duration;
use tempfile::TempDir;

#[test]
fn two_programs_behave_as_a_reset_line() {
    let (time, dir) = (TimeBase::real(), TempDir::new().unwrap());
    let path = dir.path().join("console");
    std::fs::write(&path, "").unwrap();
    let (assert, release) = (sh(dir.path(), "touch held"), sh(dir.path(), "test -e held && rm held && echo hello >> console"));
    let mut reset = open(CommandSetup { assert, release, time }).unwrap();
    let mut console = FileConsole::new(path, time);
    conformance::reset(&mut *reset, &mut console, &mut RealClock(time), b"hello").unwrap();
}

#[test]
fn a_line_that_cannot_be_asserted_is_released_and_the_first_complaint_counts() {
    let (time, dir) = (TimeBase::real(), TempDir::new().unwrap());
    let assert = sh(dir.path(), "echo stuck >&2; exit 1");
    let release = sh(dir.path(), "touch released; exit 1");
    let error = open(CommandSetup { assert, release, time }).unwrap().pulse(Duration::from_millis(1), &long(time)).unwrap_err();
    assert!(whole(&error).contains("stuck"), "{}", whole(&error));
    assert!(dir.path().join("released").exists());
}
