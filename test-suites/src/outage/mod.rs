//! Suite `outage`: the network is gone, or its services are (5.9), or the device is taken off it and replaced (5.3-15).

mod disturbed;
mod isolated;
mod local;
mod retry;

use proofbench_runner::{Capability, Check};
use std::time::Duration;

/// Longest bench time of a check here: outages of hours.
const BUDGET: Duration = Duration::from_secs(200 * 3600);
const NEEDS: &[Capability] = &[Capability::Console, Capability::Power, Capability::Network];

/// The checks, in the order in which they run.
pub const CHECKS: &[Check] = &[local::LOCAL, disturbed::DISTURBED, retry::PATTERN, isolated::ISOLATED];
