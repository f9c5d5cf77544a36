//! A reset line that is DTR or RTS of the console's own port.
//!
//! Opening a serial port makes the operating system assert both lines for a moment before the wanted level is set: a device whose reset hangs on one
//! of them may restart whenever its console is opened. Nothing this side of the kernel can prevent that.
//!
//! Run against: pyserial's RFC 2217 server (3.5), the board process. Not run against a USB adapter, which has the lines that pseudo terminals lack.

use super::ControlLine;
use super::capture::{Capture, Order};
use super::{LineAddress, LineSetup};
use crate::RealClock;
use proofbench_channel::{Cancel, ChannelError, Clock, ErrorKind, Reset, Wait};
use std::sync::Arc;
use std::time::Duration;

/// How long letting go of the line may take.
const RELEASE: Duration = Duration::from_secs(10);

/// The control lines of a console's port. They work as long as the console is open.
#[derive(Clone)]
pub struct ControlLines {
    capture: Arc<Capture>,
    setup: LineSetup,
}

impl ControlLines {
    pub(super) fn new(capture: Arc<Capture>, setup: LineSetup) -> Self {
        Self { capture, setup }
    }

    /// A reset line. `held_by`: the level that holds the device in reset, `true` is asserted. The line is brought to the other level now, and whenever
    /// the port is opened from now on. `Unsupported` on a wire that has no control lines.
    pub fn reset(&self, line: ControlLine, held_by: bool) -> Result<Box<dyn Reset>, ChannelError> {
        if let LineAddress::Tcp(_) | LineAddress::Door(_) = self.setup.address {
            let doing = format!("reset the device by {line} of {}: a socket carries bytes only", self.setup.address);
            return Err(ChannelError::new(ErrorKind::Unsupported, doing));
        }
        let before = self.capture.levels();
        let reset = SerialReset { lines: self.clone(), line, held_by };
        self.capture.want(line, Some(!held_by));
        if self.capture.is_attached() {
            match reset.release() {
                // A port that is away is brought to the level when it is back.
                Err(e) if !matches!(e.kind, ErrorKind::Disconnected | ErrorKind::Timeout) => {
                    self.capture.want(line, before.of(line));
                    return Err(e);
                }
                _ => {}
            }
        }
        Ok(Box::new(reset))
    }
}

/// The reset line.
struct SerialReset {
    lines: ControlLines,
    line: ControlLine,
    held_by: bool,
}

impl SerialReset {
    fn drive(&self, held: bool, wait: &Wait) -> Result<(), ChannelError> {
        let level = held == self.held_by;
        let word = if level { "assert" } else { "clear" };
        let doing = format!("{word} {} of {}", self.line, self.lines.setup.address);
        self.lines.capture.order(self.lines.setup.time, Order::Line(self.line, level), &doing, wait)
    }

    /// Lets go whatever happens; that takes no longer than a moment, and if the port is gone it happens when the port is back.
    fn release(&self) -> Result<(), ChannelError> {
        self.lines.capture.want(self.line, Some(!self.held_by));
        let time = self.lines.setup.time;
        self.drive(false, &Wait::until(time.now() + RELEASE, &Cancel::new()))
    }
}

impl Reset for SerialReset {
    fn pulse(&mut self, hold: Duration, wait: &Wait) -> Result<(), ChannelError> {
        self.set(true, wait)?;
        let time = self.lines.setup.time;
        let held = RealClock(time).sleep_until(&Wait::until(time.now() + hold, &wait.cancel));
        self.release()?;
        held
    }

    /// If holding fails half-way, the line is let go again. Releasing succeeds on a port that is away, as it is whenever its board has no power: nothing is
    /// driven then, and the line is let go as the first thing when the port is back.
    fn set(&mut self, asserted: bool, wait: &Wait) -> Result<(), ChannelError> {
        wait.check(self.lines.setup.time.now(), "drive the reset line")?;
        if !asserted {
            self.lines.capture.want(self.line, Some(!self.held_by));
            if !self.lines.capture.is_attached() {
                return Ok(());
            }
            return match self.drive(false, wait) {
                Err(e) if e.kind == ErrorKind::Disconnected && !self.lines.capture.is_attached() => Ok(()),
                done => done,
            };
        }
        self.drive(true, wait).inspect_err(|e| {
            if e.kind != ErrorKind::Unsupported {
                // The first error is the one to tell.
                let _ = self.release();
            }
        })
    }

    fn describe(&self) -> String {
        let level = if self.held_by { "asserted" } else { "cleared" };
        format!("{} of {}, {level} holds the device in reset", self.line, self.lines.setup.address)
    }
}
