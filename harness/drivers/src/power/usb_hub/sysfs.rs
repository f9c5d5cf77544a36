//! The port in sysfs: its folder, its other half, its switch.

use super::super::word;
use crate::text::shown;
use proofbench_channel::{ChannelError, ErrorKind, PowerAsk};
use std::fs::{OpenOptions, read_dir, read_to_string};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A port by its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Folder of USB devices.
    pub root: PathBuf,
    /// Hub as the kernel names it.
    pub hub: String,
    /// Port, 1 for the first.
    pub port: u32,
}

/// One half of a port: the port of a USB 2 hub, or of the USB 3 hub in the same case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Port {
    /// Its folder.
    folder: PathBuf,
    /// Its hub's name and its own number.
    hub: String,
    number: u32,
    /// The hub's folder among USB devices.
    device: PathBuf,
}

impl Place {
    pub(crate) fn describe(&self) -> String {
        format!("port {} of USB hub {}", self.port, self.hub)
    }

    /// Both halves of the port, or the one that there is.
    pub(crate) fn find(&self) -> Result<Vec<Port>, ChannelError> {
        let doing = || format!("find {}", self.describe());
        let device = self.root.join(&self.hub);
        if !plain(&self.hub) || !device.is_dir() {
            let there = self.hubs();
            let there = if there.is_empty() { "there is no USB hub here".to_owned() } else { format!("there are {}", there.join(", ")) };
            return Err(ChannelError::caused(ErrorKind::Disconnected, doing(), there));
        }
        let folder = device.join(interface(&self.hub)).join(format!("{}-port{}", self.hub, self.port));
        if !folder.is_dir() {
            let ports = read_to_string(device.join("maxchild"))
                .map_or_else(|_| "no known number of ports".to_owned(), |n| format!("{} ports", shown(n.trim().as_bytes())));
            return Err(ChannelError::caused(ErrorKind::Disconnected, doing(), format!("it has {ports}")));
        }
        let first = Port { folder, hub: self.hub.clone(), number: self.port, device };
        let mut both = vec![first];
        if let Some(peer) = both[0].peer(&self.root)? {
            both.push(peer);
        }
        Ok(both)
    }

    /// Names of the hubs that are there.
    fn hubs(&self) -> Vec<String> {
        let names = read_dir(&self.root).into_iter().flatten().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut hubs: Vec<String> = names.filter(|name| plain(name) && self.root.join(name).join("maxchild").exists()).collect();
        // Devices without ports have the file too.
        hubs.retain(|name| read_to_string(self.root.join(name).join("maxchild")).is_ok_and(|n| n.trim() != "0"));
        hubs.sort();
        hubs
    }
}

/// The folder of a hub's interface: `1-4:1.0`, and `1-0:1.0` for the root hub `usb1`.
fn interface(hub: &str) -> String {
    match hub.strip_prefix("usb") {
        Some(bus) => format!("{bus}-0:1.0"),
        None => format!("{hub}:1.0"),
    }
}

/// Whether this can be a name of the kernel's, and so no way out of the folder.
fn plain(name: &str) -> bool {
    !name.is_empty() && name.len() < 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.')) && !name.starts_with('.')
}

impl Port {
    pub fn hub(&self) -> &str {
        &self.hub
    }

    pub fn number(&self) -> u32 {
        self.number
    }

    /// Bus and address of the hub, as the kernel numbers them.
    pub fn address(&self) -> Result<(u8, u8), ChannelError> {
        let number = |name: &str| {
            let text = read_to_string(self.device.join(name)).ok()?;
            text.trim().parse::<u8>().ok()
        };
        number("busnum")
            .zip(number("devnum"))
            .ok_or_else(|| ChannelError::new(ErrorKind::Disconnected, format!("find the address of USB hub {}", self.hub)))
    }

    fn describe(&self) -> String {
        format!("port {} of USB hub {}", self.number, self.hub)
    }

    /// The other half, by the link that the kernel puts into the folder.
    fn peer(&self, root: &Path) -> Result<Option<Port>, ChannelError> {
        let link = self.folder.join("peer");
        let doing = || format!("find the other half of {}", self.describe());
        let folder = match link.canonicalize() {
            Ok(folder) => folder,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(ChannelError::caused(ErrorKind::Driver, doing(), e)),
        };
        // .../2-4/2-4:1.0/2-4-port2
        let name = folder.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let parts = name.rsplit_once("-port").and_then(|(hub, number)| Some((hub.to_owned(), number.parse().ok()?)));
        match parts {
            Some((hub, number)) if plain(&hub) => Ok(Some(Port { device: root.join(&hub), folder, hub, number })),
            _ => Err(ChannelError::caused(ErrorKind::Protocol, doing(), format!("`{}` is no port", shown(name.as_bytes())))),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.join("disable")
    }

    /// Whether the kernel has a switch for it.
    pub fn has_switch(&self) -> bool {
        self.file().exists()
    }

    pub fn must_have_switch(&self) -> Result<(), ChannelError> {
        if self.has_switch() {
            return Ok(());
        }
        let why = format!("{} is not there: the kernel is older than 6.0; method `request` needs no such file", self.file().display());
        Err(ChannelError::caused(ErrorKind::Unsupported, format!("switch {}", self.describe()), why))
    }

    pub fn is_on(&self) -> Result<bool, ChannelError> {
        let doing = || format!("read {}", self.describe());
        let text = read_to_string(self.file()).map_err(|e| failed(doing(), e))?;
        match text.trim() {
            "0" => Ok(true),
            "1" => Ok(false),
            other => Err(ChannelError::caused(ErrorKind::Protocol, doing(), format!("{} says `{}`", self.file().display(), shown(other.as_bytes())))),
        }
    }

    pub fn switch(&self, ask: PowerAsk) -> Result<(), ChannelError> {
        let doing = || format!("switch {} {}", self.describe(), word(ask));
        let value: &[u8] = if ask == PowerAsk::On { b"0\n" } else { b"1\n" };
        let mut file = OpenOptions::new().write(true).open(self.file()).map_err(|e| failed(doing(), e))?;
        file.write_all(value).map_err(|e| failed(doing(), e))
    }
}

/// What the kernel's refusal means, and what helps.
fn failed(doing: String, e: io::Error) -> ChannelError {
    let kind = match e.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Refused,
        io::ErrorKind::NotFound => ErrorKind::Disconnected,
        _ => ErrorKind::Driver,
    };
    if kind != ErrorKind::Refused {
        return ChannelError::caused(kind, doing, e);
    }
    let rule = r#"SUBSYSTEM=="usb", DRIVER=="hub", RUN+="/bin/sh -c 'chgrp -f plugdev $sys$devpath/*-port*/disable; chmod -f 660 $sys$devpath/*-port*/disable; true'""#;
    ChannelError::caused(kind, doing, format!("{e}; this udev rule lets members of the group plugdev do it: {rule}"))
}
