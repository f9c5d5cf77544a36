//! Suite `input`: what a device does with input that nobody meant (5.13), on every interface that its dossier declares to take any, and on some that it does not.

mod apis;
mod chance;
mod feed;
mod http;
mod json;
mod mutate;
mod oracle;
mod paths;
mod shrink;
mod users;

use proofbench_runner::Check;
use std::time::Duration;

/// Longest bench time of a check here.
const BUDGET: Duration = Duration::from_secs(48 * 3600);

/// The checks, in the order in which they run.
pub const CHECKS: &[Check] = &[paths::UNDECLARED, users::INTERFACES, apis::APIS];
