//! What the lab puts up for the device: who it claims to be, how it takes connections, what it does on them.

use super::Certificate;
use serde::{Deserialize, Serialize};

/// One service of the lab, at a host name and port as the device knows them. UDP services (names, time) and TCP services have ports of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Host name. The lab's resolver answers it while the service is up; `*` is every name that has no service of its own at that port.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How connections are taken.
    pub front: Front,
    /// What happens on them.
    pub trade: Trade,
}

/// How a service takes connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Front {
    /// As they come, without TLS.
    #[default]
    Plain,
    /// With TLS, showing this certificate. A client certificate is asked for and taken whatever it says.
    Tls(Certificate),
    /// Refused (RST).
    Refuse,
    /// Not answered at all.
    Silent,
    /// Taken, and then nothing: no handshake, no byte.
    Stall,
    /// Taken and ended at once.
    HangUp,
}

/// What a service does on its connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trade {
    /// HTTP/1.1: these pages, `404` for the rest. What is posted is seen and answered with `204`.
    Web(Vec<Page>),
    /// An MQTT 3.1.1 broker.
    Broker(BrokerConduct),
    /// The resolver (UDP 53): every host that has a service is answered; the flag says whether it answers at all.
    Names {
        /// Whether queries are answered; a dead resolver sees them and is silent.
        alive: bool,
    },
    /// A time server (NTP, UDP 123).
    Time(Lie),
    /// Reads whatever comes and says nothing: a trap for flows that nobody declared.
    Sink,
}

/// A page of a web service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Path, without a query.
    pub path: String,
    /// Status of its answers.
    pub status: u16,
    /// `Location` header, for redirects.
    pub location: Option<String>,
    /// Content.
    pub body: Vec<u8>,
    /// Content of every answer after so many of the first content: what was checked is not what is installed.
    pub then: Option<(u32, Vec<u8>)>,
    /// How the body flows.
    pub pace: Pace,
}

impl Page {
    /// `200` with this content, honestly.
    pub fn new(path: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { path: path.to_owned(), status: 200, location: None, body: body.into(), then: None, pace: Pace::Whole }
    }
}

/// How the body of an answer flows. Ranges are answered with `206` in all of them but [`Pace::NoRanges`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pace {
    /// At once.
    #[default]
    Whole,
    /// So many bytes of the body, then nothing more on this connection.
    StallAfter(u64),
    /// So many bytes of the body, then the connection is reset.
    CutAfter(u64),
    /// `Content-Length` claims this many bytes; the body stays as it is, and then the connection ends.
    Claim(u64),
    /// Ranges are ignored: `200` and the whole body.
    NoRanges,
    /// Ranges are answered with bytes from so much further on than asked, and the asked range in the header.
    Shifted(u64),
}

/// What a broker does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum BrokerConduct {
    /// As MQTT 3.1.1 says. Whoever can connect may connect.
    #[default]
    Proper,
    /// Answers CONNECT with this code (1 to 5) and ends the connection.
    Refuse(u8),
    /// Never answers CONNECT.
    NoConnack,
    /// Takes PUBLISH and never acknowledges it.
    NoPublishAck,
    /// Sends these bytes after its CONNACK, once on each connection, whether they are MQTT or not.
    Bytes(Vec<u8>),
}

/// What a time server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lie {
    /// The bench's own time: 2026-11-24 00:00:00 UTC at moment 0.
    #[default]
    Truth,
    /// Off by so many seconds.
    Off(i64),
    /// This many seconds since 1970, standing still.
    Fixed(u64),
    /// Hears and does not answer.
    Dumb,
}

/// Seconds from 1970 to the bench's moment 0, as the lab's time server tells it on benches in virtual time: 2026-11-24 00:00:00 UTC.
pub const EPOCH_S: u64 = 1_795_478_400;
