//! `driver = "command"`: the user's programs work the reset line.

use super::super::{Place, Section, Settings, TimeSpan};
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, Reset};
use proofbench_drivers::reset::command::{CommandSetup, open};
use serde::Deserialize;
use std::time::Duration;
use toml::Spanned;

/// A program that has not acted by then hangs, unless the rig file says otherwise.
const DEADLINE: Duration = Duration::from_secs(10);
/// Longest deadline.
const DEADLINE_MOST: Duration = Duration::from_secs(600);

/// A reset line by command.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// Program that holds the device in reset.
    pub assert: Vec<String>,
    /// Program that lets it go.
    pub release: Vec<String>,
    /// Longest time that each may take.
    pub deadline: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Keys {
    assert: Spanned<Vec<String>>,
    release: Spanned<Vec<String>>,
    deadline: Option<Spanned<TimeSpan>>,
}

impl Settings for Keys {
    const EXAMPLE: &'static str = "assert = [\"nrst\", \"low\"]\nrelease = [\"nrst\", \"high\"]";
}

impl Command {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        let keys: Keys = section.settings()?;
        Ok(Self {
            assert: section.argv(&keys.assert)?,
            release: section.argv(&keys.release)?,
            deadline: keys.deadline.map_or(Ok(DEADLINE), |span| section.span(&span, DEADLINE_MOST))?,
        })
    }

    pub(super) fn open(&self, place: &Place<'_>) -> Result<Box<dyn Reset>, ChannelError> {
        let (assert, release) = (place.program(&self.assert, self.deadline), place.program(&self.release, self.deadline));
        open(CommandSetup { assert, release, time: place.time })
    }
}
