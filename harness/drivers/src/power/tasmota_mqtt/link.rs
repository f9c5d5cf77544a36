//! The connection to the broker: a task that connects, subscribes, listens, and begins anew with a back-off; and what it has heard so far.
//!
//! Each connection has a client of its own. Nothing that was handed to an old one is ever sent by a new one: a command that nobody waits for any more
//! must not reach the plug when the broker comes back. (It also ends the endless reconnecting of rumqttc after a packet-id collision, its issue 1056.)
//! Everything is sent at QoS 0, since only the plug's answer counts.

use super::super::tasmota::{self, ANSWER_MOST, Said};
use crate::text::shown;
use proofbench_channel::{ChannelError, ErrorKind, Milliamps};
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, Incoming, MqttOptions, Publish, QoS, StateError, SubscribeFilter, SubscribeReasonCode,
    TlsError, mqttbytes,
};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// First and longest pause between two attempts to connect. A call that needs the broker begins with the first again.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MOST: Duration = Duration::from_secs(2);
/// A connection that lasted so long was a good one: the next pause is the first again.
const STEADY: Duration = Duration::from_secs(5);
/// Orders that wait for the connection to take them.
const ORDERS: usize = 16;

/// Topics of one plug.
#[derive(Debug, Clone)]
pub(super) struct Topics {
    /// `cmnd/<topic>/POWER<n>`
    pub command: String,
    /// `cmnd/<topic>/STATUS`
    pub status: String,
    /// `stat/<topic>/RESULT`
    result: String,
    /// `stat/<topic>/POWER<n>`, and without a number for the first relay.
    power: Vec<String>,
    /// `stat/<topic>/STATUS10`
    meter: String,
    /// `tele/<topic>/LWT`
    will: String,
    /// `tele/<topic>/STATE`
    telemetry: String,
    relay: u8,
}

impl Topics {
    pub(super) fn new(topic: &str, relay: u8) -> Self {
        let mut power = vec![format!("stat/{topic}/POWER{relay}")];
        if relay == 1 {
            power.push(format!("stat/{topic}/POWER"));
        }
        Self {
            command: format!("cmnd/{topic}/POWER{relay}"),
            status: format!("cmnd/{topic}/STATUS"),
            result: format!("stat/{topic}/RESULT"),
            power,
            meter: format!("stat/{topic}/STATUS10"),
            will: format!("tele/{topic}/LWT"),
            telemetry: format!("tele/{topic}/STATE"),
            relay,
        }
    }

    fn filters(&self) -> Vec<SubscribeFilter> {
        let topics = [&self.result, &self.meter, &self.will, &self.telemetry].into_iter().chain(&self.power);
        topics.map(|t| SubscribeFilter::new(t.clone(), QoS::AtMostOnce)).collect()
    }
}

/// Answers of one kind, counted since the link was opened.
#[derive(Debug, Clone)]
pub(super) struct Told<T> {
    pub count: u64,
    /// The latest; `Err` is what could not be understood of it.
    pub last: Option<Result<T, String>>,
}

impl<T> Default for Told<T> {
    fn default() -> Self {
        Self { count: 0, last: None }
    }
}

/// Answers that are none, counted.
#[derive(Debug, Clone, Default)]
pub(super) struct Odd {
    pub count: u64,
    pub last: Option<(ErrorKind, String)>,
}

/// What the broker says of the plug's connection.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Presence {
    /// Nothing yet.
    #[default]
    Unsaid,
    Online,
    /// Its last will, first seen then.
    Offline(Instant),
}

/// A connection with all its subscriptions acknowledged.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub number: u64,
    pub client: AsyncClient,
}

/// Why there is no session.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    pub kind: ErrorKind,
    pub why: String,
}

impl Trouble {
    fn new(kind: ErrorKind, why: impl Into<String>) -> Self {
        Self { kind, why: why.into() }
    }

    /// Trying again will not help.
    pub(super) fn lasts(&self) -> bool {
        matches!(self.kind, ErrorKind::Refused | ErrorKind::Protocol | ErrorKind::Driver)
    }

    pub(super) fn error(&self, doing: &str) -> ChannelError {
        ChannelError::caused(self.kind, doing, self.why.clone())
    }
}

/// Everything heard so far. Retained messages are in it only as the plug's presence: the broker kept them from a time that nobody knows.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    pub session: Option<Session>,
    /// Connections that failed or ended.
    pub ended: u64,
    /// Why the last of them did; `None` while there is a session.
    pub trouble: Option<Trouble>,
    pub presence: Presence,
    /// How often the plug has announced itself: what it was asked before is forgotten.
    pub starts: u64,
    /// States of the relay.
    pub relay: Told<bool>,
    /// Measurements.
    pub meter: Told<Option<Milliamps>>,
    /// Complaints, and answers that no Tasmota gives.
    pub odd: Odd,
    /// When the plug was last heard.
    pub heard: Option<Instant>,
    /// The plug tells a relay's state twice, as JSON and as bare text, and can be told to leave either away: the longer count is the number of answers.
    json: u64,
    bare: u64,
}

impl View {
    fn take(&mut self, publish: &Publish, topics: &Topics) {
        let (topic, payload) = (publish.topic.as_str(), &publish.payload[..]);
        if topic == topics.will {
            match payload {
                b"Online" => {
                    self.starts += u64::from(!publish.retain);
                    self.presence = Presence::Online;
                }
                b"Offline" => self.presence = Presence::Offline(Instant::now()),
                // Whoever empties a retained topic says nothing about the plug.
                _ => self.presence = Presence::Unsaid,
            }
            return;
        }
        if publish.retain {
            return;
        }
        self.heard = Some(Instant::now());
        if matches!(self.presence, Presence::Offline(_)) {
            self.presence = Presence::Online;
        }
        if topic == topics.meter {
            self.meter.count += 1;
            self.meter.last = Some(tasmota::current(payload, topics.relay));
        } else if topic == topics.result {
            let said = tasmota::read(payload, topics.relay);
            self.answer(said, true);
        } else if topics.power.iter().any(|t| t == topic) {
            // With SetOption4 the JSON comes here.
            let json = payload.starts_with(b"{");
            let said = if json { tasmota::read(payload, topics.relay) } else { tasmota::state(payload) };
            self.answer(said, json);
        }
    }

    fn answer(&mut self, said: Said, json: bool) {
        let (kind, what) = match said {
            Said::State(on) => return self.state(Ok(on), json),
            Said::Odd(what) => return self.state(Err(what), json),
            Said::Nothing => return,
            Said::Complaint(what) => (ErrorKind::Refused, what),
            Said::Nonsense(what) => (ErrorKind::Protocol, what),
        };
        self.odd = Odd { count: self.odd.count + 1, last: Some((kind, what)) };
    }

    fn state(&mut self, said: Result<bool, String>, json: bool) {
        if json {
            self.json += 1;
        } else {
            self.bare += 1;
        }
        self.relay.count = self.json.max(self.bare);
        self.relay.last = Some(said);
    }
}

/// The listening task, and how to ask it. Dropping it closes the connection.
pub(super) struct Link {
    view: watch::Receiver<View>,
    hurry: Arc<Notify>,
    task: tokio::task::JoinHandle<()>,
}

impl Link {
    /// Starts to connect; returns at once.
    pub(super) fn open(runtime: &tokio::runtime::Handle, options: MqttOptions, topics: Topics) -> Self {
        let (tell, view) = watch::channel(View::default());
        let hurry = Arc::new(Notify::new());
        let task = runtime.spawn(keep(options, topics, tell, Arc::clone(&hurry)));
        Self { view, hurry, task }
    }

    /// What was heard, now and as it changes.
    pub(super) fn view(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// Somebody needs the broker: the next attempt comes soon.
    pub(super) fn hurry(&self) {
        self.hurry.notify_one();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection after the other, until it is dropped.
async fn keep(options: MqttOptions, topics: Topics, tell: watch::Sender<View>, hurry: Arc<Notify>) {
    let mut pause = PAUSE_FIRST;
    for number in 0.. {
        let began = Instant::now();
        // A task of its own, which a panic of the client ends and nothing else; dropping the set ends it too.
        let mut one = JoinSet::new();
        one.spawn(session(number, options.clone(), topics.clone(), tell.clone()));
        let trouble = match one.join_next().await {
            Some(Ok(trouble)) => trouble,
            _ => Trouble::new(ErrorKind::Driver, "the MQTT client panicked"),
        };
        tell.send_modify(|view| {
            view.session = None;
            view.presence = Presence::Unsaid;
            view.ended += 1;
            view.trouble = Some(trouble);
        });
        if began.elapsed() >= STEADY {
            pause = PAUSE_FIRST;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSE_MOST),
            () = hurry.notified() => {
                tokio::time::sleep(PAUSE_FIRST).await;
                pause = PAUSE_FIRST;
            }
        }
    }
}

/// One connection, from its beginning to its end.
async fn session(number: u64, options: MqttOptions, topics: Topics, tell: watch::Sender<View>) -> Trouble {
    let (client, mut events) = AsyncClient::new(options, ORDERS);
    events.network_options.set_tcp_nodelay(true);
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                if client.try_subscribe_many(topics.filters()).is_err() {
                    return Trouble::new(ErrorKind::Driver, "the MQTT client takes no subscriptions");
                }
            }
            Ok(Event::Incoming(Incoming::SubAck(answer))) => {
                if answer.return_codes.iter().any(|code| matches!(code, SubscribeReasonCode::Failure)) {
                    return Trouble::new(ErrorKind::Refused, "the broker does not let this user listen to the plug (its access list?)");
                }
                tell.send_modify(|view| {
                    view.session = Some(Session { number, client: client.clone() });
                    view.trouble = None;
                });
            }
            Ok(Event::Incoming(Incoming::Publish(publish))) => tell.send_modify(|view| view.take(&publish, &topics)),
            Ok(_) => {}
            Err(e) => return trouble(&e),
        }
    }
}

fn trouble(error: &ConnectionError) -> Trouble {
    let why = || shown(error.to_string().as_bytes());
    let kind = match error {
        ConnectionError::ConnectionRefused(code) => {
            let (kind, why) = match code {
                ConnectReturnCode::BadUserNamePassword => (ErrorKind::Refused, "the broker refuses user name or password"),
                ConnectReturnCode::NotAuthorized => {
                    (ErrorKind::Refused, "the broker does not authorize this user: user name, password or access list")
                }
                ConnectReturnCode::BadClientId => (ErrorKind::Refused, "the broker refuses the client's name"),
                ConnectReturnCode::RefusedProtocolVersion => (ErrorKind::Refused, "the broker refuses MQTT 3.1.1"),
                // It says that this is for now.
                _ => (ErrorKind::Disconnected, "the broker says that it is not available"),
            };
            return Trouble::new(kind, why);
        }
        ConnectionError::Tls(TlsError::TLS(e)) => return tls_trouble(e),
        ConnectionError::Tls(TlsError::Io(e)) => match e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(e) => return tls_trouble(e),
            None => ErrorKind::Disconnected,
        },
        ConnectionError::Tls(_) => return Trouble::new(ErrorKind::Refused, format!("TLS cannot be begun: {}", why())),
        ConnectionError::MqttState(StateError::Deserialization(mqttbytes::Error::PayloadSizeLimitExceeded(length))) => {
            return Trouble::new(ErrorKind::Protocol, format!("a message of {length} bytes came; at most {ANSWER_MOST} are taken"));
        }
        ConnectionError::MqttState(StateError::Deserialization(mqttbytes::Error::Io(_))) => ErrorKind::Disconnected,
        ConnectionError::NotConnAck(_)
        | ConnectionError::MqttState(
            StateError::Deserialization(_) | StateError::WrongPacket | StateError::Unsolicited(_) | StateError::InvalidState,
        ) => ErrorKind::Protocol,
        _ => ErrorKind::Disconnected,
    };
    Trouble::new(kind, why())
}

fn tls_trouble(error: &rustls::Error) -> Trouble {
    let why = shown(error.to_string().as_bytes());
    match error {
        rustls::Error::InvalidCertificate(_) => Trouble::new(ErrorKind::Refused, format!("the broker's certificate is not accepted: {why}")),
        rustls::Error::AlertReceived(_) => Trouble::new(ErrorKind::Refused, format!("the broker refuses TLS: {why}")),
        _ => Trouble::new(ErrorKind::Protocol, format!("TLS failed: {why}")),
    }
}
