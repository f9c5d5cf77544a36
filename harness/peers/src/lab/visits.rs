//! Connections that the device opens to the lab: whom they are for, how they are taken, and the trade behind them.

use super::ground::Ground;
use super::late::Session;
use super::link::Line;
use super::places::{EVERY, Place, Up, Visit, lock};
use super::rough::{Rough, Told};
use super::secure;
use super::trade::{self, Over};
use crate::capture::Side;
use crate::mqtt::Wire;
use crate::tls::hello::{ClientHello, HelloReader};
use crate::tls::names::shown;
use proofbench_channel::network::{Certificate, End, Front, Sight};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::{LazyConfigAcceptor, rustls::server::Acceptor};

/// Connections at a time; one more is ended, and counts as a sight that was lost.
const VISITS_MOST: usize = 256;
/// A client that has said nothing for so long after it connected is told as one that says nothing.
const FIRST: Duration = Duration::from_secs(1);
/// How long a ClientHello, and then the handshake, may take.
const GREETING: Duration = Duration::from_secs(10);
/// Longest head of a request that is looked through for its host.
const HEAD_MOST: usize = 8192;
/// Most bytes of a sight.
pub(super) const SIGHT_MOST: usize = 4096;
/// The first byte of a TLS connection.
const HANDSHAKE: u8 = 22;

/// Takes connections until it is dropped.
pub(super) async fn listen(ground: Arc<Ground>, listener: TcpListener, place: Place) {
    loop {
        ground.up().await;
        match listener.accept().await {
            Ok((stream, from)) if ground.is_device(from.ip()) => take(&ground, stream, from, place),
            // A device may come from an address that nobody knows of: who judges its silence must know that somebody came.
            Ok((_stream, _)) => ground.sights.miss(),
            // Out of handles, or a connection that ended before it was taken: neither is helped by haste.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

fn take(ground: &Arc<Ground>, stream: TcpStream, from: SocketAddr, place: Place) {
    let mut table = ground.table();
    if table.visits.len() >= VISITS_MOST {
        return ground.sights.miss();
    }
    let conn = ground.number();
    let (held, told) = (Arc::clone(ground), Told::default());
    let way = told.clone();
    let task = ground.runtime.spawn(async move {
        held.up().await;
        visit(&held, stream, (from, conn), place, way).await;
        held.table().visits.remove(&conn);
    });
    table.visits.insert(conn, Visit { place: None, named: None, told, task });
}

/// A connection whose service is known.
pub(super) struct Guest<'a> {
    pub(super) ground: &'a Ground,
    pub(super) from: SocketAddr,
    pub(super) conn: u64,
    pub(super) host: String,
    pub(super) up: Arc<Up>,
}

impl Guest<'_> {
    pub(super) fn see(&self, sight: Sight) {
        self.ground.sights.see(&self.host, self.up.port, self.conn, sight);
    }

    pub(super) fn see_bytes(&self, bytes: &[u8]) {
        self.see(Sight::Bytes(bytes.iter().copied().take(SIGHT_MOST).collect()));
    }
}

async fn visit(ground: &Arc<Ground>, stream: TcpStream, (from, conn): (SocketAddr, u64), place: Place, told: Told) {
    let tape = ground.wiretap.tape(&stream, Side::Server);
    let mut line = Line::new(stream, tape, ground.cable.subscribe());
    let ended = line.ended();
    let (found, sure) = {
        let table = ground.table();
        (table.at(ground, place, None), table.is_sure(ground, place))
    };
    // Taken away between the connection and now.
    let Some((mut up, mut host)) = found else { return ground.sights.miss() };
    let untouched = |up: &Up| matches!(lock(&up.live).0, Front::Refuse | Front::Silent);
    let mut hello = None;
    if !(sure && untouched(&up)) {
        let (read, hint) = greet(&mut line, !sure || (up.host == EVERY && !ground.many)).await;
        hello = read;
        if let Some(found) = ground.table().at(ground, place, hint.as_deref()) {
            (up, host) = found;
        }
    }
    let guest = Guest { ground, from, conn, host, up };
    let offered = hello.as_ref().filter(|_| !untouched(&guest.up)).map(secure::hello);
    guest.see(Sight::Dialled { hello: offered });
    // From here on it belongs to the service, and is cut with it.
    let front = {
        let mut table = ground.table();
        if table.find(&guest.up.host, guest.up.port).is_none() {
            return;
        }
        let named = (guest.host.clone(), guest.up.port);
        told.set(table.faults.get(&named).copied());
        if let Some(visit) = table.visits.get_mut(&conn) {
            visit.place = Some((guest.up.host.clone(), guest.up.port));
            visit.named = Some(named);
        }
        guest.up.live().0
    };
    line.lead(Rough::new(told.clone(), ground.ticks.clone(), conn));
    let over = match (front, &hello) {
        (Front::Refuse, _) => {
            let _ = line.reset();
            Over::Lab
        }
        (Front::HangUp, _) => Over::Lab,
        (Front::Silent, _) => {
            trade::deaf(&mut line).await;
            Over::Lab
        }
        (Front::Stall, Some(_)) => {
            trade::deaf(&mut line).await;
            Over::Device
        }
        (Front::Stall, None) => trade::sink(&guest, &mut line).await,
        (Front::Plain, Some(_)) => {
            guest.see(Sight::Declined { shown: None, why: "no TLS came back".to_owned() });
            Over::Lab
        }
        (Front::Plain, None) => trade::ply(&guest, line).await,
        (Front::Tls(_), None) => unsecured(&guest, &mut line).await,
        (Front::Tls(certificate), Some(_)) => handshake(&guest, line, certificate).await,
    };
    if over == Over::Device && !told.was_cut() {
        guest.see(Sight::Ended(ended.get().unwrap_or(End::Fin)));
    }
}

/// Looks at what comes first, and leaves it to be read: the ClientHello, if it is one, and the host that is named.
async fn greet(line: &mut Line, seeks_host: bool) -> (Option<ClientHello>, Option<String>) {
    if !matches!(timeout(FIRST, line.look()).await, Ok(Ok(1..))) {
        return (None, None);
    }
    if line.first().first() != Some(&HANDSHAKE) {
        let host = if seeks_host { timeout(FIRST, host(line)).await.ok().flatten() } else { None };
        return (None, host);
    }
    let read = timeout(GREETING, async {
        let mut reader = HelloReader::default();
        let mut fed = 0;
        loop {
            let news = &line.first()[fed..];
            fed += news.len();
            match reader.feed(news) {
                Ok(Some(hello)) => return Some(hello),
                Ok(None) => {}
                Err(_) => return None,
            }
            if !matches!(line.look().await, Ok(1..)) {
                return None;
            }
        }
    });
    let hello = read.await.ok().flatten();
    let name = hello.as_ref().and_then(secure::name);
    (hello, name)
}

/// The host that a request names.
async fn host(line: &mut Line) -> Option<String> {
    loop {
        let first = line.first();
        if let Some(end) = first.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&first[..end]).into_owned();
            let named = head.lines().skip(1).filter_map(|l| l.split_once(':')).find(|(n, _)| n.eq_ignore_ascii_case("host"))?;
            let name = named.1.trim();
            return Some(name.rsplit_once(':').map_or(name, |(n, _)| n).to_owned());
        }
        // A request begins with a word in capitals; nothing else is waited for.
        if first.len() > HEAD_MOST || !first.first().is_some_and(u8::is_ascii_uppercase) || !matches!(line.look().await, Ok(1..)) {
            return None;
        }
    }
}

/// Whoever speaks plainly to a service that wants TLS: what it says is seen, and it is ended.
async fn unsecured(guest: &Guest<'_>, line: &mut Line) -> Over {
    let mut bytes = [0; SIGHT_MOST];
    match line.read(&mut bytes).await {
        Ok(n @ 1..) => {
            guest.see_bytes(&bytes[..n]);
            Over::Lab
        }
        _ => Over::Device,
    }
}

async fn handshake(guest: &Guest<'_>, line: Line, certificate: Certificate) -> Over {
    let config = match guest.ground.identities.config(certificate, &guest.host, (guest.ground.unix)()) {
        Ok(config) => config,
        // A name that no certificate can be made for.
        Err(e) => {
            guest.see(Sight::Declined { shown: None, why: format!("the lab has no certificate for it: {}", shown(e.to_string().as_bytes())) });
            return Over::Lab;
        }
    };
    let accepted = timeout(GREETING, async {
        let start = LazyConfigAcceptor::new(Acceptor::default(), line).await.map_err(|e| (e, false))?;
        start.into_stream(config).await.map_err(|e| {
            let early = secure::is_too_early(&e);
            (e, !early)
        })
    });
    let declined = |shown: bool, why: String| {
        guest.see(Sight::Declined { shown: shown.then_some(certificate), why });
        Over::Lab
    };
    match accepted.await {
        Err(_) => declined(true, "the handshake was not finished".to_owned()),
        Ok(Err((e, was_shown))) => match secure::alert(&e) {
            Some(alert) => declined(was_shown, format!("alert {alert}")),
            None => declined(was_shown, shown(e.to_string().as_bytes())),
        },
        Ok(Ok(stream)) => {
            let session = stream.get_ref().1;
            let (version, suite) = secure::negotiated(session);
            guest.see(Sight::Secured { shown: certificate, client: secure::owner(session), version, suite });
            let session = Session::new(stream);
            let alert = session.alert();
            let over = trade::ply(guest, session).await;
            if let Some(alert) = alert.get() {
                guest.see(Sight::Declined { shown: Some(certificate), why: format!("alert {alert} behind the handshake") });
            }
            over
        }
    }
}
