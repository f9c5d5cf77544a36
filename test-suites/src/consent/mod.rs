//! Suite `consent`: telemetry by the owner's leave, and for as long as is said (6).

mod kept;
mod telemetry;

use proofbench_runner::{Capability, Check};
use std::time::Duration;
use telemetry::carried_out;

/// Longest bench time of a check here.
const BUDGET: Duration = Duration::from_secs(96 * 3600);

const NEEDS: &[Capability] = &[Capability::Console, Capability::Power, Capability::Network];

/// The checks, in the order in which they run.
pub const CHECKS: &[Check] = &[telemetry::ASKED, telemetry::WITHDRAWN, telemetry::FIELDS, kept::EXPIRED];
