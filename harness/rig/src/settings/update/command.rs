//! `driver = "command"`: the user's program takes images to the device.

use super::super::{Place, Section, Settings, TimeSpan};
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, UpdatePath};
use proofbench_drivers::update::command::{CommandSetup, open};
use serde::Deserialize;
use std::time::Duration;
use toml::Spanned;

/// How long a call may take.
const DEADLINE: Duration = Duration::from_secs(60);
const DEADLINE_MOST: Duration = Duration::from_secs(3600);

/// An update tool.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// Program and arguments; the verb comes behind them.
    pub run: Vec<String>,
    /// Longest time of a call.
    pub deadline: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Keys {
    run: Spanned<Vec<String>>,
    deadline: Option<Spanned<TimeSpan>>,
}

impl Settings for Keys {
    const EXAMPLE: &'static str = "run = [\"./update-tool\", \"--device\", \"th1\"]";
}

impl Command {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        let keys: Keys = section.settings()?;
        Ok(Self { run: section.argv(&keys.run)?, deadline: keys.deadline.map_or(Ok(DEADLINE), |s| section.span(&s, DEADLINE_MOST))? })
    }

    pub(super) fn open(&self, place: &Place<'_>) -> Result<Box<dyn UpdatePath>, ChannelError> {
        open(CommandSetup { run: place.program(&self.run, self.deadline), time: place.time })
    }
}
