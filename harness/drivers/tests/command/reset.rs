//! Reset lines.

use crate::{long, sh, whole};
use proofbench_channel::{ChannelError, Console, ConsoleRead, ErrorKind, Wait, conformance};
use proofbench_drivers::reset::command::{CommandSetup, open};
use proofbench_drivers::{RealClock, TimeBase};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// The console of a device that is a file: what programs append to it, it says.
struct FileConsole {
    path: PathBuf,
    at: usize,
    time: TimeBase,
}

impl Console for FileConsole {
    fn read(&mut self, into: &mut Vec<u8>, wait: &Wait) -> Result<ConsoleRead, ChannelError> {
        loop {
            let all = std::fs::read(&self.path).unwrap();
            if all.len() > self.at {
                into.extend_from_slice(&all[self.at..]);
                self.at = all.len();
                return Ok(ConsoleRead::Bytes(self.time.now()));
            }
            match wait.check(self.time.now(), "read") {
                Ok(()) => std::thread::yield_now(),
                Err(e) if e.kind == ErrorKind::Timeout => return Ok(ConsoleRead::Silence),
                Err(e) => return Err(e),
            }
        }
    }
    fn write(&mut self, _: &[u8], _: &Wait) -> Result<(), ChannelError> {
        Ok(())
    }
    fn send_break(&mut self, _: &Wait) -> Result<(), ChannelError> {
        Ok(())
    }
    fn describe(&self) -> String {
        "file".to_owned()
    }
}

#[test]
fn two_programs_behave_as_a_reset_line() {
    let (time, dir) = (TimeBase::real(), TempDir::new().unwrap());
    let path = dir.path().join("console");
    std::fs::write(&path, "").unwrap();
    let (assert, release) = (sh(dir.path(), "touch held"), sh(dir.path(), "test -e held && rm held && echo hello >> console"));
    let mut reset = open(CommandSetup { assert, release, time }).unwrap();
    let mut console = FileConsole { path, at: 0, time };
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
