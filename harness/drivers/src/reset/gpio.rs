//! A reset line driven by a GPIO line: active is asserted. For nRST wired straight to the chip that is active low.
//!
//! Opening drives nothing. An active-low line is an open drain: released means let go, so that a debug probe and a button may pull the same nRST. An
//! active-high one works a transistor and is driven both ways. What becomes of the line when the channel is dropped stands in `gpio.rs`: do not rely
//! on it.
//!
//! Run against: no GPIO chip; only what happens where there is none is tested. Not run against a reset line.

use crate::TimeBase;
use crate::gpio::{Drive, GpioLine, Held};
use proofbench_channel::{ChannelError, Reset, Wait};
use std::time::Duration;

/// A reset line behind this line, which is held from now on.
pub fn open(line: &GpioLine, time: TimeBase) -> Result<Box<dyn Reset>, ChannelError> {
    let drive = if line.active_low { Drive::OpenDrain } else { Drive::PushPull };
    Ok(Box::new(GpioReset { held: Held::take(line, drive)?, time }))
}

struct GpioReset {
    held: Held,
    time: TimeBase,
}

impl Reset for GpioReset {
    fn pulse(&mut self, hold: Duration, wait: &Wait) -> Result<(), ChannelError> {
        super::pulse(self.time, hold, wait, |asserted, wait| self.set(asserted, wait))
    }

    fn set(&mut self, asserted: bool, wait: &Wait) -> Result<(), ChannelError> {
        let doing = format!("{} reset by {}", if asserted { "assert" } else { "release" }, self.held.line().describe());
        wait.check(self.time.now(), &doing)?;
        self.held.set(asserted, &doing)
    }

    fn describe(&self) -> String {
        format!("reset line on {}", self.held.line().describe())
    }
}
