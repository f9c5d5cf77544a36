//! `driver = "scpi"`: a digital output of an instrument is the reset line.

use super::super::{Place, Section, Settings};
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, Reset};
use proofbench_drivers::reset::scpi::{ScpiSetup, open};
use serde::Deserialize;
use toml::Spanned;

/// A reset line by SCPI.
#[derive(Debug, Clone, PartialEq)]
pub struct Scpi {
    /// `host:port`
    pub address: String,
    /// Command that holds the device in reset.
    pub assert: String,
    /// Command that lets it go.
    pub release: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Keys {
    address: Spanned<String>,
    assert: Spanned<String>,
    release: Spanned<String>,
}

impl Settings for Keys {
    const EXAMPLE: &'static str = "address = \"192.0.2.7:5025\"\nassert = \"ROUT:CLOS (@101)\"\nrelease = \"ROUT:OPEN (@101)\"";
}

impl Scpi {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        let keys: Keys = section.settings()?;
        for command in [&keys.assert, &keys.release] {
            let text = command.get_ref();
            if text.trim().is_empty() || text.contains('?') || text.chars().any(char::is_control) {
                return Err(section.error(command.span(), "no single command", &["a command that asks nothing, such as ROUT:CLOS (@101)"]));
            }
        }
        Ok(Self { address: section.address(&keys.address)?, assert: keys.assert.into_inner(), release: keys.release.into_inner() })
    }

    pub(super) fn open(&self, place: &Place<'_>) -> Result<Box<dyn Reset>, ChannelError> {
        let (address, assert, release) = (self.address.clone(), self.assert.clone(), self.release.clone());
        open(ScpiSetup { address, assert, release, time: place.time })
    }
}
