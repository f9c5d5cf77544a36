//! `driver = "command"`: the user's programs read and write the medium.

use super::super::{ByteCount, Place, Section, Settings, TimeSpan};
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, Storage};
use proofbench_drivers::storage::command::{CommandSetup, open};
use serde::Deserialize;
use std::time::Duration;
use toml::Spanned;

/// Reading a whole chip through a clip takes minutes.
const DEADLINE: Duration = Duration::from_secs(300);
/// Longest deadline.
const DEADLINE_MOST: Duration = Duration::from_secs(3600);
/// Largest medium: reads are held in memory.
const LENGTH_MOST: u64 = 1 << 30;

/// A flash reader by command.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// Bytes of the medium.
    pub length: u64,
    /// Program that fills `{file}`.
    pub read: Vec<String>,
    /// Program that writes from `{file}`.
    pub write: Vec<String>,
    /// Program run before each access.
    pub attach: Option<Vec<String>>,
    /// Program run after each access.
    pub detach: Option<Vec<String>>,
    /// Longest time that each may take.
    pub deadline: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Keys {
    length: Spanned<ByteCount>,
    read: Spanned<Vec<String>>,
    write: Spanned<Vec<String>>,
    attach: Option<Spanned<Vec<String>>>,
    detach: Option<Spanned<Vec<String>>>,
    deadline: Option<Spanned<TimeSpan>>,
}

impl Settings for Keys {
    const EXAMPLE: &'static str = "length = \"4MiB\"\nread = [\"flashrom\", \"-r\", \"{file}\"]\nwrite = [\"flashrom\", \"-w\", \"{file}\"]";
}

impl Command {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        let keys: Keys = section.settings()?;
        let length = keys.length.get_ref().0;
        if length == 0 || length > LENGTH_MOST {
            return Err(section.error(keys.length.span(), "no length of a medium", &["1 to 1GiB"]));
        }
        let has = |argv: &Spanned<Vec<String>>, what: &str| argv.get_ref().iter().any(|a| a.contains(what));
        for argv in [&keys.read, &keys.write] {
            if !has(argv, "{file}") {
                return Err(section.error(argv.span(), "no argument holds `{file}`", &["[\"flashrom\", \"-r\", \"{file}\"]"]));
            }
        }
        if has(&keys.read, "{offset}") != has(&keys.read, "{length}") {
            return Err(section.error(keys.read.span(), "a part of the medium takes both `{offset}` and `{length}`", &[]));
        }
        if has(&keys.write, "{length}") && !has(&keys.write, "{offset}") {
            return Err(section.error(keys.write.span(), "`{length}` without `{offset}`", &[]));
        }
        for argv in [&keys.attach, &keys.detach].into_iter().flatten() {
            if ["{file}", "{offset}", "{length}"].iter().any(|what| has(argv, what)) {
                return Err(section.error(argv.span(), "this program takes no placeholders", &[]));
            }
        }
        Ok(Self {
            length,
            read: section.argv(&keys.read)?,
            write: section.argv(&keys.write)?,
            attach: keys.attach.map(|argv| section.argv(&argv)).transpose()?,
            detach: keys.detach.map(|argv| section.argv(&argv)).transpose()?,
            deadline: keys.deadline.map_or(Ok(DEADLINE), |span| section.span(&span, DEADLINE_MOST))?,
        })
    }

    pub(super) fn open(&self, place: &Place<'_>, powered: Box<dyn Fn() -> bool>) -> Result<Box<dyn Storage>, ChannelError> {
        let program = |argv: &Vec<String>| place.program(argv, self.deadline);
        open(CommandSetup {
            length: self.length,
            read: program(&self.read),
            write: program(&self.write),
            attach: self.attach.as_ref().map(program),
            detach: self.detach.as_ref().map(program),
            powered,
            time: place.time,
        })
    }
}
