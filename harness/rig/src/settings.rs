//! What the section of a channel says to its driver: one struct per driver, read with the place of every value.
//!
//! A driver is added by its struct (with an [`Settings::EXAMPLE`] that a test resolves), one name in its channel's list, one arm that reads it and one
//! that opens it.

mod common;
pub mod console;
pub mod crash;
pub mod debug;
pub mod fleet;
pub mod network;
pub mod plain;
pub mod port;
pub mod power;
pub mod qemu;
pub mod reset;
pub mod storage;
pub mod update;

pub use common::{ByteCount, SecretRef, TimeSpan};

use crate::error::{RigFileError, Source};
use crate::file::Driven;
use proofbench_drivers::TimeBase;
use proofbench_drivers::boardproc::Board;
use proofbench_drivers::child::Program;
use proofbench_drivers::line::ControlLines;
use proofbench_drivers::qemu::Qemu;
use serde::de::{DeserializeOwned, IntoDeserializer};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The keys of one driver.
pub(crate) trait Settings: DeserializeOwned {
    /// Lines that would be valid below `driver = ...`; shown when a key is missing.
    const EXAMPLE: &'static str;
}

/// Whose wires a channel hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wiring {
    /// The emulated device in this process.
    Emulator,
    /// The emulated device as a process of its own, which the rig starts.
    Board,
    /// The machine of QEMU that the rig starts.
    Qemu,
    /// Something that the rig does not start.
    Real,
}

/// One section of a rig file, its driver named and its other keys not read yet.
pub(crate) struct Section<'a> {
    source: &'a Source,
    name: &'static str,
    driver: &'a Spanned<String>,
}

impl<'a> Section<'a> {
    pub fn new(source: &'a Source, name: &'static str, section: &'a Driven) -> Self {
        Self { source, name, driver: &section.driver }
    }

    /// The driver's name.
    pub fn driver(&self) -> &'a str {
        self.driver.get_ref()
    }

    /// The error of a name that is none of `valid`.
    pub fn no_driver(&self, valid: &[&str]) -> RigFileError {
        self.error(self.driver.span(), "no driver of this channel", valid)
    }

    /// An error with its place.
    pub fn error(&self, span: Range<usize>, problem: impl Into<String>, valid: &[&str]) -> RigFileError {
        self.source.error(span, problem, valid)
    }

    /// An error of the section as a whole, told at its driver.
    pub fn wrong(&self, problem: impl Into<String>, valid: &[&str]) -> RigFileError {
        self.error(self.driver.span(), problem, valid)
    }

    /// The keys of this driver. Unknown ones, missing ones and wrong types are errors with their place.
    pub fn settings<T: Settings>(&self) -> Result<T, RigFileError> {
        T::deserialize(self.table()?.into_deserializer()).map_err(|e| {
            let message = e.message().trim_end();
            if message == common::SECRET_WRITTEN {
                // Told at the driver: a message shows the value at its place, and this one may be a password.
                return self.wrong(message, &["{ env = \"NAME\" }", "{ file = \"path\" }"]);
            }
            match message.strip_prefix("missing field ") {
                Some(key) => self.wrong(format!("this driver needs {key}"), &[T::EXAMPLE]),
                None => self.error(e.span().unwrap_or_else(|| self.driver.span()), message, &[]),
            }
        })
    }

    /// For a driver that has no keys of its own.
    pub fn nothing(&self) -> Result<(), RigFileError> {
        let table = self.table()?;
        let DeValue::Table(table) = table.get_ref() else { return Ok(()) };
        match table.iter().next() {
            None => Ok(()),
            Some((key, value)) => {
                let problem = format!("the driver `{}` does not use `{}`", self.driver(), key.get_ref());
                Err(self.error(value.span(), problem, &[]))
            }
        }
    }

    /// Checks that every `{...}` of a value is a placeholder that this value may have.
    pub fn placeholders(&self, value: &Spanned<String>, valid: &[&str]) -> Result<String, RigFileError> {
        self.source.placeholders(value, valid)
    }

    /// A value that must lie in a range.
    pub fn within<T: PartialOrd + Copy>(
        &self,
        value: &Spanned<T>,
        range: std::ops::RangeInclusive<T>,
        what: &str,
        valid: &str,
    ) -> Result<T, RigFileError> {
        if range.contains(value.get_ref()) { Ok(*value.get_ref()) } else { Err(self.error(value.span(), format!("no {what}"), &[valid])) }
    }

    /// `host:port`.
    pub fn address(&self, value: &Spanned<String>) -> Result<String, RigFileError> {
        let text = value.get_ref();
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|p| p > 0) => Ok(text.clone()),
            _ => Err(self.error(value.span(), "no address", &["host:port, such as 192.0.2.7:2217"])),
        }
    }

    /// A program and its arguments.
    pub fn argv(&self, value: &Spanned<Vec<String>>) -> Result<Vec<String>, RigFileError> {
        match value.get_ref().first() {
            Some(program) if !program.is_empty() => Ok(value.get_ref().clone()),
            _ => Err(self.error(value.span(), "no program", &["[\"/usr/local/bin/switch\", \"--port\", \"3\"]"])),
        }
    }

    /// A span of time that must be more than none and at most `most`.
    pub fn span(&self, value: &Spanned<TimeSpan>, most: Duration) -> Result<Duration, RigFileError> {
        let span = value.get_ref().0;
        if span.is_zero() || span > most {
            return Err(self.error(value.span(), "no span of time that makes sense here", &[&format!("more than 0s, at most {most:?}")]));
        }
        Ok(span)
    }

    /// The section without its driver.
    fn table(&self) -> Result<Spanned<DeValue<'a>>, RigFileError> {
        let mut file = DeTable::parse(&self.source.text).map_err(|e| self.error(e.span().unwrap_or(0..0), e.message().trim_end(), &[]))?;
        match file.get_mut().remove(self.name) {
            Some(mut section) => {
                if let DeValue::Table(table) = section.get_mut() {
                    table.remove("driver");
                }
                Ok(section)
            }
            None => Err(self.wrong(format!("no section [{}]", self.name), &[])),
        }
    }
}

/// Where a rig is opened: what its relative names and placeholders mean.
pub(crate) struct Place<'a> {
    /// Folder of the rig file.
    pub base: &'a Path,
    /// The board that the rig has started, if it has.
    pub board: Option<&'a Board>,
    /// The machine of QEMU that the rig has started, if it has.
    pub qemu: Option<&'a Qemu>,
    /// The rig's time line.
    pub time: TimeBase,
    /// The control lines of the console's port, once that is open.
    pub lines: Option<ControlLines>,
}

impl Place<'_> {
    /// A file, relative to the rig file or in the folder of the board or the machine.
    pub fn path(&self, text: &str) -> PathBuf {
        match (self.board, self.qemu) {
            (Some(board), _) => self.base.join(text.replace("{board}", &board.dir().display().to_string())),
            (None, Some(qemu)) => self.base.join(qemu.fill(text)),
            (None, None) => self.base.join(text),
        }
    }

    /// A user's program, run in the rig file's folder.
    pub fn program(&self, argv: &[String], deadline: Duration) -> Program {
        let dir = (!self.base.as_os_str().is_empty()).then(|| self.base.to_path_buf());
        Program { argv: argv.to_vec(), dir, deadline }
    }

    /// A probe selector.
    pub fn probe(&self, text: &str) -> String {
        match self.board {
            Some(board) => text.replace("{board.debug}", &board.debug_port().to_string()),
            None => text.to_owned(),
        }
    }
}
