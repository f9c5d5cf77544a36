//! The network between the bench and the device: the device's own services seen from the lab, and the lab's services seen by the device.
//!
//! One trait for both directions, because a check weighs both on one time line: what the lab asked, what the device sent by itself, and in which order.
//! A driver behind it is the lab: switch, gateway, resolver, clock, cloud, update server. TLS is the driver's work on both sides; a check says whether it
//! wants TLS and which certificate the lab shows, and sees what was negotiated. What the device's other end would see is data; an error is about the bench.

mod cert;
mod fault;
mod seen;
mod service;

pub use cert::Certificate;
pub use fault::Fault;
pub use seen::{End, Hello, Seen, Sight};
pub use service::{BrokerConduct, EPOCH_S, Front, Lie, Pace, Page, Service, Trade};

use crate::{ChannelError, Moment, Wait};
use std::ops::RangeInclusive;

/// A connection that the bench opened to the device, by the driver's own number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// How a connection to the device is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dial {
    /// The device's port.
    pub port: u16,
    /// Whether TLS is spoken on it. No certificate of the device is refused: what it shows is evidence.
    pub tls: bool,
    /// Which of the lab's own addresses it comes from; 0 is the usual one. A driver without several says `Unsupported` for others.
    pub from: u8,
}

impl Dial {
    /// Plain, from the usual address.
    pub fn plain(port: u16) -> Self {
        Self { port, tls: false, from: 0 }
    }
    /// With TLS, from the usual address.
    pub fn tls(port: u16) -> Self {
        Self { tls: true, ..Self::plain(port) }
    }
}

/// What came of opening a connection. Only [`Dialled::Refused`] is the device's own no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dialled {
    /// It is open; with TLS, this is what the device negotiated and showed.
    Open(ConnId, Option<Secured>),
    /// The device refused the connection (RST).
    Refused,
    /// The connection came up and the handshake failed, in these words.
    Unsecured(String),
    /// No answer in time. Says nothing about the device.
    Silent,
}

/// What a TLS handshake with the device's server ended in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secured {
    /// `TLS 1.2`, `TLS 1.3`.
    pub version: String,
    /// IANA name of the suite.
    pub suite: String,
    /// SHA-256 of the device's public key, hex.
    pub key: String,
    /// The name in its certificate.
    pub subject: String,
}

/// What one read of a connection brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// Bytes were appended; at least one.
    Bytes(Moment),
    /// Nothing until the deadline.
    Silence,
    /// The device ended the connection in order.
    Closed(Moment),
    /// The device reset it, or it broke.
    Reset(Moment),
}

/// What a scan found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortMap {
    /// Ports that took a connection, ascending.
    pub open: Vec<u16>,
    /// Ports from which nothing came back, ascending. Neither open nor closed.
    pub silent: Vec<u16>,
    /// How many refused.
    pub closed: u32,
    /// Ports that could not be judged, with the reason: the host's own services on a shared address.
    pub not_ours: Vec<(u16, String)>,
}

/// What became of one datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatagramSeen {
    /// An answer from that port.
    Answer(Vec<u8>),
    /// ICMP said that nobody listens there.
    Closed,
    /// Nothing came back. Says nothing about the device.
    Silent,
}

/// Which versions and suites a TLS server of the device takes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsOffer {
    /// Version and the IANA names of the suites it takes there, by version, oldest first. `SSL 3.0`, `TLS 1.0` to `TLS 1.3`.
    pub taken: Vec<(String, Vec<String>)>,
    /// Versions about which nothing is known: no answer, or one that is none. Never to be read as "off".
    pub unknown: Vec<String>,
    /// The certificate and key that it shows.
    pub shown: Option<Secured>,
}

/// The lab's side of the device's network.
///
/// Callers may rely on: events come in the order in which they happened, none twice; a connection's bytes in order; a service answers from the return of
/// [`Network::serve`] on. They may not rely on: that a device which is told of a change notices at once. State at open: the link is down, nothing is served,
/// nothing was seen. Dropping the channel takes the link down and every service away.
pub trait Network {
    /// Plugs the device's link in or pulls it. While it is pulled nothing passes in either direction, and open connections stay as they are.
    fn link(&mut self, up: bool, wait: &Wait) -> Result<(), ChannelError>;

    /// Opens a connection to a port of the device.
    fn connect(&mut self, dial: &Dial, wait: &Wait) -> Result<Dialled, ChannelError>;
    /// Hands bytes to a connection. `false`: it is not open any more, and nothing was sent.
    fn send(&mut self, conn: ConnId, bytes: &[u8], wait: &Wait) -> Result<bool, ChannelError>;
    /// Appends what has come on a connection; waits for the first byte. At most 64 KiB a call.
    fn receive(&mut self, conn: ConnId, into: &mut Vec<u8>, wait: &Wait) -> Result<Received, ChannelError>;
    /// Ends a connection from the bench's side; one that has ended already is no error.
    fn close(&mut self, conn: ConnId, end: End) -> Result<(), ChannelError>;

    /// Looks at TCP ports of the device, each once.
    fn scan(&mut self, ports: &[RangeInclusive<u16>], wait: &Wait) -> Result<PortMap, ChannelError>;
    /// Sends one datagram to a UDP port of the device and waits for what comes back from it.
    fn datagram(&mut self, port: u16, bytes: &[u8], wait: &Wait) -> Result<DatagramSeen, ChannelError>;
    /// Finds out what a TLS server of the device takes.
    fn tls_offer(&mut self, port: u16, wait: &Wait) -> Result<TlsOffer, ChannelError>;

    /// Puts a service up, or changes the one that is up at the same host and port. Connections that are open go on as they were, except to a service whose
    /// new front takes none: those are cut.
    fn serve(&mut self, service: &Service, wait: &Wait) -> Result<(), ChannelError>;
    /// Takes the service at this host and port away: connections to it are refused from now on.
    fn withdraw(&mut self, host: &str, port: u16, wait: &Wait) -> Result<(), ChannelError>;
    /// Lays a fault on the way between the device and this destination, as the device names it, in the place of the one that was there; `None` lifts it.
    /// It holds for connections that are up and for those to come, whatever service is there, until it is lifted or the network is cleared. What is on its way
    /// already arrives when it would have. `Unsupported` for a destination of datagrams.
    fn disturb(&mut self, host: &str, port: u16, fault: Option<Fault>, wait: &Wait) -> Result<(), ChannelError>;
    /// Publishes on the brokers that are up, as another client would. Says how many subscriptions it went to.
    fn publish(&mut self, topic: &str, payload: &[u8], retain: bool, wait: &Wait) -> Result<u32, ChannelError>;
    /// What the device did by itself since the last call, oldest first. Waits for the first sight; none until the deadline is an empty list.
    fn seen(&mut self, wait: &Wait) -> Result<Vec<Seen>, ChannelError>;
    /// What went over the network since the last call, as a pcapng file; none where the driver keeps none, or where nothing went. It is bounded and says what was
    /// left off. With the keys of the sessions between the device and the lab's services, where the driver has them: whoever has the file can read those.
    fn capture(&mut self) -> Option<Vec<u8>> {
        None
    }
    /// Back to the state at open: the link down, every call ended, nothing served, nothing seen.
    fn clear(&mut self, wait: &Wait) -> Result<(), ChannelError>;
    /// How many sights were lost because nobody took them; a check that judges absence must see 0.
    fn lost(&self) -> u64;

    /// What it is, for the journal: driver, addresses.
    fn describe(&self) -> String;
}
