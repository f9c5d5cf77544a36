//! Suite `consent`: telemetry by the owner's leave (6).

mod telemetry;

use proofbench_runner::Check;
use std::time::Duration;

/// Longest bench time of a check here.
const BUDGET: Duration = Duration::from_secs(96 * 3600);

/// The checks, in the order in which they run.
pub const CHECKS: &[Check] = &[telemetry::ASKED, telemetry::WITHDRAWN, telemetry::FIELDS];
