//! Where the device stands on its network: its address, the lab's, and how ports are shifted for users without privileges.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;

/// Ports below need privileges.
const PRIVILEGED: u16 = 1024;

/// The device's place on its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetSetup {
    /// Its own address.
    pub address: Ipv4Addr,
    /// The lab's: the resolver is there.
    pub gateway: Ipv4Addr,
    /// Added to every port below 1024, on both sides.
    pub low_ports: u16,
    /// The maker's CA, PEM. A file that is not there is trust in nobody.
    pub trust: Option<PathBuf>,
    /// Whether the cable is in from the start.
    pub link_up: bool,
}

impl NetSetup {
    /// The real port of one of the device's world.
    pub fn port(&self, port: u16) -> u16 {
        if port < PRIVILEGED { port.saturating_add(self.low_ports) } else { port }
    }

    /// Where one of the device's own ports is.
    pub fn own(&self, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(self.address, self.port(port))
    }

    /// Where the resolver is.
    pub fn resolver(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.gateway, self.port(53))
    }

    /// Which of the lab's addresses this is, counted from the gateway; 0 for strangers.
    pub fn from(&self, peer: SocketAddr) -> u8 {
        let IpAddr::V4(peer) = peer.ip() else { return 0 };
        let ([a, b, c, first], [x, y, z, last]) = (self.gateway.octets(), peer.octets());
        if [a, b, c] == [x, y, z] { last.saturating_sub(first) } else { 0 }
    }

    /// Where a broadcast goes. The loopback network has one of its own.
    pub fn broadcast(&self) -> Ipv4Addr {
        if self.address.is_loopback() { Ipv4Addr::new(127, 255, 255, 255) } else { Ipv4Addr::BROADCAST }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup() -> NetSetup {
        let (address, gateway) = (Ipv4Addr::new(127, 77, 0, 2), Ipv4Addr::new(127, 77, 0, 10));
        NetSetup { address, gateway, low_ports: 20_000, trust: None, link_up: false }
    }

    #[test]
    fn only_low_ports_are_shifted() {
        assert_eq!([0, 53, 1023, 1024, 8443].map(|p| setup().port(p)), [20_000, 20_053, 21_023, 1024, 8443]);
    }

    #[test]
    fn addresses_of_the_lab_are_counted_from_the_gateway() {
        let from = |text: &str| setup().from(format!("{text}:1").parse().unwrap());
        assert_eq!(["127.77.0.10", "127.77.0.13", "127.77.0.9", "127.78.0.13", "[::1]"].map(from), [0, 3, 0, 0, 0]);
    }
}
