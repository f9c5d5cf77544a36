//! A network that misbehaves when it is told to: TCP and UDP proxies between a device and a service.
//!
//! The device is given the proxy's address instead of the service's. What the proxy does to the traffic is switched by its handle while it runs, and holds
//! for what is passed on from then on, in connections that exist and in those to come. Bytes are passed on in their order, and a side that does not read
//! holds the other one up: at most 272 KiB of a connection's direction wait in the proxy.
//!
//! Every connection, its end and its bytes are on the timeline, and so is every switch. What is passed on goes into a capture, if there is one, as the
//! receiver got it and when.
//!
//! Run against: Debian's curl 7.88.1 and Python 3's http.server, `socket` of Python 3 over UDP.

mod corrupt;
mod pump;
mod tcp;
mod udp;

pub use corrupt::{Corrupt, Flips};
pub use tcp::{TcpFault, TcpProxy};
pub use udp::{UdpFault, UdpProxy};

use crate::capture::Capture;
use std::net::SocketAddr;

/// Which way traffic goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// What the device sends.
    ToService,
    /// What the service sends.
    ToDevice,
    /// All of it.
    Both,
}

impl Way {
    fn has(self, one: Way) -> bool {
        self == Way::Both || self == one
    }

    fn name(self) -> &'static str {
        match self {
            Self::ToService => "to the service",
            Self::ToDevice => "to the device",
            Self::Both => "both ways",
        }
    }
}

/// Where a proxy stands.
#[derive(Debug, Clone)]
pub struct ProxySetup {
    /// Its name on the timeline.
    pub name: String,
    /// Where the device reaches it; port 0 is any that is free.
    pub listen: SocketAddr,
    /// The service.
    pub to: SocketAddr,
    /// Most connections (TCP) or peers (UDP) at once; more are refused, and told.
    pub most: usize,
    /// Where what passes is written down.
    pub capture: Option<Capture>,
}

impl ProxySetup {
    /// A proxy on any free port of the same address family's loopback, for at most 256 connections, without a capture.
    pub fn loopback(name: impl Into<String>, to: SocketAddr) -> Self {
        let ip: std::net::IpAddr = if to.is_ipv4() { std::net::Ipv4Addr::LOCALHOST.into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
        Self { name: name.into(), listen: (ip, 0).into(), to, most: 256, capture: None }
    }
}

/// What a proxy has carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Connections accepted, or UDP peers seen.
    pub connections: u64,
    /// Of them, those that are there now.
    pub present: u64,
    /// Bytes handed to the service.
    pub to_service: u64,
    /// Bytes handed to the device.
    pub to_device: u64,
    /// Bytes that were thrown away on purpose or because a queue was full.
    pub lost: u64,
}
