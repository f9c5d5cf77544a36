//! Suite `reset`: what a factory reset erases and keeps, what happens when it is disturbed, what must not reset, secrets at rest, and restarts of every cause.
//!
//! Rows of 25-DelFunc (5.11-1-2, 5.11-4-1), 10-SecParam (5.4-1-2, 5.4-2-2), 23-ResMech (5.9-2-2) and 15-Intf (5.6-4-2). Stores, credentials and routes come
//! from the bindings; the search knows encodings and no device.

mod canary;
mod causes;
mod disturb;
mod erase;
mod network;
pub(crate) mod route;
mod search;
mod secrets;
mod state;

pub(crate) use canary::Planted;
pub(crate) use route::asks_for_token;

use proofbench_model::dossier::Row;
use proofbench_runner::Check;
use std::time::Duration;

/// Bench time of one check: a reset by button takes ten seconds and more, and is repeated for each cut.
const BUDGET: Duration = Duration::from_secs(6 * 3600);

/// Rows of 25-DelFunc that a rig can start.
fn bound_here(row: &Row) -> bool {
    row.del().is_some()
}

/// The checks, in the order in which they run: what deletes comes last.
pub const CHECKS: &[Check] = &[
    causes::POWER,
    causes::OTHER,
    secrets::SECRETS,
    secrets::IDENTITIES,
    disturb::UNASKED,
    erase::ERASES,
    erase::CONFIRMATION,
    disturb::INTERRUPTED,
    network::SERVICE,
    network::OVER_NETWORK,
    network::SESSIONS,
];
