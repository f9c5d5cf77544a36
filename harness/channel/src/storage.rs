//! The device's non-volatile memory, read and written from outside while the device has no power.

use crate::{ChannelError, Wait};

/// An external flash reader or storage mux.
///
/// Callers make sure that the device has no power. Implementers refuse (`Refused`) where they can see that it has.
pub trait Storage {
    /// Bytes of the medium.
    fn len(&self) -> u64;
    /// Whether the medium has no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Fills `into` from `offset`.
    fn read(&mut self, offset: u64, into: &mut [u8], wait: &Wait) -> Result<(), ChannelError>;
    /// Replaces bytes, erasing as needed. The caller holds the rig's `flash-write` permission.
    fn write(&mut self, offset: u64, bytes: &[u8], wait: &Wait) -> Result<(), ChannelError>;
    /// What it is, for the journal.
    fn describe(&self) -> String;
}
