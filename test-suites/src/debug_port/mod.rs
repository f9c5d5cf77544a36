//! Suite `debug-port`: debug and console lock-down.
//!
//! Rows of 15-Intf: declared debug ports (5.6-4-2 a, 5.6-3-2 d) and consoles as the other accessible ports (5.6-4-2 b); 1-AuthMech for passwords that
//! everybody knows (5.1-1-2 c); 10-SecParam for key material in the boot log (5.4-1-2 a). A debug port is judged by single register accesses, each
//! with the state of CTRL/STAT after it, never by a library's session, and never without proof that the probe's wires reach this device. A prompt is
//! judged by what it answers, a silent console by side effects.

mod console;
mod failed_boot;
mod log;
mod logins;
mod offer;
mod port;
mod prompt;
mod states;

pub(crate) use logins::KNOWN;

use proofbench_runner::Check;
use std::time::Duration;

/// Bench time of one check: some tens of boots and surveys.
const BUDGET: Duration = Duration::from_secs(2 * 3600);

/// The checks, in the order in which they run: what changes the device stands last.
pub const CHECKS: &[Check] = &[
    states::RUNNING,
    states::UNDER_RESET,
    states::POWER_ON,
    states::AFTER_REBOOT,
    states::AFTER_WATCHDOG,
    states::AFTER_BROWN_OUT,
    console::BOOT_KEYS,
    console::WITHOUT_LOGIN,
    logins::KNOWN_LOGINS,
    logins::KNOWN_PAIRS,
    log::BOOT_LOG,
    states::AFTER_UPDATE,
    states::AFTER_FAILED_UPDATE,
    states::AFTER_FACTORY_RESET,
    failed_boot::FAILED_BOOT,
];
