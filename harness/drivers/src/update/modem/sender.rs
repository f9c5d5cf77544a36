//! The sending side of XMODEM (checksum, CRC, 1K) and YMODEM.
//!
//! The receiver drives: it asks for the first block, answers each one, and asks again for what came broken. So nothing is repeated here unless it was
//! asked for, and an answer never belongs to another block than the last one that was sent.

use super::Protocol;
use super::line::Line;
use crc::{CRC_16_XMODEM, Crc};
use proofbench_channel::{ChannelError, ErrorKind};
use std::time::Duration;

const SOH: u8 = 0x01;
const STX: u8 = 0x02;
const EOT: u8 = 0x04;
const ACK: u8 = 0x06;
const NAK: u8 = 0x15;
const CAN: u8 = 0x18;
const WITH_CRC: u8 = b'C';
/// What fills the last block.
const PAD: u8 = 0x1a;

/// How often a block is sent at most.
const TRIES: u32 = 10;
/// A receiver that says nothing to a block for so long is dead: its own patience is a sixth of that.
const QUIET: Duration = Duration::from_secs(60);
/// A request for the first block is one if nothing follows it for so long: loaders print text around it.
const PAUSE: Duration = Duration::from_millis(60);
/// Receivers throw away what has come when they have answered (lrzsz does so right behind its ACK): the next packet lets them.
const TURNAROUND: Duration = Duration::from_millis(2);
/// How long a receiver may take from the header to its request for the data, and from the end of the file to that for the next one.
const NEXT_PART: Duration = Duration::from_secs(5);

const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);

/// Why a transfer did not come to its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// The receiver cancelled it.
    Refused(String),
    /// The receiver fell silent; what was waited for.
    Silent(String),
    /// The bench, or a receiver that makes no sense.
    Failed(ChannelError),
}

impl From<ChannelError> for Stop {
    fn from(e: ChannelError) -> Self {
        Stop::Failed(e)
    }
}

/// How a receiver wants its blocks checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    Sum,
    Crc,
}

/// Figures of a transfer, for the journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Figures {
    /// Blocks that were taken.
    pub blocks: u32,
    /// Blocks that were asked for again.
    pub repeats: u32,
}

/// Sends an image. The receiver has acknowledged all of it when this is `Ok`.
pub(super) fn send(line: &mut Line<'_>, protocol: &Protocol, image: &[u8], figures: &mut Figures) -> Result<(), Stop> {
    let sent = Sender { line, figures, check: Check::Crc }.run(protocol, image);
    if let Err(Stop::Failed(e)) = &sent
        && e.kind != ErrorKind::Timeout
        && !line.wait.cancel.at_once()
    {
        // The receiver need not wait for a sender that has gone. At a deadline nothing is said: the transfer stands where it was cut off.
        line.farewell(&[CAN; 8]);
    }
    sent
}

struct Sender<'a, 'b> {
    line: &'a mut Line<'b>,
    figures: &'a mut Figures,
    check: Check,
}

impl Sender<'_, '_> {
    fn run(&mut self, protocol: &Protocol, image: &[u8]) -> Result<(), Stop> {
        self.check = self.asked("the first block", None)?.unwrap_or(Check::Crc);
        let long = match protocol {
            Protocol::Xmodem { long } => *long,
            Protocol::Ymodem { name, long } => {
                self.block(0, &header(name, image.len()))?;
                // Some receivers go straight on.
                if let Some(check) = self.asked("the data", Some(NEXT_PART))? {
                    self.check = check;
                }
                *long
            }
        };
        let mut number = 1u8;
        let mut rest = image;
        while !rest.is_empty() {
            // A short rest goes in a short block: not more than 127 bytes are made up.
            let size = if long && rest.len() > 128 { 1024 } else { 128 };
            let (part, after) = rest.split_at(rest.len().min(size));
            let mut block = part.to_vec();
            block.resize(size, PAD);
            self.block(number, &block)?;
            number = number.wrapping_add(1);
            rest = after;
        }
        self.answered("the end of the file", &[EOT])?;
        if matches!(protocol, Protocol::Ymodem { .. })
            // The file is acknowledged: what a receiver that asks for no further one does is its own affair.
            && let Some(check) = self.asked("the next file", Some(NEXT_PART))?
        {
            self.check = check;
            self.block(0, &[0; 128])?;
        }
        Ok(())
    }

    /// Waits until the receiver asks for a block. Nothing if it did not within `time`; without one, silence is the end.
    fn asked(&mut self, what: &str, time: Option<Duration>) -> Result<Option<Check>, Stop> {
        let end = time.map_or(self.line.wait.until, |t| self.line.within(t));
        let (mut asked, mut cancels) = (None, 0);
        loop {
            let until = if asked.is_some() { self.line.within(PAUSE) } else { end };
            let Some(byte) = self.line.byte(until)? else {
                return match (asked, time) {
                    (Some(check), _) => {
                        // It was a question, no word.
                        self.line.unword(WITH_CRC);
                        Ok(Some(check))
                    }
                    (None, Some(_)) if self.line.time.now() < self.line.wait.until => Ok(None),
                    _ => Err(Stop::Silent(format!("the receiver did not ask for {what}{}", self.line.last_words()))),
                };
            };
            cancels = if byte == CAN { cancels + 1 } else { 0 };
            asked = match byte {
                WITH_CRC => Some(Check::Crc),
                NAK => Some(Check::Sum),
                _ => None,
            };
            if cancels == 2 {
                return Err(self.cancelled(&format!("before {what}")));
            }
            if byte != CAN && byte != NAK && byte != ACK {
                self.line.word(byte);
            }
        }
    }

    fn block(&mut self, number: u8, data: &[u8]) -> Result<(), Stop> {
        let mut packet = Vec::with_capacity(data.len() + 5);
        packet.extend([if data.len() == 1024 { STX } else { SOH }, number, !number]);
        packet.extend(data);
        match self.check {
            Check::Sum => packet.push(data.iter().fold(0u8, |sum, b| sum.wrapping_add(*b))),
            Check::Crc => packet.extend(CRC.checksum(data).to_be_bytes()),
        }
        let what = format!("block {}", self.figures.blocks);
        self.answered(&what, &packet)?;
        self.figures.blocks += 1;
        Ok(())
    }

    /// Sends this until it is acknowledged.
    fn answered(&mut self, what: &str, packet: &[u8]) -> Result<(), Stop> {
        // Requests for the first block that came while it was on its way are no answer to it; a cancel is one.
        let mut cancels = 0;
        while let Some(byte) = self.line.pending()? {
            cancels = if byte == CAN { cancels + 1 } else { 0 };
            if cancels == 2 {
                return Err(self.cancelled(&format!("before {what}")));
            }
            self.other(byte);
        }
        for _ in 0..TRIES {
            std::thread::sleep(TURNAROUND);
            if !self.line.put(packet)? {
                return Err(Stop::Silent(format!("{what} could not be sent")));
            }
            if self.acknowledged(what)? {
                return Ok(());
            }
            self.figures.repeats += 1;
        }
        // A receiver that finds every block broken speaks of the line, not of the image.
        let why = format!("the receiver did not take {what} at {TRIES} tries{}", self.line.last_words());
        Err(Stop::Failed(ChannelError::caused(ErrorKind::Protocol, format!("send {what}"), why)))
    }

    /// Whether the receiver took what was sent (true) or wants it again.
    fn acknowledged(&mut self, what: &str) -> Result<bool, Stop> {
        let until = self.line.within(QUIET);
        let mut cancels = 0;
        loop {
            let Some(byte) = self.line.byte(until)? else {
                return Err(Stop::Silent(format!("no answer to {what}{}", self.line.last_words())));
            };
            cancels = if byte == CAN { cancels + 1 } else { 0 };
            match byte {
                ACK => return Ok(true),
                NAK => return Ok(false),
                CAN if cancels == 2 => return Err(self.cancelled(&format!("at {what}"))),
                _ => self.other(byte),
            }
        }
    }

    fn other(&mut self, byte: u8) {
        if byte != CAN && byte != NAK && byte != ACK {
            self.line.word(byte);
        }
    }

    /// What a receiver says after it has cancelled belongs to its refusal.
    fn cancelled(&mut self, when: &str) -> Stop {
        loop {
            match self.line.byte(self.line.within(PAUSE)) {
                Ok(Some(byte)) if byte == CAN || byte == 0x08 => {}
                Ok(Some(byte)) => self.line.word(byte),
                Ok(None) => return Stop::Refused(format!("cancelled {when}{}", self.line.last_words())),
                Err(e) => return Stop::Failed(e),
            }
        }
    }
}

/// Block 0: name and length.
fn header(name: &str, length: usize) -> Vec<u8> {
    let mut block = name.as_bytes().to_vec();
    block.push(0);
    block.extend(length.to_string().bytes());
    let size = if block.len() < 128 { 128 } else { 1024 };
    block.resize(size, 0);
    block
}
