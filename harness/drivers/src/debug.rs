//! Debug probes: the emulated one, moved bit by bit in this process, and real ones behind the worker process.

pub mod bitbang;
mod emulated;
mod probe;
mod worker;

pub use emulated::{CLOCK, EmulatedProbe, Port};
pub use probe::{ProbeReset, WorkerProbe};
