//! Suite `communication`: how the device secures what it says to others and what others say to it (5.5, 5.8), on its network.

mod attempt;
mod certificates;
mod clear;
mod coap;
mod fallback;
mod hand_over;
mod offers;

use proofbench_runner::Check;
use std::time::Duration;

/// Longest bench time of a check here: a device may wait long between two attempts.
const BUDGET: Duration = Duration::from_secs(96 * 3600);

/// The checks, in the order in which they run.
pub const CHECKS: &[Check] =
    &[offers::HELLO, offers::SERVER, certificates::REFUSED, fallback::FALLBACK, clear::IN_CLEAR, coap::COAP, hand_over::HAND_OVER];
