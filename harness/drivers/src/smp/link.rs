//! What carries SMP packets to a device and back.

use proofbench_channel::{ChannelError, Moment, Wait};

/// Most bytes of a packet: no device of this kind has a larger buffer.
pub(super) const PACKET_MOST: usize = 8 * 1024;

/// Whether a request may reach the device twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sending {
    /// It changes something: a copy of it could be met with a refusal although the first one was accepted.
    Once,
    /// It changes nothing, or its second coming changes nothing: a carrier that loses packets may send it again.
    Again,
}

/// A carrier of packets. Which of them answers a request is not its business.
pub(super) trait Link {
    /// Forgets what came before the request: an answer must be younger than its question.
    fn forget(&mut self, wait: &Wait) -> Result<(), ChannelError>;
    /// Sends a packet. False: nobody was there to take it until the deadline.
    fn send(&mut self, packet: &[u8], sending: Sending, wait: &Wait) -> Result<bool, ChannelError>;
    /// The next packet that arrives, whatever it is; nothing if none came until the deadline.
    fn receive(&mut self, wait: &Wait) -> Result<Option<Vec<u8>>, ChannelError>;
    /// What it saw on its own account since it was last asked.
    fn remarks(&mut self) -> Vec<(Moment, String)>;
    /// What it is, for the journal.
    fn describe(&self) -> String;
}
