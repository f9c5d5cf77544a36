//! Every channel over one emulated device in virtual time: waiting costs no real time.

use crate::Channels;
use proofbench_channel::{ChannelError, ErrorKind};
use std::sync::Arc;

/// Which device to emulate, and on what kind of bench.
#[derive(Debug, Clone)]
pub struct EmulatedSetup {
    /// Unit number: serial number, secrets and factory data follow from it.
    pub unit: u32,
    /// Chance: same seed, same run, byte for byte.
    pub seed: u64,
    /// The delivered image.
    pub image: Arc<[u8]>,
    /// Names of built-in defects and twins.
    pub defects: Vec<String>,
    /// Names of bench faults, see [`crate::faulty`].
    pub faults: Vec<String>,
    /// Medium profile of the flash; `None` is the device's own (SPI NOR).
    pub medium: Option<String>,
}

/// Opens an emulated device, without power, with all of its channels. Unknown names are an error that lists the valid ones.
pub fn open(setup: &EmulatedSetup) -> Result<Channels, ChannelError> {
    Err(ChannelError::new(ErrorKind::Unsupported, format!("open emulated unit {}", setup.unit)))
}
