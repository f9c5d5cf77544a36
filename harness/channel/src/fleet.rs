//! Several units of one model: what is printed on them, and what they do when the same things happen to all of them at once.
//!
//! A scene begins with units as their maker delivered them, without power, and is played to all of them on one time line. What they do is data, unit by
//! unit; an error is about the bench.

use crate::network::{Dial, Secured, Seen, Service};
use crate::{ChannelError, Wait};
use std::collections::BTreeMap;
use std::time::Duration;

/// What is printed on one unit, or can be read off it without a login.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnitLabel {
    /// Serial number.
    pub serial: String,
    /// Account of the label's secret.
    pub user: String,
    /// The label's secret.
    pub secret: String,
    /// Other identifiers that anybody can see, by name: `mac`, `ssid`.
    pub public: BTreeMap<String, String>,
}

/// One thing that happens to all units at once.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The supply of all units is switched.
    Power(bool),
    /// The link of all units is plugged in or pulled.
    Link(bool),
    /// A service of the lab is put up, or changed, for all of them.
    Serve(Service),
    /// Each unit is sent its own bytes on a new connection, and what it answers within two seconds is kept. As many as there are units.
    Ask(Dial, Vec<Vec<u8>>),
    /// The key that the units' own service at this port shows.
    Shown(u16),
    /// Time passes.
    Wait(Duration),
}

/// What one unit did in a scene.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Played {
    /// The unit's place in [`Fleet::labels`], from 0.
    pub unit: usize,
    /// What the lab saw of it; times count from the beginning of the scene.
    pub seen: Vec<Seen>,
    /// For each [`Step::Shown`]: what came of the handshake; nothing if there was none.
    pub shown: Vec<Option<Secured>>,
    /// For each [`Step::Ask`]: the answer, empty if none came.
    pub answers: Vec<Vec<u8>>,
}

/// The units that a rig holds for comparison.
///
/// Callers may rely on: the order of the labels is the order of the units; each scene starts from delivered units. They may not rely on: that the units'
/// clocks agree with each other.
pub trait Fleet {
    /// Labels, one for each unit.
    fn labels(&mut self, wait: &Wait) -> Result<Vec<UnitLabel>, ChannelError>;
    /// Plays a scene to all units and tells what each did. A fleet that is labels only says `Unsupported`.
    fn play(&mut self, scene: &[Step], wait: &Wait) -> Result<Vec<Played>, ChannelError>;
    /// What it is, for the journal.
    fn describe(&self) -> String;
}
