//! Behaviour suites, generic over each trait: what every driver must do, whatever it drives.
//!
//! A driver's tests hand over an open channel of a device that is in the state the suite asks for. A suite returns the first rule that the
//! driver breaks. Suites wait only through the channels and the clock that they are given, so they run in virtual time as in real time.

mod console;
mod network;
mod parts;
mod storage;
mod supply;
mod update;

pub use console::{console, console_without_device};
pub use network::{NetworkDevice, network};
pub use parts::{clock, debug_port, fixture};
pub use storage::{crash_space, storage, storage_refuses};
pub use supply::{power, reset};
pub use update::{update, update_without_device};

use crate::{Cancel, ChannelError, Clock, ErrorKind, Wait};
use std::fmt::Debug;
use std::time::Duration;

/// A rule that a driver breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("broken: {rule}; saw {saw}")]
pub struct Broken {
    /// The rule, as a sentence.
    pub rule: &'static str,
    /// What happened instead.
    pub saw: String,
}

/// What a suite returns.
pub type Outcome = Result<(), Broken>;

fn rule(holds: bool, rule: &'static str, saw: impl Debug) -> Outcome {
    if holds { Ok(()) } else { Err(Broken { rule, saw: format!("{saw:?}") }) }
}

/// The value of a call that has no reason to fail.
fn works<T>(result: Result<T, ChannelError>, rule: &'static str) -> Result<T, Broken> {
    result.map_err(|e| Broken { rule, saw: chain(&e) })
}

/// The call was cancelled and says so.
fn cancelled<T: Debug>(result: Result<T, ChannelError>) -> Outcome {
    fails_with(result, ErrorKind::Cancelled, "a cancelled wait is an error of kind Cancelled")
}

fn fails_with<T: Debug>(result: Result<T, ChannelError>, kind: ErrorKind, sentence: &'static str) -> Outcome {
    match result {
        Err(e) if e.kind == kind => Ok(()),
        other => rule(false, sentence, other.map_err(|e| chain(&e))),
    }
}

fn chain(error: &ChannelError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(e) = cause {
        text = format!("{text}: {e}");
        cause = e.source();
    }
    text
}

fn within(clock: &dyn Clock, time: Duration) -> Wait {
    Wait::until(clock.now() + time, &Cancel::new())
}

/// A wait that somebody has cancelled already, with plenty of time left.
fn given_up(clock: &dyn Clock) -> Wait {
    let wait = within(clock, Duration::from_secs(60));
    wait.cancel.cancel();
    wait
}
