//! A connection that the device opens: its host's name resolved, TCP, TLS.

use super::resolve::{Known, Query};
use super::setup::NetSetup;
use super::stream::{Broken, Look, Stream};
use super::{socket, tls};
use proofbench_emulator::net::{ClientTls, OpenFailed, TlsVersion};
use rustix::event::{PollFd, PollFlags};
use rustls::pki_types::CertificateDer;
use rustls::{AlertDescription, Connection};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

/// After so long without a step nothing is expected any more, on wires as short as these.
pub const EXPECTED: Duration = Duration::from_millis(300);

/// What an attempt needs to know of the module.
pub struct Ground<'a> {
    /// Its place on the network.
    pub setup: &'a NetSetup,
    /// The maker's CA.
    pub anchor: Option<&'a CertificateDer<'static>>,
    /// Device time.
    pub now: u64,
}

/// How far an attempt is.
enum Stage {
    Resolving(Query),
    Connecting(TcpStream),
    Shaking(Box<Stream>),
    /// An old hello is out: see [`tls::old`]. After its answer the address is tried once more, with what is new of the offer, if there is any.
    Old(Box<Stream>, Option<Ipv4Addr>),
}

/// What came of a turn.
pub enum Step {
    /// Nothing yet.
    Waits(Dial),
    /// It is up; the bytes came right behind the handshake.
    Up(Stream, Vec<u8>),
    /// It is not; the stream may have something to say about it.
    Failed(OpenFailed, Option<Stream>),
}

/// The attempt.
pub struct Dial {
    host: String,
    port: u16,
    tls: Option<ClientTls>,
    stage: Stage,
    moved: Instant,
}

impl Dial {
    /// Begins, with this number for a question to the resolver.
    pub fn begin(ground: &Ground<'_>, host: String, port: u16, tls: Option<ClientTls>, id: u16) -> Step {
        let moved = Instant::now();
        let stage = match host.parse::<Ipv4Addr>() {
            Ok(address) => connect(ground, address, port).map(Stage::Connecting).map_err(|e| failure(&e)),
            Err(_) => Query::new(ground.setup, &host, id, ground.now).map(Stage::Resolving).map_err(|_| OpenFailed::NoName),
        };
        match stage {
            Ok(stage) => Self { host, port, tls, stage, moved }.turn(ground),
            Err(why) => Step::Failed(why, None),
        }
    }

    /// What is to be done without anything having arrived.
    pub fn turn(self, ground: &Ground<'_>) -> Step {
        let Self { host, port, tls, stage, moved } = self;
        match stage {
            Stage::Resolving(mut query) => match query.turn(ground.now) {
                Known::No => Step::Failed(OpenFailed::NoName, None),
                _ => Step::Waits(Self { host, port, tls, stage: Stage::Resolving(query), moved }),
            },
            stage => Step::Waits(Self { host, port, tls, stage, moved }),
        }
    }

    /// Looks at what has arrived.
    pub fn serve(self, ground: &Ground<'_>) -> Step {
        let Self { host, port, mut tls, stage, mut moved } = self;
        let again = |stage, host, tls, moved| Step::Waits(Self { host, port, tls, stage, moved });
        match stage {
            Stage::Resolving(mut query) => match query.hear() {
                Known::Waits => again(Stage::Resolving(query), host, tls, moved),
                Known::No => Step::Failed(OpenFailed::NoName, None),
                Known::Address(address) => match connect(ground, address, port) {
                    Ok(stream) => Self { host, port, tls, stage: Stage::Connecting(stream), moved: Instant::now() }.serve(ground),
                    Err(e) => Step::Failed(failure(&e), None),
                },
            },
            Stage::Connecting(tcp) => match (socket::outcome(&tcp), &tls) {
                (None, _) => again(Stage::Connecting(tcp), host, tls, moved),
                (Some(Err(e)), _) => Step::Failed(failure(&e), None),
                (Some(Ok(())), None) => Step::Up(Stream::new(tcp, None), Vec::new()),
                (Some(Ok(())), Some(wanted)) if let Some(hello) = beside(wanted, &host) => {
                    let address = tcp.peer_addr().ok().and_then(|at| if let SocketAddr::V4(at) = at { Some(*at.ip()) } else { None });
                    let mut stream = Stream::new(tcp, None);
                    stream.send(&hello);
                    stream.write();
                    again(Stage::Old(Box::new(stream), address), host, tls, Instant::now())
                }
                (Some(Ok(())), Some(wanted)) => match tls::client(wanted, &host, ground.anchor.cloned()) {
                    Ok(client) => {
                        let stage = Stage::Shaking(Box::new(Stream::new(tcp, Some(Connection::Client(client)))));
                        Self { host, port, tls, stage, moved: Instant::now() }.serve(ground)
                    }
                    Err(_) => {
                        let mut stream = Stream::new(tcp, None);
                        let Some(hello) = tls::old::hello(&wanted.terms, wanted.named.then_some(&host)) else {
                            // Nothing that it offers can be said: it found nothing in common.
                            return Step::Failed(OpenFailed::Untrusted, Some(stream));
                        };
                        stream.send(&hello);
                        stream.write();
                        again(Stage::Old(Box::new(stream), None), host, tls, Instant::now())
                    }
                },
            },
            Stage::Old(mut stream, next) => {
                let mut answer = Vec::new();
                match (stream.read(&mut answer), answer.is_empty(), next) {
                    (_, false, None) => Step::Failed(OpenFailed::Untrusted, Some(*stream)),
                    (_, false, Some(address)) => {
                        stream.end();
                        stream.write();
                        if let Some(tls) = &mut tls {
                            tls.terms.retain(|(v, _)| *v >= TlsVersion::Tls12);
                        }
                        match connect(ground, address, port) {
                            Ok(tcp) => Self { host, port, tls, stage: Stage::Connecting(tcp), moved: Instant::now() }.serve(ground),
                            Err(e) => Step::Failed(failure(&e), None),
                        }
                    }
                    (Look::Goes, true, next) => again(Stage::Old(stream, next), host, tls, moved),
                    (Look::Ended | Look::Broken(_), true, _) => Step::Failed(OpenFailed::Refused, None),
                }
            }
            Stage::Shaking(mut stream) => {
                let mut early = Vec::new();
                let look = if stream.write() { stream.read(&mut early) } else { Look::Broken(Broken::Socket) };
                match look {
                    Look::Broken(Broken::Ours) => Step::Failed(OpenFailed::Untrusted, Some(*stream)),
                    Look::Broken(Broken::Theirs(alert)) => Step::Failed(told(alert), Some(*stream)),
                    Look::Broken(Broken::Socket) => Step::Failed(OpenFailed::Refused, None),
                    Look::Ended if stream.is_shaking() => Step::Failed(OpenFailed::Refused, None),
                    // An end right behind the handshake is seen again by who takes the stream.
                    Look::Goes | Look::Ended if !stream.is_shaking() => Step::Up(*stream, early),
                    Look::Goes | Look::Ended => {
                        stream.write();
                        moved = moved.max(Instant::now());
                        again(Stage::Shaking(stream), host, tls, moved)
                    }
                }
            }
        }
    }

    /// Itself, polled for what it waits for.
    pub fn poll_fd(&self) -> Option<PollFd<'_>> {
        match &self.stage {
            Stage::Resolving(query) => Some(query.poll_fd()),
            Stage::Connecting(tcp) => Some(PollFd::new(tcp, PollFlags::OUT)),
            Stage::Shaking(stream) | Stage::Old(stream, _) => stream.poll_fd(true),
        }
    }

    /// Whether something is expected soon.
    pub fn owed(&self, crowd: u32) -> bool {
        self.moved.elapsed() < EXPECTED * crowd
    }
}

/// The hello that offers what is old beside what is new, where that is offered.
fn beside(wanted: &ClientTls, host: &str) -> Option<Vec<u8>> {
    tls::old::hello_beside(&wanted.terms, &tls::terms::numbers(&wanted.terms), wanted.named.then_some(host))
}

fn connect(ground: &Ground<'_>, address: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
    socket::dial(ground.setup.address, SocketAddrV4::new(address, ground.setup.port(port)))
}

/// What the kernel says of a host that was not reached.
fn failure(e: &io::Error) -> OpenFailed {
    match e.kind() {
        ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => OpenFailed::TimedOut,
        _ => OpenFailed::Refused,
    }
}

/// What it means that the other side ended the handshake.
fn told(alert: AlertDescription) -> OpenFailed {
    match alert {
        AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity => OpenFailed::Untrusted,
        _ => OpenFailed::Refused,
    }
}
