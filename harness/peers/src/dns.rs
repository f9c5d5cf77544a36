//! The resolver of the device's network, over UDP and TCP: a zone as a table, and for other names either nothing or the lab.
//!
//! With [`Unknown::Lab`] every name resolves to the lab, so that every destination of the device shows itself. Messages are read and written by
//! hickory-proto; lies that it would not write are put into the bytes afterwards.
//!
//! Run against: dig 9.18.49, Python 3.11 socket.

pub(crate) mod reply;
mod server;
mod zone;

pub use zone::{Record, Unknown, Zone};

use crate::{Lab, Service, Timeline};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::{TcpListener, UdpSocket};

/// How often a port is looked for that is free for both UDP and TCP.
const PORTS_TRIED: usize = 20;

/// How the resolver behaves. Numbers past what one message holds are cut to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conduct {
    /// As RFC 1035 and 6891 want it.
    Honest,
    /// No answer.
    Silent,
    /// SERVFAIL to everything.
    ServFail,
    /// REFUSED to everything.
    Refused,
    /// Over UDP an empty answer with the TC bit; over TCP the truth.
    Truncate,
    /// The truth under another transaction id.
    WrongId,
    /// The truth to a question that was not asked.
    WrongQuestion,
    /// One answer whose name is a pointer to itself.
    CompressionLoop,
    /// One TXT record of so many bytes, whatever was asked for; over UDP too, however little the device wants to take. At most 60 000.
    OversizedTxt(usize),
    /// So many A records, whatever was asked for; over UDP too. At most 3 700.
    ManyRecords(usize),
    /// The truth, with this time to live in seconds in every record; from 2^31 on, RFC 2181 takes it as 0.
    Ttl(u32),
    /// The truth from another port; over TCP the truth.
    OtherPort,
}

/// What the resolver is and where.
#[derive(Debug, Clone)]
pub struct DnsSetup {
    /// Name on the timeline.
    pub name: Arc<str>,
    /// Where to listen, UDP and TCP; port 0 is any. With an address of its own, answers come from there.
    pub listen: SocketAddr,
    /// What is known.
    pub zone: Zone,
    /// What becomes of other names.
    pub unknown: Unknown,
}

/// Why there is no resolver, or no such record.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// The address cannot be listened on.
    #[error("listen for DNS at {at}")]
    Listen {
        /// The address.
        at: SocketAddr,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// Not a name of DNS.
    #[error("read {name:?} as a name of DNS")]
    Name {
        /// The text.
        name: String,
        /// What is wrong with it.
        #[source]
        source: hickory_proto::ProtoError,
    },
}

/// A running resolver. Dropping it ends it and every connection.
#[derive(Debug)]
pub struct DnsServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    _services: [Service; 2],
}

#[derive(Debug)]
struct Shared {
    timeline: Timeline,
    name: Arc<str>,
    told: Mutex<Told>,
}

/// What the resolver is told.
#[derive(Debug)]
pub(crate) struct Told {
    pub zone: Zone,
    pub unknown: Unknown,
    pub conduct: Conduct,
}

impl Shared {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DnsServer {
    /// Listens, and is honest.
    pub fn start(lab: &Lab, setup: DnsSetup) -> Result<Self, DnsError> {
        let failed = |source| DnsError::Listen { at: setup.listen, source };
        let sockets = listen(lab, setup.listen).map_err(failed)?;
        let told = Told { zone: setup.zone, unknown: setup.unknown, conduct: Conduct::Honest };
        let shared = Arc::new(Shared { timeline: lab.timeline.clone(), name: setup.name, told: Mutex::new(told) });
        let udp = Service::start(lab, server::datagrams(sockets.udp, sockets.other, Arc::clone(&shared)));
        let tcp = Service::start(lab, server::listen(sockets.tcp, Arc::clone(&shared)));
        Ok(Self { address: sockets.address, shared, _services: [udp, tcp] })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it behaves from the next query on.
    pub fn set_conduct(&self, conduct: Conduct) {
        self.shared.told().conduct = conduct;
    }

    /// What it knows from the next query on.
    pub fn set_zone(&self, zone: Zone, unknown: Unknown) {
        let mut told = self.shared.told();
        (told.zone, told.unknown) = (zone, unknown);
    }
}

struct Sockets {
    address: SocketAddr,
    tcp: TcpListener,
    udp: UdpSocket,
    /// For answers from where nobody was asked.
    other: UdpSocket,
}

fn listen(lab: &Lab, at: SocketAddr) -> io::Result<Sockets> {
    let _inside = lab.runtime.enter();
    let udp = |at: SocketAddr| {
        let socket = std::net::UdpSocket::bind(at)?;
        socket.set_nonblocking(true)?;
        UdpSocket::from_std(socket)
    };
    let mut tried = 0;
    loop {
        tried += 1;
        let tcp = std::net::TcpListener::bind(at)?;
        tcp.set_nonblocking(true)?;
        let address = tcp.local_addr()?;
        match udp(address) {
            Ok(udp_socket) => {
                let other = udp(SocketAddr::new(address.ip(), 0))?;
                return Ok(Sockets { address, tcp: TcpListener::from_std(tcp)?, udp: udp_socket, other });
            }
            // The port that TCP was given is somebody's in UDP.
            Err(e) if at.port() == 0 && e.kind() == io::ErrorKind::AddrInUse && tried < PORTS_TRIED => {}
            Err(e) => return Err(e),
        }
    }
}
