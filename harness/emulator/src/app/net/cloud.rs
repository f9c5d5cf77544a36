//! The cloud: MQTT over TLS with the unit's own certificate, tried again with growing pauses, states and events out, commands in.
//!
//! Declared: first attempt within ten seconds of the network, then pauses of 2 s doubling to 300 s, each between half and one and a half times that long.

use super::mqtt::{self, Packet, Read};
use super::{CLOUD, OPEN_NS, S, client_tls, somewhere};
use crate::app::Thermostat;
use crate::app::stores::setting;
use crate::defects::Defect;
use crate::hw::net::{ClientTls, OpenFailed};
use crate::hw::{Hw, Stop};
use std::collections::VecDeque;

const FIRST_NS: u64 = 2 * S;
const MOST_NS: u64 = 300 * S;
const STAGE_NS: u64 = 10 * S;
/// A record of the history an hour, kept for a day; never more than so many.
const HISTORY_EVERY_S: u64 = 3600;
const HISTORY_LIFE_S: u64 = 86_400;
const HISTORY_MOST: usize = 200;
const PING_NS: u64 = 30 * S;
const REPORT_NS: u64 = 60 * S;
/// An answer of the broker that does not come.
const ANSWER_NS: u64 = 10 * S;
/// Events that wait for the cloud; the oldest goes.
const EVENTS_MOST: usize = 16;
/// Bytes of the broker that make no packet yet.
const BUFFER_MOST: usize = 4096;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Idle,
    /// Until then.
    Pause(u64),
    /// Opening, until given up.
    Opening(u64, u64),
    /// CONNECT is out.
    Greeting(u64, u64),
    Online(u64),
}

/// RAM of the cloud client.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cloud {
    stage: Stage,
    failures: u32,
    buffer: Vec<u8>,
    events: VecDeque<(u16, String)>,
    sent: Option<u16>,
    next_id: u16,
    ping_at: u64,
    report_at: u64,
    /// A ping or an event waits for its answer until then.
    owed: Option<u64>,
    /// Defect withdrawal-ignored.
    pub(crate) withdrawn_late: bool,
    /// Deletion of the account's data was asked for.
    pub(crate) deletion: Deletion,
    /// Telemetry that the unit keeps for its owner: one record an hour, each for a day.
    history: Vec<Record>,
    /// Twins delete-later, event-after-pause: when what waits is sent.
    later: Option<u64>,
    /// Defect broken-handshake-final: handshakes that broke.
    broken: u32,
    /// Since when messages have been coming, and how many in that second.
    burst: (u64, u32),
}

/// Defect broken-handshake-final: so many are enough.
const BROKEN_MOST: u32 = 3;
/// Defect mqtt-flood-restarts: messages that the queue has room for in RAM. Twin mqtt-flood-disconnects: messages in a second that are borne.
const QUEUE_MOST: u32 = 500;
const BORNE_MOST: u32 = 100;

/// A record of the history.
#[derive(Debug, Clone)]
struct Record {
    /// Seconds since 1970.
    at: u64,
    valve_cycles: u32,
    /// When its life began: with the record, but for defect history-renewed.
    since: u64,
}

/// What became of the request to delete the data at the service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Deletion {
    #[default]
    None,
    Queued,
    Done,
}

impl Cloud {
    pub(crate) fn timer(&self) -> Option<u64> {
        match self.stage {
            Stage::Idle => None,
            Stage::Pause(at) | Stage::Opening(_, at) | Stage::Greeting(_, at) => Some(at),
            Stage::Online(_) => [Some(self.ping_at), Some(self.report_at), self.owed, self.later].into_iter().flatten().min(),
        }
    }
    /// Adds a record, if the last one is an hour old.
    fn remember(&mut self, hw: &Hw, now: u64, valve_cycles: u32) {
        self.sweep(hw, now);
        if self.history.last().is_none_or(|r| r.at + HISTORY_EVERY_S <= now) && self.history.len() < HISTORY_MOST {
            self.history.push(Record { at: now, valve_cycles, since: now });
        }
    }
    /// What is kept, oldest first.
    pub(crate) fn history(&mut self, hw: &Hw, now: u64) -> Vec<serde_json::Value> {
        self.sweep(hw, now);
        if hw.defect(Defect::HistoryRenewed) {
            // defect history-renewed: a cache that keeps what is asked for.
            self.history.iter_mut().for_each(|r| r.since = now);
        }
        self.history.iter().map(|r| serde_json::json!({ "at": r.at, "valve-cycles": r.valve_cycles })).collect()
    }
    /// Removes what has served its time.
    fn sweep(&mut self, hw: &Hw, now: u64) {
        // twin history-half-day.
        let life = if hw.defect(Defect::HistoryHalfDay) { HISTORY_LIFE_S / 2 } else { HISTORY_LIFE_S };
        // defect history-for-ever: there is room.
        if !hw.defect(Defect::HistoryForEver) {
            self.history.retain(|r| r.since + life > now);
        }
    }
    /// Whether the device is connected to its cloud.
    pub(crate) fn is_online(&self) -> bool {
        matches!(self.stage, Stage::Online(_))
    }
    /// Whether an answer of the service is awaited.
    pub(crate) fn waits(&self) -> bool {
        matches!(self.stage, Stage::Greeting(..)) || matches!(self.stage, Stage::Online(_)) && self.owed.is_some()
    }
    /// Whether something that came is the service's.
    pub(crate) fn is_its(&self, conn: u64) -> bool {
        self.conn() == Some(conn)
    }
    fn conn(&self) -> Option<u64> {
        match self.stage {
            Stage::Opening(conn, _) | Stage::Greeting(conn, _) | Stage::Online(conn) => Some(conn),
            _ => None,
        }
    }
}

/// Pause between two pings.
fn ping_every(hw: &Hw) -> u64 {
    // twin ping-seldom.
    if hw.defect(Defect::PingSeldom) { 8 * PING_NS } else { PING_NS }
}

/// Whether the unit logs in by name and password instead of its certificate: never, on a conforming one.
fn by_password(hw: &Hw, failures: u32) -> bool {
    // defect cloud-password-only: the broker of the prototype. defect cloud-password-after-refusal: "the certificate may have expired".
    hw.defect(Defect::CloudPasswordOnly) || failures >= 3 && hw.defect(Defect::CloudPasswordAfterRefusal)
}

/// How the cloud is spoken to: with the certificate of the unit.
fn tls(hw: &Hw, failures: u32) -> ClientTls {
    // defect identity-shared: one certificate for the product.
    let root = if hw.defect(Defect::IdentityShared) { [0x11; 32] } else { hw.otp().root_key };
    let key = crate::app::seal::hmac(&root, &[b"cloud"]);
    if by_password(hw, failures) {
        return client_tls(hw, Defect::TlsUnverifiedCloud);
    }
    ClientTls { identity: Some((hw.otp().serial.clone(), key)), ..client_tls(hw, Defect::TlsUnverifiedCloud) }
}

/// Where the cloud is tried after so many failures: always the same, on a conforming unit.
fn way(hw: &Hw, failures: u32) -> (u16, Option<ClientTls>) {
    let secure = tls(hw, failures);
    match () {
        // defect plain-mqtt-after-failures: "some networks block 8883".
        () if failures >= 3 && hw.defect(Defect::PlainMqttAfterFailures) => (1883, None),
        // defect plain-after-failures: the same port, without the part that fails.
        () if failures >= 3 && hw.defect(Defect::PlainAfterFailures) => (CLOUD.1, None),
        // defect tls10-after-failures: as browsers once did.
        () if failures >= 3 && hw.defect(Defect::Tls10AfterFailures) => {
            let terms = vec![(crate::hw::net::TlsVersion::Tls10, vec!["TLS_RSA_WITH_AES_128_CBC_SHA"])];
            (CLOUD.1, Some(ClientTls { terms, ..secure }))
        }
        () => (CLOUD.1, Some(secure)),
    }
}

impl Thermostat {
    /// Begins to connect, if there is everything that it takes: an owner, a link, the time.
    pub(crate) fn cloud_begin(&mut self, hw: &mut Hw) {
        // defect telemetry-without-consent: the cloud is reached before anybody owns the device.
        let owned = self.stores.is_set_up() || hw.defect(Defect::TelemetryWithoutConsent);
        // defect set-up-needs-first: the service knows the first unit of a household and no other.
        let place = !hw.defect(Defect::SetUpNeedsFirst) || self.stores.serial(hw).ends_with("0001");
        let ready = owned && place && hw.net_link() && self.net.clock.now(hw).is_some();
        let given_up = self.net.cloud.broken >= BROKEN_MOST && hw.defect(Defect::BrokenHandshakeFinal);
        if ready && !given_up && self.net.cloud.stage == Stage::Idle {
            // defect first-together. twin first-later.
            let stage = if hw.defect(Defect::FirstTogether) { 0 } else { STAGE_NS };
            let later = if hw.defect(Defect::FirstLater) { 5 * S } else { 0 };
            self.net.cloud.stage = Stage::Pause(somewhere(hw, stage) + later);
        }
    }

    pub(crate) fn cloud_lost(&mut self, hw: &mut Hw) {
        if let Some(conn) = self.net.cloud.conn() {
            hw.net_end(conn, true);
        }
        let cloud = &mut self.net.cloud;
        (cloud.stage, cloud.sent, cloud.owed) = (Stage::Idle, None, None);
        cloud.buffer.clear();
    }

    fn cloud_again(&mut self, hw: &mut Hw) {
        let refused = matches!(self.net.cloud.stage, Stage::Greeting(..));
        self.cloud_lost(hw);
        let mut pause = (FIRST_NS << self.net.cloud.failures.min(16)).min(MOST_NS);
        // twin retry-slower: half as long again.
        pause += if hw.defect(Defect::RetrySlower) { pause / 2 } else { 0 };
        let cloud = &mut self.net.cloud;
        cloud.failures = cloud.failures.saturating_add(1);
        let failures = cloud.failures;
        if failures >= 5 && hw.defect(Defect::RestartsWithoutCloud) {
            // defect restarts-without-cloud: "have you tried turning it off and on again".
            self.restart = Some(crate::hw::Cause::Software);
        }
        self.open_for_recovery(hw, failures);
        let at = match () {
            // defect retry-every-second.
            () if hw.defect(Defect::RetryEverySecond) => hw.now() + S,
            // defect retry-storm-on-refusal: the network is there, so why wait?
            () if refused && hw.defect(Defect::RetryStormOnRefusal) => hw.now() + S / 10,
            // defect retry-without-chance: every unit doubles in step with every other.
            () if hw.defect(Defect::RetryWithoutChance) => hw.now() + pause,
            // defect retry-seed-shared: a generator with a seed of its own, the same in each.
            () if hw.defect(Defect::RetrySeedShared) => hw.now() + pause / 2 + crate::mix(u64::from(failures)) % pause,
            () => somewhere(hw, pause) + pause / 2,
        };
        self.net.cloud.stage = Stage::Pause(at);
    }

    pub(crate) fn cloud_opened(&mut self, hw: &mut Hw, conn: u64) -> Result<(), Stop> {
        if matches!(self.net.cloud.stage, Stage::Opening(c, _) if c == conn) {
            let serial = self.stores.serial(hw);
            // defect secret-as-mqtt-user: the first cloud knew no certificates.
            let label = hw.otp().label_secret.clone();
            let keep_alive = u16::try_from(2 * ping_every(hw) / S).unwrap_or(u16::MAX);
            let token = crate::app::stores::hex(&crate::app::seal::hmac(&hw.otp().root_key, &[b"cloud token"])[..16]);
            let login = match () {
                () if hw.defect(Defect::SecretAsMqttUser) => Some((label.as_str(), "x")),
                () if by_password(hw, self.net.cloud.failures) => Some((serial.as_str(), label.as_str())),
                // twin cloud-token-as-password: a second factor in a field that was free.
                () if hw.defect(Defect::CloudTokenAsPassword) => Some(("token", token.as_str())),
                () => None,
            };
            hw.net_send(conn, &mqtt::connect(&serial, keep_alive, login));
            self.net.cloud.stage = Stage::Greeting(conn, hw.now() + ANSWER_NS);
        }
        Ok(())
    }

    pub(crate) fn cloud_failed(&mut self, hw: &mut Hw, conn: u64, why: OpenFailed) -> Result<(), Stop> {
        if why == OpenFailed::NoName && hw.defect(Defect::HangsWithoutNames) {
            // defect hangs-without-names: the main loop waits for the resolver, and feeds the watchdog while it does.
            self.stuck = true;
        }
        if self.net.cloud.conn() == Some(conn) {
            self.net.cloud.broken += u32::from(why == OpenFailed::Untrusted);
            if self.net.cloud.broken >= BROKEN_MOST && hw.defect(Defect::BrokenHandshakeFinal) {
                // defect broken-handshake-final: "somebody is attacking us".
                self.cloud_lost(hw);
                return Ok(());
            }
            self.cloud_again(hw);
        }
        Ok(())
    }

    pub(crate) fn cloud_ended(&mut self, hw: &mut Hw, conn: u64) -> Result<(), Stop> {
        if self.net.cloud.conn() == Some(conn) {
            self.cloud_again(hw);
        }
        Ok(())
    }

    pub(crate) fn cloud_due(&mut self, hw: &mut Hw) -> Result<(), Stop> {
        match self.net.cloud.stage {
            Stage::Idle => {}
            Stage::Pause(_) => {
                let (port, tls) = way(hw, self.net.cloud.failures);
                let conn = hw.net_open(CLOUD.0, port, tls);
                self.net.cloud.stage = Stage::Opening(conn, hw.now() + OPEN_NS);
            }
            Stage::Opening(..) | Stage::Greeting(..) => self.cloud_again(hw),
            Stage::Online(conn) => {
                let now = hw.now();
                if self.net.cloud.owed.is_some_and(|at| at <= now) && hw.defect(Defect::HalfOpenForever) {
                    // defect half-open-forever: TCP will say when the connection is gone.
                    self.net.cloud.owed = None;
                } else if self.net.cloud.owed.is_some_and(|at| at <= now) {
                    self.cloud_again(hw);
                    return Ok(());
                }
                if self.net.cloud.later.is_some_and(|at| at <= now) {
                    self.net.cloud.later = None;
                    if hw.defect(Defect::DeleteLater) {
                        let serial = self.stores.serial(hw);
                        self.cloud_event(hw, format!("delete {serial}"));
                    } else {
                        self.send_event(hw, conn, true);
                    }
                }
                if self.net.cloud.ping_at <= now {
                    self.net.cloud.ping_at = now + ping_every(hw);
                    self.net.cloud.owed.get_or_insert(now + ANSWER_NS);
                    hw.net_send(conn, &mqtt::ping());
                }
                if self.net.cloud.report_at <= now {
                    self.net.cloud.report_at = now + REPORT_NS;
                    self.report(hw, conn);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn cloud_data(&mut self, hw: &mut Hw, conn: u64, bytes: &[u8]) -> Result<(), Stop> {
        if self.net.cloud.conn() != Some(conn) {
            return Ok(());
        }
        self.net.cloud.buffer.extend_from_slice(bytes);
        // Every turn takes a packet or ends.
        loop {
            match mqtt::read(&self.net.cloud.buffer) {
                Read::Whole(packet, used) => {
                    self.net.cloud.buffer.drain(..used);
                    if !self.cloud_packet(hw, conn, packet)? {
                        self.cloud_again(hw);
                        return Ok(());
                    }
                }
                Read::Partial if self.net.cloud.buffer.len() <= BUFFER_MOST => return Ok(()),
                Read::Partial | Read::Bad => {
                    let b = &self.net.cloud.buffer;
                    // defect mqtt-long-length: the length is read as long as it goes on. defect mqtt-empty-topic.
                    if b.len() > 5 && b[1..5].iter().all(|b| b & 0x80 != 0) && hw.defect(Defect::MqttLongLength)
                        || b.first() == Some(&0x30) && b.get(2..4) == Some(&[0, 0]) && hw.defect(Defect::MqttEmptyTopic)
                    {
                        return Err(Stop::Crash);
                    }
                    self.cloud_again(hw);
                    return Ok(());
                }
            }
        }
    }

    /// Whether the connection goes on.
    fn cloud_packet(&mut self, hw: &mut Hw, conn: u64, packet: Packet) -> Result<bool, Stop> {
        match (&self.net.cloud.stage, packet) {
            (Stage::Greeting(..), Packet::ConnAck(0)) => {
                let serial = self.stores.serial(hw);
                let cloud = &mut self.net.cloud;
                (cloud.stage, cloud.failures, cloud.owed) = (Stage::Online(conn), 0, None);
                (cloud.ping_at, cloud.report_at) = (hw.now() + ping_every(hw), hw.now());
                hw.net_send(conn, &mqtt::subscribe(&format!("th1/{serial}/cmd")));
                if hw.defect(Defect::EventLost) {
                    // defect event-lost: a new connection begins with an empty queue.
                    self.drop_events();
                }
                if hw.defect(Defect::EventAfterPause) {
                    // twin event-after-pause: state first, news when it is quiet.
                    self.net.cloud.later = Some(hw.now() + 10 * S);
                } else {
                    self.send_event(hw, conn, true);
                }
                if hw.defect(Defect::EventRepeatedUntilAcknowledged) {
                    // twin event-repeated-until-acknowledged: a state is no news.
                    self.report(hw, conn);
                }
            }
            (Stage::Online(_), Packet::Publish { topic, payload, id }) => {
                let (since, count) = self.net.cloud.burst;
                self.net.cloud.burst = if since + S > hw.now() { (since, count + 1) } else { (hw.now(), 1) };
                let count = self.net.cloud.burst.1;
                if count > QUEUE_MOST && hw.defect(Defect::MqttFloodRestarts) {
                    // defect mqtt-flood-restarts: every message is a copy on the heap.
                    return Err(Stop::Crash);
                }
                if count > BORNE_MOST && hw.defect(Defect::MqttFloodDisconnects) {
                    // twin mqtt-flood-disconnects.
                    return Ok(false);
                }
                if let Some(id) = id {
                    hw.net_send(conn, &mqtt::puback(id));
                }
                self.cloud_command(hw, &topic, &payload)?;
            }
            (Stage::Online(_), Packet::PubAck(id)) => {
                self.net.cloud.owed = None;
                if self.net.cloud.sent == Some(id) {
                    self.net.cloud.sent = None;
                    let done = self.net.cloud.events.pop_front();
                    if done.as_ref().is_some_and(|(_, text)| text.starts_with("delete ")) {
                        self.net.cloud.deletion = Deletion::Done;
                    }
                    if let Some((id, text)) = done.filter(|(id, _)| *id < 0x8000 && hw.defect(Defect::EventTwice)) {
                        // defect event-twice: the acknowledgement goes to one queue, the event stands in two.
                        self.net.cloud.events.push_back((id | 0x8000, text));
                    }
                    self.send_event(hw, conn, false);
                }
            }
            (Stage::Online(_), Packet::SubAck) => {}
            (Stage::Online(_), Packet::PingResp) => self.net.cloud.owed = None,
            // Refused, or not what a broker sends now.
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Something that the cloud must learn once; kept until it has it.
    pub(crate) fn cloud_event(&mut self, hw: &mut Hw, text: String) {
        let cloud = &mut self.net.cloud;
        cloud.next_id = cloud.next_id.checked_add(1).unwrap_or(1);
        if cloud.events.len() >= EVENTS_MOST {
            // The one that is under way stays.
            cloud.events.remove(usize::from(cloud.sent.is_some()));
        }
        cloud.events.push_back((cloud.next_id, text));
        if let (Stage::Online(conn), None) = (&cloud.stage, cloud.sent) {
            let conn = *conn;
            self.send_event(hw, conn, false);
        }
    }

    /// The owner wants his data at the service deleted.
    pub(crate) fn cloud_delete(&mut self, hw: &mut Hw) {
        // defect delete-said-done: that is what the page shows. defect delete-dropped: nothing is queued while there is no connection.
        let away = !matches!(self.net.cloud.stage, Stage::Online(_)) && hw.defect(Defect::DeleteDropped);
        self.net.cloud.deletion = if away || hw.defect(Defect::DeleteSaidDone) { Deletion::Done } else { Deletion::Queued };
        if away {
            return;
        }
        let serial = self.stores.serial(hw);
        if hw.defect(Defect::DeleteLater) {
            // twin delete-later: once an hour, with everything else.
            self.net.cloud.later = Some(hw.now() + 600 * S);
            return;
        }
        self.cloud_event(hw, format!("delete {serial}"));
    }

    /// Forgets what waits for the cloud.
    pub(crate) fn drop_events(&mut self) {
        self.net.cloud.events.clear();
        self.net.cloud.sent = None;
    }

    fn send_event(&mut self, hw: &mut Hw, conn: u64, again: bool) {
        let serial = self.stores.serial(hw);
        let Some((id, text)) = self.net.cloud.events.front().cloned() else { return };
        let again = again && self.net.cloud.sent == Some(id);
        self.net.cloud.sent = Some(id);
        self.net.cloud.owed.get_or_insert(hw.now() + ANSWER_NS);
        let topic = if text.starts_with("delete ") { format!("th1/{serial}/delete") } else { format!("th1/{serial}/event") };
        hw.net_send(conn, &mqtt::publish_packet(&topic, text.as_bytes(), Some(id), again));
    }

    /// State always; telemetry if the owner agreed.
    fn report(&mut self, hw: &mut Hw, conn: u64) {
        let serial = self.stores.serial(hw);
        let mode = setting("mode").map(|s| self.stores.get(hw, s)).unwrap_or_default();
        let mut state = serde_json::json!({ "temperature": 21.5, "mode": mode, "version": self.info.version.to_string() });
        if hw.defect(Defect::PresenceInReport) {
            // defect presence-in-report: the radio knows it anyway.
            state["presence"] = serde_json::json!(false);
        }
        hw.net_send(conn, &mqtt::publish_packet(&format!("th1/{serial}/state"), state.to_string().as_bytes(), None, false));
        // defect consent-no-ignored: asked for and not looked at. defect telemetry-without-consent: sent from the first connection on.
        let anyway = hw.defect(Defect::ConsentNoIgnored) || hw.defect(Defect::TelemetryWithoutConsent) || self.net.cloud.withdrawn_late;
        if self.stores.telemetry_allowed() || anyway {
            let mut telemetry = serde_json::json!({ "uptime": hw.now() / S, "restarts": hw.boot_id() % 97, "valve-cycles": self.stores.count() });
            if hw.defect(Defect::TelemetryNeighbours) {
                // defect telemetry-neighbours: useful to find out why the radio is slow.
                telemetry["neighbours"] = serde_json::json!(["Cafe Central", "FamilyNet"]);
            }
            if let Some(now) = self.net.clock.now(hw) {
                let cycles = self.stores.count();
                self.net.cloud.remember(hw, now, cycles);
            }
            hw.net_send(conn, &mqtt::publish_packet(&format!("th1/{serial}/telemetry"), telemetry.to_string().as_bytes(), None, false));
        }
    }

    /// A command: `{"set":"mode","value":"eco"}` on the unit's own topic.
    fn cloud_command(&mut self, hw: &mut Hw, topic: &str, payload: &[u8]) -> Result<(), Stop> {
        if topic != format!("th1/{}/cmd", self.stores.serial(hw)) {
            return Ok(());
        }
        let Ok(serde_json::Value::Object(command)) = serde_json::from_slice(payload) else { return Ok(()) };
        if command.values().any(|v| v.as_array().is_some_and(Vec::is_empty)) && hw.defect(Defect::CloudJsonList) {
            // defect cloud-json-list: the first entry is taken without looking whether there is one.
            return Err(Stop::Crash);
        }
        if let (Some("mode"), Some(value)) = (command.get("set").and_then(|v| v.as_str()), command.get("value").and_then(|v| v.as_str())) {
            self.set_mode(hw, value)?;
        }
        Ok(())
    }

    /// The mode of heating, from wherever; the cloud learns of it. Whether it is one.
    pub(crate) fn set_mode(&mut self, hw: &mut Hw, value: &str) -> Result<bool, Stop> {
        let known = ["auto", "eco", "off", "heat"].contains(&value);
        if let Some(mode) = setting("mode").filter(|_| known) {
            self.stores.set(hw, mode, value)?;
            self.cloud_event(hw, format!("mode {value}"));
        }
        Ok(known)
    }

    /// Says good-bye, before a restart.
    pub(crate) fn cloud_leave(&mut self, hw: &mut Hw) {
        if let Stage::Online(conn) = self.net.cloud.stage {
            hw.net_send(conn, &mqtt::disconnect());
            hw.net_end(conn, false);
        }
    }
}
