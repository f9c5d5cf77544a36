//! Plan, execute, journal, evidence: what carries a check from its place in the list to observations that a report can rest on.
//!
//! Only this room writes the journal. **Fail closed**: a fault of bench, suite or harness becomes UNRESOLVED with its reason and never a
//! SATISFIED or a VIOLATED.

pub mod bench;
pub mod check;
mod command;
mod dialogue;
pub mod replay;
pub mod sink;
mod tap;
pub mod text;
mod transcript;
pub mod trouble;
mod watch;

pub use bench::Bench;
pub use check::{Capability, Check, Permission};
pub use trouble::Trouble;
