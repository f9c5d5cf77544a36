//! `driver = "tasmota-mqtt"`: a Tasmota plug behind an MQTT broker.

use super::super::{Place, SecretRef, Section, Settings, TimeSpan};
use super::{off_min, relay, supply};
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, Power};
use proofbench_drivers::Secret;
use proofbench_drivers::power::tasmota_mqtt::{TasmotaMqttSetup, open, topic_trouble};
use serde::Deserialize;
use std::time::Duration;
use toml::Spanned;

/// A plug behind a broker.
#[derive(Debug, Clone, PartialEq)]
pub struct TasmotaMqtt {
    /// `host:port`
    pub broker: String,
    /// The plug's topic.
    pub topic: String,
    /// Its relay, 1 for the first.
    pub relay: u8,
    /// Who asks.
    pub user: Option<String>,
    /// His password.
    pub password: Option<SecretRef>,
    /// Authorities of the broker's certificate, relative to the rig file; with it the connection is TLS.
    pub ca: Option<String>,
    /// Off time.
    pub off_min: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Keys {
    broker: Spanned<String>,
    topic: Spanned<String>,
    relay: Option<Spanned<u8>>,
    user: Option<String>,
    password: Option<Spanned<SecretRef>>,
    ca: Option<String>,
    off_min: Option<Spanned<TimeSpan>>,
}

impl Settings for Keys {
    const EXAMPLE: &'static str = "broker = \"192.0.2.7:1883\"\ntopic = \"plug1\"";
}

impl TasmotaMqtt {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        let keys: Keys = section.settings()?;
        if let Some(why) = topic_trouble(keys.topic.get_ref()) {
            return Err(section.error(keys.topic.span(), format!("no topic of a plug: {why}"), &["what its setting Topic says, such as plug1"]));
        }
        if let (Some(password), None) = (&keys.password, &keys.user) {
            // MQTT 3.1.1, section 3.1.2.9.
            return Err(section.error(password.span(), "MQTT knows no password without a `user`", &["user = \"bench\""]));
        }
        Ok(Self {
            broker: section.address(&keys.broker)?,
            topic: keys.topic.into_inner(),
            relay: relay(section, keys.relay)?,
            user: keys.user,
            password: keys.password.map(Spanned::into_inner),
            ca: keys.ca,
            off_min: off_min(section, keys.off_min)?,
        })
    }

    pub(super) fn open(&self, place: &Place<'_>) -> Result<Box<dyn Power>, ChannelError> {
        open(TasmotaMqttSetup {
            broker: self.broker.clone(),
            topic: self.topic.clone(),
            relay: self.relay,
            user: self.user.clone(),
            password: self.password.as_ref().map(|p| p.read(place).map(Secret::new)).transpose()?,
            ca: self.ca.as_ref().map(|ca| place.path(ca)),
            supply: supply(place, self.off_min),
        })
    }
}
