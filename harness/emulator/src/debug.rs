//! The debug port of the emulated device, bit by bit: SWD, JTAG and the sequences between them, an ADIv5 debug port, access ports, the core's
//! debug unit, and the lock in front of all that.
//!
//! Layers, each of which can be tested alone: [`Wire`] (one clock edge a call) owns [`Dap`] (one transaction a call), which owns [`DebugUnit`]
//! (core and lock) and reaches memory through [`SocBus`]. No clock: the bus says what time it is. Nothing here acts on the device by itself:
//! what a debugger asks for is kept as [`Ask`]s, and the world takes them after each edge.
//!
//! Faults that a conforming device must survive: any bit sequence on the pins, at any time, in any state of power and reset.

mod dap;
mod lock;
mod pins;
mod soc;
mod wire;

pub use dap::{Ack, Dap};
pub use lock::{Entry, Level, LockRules};
pub use pins::{BareBoard, Pins, RAM};
pub use soc::{Ask, Audit, BusFault, DebugUnit, SocBus};
pub use wire::{Mode, Wire};
