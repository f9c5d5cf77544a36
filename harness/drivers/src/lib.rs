//! Channels to real and emulated things. Only `rig` opens them.
//!
//! Every driver here implements one trait of `proofbench-channel` and obeys its contract: the device's answer is data, an error
//! is about the bench, every wait ends at its deadline and notices a cancel within 50 ms. The behaviour suites of
//! `channel::conformance` run on each of them.

pub mod boardproc;
mod channels;
pub mod child;
pub mod debug;
pub mod emulated;
pub mod faulty;
pub mod file;
pub mod fleet;
mod gpio;
pub mod line;
pub mod power;
pub mod qemu;
pub mod reset;
pub mod runtime;
mod scpi;
mod secret;
pub mod smp;
pub mod storage;
mod text;
mod time;
pub mod update;

pub use channels::Channels;
pub use gpio::GpioLine;
pub use secret::Secret;
pub use time::{RealClock, TimeBase};
