//! A flash that is a file: what a flash reader would give, read and written while the device has no power.

use proofbench_channel::{ChannelError, ErrorKind, Storage};
use std::path::Path;

/// Opens the file. `powered` says whether the device has power now: then every access is `Refused`.
pub fn open(path: &Path, powered: Box<dyn Fn() -> bool>) -> Result<Box<dyn Storage>, ChannelError> {
    let _ = powered;
    Err(ChannelError::new(ErrorKind::Unsupported, format!("open {}", path.display())))
}
