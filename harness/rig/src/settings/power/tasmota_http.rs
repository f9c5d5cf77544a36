//! `driver = "tasmota-http"`: a Tasmota plug by its web interface.

use super::super::{Place, SecretRef, Section, Settings, TimeSpan};
use super::{off_min, plug_url, relay, supply};
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, Power};
use proofbench_drivers::Secret;
use proofbench_drivers::power::tasmota_http::{TasmotaHttpSetup, open};
use serde::Deserialize;
use std::time::Duration;
use toml::Spanned;

/// A plug with a web interface.
#[derive(Debug, Clone, PartialEq)]
pub struct TasmotaHttp {
    /// `http://host` or `http://host:port`
    pub url: String,
    /// Its relay, 1 for the first.
    pub relay: u8,
    /// Who asks; `admin` if there is only a password.
    pub user: Option<String>,
    /// The interface's password.
    pub password: Option<SecretRef>,
    /// Off time.
    pub off_min: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Keys {
    url: Spanned<String>,
    relay: Option<Spanned<u8>>,
    user: Option<String>,
    password: Option<SecretRef>,
    off_min: Option<Spanned<TimeSpan>>,
}

impl Settings for Keys {
    const EXAMPLE: &'static str = "url = \"http://192.0.2.7\"";
}

impl TasmotaHttp {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        let keys: Keys = section.settings()?;
        Ok(Self {
            url: plug_url(section, &keys.url)?,
            relay: relay(section, keys.relay)?,
            user: keys.user,
            password: keys.password,
            off_min: off_min(section, keys.off_min)?,
        })
    }

    pub(super) fn open(&self, place: &Place<'_>) -> Result<Box<dyn Power>, ChannelError> {
        open(TasmotaHttpSetup {
            url: self.url.clone(),
            relay: self.relay,
            user: self.user.clone(),
            password: self.password.as_ref().map(|p| p.read(place).map(Secret::new)).transpose()?,
            supply: supply(place, self.off_min),
        })
    }
}
