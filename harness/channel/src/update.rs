//! How a device takes a new image: slots, offers step by step, what the device says of each.

use crate::{ChannelError, Moment, Wait};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest image that a path takes as a whole: offsets are 32 bits wide, and no device of this kind holds more.
pub const WHOLE_MOST: usize = 1 << 30;

/// A device's answer to a request. Refusal is data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// Done.
    Accepted(T),
    /// Refused, in the device's words (escaped).
    Refused(String),
    /// No answer until the deadline. Never to be read as a refusal.
    Silent,
}

/// What the device says of one image it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageState {
    /// 0 is the slot that runs.
    pub slot: u32,
    /// Version text.
    pub version: String,
    /// SHA-256 of header and payload, as the format defines it.
    pub hash: Vec<u8>,
    /// Runs now.
    pub active: bool,
    /// Will stay.
    pub confirmed: bool,
    /// Will be tried at the next boot.
    pub pending: bool,
    /// Will stay after the next boot.
    pub permanent: bool,
    /// Could boot.
    pub bootable: bool,
}

/// One piece of an image on its way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Where it belongs.
    pub offset: u32,
    /// The bytes.
    pub data: &'a [u8],
    /// Announced length of the whole image; sent with offset 0.
    pub total: Option<u32>,
    /// Announced SHA-256 of the whole file; sent with offset 0.
    pub sha: Option<[u8; 32]>,
}

/// An SMP request with text fields, for what a binding names directly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmpRequest {
    /// Group.
    pub group: u16,
    /// Command.
    pub id: u8,
    /// Write request.
    pub write: bool,
    /// Text entries of the body.
    pub body: BTreeMap<String, String>,
}

/// The text and number entries of an SMP answer, as text.
pub type SmpReply = BTreeMap<String, String>;

/// How an image goes in by a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intake {
    /// Piece by piece, each answered by the device, at most so many bytes at a time.
    Pieces(usize),
    /// As a whole: one call of [`UpdatePath::chunk`] brings all of it. What breaks a transfer off, repeats a piece or changes the order cannot be done.
    Whole,
}

/// A path by which images reach the device. All calls are single requests: cancelling leaves the device between two of them.
///
/// Callers may rely on this: what a path cannot do is an error of kind `Unsupported`, told before anything reaches the device, and never a
/// refusal; a call that is not answered is `Silent`; words of the device are escaped and bounded.
///
/// Implementers guarantee: nothing that changes the device is sent twice on one call, save a piece whose second coming is harmless by its offset;
/// an answer that arrives late is not taken for the answer to another question.
pub trait UpdatePath {
    /// What the device says it holds.
    fn state(&mut self, wait: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError>;
    /// Sends one piece; the answer is the offset that the device wants next. On a path that takes whole images only, the piece is the whole image at
    /// offset 0 with its length announced; any other piece is `Unsupported`.
    fn chunk(&mut self, chunk: &Chunk<'_>, wait: &Wait) -> Result<Answer<u32>, ChannelError>;
    /// How images go in.
    fn intake(&self) -> Intake;
    /// How long a piece of so many bytes may take before silence means anything: at slow lines and lazy devices more than a request does.
    fn longest(&self, bytes: usize) -> Duration;
    /// Most bytes of a piece.
    fn max_chunk(&self) -> usize {
        match self.intake() {
            Intake::Pieces(most) => most,
            Intake::Whole => WHOLE_MOST,
        }
    }
    /// Asks to try (`confirm` false) or keep (`confirm` true) the image with this hash; none means the one that runs.
    fn mark(&mut self, hash: Option<&[u8]>, confirm: bool, wait: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError>;
    /// Asks to erase the slot that does not run.
    fn erase(&mut self, wait: &Wait) -> Result<Answer<()>, ChannelError>;
    /// Asks for a restart; the device answers, then restarts.
    fn restart(&mut self, wait: &Wait) -> Result<Answer<()>, ChannelError>;
    /// Any other request that a binding names. `Unsupported` where the path is not SMP.
    fn smp(&mut self, request: &SmpRequest, wait: &Wait) -> Result<Answer<SmpReply>, ChannelError>;
    /// What the path saw on its own account since it was last asked: repeats, complaints, requests of the device, each with its moment. For the journal.
    fn remarks(&mut self) -> Vec<(Moment, String)>;
    /// What it is, for the journal.
    fn describe(&self) -> String;
}
