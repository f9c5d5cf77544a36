//! `driver = "shelly"`: a Shelly plug of the second generation or later.

use super::super::{Place, SecretRef, Section, Settings, TimeSpan};
use super::{off_min, plug_url, supply};
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, Power};
use proofbench_drivers::Secret;
use proofbench_drivers::power::shelly::{ShellySetup, open};
use serde::Deserialize;
use std::time::Duration;
use toml::Spanned;

/// A plug that speaks JSON RPC.
#[derive(Debug, Clone, PartialEq)]
pub struct Shelly {
    /// `http://host` or `http://host:port`
    pub url: String,
    /// Its switch, 0 for the first.
    pub switch: u8,
    /// Password of `admin`.
    pub password: Option<SecretRef>,
    /// Off time.
    pub off_min: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Keys {
    url: Spanned<String>,
    #[serde(default)]
    switch: u8,
    password: Option<SecretRef>,
    off_min: Option<Spanned<TimeSpan>>,
}

impl Settings for Keys {
    const EXAMPLE: &'static str = "url = \"http://192.0.2.7\"";
}

impl Shelly {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        let keys: Keys = section.settings()?;
        Ok(Self { url: plug_url(section, &keys.url)?, switch: keys.switch, password: keys.password, off_min: off_min(section, keys.off_min)? })
    }

    pub(super) fn open(&self, place: &Place<'_>) -> Result<Box<dyn Power>, ChannelError> {
        let password = self.password.as_ref().map(|p| p.read(place).map(Secret::new)).transpose()?;
        open(ShellySetup { url: self.url.clone(), switch: self.switch, password, supply: supply(place, self.off_min) })
    }
}
