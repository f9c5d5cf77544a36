//! A terminal that passes every key on at once, and is set back at the end.

use rustix::termios::{OptionalActions, OutputModes, Termios, tcgetattr, tcsetattr};
use std::io::{Result, stdin};

/// Raw mode until this is dropped.
pub struct Raw(Termios);

impl Raw {
    /// Keys are neither echoed nor collected into lines, and none is a signal. Output keeps its line ends: devices that send a bare line feed would
    /// otherwise write down a staircase.
    pub fn enter() -> Result<Raw> {
        let before = tcgetattr(stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        raw.output_modes |= before.output_modes & (OutputModes::OPOST | OutputModes::ONLCR);
        tcsetattr(stdin(), OptionalActions::Flush, &raw)?;
        Ok(Raw(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Flush, &self.0);
        eprintln!();
    }
}
