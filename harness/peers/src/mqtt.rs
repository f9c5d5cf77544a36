//! The lab's MQTT 3.1.1 broker, as far as one device and the harness need it: plain or with TLS, with accounts or client certificates, QoS 0 to 2, retained
//! messages, wills, sessions that are kept. And a broker that misbehaves, when it is told to ([`Conduct`]).
//!
//! Packets are read and written by the codec of `rumqttc`. Every packet in and out is on the timeline with its bytes, as `connection N: got PUBLISH ...` and
//! `connection N: sent ...`. Passwords are never there: of a CONNECT the password is told as its SHA-256, and overwritten with `*` in the bytes, so that
//! only its length shows; of a CONNECT that cannot be read no more than the head is told. Of the messages of a flood only the last one is told.
//!
//! Bounded: [`Limits`], ten seconds for the TLS handshake, ten more for CONNECT, thirty for the client to take a packet, the client's own keep alive and
//! half of it after that. What does not fit is dropped and told.
//!
//! Not here: MQTT 5 and 3.1 (refused with return code 1), WebSockets, rights on topics, repeating an unacknowledged message on the same connection (the
//! standard wants that on the next one only).
//!
//! Run against: mosquitto_pub and mosquitto_sub 2.0.11 (plain, TLS, client certificates), Eclipse Paho for Python 2.1.0, TCP peers of the tests. Not run
//! against a real device.

mod conduct;
mod connection;
mod hub;
mod outbox;
mod session;
mod text;
mod topics;
mod wire;

pub use conduct::{Conduct, Malformed};
pub(crate) use connection::{Wire, talk};
pub(crate) use hub::{Heard, Hub, Watch};
pub use rumqttc::mqttbytes::{PacketType, QoS};

use crate::{Lab, Service};
use bytes::Bytes;
use rumqttc::mqttbytes::v4::Publish;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Who may connect.
#[derive(Debug, Clone)]
pub enum Access {
    /// Everybody.
    Open,
    /// Whoever has one of these accounts: others get return code 4, and 5 if they send no user name or no password.
    Passwords(Vec<Account>),
    /// Whoever has shown a client certificate that the TLS configuration takes: others get return code 5. Nobody, without TLS.
    Certificate,
}

/// A user name and its password.
#[derive(Clone)]
pub struct Account {
    /// User name.
    pub user: String,
    /// Password; never shown.
    pub password: String,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("user", &self.user).finish_non_exhaustive()
    }
}

/// How much of everything there may be.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at a time, and as many sessions without one.
    pub connections: usize,
    /// Bytes of a packet behind its fixed header.
    pub packet: usize,
    /// Topic filters of a session.
    pub subscriptions: usize,
    /// Messages that wait on a connection, messages that a session has not acknowledged, and PUBLISHes of QoS 2 that a client has not released. At most
    /// 65 535 have identifiers; more is taken as 60 000.
    pub queue: usize,
    /// Topics with a retained message.
    pub retained: usize,
    /// Bytes that wait on a connection, bytes that a session has not acknowledged, and bytes of all retained messages.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 64, packet: 256 * 1024, subscriptions: 200, queue: 1000, retained: 1000, bytes: 4 << 20 }
    }
}

/// What the broker is to be.
#[derive(Clone)]
pub struct Setup {
    /// Its name on the timeline.
    pub name: String,
    /// Address and port to listen at; port 0 is any that is free.
    pub listen: SocketAddr,
    /// TLS, if there is to be any, with what it demands of clients.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Who may connect.
    pub access: Access,
    /// Bounds.
    pub limits: Limits,
}

impl Setup {
    /// A broker without TLS, open to everybody.
    pub fn open(name: &str, listen: SocketAddr) -> Self {
        Self { name: name.to_owned(), listen, tls: None, access: Access::Open, limits: Limits::default() }
    }
}

/// A connection that the broker has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its number, as on the timeline.
    pub connection: u64,
    /// Where it comes from.
    pub from: SocketAddr,
    /// Its client identifier, once CONNECT was answered with success; text of the device. One that the broker gave begins with NUL.
    pub id: Option<String>,
}

/// What the broker cannot do.
#[derive(Debug, thiserror::Error)]
pub enum MqttError {
    /// The address cannot be listened at.
    #[error("listen at {listen}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// One cannot publish to this topic.
    #[error("publish to {0:?}: not a topic name")]
    Topic(String),
    /// The message is longer than a packet may be.
    #[error("publish {length} bytes: a packet has at most {most}")]
    TooLong {
        /// Length of the topic and the payload, in bytes.
        length: usize,
        /// The most, in bytes.
        most: usize,
    },
    /// There is no such connection now.
    #[error("find connection {0}: it is not there, or no longer")]
    NoConnection(u64),
}

/// A running broker. Dropping it ends it and all its connections.
pub struct Broker {
    address: SocketAddr,
    hub: Arc<Hub>,
    _service: Service,
}

impl Broker {
    /// Starts a broker. It listens when this returns.
    pub fn start(lab: &Lab, setup: Setup) -> Result<Self, MqttError> {
        let failed = |source| MqttError::Listen { listen: setup.listen, source };
        let listener = std::net::TcpListener::bind(setup.listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let _inside = lab.runtime.enter();
        let listener = TcpListener::from_std(listener).map_err(failed)?;
        let mut limits = setup.limits;
        limits.queue = limits.queue.min(60_000);
        let hub = Arc::new(Hub::new(lab.timeline.clone(), setup.name.into(), setup.access, limits));
        let service = Service::start(lab, connection::listen(listener, Arc::clone(&hub), setup.tls.map(TlsAcceptor::from)));
        Ok(Self { address, hub, _service: service })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The connections that there are now, in the order in which they came.
    pub fn clients(&self) -> Vec<Client> {
        self.hub.clients()
    }

    /// Publishes a message, as a client would. Returns to how many sessions it goes, with or without a connection.
    pub fn publish(&self, topic: &str, payload: &[u8], qos: QoS, retain: bool) -> Result<usize, MqttError> {
        if !topics::is_name(topic) {
            return Err(MqttError::Topic(topic.to_owned()));
        }
        let (length, most) = (topic.len() + payload.len(), self.hub.limits.packet);
        if length > most {
            return Err(MqttError::TooLong { length, most });
        }
        let mut message = Publish::new(topic, qos, payload);
        message.retain = retain;
        Ok(self.hub.publish(&message))
    }

    /// Topics with a retained message, and its payload; both are the device's, if it published them.
    pub fn retained(&self) -> Vec<(String, Bytes)> {
        self.hub.retained()
    }

    /// Treats every connection like this from now on, those that are there and those to come. What a connection alone was told is forgotten.
    pub fn conduct(&self, conduct: Conduct) {
        self.hub.conduct(None, conduct);
    }

    /// Treats one connection like this from now on.
    pub fn conduct_of(&self, connection: u64, conduct: Conduct) -> Result<(), MqttError> {
        self.hub.conduct(Some(connection), conduct).then_some(()).ok_or(MqttError::NoConnection(connection))
    }

    /// Resets a connection (RST), whatever is left to send.
    pub fn reset(&self, connection: u64) -> Result<(), MqttError> {
        self.hub.reset(connection).then_some(()).ok_or(MqttError::NoConnection(connection))
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("address", &self.address).finish_non_exhaustive()
    }
}
