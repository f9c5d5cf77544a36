//! Every way to reach a device under test, as small object-safe traits; shared error kinds, `Wait`, `Clock`, `Cancel`.
//!
//! No I/O and no clock of its own. **The device's answer is data, an error is about the bench**: a refused image is
//! `Ok(Answer::Refused)`, a broken cable is an `Err`. Calls block; each takes a [`Wait`] with a deadline and a cancel handle.
//! All traits take `&mut self`: exclusive use is the borrow checker's work. One rig lives on one thread.

pub mod conformance;
mod console;
mod crash;
pub mod debug;
mod error;
mod fixture;
pub mod fleet;
pub mod network;
mod power;
mod storage;
mod update;
mod wait;

pub use console::{Console, ConsoleRead};
pub use crash::{CrashSpace, CrashVisitor, OpKind, OpSummary, StateId, Tear};
pub use error::{ChannelError, ErrorKind};
pub use fixture::{Fixture, Led};
pub use fleet::Fleet;
pub use network::Network;
pub use power::{Milliamps, Millivolts, Power, PowerAsk, PowerSeen, Reset};
pub use storage::Storage;
pub use update::{Answer, Chunk, ImageState, Intake, SmpReply, SmpRequest, UpdatePath, WHOLE_MOST};
pub use wait::{Cancel, Clock, Moment, Wait};
