//! Plan, execute, journal, evidence: what carries a check from its place in the list to observations that a report can rest on.
//!
//! Only this room writes the journal. **Fail closed**: a fault of bench, suite or harness becomes UNRESOLVED with its reason and never a
//! SATISFIED or a VIOLATED.

pub mod bench;
pub mod check;
mod command;
mod dialogue;
pub mod doctor;
pub mod header;
pub mod journal;
pub mod merge;
pub mod plan;
pub mod replay;
pub mod run;
pub mod sink;
mod tap;
pub mod text;
mod transcript;
pub mod trouble;
mod watch;

pub use bench::{Bench, Stop};
pub use check::{Capability, Check, Permission};
pub use plan::{Plan, RigFacts, Selection, plan};
pub use proofbench_rig as rig;
pub use run::{CheckResult, Progress, RunError, RunOptions, RunSummary, run};
pub use trouble::Trouble;
