//! A TLS server for the device to come to: it serves a good certificate or a bad one, or does something that a server should not, and tells what came.
//!
//! Every connection begins with the device's ClientHello, which goes onto the timeline in names and in bytes. What follows is the [`Behaviour`] of the moment
//! at which the connection came; it can be changed while the server runs, so that a device finds one certificate after the other at one address.
//!
//! | entry of the timeline | bytes |
//! | --- | --- |
//! | connection from an address | |
//! | ClientHello in names, or why there is none | what came, up to 64 KiB |
//! | handshake done, or resumed: version, suite, certificate served, certificates of the device | the device's own certificate |
//! | handshake failed: the device's alert by name, or the reason | |
//! | first application data | up to 4 KiB of it |
//! | end of the connection: how, and how many bytes of application data came | |
//!
//! **Application data behind a bad certificate** is what a check asks for, and [`TlsServer::met`] tells it in numbers. Sessions are not resumed, by ticket or
//! otherwise: a device that resumes does not look at the certificate again. In TLS 1.3 a device may finish the handshake and refuse afterwards: the alert is
//! then at the end of the connection.
//!
//! Bounds: 32 connections at a time, each for at most three times the patience, and what is read without an end is counted and thrown away.
//!
//! Run against: Debian's OpenSSL 3.0 (`openssl s_client`) and curl 7.88.1.

mod conn;

use super::certs::{CertError, Flaw, Identity};
use crate::{Lab, Service, accept};
use bytes::Bytes;
use conn::{Acts, Ground};
use proofbench_channel::{ChannelError, ErrorKind};
use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;

/// Most connections at a time; the next one waits until one has ended.
const CONNECTIONS_MOST: usize = 32;
/// Most connections that are remembered.
const MET_MOST: usize = 1000;

/// What the server does with a connection once its ClientHello is there.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// A handshake with this certificate, then whatever the device sends.
    Serve(Identity),
    /// Ends its side without a word.
    Close,
    /// Says nothing, and keeps the connection until the device ends it or the patience does.
    Stall,
    /// Answers with these bytes in the clear, whatever came, and ends its side.
    Plain(Bytes),
    /// Refuses by this alert, and ends its side.
    Alert(u8),
}

/// A server to be started.
#[derive(Debug, Clone)]
pub struct TlsSetup {
    /// Name of the server on the timeline.
    pub peer: Arc<str>,
    /// Address and port to listen at; port 0 is any that is free.
    pub listen: SocketAddr,
    /// What it does first.
    pub behaviour: Behaviour,
    /// CA of certificates that a device must show; `None`: it is not asked for one.
    pub client_ca: Option<CertificateDer<'static>>,
    /// What the server answers to the first application data; empty: nothing, and it waits for the device to end.
    pub answer: Bytes,
    /// Longest time for each of: the ClientHello, the handshake, what follows.
    pub patience: Duration,
}

/// Why a server does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The bench has no such address, or it is taken.
    #[error(transparent)]
    Listen(#[from] ChannelError),
    /// The certificate cannot be served.
    #[error(transparent)]
    Certificate(#[from] CertError),
    /// The client's CA cannot be used.
    #[error("take the CA of client certificates")]
    ClientCa(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The TLS library refuses its own settings.
    #[error("set up TLS")]
    Settings(#[source] rustls::Error),
}

/// How far a handshake came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handshake {
    /// Not decided yet.
    Open,
    /// No ClientHello came; the reason.
    NoHello(String),
    /// The server was told to do something else.
    NotServed,
    /// Done.
    Done {
        /// The version.
        version: u16,
        /// The suite.
        suite: u16,
        /// How many certificates the device showed.
        certificates: usize,
        /// Whether an earlier session was resumed, without a certificate of the server. This server offers no way to.
        resumed: bool,
    },
    /// The device ended it with this alert.
    Alert(u8),
    /// It failed otherwise; the reason.
    Failed(String),
}

/// A connection, as far as it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Met {
    /// Its number, from 1 on, as in the timeline.
    pub number: u64,
    /// The certificate that it was to get; `None`: none was served.
    pub flaw: Option<Flaw>,
    /// How far the handshake came.
    pub handshake: Handshake,
    /// Bytes of application data that came from the device.
    pub data: u64,
    /// An alert of the device behind the handshake, other than close_notify.
    pub alert: Option<u8>,
    /// Whether the connection has ended.
    pub ended: bool,
}

/// A running server. Dropping it ends it and its connections.
#[derive(Debug)]
pub struct TlsServer {
    address: SocketAddr,
    ground: Arc<Ground>,
    _listening: Service,
}

impl TlsServer {
    /// Starts to listen. Not to be called on a thread of the lab's runtime. `Refused` if the address is taken or forbidden, `Disconnected` if this machine
    /// has no such address.
    pub fn start(lab: &Lab, setup: TlsSetup) -> Result<Self, ServerError> {
        let failed = |e: io::Error| {
            let kind = match e.kind() {
                io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => ErrorKind::Refused,
                io::ErrorKind::AddrNotAvailable => ErrorKind::Disconnected,
                _ => ErrorKind::Driver,
            };
            ChannelError::caused(kind, format!("listen at {}", setup.listen), e)
        };
        let acts = Arc::new(acts(&setup.behaviour, setup.client_ca.as_ref())?);
        let listener = lab.runtime.block_on(TcpListener::bind(setup.listen)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let ground = Arc::new(Ground { timeline: lab.timeline.clone(), setup, acts: Mutex::new(acts), met: Mutex::default() });
        let listening = Service::start(lab, listen(listener, Arc::clone(&ground)));
        Ok(Self { address, ground, _listening: listening })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to do with connections that come from now on. On an error it goes on as before.
    pub fn behave(&self, behaviour: &Behaviour) -> Result<(), ServerError> {
        let acts = acts(behaviour, self.ground.setup.client_ca.as_ref())?;
        *lock(&self.ground.acts) = Arc::new(acts);
        Ok(())
    }

    /// The last thousand connections, the oldest first, each as far as it has come.
    pub fn met(&self) -> Vec<Met> {
        lock(&self.ground.met).iter().cloned().collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn acts(behaviour: &Behaviour, client_ca: Option<&CertificateDer<'static>>) -> Result<Acts, ServerError> {
    let identity = match behaviour {
        Behaviour::Serve(identity) => identity,
        Behaviour::Close => return Ok(Acts::Close),
        Behaviour::Stall => return Ok(Acts::Stall),
        Behaviour::Plain(bytes) => return Ok(Acts::Plain(bytes.clone())),
        Behaviour::Alert(description) => return Ok(Acts::Alert(*description)),
    };
    let provider = Arc::new(default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(ServerError::Settings)?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(ca.clone()).map_err(|e| ServerError::ClientCa(e.into()))?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|e| ServerError::ClientCa(e.into()))?)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified()?)));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Acts::Serve(identity.flaw, Arc::new(config)))
}

async fn listen(listener: TcpListener, ground: Arc<Ground>) {
    let mut number = 0;
    accept(listener, CONNECTIONS_MOST, |stream, from| {
        number += 1;
        let acts = Arc::clone(&lock(&ground.acts));
        conn::serve(stream, plain(from), number, acts, Arc::clone(&ground))
    })
    .await;
}

/// An IPv4 address as such, also where the server listens for both families.
fn plain(from: SocketAddr) -> SocketAddr {
    match from.ip() {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(from, |v4| SocketAddr::from((v4, from.port()))),
        IpAddr::V4(_) => from,
    }
}

/// Remembers a new connection; the oldest is forgotten for it when there are too many.
fn remember(met: &mut VecDeque<Met>, new: Met) {
    if met.len() >= MET_MOST {
        met.pop_front();
    }
    met.push_back(new);
}
