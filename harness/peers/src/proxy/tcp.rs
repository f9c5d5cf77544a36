//! The TCP proxy: its handle, and the life of a connection.

use super::pump::{Ended, Line, carry};
use super::{Corrupt, Counts, ProxySetup, Way};
use crate::capture::{Side, TcpFlow};
use crate::{Lab, Service, Timeline};
use bytes::Bytes;
use proofbench_channel::{ChannelError, ErrorKind};
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// After a failed accept (no descriptors left) the listener rests so long.
const REST: Duration = Duration::from_millis(50);

/// What the proxy does to TCP connections.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TcpFault {
    /// Nothing: it passes all on.
    #[default]
    Pass,
    /// Everything is passed on so much later than it came.
    Delay(Duration),
    /// Each connection and direction passes on at most so many bytes in a second.
    Rate(NonZeroU32),
    /// What comes is read and lost, ends of streams too; connections stay. If it is both ways, new ones are accepted and reach nobody until it is lifted.
    /// When it is lifted, later bytes are passed on again, and what was lost stays lost.
    BlackHole(Way),
    /// All connections are reset, to both sides, and new ones as soon as they are accepted.
    Cut,
    /// Half-open: connections stay, nothing is passed on and nothing is lost; new ones are accepted, never answered, and reach the service only when it is
    /// lifted.
    Stall,
    /// Bits flip.
    Corrupt(Corrupt),
}

/// What connections are told.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub fault: TcpFault,
    /// How often all connections were cut: a cut that is lifted at once counts too.
    cuts: u64,
}

/// A TCP proxy. It listens until it is dropped; then all its connections are closed.
#[derive(Debug)]
pub struct TcpProxy {
    address: SocketAddr,
    fault: watch::Sender<Told>,
    shared: Arc<Shared>,
    _service: Service,
}

/// What handle and connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub timeline: Timeline,
    peer: Arc<str>,
    connections: AtomicU64,
    present: AtomicU64,
    to_service: AtomicU64,
    to_device: AtomicU64,
    pub lost: AtomicU64,
}

impl TcpProxy {
    /// Listens. `Refused` if the address is taken, forbidden or not this machine's.
    pub fn start(lab: &Lab, setup: ProxySetup) -> Result<Self, ChannelError> {
        let doing = format!("listen at {} for {}", setup.listen, setup.name);
        let failed = |e: io::Error| ChannelError::caused(ErrorKind::Refused, &doing, e);
        let listener = std::net::TcpListener::bind(setup.listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let listener = {
            let _in = lab.runtime.enter();
            TcpListener::from_std(listener).map_err(failed)?
        };
        let shared = Arc::new(Shared::new(lab, &setup.name));
        let (fault, told) = watch::channel(Told::default());
        let service = Service::start(lab, serve(listener, setup, Arc::clone(&shared), told));
        Ok(Self { address, fault, shared, _service: service })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to do from now on.
    pub fn set(&self, fault: TcpFault) {
        self.shared.say(format!("from now on: {fault:?}"));
        self.fault.send_modify(|told| {
            told.cuts += u64::from(fault == TcpFault::Cut);
            told.fault = fault;
        });
    }

    /// What it has carried until now.
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }
}

impl Shared {
    pub(super) fn new(lab: &Lab, name: &str) -> Self {
        let zero = AtomicU64::default;
        let timeline = lab.timeline.clone();
        Self { timeline, peer: name.into(), connections: zero(), present: zero(), to_service: zero(), to_device: zero(), lost: zero() }
    }

    pub(super) fn say(&self, what: String) {
        self.timeline.add(&self.peer, what, Bytes::new());
    }

    pub(super) fn passed(&self, way: Way) -> &AtomicU64 {
        if way == Way::ToService { &self.to_service } else { &self.to_device }
    }

    pub(super) fn counts(&self) -> Counts {
        let of = |n: &AtomicU64| n.load(Ordering::Relaxed);
        Counts {
            connections: of(&self.connections),
            present: of(&self.present),
            to_service: of(&self.to_service),
            to_device: of(&self.to_device),
            lost: of(&self.lost),
        }
    }

    /// One more; its number, from 1.
    pub(super) fn enter(self: &Arc<Self>) -> (u64, Present) {
        self.present.fetch_add(1, Ordering::Relaxed);
        (self.connections.fetch_add(1, Ordering::Relaxed) + 1, Present(Arc::clone(self)))
    }
}

/// Counts as present until it is dropped.
pub(super) struct Present(Arc<Shared>);

impl Drop for Present {
    fn drop(&mut self) {
        self.0.present.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn serve(listener: TcpListener, setup: ProxySetup, shared: Arc<Shared>, fault: watch::Receiver<Told>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((device, from)) if connections.len() >= setup.most => {
                shared.say(format!("refuses {from}: {} connections are there", connections.len()));
                // A reset; if the kernel will not, the connection is closed.
                let _ = device.set_zero_linger();
            }
            Ok((device, from)) => {
                let (number, present) = shared.enter();
                shared.say(format!("connection {number} from {from}"));
                let cuts = fault.borrow().cuts;
                let connection = Connection { number, from, setup: setup.clone(), shared: Arc::clone(&shared), fault: fault.clone(), cuts };
                connections.spawn(async move {
                    connection.live(device).await;
                    drop(present);
                });
            }
            Err(e) => {
                shared.say(format!("cannot accept: {e}"));
                tokio::time::sleep(REST).await;
            }
        }
    }
}

struct Connection {
    number: u64,
    from: SocketAddr,
    setup: ProxySetup,
    shared: Arc<Shared>,
    fault: watch::Receiver<Told>,
    /// Cuts before it was made.
    cuts: u64,
}

impl Connection {
    async fn live(mut self, mut device: TcpStream) {
        let Some(mut service) = self.reach().await else {
            let _ = device.set_zero_linger();
            return;
        };
        // Small writes go on as they came; without it they only come a little later.
        let _ = device.set_nodelay(true).and(service.set_nodelay(true));
        let at = device.local_addr().unwrap_or(self.setup.listen);
        let flow = self.setup.capture.as_ref().map(|c| Arc::new(Mutex::new(c.tcp(self.from, at, self.shared.timeline.now()))));
        let why = {
            let (from_device, to_device) = device.split();
            let (from_service, to_service) = service.split();
            let out = carry(from_device, to_service, self.line(Way::ToService, &flow));
            let back = carry(from_service, to_device, self.line(Way::ToDevice, &flow));
            tokio::pin!(out, back);
            let both = async {
                // The first that breaks off ends both; an end of one side leaves the other going.
                tokio::select! {
                    ended = &mut out => if ended == Ended::Whole { back.await } else { ended },
                    ended = &mut back => if ended == Ended::Whole { out.await } else { ended },
                }
            };
            tokio::select! {
                biased;
                () = cut(&mut self.fault, self.cuts) => "cut",
                ended = both => if ended == Ended::Whole { "ended" } else { "broken off" },
            }
        };
        if why != "ended" {
            let _ = device.set_zero_linger().and(service.set_zero_linger());
            if let Some(flow) = &flow {
                let mut flow = flow.lock().unwrap_or_else(PoisonError::into_inner);
                flow.reset(
                    Side::Server,
                    self.shared.timeline.now(),
                    Some(if why == "cut" { "cut by the proxy" } else { "broken off by one of the sides" }),
                );
            }
        }
        self.shared.say(format!("connection {}: {why}", self.number));
    }

    /// A connection to the service, when the fault lets it through. `None`: the device's is to be reset.
    async fn reach(&mut self) -> Option<TcpStream> {
        let number = self.number;
        let closed = |told: &Told| matches!(told.fault, TcpFault::Stall | TcpFault::BlackHole(Way::Both));
        let (cuts, mut fault) = (self.cuts, self.fault.clone());
        // A cut opens this way too, and is found below.
        let _ = fault.wait_for(|told| told.cuts > cuts || !closed(told)).await;
        tokio::select! {
            biased;
            () = cut(&mut self.fault, self.cuts) => self.shared.say(format!("connection {number}: cut")),
            reached = TcpStream::connect(self.setup.to) => match reached {
                Ok(service) => return Some(service),
                Err(e) => self.shared.say(format!("connection {number}: cannot reach {}: {e}", self.setup.to)),
            }
        }
        None
    }

    fn line(&self, way: Way, flow: &Option<Arc<Mutex<TcpFlow>>>) -> Line {
        Line { shared: Arc::clone(&self.shared), fault: self.fault.clone(), number: self.number, way, flow: flow.clone() }
    }
}

/// Returns when connections are to be cut that were made after so many cuts.
async fn cut(fault: &mut watch::Receiver<Told>, cuts: u64) {
    // Without a handle the whole service is ending.
    let _ = fault.wait_for(|told| told.cuts > cuts || told.fault == TcpFault::Cut).await;
}
