//! The channels of one open rig.

use proofbench_channel::debug::DebugPort;
use proofbench_channel::{Clock, Console, CrashSpace, Fixture, Fleet, Network, Power, Reset, Storage, UpdatePath};
use std::fmt;

/// What a rig's drivers opened: a clock, and whatever the rig has. An absent channel is an absent capability; nothing else says so.
pub struct Channels {
    /// The bench's time line.
    pub clock: Box<dyn Clock>,
    /// The device's console.
    pub console: Option<Box<dyn Console>>,
    /// Its supply.
    pub power: Option<Box<dyn Power>>,
    /// Its reset line.
    pub reset: Option<Box<dyn Reset>>,
    /// A probe on its debug port.
    pub debug: Option<Box<dyn DebugPort>>,
    /// A finger and an eye.
    pub fixture: Option<Box<dyn Fixture>>,
    /// A reader of its flash.
    pub storage: Option<Box<dyn Storage>>,
    /// The path by which images reach it.
    pub update: Option<Box<dyn UpdatePath>>,
    /// The network between the lab and it.
    pub network: Option<Box<dyn Network>>,
    /// Other units of the same model.
    pub fleet: Option<Box<dyn Fleet>>,
    /// Its crash states, where the rig owns the storage.
    pub crash: Option<Box<dyn CrashSpace>>,
}

impl Channels {
    /// A bench with a clock and nothing wired.
    pub fn new(clock: Box<dyn Clock>) -> Self {
        Self {
            clock,
            console: None,
            power: None,
            reset: None,
            debug: None,
            fixture: None,
            storage: None,
            update: None,
            network: None,
            fleet: None,
            crash: None,
        }
    }

    /// One line for each channel that is there: its name and what its driver says of itself.
    pub fn describe(&self) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        if let Some(c) = &self.console {
            lines.push(("console", c.describe()));
        }
        if let Some(c) = &self.power {
            lines.push(("power", c.describe()));
        }
        if let Some(c) = &self.reset {
            lines.push(("reset", c.describe()));
        }
        if let Some(c) = &self.debug {
            lines.push(("debug", c.describe()));
        }
        if let Some(c) = &self.fixture {
            lines.push(("fixture", c.describe()));
        }
        if let Some(c) = &self.storage {
            lines.push(("storage", c.describe()));
        }
        if let Some(c) = &self.update {
            lines.push(("update", c.describe()));
        }
        if let Some(c) = &self.network {
            lines.push(("network", c.describe()));
        }
        if let Some(c) = &self.fleet {
            lines.push(("fleet", c.describe()));
        }
        if let Some(c) = &self.crash {
            lines.push(("crash", c.medium()));
        }
        lines
    }
}

impl fmt::Debug for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.describe()).finish()
    }
}
