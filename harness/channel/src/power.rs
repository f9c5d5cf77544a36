//! The supply and the reset line. State asked for and state observed are different types.

use crate::{ChannelError, Wait};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Millivolts of a rail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millivolts(pub u32);

/// Milliamperes that the device draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Milliamps(pub u32);

/// What a power switch is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerAsk {
    /// Supply on.
    On,
    /// Supply off.
    Off,
}

/// What the switch (or a meter) says. None of it proves that the device noticed: that takes a witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PowerSeen {
    /// The switch reports on.
    On,
    /// The switch reports off.
    Off,
    /// Protection tripped.
    Tripped(String),
    /// The driver cannot read it back.
    Unknown,
}

/// A switched supply.
///
/// Never promised: that the rail is up or down, that the device has booted or died.
pub trait Power {
    /// Switches. Returns when the switch has taken the command, not when the rail has followed.
    fn set(&mut self, ask: PowerAsk, wait: &Wait) -> Result<(), ChannelError>;
    /// Reads the switch back.
    fn state(&mut self, wait: &Wait) -> Result<PowerSeen, ChannelError>;
    /// Measures the device's rail, where the rig has a meter.
    fn rail(&mut self, wait: &Wait) -> Result<Option<Millivolts>, ChannelError>;
    /// Measures what the device draws, where the rig has a meter for it.
    fn current(&mut self, _: &Wait) -> Result<Option<Milliamps>, ChannelError> {
        Ok(None)
    }
    /// How long the supply must stay off before the rail is surely below the reset threshold (rig file, measured by `doctor`).
    fn off_min(&self) -> Duration;
    /// Lowers the supply to `to` for `hold` and raises it again. `Unsupported` where the supply cannot.
    fn dip(&mut self, to: Millivolts, hold: Duration, wait: &Wait) -> Result<(), ChannelError>;
    /// What it is, for the journal.
    fn describe(&self) -> String;
}

/// A reset line.
pub trait Reset {
    /// Asserts the line for `hold`, then releases it. Supply is kept.
    fn pulse(&mut self, hold: Duration, wait: &Wait) -> Result<(), ChannelError>;
    /// Drives the line and leaves it so: `true` holds the device in reset.
    fn set(&mut self, asserted: bool, wait: &Wait) -> Result<(), ChannelError>;
    /// What it is, for the journal.
    fn describe(&self) -> String;
}
