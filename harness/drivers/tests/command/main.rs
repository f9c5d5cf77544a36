//! Supplies, reset lines and flash readers worked by the user's programs: the behaviour suites, and programs that fail.
#![allow(clippy::unwrap_used)] // the lint knows test functions, not their helpers

#[path = "../common/mod.rs"]
mod common;
mod power;
mod reset;
mod storage;

use proofbench_channel::{Cancel, ChannelError, Wait};
use proofbench_drivers::TimeBase;
use proofbench_drivers::child::Program;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::path::Path;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

/// A shell script as a user's program, run in `dir`.
fn sh(dir: &Path, script: &str) -> Program {
    Program { argv: ["sh", "-c", script].map(str::to_owned).to_vec(), dir: Some(dir.to_path_buf()), deadline: LONG }
}

fn long(time: TimeBase) -> Wait {
    Wait::until(time.now() + LONG, &Cancel::new())
}

/// The error with all that lies beneath.
fn whole(error: &ChannelError) -> String {
    let mut text = error.to_string();
    if let Some(cause) = &error.source {
        text = format!("{text}: {cause}");
    }
    text
}

/// Waits for the end of the process whose number is in the file `pid`.
fn ends(dir: &Path) {
    let number = std::fs::read_to_string(dir.join("pid")).expect("the program was started");
    let pid = Pid::from_raw(number.trim().parse().expect("a number")).expect("a process");
    // A process that is not there has ended.
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    let patience = Timespec { tv_sec: 60, tv_nsec: 0 };
    let ended = poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&patience)).expect("waiting works");
    assert_eq!(ended, 1, "process {number} lives on");
}
