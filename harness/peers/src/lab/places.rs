//! Where the lab's services are: names, addresses, listeners, and the connections that came to them.

use super::ground::Ground;
use super::rough::Told;
use super::{names, visits};
use crate::mqtt::Hub;
use proofbench_channel::network::{Fault, Front, Service, Trade};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::{TcpListener, TcpSocket, UdpSocket};
use tokio::task::JoinHandle;

/// The name of a service for all names.
pub(super) const EVERY: &str = "*";
/// Hosts have the lab's address and so much more in the last octet, and more for each further one.
const FIRST_HOST: u8 = 16;
/// Hosts with an address of their own; the device chooses the names of a service for all names.
const HOSTS_MOST: usize = 200;
/// Connections that wait to be taken.
const BACKLOG: u32 = 128;

/// What a listener takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Tcp,
    Udp,
}

/// Address, port as the device knows it, kind.
pub(super) type Place = (Ipv4Addr, u16, Kind);

/// A service that is up.
pub(super) struct Up {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) live: Mutex<(Front, Trade)>,
    /// The broker behind it, once it was one.
    pub(super) hub: Mutex<Option<Arc<Hub>>>,
    /// How often each path was served.
    pub(super) served: Mutex<BTreeMap<String, u32>>,
}

impl Up {
    pub(super) fn live(&self) -> (Front, Trade) {
        lock(&self.live).clone()
    }

    fn kind(&self) -> Kind {
        match lock(&self.live).1 {
            Trade::Names { .. } | Trade::Time(_) => Kind::Udp,
            Trade::Web(_) | Trade::Broker(_) | Trade::Sink => Kind::Tcp,
        }
    }
}

/// A connection that came to the lab.
pub(super) struct Visit {
    pub(super) place: Option<(String, u16)>,
    /// As the device names it.
    pub(super) named: Option<(String, u16)>,
    pub(super) told: Told,
    pub(super) task: JoinHandle<()>,
}

#[derive(Default)]
pub(super) struct Table {
    pub(super) services: Vec<Arc<Up>>,
    addresses: BTreeMap<String, Ipv4Addr>,
    /// The name that was resolved last.
    last: Option<String>,
    listeners: BTreeMap<Place, JoinHandle<()>>,
    pub(super) visits: BTreeMap<u64, Visit>,
    /// What is wrong with the ways to these places.
    pub(super) faults: BTreeMap<(String, u16), Fault>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name as it is compared.
pub(super) fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

impl Table {
    pub(super) fn find(&self, host: &str, port: u16) -> Option<&Arc<Up>> {
        self.services.iter().find(|s| s.host == host && s.port == port)
    }

    /// The service of this kind that takes what comes to this place, and its host as the device names it, as far as that is known: by `hint` if the device
    /// says it, by the address if it has its host's own, else the name that was resolved last.
    pub(super) fn at(&self, ground: &Ground, (address, port, kind): Place, hint: Option<&str>) -> Option<(Arc<Up>, String)> {
        let here = |host: &str| self.find(host, port).filter(|s| s.kind() == kind);
        let all = |host: String| here(EVERY).map(|s| (Arc::clone(s), host));
        let itself = address.to_string();
        let owner = self.addresses.iter().find(|(_, a)| **a == address).map(|(name, _)| name).or(here(&itself).map(|_| &itself));
        if let Some(name) = owner {
            return here(name).map(|s| (Arc::clone(s), name.clone())).or_else(|| all(name.clone()));
        }
        let said = hint.map(plain);
        let last = self.last.as_ref().filter(|_| !ground.many);
        for name in [said.as_ref(), last].into_iter().flatten() {
            if let Some(found) = here(name).map(|s| (Arc::clone(s), name.clone())).or_else(|| all(name.clone())) {
                return Some(found);
            }
        }
        let first = self.services.iter().find(|s| s.port == port && s.host != EVERY && s.kind() == kind);
        first.map(|s| (Arc::clone(s), s.host.clone())).or_else(|| all(last.cloned().unwrap_or(itself)))
    }

    /// Whether only one service can be meant by what comes to this port.
    pub(super) fn is_sure(&self, ground: &Ground, (address, port, _): Place) -> bool {
        (ground.many && address != ground.lab) || self.services.iter().filter(|s| s.port == port).count() == 1
    }

    /// The address of a host. `None`: there are too many.
    fn address(&mut self, ground: &Ground, host: &str) -> Option<Ipv4Addr> {
        if let Ok(itself) = host.parse() {
            return Some(itself);
        }
        if !ground.many {
            return Some(ground.lab);
        }
        if let Some(address) = self.addresses.get(host) {
            return Some(*address);
        }
        if self.addresses.len() >= HOSTS_MOST {
            return None;
        }
        let [a, b, c, d] = ground.lab.octets();
        let d = u8::try_from(self.addresses.len()).ok().and_then(|n| d.checked_add(FIRST_HOST)?.checked_add(n)).filter(|d| *d < u8::MAX)?;
        let address = Ipv4Addr::new(a, b, c, d);
        self.addresses.insert(host.to_owned(), address);
        Some(address)
    }

    /// The resolver's answer: the address of a name that has a service.
    pub(super) fn resolve(&mut self, ground: &Arc<Ground>, name: &str) -> Option<Ipv4Addr> {
        let known = self.services.iter().any(|s| (s.host == name || s.host == EVERY) && !matches!(lock(&s.live).1, Trade::Names { .. }));
        let address = if known { self.address(ground, name) } else { None }?;
        self.last = Some(name.to_owned());
        // What cannot be listened at is refused, and that is what the device sees.
        let _ = self.open(ground);
        Some(address)
    }

    fn wanted(&mut self, ground: &Ground) -> Result<BTreeSet<Place>, String> {
        let mut all = BTreeSet::new();
        for service in self.services.clone() {
            let kind = service.kind();
            let resolver = matches!(lock(&service.live).1, Trade::Names { .. });
            if resolver {
                all.insert((ground.lab, service.port, kind));
            } else if service.host == EVERY {
                // The lab's own address too: who dials it without a name is seen there.
                let lab = Some(ground.lab).filter(|lab| *lab != ground.device);
                let others = self.addresses.values().copied();
                all.extend(others.chain(lab).map(|a| (a, service.port, kind)));
            } else {
                let address = self.address(ground, &service.host).ok_or_else(|| service.host.clone())?;
                all.insert((address, service.port, kind));
            }
        }
        Ok(all)
    }

    /// Listens wherever a service wants it and nobody does yet.
    pub(super) fn open(&mut self, ground: &Arc<Ground>) -> io::Result<()> {
        let wanted = self.wanted(ground).map_err(|host| io::Error::other(format!("no address is left for {host}")))?;
        for place in wanted {
            if let Entry::Vacant(entry) = self.listeners.entry(place) {
                let at = SocketAddr::from((place.0, ground.real(place.1)));
                entry.insert(listen(ground, place, at).map_err(|e| io::Error::new(e.kind(), format!("{at}: {e}")))?);
            }
        }
        Ok(())
    }

    /// Listens no more where no service wants it. The tasks end soon, and with them their sockets.
    pub(super) fn close(&mut self, ground: &Ground) -> Vec<JoinHandle<()>> {
        let wanted = self.wanted(ground).unwrap_or_default();
        let gone: Vec<Place> = self.listeners.keys().filter(|p| !wanted.contains(p)).copied().collect();
        let tasks: Vec<JoinHandle<()>> = gone.iter().filter_map(|p| self.listeners.remove(p)).collect();
        tasks.iter().for_each(JoinHandle::abort);
        tasks
    }

    /// Lays a fault on the way to a place, or lifts it. `None`: a place of datagrams.
    pub(super) fn disturb(&mut self, host: &str, port: u16, fault: Option<Fault>) -> Option<()> {
        if self.find(host, port).is_some_and(|s| s.kind() == Kind::Udp) {
            return None;
        }
        let place = (host.to_owned(), port);
        match fault.filter(|f| *f != Fault::HalfOpen) {
            Some(fault) => self.faults.insert(place.clone(), fault),
            None => self.faults.remove(&place),
        };
        self.visits.values().filter(|v| v.named.as_ref() == Some(&place)).for_each(|v| v.told.set(fault));
        Some(())
    }

    /// Cuts the connections that a service has.
    pub(super) fn cut(&mut self, host: &str, port: u16) -> Vec<JoinHandle<()>> {
        let is_its = |v: &Visit| v.place.as_ref().is_some_and(|(h, p)| h == host && *p == port);
        let gone: Vec<u64> = self.visits.iter().filter(|(_, v)| is_its(v)).map(|(n, _)| *n).collect();
        let tasks: Vec<JoinHandle<()>> = gone.iter().filter_map(|n| self.visits.remove(n)).map(|v| v.task).collect();
        tasks.iter().for_each(JoinHandle::abort);
        tasks
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) -> Vec<JoinHandle<()>> {
        let old = std::mem::take(self);
        let tasks: Vec<JoinHandle<()>> = old.listeners.into_values().chain(old.visits.into_values().map(|v| v.task)).collect();
        tasks.iter().for_each(JoinHandle::abort);
        tasks
    }

    /// Whether the lab itself listens at this address and port.
    pub(super) fn is_own(&self, address: Ipv4Addr, port: u16) -> bool {
        self.listeners.contains_key(&(address, port, Kind::Tcp))
    }
}

/// A service in the place of the one at its host and port, without listening yet.
pub(super) fn place(table: &mut Table, service: &Service) -> Arc<Up> {
    let host = if service.host == EVERY { EVERY.to_owned() } else { plain(&service.host) };
    let live = (service.front, service.trade.clone());
    if let Some(up) = table.find(&host, service.port) {
        *lock(&up.live) = live;
        lock(&up.served).clear();
        return Arc::clone(up);
    }
    let up = Arc::new(Up { host, port: service.port, live: Mutex::new(live), hub: Mutex::default(), served: Mutex::default() });
    table.services.push(Arc::clone(&up));
    up
}

/// Binds at once, so that a service answers when it was put up.
fn listen(ground: &Arc<Ground>, place: Place, at: SocketAddr) -> io::Result<JoinHandle<()>> {
    let _inside = ground.runtime.enter();
    Ok(match place.2 {
        Kind::Tcp => {
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseaddr(true)?;
            socket.bind(at)?;
            let listener: TcpListener = socket.listen(BACKLOG)?;
            ground.runtime.spawn(visits::listen(Arc::clone(ground), listener, place))
        }
        Kind::Udp => {
            let socket = std::net::UdpSocket::bind(at)?;
            socket.set_nonblocking(true)?;
            ground.runtime.spawn(names::datagrams(Arc::clone(ground), UdpSocket::from_std(socket)?, place))
        }
    })
}
