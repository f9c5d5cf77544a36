//! The space of crash states: every storage content that a power cut can leave.
//!
//! Only a rig that owns the device's storage and can rebuild it (an emulator, a recorded write log) has this channel.

use crate::{ChannelError, Wait};
use std::time::Duration;

/// A storage content kept by the driver. Small; valid as long as the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateId(pub u32);

/// What an interrupted operation leaves: any subset of the bits that differ before and after, as named patterns and seeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tear {
    /// Clean cut before the operation: it did nothing.
    Before,
    /// A write stopped after its first `n` bytes.
    Prefix(u32),
    /// Half of the bits of every byte (0x55) reached their new value.
    HalfBits,
    /// A random subset of the differing bits, by seed.
    Bits(u32),
    /// Erase reached the first half of the area.
    EraseFirstHalf,
    /// Erase reached the last half of the area.
    EraseLastHalf,
    /// Erase stopped in its pre-program phase: everything zero.
    EraseZero,
    /// A write that was not yet flushed is lost although later ones are there (media with a write cache); by seed.
    DropUnflushed(u32),
}

impl Tear {
    /// Whether it is a clean cut between two operations.
    pub fn is_clean(self) -> bool {
        self == Tear::Before
    }
}

/// Kind of a storage operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpKind {
    /// Program.
    Write,
    /// Erase.
    Erase,
    /// Barrier.
    Flush,
}

/// One recorded storage operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpSummary {
    /// What.
    pub kind: OpKind,
    /// Where.
    pub offset: u32,
    /// Bytes.
    pub len: u32,
}

/// Called for each possible cut of a recording: operation index (0 = before the first; equal to the number of operations = after the last),
/// tear, digest of the storage. Returns whether the state is to be kept.
pub type CrashVisitor<'a> = dyn FnMut(u32, Tear, u128) -> bool + 'a;

/// The crash-state space of the device on this rig. The device must be without power for `save`, `load`, `read` and `rebuild`.
pub trait CrashSpace {
    /// Keeps the present storage content.
    fn save(&mut self, wait: &Wait) -> Result<StateId, ChannelError>;
    /// Makes a kept content the device's storage. RAM is lost.
    fn load(&mut self, state: StateId, wait: &Wait) -> Result<(), ChannelError>;
    /// Digest of a kept content; equal digests mean equal contents.
    fn digest(&self, state: StateId) -> u128;
    /// Bytes of a kept content.
    fn read(&self, state: StateId, offset: u32, into: &mut [u8]) -> Result<(), ChannelError>;
    /// Starts to record storage operations, from the present content.
    fn record(&mut self) -> Result<(), ChannelError>;
    /// Ends the recording and returns its operations in order.
    fn stop(&mut self) -> Result<Vec<OpSummary>, ChannelError>;
    /// Walks every cut of the last recording: clean ones and, if `torn`, every tear that the medium knows. For each, `visit` says whether to keep the state;
    /// kept states are returned in order with their index and tear. One forward pass: cost linear in the number of operations and tears.
    fn rebuild(&mut self, torn: bool, visit: &mut CrashVisitor<'_>) -> Result<Vec<(u32, Tear, StateId)>, ChannelError>;
    /// Forgets kept states that are not in `keep`, to bound memory.
    fn forget_except(&mut self, keep: &[StateId]);
    /// Real time that a boot and a look at what it left take, roughly: a campaign that cannot boot every state in its time takes fewer and says so. Zero
    /// where boots cost nothing.
    fn boot_cost(&self) -> Duration {
        Duration::ZERO
    }
    /// Name of the medium profile: "spi-nor", "ecc-64", ...
    fn medium(&self) -> String;
    /// Makes power fail by itself when the next recording reaches operation `at` with this tear (replay of one cut through the real path).
    fn arm_cut(&mut self, at: u32, tear: Tear) -> Result<(), ChannelError>;
}
