//! `driver = "command"`: the user's programs switch the supply.

use super::super::{Place, Section, Settings, TimeSpan};
use super::{off_min, supply};
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, Power};
use proofbench_drivers::power::command::{CommandSetup, open};
use serde::Deserialize;
use std::time::Duration;
use toml::Spanned;

/// A program that has not switched by then hangs, unless the rig file says otherwise.
const DEADLINE: Duration = Duration::from_secs(10);
/// Longest deadline.
const DEADLINE_MOST: Duration = Duration::from_secs(600);

/// A supply by command.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// Program for on.
    pub on: Vec<String>,
    /// Program for off.
    pub off: Vec<String>,
    /// Program that reads the switch back.
    pub state: Option<Vec<String>>,
    /// Longest time that each may take.
    pub deadline: Duration,
    /// Off time.
    pub off_min: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Keys {
    on: Spanned<Vec<String>>,
    off: Spanned<Vec<String>>,
    state: Option<Spanned<Vec<String>>>,
    deadline: Option<Spanned<TimeSpan>>,
    off_min: Option<Spanned<TimeSpan>>,
}

impl Settings for Keys {
    const EXAMPLE: &'static str = "on = [\"switch\", \"on\"]\noff = [\"switch\", \"off\"]";
}

impl Command {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        let keys: Keys = section.settings()?;
        Ok(Self {
            on: section.argv(&keys.on)?,
            off: section.argv(&keys.off)?,
            state: keys.state.map(|argv| section.argv(&argv)).transpose()?,
            deadline: keys.deadline.map_or(Ok(DEADLINE), |span| section.span(&span, DEADLINE_MOST))?,
            off_min: off_min(section, keys.off_min)?,
        })
    }

    pub(super) fn open(&self, place: &Place<'_>) -> Result<Box<dyn Power>, ChannelError> {
        let program = |argv: &Vec<String>| place.program(argv, self.deadline);
        let (on, off, state) = (program(&self.on), program(&self.off), self.state.as_ref().map(program));
        open(CommandSetup { on, off, state, supply: supply(place, self.off_min) })
    }
}
