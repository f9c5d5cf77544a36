//! A serial port as console.

use crate::TimeBase;
use proofbench_channel::{ChannelError, Console, ErrorKind};
use std::path::PathBuf;

/// Which port, and how to talk to it.
#[derive(Debug, Clone)]
pub struct SerialSetup {
    /// Device node or a symlink to it; followed again at each reopening.
    pub port: PathBuf,
    /// Baud rate.
    pub baud: u32,
    /// The rig's time line.
    pub time: TimeBase,
}

/// Makes a console of the port and starts to capture. A port that is not there yet is no error: it is `Gone` until it appears.
/// A port that somebody else holds is `Refused`.
pub fn open(setup: &SerialSetup) -> Result<Box<dyn Console>, ChannelError> {
    Err(ChannelError::new(ErrorKind::Unsupported, format!("open {}", setup.port.display())))
}
