//! A serial console, both directions.

use crate::{ChannelError, Moment, Wait};

/// What one read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleRead {
    /// Bytes were appended; they arrived at this moment (the last one's).
    Bytes(Moment),
    /// Nothing arrived until the deadline. Silence is data, never an answer by itself.
    Silence,
    /// The port vanished (board lost power, cable pulled). Later reads wait for it to come back under any name.
    Gone,
}

/// A console.
///
/// Callers may rely on: bytes arrive in order, none twice, none invented; a write returns when the adapter has taken the bytes.
/// They may not rely on: that nothing was sent before attach, that a write was received, that lines are whole.
/// Implementers guarantee: at most 64 KiB appended a call, a cancel noticed within 50 ms, no unbounded buffer.
pub trait Console {
    /// Appends at least one byte to `into`, or says why not. Returns at once if bytes are there.
    fn read(&mut self, into: &mut Vec<u8>, wait: &Wait) -> Result<ConsoleRead, ChannelError>;
    /// Sends all of `bytes`. A vanished port is `Disconnected` only if it does not come back before the deadline.
    fn write(&mut self, bytes: &[u8], wait: &Wait) -> Result<(), ChannelError>;
    /// Sends a BREAK. `Unsupported` where the adapter cannot.
    fn send_break(&mut self, wait: &Wait) -> Result<(), ChannelError>;
    /// What it is, for the journal: driver, address, settings.
    fn describe(&self) -> String;
}
