//! Opens a debug probe behind the worker process.

use proofbench_channel::debug::DebugPort;
use proofbench_channel::{ChannelError, ErrorKind};
use proofbench_drivers::TimeBase;

/// A probe by its selector.
pub(crate) fn open(selector: &str, time: TimeBase) -> Result<Box<dyn DebugPort>, ChannelError> {
    let _ = time;
    Err(ChannelError::new(ErrorKind::Unsupported, format!("open the probe {selector}")))
}
