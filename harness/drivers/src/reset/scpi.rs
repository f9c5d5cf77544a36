//! A reset line worked by a digital output or relay of an instrument that speaks SCPI over TCP: one command asserts it, one releases it.
//!
//! After each command the instrument's error queue is read: what it does not accept is `Refused` in its own words. The line is not read back. A
//! connection that is lost leaves the output as it was.
//!
//! Run against: `fixtures/peers/scpi_supply.py`. Not run against an instrument of any maker.

use crate::TimeBase;
use crate::scpi::Instrument;
use proofbench_channel::{ChannelError, ErrorKind, Reset, Wait};
use std::time::Duration;

/// Which instrument, and what it is told.
#[derive(Debug, Clone)]
pub struct ScpiSetup {
    /// `host:port`; 5025 is the usual port.
    pub address: String,
    /// Command that holds the device in reset, such as `ROUT:CLOS (@101)`.
    pub assert: String,
    /// Command that lets it go.
    pub release: String,
    /// The rig's time line.
    pub time: TimeBase,
}

/// A reset line behind this instrument. Nothing is sent here. A command that is empty, a question, or more than one line is an error.
pub fn open(setup: ScpiSetup) -> Result<Box<dyn Reset>, ChannelError> {
    for (key, command) in [("assert", &setup.assert), ("release", &setup.release)] {
        if command.trim().is_empty() || command.contains('?') || command.chars().any(char::is_control) {
            let why = "it is to be one command, without a question and without a line end";
            return Err(ChannelError::caused(ErrorKind::Unsupported, format!("use `{key}` of a reset line by SCPI"), why));
        }
    }
    Ok(Box::new(ScpiReset { instrument: Instrument::new(setup.address.clone(), setup.time), setup }))
}

struct ScpiReset {
    instrument: Instrument,
    setup: ScpiSetup,
}

impl Reset for ScpiReset {
    fn pulse(&mut self, hold: Duration, wait: &Wait) -> Result<(), ChannelError> {
        super::pulse(self.setup.time, hold, wait, |asserted, wait| self.set(asserted, wait))
    }

    fn set(&mut self, asserted: bool, wait: &Wait) -> Result<(), ChannelError> {
        let command = if asserted { &self.setup.assert } else { &self.setup.release };
        let doing = format!("{} the reset line at {}", if asserted { "assert" } else { "release" }, self.setup.address);
        self.instrument.ask(std::slice::from_ref(command), &doing, wait).map(drop)
    }

    fn describe(&self) -> String {
        format!("reset line by SCPI at {}: assert `{}`, release `{}`", self.setup.address, self.setup.assert, self.setup.release)
    }
}
