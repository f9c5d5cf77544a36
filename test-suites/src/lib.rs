//! The checks: one folder per suite, one file per family, one explicit ordered list.

pub mod debug_port;
pub mod power_loss;
mod report;
pub mod reset;
mod text;
pub mod update;

use proofbench_runner::Check;

/// Every check of every suite, in the order in which a run carries them out.
pub fn all() -> Vec<&'static Check> {
    [power_loss::CHECKS, update::CHECKS, debug_port::CHECKS, reset::CHECKS].into_iter().flatten().collect()
}
