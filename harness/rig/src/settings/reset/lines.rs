//! `driver = "serial-lines"`: a control line of the console's port is the reset line.

use super::super::console::ConsoleDriver;
use super::super::port::PortAddress;
use super::super::{Place, Section, Settings};
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, ErrorKind, Reset};
use proofbench_drivers::line::{ControlLine, Flow, LineAddress};
use serde::Deserialize;
use toml::Spanned;

/// A reset line by DTR or RTS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lines {
    /// Which.
    pub line: ControlLine,
    /// The level that holds the device in reset: `true` is asserted.
    pub held_by: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Keys {
    line: Spanned<LineWord>,
    active: Option<Spanned<LevelWord>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LineWord {
    Rts,
    Dtr,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LevelWord {
    Asserted,
    Cleared,
}

impl Settings for Keys {
    const EXAMPLE: &'static str = "line = \"rts\"";
}

impl Lines {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        let keys: Keys = section.settings()?;
        let line = match keys.line.get_ref() {
            LineWord::Rts => ControlLine::Rts,
            LineWord::Dtr => ControlLine::Dtr,
        };
        Ok(Self { line, held_by: keys.active.is_none_or(|a| matches!(a.get_ref(), LevelWord::Asserted)) })
    }

    /// Whether the console's port has the line, and leaves it alone.
    pub(super) fn fits(self, console: Option<&ConsoleDriver>, section: &Section<'_>) -> Result<(), RigFileError> {
        let Self { line, held_by } = self;
        let Some(ConsoleDriver::Serial(port)) = console else {
            return Err(section.wrong("this driver drives a line of the console's port", &["[console] with driver = \"serial\""]));
        };
        match &port.address {
            PortAddress::Line(LineAddress::Tcp(_)) => {
                let valid = "[console] port = { rfc2217 = \"host:port\" }";
                return Err(section.wrong("the console's port is raw TCP, which has no control lines", &[valid]));
            }
            PortAddress::Qemu(_) => return Err(section.wrong("a line of QEMU has no control lines", &["driver = \"qemu\""])),
            PortAddress::Line(_) => {}
        }
        if line == ControlLine::Rts && port.settings.flow == Flow::Hardware {
            return Err(section.wrong("the console's flow control uses RTS", &["line = \"dtr\", or [console] flow = \"none\""]));
        }
        if port.level(line) == Some(held_by) {
            let key = line.to_string().to_lowercase();
            let problem = format!("[console] says {key} = {held_by}, which holds the device in reset while the console is open");
            return Err(section.wrong(problem, &[&format!("[console] {key} = {}, or nothing", !held_by)]));
        }
        Ok(())
    }

    pub(super) fn open(self, place: &Place<'_>) -> Result<Box<dyn Reset>, ChannelError> {
        let missing = || ChannelError::new(ErrorKind::Unsupported, "reset the device by a line of a console that is not there");
        place.lines.as_ref().ok_or_else(missing)?.reset(self.line, self.held_by)
    }
}
