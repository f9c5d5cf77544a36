//! A reset line worked by the user's own programs: one asserts it, one releases it.
//!
//! A program that fails is an error with its complaint; one that hangs is killed at its deadline with all that it started. Releasing a line runs the
//! program even if nobody asserted it before.
//!
//! Run against: programs made by the tests, among them ones that reset the board process. Not run against a relay or a reset line.

use crate::TimeBase;
use crate::child::Program;
use proofbench_channel::{ChannelError, Reset, Wait};
use std::time::Duration;

/// The programs.
#[derive(Debug, Clone)]
pub struct CommandSetup {
    /// Run to hold the device in reset.
    pub assert: Program,
    /// Run to let it go.
    pub release: Program,
    /// The rig's time line.
    pub time: TimeBase,
}

/// A reset line behind these programs. Nothing is run here; an empty argument vector is an error.
pub fn open(setup: CommandSetup) -> Result<Box<dyn Reset>, ChannelError> {
    setup.assert.named("assert")?;
    setup.release.named("release")?;
    Ok(Box::new(CommandReset(setup)))
}

struct CommandReset(CommandSetup);

impl Reset for CommandReset {
    fn pulse(&mut self, hold: Duration, wait: &Wait) -> Result<(), ChannelError> {
        super::pulse(self.0.time, hold, wait, |asserted, wait| self.set(asserted, wait))
    }

    fn set(&mut self, asserted: bool, wait: &Wait) -> Result<(), ChannelError> {
        let program = if asserted { &self.0.assert } else { &self.0.release };
        program.done(&[], self.0.time, wait).map(drop)
    }

    fn describe(&self) -> String {
        format!("reset line by command: assert `{}`, release `{}`", self.0.assert.name(), self.0.release.name())
    }
}
