//! The network of an emulated device in virtual time: the lab of [`super::lab`] at one end of its link, calls of the bench to its ports.
//!
//! TLS is modelled: what each side offers, shows and looks at decides, as on a wire; the bytes in between are the plain ones.

use super::lab::{Call, Lab, digest};
use super::{Shared, not_cancelled};
use proofbench_channel::network::{ConnId, DatagramSeen, Dial, Dialled, End, Fault, Network, PortMap, Received, Secured, Seen, Service, TlsOffer};
use proofbench_channel::{ChannelError, ErrorKind, Moment, Wait};
use proofbench_emulator::net::{NetIn, SMP_PORT, ServerTls, TlsVersion};
use proofbench_emulator::{Datagram, Knock};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::rc::Rc;

/// The bench's name as sender of datagrams.
const BENCH: u64 = 0xBE7C;
/// Virtual time of one look at a port.
const LOOK_NS: u64 = 10_000;
/// The versions that a scan asks for.
const VERSIONS: [TlsVersion; 5] = [TlsVersion::Ssl30, TlsVersion::Tls10, TlsVersion::Tls11, TlsVersion::Tls12, TlsVersion::Tls13];

pub(super) struct EmulatedNetwork {
    world: Shared,
    lab: Rc<RefCell<Lab>>,
    /// Calls of the bench: at which start of the device, and whether they speak plainly to a port that wants TLS.
    calls: BTreeMap<u64, (u32, bool)>,
}

impl EmulatedNetwork {
    pub(super) fn new(world: Shared, unit: u32) -> Self {
        let lab = Rc::new(RefCell::new(Lab::new(unit)));
        world.borrow_mut().set_outside(Rc::clone(&lab) as _);
        Self { world, lab, calls: BTreeMap::new() }
    }

    fn now(&self) -> u64 {
        self.world.borrow().now()
    }

    /// Lets time pass until `found` finds something; nothing at the deadline.
    fn until<T>(&self, wait: &Wait, doing: &str, mut found: impl FnMut(&mut Lab) -> Option<T>) -> Result<Option<T>, ChannelError> {
        loop {
            if let Some(it) = found(&mut self.lab.borrow_mut()) {
                return Ok(Some(it));
            }
            not_cancelled(wait, doing)?;
            if self.now() >= wait.until.0 {
                return Ok(None);
            }
            self.world.borrow_mut().advance_one(wait.until.0);
        }
    }

    fn tell_later(&self, news: Vec<(u64, NetIn)>) {
        self.tell(news.into_iter().map(|(_, what)| what).collect());
    }

    fn tell(&self, news: Vec<NetIn>) {
        let mut world = self.world.borrow_mut();
        news.into_iter().for_each(|n| world.net_in(n));
    }
}

/// What a handshake of the bench with this port ends in.
fn shake(tls: &ServerTls) -> Result<Secured, String> {
    let met = tls.terms.iter().rev().find(|(v, s)| *v >= TlsVersion::Tls12 && !s.is_empty());
    match met {
        Some((version, suites)) => Ok(secured(tls, *version, suites[0])),
        None => Err("no version in common".to_owned()),
    }
}

fn secured(tls: &ServerTls, version: TlsVersion, suite: &str) -> Secured {
    Secured { version: version.name().to_owned(), suite: suite.to_owned(), key: digest(&tls.key), subject: tls.subject.clone() }
}

impl Network for EmulatedNetwork {
    fn link(&mut self, up: bool, wait: &Wait) -> Result<(), ChannelError> {
        not_cancelled(wait, "switch the emulated link")?;
        self.world.borrow_mut().set_link(up);
        if !up {
            self.lab.borrow_mut().pulled();
        }
        Ok(())
    }

    fn connect(&mut self, dial: &Dial, wait: &Wait) -> Result<Dialled, ChannelError> {
        not_cancelled(wait, "connect to the emulated device")?;
        let knock = self.world.borrow_mut().knock(dial.port, dial.from);
        let conn = match knock {
            Knock::Open(conn) => conn,
            Knock::Refused => return Ok(Dialled::Refused),
            Knock::Silent => {
                self.until(wait, "connect to the emulated device", |_| None::<()>)?;
                return Ok(Dialled::Silent);
            }
        };
        let (tls, boots) = {
            let world = self.world.borrow();
            (world.listener(dial.port).and_then(|l| l.tls.clone()), world.boots())
        };
        let secured = match (dial.tls, &tls) {
            (false, _) => None,
            (true, Some(tls)) => match shake(tls) {
                Ok(secured) => Some(secured),
                Err(why) => {
                    self.tell(vec![NetIn::Ended(conn)]);
                    return Ok(Dialled::Unsecured(why));
                }
            },
            (true, None) => {
                self.tell(vec![NetIn::Ended(conn)]);
                return Ok(Dialled::Unsecured("no TLS came back".to_owned()));
            }
        };
        self.lab.borrow_mut().calls.insert(conn, Call::default());
        self.calls.insert(conn, (boots, !dial.tls && tls.is_some()));
        Ok(Dialled::Open(ConnId(conn), secured))
    }

    fn send(&mut self, conn: ConnId, bytes: &[u8], wait: &Wait) -> Result<bool, ChannelError> {
        not_cancelled(wait, "send to the emulated device")?;
        let Some((boots, plain)) = self.calls.get(&conn.0).copied() else { return Ok(false) };
        let now = self.now();
        {
            let mut lab = self.lab.borrow_mut();
            let Some(call) = lab.calls.get_mut(&conn.0).filter(|c| c.ended.is_none()) else { return Ok(false) };
            if plain {
                // A fatal alert, unexpected_message, and the end: this port speaks TLS only.
                call.arrive(now, vec![0x15, 3, 1, 0, 2, 2, 10]);
                call.ended = Some((now, End::Fin));
            }
        }
        if plain {
            self.tell(vec![NetIn::Ended(conn.0)]);
        } else if self.world.borrow().boots() == boots {
            self.tell(vec![NetIn::Data(conn.0, bytes.to_vec())]);
        }
        Ok(true)
    }

    fn receive(&mut self, conn: ConnId, into: &mut Vec<u8>, wait: &Wait) -> Result<Received, ChannelError> {
        let Some((boots, _)) = self.calls.get(&conn.0).copied() else { return Ok(Received::Closed(Moment(self.now()))) };
        let world = Rc::clone(&self.world);
        let found = self.until(wait, "receive from the emulated device", |lab| {
            let call = lab.calls.get_mut(&conn.0)?;
            if let Some(at) = call.take(into) {
                return Some(Received::Bytes(Moment(at)));
            }
            match call.ended {
                Some((at, End::Fin)) => Some(Received::Closed(Moment(at))),
                Some((at, End::Reset)) => Some(Received::Reset(Moment(at))),
                None => {
                    // A device that started anew knows nothing of an old connection, and says so once it is back on the network.
                    let world = world.borrow();
                    (world.boots() != boots && world.is_on_the_net()).then(|| Received::Reset(Moment(world.now())))
                }
            }
        })?;
        Ok(found.unwrap_or(Received::Silence))
    }

    fn close(&mut self, conn: ConnId, _end: End) -> Result<(), ChannelError> {
        if self.calls.remove(&conn.0).is_some() {
            self.lab.borrow_mut().calls.remove(&conn.0);
            self.tell(vec![NetIn::Ended(conn.0)]);
        }
        Ok(())
    }

    fn scan(&mut self, ports: &[RangeInclusive<u16>], wait: &Wait) -> Result<PortMap, ChannelError> {
        let mut map = PortMap::default();
        for range in ports {
            for port in range.clone() {
                if port % 1024 == 0 {
                    not_cancelled(wait, "scan the emulated device")?;
                }
                let knock = self.world.borrow_mut().knock(port, 0);
                match knock {
                    Knock::Open(conn) => {
                        map.open.push(port);
                        self.tell(vec![NetIn::Ended(conn)]);
                    }
                    Knock::Refused => map.closed += 1,
                    Knock::Silent => map.silent.push(port),
                }
                // Ports are looked at in passing; time goes on in steps that a whole scan can afford.
                if port % 64 == 0 {
                    let mut world = self.world.borrow_mut();
                    let then = world.now() + 64 * LOOK_NS;
                    world.advance(then);
                }
            }
        }
        map.open.sort_unstable();
        map.open.dedup();
        Ok(map)
    }

    fn datagram(&mut self, port: u16, bytes: &[u8], wait: &Wait) -> Result<DatagramSeen, ChannelError> {
        not_cancelled(wait, "send a datagram to the emulated device")?;
        let (up, bound) = {
            let world = self.world.borrow();
            (world.is_on_the_net(), world.is_bound(port))
        };
        if up && !bound {
            return Ok(DatagramSeen::Closed);
        }
        self.lab.borrow_mut().replies.clear();
        if port == SMP_PORT && up {
            self.world.borrow_mut().datagram(Datagram { peer: BENCH, bytes: bytes.to_vec() });
        } else {
            self.tell(vec![NetIn::Datagram { port, peer: BENCH, bytes: bytes.to_vec() }]);
        }
        let world = Rc::clone(&self.world);
        let answer = self.until(wait, "wait for a datagram of the emulated device", |lab| {
            let smp = if port == SMP_PORT { world.borrow_mut().take_datagram().map(|d| d.bytes) } else { None };
            smp.or_else(|| lab.replies.pop_front().filter(|(p, peer, _)| (*p, *peer) == (port, BENCH)).map(|(_, _, bytes)| bytes))
        })?;
        Ok(answer.map_or(DatagramSeen::Silent, DatagramSeen::Answer))
    }

    fn tls_offer(&mut self, port: u16, wait: &Wait) -> Result<TlsOffer, ChannelError> {
        not_cancelled(wait, "scan TLS of the emulated device")?;
        let world = self.world.borrow();
        let mut offer = TlsOffer::default();
        match world.listener(port) {
            Some(listener) => {
                if let Some(tls) = &listener.tls {
                    for version in VERSIONS {
                        if let Some((_, suites)) = tls.terms.iter().find(|(v, _)| *v == version) {
                            offer.taken.push((version.name().to_owned(), suites.iter().map(|s| (*s).to_owned()).collect()));
                        }
                    }
                    offer.shown = tls.terms.last().and_then(|(v, s)| s.first().map(|s| secured(tls, *v, s)));
                }
            }
            None if world.is_on_the_net() => {}
            None => offer.unknown = VERSIONS.iter().map(|v| v.name().to_owned()).collect(),
        }
        Ok(offer)
    }

    fn serve(&mut self, service: &Service, wait: &Wait) -> Result<(), ChannelError> {
        not_cancelled(wait, "serve the emulated device")?;
        let news = self.lab.borrow_mut().serve(self.now(), service);
        self.tell_later(news);
        Ok(())
    }

    fn withdraw(&mut self, host: &str, port: u16, wait: &Wait) -> Result<(), ChannelError> {
        not_cancelled(wait, "serve the emulated device no more")?;
        let news = self.lab.borrow_mut().withdraw(self.now(), host, port);
        self.tell_later(news);
        Ok(())
    }

    fn disturb(&mut self, host: &str, port: u16, fault: Option<Fault>, wait: &Wait) -> Result<(), ChannelError> {
        not_cancelled(wait, "disturb the emulated device's connections")?;
        let done = self.lab.borrow_mut().disturb(host, port, fault);
        done.ok_or_else(|| ChannelError::new(ErrorKind::Unsupported, format!("lay a fault on the way to {host}:{port}, where datagrams go")))
    }

    fn publish(&mut self, topic: &str, payload: &[u8], retain: bool, wait: &Wait) -> Result<u32, ChannelError> {
        not_cancelled(wait, "publish to the emulated device")?;
        let (count, news) = self.lab.borrow_mut().publish(self.now(), topic, payload, retain);
        self.tell_later(news);
        Ok(count)
    }

    fn seen(&mut self, wait: &Wait) -> Result<Vec<Seen>, ChannelError> {
        let seen = self.until(wait, "watch the emulated network", |lab| lab.has_seen().then(|| lab.take_seen()))?;
        Ok(seen.unwrap_or_default())
    }

    fn clear(&mut self, _wait: &Wait) -> Result<(), ChannelError> {
        let unit = self.lab.borrow().unit();
        let calls = std::mem::take(&mut self.calls);
        self.tell(calls.into_keys().map(NetIn::Ended).collect());
        *self.lab.borrow_mut() = Lab::new(unit);
        self.world.borrow_mut().set_link(false);
        Ok(())
    }

    fn lost(&self) -> u64 {
        self.lab.borrow().lost
    }

    fn describe(&self) -> String {
        "emulated link with the lab at its other end".to_owned()
    }
}
