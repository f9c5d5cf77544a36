//! Updates that the device fetches from its maker's server: the lab stands in for that server, with the certificate that the device trusts, and offers what it
//! likes. Rows of 7-UpdMech with `via = "server"`.
//!
//! What runs is read as for the other paths. A genuine image stays once it has settled: the device confirms it by itself, so that the control uses up a
//! version; these checks need the grant `counter-increment`.

pub(super) mod automatic;
pub(super) mod images;
pub(super) mod imitated;
pub(super) mod interrupted;
mod source;

use proofbench_model::dossier::Row;
use proofbench_runner::Capability;
use std::time::Duration;

const NEEDS: &[Capability] = &[Capability::Console, Capability::Power, Capability::Network];
const TWINS: &[&str] =
    &["late-refusal", "slow-boot", "slow-copy", "noisy-log", "net-small-pieces", "net-retry-next-day", "net-begins-anew", "manifest-twice"];

/// Bench time of one check: a hundred offers at five declared minutes each, and days where the device is left to itself.
const BUDGET: Duration = Duration::from_secs(240 * 3600);

/// Rows that a server of the lab can serve.
fn served(row: &Row) -> bool {
    row.upd().is_some_and(|b| b.via == "server" && b.server.is_some())
}
