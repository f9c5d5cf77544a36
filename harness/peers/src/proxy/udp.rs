//! The UDP proxy: one socket towards the service for each peer of the device's side.

use super::corrupt::mixed;
use super::tcp::{Present, Shared};
use super::{Corrupt, Counts, ProxySetup, Way};
use crate::{Lab, Service};
use proofbench_channel::{ChannelError, ErrorKind};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// Largest datagram.
const DATAGRAM_MOST: usize = 65_535;
/// Most datagrams, and most bytes of them, that wait for their time. More are lost, as in a router.
const QUEUE_MOST: usize = 1_024;
const QUEUE_BYTES_MOST: usize = 1 << 20;
/// Answers of services that wait for the proxy.
const ANSWERS: usize = 16;

/// What the proxy does to datagrams.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum UdpFault {
    /// Nothing: it passes all on.
    #[default]
    Pass,
    /// Every datagram is passed on so much later than it came.
    Delay(Duration),
    /// Each direction passes on at most so many bytes in a second; what does not fit into the queue is lost.
    Rate(NonZeroU32),
    /// Of a thousand datagrams about so many are lost, chosen by the seed, the direction and the datagram's number in it, from 1.
    Drop {
        /// The seed.
        seed: u64,
        /// How many in a thousand; 1 000 and more are all.
        per_mille: u32,
        /// In which direction.
        way: Way,
    },
    /// All datagrams are lost.
    BlackHole(Way),
    /// Bits flip.
    Corrupt(Corrupt),
}

/// A UDP proxy. It listens until it is dropped.
#[derive(Debug)]
pub struct UdpProxy {
    address: SocketAddr,
    fault: watch::Sender<UdpFault>,
    shared: Arc<Shared>,
    _service: Service,
}

impl UdpProxy {
    /// Listens. `Refused` if the address is taken, forbidden or not this machine's.
    pub fn start(lab: &Lab, setup: ProxySetup) -> Result<Self, ChannelError> {
        let doing = format!("listen at {} for {}", setup.listen, setup.name);
        let failed = |e: io::Error| ChannelError::caused(ErrorKind::Refused, &doing, e);
        let socket = std::net::UdpSocket::bind(setup.listen).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        let socket = {
            let _in = lab.runtime.enter();
            UdpSocket::from_std(socket).map_err(failed)?
        };
        let shared = Arc::new(Shared::new(lab, &setup.name));
        let (fault, told) = watch::channel(UdpFault::Pass);
        let relay = Relay {
            socket: Arc::new(socket),
            address,
            setup,
            shared: Arc::clone(&shared),
            fault: told,
            peers: HashMap::new(),
            turned_away: 0,
            numbers: [0; 2],
            queue: VecDeque::new(),
            waiting: 0,
            free: [Instant::now(); 2],
        };
        Ok(Self { address, fault, shared, _service: Service::start(lab, relay.serve()) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to do with the datagrams that come from now on; those that wait already keep their time.
    pub fn set(&self, fault: UdpFault) {
        self.shared.say(format!("from now on: {fault:?}"));
        self.fault.send_replace(fault);
    }

    /// What it has carried until now. Peers stay counted as present while the proxy lives.
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }
}

struct Relay {
    socket: Arc<UdpSocket>,
    address: SocketAddr,
    setup: ProxySetup,
    shared: Arc<Shared>,
    fault: watch::Receiver<UdpFault>,
    /// The socket towards the service, by the peer whose it is.
    peers: HashMap<SocketAddr, (Arc<UdpSocket>, Present)>,
    turned_away: u64,
    /// Datagrams that came, to the service and to the device.
    numbers: [u64; 2],
    /// What waits, in the order of its times.
    queue: VecDeque<Datagram>,
    waiting: usize,
    /// When each direction's rate lets the next one through.
    free: [Instant; 2],
}

struct Datagram {
    due: Instant,
    peer: SocketAddr,
    way: Way,
    bytes: Vec<u8>,
}

impl Relay {
    async fn serve(mut self) {
        let (put, mut answers) = mpsc::channel::<(SocketAddr, Vec<u8>)>(ANSWERS);
        let mut listening = JoinSet::new();
        let socket = Arc::clone(&self.socket);
        let mut buffer = vec![0; DATAGRAM_MOST];
        loop {
            let due = self.queue.front().map(|d| d.due);
            tokio::select! {
                came = socket.recv_from(&mut buffer) => {
                    // An error is an ICMP message about an earlier datagram, which this proxy does not pass on.
                    let Ok((n, peer)) = came else { continue };
                    if !self.peers.contains_key(&peer) {
                        match self.meet(peer).await {
                            Ok(Some(towards)) => drop(listening.spawn(listen(towards, peer, put.clone()))),
                            Ok(None) => continue,
                            Err(e) => {
                                self.shared.say(format!("cannot reach {} for {peer}: {e}", self.setup.to));
                                continue;
                            }
                        }
                    }
                    self.came(peer, Way::ToService, &buffer[..n]).await;
                }
                Some((peer, bytes)) = answers.recv() => self.came(peer, Way::ToDevice, &bytes).await,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    if let Some(datagram) = self.queue.pop_front() {
                        self.waiting -= datagram.bytes.len();
                        self.send(datagram).await;
                    }
                }
            }
        }
    }

    /// A socket towards the service for a new peer. `None`: there are too many.
    async fn meet(&mut self, peer: SocketAddr) -> io::Result<Option<Arc<UdpSocket>>> {
        if self.peers.len() >= self.setup.most {
            self.turned_away += 1;
            // Told once: a device with many ports must not fill the timeline.
            if self.turned_away == 1 {
                self.shared.say(format!("ignores {peer} and other new peers: {} are there", self.peers.len()));
            }
            return Ok(None);
        }
        let any = if self.setup.to.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
        let towards = Arc::new(UdpSocket::bind((any, 0)).await?);
        towards.connect(self.setup.to).await?;
        let (number, present) = self.shared.enter();
        self.shared.say(format!("peer {number} at {peer}"));
        self.peers.insert(peer, (Arc::clone(&towards), present));
        Ok(Some(towards))
    }

    async fn came(&mut self, peer: SocketAddr, way: Way, bytes: &[u8]) {
        let number = &mut self.numbers[way as usize];
        *number += 1;
        let number = *number;
        let fault = self.fault.borrow().clone();
        let now = Instant::now();
        let mut bytes = bytes.to_vec();
        let mut free = None;
        let due = match fault {
            UdpFault::Pass => now,
            UdpFault::Delay(delay) => now + delay,
            UdpFault::Rate(rate) => {
                let due = now.max(self.free[way as usize]);
                free = Some(due + Duration::from_secs_f64(bytes.len() as f64 / f64::from(rate.get())));
                due
            }
            UdpFault::Drop { seed, per_mille, way: lossy }
                if lossy.has(way) && mixed(mixed(seed ^ way as u64) ^ number) % 1_000 < u64::from(per_mille) =>
            {
                return self.lose(&bytes, format!("drops datagram {number} {}", way.name()));
            }
            UdpFault::Drop { .. } => now,
            UdpFault::BlackHole(lost) if lost.has(way) => return self.lose(&bytes, String::new()),
            UdpFault::BlackHole(_) => now,
            UdpFault::Corrupt(corrupt) => {
                let changed = corrupt.apply(&mut bytes, 0, number, way);
                if changed > 0 {
                    self.shared.say(format!("corrupts {changed} bytes of datagram {number} {}", way.name()));
                }
                now
            }
        };
        let datagram = Datagram { due, peer, way, bytes };
        let waits = due > now;
        if waits && (self.queue.len() >= QUEUE_MOST || self.waiting + datagram.bytes.len() > QUEUE_BYTES_MOST) {
            return self.lose(&datagram.bytes, String::new());
        }
        // What was lost has taken no time of the line.
        if let Some(free) = free {
            self.free[way as usize] = free;
        }
        if !waits {
            return self.send(datagram).await;
        }
        self.waiting += datagram.bytes.len();
        let place = self.queue.partition_point(|d| d.due <= due);
        self.queue.insert(place, datagram);
    }

    fn lose(&self, bytes: &[u8], what: String) {
        self.shared.lost.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if !what.is_empty() {
            self.shared.say(what);
        }
    }

    async fn send(&self, datagram: Datagram) {
        let Datagram { peer, way, bytes, .. } = datagram;
        let sent = match self.peers.get(&peer) {
            Some((towards, _)) if way == Way::ToService => towards.send(&bytes).await,
            _ => self.socket.send_to(&bytes, peer).await,
        };
        if let Err(e) = sent {
            return self.lose(&bytes, format!("cannot pass a datagram on {}: {e}", way.name()));
        }
        self.shared.passed(way).fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if let Some(capture) = &self.setup.capture {
            let (from, to) = if way == Way::ToService { (peer, self.address) } else { (self.address, peer) };
            capture.udp(from, to, &bytes, self.shared.timeline.now(), None);
        }
    }
}

async fn listen(towards: Arc<UdpSocket>, peer: SocketAddr, put: mpsc::Sender<(SocketAddr, Vec<u8>)>) {
    let mut buffer = vec![0; DATAGRAM_MOST];
    loop {
        match towards.recv(&mut buffer).await {
            Ok(n) => {
                if put.send((peer, buffer[..n].to_vec())).await.is_err() {
                    return;
                }
            }
            // Nobody listens at the service's port, now.
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(_) => return,
        }
    }
}
