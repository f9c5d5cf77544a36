//! Faults of the bench, as wrappers around any channel: what a broken or lying rig looks like. No fault may turn into PASS or FAIL.

use crate::Channels;
use proofbench_channel::{ChannelError, ErrorKind};

/// A bench fault that can be asked for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BenchFault {
    /// Its name in a rig file.
    pub name: &'static str,
    /// What it does.
    pub what: &'static str,
}

/// All of them.
pub const ALL: &[BenchFault] = &[
    BenchFault { name: "dead-console", what: "the console never carries a byte" },
    BenchFault { name: "garbled-console", what: "bytes of the console arrive corrupted" },
    BenchFault { name: "stuck-power", what: "the power switch does nothing and reports what it was asked" },
    BenchFault { name: "silent-probe", what: "the debug probe's wires reach nothing" },
    BenchFault { name: "lying-flash-reader", what: "the flash reader returns another content" },
    BenchFault { name: "deaf-update", what: "the update path never answers" },
];

/// Puts the named faults around the channels that they concern. A name that is not in [`ALL`] is an error that lists the valid ones.
pub fn apply(channels: Channels, faults: &[String], seed: u64) -> Result<Channels, ChannelError> {
    let _ = (channels, faults, seed);
    Err(ChannelError::new(ErrorKind::Unsupported, "apply bench faults"))
}
