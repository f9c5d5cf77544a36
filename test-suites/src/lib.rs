//! The checks: one folder per suite, one file per family, one explicit ordered list.

mod report;
pub mod update;

use proofbench_runner::Check;

/// Every check of every suite, in the order in which a run carries them out.
pub fn all() -> Vec<&'static Check> {
    [update::CHECKS].into_iter().flatten().collect()
}
