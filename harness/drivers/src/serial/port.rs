//! Finding and opening the port itself.

use super::SerialSetup;
use proofbench_channel::{ChannelError, ErrorKind};
use std::path::{Path, PathBuf};
use tokio_serial::{ErrorKind as SerialKind, SerialPortBuilder, SerialStream};

/// Opens the port exclusively. `Disconnected` if it is not there, `Refused` if somebody holds it or forbids it. Call inside the runtime.
pub(super) fn open(setup: &SerialSetup) -> Result<SerialStream, ChannelError> {
    let doing = format!("open {}", setup.port.display());
    let path = find(&setup.port).ok_or_else(|| ChannelError::new(ErrorKind::Disconnected, &doing))?;
    let port: SerialPortBuilder = tokio_serial::new(path.to_string_lossy(), setup.baud);
    SerialStream::open(&port).map_err(|e| {
        let kind = match e.kind() {
            SerialKind::Io(std::io::ErrorKind::NotFound) => ErrorKind::Disconnected,
            // The crate's word for "locked by somebody else".
            SerialKind::NoDevice | SerialKind::Io(std::io::ErrorKind::PermissionDenied) => ErrorKind::Refused,
            // A node that is about to vanish fails with EIO or ENXIO; those have no kind of their own.
            _ if !path.exists() => ErrorKind::Disconnected,
            _ => ErrorKind::Driver,
        };
        ChannelError::caused(kind, doing, e)
    })
}

/// Whether the port is a pseudo terminal: the kernel takes a BREAK on one and drops it.
pub(super) fn is_pseudo(port: &Path) -> bool {
    find(port).and_then(|p| p.canonicalize().ok()).is_some_and(|p| p.starts_with("/dev/pts"))
}

/// The path itself, or the one entry of its folder that fits the pattern in its last part.
fn find(port: &Path) -> Option<PathBuf> {
    let name = port.file_name()?.to_str()?;
    if !name.contains('*') {
        return port.exists().then(|| port.to_path_buf());
    }
    let parts: Vec<&str> = name.split('*').collect();
    let mut found = std::fs::read_dir(port.parent()?).ok()?.flatten().filter(|e| e.file_name().to_str().is_some_and(|n| fits(n, &parts)));
    let one = found.next()?.path();
    found.next().is_none().then_some(one)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_finds_exactly_one_entry() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["usb-ST_066BFF504955-if00", "usb-FTDI_A1-if00", "usb-FTDI_A2-if00"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let found = find(&dir.path().join("*066BFF504955*")).expect("one fits");
        assert!(found.ends_with("usb-ST_066BFF504955-if00"));
        assert_eq!(find(&dir.path().join("usb-FTDI*")), None, "two fit");
        assert_eq!(find(&dir.path().join("*nothing*")), None);
    }
}
