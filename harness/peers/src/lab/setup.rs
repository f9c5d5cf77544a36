//! What a lab on this machine's sockets must be told.

use super::ground::{Ground, LOW, Ticks};
use super::identities::Identities;
use super::places::Table;
use super::sights::Sights;
use super::wiretap::Wiretap;
use crate::tls::certs::Authority;
use proofbench_channel::{ChannelError, ErrorKind, Moment};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// Plugs the device's link in (`true`) or pulls it, and returns when it is done.
pub type Cable = Box<dyn FnMut(bool) -> Result<(), ChannelError>>;

/// What a lab on this machine's sockets must be told.
pub struct HostSetup {
    /// Where services run; a runtime with threads of its own.
    pub runtime: Handle,
    /// The bench's clock.
    pub now: Arc<dyn Fn() -> Moment + Send + Sync>,
    /// How much real time is left until a moment of the bench; zero when it is past.
    pub left: Arc<dyn Fn(Moment) -> Duration + Send + Sync>,
    /// The bench's time as the device is to have it: what the time server tells, and of when certificates are.
    pub unix: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    /// The device's address.
    pub device: IpAddr,
    /// The lab's usual address, one of this machine.
    pub lab: Ipv4Addr,
    /// Where ports below 1024 are, ours and the device's: at so much more. 0: where they are.
    pub low_ports: u16,
    /// Whether each host that is served gets an address of its own, from the lab's address and 16 on. For loopback, and for networks whose further
    /// addresses are this machine's.
    pub many_addresses: bool,
    /// How the device's link is plugged in and pulled; without, it cannot be pulled.
    pub link: Option<Cable>,
    /// The lab's CA, for devices that trust one already; without, a new one is made.
    pub authority: Option<Authority>,
}

impl fmt::Debug for HostSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostSetup").field("device", &self.device).field("lab", &self.lab).field("low_ports", &self.low_ports).finish_non_exhaustive()
    }
}

impl HostSetup {
    pub(super) fn check_and_prepare(self) -> Result<(Ground, Option<Cable>), ChannelError> {
        let unsupported = |what: String| Err(ChannelError::new(ErrorKind::Unsupported, what));
        if self.low_ports != 0 && (self.low_ports < LOW || self.low_ports > u16::MAX - LOW) {
            return unsupported(format!("put ports below 1024 at {} and on: between 1024 and 64511 there is room", self.low_ports));
        }
        if self.lab.is_unspecified() || self.lab.is_multicast() || self.lab.is_broadcast() {
            return unsupported(format!("be the lab at {}: not the address of one machine", self.lab));
        }
        let authority = match self.authority {
            Some(authority) => authority,
            None => Authority::new((self.unix)()).map_err(|e| ChannelError::caused(ErrorKind::Driver, "make the lab's CA", e))?,
        };
        let ticks = Ticks { now: self.now, left: self.left };
        let wiretap = Arc::new(Wiretap::new(ticks.clone(), Arc::clone(&self.unix), format!("lab at {}", self.lab)));
        let ground = Ground {
            runtime: self.runtime,
            sights: Arc::new(Sights::new(ticks.clone())),
            ticks,
            unix: self.unix,
            device: self.device,
            lab: self.lab,
            low_ports: self.low_ports,
            many: self.many_addresses,
            cable: watch::Sender::new(false),
            identities: Identities::new(authority, Arc::clone(&wiretap)),
            wiretap,
            next: AtomicU64::new(1),
            table: Mutex::new(Table::default()),
        };
        Ok((ground, self.link))
    }
}
