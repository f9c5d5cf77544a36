//! The checks: one folder per suite, one file per family, one explicit ordered list.

pub mod choices;
pub mod communication;
pub mod consent;
pub mod credentials;
pub mod debug_port;
pub mod exposure;
pub mod fleet;
mod forms;
pub mod input;
pub mod outage;
pub mod power_loss;
mod report;
pub mod reset;
mod spread;
mod text;
pub mod update;

use proofbench_runner::Check;

/// Every check of every suite, in the order in which a run carries them out: what only looks comes first, what endangers the device comes last.
pub fn all() -> Vec<&'static Check> {
    [
        exposure::CHECKS,
        communication::CHECKS,
        credentials::CHECKS,
        consent::CHECKS,
        choices::CHECKS,
        fleet::CHECKS,
        outage::CHECKS,
        debug_port::CHECKS,
        update::CHECKS,
        reset::CHECKS,
        input::CHECKS,
        power_loss::CHECKS,
    ]
    .into_iter()
    .flatten()
    .collect()
}
