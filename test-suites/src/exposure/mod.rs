//! Suite `exposure`: what of the device can be reached over its network, in every state, and what it tells strangers (5.6-1, 5.6-2).

mod disclosure;
mod names;
mod ports;
mod sensors;
mod states;

pub(crate) use disclosure::PATHS;

use proofbench_model::dossier::Row;
use proofbench_runner::Check;
use std::time::Duration;

/// Longest bench time of a check here: scans of all ports, again and again over a day.
const BUDGET: Duration = Duration::from_secs(48 * 3600);

/// TCP ports of the device that are open now.
pub(crate) fn open_ports(bench: &mut proofbench_runner::Bench) -> Result<Vec<u16>, proofbench_runner::Trouble> {
    Ok(ports::scan_tcp(bench)?.open)
}

/// Rows of 15-Intf that are networks.
fn networks(row: &Row) -> bool {
    row.intf().is_some_and(|i| i.channel == "network")
}

/// The checks, in the order in which they run.
pub const CHECKS: &[Check] =
    &[ports::DECLARED, states::BOOTS, states::OUTAGES, disclosure::STRANGERS, names::MODEL, names::LIBRARIES, sensors::SENSORS, states::RESETS];
