//! How an input reaches the device: by request, by line, by message, by datagram.

use super::mutate::Case;
use proofbench_channel::network::{BrokerConduct, Dial, Dialled, End, Front, Sight, Trade};
use proofbench_model::bind::{ComBind, InputBind};
use proofbench_runner::bench::{HttpSeen, WebLogin};
use proofbench_runner::{Bench, Trouble};
use std::time::Duration;

/// An answer that has not come by then does not come.
const ANSWER: Duration = Duration::from_millis(250);
/// How long the bench may take to bring an input to the device: what it waits for then is itself, and not an answer.
const DELIVERY: Duration = Duration::from_secs(2);
/// A client that lost its broker comes back within this, whatever it declares.
const BACK: Duration = Duration::from_secs(900);

/// A request that every interface answers.
const FRONT: &[u8] = b"GET / HTTP/1.1\r\nHost: device\r\n\r\n";

/// How fast a device answers, so that one that is going to say nothing is not waited for as long as the slowest might take.
#[derive(Default)]
pub struct Pace(Duration);

impl Pace {
    /// Shortest patience.
    const LEAST: Duration = Duration::from_millis(20);

    /// Four times as long as the slowest of the last answers took; [`ANSWER`] at the most, and before the first.
    fn patience(&self) -> Duration {
        if self.0.is_zero() { ANSWER } else { (self.0 * 4).clamp(Self::LEAST, ANSWER) }
    }

    /// An answer took so long. Slow ones are forgotten after some that were fast.
    fn took(&mut self, time: Duration) {
        self.0 = time.max(self.0 * 7 / 8).max(Duration::from_nanos(1));
    }
}

/// Where an input carries the session.
pub const SESSION: &str = "{session}\r\n";

/// What can be said at once of an answer.
pub type Remark = Option<String>;

/// One way in.
pub enum Feed {
    /// Requests to the device's own interface; with a session.
    Http { dial: Dial, fields: String, front: Vec<u8>, pace: Pace },
    /// Lines on the console, logged in or not.
    Console { login: bool },
    /// Payloads on the topic that the device subscribes to.
    Message { topic: String, com: ComBind },
    /// Packets of the broker itself, right after its CONNACK.
    Packet { com: ComBind },
    /// Datagrams.
    Datagram { port: u16 },
}

impl Feed {
    /// The ways into the interface of a row.
    pub fn of(bench: &mut Bench, bind: &InputBind) -> Result<Vec<Feed>, Trouble> {
        let missing = |what: &str| Trouble::IxitMissing(format!("`{what}` of an interface that takes input"));
        Ok(match bind.kind.as_str() {
            "console" => vec![Feed::Console { login: bind.login }],
            "http" => {
                let port = bind.port.ok_or_else(|| missing("port"))?;
                vec![Feed::Http { dial: Dial { port, tls: bind.tls, from: 0 }, fields: String::new(), front: Vec::new(), pace: Pace::default() }]
            }
            "mqtt" => {
                let com = bench
                    .clients()
                    .into_iter()
                    .map(|(_, c)| c)
                    .find(|c| c.protocol == "mqtt")
                    .ok_or_else(|| missing("an MQTT client in 11-ComMech"))?;
                let serial = bench.dossier().device.sample.serial.clone();
                let topic = bind.topic.as_ref().map(|t| t.replace("{serial}", &serial)).ok_or_else(|| missing("topic"))?;
                vec![Feed::Message { topic, com: com.clone() }, Feed::Packet { com }]
            }
            "smp-udp" => vec![Feed::Datagram { port: bind.port.ok_or_else(|| missing("port"))? }],
            other => return Err(Trouble::IxitAmbiguous(format!("no way is known into an interface of kind `{other}`"))),
        })
    }

    /// What it is called in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Feed::Http { .. } => "HTTP",
            Feed::Console { .. } => "console",
            Feed::Message { .. } => "MQTT message",
            Feed::Packet { .. } => "MQTT packet",
            Feed::Datagram { .. } => "datagram",
        }
    }

    /// Makes sure that an input can go deep: a session, a client that is connected.
    pub fn arm(&mut self, bench: &mut Bench) -> Result<(), Trouble> {
        match self {
            Feed::Http { dial, fields, front, .. } => {
                let web = bench.web()?;
                let session = session(bench)?;
                *fields = format!("{}\r\n", web.session.replace("{session}", &session));
                if let HttpSeen::Answer(a) = bench.http_bytes(dial, FRONT, ANSWER)? {
                    front.clone_from(&a.body);
                }
                Ok(())
            }
            Feed::Console { login: true } => bench.session(),
            Feed::Console { login: false } => bench.drain().map(drop),
            Feed::Message { com, .. } | Feed::Packet { com } => {
                let com = com.clone();
                reconnect(bench, &com, BrokerConduct::Proper)
            }
            Feed::Datagram { .. } => Ok(()),
        }
    }

    /// Whether only a new start brings the device to where this way in begins: the look at its version has logged in to the console.
    pub fn wants_new_start(&self) -> bool {
        matches!(self, Feed::Console { login: false })
    }

    /// Gives the device one input. [`Trouble::NoOpportunity`] if it surely did not arrive.
    pub fn give(&mut self, bench: &mut Bench, case: &Case) -> Result<Remark, Trouble> {
        match self {
            Feed::Http { dial, front, fields, pace } => {
                let patience = if climbs(case) { ANSWER } else { pace.patience() };
                let begun = bench.now();
                let seen = ask(bench, dial, &with_session(&case.bytes, fields), patience)?;
                match &seen {
                    HttpSeen::Silent(_) if patience < ANSWER => {
                        // A request behind it: once that is answered the device is done with what came before, and nothing more is to be waited for. Whether
                        // a device that does not answer has come to harm is for the oracle to say.
                        bench.http_bytes(dial, FRONT, ANSWER)?;
                    }
                    HttpSeen::Silent(_) => {}
                    _ => pace.took(bench.now().since(begun)),
                }
                Ok(outside(case, &seen, front))
            }
            Feed::Console { .. } => {
                let mut line = case.bytes.clone();
                line.push(b'\r');
                bench.send(&line)?;
                // At line speed, and then whatever the device makes of it: the next line must not stand in its queue.
                bench.sleep(Duration::from_micros(100 * line.len() as u64 + 2_000))?;
                bench.drain()?;
                Ok(None)
            }
            Feed::Message { topic, com } => {
                let (topic, com) = (topic.clone(), com.clone());
                let wait = bench.wait(Duration::from_secs(5));
                if bench.network()?.publish(&topic, &case.bytes, false, &wait)? == 0 {
                    // The last one cost the connection: the client comes back by itself.
                    reconnect(bench, &com, BrokerConduct::Proper)?;
                    if bench.network()?.publish(&topic, &case.bytes, false, &wait)? == 0 {
                        return Err(Trouble::NoOpportunity(format!("the device does not subscribe to {topic}")));
                    }
                }
                Ok(None)
            }
            Feed::Packet { com } => {
                let com = com.clone();
                reconnect(bench, &com, BrokerConduct::Bytes(case.bytes.clone()))?;
                Ok(None)
            }
            Feed::Datagram { port } => {
                let wait = bench.wait(Duration::from_millis(5));
                bench.network()?.datagram(*port, &case.bytes, &wait)?;
                Ok(None)
            }
        }
    }
}

/// Gives the device these bytes on a connection of their own, and waits so long for an answer to all of them; a HEAD's is one without its body.
fn ask(bench: &mut Bench, dial: &Dial, bytes: &[u8], patience: Duration) -> Result<HttpSeen, Trouble> {
    let wait = bench.wait(DELIVERY);
    let conn = match bench.network()?.connect(dial, &wait)? {
        Dialled::Open(conn, _) => conn,
        Dialled::Refused => return Ok(HttpSeen::Refused),
        Dialled::Unsecured(why) => return Ok(HttpSeen::Unsecured(why)),
        Dialled::Silent => return Ok(HttpSeen::Silent(Vec::new())),
    };
    let wait = bench.wait(DELIVERY);
    let sent = bench.network()?.send(conn, bytes, &wait)?;
    let seen = if sent { bench.http_read(conn, patience)? } else { HttpSeen::Ended(Vec::new()) };
    bench.network()?.close(conn, End::Fin)?;
    Ok(seen)
}

/// The input with the session that is alive in the place of the mark: sessions end at a start, inputs are given again after it.
fn with_session(bytes: &[u8], fields: &str) -> Vec<u8> {
    match bytes.windows(SESSION.len()).position(|w| w == SESSION.as_bytes()) {
        Some(at) => [&bytes[..at], fields.as_bytes(), &bytes[at + SESSION.len()..]].concat(),
        None => bytes.to_vec(),
    }
}

/// Whether it is a path that leaves the tree.
fn climbs(case: &Case) -> bool {
    case.how.starts_with("path /") && case.how.contains("etc")
}

/// A path that leaves the tree must not be served: an answer with content that is not the front page's.
fn outside(case: &Case, seen: &HttpSeen, front: &[u8]) -> Remark {
    let HttpSeen::Answer(a) = seen else { return None };
    (climbs(case) && a.status == 200 && a.body != front).then(|| format!("{} was served: {}", case.how, seen.words()))
}

/// A session of the owner; a lock that malformed logins brought about is waited for.
fn session(bench: &mut Bench) -> Result<String, Trouble> {
    bench.forget_web_session();
    let lock = bench.dossier().ixit.rows(1).iter().filter_map(|r| r.auth()).find(|a| a.over == "web").and_then(|a| a.lockout_ms);
    let (user, credential) = (bench.web()?.user, bench.credential().cloned());
    let Some(mut credential) = credential else { return bench.web_session() };
    credential.user = user;
    if let (WebLogin::Locked(_), Some(lock)) = (bench.web_login(&credential)?, lock) {
        bench.sleep(Duration::from_millis(lock + lock / 10))?;
    }
    bench.web_session()
}

/// Cuts the client off and waits until it is back with a broker of this conduct.
fn reconnect(bench: &mut Bench, com: &ComBind, conduct: BrokerConduct) -> Result<(), Trouble> {
    let front = bench.honest(com).map_or(Front::Plain, |s| s.front);
    bench.serve_as(com, Front::HangUp, Trade::Broker(BrokerConduct::Proper))?;
    bench.serve_as(com, front, Trade::Broker(conduct))?;
    bench.forget_sights()?;
    let port = com.port;
    match bench.watch_for(BACK, |s| s.port == port && matches!(s.sight, Sight::Connect { .. }))? {
        // What follows the CONNACK is on its way; a client that takes it subscribes.
        Some(_) => bench.watch(Duration::from_millis(200)),
        None => Err(Trouble::NoOpportunity("the device did not connect to its broker again".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_follows_the_slowest_of_the_last_answers_within_its_bounds() {
        let ms = Duration::from_millis;
        let mut pace = Pace::default();
        assert_eq!(pace.patience(), ANSWER, "nothing is known yet");
        pace.took(ms(1));
        assert_eq!(pace.patience(), Pace::LEAST);
        pace.took(ms(20));
        assert_eq!(pace.patience(), ms(80));
        (0..3).for_each(|_| pace.took(ms(1)));
        assert!((ms(40)..ms(80)).contains(&pace.patience()), "one slow answer is not forgotten at once");
        pace.took(ms(200));
        assert_eq!(pace.patience(), ANSWER);
    }
}
