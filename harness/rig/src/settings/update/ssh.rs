//! `driver = "ssh"`: the update stack of a Linux board, worked by command lines over SSH.

use super::super::{Place, Section, Settings, TimeSpan};
use super::pattern;
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, ErrorKind, UpdatePath};
use proofbench_drivers::update::ssh::{Lines, SshSetup, open};
use serde::Deserialize;
use std::time::Duration;
use toml::Spanned;

/// How long an installation may take.
const INSTALL: Duration = Duration::from_secs(300);
/// How long another request may take.
const WITHIN: Duration = Duration::from_secs(30);
const MOST: Duration = Duration::from_secs(3600);

/// A device with an SSH server.
#[derive(Debug, Clone, PartialEq)]
pub struct Ssh {
    /// Name or address.
    pub host: String,
    /// TCP port, or the name of a forwarded port of the machine of `[qemu]`.
    pub port: String,
    /// Account.
    pub user: String,
    /// File of the private key, relative to the rig file.
    pub key: String,
    /// File of known hosts, relative to the rig file.
    pub known_hosts: Option<String>,
    /// What to say.
    pub lines: Lines,
    /// How a line of the state is read.
    pub image: String,
    /// Longest installation.
    pub install_within: Duration,
    /// Longest other request.
    pub within: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Keys {
    address: Spanned<String>,
    user: Spanned<String>,
    key: Spanned<String>,
    known_hosts: Option<Spanned<String>>,
    state: Spanned<String>,
    image: Spanned<String>,
    install: Spanned<String>,
    r#try: Option<Spanned<String>>,
    keep: Option<Spanned<String>>,
    erase: Option<Spanned<String>>,
    restart: Option<Spanned<String>>,
    install_within: Option<Spanned<TimeSpan>>,
    within: Option<Spanned<TimeSpan>>,
}

impl Settings for Keys {
    const EXAMPLE: &'static str = r#"address = "192.0.2.7:22"
user = "root"
key = "lab-key"
state = "rauc-state"
image = '^slot=(?P<slot>\d) version=(?P<version>\S+)(?P<active> booted)?(?P<confirmed> good)?$'
install = "cat > /tmp/bundle && rauc install /tmp/bundle""#;
}

/// A word of the client's command line: nothing that it could take for an option.
fn word(section: &Section<'_>, value: &Spanned<String>, example: &str) -> Result<String, RigFileError> {
    let text = value.get_ref();
    if text.is_empty() || text.starts_with('-') || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(section.error(value.span(), "no name", &[example]));
    }
    Ok(text.clone())
}

/// A line for the device's shell, with at most `{hash}` in it.
fn line(section: &Section<'_>, value: &Spanned<String>, hash: bool) -> Result<String, RigFileError> {
    if value.get_ref().trim().is_empty() {
        return Err(section.error(value.span(), "no command line", &["rauc install /tmp/bundle"]));
    }
    if hash { section.placeholders(value, &["{hash}"]) } else { Ok(value.get_ref().clone()) }
}

impl Ssh {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        let keys: Keys = section.settings()?;
        let valid = "host:port, such as 192.0.2.7:22, or 127.0.0.1:{qemu.ssh} with ports = [\"ssh\"] in [qemu]";
        let address = || section.error(keys.address.span(), "no address", &[valid]);
        let (host, port) = keys.address.get_ref().rsplit_once(':').ok_or_else(address)?;
        let forwarded = port.strip_prefix("{qemu.").and_then(|p| p.strip_suffix('}')).is_some_and(|name| !name.is_empty());
        if host.is_empty() || host.starts_with('-') || !(forwarded || port.parse::<u16>().is_ok_and(|p| p > 0)) {
            return Err(address());
        }
        let optional = |value: &Option<Spanned<String>>, hash| value.as_ref().map(|v| line(section, v, hash)).transpose();
        let time = |value: &Option<Spanned<TimeSpan>>, or| value.as_ref().map_or(Ok(or), |s| section.span(s, MOST));
        Ok(Self {
            host: host.to_owned(),
            port: port.to_owned(),
            user: word(section, &keys.user, "user = \"root\"")?,
            key: keys.key.get_ref().clone(),
            known_hosts: keys.known_hosts.as_ref().map(|k| k.get_ref().clone()),
            lines: Lines {
                state: line(section, &keys.state, false)?,
                install: line(section, &keys.install, false)?,
                try_once: optional(&keys.r#try, true)?,
                keep: optional(&keys.keep, true)?,
                erase: optional(&keys.erase, false)?,
                restart: optional(&keys.restart, false)?,
            },
            image: pattern(section, &keys.image)?,
            install_within: time(&keys.install_within, INSTALL)?,
            within: time(&keys.within, WITHIN)?,
        })
    }

    pub(super) fn open(&self, place: &Place<'_>) -> Result<Box<dyn UpdatePath>, ChannelError> {
        let port = place.qemu.map_or_else(|| self.port.clone(), |qemu| qemu.fill(&self.port));
        let unknown = || ChannelError::caused(ErrorKind::Driver, format!("find the port {}", self.port), "[qemu] has no forwarded port of this name");
        open(SshSetup {
            client: "ssh".into(),
            host: self.host.clone(),
            port: port.parse().map_err(|_| unknown())?,
            user: self.user.clone(),
            key: place.path(&self.key),
            known_hosts: self.known_hosts.as_ref().map(|k| place.path(k)),
            lines: self.lines.clone(),
            image: self.image.clone(),
            install_within: self.install_within,
            within: self.within,
            time: place.time,
        })
    }
}
