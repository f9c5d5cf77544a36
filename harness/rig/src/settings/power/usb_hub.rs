//! `driver = "usb-hub"`: a port of a USB hub is the supply.

use super::super::{Place, Section, Settings, TimeSpan};
use super::{off_min, supply};
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, Power};
use proofbench_drivers::power::usb_hub::{Method, SYSFS, UsbHubSetup, open};
use serde::Deserialize;
use std::time::Duration;
use toml::Spanned;

/// A supply by USB hub.
#[derive(Debug, Clone, PartialEq)]
pub struct UsbHub {
    /// Hub as the kernel names it.
    pub hub: String,
    /// Port, 1 for the first.
    pub port: u32,
    /// How it is switched.
    pub method: Method,
    /// Off time.
    pub off_min: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Keys {
    hub: Spanned<String>,
    port: Spanned<u32>,
    #[serde(default)]
    method: Method,
    off_min: Option<Spanned<TimeSpan>>,
}

impl Settings for Keys {
    const EXAMPLE: &'static str = "hub = \"1-4\"\nport = 2";
}

impl UsbHub {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        let keys: Keys = section.settings()?;
        let hub = keys.hub.get_ref();
        let root = hub.strip_prefix("usb").is_some_and(|bus| bus.parse::<u8>().is_ok());
        let chain = hub.split_once('-').is_some_and(|(bus, chain)| bus.parse::<u8>().is_ok() && chain.split('.').all(|n| n.parse::<u8>().is_ok()));
        if !root && !chain {
            return Err(section.error(keys.hub.span(), "no USB hub", &["bus and ports as the kernel names it, such as 1-4, 1-4.2 or usb1"]));
        }
        // USB 2.0, table 11-13.
        let port = section.within(&keys.port, 1..=255, "port of a hub", "1 to 255")?;
        Ok(Self { hub: hub.clone(), port, method: keys.method, off_min: off_min(section, keys.off_min)? })
    }

    pub(super) fn open(&self, place: &Place<'_>) -> Result<Box<dyn Power>, ChannelError> {
        let (root, supply) = (SYSFS.into(), supply(place, self.off_min));
        open(UsbHubSetup { root, hub: self.hub.clone(), port: self.port, method: self.method, supply })
    }
}
