//! The update path over SMP (mcumgr) on a serial line.

use crate::serial::SerialSetup;
use proofbench_channel::{ChannelError, ErrorKind, UpdatePath};

/// SMP over the framing of the serial transport, on this port.
pub fn open_serial(setup: &SerialSetup) -> Result<Box<dyn UpdatePath>, ChannelError> {
    Err(ChannelError::new(ErrorKind::Unsupported, format!("open {}", setup.port.display())))
}
