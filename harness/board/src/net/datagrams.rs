//! Datagrams of the module: questions to a name or to many, and the device's own bound ports.

use super::conns::WAITS_MOST;
use super::dial::{EXPECTED, Ground};
use super::resolve::{Known, Query};
use super::setup::NetSetup;
use super::socket;
use crate::smp;
use proofbench_emulator::World;
use proofbench_emulator::net::{NetIn, SMP_PORT};
use rustix::event::{PollFd, PollFlags};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Instant;

/// Questions that wait for an answer; the oldest is given up for a new one.
const ASKS_MOST: usize = 32;
/// Device time after which no answer is taken any more.
const ANSWER_NS: u64 = 10_000_000_000;
/// Longest datagram, and most of one look at a port.
const DATAGRAM_MOST: usize = 2048;
const LOOK_MOST: usize = 32;

enum Stage {
    Resolving(Query, Vec<u8>, u16),
    Waiting(UdpSocket),
}

struct Ask {
    conn: u64,
    stage: Stage,
    since: u64,
    moved: Instant,
}

/// Questions under way, and bound ports.
#[derive(Default)]
pub struct Datagrams {
    asks: VecDeque<Ask>,
    bound: BTreeMap<u16, UdpSocket>,
}

impl Datagrams {
    /// Sends one, or begins to. Nobody promises that it arrives.
    pub fn ask(&mut self, ground: &Ground<'_>, conn: u64, (host, port): (&str, u16), bytes: Vec<u8>, id: u16) {
        let stage = match host.parse::<Ipv4Addr>() {
            Ok(address) => self::send(ground.setup, address, port, &bytes).map(Stage::Waiting),
            Err(_) => Query::new(ground.setup, host, id, ground.now).map(|query| Stage::Resolving(query, bytes, port)),
        };
        let Ok(stage) = stage else { return };
        if self.asks.len() >= ASKS_MOST {
            self.asks.pop_front();
        }
        self.asks.push_back(Ask { conn, stage, since: ground.now, moved: Instant::now() });
    }

    /// Answers a datagram that came to a bound port.
    pub fn reply(&self, port: u16, peer: u64, bytes: &[u8]) {
        if let Some(socket) = self.bound.get(&port) {
            let _ = socket.send_to(bytes, smp::address(peer));
        }
    }

    /// The port of SMP, while it is bound.
    pub fn smp(&self) -> Option<&UdpSocket> {
        self.bound.get(&SMP_PORT)
    }

    /// The device has forgotten what it asked.
    pub fn forget(&mut self) {
        self.asks.clear();
    }

    /// Binds ports as firmware has it, asks the resolver again, gives up what nobody waits for.
    pub fn turn(&mut self, world: &World, ground: &Ground<'_>) {
        self.bound.retain(|port, _| world.is_on_the_net() && world.is_bound(*port));
        for port in world.bound_ports() {
            if !self.bound.contains_key(&port)
                && let Ok(socket) = socket::udp(ground.setup.own(port))
            {
                self.bound.insert(port, socket);
            }
        }
        self.asks.retain_mut(|ask| {
            let waits = match &mut ask.stage {
                Stage::Resolving(query, ..) => query.turn(ground.now) != Known::No,
                Stage::Waiting(_) => world.knows(ask.conn),
            };
            waits && ground.now < ask.since.saturating_add(ANSWER_NS)
        });
    }

    /// Hands over what has come. Says whether there was anything.
    pub fn serve(&mut self, world: &mut World, ground: &Ground<'_>) -> bool {
        let mut heard = false;
        for (port, socket) in &self.bound {
            heard |= if *port == SMP_PORT { smp::serve(socket, smp::BY_NETWORK, world) } else { hear(*port, socket, world) };
        }
        self.asks.retain_mut(|ask| ask.serve(world, ground, &mut heard));
        heard
    }

    /// What to poll.
    pub fn poll_fds<'a>(&'a self, takes: bool, fds: &mut Vec<PollFd<'a>>) {
        if takes {
            fds.extend(self.bound.values().map(|socket| PollFd::new(socket, PollFlags::IN)));
        }
        fds.extend(self.asks.iter().map(|ask| match &ask.stage {
            Stage::Resolving(query, ..) => query.poll_fd(),
            Stage::Waiting(socket) => PollFd::new(socket, PollFlags::IN),
        }));
    }

    /// Whether an answer is expected soon.
    pub fn owed(&self, crowd: u32) -> bool {
        self.asks.iter().any(|ask| ask.moved.elapsed() < EXPECTED * crowd)
    }
}

impl Ask {
    /// Whether it goes on.
    fn serve(&mut self, world: &mut World, ground: &Ground<'_>, heard: &mut bool) -> bool {
        if let Stage::Resolving(query, bytes, port) = &mut self.stage {
            let address = match query.hear() {
                Known::Waits => return true,
                Known::No => return false,
                Known::Address(address) => address,
            };
            *heard = true;
            let Ok(socket) = send(ground.setup, address, *port, bytes) else { return false };
            (self.stage, self.moved) = (Stage::Waiting(socket), Instant::now());
        }
        let Stage::Waiting(socket) = &self.stage else { return true };
        let mut arrived = [0; DATAGRAM_MOST];
        match socket.recv(&mut arrived) {
            Ok(n) => {
                *heard = true;
                world.net_in(NetIn::Data(self.conn, arrived[..n].to_vec()));
                false
            }
            Err(e) => matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }
}

/// Sends one datagram, from a port to which the answer comes.
fn send(setup: &NetSetup, to: Ipv4Addr, port: u16, bytes: &[u8]) -> io::Result<UdpSocket> {
    let to = if to.is_broadcast() { setup.broadcast() } else { to };
    let at = SocketAddrV4::new(to, setup.port(port));
    if to.is_multicast() || to == setup.broadcast() {
        let socket = socket::udp_to_many(setup.address)?;
        socket.send_to(bytes, at)?;
        return Ok(socket);
    }
    let socket = socket::udp(SocketAddrV4::new(setup.address, 0))?;
    socket.connect(at)?;
    socket.send(bytes)?;
    Ok(socket)
}

/// Hands over what has come to a port that is not SMP's.
fn hear(port: u16, socket: &UdpSocket, world: &mut World) -> bool {
    let mut arrived = [0; DATAGRAM_MOST];
    let mut heard = false;
    for _ in 0..LOOK_MOST {
        if world.net_waits() >= WAITS_MOST {
            break;
        }
        match socket.recv_from(&mut arrived) {
            Ok((n, SocketAddr::V4(from))) => {
                heard = true;
                world.net_in(NetIn::Datagram { port, peer: smp::name(from), bytes: arrived[..n].to_vec() });
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
            Ok(_) | Err(_) => {}
        }
    }
    heard
}
