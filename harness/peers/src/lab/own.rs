//! Ports of this machine that look like the device's, because the device is a process on it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A socket that listens, in the tables of the kernel.
const LISTENS: &str = "0A";

/// Ports at which somebody listens on every address of this machine, and on this one in passing, with the reason why they are not the device's. Only on
/// loopback: elsewhere the device is another machine. A device that listens on every address itself cannot be told from its host.
pub(super) fn strangers(device: IpAddr) -> BTreeMap<u16, String> {
    if !device.is_loopback() {
        return BTreeMap::new();
    }
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let listeners: Vec<(IpAddr, u16)> = tables.iter().flat_map(|t| t.lines().skip(1)).filter_map(listener).collect();
    let everywhere = listeners.iter().filter(|(address, _)| address.is_unspecified()).map(|(_, port)| *port);
    let exact = |port: u16| listeners.contains(&(device, port));
    everywhere.filter(|p| !exact(*p)).map(|p| (p, "this machine listens on every address".to_owned())).collect()
}

/// Address and port of a line of the kernel's table, if it is of a socket that listens.
fn listener(line: &str) -> Option<(IpAddr, u16)> {
    let mut fields = line.split_whitespace().skip(1);
    let (local, _, state) = (fields.next()?, fields.next()?, fields.next()?);
    if state != LISTENS {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let address = match address.len() {
        // The kernel prints words in the machine's order.
        8 => IpAddr::V4(Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?.to_ne_bytes())),
        32 => {
            let mut octets = [0; 16];
            for (n, word) in octets.chunks_mut(4).enumerate() {
                word.copy_from_slice(&u32::from_str_radix(address.get(n * 8..n * 8 + 8)?, 16).ok()?.to_ne_bytes());
            }
            let v6 = Ipv6Addr::from(octets);
            v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4)
        }
        _ => return None,
    };
    Some((address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_read_from_the_kernels_table() {
        let one = u32::from_ne_bytes([127, 0, 0, 1]);
        let line = format!("   0: {one:08X}:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1");
        assert_eq!(listener(&line), Some((Ipv4Addr::LOCALHOST.into(), 8080)));
        assert_eq!(listener(&line.replace(" 0A ", " 01 ")), None);
        let any = "   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 0";
        assert_eq!(listener(any), Some((Ipv6Addr::UNSPECIFIED.into(), 22)));
        assert_eq!(listener("  sl  local_address rem_address   st"), None);
    }
}
