//! Images sent to a boot loader over a serial line, by XMODEM (checksum, CRC, 1K) or YMODEM.
//!
//! An own sender: crates `xmodem` 0.4 and `ymodem` 0.1 do not hear a receiver that cancels while they send, do not cancel when they give up (their sources
//! say so), and cannot be stopped between two bytes. The protocol is two hundred lines.
//!
//! A transfer begins with the way into the loader (`enter`: lines to send, patterns to wait for), and ends with the loader's own verdict where it prints
//! one. What becomes of it:
//!
//! | what the device does | answer |
//! | --- | --- |
//! | acknowledges every block and the end, and prints what `success` describes (if that is given) | accepted |
//! | cancels (two CAN), or prints what `failure` describes after a transfer | refused, in its words |
//! | does not come into its loader, does not ask for the first block, falls silent for 60 s, prints neither verdict | silent |
//! | asks for the same block ten times | an error of the bench: that is said of the line, not of the image |
//!
//! XMODEM tells no length: the image arrives with up to 127 bytes of 0x1a behind it, so a loader that checks a whole file should be given YMODEM.
//! A cancel tells the receiver (eight CAN); at a deadline nothing is said, and the transfer stands where it was cut off.
//!
//! Such a loader can be asked nothing else: state, marks, erase and restart are `Unsupported`.
//!
//! Run against: Debian's lrzsz 0.12.21 (`rx`, `rb`) over a pseudo terminal, receivers made by the tests. Not run against a boot loader of a real device.

mod dialogue;
mod line;
mod sender;

pub use dialogue::{Step, Verdict};

use super::{Remarks, cannot, end_of, whole};
use crate::TimeBase;
use dialogue::Judged;
use line::Line;
use proofbench_channel::{Answer, ChannelError, Chunk, Console, ImageState, Intake, Moment, SmpReply, SmpRequest, UpdatePath, Wait};
use sender::{Figures, Stop};
use std::time::Duration;

/// Time beside that of the bytes on the line: for the loader to start, to erase, to check.
const MARGIN: Duration = Duration::from_secs(90);
/// Time that a loader may take to write a KiB.
const WRITE_KIB: Duration = Duration::from_millis(100);

/// Which protocol, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// XMODEM; checksum or CRC as the receiver asks.
    Xmodem {
        /// Blocks of 1024 bytes, those of a short rest excepted.
        long: bool,
    },
    /// YMODEM, one file.
    Ymodem {
        /// Its name.
        name: String,
        /// Blocks of 1024 bytes, those of a short rest excepted.
        long: bool,
    },
}

impl Protocol {
    fn name(&self) -> &'static str {
        match self {
            Protocol::Xmodem { long: false } => "XMODEM",
            Protocol::Xmodem { long: true } => "XMODEM-1K",
            Protocol::Ymodem { .. } => "YMODEM",
        }
    }
}

/// A boot loader on a line.
#[derive(Debug, Clone)]
pub struct ModemSetup {
    /// What it speaks.
    pub protocol: Protocol,
    /// The way into it.
    pub enter: Vec<Step>,
    /// What it prints afterwards.
    pub verdict: Verdict,
    /// Bits a second on the line, to know how long an image takes.
    pub baud: u32,
    /// The rig's time line.
    pub time: TimeBase,
}

/// An update path to a boot loader behind this line. Nothing is sent before the first image.
pub fn open(line: Box<dyn Console>, setup: ModemSetup) -> Box<dyn UpdatePath> {
    let remarks = Remarks::new(setup.time);
    Box::new(Modem { line, setup, remarks })
}

struct Modem {
    line: Box<dyn Console>,
    setup: ModemSetup,
    remarks: Remarks,
}

impl UpdatePath for Modem {
    fn state(&mut self, _: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError> {
        cannot("list images", self.setup.protocol.name())
    }

    fn chunk(&mut self, chunk: &Chunk<'_>, wait: &Wait) -> Result<Answer<u32>, ChannelError> {
        let image = whole(chunk, self.setup.protocol.name())?;
        wait.check(self.setup.time.now(), "send an image")?;
        let setup = &self.setup;
        let mut line = Line::new(&mut *self.line, setup.time, wait);
        if let Some(missed) = dialogue::enter(&mut line, &setup.enter)? {
            self.remarks.add(missed);
            return Ok(Answer::Silent);
        }
        let mut figures = Figures::default();
        let sent = sender::send(&mut line, &setup.protocol, image, &mut figures);
        self.remarks.add(format!("{} blocks taken, {} asked for again", figures.blocks, figures.repeats));
        let judged = match sent {
            Ok(()) => dialogue::judged(&mut line, &setup.verdict)?,
            Err(Stop::Refused(words)) => Judged::Refused(words),
            Err(Stop::Silent(missed)) => {
                self.remarks.add(missed);
                return Ok(Answer::Silent);
            }
            Err(Stop::Failed(e)) => return Err(e),
        };
        Ok(match judged {
            Judged::Taken => Answer::Accepted(end_of(image)),
            Judged::Refused(words) => Answer::Refused(words),
            Judged::Unsaid(words) => {
                self.remarks.add(format!("the transfer was acknowledged; the loader's verdict was not seen{words}"));
                Answer::Silent
            }
        })
    }

    fn intake(&self) -> Intake {
        Intake::Whole
    }

    fn longest(&self, bytes: usize) -> Duration {
        let setup = &self.setup;
        // Ten bits a byte, and half as much again for frames and pauses.
        let line = Duration::from_secs_f64(bytes as f64 * 15.0 / f64::from(setup.baud.max(50)));
        let written = WRITE_KIB.saturating_mul(u32::try_from(bytes / 1024).unwrap_or(u32::MAX));
        let enter: Duration = setup.enter.iter().map(|s| s.within).sum();
        line + written + enter + setup.verdict.within + MARGIN
    }

    fn mark(&mut self, _: Option<&[u8]>, _: bool, _: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError> {
        cannot("mark an image", self.setup.protocol.name())
    }

    fn erase(&mut self, _: &Wait) -> Result<Answer<()>, ChannelError> {
        cannot("erase a slot", self.setup.protocol.name())
    }

    fn restart(&mut self, _: &Wait) -> Result<Answer<()>, ChannelError> {
        cannot("restart the device", self.setup.protocol.name())
    }

    fn smp(&mut self, _: &SmpRequest, _: &Wait) -> Result<Answer<SmpReply>, ChannelError> {
        cannot("send an SMP request", self.setup.protocol.name())
    }

    fn remarks(&mut self) -> Vec<(Moment, String)> {
        self.remarks.take()
    }

    fn describe(&self) -> String {
        format!("{} over {}", self.setup.protocol.name(), self.line.describe())
    }
}

#[cfg(test)]
mod tests;
