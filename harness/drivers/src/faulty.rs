//! Faults of the bench, as wrappers around any channel: what a broken or lying rig looks like. No fault may turn into PASS or FAIL.

mod fleet;
mod lines;
mod net;
mod parts;

use crate::Channels;
use proofbench_channel::{ChannelError, Clock, ErrorKind, Moment, Wait};
use std::cell::RefCell;
use std::rc::Rc;

pub use fleet::fleet;
pub use lines::{DeadConsole, GarbledConsole};
pub use net::FaultyNetwork;
pub use parts::{BackFed, DeafUpdate, LyingStorage, SilentProbe, StaleStorage, StuckPower};

/// A bench fault that can be asked for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BenchFault {
    /// Its name in a rig file.
    pub name: &'static str,
    /// What it does.
    pub what: &'static str,
}

/// All of them.
pub const ALL: &[BenchFault] = &[
    BenchFault { name: "dead-console", what: "the console never carries a byte" },
    BenchFault { name: "garbled-console", what: "bytes of the console arrive corrupted" },
    BenchFault { name: "stuck-power", what: "the power switch stays on and reports what it was asked" },
    BenchFault { name: "back-feed", what: "the board is fed through another cable: the switch opens, the rail only sags, the device runs on" },
    BenchFault { name: "silent-probe", what: "the debug probe's wires reach nothing" },
    BenchFault { name: "lying-flash-reader", what: "the flash reader returns an empty medium" },
    BenchFault { name: "stale-flash-reader", what: "the flash reader returns what it read the first time" },
    BenchFault { name: "deaf-update", what: "the update path never answers" },
    BenchFault { name: "dead-link", what: "the network cable is not in, and the switch says that it is" },
    BenchFault { name: "stale-lab", what: "a service of the lab that is up is not changed any more, and the lab says that it was" },
    BenchFault { name: "same-label", what: "one unit's label was read twice, and another's not at all" },
    BenchFault { name: "deaf-lab", what: "the lab's services work, and nothing of what the device does on them is reported" },
];

/// Puts the named faults around the channels that they concern; a fault of a channel that the rig lacks changes nothing. A name that is
/// not in [`ALL`] is an error that lists the valid ones.
pub fn apply(mut channels: Channels, faults: &[String], seed: u64) -> Result<Channels, ChannelError> {
    for fault in faults {
        match fault.as_str() {
            "dead-console" => channels.console = channels.console.map(|c| Box::new(DeadConsole::new(c)) as _),
            "garbled-console" => channels.console = channels.console.map(|c| Box::new(GarbledConsole::new(c, seed)) as _),
            "stuck-power" => channels.power = channels.power.map(|p| Box::new(StuckPower::new(p)) as _),
            "back-feed" => channels.power = channels.power.map(|p| Box::new(BackFed::new(p)) as _),
            "silent-probe" => channels.debug = channels.debug.map(|d| Box::new(SilentProbe::new(d)) as _),
            "lying-flash-reader" => channels.storage = channels.storage.map(|s| Box::new(LyingStorage::new(s)) as _),
            "stale-flash-reader" => channels.storage = channels.storage.map(|s| Box::new(StaleStorage::new(s)) as _),
            "dead-link" => channels.network = channels.network.map(|n| Box::new(FaultyNetwork::dead_link(n)) as _),
            "stale-lab" => channels.network = channels.network.map(|n| Box::new(FaultyNetwork::stale(n)) as _),
            // Around the fleet, which is opened beside the device: [`fleet`].
            "same-label" => {}
            "deaf-lab" => {
                if let Some(network) = channels.network.take() {
                    let clock = SharedClock(Rc::new(RefCell::new(channels.clock)));
                    channels.clock = Box::new(clock.clone());
                    channels.network = Some(Box::new(FaultyNetwork::deaf(network, Box::new(clock))));
                }
            }
            "deaf-update" => {
                if let Some(update) = channels.update.take() {
                    // A deaf path still takes its time, so it needs the clock as well.
                    let clock = SharedClock(Rc::new(RefCell::new(channels.clock)));
                    channels.clock = Box::new(clock.clone());
                    channels.update = Some(Box::new(DeafUpdate::new(update, Box::new(clock))));
                }
            }
            unknown => {
                let valid: Vec<&str> = ALL.iter().map(|f| f.name).collect();
                let doing = format!("apply bench fault `{unknown}` (valid: {})", valid.join(", "));
                return Err(ChannelError::new(ErrorKind::Unsupported, doing));
            }
        }
    }
    Ok(channels)
}

/// What a broken channel does not do takes no time, but it is still done on a bench that somebody may stop.
fn not_cancelled(wait: &Wait) -> Result<(), ChannelError> {
    if wait.cancel.is_cancelled() { Err(ChannelError::new(ErrorKind::Cancelled, "use a channel")) } else { Ok(()) }
}

/// One clock in several hands.
#[derive(Clone)]
struct SharedClock(Rc<RefCell<Box<dyn Clock>>>);

impl Clock for SharedClock {
    fn now(&self) -> Moment {
        self.0.borrow().now()
    }
    fn idle(&mut self, until: Option<Moment>) {
        self.0.borrow_mut().idle(until);
    }
    fn sleep_until(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        self.0.borrow_mut().sleep_until(wait)
    }
}
