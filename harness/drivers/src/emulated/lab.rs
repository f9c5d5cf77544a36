//! The lab at the other end of an emulated device's link, in virtual time: resolver, time, web and broker, each able to misbehave, and a list of what
//! the device did. It shares no code with the device, and none with the lab on real sockets.

mod broker;
mod way;
mod web;

use proofbench_channel::Moment;
use proofbench_channel::network::{EPOCH_S, End, Fault, Front, Hello, Lie, Seen, Service, Sight, Trade};
use proofbench_emulator::net::{ClientTls, FROM_OUTSIDE, NetIn, NetOut, OpenFailed};
use proofbench_emulator::{Outside, net::TlsVersion};
use std::collections::{BTreeMap, VecDeque};

/// Sights that wait to be taken; what comes on top is counted.
const SEEN_MOST: usize = 65_536;
/// Bytes of one connection that nobody has read.
const UNREAD_MOST: usize = 1 << 20;
/// A resolver that is not there.
const NO_NAME_NS: u64 = 5_000_000_000;
/// A second.
const S: u64 = 1_000_000_000;

/// What the answers are collected in: after how many nanoseconds, and what.
type Answers = Vec<(u64, NetIn)>;

/// A connection that the device opened to the lab.
struct Visit {
    host: String,
    port: u16,
    /// Host and port of the service that took it, as it was put up.
    service: (String, u16),
    /// Nothing is done on it any more.
    mute: bool,
    /// The device speaks plainly to a service that wants TLS.
    unsecured: bool,
    buffer: Vec<u8>,
    filters: Vec<String>,
}

/// A connection that the bench opened to the device.
#[derive(Default)]
pub(super) struct Call {
    arrived: VecDeque<(u64, Vec<u8>)>,
    pub(super) ended: Option<(u64, End)>,
    waiting: usize,
}

/// See the module.
pub(super) struct Lab {
    unit: u32,
    services: Vec<Service>,
    visits: BTreeMap<u64, Visit>,
    pub(super) calls: BTreeMap<u64, Call>,
    /// Answers to datagrams of the bench: port and bytes.
    pub(super) replies: VecDeque<(u16, u64, Vec<u8>)>,
    seen: VecDeque<Seen>,
    pub(super) lost: u64,
    /// How often a page was served.
    served: BTreeMap<(String, u16, String), u32>,
    way: way::Way,
}

impl Lab {
    pub(super) fn new(unit: u32) -> Self {
        Self {
            unit,
            services: Vec::new(),
            visits: BTreeMap::new(),
            calls: BTreeMap::new(),
            replies: VecDeque::new(),
            seen: VecDeque::new(),
            lost: 0,
            served: BTreeMap::new(),
            way: way::Way::default(),
        }
    }

    pub(super) fn unit(&self) -> u32 {
        self.unit
    }

    /// Puts a service up in the place of the one at its host and port. What must be told to the device comes back.
    pub(super) fn serve(&mut self, now: u64, service: &Service) -> Answers {
        let place = (service.host.clone(), service.port);
        self.served.retain(|(h, p, _), _| (h, *p) != (&place.0, place.1));
        self.services.retain(|s| (&s.host, s.port) != (&place.0, place.1));
        self.services.push(service.clone());
        let cut = matches!(service.front, Front::Refuse | Front::Silent | Front::HangUp);
        if cut { self.cut(now, &place) } else { Answers::new() }
    }

    /// Lays a fault on the way to a destination, or lifts it. `None`: a destination of datagrams.
    pub(super) fn disturb(&mut self, host: &str, port: u16, fault: Option<Fault>) -> Option<()> {
        self.way.disturb(&self.services, host, port, fault)
    }

    /// The link is pulled: what is on its way is lost.
    pub(super) fn pulled(&mut self) {
        self.way.pulled();
    }

    /// Takes a service away.
    pub(super) fn withdraw(&mut self, now: u64, host: &str, port: u16) -> Answers {
        self.services.retain(|s| (s.host.as_str(), s.port) != (host, port));
        self.cut(now, &(host.to_owned(), port))
    }

    fn cut(&mut self, now: u64, place: &(String, u16)) -> Answers {
        let gone: Vec<u64> = self.visits.iter().filter(|(_, v)| v.service == *place).map(|(n, _)| *n).collect();
        let ends = gone.into_iter().map(|conn| {
            self.visits.remove(&conn);
            (0, NetIn::Ended(conn))
        });
        let ends = ends.collect();
        let mut answers = Answers::new();
        self.back(now, ends, &mut answers);
        answers
    }

    /// Publishes to whoever subscribed. What must be sent comes back, and how many there were.
    pub(super) fn publish(&mut self, now: u64, topic: &str, payload: &[u8], retain: bool) -> (u32, Answers) {
        let to = self.visits.iter().filter(|(_, v)| v.filters.iter().any(|f| broker::matches(f, topic)));
        let said: Answers = to.map(|(conn, _)| (0, NetIn::Data(*conn, broker::publish(topic, payload, retain)))).collect();
        let (count, mut answers) = (u32::try_from(said.len()).unwrap_or(u32::MAX), Answers::new());
        self.back(now, said, &mut answers);
        (count, answers)
    }

    /// Everything that was seen and not taken yet.
    pub(super) fn take_seen(&mut self) -> Vec<Seen> {
        self.seen.drain(..).collect()
    }
    pub(super) fn has_seen(&self) -> bool {
        !self.seen.is_empty()
    }

    fn see(&mut self, now: u64, host: &str, port: u16, conn: u64, sight: Sight) {
        if self.seen.len() >= SEEN_MOST {
            self.lost += 1;
            return;
        }
        self.seen.push_back(Seen { at: Moment(now), unit: self.unit, host: host.to_owned(), port, conn, sight });
    }

    fn see_visit(&mut self, now: u64, conn: u64, sight: Sight) {
        if let Some((host, port)) = self.visits.get(&conn).map(|v| (v.host.clone(), v.port)) {
            self.see(now, &host, port, conn, sight);
        }
    }

    /// The service at this place; `*` is every name.
    fn service(&self, host: &str, port: u16) -> Option<&Service> {
        let at = |name: &str| self.services.iter().find(|s| s.host == name && s.port == port);
        at(host).or_else(|| at("*"))
    }

    /// Whether the resolver answers this name, and if not, when the device learns it.
    fn resolve(&mut self, now: u64, host: &str) -> Result<(), u64> {
        let resolver = self.services.iter().find_map(|s| if let Trade::Names { alive } = s.trade { Some(alive) } else { None });
        let known = self.services.iter().any(|s| (s.host == host || s.host == "*") && !matches!(s.trade, Trade::Names { .. }));
        let answered = resolver == Some(true) && known;
        if resolver.is_some() {
            self.see(now, host, 53, 0, Sight::Query { answered });
        }
        match (answered, resolver) {
            (true, _) => Ok(()),
            (false, Some(true)) => Err(1_000_000),
            (false, _) => Err(NO_NAME_NS),
        }
    }

    fn open(&mut self, now: u64, conn: u64, place: (String, u16), tls: Option<ClientTls>, answers: &mut Answers) {
        let (host, port) = place;
        if let Err(after) = self.resolve(now, &host) {
            answers.push((after, NetIn::Failed(conn, OpenFailed::NoName)));
            return;
        }
        let hello = tls.as_ref().map(|t| Hello { name: t.named.then(|| host.clone()), ..hello_of(t) });
        let Some(service) = self.service(&host, port) else {
            self.see(now, &host, port, conn, Sight::Dialled { hello: None });
            answers.push((0, NetIn::Failed(conn, OpenFailed::Refused)));
            return;
        };
        let (front, at) = (service.front, (service.host.clone(), service.port));
        let greeted = if matches!(front, Front::Refuse | Front::Silent) { None } else { hello };
        self.see(now, &host, port, conn, Sight::Dialled { hello: greeted });
        let mut visit = Visit { host, port, service: at, mute: false, unsecured: false, buffer: Vec::new(), filters: Vec::new() };
        match (front, tls) {
            (Front::Refuse, _) | (Front::HangUp, Some(_)) => return answers.push((0, NetIn::Failed(conn, OpenFailed::Refused))),
            (Front::Silent, _) | (Front::Stall, Some(_)) => return,
            (Front::HangUp, None) => return answers.extend([(0, NetIn::Opened(conn)), (1_000_000, NetIn::Ended(conn))]),
            (Front::Stall, None) => visit.mute = true,
            (Front::Plain, None) => {}
            (Front::Plain, Some(_)) => {
                self.see(now, &visit.host.clone(), visit.port, conn, Sight::Declined { shown: None, why: "no TLS came back".to_owned() });
                return answers.push((0, NetIn::Failed(conn, OpenFailed::Untrusted)));
            }
            (Front::Tls(_), None) => visit.unsecured = true,
            (Front::Tls(shown), Some(tls)) => {
                let (host, port) = (visit.host.clone(), visit.port);
                let met = tls.terms.iter().rev().find(|(v, s)| *v >= TlsVersion::Tls12 && !s.is_empty());
                let broken = self.way.breaks_handshake(conn);
                let sight = match (met, tls.trust.takes(shown)) {
                    _ if broken => Sight::Declined { shown: Some(shown), why: "alert bad_record_mac".to_owned() },
                    (None, _) => Sight::Declined { shown: None, why: "no version in common".to_owned() },
                    (_, Err(alert)) => Sight::Declined { shown: Some(shown), why: format!("alert {alert}") },
                    (Some((version, suites)), Ok(())) => Sight::Secured {
                        shown,
                        client: tls.identity.as_ref().map(|(subject, key)| (subject.clone(), digest(key))),
                        version: version.name().to_owned(),
                        suite: suites[0].to_owned(),
                    },
                };
                let refused = matches!(sight, Sight::Declined { .. });
                self.see(now, &host, port, conn, sight);
                if refused {
                    return answers.push((0, NetIn::Failed(conn, OpenFailed::Untrusted)));
                }
            }
        }
        self.visits.insert(conn, visit);
        answers.push((0, NetIn::Opened(conn)));
    }

    fn data(&mut self, now: u64, conn: u64, bytes: Vec<u8>, answers: &mut Answers) {
        if conn & FROM_OUTSIDE != 0 {
            if let Some(call) = self.calls.get_mut(&conn) {
                call.arrive(now, bytes);
            }
            return;
        }
        let Some(visit) = self.visits.get(&conn) else { return };
        if visit.mute || visit.unsecured {
            let ends = visit.unsecured;
            self.see_visit(now, conn, Sight::Bytes(bytes.into_iter().take(4096).collect()));
            if ends {
                self.visits.remove(&conn);
                answers.push((0, NetIn::Ended(conn)));
            }
            return;
        }
        let place = visit.service.clone();
        let trade = self.services.iter().find(|s| (&s.host, s.port) == (&place.0, place.1)).map(|s| s.trade.clone());
        match trade {
            Some(Trade::Web(pages)) => self.web(now, conn, &bytes, &pages, answers),
            Some(Trade::Broker(conduct)) => self.broker(now, conn, &bytes, &conduct, answers),
            _ => self.see_visit(now, conn, Sight::Bytes(bytes.into_iter().take(4096).collect())),
        }
    }

    fn ask(&mut self, now: u64, conn: u64, place: (String, u16), bytes: Vec<u8>, answers: &mut Answers) {
        let (host, port) = place;
        // Multicast and broadcast need no name and have no service.
        let group = host.split('.').next().and_then(|o| o.parse::<u8>().ok()).is_some_and(|o| (224..240).contains(&o) || o == 255);
        if group {
            return self.see(now, &host, port, 0, Sight::Datagram(bytes));
        }
        if self.resolve(now, &host).is_err() {
            return;
        }
        let lie = self.service(&host, port).and_then(|s| if let Trade::Time(lie) = &s.trade { Some(*lie) } else { None });
        match lie {
            Some(lie) if bytes.len() >= 48 && bytes[0] & 7 == 3 => {
                let time = told_time(now, lie);
                self.see(now, &host, port, 0, Sight::Time { answered: time.is_some() });
                if let Some(seconds) = time {
                    answers.push((0, NetIn::Data(conn, time_packet(seconds, &bytes))));
                }
            }
            _ => self.see(now, &host, port, 0, Sight::Datagram(bytes)),
        }
    }
}

impl Call {
    /// Bytes of the device; what nobody reads for too long is lost.
    pub(super) fn arrive(&mut self, now: u64, bytes: Vec<u8>) {
        if self.waiting + bytes.len() <= UNREAD_MOST {
            self.waiting += bytes.len();
            self.arrived.push_back((now, bytes));
        }
    }
    /// Bytes that have come, at most so many.
    pub(super) fn take(&mut self, into: &mut Vec<u8>) -> Option<u64> {
        let mut last = None;
        while let Some((at, bytes)) = self.arrived.pop_front() {
            self.waiting -= bytes.len();
            into.extend_from_slice(&bytes);
            last = Some(at);
            if into.len() >= 65_536 {
                break;
            }
        }
        last
    }
}

impl Lab {
    /// What arrived from the device.
    fn heard(&mut self, now: u64, out: NetOut, answers: &mut Answers) {
        match out {
            NetOut::Open { conn, host, port, tls } => self.open(now, conn, (host, port), tls, answers),
            NetOut::Data(conn, bytes) => self.data(now, conn, bytes, answers),
            NetOut::End { conn, reset } => {
                let end = if reset { End::Reset } else { End::Fin };
                if let Some(call) = self.calls.get_mut(&conn) {
                    call.ended.get_or_insert((now, end));
                }
                self.see_visit(now, conn, Sight::Ended(end));
                self.visits.remove(&conn);
            }
            NetOut::Ask { conn, host, port, bytes } => self.ask(now, conn, (host, port), bytes, answers),
            NetOut::Reply { port, peer, bytes } => self.replies.push_back((port, peer, bytes)),
        }
    }
}

impl Outside for Lab {
    fn hear(&mut self, now: u64, out: NetOut, answers: &mut Answers) {
        self.sent(now, out, answers);
    }
    fn timer(&self) -> Option<u64> {
        self.way.timer()
    }
    fn due(&mut self, now: u64, answers: &mut Answers) {
        self.late(now, answers);
    }
}

/// What a device offers.
fn hello_of(tls: &ClientTls) -> Hello {
    let versions = tls.terms.iter().map(|(v, _)| v.name().to_owned()).collect();
    let suites = tls.terms.iter().rev().flat_map(|(_, s)| s.iter().map(|s| (*s).to_owned())).collect();
    Hello { versions, suites, name: None }
}

/// The name of a key by what it is made from.
pub(super) fn digest(key: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(key).iter().map(|b| format!("{b:02x}")).collect()
}

/// What a server says the time is, in seconds since 1970.
fn told_time(now: u64, lie: Lie) -> Option<u64> {
    let truth = EPOCH_S + now / S;
    match lie {
        Lie::Truth => Some(truth),
        Lie::Off(by) => Some(truth.saturating_add_signed(by)),
        Lie::Fixed(at) => Some(at),
        Lie::Dumb => None,
    }
}

/// An answer of an NTP server of stratum 2 (RFC 5905).
fn time_packet(seconds: u64, question: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x24, 2, 6, 0xEC];
    packet.resize(24, 0);
    packet.extend_from_slice(&question[40..48]);
    // Seconds since 1900, low 32 bits: the era wraps in 2036.
    let stamp = (seconds.wrapping_add(2_208_988_800) as u32).to_be_bytes();
    for _ in 0..2 {
        packet.extend_from_slice(&stamp);
        packet.extend([0; 4]);
    }
    packet
}
