//! Rig file to resolved rig to open rig; lease, permissions, safe state.

mod ability;

pub use ability::{Capability, Permission, Permissions};
pub use proofbench_drivers::Channels;
