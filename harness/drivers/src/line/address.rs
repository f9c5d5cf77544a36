//! Where a byte line is: a serial port of this machine by one of its names, or a server on the network.

use super::Door;
use super::usb::{self, Places};
use proofbench_channel::{ChannelError, ErrorKind};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A byte line's address. The node of a USB adapter gets another number whenever it comes back, so all but `Path` are looked up again at each reopening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineAddress {
    /// Device node, or a symlink to it, which is followed again at each reopening. One `*` or more in the last part stand for anything: exactly one
    /// entry must match.
    Path(PathBuf),
    /// Name of a link in `/dev/serial/by-id`; `*` as above.
    ById(String),
    /// Name of a link in `/dev/serial/by-path`; `*` as above.
    ByPath(String),
    /// The port of the USB device that has this serial number. Of a device with several ports: that of this USB interface.
    Usb {
        /// Serial number, exactly as the device tells it.
        serial: String,
        /// `bInterfaceNumber`; none if the device has one port only.
        interface: Option<u8>,
    },
    /// An RFC 2217 server.
    Rfc2217(NetAddress),
    /// A TCP server that passes bytes and nothing else.
    Tcp(NetAddress),
    /// A Unix socket at which an emulator that this program starts arrives.
    Door(Door),
}

impl LineAddress {
    /// The node of a serial port of this machine. `None` if it is not there now, or if this is no port of this machine.
    /// An error if more than one port fits.
    pub(super) fn node(&self, places: &Places) -> Result<Option<PathBuf>, ChannelError> {
        match self {
            LineAddress::Path(path) => self.one(path),
            LineAddress::ById(name) => self.one(&places.dev.join("serial/by-id").join(name)),
            LineAddress::ByPath(name) => self.one(&places.dev.join("serial/by-path").join(name)),
            LineAddress::Usb { serial, interface } => {
                let fits: Vec<_> = usb::ttys(places)
                    .into_iter()
                    .filter_map(|t| t.usb.map(|u| (t.node, u)))
                    .filter(|(_, u)| u.serial == *serial && interface.is_none_or(|n| u.interface == Some(n)))
                    .collect();
                let which = |(node, u): &(PathBuf, usb::UsbPort)| match u.interface {
                    Some(n) => format!("{} (interface {n})", node.display()),
                    None => node.display().to_string(),
                };
                self.unique(fits.iter().map(|f| (f.0.clone(), which(f))).collect())
            }
            LineAddress::Rfc2217(_) | LineAddress::Tcp(_) | LineAddress::Door(_) => Ok(None),
        }
    }

    /// The path itself, or the one entry of its folder that fits the pattern in its last part.
    fn one(&self, path: &Path) -> Result<Option<PathBuf>, ChannelError> {
        let Some(name) = path.file_name().and_then(|n| n.to_str()) else { return Ok(None) };
        if !name.contains('*') {
            return Ok(path.exists().then(|| path.to_path_buf()));
        }
        let parts: Vec<&str> = name.split('*').collect();
        let Some(Ok(folder)) = path.parent().map(std::fs::read_dir) else { return Ok(None) };
        let found = folder.flatten().filter(|e| e.file_name().to_str().is_some_and(|n| fits(n, &parts)));
        let mut found: Vec<PathBuf> = found.map(|e| e.path()).filter(|p| p.exists()).collect();
        found.sort();
        self.unique(found.into_iter().map(|p| (p.clone(), p.display().to_string())).collect())
    }

    fn unique(&self, mut found: Vec<(PathBuf, String)>) -> Result<Option<PathBuf>, ChannelError> {
        if found.len() < 2 {
            return Ok(found.pop().map(|(node, _)| node));
        }
        let names: Vec<String> = found.into_iter().map(|(_, name)| name).collect();
        let why = format!("several ports fit: {}", names.join(", "));
        Err(ChannelError::caused(ErrorKind::Refused, format!("find {self}"), why))
    }

    /// Whether this is a server on the network.
    pub fn is_network(&self) -> bool {
        matches!(self, LineAddress::Rfc2217(_) | LineAddress::Tcp(_))
    }
}

impl fmt::Display for LineAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LineAddress::Path(path) => write!(f, "serial {}", path.display()),
            LineAddress::ById(name) => write!(f, "serial by-id {name}"),
            LineAddress::ByPath(name) => write!(f, "serial by-path {name}"),
            LineAddress::Usb { serial, interface: None } => write!(f, "serial usb {serial}"),
            LineAddress::Usb { serial, interface: Some(n) } => write!(f, "serial usb {serial} interface {n}"),
            LineAddress::Rfc2217(server) => write!(f, "rfc2217 {server}"),
            LineAddress::Tcp(server) => write!(f, "tcp {server}"),
            LineAddress::Door(door) => write!(f, "line {door}"),
        }
    }
}

fn fits(name: &str, parts: &[&str]) -> bool {
    let [first, middle @ .., last] = parts else { return false };
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Host and port, as `host:port`, `192.0.2.1:port` or `[2001:db8::1]:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetAddress {
    host: String,
    port: u16,
}

impl NetAddress {
    /// Name or number of the host; IPv6 without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for NetAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') { write!(f, "[{}]:{}", self.host, self.port) } else { write!(f, "{}:{}", self.host, self.port) }
    }
}

/// What a network address must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("host:port expected, such as 192.0.2.7:4001 or [2001:db8::7]:4001")]
pub struct NoNetAddress;

impl FromStr for NetAddress {
    type Err = NoNetAddress;

    fn from_str(text: &str) -> Result<Self, NoNetAddress> {
        let (host, port) = text.rsplit_once(':').ok_or(NoNetAddress)?;
        let plain = match host.strip_prefix('[').map(|h| h.strip_suffix(']')) {
            Some(Some(v6)) => v6.parse::<std::net::Ipv6Addr>().is_ok().then_some(v6),
            Some(None) => None,
            None => (!host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))).then_some(host),
        };
        let port = port.parse().ok().filter(|p| *p > 0).ok_or(NoNetAddress)?;
        Ok(NetAddress { host: plain.ok_or(NoNetAddress)?.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn a_pattern_finds_exactly_one_entry() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["usb-ST_066BFF504955-if00", "usb-FTDI_A1-if00", "usb-FTDI_A2-if00"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let node = |pattern: &str| LineAddress::Path(dir.path().join(pattern)).node(&Places::default());
        assert!(node("*066BFF504955*").unwrap().expect("one fits").ends_with("usb-ST_066BFF504955-if00"));
        assert_eq!(node("*nothing*").unwrap(), None);
        let two = node("usb-FTDI*").unwrap_err();
        assert_eq!(two.kind, ErrorKind::Refused);
        let cause = two.source.unwrap().to_string();
        assert!(cause.contains("usb-FTDI_A1-if00") && cause.contains("usb-FTDI_A2-if00"), "{cause}");
    }

    #[rstest]
    #[case("ser2net.lab:4001", "ser2net.lab", 4001)]
    #[case("192.0.2.7:1", "192.0.2.7", 1)]
    #[case("[2001:db8::7]:65535", "2001:db8::7", 65535)]
    fn network_addresses_are_read_and_written(#[case] text: &str, #[case] host: &str, #[case] port: u16) {
        let address: NetAddress = text.parse().unwrap();
        assert_eq!((address.host(), address.port(), address.to_string().as_str()), (host, port, text));
    }

    #[rstest]
    #[case("lab")]
    #[case(":4001")]
    #[case("lab:0")]
    #[case("lab:70000")]
    #[case("2001:db8::7:4001")]
    #[case("[lab]:4001")]
    #[case("[::1:4001")]
    #[case("user@lab:4001")]
    fn what_is_no_network_address_is_refused(#[case] text: &str) {
        assert_eq!(text.parse::<NetAddress>(), Err(NoNetAddress));
    }
}
