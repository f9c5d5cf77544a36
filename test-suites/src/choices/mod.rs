//! Suite `choices`: what the owner decides at set-up and later, and the device's own look at how it is set up.
//!
//! Rows of 26-UserDec (5.12-1-2) and the documented check of 5.12-3-1. How well a question is worded and where it stands on a screen is for a person.

mod decisions;
mod security;

use proofbench_runner::{Capability, Check};
use std::time::Duration;

const NEEDS: &[Capability] = &[Capability::Console, Capability::Power, Capability::Network];
const BUDGET: Duration = Duration::from_secs(6 * 3600);

/// The checks, in the order in which they run.
pub const CHECKS: &[Check] = &[security::SECURITY, decisions::DECISIONS];
