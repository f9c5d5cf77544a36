//! `driver = "http-pull"`: the device fetches images from the harness.

use super::super::{Place, Section, Settings, TimeSpan};
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, ErrorKind, UpdatePath};
use proofbench_drivers::update::pull::{PullSetup, open};
use serde::Deserialize;
use std::net::SocketAddr;
use std::time::Duration;
use toml::Spanned;

/// How long until the device has come: update clients ask every few minutes.
const WITHIN: Duration = Duration::from_secs(600);
const WITHIN_MOST: Duration = Duration::from_secs(24 * 3600);
/// Longest template of a manifest.
const TEMPLATE_MOST: u64 = 1 << 20;

/// An update server.
#[derive(Debug, Clone, PartialEq)]
pub struct Pull {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What the image's URL begins with.
    pub base: Option<String>,
    /// Path of the manifest.
    pub manifest: String,
    /// Path of the image.
    pub image: String,
    /// File of the user's own manifest.
    pub template: Option<String>,
    /// Longest time.
    pub deadline: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Keys {
    listen: Spanned<String>,
    base: Option<Spanned<String>>,
    manifest: Option<Spanned<String>>,
    image: Option<Spanned<String>>,
    template: Option<Spanned<String>>,
    deadline: Option<Spanned<TimeSpan>>,
}

impl Settings for Keys {
    const EXAMPLE: &'static str = "listen = \"192.0.2.1:8080\"";
}

impl Pull {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        let keys: Keys = section.settings()?;
        let listen: Option<SocketAddr> = keys.listen.get_ref().parse().ok().filter(|a: &SocketAddr| a.port() > 0);
        let listen = listen.ok_or_else(|| {
            section.error(
                keys.listen.span(),
                "no address of this machine",
                &["its IP address and a port, such as 192.0.2.1:8080, or 0.0.0.0:8080 for all"],
            )
        })?;
        if let Some(base) = &keys.base {
            let text = base.get_ref();
            let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or_default();
            if rest.is_empty() || text.contains(['?', '#', '@', ' ']) {
                return Err(section.error(base.span(), "no beginning of a URL", &["http://update.lab:8080"]));
            }
        }
        let path = |value: &Option<Spanned<String>>, default: &str| match value {
            None => Ok(default.to_owned()),
            Some(v) if v.get_ref().starts_with('/') && !v.get_ref().contains(['?', '#', ' ']) => Ok(v.get_ref().clone()),
            Some(v) => Err(section.error(v.span(), "no path of a URL", &[default])),
        };
        let (manifest, image) = (path(&keys.manifest, "/manifest.json")?, path(&keys.image, "/image.bin")?);
        if manifest == image {
            return Err(section.wrong("manifest and image are at the same path", &["manifest = \"/manifest.json\"", "image = \"/image.bin\""]));
        }
        Ok(Self {
            listen,
            base: keys.base.map(Spanned::into_inner),
            manifest,
            image,
            template: keys.template.map(Spanned::into_inner),
            deadline: keys.deadline.map_or(Ok(WITHIN), |s| section.span(&s, WITHIN_MOST))?,
        })
    }

    pub(super) fn open(&self, place: &Place<'_>) -> Result<Box<dyn UpdatePath>, ChannelError> {
        open(PullSetup {
            listen: self.listen,
            base: self.base.clone(),
            manifest: self.manifest.clone(),
            image: self.image.clone(),
            template: self.template.as_ref().map(|name| template(place, name)).transpose()?,
            within: self.deadline,
            time: place.time,
        })
    }
}

fn template(place: &Place<'_>, name: &str) -> Result<String, ChannelError> {
    let path = place.path(name);
    let failed = |why: String| ChannelError::caused(ErrorKind::Driver, format!("read the manifest's template {}", path.display()), why);
    let length = std::fs::metadata(&path).map_err(|e| failed(e.to_string()))?.len();
    if length > TEMPLATE_MOST {
        return Err(failed(format!("it has {length} bytes; at most {TEMPLATE_MOST} are read")));
    }
    std::fs::read_to_string(&path).map_err(|e| failed(e.to_string()))
}
