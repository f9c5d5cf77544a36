//! The device's TCP ports: open exactly while firmware has them open, each caller announced when he is there in earnest.

use super::conns::Conns;
use super::setup::NetSetup;
use super::stream::{Broken, Look, Stream};
use super::{dial, socket, tls};
use proofbench_emulator::net::{CONNS_MOST, ServerTls};
use proofbench_emulator::{Knock, World};
use rustix::event::{PollFd, PollFlags};
use rustls::{Connection, ServerConfig, ServerConnection};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Instant;

/// Callers of one port that are taken at one look.
const LOOK_MOST: usize = 16;
/// Device time that a handshake may take.
const SHAKE_NS: u64 = 60_000_000_000;
/// Pause after a port could not be opened.
const AGAIN: std::time::Duration = std::time::Duration::from_millis(100);

struct Open {
    listener: TcpListener,
    /// As firmware wants it, and as the library does it; nothing that it can do, and every caller is hung up on.
    tls: Option<(ServerTls, Option<Arc<ServerConfig>>)>,
}

struct Shaking {
    port: u16,
    from: u8,
    /// The hello is to be looked at first: see [`tls::old`].
    first: Option<(ServerTls, Arc<ServerConfig>, Vec<u8>)>,
    stream: Stream,
    since: u64,
    moved: Instant,
}

/// The ports.
#[derive(Default)]
pub struct Ports {
    open: BTreeMap<u16, Open>,
    shaking: Vec<Shaking>,
    failed: Option<Instant>,
}

impl Ports {
    /// Callers who are not through their handshake.
    pub fn waiting(&self) -> usize {
        self.shaking.len()
    }

    /// The device has forgotten who called. Its ports close when it is seen that it has none.
    pub fn forget(&mut self) {
        self.shaking.clear();
    }

    /// Opens and closes ports as firmware has it.
    pub fn follow(&mut self, world: &World, setup: &NetSetup) {
        self.open.retain(|port, open| world.listener(*port).is_some_and(|l| l.tls.as_ref() == open.tls.as_ref().map(|(tls, _)| tls)));
        if self.failed.is_some_and(|at| at.elapsed() < AGAIN) {
            return;
        }
        let said = self.failed.take().is_some();
        for port in world.open_ports() {
            if self.open.contains_key(&port) {
                continue;
            }
            let tls = world.listener(port).and_then(|l| l.tls.clone()).map(|wanted| {
                let config = tls::server(&wanted).inspect_err(|e| eprintln!("proofbench-board: TLS of port {port}: {e}")).ok();
                (wanted, config)
            });
            let at = setup.own(port);
            match socket::listener(at) {
                Ok(listener) => drop(self.open.insert(port, Open { listener, tls })),
                Err(e) => {
                    if !said {
                        eprintln!("proofbench-board: listen at {at}: {e}");
                    }
                    self.failed = Some(Instant::now());
                }
            }
        }
    }

    /// Takes callers, and moves handshakes on. Says whether anything came.
    pub fn serve(&mut self, world: &mut World, setup: &NetSetup, conns: &mut Conns, dialling: usize) -> bool {
        let mut heard = false;
        for (port, open) in &self.open {
            for _ in 0..LOOK_MOST {
                let (tcp, peer) = match open.listener.accept() {
                    Ok(called) => called,
                    Err(e) if matches!(e.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => continue,
                    Err(_) => break,
                };
                heard = true;
                socket::forgetful(&tcp, true);
                let room = conns.len() + self.shaking.len() + dialling < CONNS_MOST;
                let ready = tcp.set_nonblocking(true).is_ok() && tcp.set_nodelay(true).is_ok();
                if room && ready {
                    self.shaking.extend(open.take(tcp, (*port, peer), world, setup, conns));
                }
            }
        }
        let waiting = std::mem::take(&mut self.shaking);
        self.shaking = waiting.into_iter().filter_map(|caller| caller.serve(world, conns, &mut heard)).collect();
        heard
    }

    /// What to poll.
    pub fn poll_fds<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        fds.extend(self.open.values().map(|open| PollFd::new(&open.listener, PollFlags::IN)));
        fds.extend(self.shaking.iter().filter_map(|s| s.stream.poll_fd(true)));
    }

    /// Whether a handshake is under way.
    pub fn owed(&self, crowd: u32) -> bool {
        self.shaking.iter().any(|s| s.moved.elapsed() < dial::EXPECTED * crowd)
    }
}

impl Open {
    /// A caller: announced at once, or kept until his handshake is done.
    fn take(&self, tcp: TcpStream, (port, peer): (u16, SocketAddr), world: &mut World, setup: &NetSetup, conns: &mut Conns) -> Option<Shaking> {
        let from = setup.from(peer);
        match &self.tls {
            None => {
                announce(world, conns, (port, from), Stream::new(tcp, None), &[]);
                None
            }
            Some((wanted, config)) => {
                let config = Arc::clone(config.as_ref()?);
                let (tls, first) = if tls::old::takes_any(wanted) {
                    (None, Some((wanted.clone(), config, Vec::new())))
                } else {
                    (Some(Connection::Server(ServerConnection::new(config).ok()?)), None)
                };
                Some(Shaking { port, from, first, stream: Stream::new(tcp, tls), since: world.now(), moved: Instant::now() })
            }
        }
    }
}

impl Shaking {
    /// What has come; itself, if it is not through.
    fn serve(mut self, world: &mut World, conns: &mut Conns, heard: &mut bool) -> Option<Self> {
        let in_time = world.now() < self.since.saturating_add(SHAKE_NS);
        if let Some((wanted, config, mut hello)) = self.first.take() {
            let look = self.stream.read(&mut hello);
            match tls::old::hear(&wanted, &hello) {
                tls::old::Heard::More => {
                    self.first = Some((wanted, config, hello));
                    return (in_time && look == Look::Goes).then_some(self);
                }
                tls::old::Heard::New => {
                    let tls = Connection::Server(ServerConnection::new(config).ok()?);
                    self.stream = self.stream.begin_tls(tls, &hello);
                }
                tls::old::Heard::Old(answer) => {
                    self.stream.send(&answer);
                    conns.close(self.stream);
                    return None;
                }
            }
        }
        let mut early = Vec::new();
        let look = self.stream.read(&mut early);
        if !self.stream.write() {
            return None;
        }
        match look {
            Look::Goes | Look::Ended if !self.stream.is_shaking() => {
                *heard = true;
                announce(world, conns, (self.port, self.from), self.stream, &early);
                None
            }
            Look::Goes => in_time.then_some(self),
            Look::Ended | Look::Broken(Broken::Socket) => None,
            Look::Broken(_) => {
                conns.close(self.stream);
                None
            }
        }
    }
}

fn announce(world: &mut World, conns: &mut Conns, (port, from): (u16, u8), stream: Stream, early: &[u8]) {
    // A port that closes at this moment, or a link that is pulled: the caller is turned away by a reset.
    if let Knock::Open(conn) = world.knock(port, from) {
        conns.insert(world, conn, stream, early);
    }
}
