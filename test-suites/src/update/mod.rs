//! Suite `update`: what goes in by the declared update mechanisms, what must stay out, and what a device does with an image that does not work.
//!
//! Rows of 7-UpdMech (5.3-2-2) and of 20-SecBoot (5.7-1-2, 5.7-2-2). 5.3-1-2 reuses the observations of 5.3-2-2. Nothing about one device stands here: paths,
//! images, declared policies and regions come from the bindings. Power cuts during an update belong to suite `power-loss`.
//!
//! Controls spend nothing: a genuine image is tried and goes back by itself, so that a laboratory without the maker's key and without a flash writer can
//! repeat every check. Only the checks that need a raised counter keep what they install; they need the grant `counter-increment`.

mod after_reset;
mod judge;
mod lab;
mod matrix;
mod older;
mod path;
mod secure_boot;
mod server;
mod steps;
mod transfer;
mod trial;
mod undeclared;

use proofbench_model::dossier::Row;
use proofbench_runner::{Capability, Check};
use std::time::Duration;

/// The unit that carries out misuse of an update mechanism.
const MISUSE: &str = "5.3-2-2 b";
/// Every check on this subject needs to see and to offer.
const NEEDS: &[Capability] = &[Capability::Console, Capability::UpdatePath, Capability::Power];
/// Bench time of one check. A matrix of thirty files at one minute of declared recovery each stays below it.
const BUDGET: Duration = Duration::from_secs(4 * 3600);

/// Rows of 7-UpdMech whose steps can be taken apart.
fn bound_here(row: &Row) -> bool {
    row.upd().is_some_and(|b| b.via == "update-channel")
}

/// Rows whose files are read: what attacks the inside of a file, or its pieces, needs that.
fn read_here(row: &Row) -> bool {
    bound_here(row) && row.upd().is_some_and(|b| b.format == "mcuboot")
}

/// The checks, in the order in which they run: dangerous last.
pub const CHECKS: &[Check] = &[
    matrix::FLIPPED,
    matrix::REHASHED,
    matrix::UNSIGNED,
    matrix::OTHER_KEY,
    matrix::FIELDS,
    matrix::MODEL,
    older::OFFERED,
    transfer::INTERRUPTED,
    transfer::REPEATED,
    transfer::SECOND,
    steps::SKIPPED,
    steps::EXCHANGED,
    trial::UNCONFIRMED,
    trial::BROKEN,
    matrix::LENGTHS,
    secure_boot::TAMPERED,
    secure_boot::QUIET,
    trial::INSTALL,
    after_reset::AFTER_RESET,
    undeclared::UNDECLARED,
    server::imitated::IMITATED,
    server::interrupted::INTERRUPTED,
    server::images::MATRIX,
    server::images::EXCHANGED,
    server::automatic::NOTICES,
    server::automatic::AUTOMATIC,
    older::LADDER,
    secure_boot::OLDER,
];
