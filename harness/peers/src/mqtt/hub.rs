//! What the broker knows, and what it does about a packet. No I/O: packets come in, what is to be sent is put into the outbox of a connection.

use super::conduct::Conduct;
use super::outbox::{Out, Outbox};
use super::session::{Retained, Session};
use super::text;
use super::wire::{Bad, Got, Login};
use super::{Access, Client, Limits};
use crate::Timeline;
use bytes::Bytes;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{
    ConnAck, Connect, ConnectReturnCode, LastWill, Packet, PubAck, PubComp, PubRec, PubRel, Publish, SubAck, Subscribe, SubscribeReasonCode,
    UnsubAck, Unsubscribe,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// What came of a client, before anything is done about it.
pub(crate) enum Heard<'a> {
    /// A packet; of a CONNECT, who logs in.
    Packet(&'a Packet, &'a Login),
    /// Bytes that cannot be read, as far as they are told.
    Junk(&'a Bytes),
}

/// Who is told what came on one connection, in structure: what the timeline says in words.
pub(crate) type Watch = Arc<dyn Fn(Heard<'_>) + Send + Sync>;

/// The broker behind its connections.
pub(crate) struct Hub {
    pub limits: Limits,
    timeline: Timeline,
    name: Arc<str>,
    access: Access,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    conduct: Conduct,
    connections: BTreeMap<u64, Connection>,
    sessions: BTreeMap<String, Session>,
    retained: Retained,
}

struct Connection {
    from: SocketAddr,
    watch: Option<Watch>,
    certified: bool,
    conduct: Option<Conduct>,
    /// Whether a CONNECT was taken.
    client: Option<String>,
    /// Whether a CONNECT came.
    asked: bool,
    keep_alive: Option<Duration>,
    will: Option<LastWill>,
    /// Nothing that comes is acted on any more: its end is in the outbox, or a packet that must not be followed by anything.
    over: bool,
    out: Outbox,
}

/// What is to be done behind a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Go on.
    On,
    /// The client has said good-bye.
    Ended,
    /// The connection is to be reset.
    Reset,
}

impl Hub {
    pub fn new(timeline: Timeline, name: Arc<str>, access: Access, limits: Limits) -> Self {
        Self { limits, timeline, name, access, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn tell(&self, number: u64, what: impl AsRef<str>, bytes: Bytes) {
        self.timeline.add(&self.name, format!("connection {number}: {}", what.as_ref()), bytes);
    }

    /// A connection has come. `None`: there are enough.
    pub fn join(&self, from: SocketAddr, watch: Option<Watch>) -> Option<(u64, Arc<Notify>)> {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        if state.connections.len() >= self.limits.connections {
            self.tell(number, format!("from {from}, closed: there are {} already", state.connections.len()), Bytes::new());
            return None;
        }
        let out = Outbox::default();
        let notify = Arc::clone(&out.notify);
        let connection =
            Connection { from, watch, certified: false, conduct: None, client: None, asked: false, keep_alive: None, will: None, over: false, out };
        state.connections.insert(number, connection);
        self.tell(number, format!("from {from}"), Bytes::new());
        Some((number, notify))
    }

    /// The client has shown a certificate that the server takes.
    pub fn certified(&self, number: u64) {
        if let Some(connection) = self.lock().connections.get_mut(&number) {
            connection.certified = true;
        }
    }

    /// Longest silence of a client that has said one.
    pub fn keep_alive(&self, number: u64) -> Option<Duration> {
        self.lock().connections.get(&number)?.keep_alive
    }

    /// Whether a CONNECT came.
    pub fn has_asked(&self, number: u64) -> bool {
        self.lock().connections.get(&number).is_some_and(|c| c.asked)
    }

    /// What is to be sent next, and whether there is more behind it.
    pub(super) fn next(&self, number: u64) -> (Option<Out>, bool) {
        let mut state = self.lock();
        let Some(connection) = state.connections.get_mut(&number) else { return (None, false) };
        let out = connection.out.pop();
        (out, !connection.out.is_empty())
    }

    /// Bytes that cannot be read: the connection ends behind what is left to send.
    pub(super) fn bad(&self, number: u64, bad: Bad) {
        self.tell(number, format!("got what cannot be read: {}", bad.why), bad.raw.clone());
        let mut state = self.lock();
        let Some(connection) = state.connections.get_mut(&number) else { return };
        if let Some(watch) = &connection.watch {
            watch(Heard::Junk(&bad.raw));
        }
        if let Some(code) = bad.refusal {
            connection.out.raw(format!("sent CONNACK {code}"), Bytes::from(vec![0x20, 2, 0, code]));
        }
        connection.end("after what cannot be read");
    }

    /// A packet has come.
    pub(super) fn got(&self, number: u64, got: Got) -> Next {
        let words = match &got.packet {
            Packet::Connect(connect) => connect_words(connect, &got.login),
            other => text::packet(other),
        };
        self.tell(number, format!("got {words}"), got.raw);
        let mut guard = self.lock();
        let state = &mut *guard;
        let Some(connection) = state.connections.get_mut(&number) else { return Next::Ended };
        // Under the lock: what it leads to on another connection is told behind it.
        if let Some(watch) = &connection.watch {
            watch(Heard::Packet(&got.packet, &got.login));
        }
        let conduct = connection.conduct.as_ref().unwrap_or(&state.conduct).clone();
        if conduct == Conduct::ResetAt(got.kind) {
            return Next::Reset;
        }
        if connection.over {
            return if got.packet == Packet::Disconnect { Next::Ended } else { Next::On };
        }
        if let Packet::Connect(connect) = got.packet {
            self.connect(state, number, connect, &got.login, &conduct);
            return Next::On;
        }
        let Some(client) = connection.client.clone() else {
            if !connection.asked {
                connection.end("a packet before CONNECT");
            }
            return Next::On;
        };
        if got.packet == Packet::Disconnect {
            connection.will = None;
            return Next::Ended;
        }
        if conduct == Conduct::SilentAfterConnect {
            return Next::On;
        }
        let acknowledges = conduct != Conduct::NoPublishAck;
        let Some(session) = state.sessions.get_mut(&client) else { return Next::On };
        let mut reply = |packet| connection.out.reply(packet);
        match got.packet {
            Packet::Publish(publish) => {
                let id = publish.pkid;
                let is_new = match publish.qos {
                    QoS::AtMostOnce => true,
                    QoS::AtLeastOnce => {
                        if acknowledges {
                            reply(Packet::PubAck(PubAck::new(id)));
                        }
                        true
                    }
                    QoS::ExactlyOnce => {
                        if session.received.len() >= self.limits.queue && !session.received.contains(&id) {
                            connection.end("too many PUBLISHes of QoS 2 that are not released");
                            return Next::On;
                        }
                        if acknowledges {
                            reply(Packet::PubRec(PubRec::new(id)));
                        }
                        session.received.insert(id)
                    }
                };
                if is_new {
                    self.publish_in(state, &publish);
                }
            }
            Packet::PubRel(PubRel { pkid }) => {
                session.received.remove(&pkid);
                if acknowledges {
                    reply(Packet::PubComp(PubComp { pkid }));
                }
            }
            Packet::PubAck(PubAck { pkid }) => session.finished(pkid, QoS::AtLeastOnce),
            Packet::PubRec(PubRec { pkid }) => {
                session.released(pkid);
                reply(Packet::PubRel(PubRel { pkid }));
            }
            Packet::PubComp(PubComp { pkid }) => session.finished(pkid, QoS::ExactlyOnce),
            Packet::Subscribe(subscribe) => self.subscribe(state, number, &client, subscribe, conduct != Conduct::NoSubscribeAck),
            Packet::Unsubscribe(Unsubscribe { pkid, topics }) => {
                session.filters.retain(|filter, _| !topics.contains(filter));
                reply(Packet::UnsubAck(UnsubAck { pkid }));
            }
            Packet::PingReq => reply(Packet::PingResp),
            _ => connection.end("a packet that only servers send"),
        }
        Next::On
    }

    fn connect(&self, state: &mut State, number: u64, connect: Connect, login: &Login, conduct: &Conduct) {
        let Some(connection) = state.connections.get_mut(&number) else { return };
        if std::mem::replace(&mut connection.asked, true) {
            return connection.end("a second CONNECT");
        }
        match conduct {
            Conduct::NoConnack => {
                connection.over = true;
                return;
            }
            Conduct::Refuse(code) => {
                connection.out.raw(format!("sent CONNACK {code}"), Bytes::from(vec![0x20, 2, 0, *code]));
                return connection.end("refused as told");
            }
            _ => {}
        }
        let refused = if connect.client_id.is_empty() && !connect.clean_session {
            Some(ConnectReturnCode::BadClientId)
        } else {
            self.access.refuses(login, connection.certified)
        };
        if let Some(code) = refused {
            connection.out.reply(Packet::ConnAck(ConnAck::new(code, false)));
            return connection.end("refused");
        }
        // No client can choose this name: the standard forbids NUL in it, and this broker lets no client have it.
        let client = if connect.client_id.is_empty() { format!("\0{number}") } else { connect.client_id };
        connection.client = Some(client.clone());
        connection.keep_alive = (connect.keep_alive > 0).then(|| Duration::from_millis(1500 * u64::from(connect.keep_alive)));
        connection.will = connect.last_will;
        self.take_over(state, &client);
        self.make_room(state);
        let kept = state.sessions.remove(&client).filter(|s| !s.clean && !connect.clean_session);
        let present = kept.is_some();
        let mut session = kept.unwrap_or_else(|| Session::new(connect.clean_session));
        session.connection = Some(number);
        session.since = number;
        let again = session.again();
        state.sessions.insert(client, session);
        let Some(connection) = state.connections.get_mut(&number) else { return };
        connection.out.reply(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, present)));
        if *conduct == Conduct::SilentAfterConnect {
            return;
        }
        again.into_iter().for_each(|packet| connection.out.reply(packet));
        connection.act(conduct);
    }

    /// Ends the connection that has this client identifier; a new one takes its session.
    fn take_over(&self, state: &mut State, client: &str) {
        let Some(old) = state.sessions.get_mut(client).and_then(|s| s.connection.take()) else { return };
        let Some(connection) = state.connections.get_mut(&old) else { return };
        connection.client = None;
        connection.end("another connection has come with its client identifier");
        if let Some(will) = connection.will.take() {
            self.publish_will(state, old, will);
        }
    }

    /// Forgets the oldest session without a connection when there are too many.
    fn make_room(&self, state: &mut State) {
        let mut away: Vec<(u64, String)> =
            state.sessions.iter().filter(|(_, s)| s.connection.is_none()).map(|(client, s)| (s.since, client.clone())).collect();
        away.sort();
        let too_many = away.len().saturating_sub(self.limits.connections);
        away.into_iter().take(too_many).for_each(|(_, client)| drop(state.sessions.remove(&client)));
    }

    fn subscribe(&self, state: &mut State, number: u64, client: &str, subscribe: Subscribe, acknowledges: bool) {
        let (Some(session), Some(connection)) = (state.sessions.get_mut(client), state.connections.get_mut(&number)) else { return };
        let mut codes = Vec::with_capacity(subscribe.filters.len());
        let mut taken = Vec::new();
        for filter in subscribe.filters {
            if session.filters.len() >= self.limits.subscriptions && !session.filters.contains_key(&filter.path) {
                codes.push(SubscribeReasonCode::Failure);
                continue;
            }
            codes.push(SubscribeReasonCode::Success(filter.qos));
            session.filters.insert(filter.path.clone(), filter.qos);
            taken.push(filter);
        }
        if acknowledges {
            connection.out.reply(Packet::SubAck(SubAck::new(subscribe.pkid, codes)));
        }
        for filter in taken {
            for (topic, qos, payload) in state.retained.picked(&filter.path) {
                let mut publish = Publish::from_bytes(topic, lesser(qos, filter.qos), payload.clone());
                publish.retain = true;
                self.deliver(session, Some((number, &mut *connection)), false, publish);
            }
        }
    }

    /// Publishes a message to whoever is subscribed, and keeps it if it is to be retained. Returns to how many sessions it went.
    fn publish_in(&self, state: &mut State, message: &Publish) -> usize {
        if message.retain && !state.retained.keep(message, self.limits.retained, self.limits.bytes) {
            self.timeline.add(&self.name, format!("not retained, there is no room: {}", text::shown(&message.topic)), Bytes::new());
        }
        let mut reached = 0;
        for session in state.sessions.values_mut() {
            let Some(wanted) = session.wants(&message.topic) else { continue };
            let publish = Publish::from_bytes(message.topic.clone(), lesser(message.qos, wanted), message.payload.clone());
            let number = session.connection;
            let connection = number.and_then(|n| Some((n, state.connections.get_mut(&n)?)));
            let silent =
                connection.as_ref().is_some_and(|(_, c)| c.over || *c.conduct.as_ref().unwrap_or(&state.conduct) == Conduct::SilentAfterConnect);
            self.deliver(session, connection, silent, publish);
            reached += 1;
        }
        reached
    }

    fn deliver(&self, session: &mut Session, connection: Option<(u64, &mut Connection)>, silent: bool, mut publish: Publish) {
        let sends = connection.is_some() && !silent;
        if publish.qos != QoS::AtMostOnce && !session.keep(&mut publish, sends, self.limits.queue, self.limits.bytes) {
            let number = connection.map_or(String::new(), |(n, _)| format!("connection {n}: "));
            self.timeline.add(&self.name, format!("{number}dropped, too many wait: {}", text::packet(&Packet::Publish(publish))), Bytes::new());
            return;
        }
        if let Some((number, connection)) = connection.filter(|_| sends)
            && let Err(publish) = connection.out.message(publish, self.limits.queue, self.limits.bytes)
        {
            self.tell(number, format!("dropped, too many wait: {}", text::packet(&Packet::Publish(publish))), Bytes::new());
        }
    }

    fn publish_will(&self, state: &mut State, number: u64, will: LastWill) {
        self.tell(number, format!("publishes its {}", text::will(&will)), will.message.clone());
        let message = Publish { dup: false, qos: will.qos, retain: will.retain, topic: will.topic, pkid: 0, payload: will.message };
        self.publish_in(state, &message);
    }

    /// The connection has ended. Whoever did not say DISCONNECT has its will published.
    pub fn left(&self, number: u64, how: &str) {
        self.tell(number, how, Bytes::new());
        let mut state = self.lock();
        let Some(connection) = state.connections.remove(&number) else { return };
        let event = state.next;
        if let Some(client) = connection.client
            && let Some(session) = state.sessions.get_mut(&client)
        {
            session.connection = None;
            session.since = event;
            if session.clean {
                state.sessions.remove(&client);
            }
        }
        if let Some(will) = connection.will {
            self.publish_will(&mut state, number, will);
        }
        self.make_room(&mut state);
    }

    /// Publishes from the harness.
    pub fn publish(&self, message: &Publish) -> usize {
        self.timeline.add(&self.name, format!("the harness publishes: {}", text::packet(&Packet::Publish(message.clone()))), message.payload.clone());
        self.publish_in(&mut self.lock(), message)
    }

    pub fn retained(&self) -> Vec<(String, Bytes)> {
        self.lock().retained.all()
    }

    pub fn clients(&self) -> Vec<Client> {
        let state = self.lock();
        let client = |(number, c): (&u64, &Connection)| Client { connection: *number, from: c.from, id: c.client.clone() };
        state.connections.iter().map(client).collect()
    }

    /// Tells every connection, or one, how to be treated. False if there is no such connection.
    pub fn conduct(&self, number: Option<u64>, conduct: Conduct) -> bool {
        let mut guard = self.lock();
        let state = &mut *guard;
        let words = match &conduct {
            Conduct::Bytes(bytes) => format!("Bytes, {} of them", bytes.len()),
            Conduct::Flood { topic, count, size } => format!("Flood of {count} times {size} bytes to {}", text::shown(topic)),
            other => format!("{other:?}"),
        };
        let told = |whom: &str| self.timeline.add(&self.name, format!("{whom}: told to be {words}"), Bytes::new());
        let Some(number) = number else {
            told("every connection");
            for connection in state.connections.values_mut() {
                connection.conduct = None;
                connection.act_if_connected(&conduct);
            }
            state.conduct = conduct;
            return true;
        };
        let Some(connection) = state.connections.get_mut(&number) else { return false };
        told(&format!("connection {number}"));
        connection.act_if_connected(&conduct);
        connection.conduct = Some(conduct);
        true
    }

    /// Resets a connection before anything else is sent. False if there is no such connection.
    pub fn reset(&self, number: u64) -> bool {
        let mut state = self.lock();
        let Some(connection) = state.connections.get_mut(&number) else { return false };
        connection.out.first(Out::Reset);
        connection.over = true;
        true
    }
}

impl Connection {
    /// Ends it behind what is left to send.
    fn end(&mut self, why: &str) {
        self.over = true;
        self.out.last(Out::Close(format!("closed: {why}")));
    }

    fn act_if_connected(&mut self, conduct: &Conduct) {
        if self.client.is_some() && !self.over {
            self.act(conduct);
        }
    }

    /// Does what is done once on a connection.
    fn act(&mut self, conduct: &Conduct) {
        match conduct {
            Conduct::Flood { topic, count, size } => self.out.flood(topic, *count, *size),
            Conduct::Malformed(malformed) => {
                self.out.raw(format!("sent malformed {malformed:?}"), malformed.bytes());
                self.over |= malformed.is_unfinished();
            }
            Conduct::Bytes(bytes) => self.out.raw(format!("sent {} bytes as told", bytes.len()), bytes.clone()),
            _ => {}
        }
    }
}

impl Access {
    /// The return code for whoever may not come in.
    fn refuses(&self, login: &Login, certified: bool) -> Option<ConnectReturnCode> {
        match self {
            Access::Open => None,
            Access::Certificate => (!certified).then_some(ConnectReturnCode::NotAuthorized),
            Access::Passwords(accounts) => match (&login.user, &login.password) {
                (Some(user), Some(password)) => {
                    let known = accounts.iter().any(|a| a.user == *user && a.password.as_bytes() == password);
                    (!known).then_some(ConnectReturnCode::BadUserNamePassword)
                }
                _ => Some(ConnectReturnCode::NotAuthorized),
            },
        }
    }
}

fn connect_words(connect: &Connect, login: &Login) -> String {
    let mut words = format!("CONNECT client {}, keep alive {} s", text::shown(&connect.client_id), connect.keep_alive);
    words += if connect.clean_session { ", clean session" } else { ", session to keep" };
    words += &login.user.as_ref().map_or(", no user name".to_owned(), |u| format!(", user {}", text::shown(u)));
    words += &login.password.as_ref().map_or(", no password".to_owned(), |p| format!(", password with SHA-256 {}", text::sha256(p)));
    words += &connect.last_will.as_ref().map_or(String::new(), |w| format!(", {}", text::will(w)));
    words
}

fn lesser(a: QoS, b: QoS) -> QoS {
    if a < b { a } else { b }
}
