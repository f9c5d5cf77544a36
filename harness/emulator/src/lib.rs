//! The emulated device: a thermostat in virtual time, deterministic, without threads, sockets, files, wall clock or entropy.
//!
//! Faults that a conforming device must survive: power loss between any two and in the middle of any storage operation, any number of times; words
//! that tear, stay half programmed, read differently from one power-on to the next or cannot be read any more; resets at any time; dips of the supply;
//! any bytes on any port; any bit sequence on the debug pins; images of any content.
//!
//! [`World`] is the bench's side: supply, reset line, button, ports, time. [`hw::Hw`] is the firmware's side. Firmware (the [`boot`] loader, the [`app`])
//! is synchronous code that runs ahead of bench time one step at a time; when the bench interferes in the middle of a step, the world goes back to the
//! beginning of the step and runs it again with the interference in place.

pub mod app;
pub mod boot;
pub mod debug;
pub mod defects;
pub mod firmware;
pub mod flash;
pub mod hw;
pub mod keys;
pub mod layout;
mod supply;
mod timeline;
mod verify_cache;
pub mod world;

pub use defects::{Defect, Defects};
pub use flash::{FlashImage, Medium, Op, TimedOp};
pub use hw::net;
pub use hw::{Cause, Datagram, Uart};
pub use world::{Knock, Label, Outside, Setup, World, label};

/// A finalizer with good avalanche (splitmix64).
pub(crate) fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}
