//! What the lab sees of a device on the network.

use super::Certificate;
use crate::Moment;
use serde::{Deserialize, Serialize};

/// Something that the device did by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// When it reached the lab.
    pub at: Moment,
    /// Which unit of the rig did it: 1 on a rig with one device.
    pub unit: u32,
    /// To which host, as the device named it; for multicast the group's address.
    pub host: String,
    /// To which port.
    pub port: u16,
    /// Connection, by a number of the driver; 0 where there is none.
    pub conn: u64,
    /// What it did.
    pub sight: Sight,
}

/// What the device did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// Asked the resolver for `Seen::host`; whether it got an answer.
    Query {
        /// Whether the resolver answered with an address.
        answered: bool,
    },
    /// Asked a time server; whether it got an answer.
    Time {
        /// Whether it answered.
        answered: bool,
    },
    /// Tried to open a connection. With TLS, what it offered, as far as the front let it come to that.
    Dialled {
        /// Its ClientHello; none for a connection without TLS, or with a front that takes none.
        hello: Option<Hello>,
    },
    /// A TLS handshake ended well: the device took the lab's certificate.
    Secured {
        /// The certificate that the lab showed: a check compares it with the one it asked for.
        shown: Certificate,
        /// The subject of the device's own certificate, if it showed one, and the SHA-256 of its key, hex.
        client: Option<(String, String)>,
        /// Version negotiated.
        version: String,
        /// Suite negotiated.
        suite: String,
    },
    /// The device ended a handshake: it did not take the lab's certificate, or nothing that the lab offered.
    Declined {
        /// The certificate that the lab showed; none if it did not come to that.
        shown: Option<Certificate>,
        /// The alert or whatever came, in words.
        why: String,
    },
    /// A whole HTTP request.
    Request {
        /// Method.
        method: String,
        /// Target as it came, with its query.
        target: String,
        /// Head without the request line, as it came, at most 8 KiB.
        head: String,
        /// Body, at most 64 KiB.
        body: Vec<u8>,
    },
    /// MQTT CONNECT.
    Connect {
        /// Client identifier.
        client: String,
        /// User name.
        user: Option<String>,
        /// Whether it gave a password. The password itself is not kept.
        secret: bool,
    },
    /// MQTT PUBLISH.
    Published {
        /// Topic.
        topic: String,
        /// Payload, at most 64 KiB.
        payload: Vec<u8>,
        /// Whether it is to be retained.
        retain: bool,
    },
    /// MQTT SUBSCRIBE.
    Subscribed {
        /// Filter.
        filter: String,
    },
    /// Bytes that are none of these, at most 4 KiB a sight.
    Bytes(Vec<u8>),
    /// A datagram that is neither a query nor a question for the time: multicast announcements among them.
    Datagram(Vec<u8>),
    /// The connection ended from the device's side.
    Ended(End),
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum End {
    /// In order (FIN; with TLS, close_notify before it).
    Fin,
    /// Reset (RST).
    Reset,
}

/// What a device offers when it begins TLS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hello {
    /// Versions, oldest first: `TLS 1.2`.
    pub versions: Vec<String>,
    /// IANA names of the suites, in its order; GREASE values are left out.
    pub suites: Vec<String>,
    /// Server name that it asks for.
    pub name: Option<String>,
}
