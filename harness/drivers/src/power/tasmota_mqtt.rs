//! A plug with Tasmota firmware behind an MQTT broker.
//!
//! `cmnd/<topic>/POWER<n>` is told `ON` or `OFF` (never `TOGGLE`, so that a command may be repeated) or, empty, asked for the state. The plug answers on
//! `stat/<topic>/RESULT` and `stat/<topic>/POWER<n>`. The answers do not say which question they belong to, and MQTT keeps their order: so the driver counts.
//! A question whose answer never came stays open, and the next one believes only the answer that comes after all open ones. A retained message is never an
//! answer. What the plug says is what it says: it can lie, and only the console or the rail is a witness.
//!
//! - A plug that its last will calls `Offline` is not told anything. One that has just gone (a broker that restarts says so of everybody) has 15 s to
//!   come back, within the deadline; then it is `Disconnected`.
//! - While the broker is away the driver connects again and again, at most every 2 s, and repeats the question to a plug that may not have heard it.
//!   Nothing is queued for a broker that is away: a call that has ended sends nothing more.
//! - Wrong user, password or certificate is `Refused` at the first call, with the broker's reason. An answer of more than 64 KiB, or two that no Tasmota
//!   gives, are `Protocol`; `{"Command":"Error"}` twice (there is no such relay) is `Refused`, and so are three answers with the contrary state.
//! - `current` asks `Status 10`. It is what the plug's mains side draws, power supply included. The meter's mains voltage is not the device's rail, which
//!   stays behind a power supply that this plug does not see: `rail` is always `None`.
//!
//! A cancelled or late call leaves the switch as it was or as it was told, and the plug perhaps with the command still on its way: read the state.
//!
//! Run against: Debian's mosquitto 2.0.11 (password file, TLS, killed and restarted) with a Tasmota-like peer by paho-mqtt 2.1 (`fixtures/peers`). Not
//! run against a plug.

mod link;
mod tls;

use super::tasmota::RELAY_MOST;
use super::{Supply, word};
use crate::{Secret, runtime};
use link::{Link, Presence, Session, Told, Topics, View};
use proofbench_channel::{ChannelError, ErrorKind, Milliamps, Millivolts, Power, PowerAsk, PowerSeen, Wait};
use rumqttc::{MqttOptions, QoS, Transport};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long a plug that has just gone offline may take to come back. Tasmota tries its broker again after 10 s.
const PATIENCE: Duration = Duration::from_secs(15);
const OFFLINE: &str = "the broker says that the plug is offline";
/// A question is repeated after so long, then after twice as long each time.
const REPEAT_FIRST: Duration = Duration::from_secs(1);
const REPEAT_MOST: Duration = Duration::from_secs(8);
/// Answers with the contrary state, and strange ones, after which the plug is believed to mean it.
const CONTRARY_MOST: u32 = 3;
const ODD_MOST: u32 = 2;
/// Most questions whose answers may still come. No plug holds more in its buffers.
const OPEN_MOST: u64 = 32;
/// Quiet connections are asked after so long; one that does not answer is given up after as long again.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Longest topic.
const TOPIC_MOST: usize = 256;

/// The plug, and how to reach it.
#[derive(Debug, Clone)]
pub struct TasmotaMqttSetup {
    /// `host:port` of the broker.
    pub broker: String,
    /// The plug's topic, in the place of `%topic%` of the default `%prefix%/%topic%/`.
    pub topic: String,
    /// Which relay, from 1 to 32.
    pub relay: u8,
    /// User name for the broker.
    pub user: Option<String>,
    /// Password for the broker.
    pub password: Option<Secret>,
    /// PEM file of the authorities that may have signed the broker's certificate. With it the connection is TLS, without it plain.
    pub ca: Option<PathBuf>,
    /// What every supply has.
    pub supply: Supply,
}

/// A supply behind this plug. Starts to connect and returns: a broker that is not there, or refuses, is an error of the first call.
/// A setup that can never work (topic, relay, CA file) is an error here.
pub fn open(setup: TasmotaMqttSetup) -> Result<Box<dyn Power>, ChannelError> {
    Ok(Box::new(Plug::open(setup)?))
}

/// Why this cannot be the plug's topic.
pub fn topic_trouble(topic: &str) -> Option<&'static str> {
    match topic {
        "" => Some("it is empty"),
        t if t.len() > TOPIC_MOST => Some("it is longer than 256 bytes"),
        t if t.contains(['+', '#', '\0']) => Some("`+`, `#` and NUL are not for topics"),
        t if t.starts_with('/') || t.ends_with('/') || t.contains("//") => Some("a level of it is empty"),
        _ => None,
    }
}

struct Plug {
    setup: TasmotaMqttSetup,
    topics: Topics,
    link: Link,
    relay: Open,
    meter: Open,
}

/// Questions that were asked and whose answers have not been seen.
#[derive(Debug, Default)]
struct Open {
    /// Answers seen so far.
    seen: u64,
    open: u64,
    /// The plug's announcements seen so far: what was open before the last of them will not be answered.
    starts: u64,
}

impl Open {
    fn settle(&mut self, seen: u64, starts: u64) {
        if self.starts != starts {
            (self.open, self.starts) = (0, starts);
        }
        self.open = self.open.saturating_sub(seen.saturating_sub(self.seen));
        self.seen = seen;
    }

    /// One more is asked. Returns how many answers there are when its own has come.
    fn ask(&mut self) -> u64 {
        self.open = (self.open + 1).min(OPEN_MOST);
        self.seen + self.open
    }
}

/// The question of the call that runs.
struct Asked {
    session: u64,
    starts: u64,
    /// With so many answers the first of this call's own is among them.
    believed_at: u64,
}

impl Plug {
    fn open(setup: TasmotaMqttSetup) -> Result<Self, ChannelError> {
        let doing = || format!("use the plug {}", crate::text::shown(setup.topic.as_bytes()));
        let wrong = |why: &str| Err(ChannelError::caused(ErrorKind::Driver, doing(), why.to_owned()));
        if let Some(why) = topic_trouble(&setup.topic) {
            return wrong(&format!("this is no topic: {why}"));
        }
        if !(1..=RELAY_MOST).contains(&setup.relay) {
            return wrong("relays are numbered from 1 to 32");
        }
        let Some((host, port)) = setup.broker.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?))) else {
            return wrong("the broker is to be given as host:port");
        };
        let mut options = MqttOptions::new(client_name(), host, port);
        options.set_keep_alive(KEEP_ALIVE).set_clean_session(true);
        options.set_max_packet_size(super::tasmota::ANSWER_MOST, super::tasmota::ANSWER_MOST);
        if setup.user.is_some() || setup.password.is_some() {
            options.set_credentials(setup.user.as_deref().unwrap_or(""), setup.password.as_ref().map_or("", Secret::reveal));
        }
        if let Some(ca) = &setup.ca {
            options.set_transport(Transport::tls_with_config(tls::trusting(ca)?.into()));
        }
        let topics = Topics::new(&setup.topic, setup.relay);
        let link = Link::open(runtime::handle()?, options, topics.clone());
        Ok(Self { setup, topics, link, relay: Open::default(), meter: Open::default() })
    }

    fn name(&self) -> String {
        format!("{} relay {} behind {}", self.setup.topic, self.setup.relay, self.setup.broker)
    }

    /// Asks the relay, with a command or with nothing, until an answer to it has come that is `wanted`, if anything is.
    fn ask_relay(&mut self, wanted: Option<PowerAsk>, wait: &Wait) -> Result<bool, ChannelError> {
        let (payload, doing) = match wanted {
            Some(ask @ PowerAsk::On) => ("ON", format!("switch {} {}", word(ask), self.name())),
            Some(ask @ PowerAsk::Off) => ("OFF", format!("switch {} {}", word(ask), self.name())),
            None => ("", format!("read the state of {}", self.name())),
        };
        let contrary = |on: &bool| match (wanted, on) {
            (Some(PowerAsk::On), false) => Some("it was told ON and answers OFF"),
            (Some(PowerAsk::Off), true) => Some("it was told OFF and answers ON"),
            _ => None,
        };
        let question = Question { topic: &self.topics.command, payload, doing: &doing, told: |v| &v.relay, contrary };
        let (link, open) = (&self.link, &mut self.relay);
        let told = runtime::run(self.setup.supply.time, wait, &doing, question.ask(link, open));
        told.map_err(|e| self.late(e))
    }

    /// A deadline that passed, with what is known of its cause.
    fn late(&self, error: ChannelError) -> ChannelError {
        if error.kind != ErrorKind::Timeout || error.source.is_some() {
            return error;
        }
        let view = self.link.view();
        let view = view.borrow();
        let (kind, why) = match (&view.session, &view.trouble, view.presence) {
            (None, Some(trouble), _) => (trouble.kind, trouble.why.clone()),
            (None, None, _) => (ErrorKind::Disconnected, "the broker has not answered yet".to_owned()),
            (Some(_), _, Presence::Offline(_)) => (ErrorKind::Disconnected, OFFLINE.to_owned()),
            (Some(_), _, _) => {
                let heard = view.heard.map_or("nothing was ever heard of it".to_owned(), |at| format!("last heard {} s ago", at.elapsed().as_secs()));
                (ErrorKind::Timeout, format!("the plug does not answer; {heard}"))
            }
        };
        ChannelError::caused(kind, error.doing, why)
    }
}

/// One question, asked until it is answered.
struct Question<'a, T, C> {
    topic: &'a str,
    payload: &'a str,
    doing: &'a str,
    told: fn(&View) -> &Told<T>,
    /// Why this answer is not what was asked for.
    contrary: C,
}

impl<T: Clone, C: Fn(&T) -> Option<&'static str>> Question<'_, T, C> {
    async fn ask(&self, link: &Link, open: &mut Open) -> Result<T, ChannelError> {
        let failed = |kind, why: String| Err(ChannelError::caused(kind, self.doing, why));
        let mut heard = link.view();
        let (ended, mut odd_seen) = {
            let view = heard.borrow();
            (view.ended, view.odd.count)
        };
        link.hurry();
        let (mut asked, mut contrary, mut odd): (Option<Asked>, u32, u32) = (None, 0, 0);
        let (mut again, mut pause) = (Instant::now(), REPEAT_FIRST);
        loop {
            let view = heard.borrow_and_update().clone();
            let told = (self.told)(&view);
            let news = told.count != open.seen;
            open.settle(told.count, view.starts);
            let Some(session) = &view.session else {
                if let Some(trouble) = view.trouble.filter(|t| t.lasts() && view.ended > ended) {
                    return Err(trouble.error(self.doing));
                }
                asked = None;
                changed(&mut heard, None).await?;
                continue;
            };
            if let Presence::Offline(since) = view.presence {
                if since.elapsed() >= PATIENCE {
                    return failed(ErrorKind::Disconnected, OFFLINE.to_owned());
                }
                asked = None;
                changed(&mut heard, Some(since + PATIENCE)).await?;
                continue;
            }
            // Who has lost the connection, or the plug its memory, does not know whether the question was heard.
            asked = asked.filter(|a| a.session == session.number && a.starts == view.starts);
            match (&asked, &told.last) {
                (Some(a), Some(last)) if told.count >= a.believed_at => match last {
                    Err(what) => return failed(ErrorKind::Protocol, format!("its state is `{what}`, neither ON nor OFF")),
                    Ok(answer) => match (self.contrary)(answer) {
                        None => return Ok(answer.clone()),
                        Some(why) => {
                            contrary += 1;
                            if contrary >= CONTRARY_MOST {
                                return failed(ErrorKind::Refused, format!("{why}, {contrary} times"));
                            }
                            asked = None;
                        }
                    },
                },
                // An answer to an older question: one more question brings one more answer.
                (Some(_), _) if news => again = Instant::now(),
                _ => {}
            }
            if view.odd.count != odd_seen {
                (odd_seen, odd) = (view.odd.count, odd + 1);
                if odd >= ODD_MOST {
                    return Err(oddity(&view, self.doing));
                }
                again = Instant::now();
            }
            if asked.is_none() || Instant::now() >= again {
                if self.send(session) {
                    let believed_at = open.ask();
                    asked.get_or_insert(Asked { session: session.number, starts: view.starts, believed_at });
                }
                (again, pause) = (Instant::now() + pause, (pause * 2).min(REPEAT_MOST));
            }
            changed(&mut heard, Some(again)).await?;
        }
    }

    /// `false` if the connection takes nothing any more; its end is about to be told.
    fn send(&self, session: &Session) -> bool {
        session.client.try_publish(self.topic, QoS::AtMostOnce, false, self.payload).is_ok()
    }
}

fn oddity(view: &View, doing: &str) -> ChannelError {
    match &view.odd.last {
        Some((kind, what)) => ChannelError::caused(*kind, doing, format!("the plug answers `{what}`")),
        None => ChannelError::new(ErrorKind::Protocol, doing),
    }
}

/// Waits until something new is heard, or for this moment.
async fn changed(heard: &mut watch::Receiver<View>, until: Option<Instant>) -> Result<(), ChannelError> {
    let news = async {
        match until {
            Some(until) => tokio::time::timeout_at(until.into(), heard.changed()).await.unwrap_or(Ok(())),
            None => heard.changed().await,
        }
    };
    news.await.map_err(|_| ChannelError::caused(ErrorKind::Driver, "listen to the broker", "the listening task has ended"))
}

/// A name that no other client of the broker has: the broker would end the other one's connection.
fn client_name() -> String {
    use std::hash::{BuildHasher, Hasher};
    // The standard library's hash keys are the chance that is at hand.
    let chance = std::collections::hash_map::RandomState::new().build_hasher().finish();
    format!("proofbench{:013x}", chance & 0x000f_ffff_ffff_ffff)
}

impl Power for Plug {
    fn set(&mut self, ask: PowerAsk, wait: &Wait) -> Result<(), ChannelError> {
        self.ask_relay(Some(ask), wait).map(drop)
    }

    fn state(&mut self, wait: &Wait) -> Result<PowerSeen, ChannelError> {
        Ok(if self.ask_relay(None, wait)? { PowerSeen::On } else { PowerSeen::Off })
    }

    fn rail(&mut self, _: &Wait) -> Result<Option<Millivolts>, ChannelError> {
        Ok(None)
    }

    fn current(&mut self, wait: &Wait) -> Result<Option<Milliamps>, ChannelError> {
        let doing = format!("read the meter of {}", self.name());
        let question =
            Question { topic: &self.topics.status, payload: "10", doing: &doing, told: |v| &v.meter, contrary: |_: &Option<Milliamps>| None };
        let (link, open) = (&self.link, &mut self.meter);
        let told = runtime::run(self.setup.supply.time, wait, &doing, question.ask(link, open));
        told.map_err(|e| self.late(e))
    }

    fn off_min(&self) -> Duration {
        self.setup.supply.off_min
    }

    fn dip(&mut self, _: Millivolts, _: Duration, _: &Wait) -> Result<(), ChannelError> {
        Err(ChannelError::new(ErrorKind::Unsupported, format!("dip the supply behind {}", self.name())))
    }

    fn describe(&self) -> String {
        let how = if self.setup.ca.is_some() { "MQTT over TLS" } else { "MQTT" };
        format!("Tasmota plug {} ({how})", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_question_postpones_the_moment_from_which_an_answer_is_believed() {
        let mut open = Open::default();
        open.settle(0, 0);
        assert_eq!(open.ask(), 1);
        // Never answered. The next question's answer is the second one from here.
        open.settle(0, 0);
        assert_eq!(open.ask(), 2);
        open.settle(1, 0);
        assert_eq!(open.open, 1);
        open.settle(2, 0);
        assert_eq!(open.ask(), 3);
    }

    #[test]
    fn a_plug_that_announces_itself_has_forgotten_what_it_was_asked() {
        let mut open = Open::default();
        open.ask();
        open.ask();
        open.settle(0, 1);
        assert_eq!(open.ask(), 1);
    }

    #[test]
    fn unasked_reports_leave_nothing_open_behind() {
        let mut open = Open::default();
        open.ask();
        open.settle(9, 0);
        assert_eq!(open.ask(), 10);
    }

    #[test]
    fn client_names_differ_and_every_broker_takes_them() {
        let names: std::collections::BTreeSet<_> = (0..100).map(|_| client_name()).collect();
        assert_eq!(names.len(), 100);
        assert!(names.iter().all(|n| n.len() == 23 && n.bytes().all(|b| b.is_ascii_alphanumeric())));
    }
}
