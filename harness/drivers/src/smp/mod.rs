//! The update path over SMP (mcumgr), on a serial line or over UDP.
//!
//! An own small client, and not crate `mcumgr-toolkit`, for three reasons. Its transports must be `Send`, while the emulated device and
//! its virtual time live on the bench's one thread. It draws its first sequence number from the system's entropy, so that two runs of
//! one seed would not be the same bytes. And a frame that does not fit ends its wait with an error, where a bench must go on
//! listening until its deadline: noise on the line is neither a refusal nor silence. `board` tests the device against it.
//!
//! One client, two carriers: text lines on every byte stream that is a [`Console`] (the emulated UART, the real port), and datagrams.
//!
//! **What is sent twice.** On a serial line nothing. Over UDP, where packets get lost, only what changes nothing when it comes twice:
//! - the question for the image list;
//! - a piece that is neither the first nor the last of its image: the device goes by its offset and answers a copy with the offset that it wants next.
//!   The first piece opens a transfer (and erases), so a copy of it would open another one; the last one closes it, and a device that has closed its
//!   transfer answers a copy with "offset 0", which is a wish to begin anew.
//!
//! A mark, an erase, a restart, and requests that a binding names are sent once. A copy of a mark can be refused because the first one was accepted, and a copy of
//! a restart restarts twice: the caller would be told what the device did not say. It is told silence, and may look at the image list.
//!
//! Run against: the emulated device, the board process, UDP peers of the tests. Not run against a device with real firmware.

mod body;
mod datagrams;
mod frame;
mod lines;
mod link;

use crate::TimeBase;
use crate::line::{self, LineSetup};
use body::Value;
use datagrams::Datagrams;
use lines::Lines;
use link::{Link, Sending};
use proofbench_channel::{Answer, ChannelError, Chunk, Console, ErrorKind, ImageState, Intake, Moment, SmpReply, SmpRequest, UpdatePath, Wait};
use std::time::Duration;

/// Bytes of a piece: with the first piece's announcements it fits the 384 bytes that a device's buffer has unless told otherwise.
const CHUNK: usize = 256;
/// How long a device may take to write a piece. Who knows of an erase of the whole slot behind the first one waits longer.
const PIECE: Duration = Duration::from_secs(5);
/// Most images that an answer may list.
const IMAGES_MOST: usize = 16;
/// Most characters of a device's words.
const WORDS_MOST: usize = 200;

const GROUP_OS: u16 = 0;
const GROUP_IMAGE: u16 = 1;
const OS_RESET: u8 = 5;
const IMAGE_STATE: u8 = 0;
const IMAGE_UPLOAD: u8 = 1;
const IMAGE_ERASE: u8 = 5;

/// SMP over the framing of the serial transport, on this line.
pub fn open_serial(setup: &LineSetup) -> Result<Box<dyn UpdatePath>, ChannelError> {
    Ok(Box::new(SmpPath::new(line::open(setup)?)))
}

/// Where a device listens for SMP datagrams.
#[derive(Debug, Clone)]
pub struct UdpSetup {
    /// `host:port`; a device that has been told no other listens on 1337.
    pub address: String,
    /// The rig's time line.
    pub time: TimeBase,
}

/// SMP over UDP. Nothing is sent, and no name looked up, before the first request.
pub fn open_udp(setup: &UdpSetup) -> Box<dyn UpdatePath> {
    Box::new(SmpPath::over(Box::new(Datagrams::new(setup.address.clone(), setup.time))))
}

/// SMP over a carrier of packets.
pub struct SmpPath {
    link: Box<dyn Link>,
    sequence: u8,
    /// Length of the image that is on its way in, as it was announced.
    total: Option<u32>,
}

impl SmpPath {
    /// An SMP client on this line.
    pub fn new(line: Box<dyn Console>) -> Self {
        Self::over(Box::new(Lines::new(line)))
    }

    fn over(link: Box<dyn Link>) -> Self {
        Self { link, sequence: 0, total: None }
    }

    /// One request, one answer. Sends once unless `sending` allows more: repeating is the caller's decision.
    fn ask(&mut self, group: u16, id: u8, write: bool, body: &[u8], sending: Sending, wait: &Wait) -> Result<Answer<Value>, ChannelError> {
        let doing = || format!("ask SMP group {group} command {id}");
        self.link.forget(wait)?;
        self.sequence = self.sequence.wrapping_add(1);
        let length = u16::try_from(body.len()).map_err(|_| ChannelError::new(ErrorKind::Unsupported, doing()))?;
        let op = if write { 2 } else { 0 };
        let mut packet = Vec::with_capacity(8 + body.len());
        packet.extend([0x08 | op, 0]); // version 2 of the protocol, no flags
        packet.extend(length.to_be_bytes());
        packet.extend(group.to_be_bytes());
        packet.extend([self.sequence, id]);
        packet.extend(body);
        if !self.link.send(&packet, sending, wait)? {
            return Ok(Answer::Silent);
        }
        // Other packets and noise are passed over until the deadline.
        let answer = loop {
            let Some(packet) = self.link.receive(wait)? else { return Ok(Answer::Silent) };
            if let Some(body) = fitting(&packet, group, id, op | 1, self.sequence) {
                break body.to_vec();
            }
        };
        let value = body::decode(&answer).ok_or_else(|| ChannelError::new(ErrorKind::Protocol, doing()))?;
        Ok(match refusal(&value) {
            Some(words) => Answer::Refused(words),
            None => Answer::Accepted(value),
        })
    }

    fn images(&mut self, write: bool, body: &[u8], wait: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError> {
        let sending = if write { Sending::Once } else { Sending::Again };
        Ok(match self.ask(GROUP_IMAGE, IMAGE_STATE, write, body, sending, wait)? {
            Answer::Accepted(value) => {
                let states = image_states(&value).ok_or_else(|| ChannelError::new(ErrorKind::Protocol, "read the SMP image list"))?;
                Answer::Accepted(states)
            }
            Answer::Refused(words) => Answer::Refused(words),
            Answer::Silent => Answer::Silent,
        })
    }

    fn done(&mut self, group: u16, id: u8, wait: &Wait) -> Result<Answer<()>, ChannelError> {
        let empty = body::encode(|e| e.map(0)?.ok());
        Ok(match self.ask(group, id, true, &empty, Sending::Once, wait)? {
            Answer::Accepted(_) => Answer::Accepted(()),
            Answer::Refused(words) => Answer::Refused(words),
            Answer::Silent => Answer::Silent,
        })
    }
}

/// The body, if the packet answers this request.
fn fitting(packet: &[u8], group: u16, id: u8, op: u8, sequence: u8) -> Option<&[u8]> {
    let (header, body) = packet.split_first_chunk::<8>()?;
    let fits = header[0] & 7 == op && header[4..6] == group.to_be_bytes() && header[6] == sequence && header[7] == id;
    (fits && usize::from(u16::from_be_bytes([header[2], header[3]])) == body.len()).then_some(body)
}

/// The device's refusal in its words: `rc` of version 1, `err` of version 2.
fn refusal(value: &Value) -> Option<String> {
    let why = value.get("rsn").and_then(Value::text).map(|t| format!(" \"{}\"", escaped(t))).unwrap_or_default();
    if let Some(err @ Value::Map(_)) = value.get("err") {
        let part = |key| err.get(key).and_then(Value::int).map_or("?".to_owned(), |n| n.to_string());
        return Some(format!("group {} rc {}{why}", part("group"), part("rc")));
    }
    match value.get("rc").and_then(Value::int) {
        None | Some(0) => None,
        Some(rc) => Some(format!("rc {rc}{why}")),
    }
}

fn escaped(text: &str) -> String {
    text.chars().flat_map(char::escape_debug).take(WORDS_MOST).collect()
}

fn image_states(value: &Value) -> Option<Vec<ImageState>> {
    let Some(Value::List(images)) = value.get("images") else { return None };
    images.iter().take(IMAGES_MOST).map(image_state).collect()
}

fn image_state(image: &Value) -> Option<ImageState> {
    let flag = |key| image.get(key).is_some_and(Value::is_true);
    Some(ImageState {
        slot: u32::try_from(image.get("slot")?.int()?).ok()?,
        version: escaped(image.get("version")?.text()?),
        hash: image.get("hash").and_then(Value::bytes).unwrap_or_default().to_vec(),
        active: flag("active"),
        confirmed: flag("confirmed"),
        pending: flag("pending"),
        permanent: flag("permanent"),
        bootable: flag("bootable"),
    })
}

impl UpdatePath for SmpPath {
    fn state(&mut self, wait: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError> {
        let empty = body::encode(|e| e.map(0)?.ok());
        self.images(false, &empty, wait)
    }

    fn chunk(&mut self, chunk: &Chunk<'_>, wait: &Wait) -> Result<Answer<u32>, ChannelError> {
        let entries = 2 + u64::from(chunk.total.is_some()) + u64::from(chunk.sha.is_some());
        let body = body::encode(|e| {
            e.map(entries)?.str("off")?.u32(chunk.offset)?;
            if let Some(total) = chunk.total {
                e.str("len")?.u32(total)?;
            }
            if let Some(sha) = chunk.sha {
                e.str("sha")?.bytes(&sha)?;
            }
            e.str("data")?.bytes(chunk.data)?.ok()
        });
        if chunk.offset == 0 {
            self.total = chunk.total;
        }
        let end = u64::from(chunk.offset) + chunk.data.len() as u64;
        let inner = chunk.offset > 0 && self.total.is_some_and(|total| end < u64::from(total));
        let sending = if inner { Sending::Again } else { Sending::Once };
        let value = match self.ask(GROUP_IMAGE, IMAGE_UPLOAD, true, &body, sending, wait)? {
            Answer::Accepted(value) => value,
            Answer::Refused(words) => return Ok(Answer::Refused(words)),
            Answer::Silent => return Ok(Answer::Silent),
        };
        if value.get("match") == Some(&Value::Bool(false)) {
            return Ok(Answer::Refused("match false: not the announced digest".to_owned()));
        }
        let offset = value.get("off").and_then(Value::int).and_then(|n| u32::try_from(n).ok());
        offset.map(Answer::Accepted).ok_or_else(|| ChannelError::new(ErrorKind::Protocol, "read the SMP upload offset"))
    }

    fn intake(&self) -> Intake {
        Intake::Pieces(CHUNK)
    }

    fn longest(&self, _: usize) -> Duration {
        PIECE
    }

    fn mark(&mut self, hash: Option<&[u8]>, confirm: bool, wait: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError> {
        let body = body::encode(|e| {
            e.map(1 + u64::from(hash.is_some()))?;
            if let Some(hash) = hash {
                e.str("hash")?.bytes(hash)?;
            }
            e.str("confirm")?.bool(confirm)?.ok()
        });
        self.images(true, &body, wait)
    }

    fn erase(&mut self, wait: &Wait) -> Result<Answer<()>, ChannelError> {
        self.done(GROUP_IMAGE, IMAGE_ERASE, wait)
    }

    fn restart(&mut self, wait: &Wait) -> Result<Answer<()>, ChannelError> {
        self.done(GROUP_OS, OS_RESET, wait)
    }

    fn smp(&mut self, request: &SmpRequest, wait: &Wait) -> Result<Answer<SmpReply>, ChannelError> {
        let body = body::encode(|e| {
            e.map(request.body.len() as u64)?;
            for (key, text) in &request.body {
                e.str(key)?.str(text)?;
            }
            Ok(())
        });
        Ok(match self.ask(request.group, request.id, request.write, &body, Sending::Once, wait)? {
            Answer::Accepted(Value::Map(entries)) => {
                let texts = entries.into_iter().filter_map(|(key, value)| {
                    let text = match value {
                        Value::Int(n) => n.to_string(),
                        Value::Text(t) => t,
                        Value::Bool(b) => b.to_string(),
                        Value::Bytes(b) => b.iter().map(|b| format!("{b:02x}")).collect(),
                        _ => return None,
                    };
                    Some((key, text))
                });
                Answer::Accepted(texts.collect())
            }
            Answer::Accepted(_) => Answer::Accepted(SmpReply::new()),
            Answer::Refused(words) => Answer::Refused(words),
            Answer::Silent => Answer::Silent,
        })
    }

    fn remarks(&mut self) -> Vec<(Moment, String)> {
        self.link.remarks()
    }

    fn describe(&self) -> String {
        format!("SMP over {}", self.link.describe())
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod udp_tests;
