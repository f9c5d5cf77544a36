//! Rules of networks.

use super::{Broken, Outcome, cancelled, given_up, rule, within, works};
use crate::network::{ConnId, DatagramSeen, Dial, Dialled, End, Fault, Front, Received, Secured, Seen, Service, Sight, Trade};
use crate::{Clock, ErrorKind, Network};
use std::collections::BTreeSet;
use std::time::Duration;

/// Most bytes that one read may append.
const READ_MOST: usize = 64 * 1024;
/// What has not come by then is not on its way.
const QUIET: Duration = Duration::from_millis(300);
/// How long a device may take to answer, or to do something by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the suite must know of the device at the other end. Ports are the device's own, TCP unless said otherwise.
#[derive(Debug, Clone, Copy)]
pub struct NetworkDevice<'a> {
    /// A port without TLS that is open and says nothing by itself.
    pub open: u16,
    /// What is said there, and a part of what comes back, once for each time it is said, on connections that stay open long enough to say it twice.
    pub talk: Option<(&'a [u8], &'a [u8])>,
    /// A port and bytes after which the device ends the connection in order.
    pub ends: Option<(u16, &'a [u8])>,
    /// A port with TLS.
    pub tls: Option<u16>,
    /// A port at which nobody listens, neither with TCP nor with UDP.
    pub closed: u16,
    /// A host and port to which the device opens connections by itself, again and again, while its link is up and the name is resolved.
    pub goes: Option<(&'a str, u16)>,
}

/// A network as it is opened, with a device at its other end that runs and takes its link as it comes. Left as [`Network::clear`] leaves it.
pub fn network(network: &mut dyn Network, clock: &mut dyn Clock, device: &NetworkDevice<'_>) -> Outcome {
    rule(!network.describe().is_empty(), "a network says what it is", "nothing")?;
    unplugged(network, clock, device)?;

    works(network.link(true, &within(clock, PATIENCE)), "plugging the link in works")?;
    settling(network, clock, device)?;
    given_up_calls(network, clock, device)?;
    knocking(network, clock, device)?;
    talking(network, clock, device)?;
    ending(network, clock, device)?;
    if let Some(port) = device.tls {
        secured(network, clock, port)?;
    }
    looking(network, clock, device)?;
    serving(network, clock, device)?;
    rule(network.lost() == 0, "nothing is lost that was taken", network.lost())?;

    let conn = open(network, clock, &Dial::plain(device.open))?.0;
    works(network.clear(&within(clock, PATIENCE)), "clearing works")?;
    rule(network.lost() == 0, "a cleared network has lost nothing", network.lost())?;
    let mut bytes = Vec::new();
    let read = works(network.receive(conn, &mut bytes, &within(clock, QUIET)), "reading an ended call works")?;
    rule(matches!(read, Received::Closed(_)) && bytes.is_empty(), "clearing ends every call", (read, bytes.len()))?;
    unplugged(network, clock, device)?;
    works(network.clear(&within(clock, PATIENCE)), "clearing twice works")
}

/// The state at open: nothing comes and nothing goes.
fn unplugged(network: &mut dyn Network, clock: &mut dyn Clock, device: &NetworkDevice<'_>) -> Outcome {
    let before = clock.now();
    let seen = works(network.seen(&within(clock, QUIET)), "watching a network without link works")?;
    rule(seen.is_empty(), "without link nothing is seen", &seen)?;
    rule(clock.now() >= before + QUIET, "an empty list is told at the deadline, not before it", clock.now().since(before))?;
    let before = clock.now();
    let dialled = works(network.connect(&Dial::plain(device.open), &within(clock, QUIET)), "connecting without link works")?;
    rule(dialled == Dialled::Silent, "without link a connect is Silent", &dialled)?;
    rule(clock.now() >= before + QUIET, "Silent is told at the deadline, not before it", clock.now().since(before))?;
    let answer = works(network.datagram(device.closed, b"?", &within(clock, QUIET)), "asking without link works")?;
    rule(answer == DatagramSeen::Silent, "without link a datagram is Silent", answer)
}

/// A device may take its time until it is on the network.
fn settling(network: &mut dyn Network, clock: &mut dyn Clock, device: &NetworkDevice<'_>) -> Outcome {
    let until = within(clock, PATIENCE);
    while works(network.connect(&Dial::plain(device.closed), &within(clock, QUIET)), "connecting works")? == Dialled::Silent {
        rule(clock.now() < until.until, "a device whose link is in comes onto the network", QUIET)?;
    }
    Ok(())
}

/// A wait that was cancelled ends every call, and does nothing.
fn given_up_calls(network: &mut dyn Network, clock: &mut dyn Clock, device: &NetworkDevice<'_>) -> Outcome {
    let conn = open(network, clock, &Dial::plain(device.open))?.0;
    let mut bytes = Vec::new();
    cancelled(network.link(false, &given_up(clock)))?;
    cancelled(network.connect(&Dial::plain(device.open), &given_up(clock)))?;
    cancelled(network.send(conn, b"?", &given_up(clock)))?;
    cancelled(network.receive(conn, &mut bytes, &given_up(clock)))?;
    cancelled(network.scan(&[1024..=1024], &given_up(clock)))?;
    cancelled(network.datagram(device.closed, b"?", &given_up(clock)))?;
    cancelled(network.tls_offer(device.closed, &given_up(clock)))?;
    cancelled(network.serve(&sink("given-up.example", 9), &given_up(clock)))?;
    cancelled(network.withdraw("given-up.example", 9, &given_up(clock)))?;
    cancelled(network.disturb("given-up.example", 9, Some(Fault::HalfOpen), &given_up(clock)))?;
    cancelled(network.publish("given/up", b"", false, &given_up(clock)))?;
    cancelled(network.seen(&given_up(clock)))?;
    rule(bytes.is_empty(), "a cancelled read appends nothing", &bytes)?;
    works(network.close(conn, End::Fin), "ending a connection works")
}

fn knocking(network: &mut dyn Network, clock: &mut dyn Clock, device: &NetworkDevice<'_>) -> Outcome {
    for dial in [Dial::plain(device.closed), Dial::tls(device.closed)] {
        let dialled = works(network.connect(&dial, &within(clock, PATIENCE)), "connecting works")?;
        rule(dialled == Dialled::Refused, "a port at which nobody listens is Refused", dialled)?;
    }
    let (one, secured) = open(network, clock, &Dial::plain(device.open))?;
    rule(secured.is_none(), "a connection without TLS has negotiated nothing", secured)?;
    let other = open(network, clock, &Dial::plain(device.open))?.0;
    rule(one != other, "every connection has its own number", (one, other))?;

    let mut bytes = b"kept".to_vec();
    let before = clock.now();
    let read = works(network.receive(one, &mut bytes, &within(clock, QUIET)), "reading a quiet connection works")?;
    rule(read == Received::Silence, "a quiet connection is Silence", read)?;
    rule(clock.now() >= before + QUIET, "Silence is told at the deadline, not before it", clock.now().since(before))?;
    let read = works(network.receive(one, &mut bytes, &within(clock, Duration::ZERO)), "reading with a deadline that has passed works")?;
    rule(read == Received::Silence && bytes == b"kept", "a deadline that has passed is Silence", (read, &bytes))?;

    for end in [End::Fin, End::Reset] {
        works(network.close(one, end), "ending a connection works, twice too")?;
        works(network.close(other, end), "ending a connection works, twice too")?;
    }
    let sent = works(network.send(one, b"?", &within(clock, PATIENCE)), "sending on an ended connection works")?;
    rule(!sent, "an ended connection takes nothing", sent)?;
    let read = works(network.receive(one, &mut bytes, &within(clock, PATIENCE)), "reading an ended connection works")?;
    rule(matches!(read, Received::Closed(_)), "an ended connection is Closed", read)
}

fn talking(network: &mut dyn Network, clock: &mut dyn Clock, device: &NetworkDevice<'_>) -> Outcome {
    let Some((question, answer)) = device.talk else { return Ok(()) };
    let conn = open(network, clock, &Dial::plain(device.open))?.0;
    let mut bytes = b"kept".to_vec();
    let mut last = clock.now();
    for nth in 1..=2 {
        let sent = works(network.send(conn, question, &within(clock, PATIENCE)), "sending works")?;
        rule(sent, "an open connection takes bytes", sent)?;
        let until = within(clock, PATIENCE);
        while count(&bytes, answer) < nth {
            let length = bytes.len();
            let read = works(network.receive(conn, &mut bytes, &until), "reading an answer works")?;
            let Received::Bytes(at) = read else {
                return rule(false, "an answer arrives", (read, String::from_utf8_lossy(&bytes)));
            };
            rule((1..=READ_MOST).contains(&(bytes.len() - length)), "a read appends 1 byte to 64 KiB", bytes.len() - length)?;
            rule(at >= last, "arrival times never go back, nor before the question", (at, last))?;
            rule(at <= clock.now(), "nothing arrives in the future", (at, clock.now()))?;
            last = at;
        }
    }
    rule(bytes.starts_with(b"kept"), "reading appends and replaces nothing", String::from_utf8_lossy(&bytes))?;
    let read = works(network.receive(conn, &mut bytes, &within(clock, QUIET)), "reading on works")?;
    rule(!matches!(read, Received::Bytes(_)) || count(&bytes, answer) == 2, "bytes arrive once", String::from_utf8_lossy(&bytes))?;
    works(network.close(conn, End::Reset), "resetting a connection works")
}

fn ending(network: &mut dyn Network, clock: &mut dyn Clock, device: &NetworkDevice<'_>) -> Outcome {
    let Some((port, last)) = device.ends else { return Ok(()) };
    let conn = open(network, clock, &Dial::plain(port))?.0;
    works(network.send(conn, last, &within(clock, PATIENCE)), "sending works")?;
    let mut bytes = Vec::new();
    let until = within(clock, PATIENCE);
    loop {
        match works(network.receive(conn, &mut bytes, &until), "reading to the end works")? {
            Received::Bytes(_) => {}
            Received::Closed(_) => break,
            other => return rule(false, "an end in order is Closed", other),
        }
    }
    let again = works(network.receive(conn, &mut bytes, &until), "reading behind the end works")?;
    rule(matches!(again, Received::Closed(_)), "what was Closed stays Closed", again)?;
    let sent = works(network.send(conn, b"?", &within(clock, PATIENCE)), "sending behind the end works")?;
    rule(!sent, "what the device has ended takes nothing", sent)?;
    works(network.close(conn, End::Fin), "ending what has ended works")
}

fn secured(network: &mut dyn Network, clock: &mut dyn Clock, port: u16) -> Outcome {
    let mut shown: Vec<Secured> = Vec::new();
    for _ in 0..2 {
        let (conn, secured) = open(network, clock, &Dial::tls(port))?;
        let Some(secured) = secured else { return rule(false, "a handshake tells what was negotiated", conn) };
        works(network.close(conn, End::Fin), "ending a connection works")?;
        shown.push(secured);
    }
    let [one, other] = &shown[..] else { return Ok(()) };
    rule(one.version.starts_with("TLS 1.") && one.suite.starts_with("TLS_"), "version and suite have their names", one)?;
    let hex = one.key.len() == 64 && one.key.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    rule(hex, "a key is told as SHA-256 in hex", &one.key)?;
    rule(one.key == other.key && one.subject == other.subject, "the device is the same one twice", (one, other))?;
    let offer = works(network.tls_offer(port, &within(clock, 10 * PATIENCE)), "scanning TLS works")?;
    let suites = offer.taken.iter().find(|(version, _)| *version == one.version).map(|(_, suites)| suites);
    rule(suites.is_some_and(|s| s.contains(&one.suite)), "what was negotiated is offered", &offer)?;
    rule(offer.taken.iter().all(|(v, _)| !offer.unknown.contains(v)), "a version is taken or unknown, not both", &offer)?;
    rule(offer.shown.as_ref().is_some_and(|s| s.key == one.key), "the scan shows the same key", &offer.shown)
}

fn looking(network: &mut dyn Network, clock: &mut dyn Clock, device: &NetworkDevice<'_>) -> Outcome {
    let ports = [device.open..=device.open, device.closed..=device.closed, device.open..=device.open];
    let map = works(network.scan(&ports, &within(clock, PATIENCE)), "scanning works")?;
    rule(map.open == [device.open], "an open port is found, once", &map)?;
    rule(map.closed == 1 && map.silent.is_empty(), "a port that refuses is closed", &map)?;
    let answer = works(network.datagram(device.closed, b"?", &within(clock, PATIENCE)), "asking by datagram works")?;
    rule(answer == DatagramSeen::Closed, "a UDP port at which nobody listens is Closed", answer)?;
    let offer = works(network.tls_offer(device.closed, &within(clock, PATIENCE)), "scanning TLS of a closed port works")?;
    rule(offer.taken.is_empty() && offer.shown.is_none(), "a closed port takes no TLS", offer)
}

fn serving(network: &mut dyn Network, clock: &mut dyn Clock, device: &NetworkDevice<'_>) -> Outcome {
    let service = sink("unused.example", 9443);
    for _ in 0..2 {
        works(network.serve(&service, &within(clock, PATIENCE)), "serving works, in the place of the same service too")?;
    }
    for _ in 0..2 {
        works(network.withdraw("unused.example", 9443, &within(clock, PATIENCE)), "withdrawing works, also what is not there")?;
    }
    let reached = works(network.publish("nobody/listens", b"x", false, &within(clock, PATIENCE)), "publishing works without a broker")?;
    rule(reached == 0, "without subscriptions nothing is reached", reached)?;
    let Some((host, port)) = device.goes else { return Ok(()) };
    let resolver = Service { host: "resolver".to_owned(), port: 53, front: Front::Plain, trade: Trade::Names { alive: true } };
    works(network.serve(&resolver, &within(clock, PATIENCE)), "serving names works")?;
    works(network.serve(&sink(host, port), &within(clock, PATIENCE)), "serving works")?;
    let mut all: Vec<Seen> = Vec::new();
    let until = within(clock, PATIENCE);
    let is_dial = |s: &&Seen| s.host == host && s.port == port && matches!(s.sight, Sight::Dialled { .. });
    let dials = |all: &[Seen]| all.iter().filter(is_dial).count();
    while dials(&all) < 2 {
        let news = works(network.seen(&until), "watching works")?;
        rule(!news.is_empty(), "a device that comes to a service is seen", &all)?;
        all.extend(news);
    }
    rule(all.iter().all(|s| s.at <= clock.now()), "nothing is seen in the future", all.last())?;
    rule(all.is_sorted_by_key(|s| s.at), "sights come in the order in which they happened", &all)?;
    let asked = all.iter().position(|s| s.host == host && s.sight == (Sight::Query { answered: true }));
    let dialled = all.iter().position(|s| is_dial(&s));
    rule(asked.is_some() && asked < dialled, "a name is asked for before it is dialled", &all)?;
    let numbers: BTreeSet<u64> = all.iter().filter(is_dial).map(|s| s.conn).collect();
    rule(numbers.len() == dials(&all), "every connection is seen once, by its own number", &all)?;
    disturbing(network, clock, (host, port))?;
    works(network.withdraw(host, port, &within(clock, PATIENCE)), "withdrawing works")
}

/// A device that comes to a service comes there under every fault, and under none afterwards.
fn disturbing(network: &mut dyn Network, clock: &mut dyn Clock, (host, port): (&str, u16)) -> Outcome {
    let resolver = network.disturb("resolver", 53, Some(Fault::HalfOpen), &within(clock, PATIENCE));
    let unsupported = matches!(&resolver, Err(e) if e.kind == ErrorKind::Unsupported);
    rule(unsupported, "a fault on the way of datagrams is Unsupported", &resolver)?;
    let faults = [Fault::Delay(QUIET), Fault::Loss { one_in: 2, again: QUIET }, Fault::HalfOpen, Fault::CutAfter(1), Fault::Corrupt { one_in: 2 }];
    for fault in faults.map(Some).into_iter().chain([None]) {
        works(network.disturb(host, port, fault, &within(clock, PATIENCE)), "disturbing works")?;
        // What is on its way already belongs to the fault before.
        works(network.seen(&within(clock, Duration::ZERO)), "watching works")?;
        let until = within(clock, PATIENCE);
        let mut came = false;
        while !came {
            let news = works(network.seen(&until), "watching works")?;
            rule(!news.is_empty(), "a device comes to a service in spite of a fault on the way", fault)?;
            came = news.iter().any(|s| s.host == host && s.port == port && matches!(s.sight, Sight::Dialled { .. }));
        }
    }
    works(network.disturb("nobody.example", 9, None, &within(clock, PATIENCE)), "lifting a fault that is not there works")
}

fn sink(host: &str, port: u16) -> Service {
    Service { host: host.to_owned(), port, front: Front::Plain, trade: Trade::Sink }
}

/// Opens a connection that has no reason to fail.
fn open(network: &mut dyn Network, clock: &mut dyn Clock, dial: &Dial) -> Result<(ConnId, Option<Secured>), Broken> {
    match works(network.connect(dial, &within(clock, PATIENCE)), "connecting works")? {
        Dialled::Open(conn, secured) => Ok((conn, secured)),
        other => Err(Broken { rule: "an open port opens", saw: format!("{other:?}") }),
    }
}

fn count(bytes: &[u8], part: &[u8]) -> usize {
    bytes.windows(part.len().max(1)).filter(|w| *w == part).count()
}
