//! How a device takes a new image: slots, offers step by step, what the device says of each.

use crate::{ChannelError, Wait};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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

/// A path by which images reach the device. All calls are single requests: cancelling leaves the device between two of them.
pub trait UpdatePath {
    /// What the device says it holds.
    fn state(&mut self, wait: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError>;
    /// Sends one piece; the answer is the offset that the device wants next.
    fn chunk(&mut self, chunk: &Chunk<'_>, wait: &Wait) -> Result<Answer<u32>, ChannelError>;
    /// Most bytes of a piece.
    fn max_chunk(&self) -> usize;
    /// Asks to try (`confirm` false) or keep (`confirm` true) the image with this hash; none means the one that runs.
    fn mark(&mut self, hash: Option<&[u8]>, confirm: bool, wait: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError>;
    /// Asks to erase the slot that does not run.
    fn erase(&mut self, wait: &Wait) -> Result<Answer<()>, ChannelError>;
    /// Asks for a restart; the device answers, then restarts.
    fn restart(&mut self, wait: &Wait) -> Result<Answer<()>, ChannelError>;
    /// Any other request that a binding names. `Unsupported` where the path is not SMP.
    fn smp(&mut self, request: &SmpRequest, wait: &Wait) -> Result<Answer<SmpReply>, ChannelError>;
    /// What it is, for the journal.
    fn describe(&self) -> String;
}
