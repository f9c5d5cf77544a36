//! What all parts of the lab share: clock, addresses, ports, cable, and how the calling thread waits.

use super::identities::Identities;
use super::link::plugged;
use super::places::Table;
use super::sights::Sights;
use super::wiretap::Wiretap;
use crate::{Lab, Timeline};
use proofbench_channel::{ChannelError, ErrorKind, Moment, Wait};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// How often a wait looks whether it was cancelled, and whether bench time has jumped.
const SLICE: Duration = Duration::from_millis(20);
/// Ports below this one are moved where they cannot be had.
pub(super) const LOW: u16 = 1024;

/// Bench time, and how far it is off in real time.
#[derive(Clone)]
pub(super) struct Ticks {
    pub(super) now: Arc<dyn Fn() -> Moment + Send + Sync>,
    pub(super) left: Arc<dyn Fn(Moment) -> Duration + Send + Sync>,
}

impl Ticks {
    /// How long to wait at most before the next look.
    pub(super) fn slice(&self, wait: &Wait) -> Duration {
        (self.left)(wait.until).clamp(Duration::from_millis(1), SLICE)
    }
}

pub(super) struct Ground {
    pub(super) runtime: Handle,
    pub(super) ticks: Ticks,
    pub(super) unix: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    pub(super) device: IpAddr,
    pub(super) lab: Ipv4Addr,
    pub(super) low_ports: u16,
    /// Each host has an address of its own.
    pub(super) many: bool,
    pub(super) sights: Arc<Sights>,
    pub(super) cable: watch::Sender<bool>,
    pub(super) identities: Identities,
    pub(super) wiretap: Arc<Wiretap>,
    pub(super) next: AtomicU64,
    pub(super) table: Mutex<Table>,
}

impl Ground {
    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the next connection.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn is_up(&self) -> bool {
        *self.cable.borrow()
    }

    /// Returns once the cable is in.
    pub(super) async fn up(&self) {
        plugged(self.cable.subscribe()).await;
    }

    /// The port of this machine that stands for a port as the device and the checks know it.
    pub(super) fn real(&self, port: u16) -> u16 {
        if port < LOW { port + self.low_ports } else { port }
    }

    /// Whether a port is another one's stand-in, and so cannot be used under its own number.
    pub(super) fn stands_for(&self, port: u16) -> Option<u16> {
        let low = self.low_ports;
        (low > 0 && port >= low).then(|| port - low).filter(|p| *p < LOW)
    }

    /// Where a port of the device is.
    pub(super) fn at_device(&self, port: u16) -> SocketAddr {
        (self.device, self.real(port)).into()
    }

    /// Whether a peer of this address is the device. On loopback a process is free in its choice among the addresses of this machine.
    pub(super) fn is_device(&self, from: IpAddr) -> bool {
        from == self.device || (self.device.is_loopback() && from.is_loopback())
    }

    /// The runtime and the clock, for peers that are told to nobody else.
    pub(super) fn quiet(&self) -> Lab {
        let now = Arc::clone(&self.ticks.now);
        Lab { runtime: self.runtime.clone(), timeline: Timeline::deaf(move || now()) }
    }

    /// Works on the calling thread until it is done; nothing at the deadline.
    pub(super) fn within<T>(&self, wait: &Wait, doing: &str, work: impl Future<Output = T>) -> Result<Option<T>, ChannelError> {
        self.runtime.block_on(async {
            tokio::pin!(work);
            loop {
                if wait.cancel.is_cancelled() {
                    return Err(ChannelError::new(ErrorKind::Cancelled, doing));
                }
                // Also past the deadline the work is looked at once: what is there already is had.
                let slice = if (self.ticks.now)() < wait.until { self.ticks.slice(wait) } else { Duration::ZERO };
                tokio::select! {
                    biased;
                    done = &mut work => return Ok(Some(done)),
                    () = tokio::time::sleep(slice) => {}
                }
                if (self.ticks.now)() >= wait.until {
                    return Ok(None);
                }
            }
        })
    }

    /// Nothing comes: waits for the deadline.
    pub(super) fn nothing(&self, wait: &Wait, doing: &str) -> Result<(), ChannelError> {
        self.within(wait, doing, std::future::pending::<()>()).map(drop)
    }
}

/// An error of the wait that was given up, if it was.
pub(super) fn going_on(wait: &Wait, doing: &str) -> Result<(), ChannelError> {
    if wait.cancel.is_cancelled() { Err(ChannelError::new(ErrorKind::Cancelled, doing)) } else { Ok(()) }
}
