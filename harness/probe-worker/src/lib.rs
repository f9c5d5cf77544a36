//! The one process that links probe-rs: a job in, a survey out.
//!
//! It never opens a session: a session halts, single-steps, writes chip registers and may reset or erase. Registers of the debug port and its access
//! ports are read and written one by one, with a connect sequence that tries once. A panic or a hang inside a driver ends this process and nothing
//! else; its parent reports that as a failure of the driver.

mod link;
mod oneshot;
mod run;

pub use run::run;
