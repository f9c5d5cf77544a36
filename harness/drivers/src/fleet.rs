//! Fleets: a list of labels that somebody wrote down, and units that are opened one by one to have a scene played to them.

use crate::Channels;
use proofbench_channel::fleet::{Fleet, Played, Step, UnitLabel};
use proofbench_channel::network::{Dial, Dialled, End, Network, Received, Seen};
use proofbench_channel::{ChannelError, ErrorKind, Moment, PowerAsk, Wait};
use proofbench_emulator::{Defects, label};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(2);
/// Bytes of an answer that are kept.
const ANSWER_MOST: usize = 64 * 1024;
/// A switch, a cable, a service.
const SOON: Duration = Duration::from_secs(60);
/// Parts of a long wait.
const SLICE: Duration = Duration::from_millis(200);

/// Labels without units.
pub struct Labels(pub Vec<UnitLabel>);

impl Fleet for Labels {
    fn labels(&mut self, _wait: &Wait) -> Result<Vec<UnitLabel>, ChannelError> {
        Ok(self.0.clone())
    }
    fn play(&mut self, _scene: &[Step], _wait: &Wait) -> Result<Vec<Played>, ChannelError> {
        Err(ChannelError::new(ErrorKind::Unsupported, "play a scene to a fleet of which there are labels only"))
    }
    fn describe(&self) -> String {
        format!("labels of {} units", self.0.len())
    }
}

/// Opens one unit as its maker delivered it, without power, with its supply and its network.
pub type OpenUnit = Box<dyn Fn(u32) -> Result<Channels, ChannelError> + Sync>;

/// Units 1 to n of one of our own devices, each on a time line of its own that begins with the scene: what happens to all at once happens at the same time
/// of each. Several are played at once.
pub struct Units {
    labels: Vec<UnitLabel>,
    open: OpenUnit,
    what: &'static str,
}

impl Units {
    /// So many units with these built-in defects; names that are not known are an error. `what` says what they are, for the journal.
    pub fn new(units: u32, defects: &[String], what: &'static str, open: OpenUnit) -> Result<Self, ChannelError> {
        let doing = || format!("set up {units} {what} (defects)");
        let defects = Defects::parse(defects).map_err(|e| ChannelError::caused(ErrorKind::Unsupported, doing(), e))?;
        let of = |unit| {
            let label = label(unit, defects);
            UnitLabel {
                serial: label.serial,
                user: "admin".to_owned(),
                secret: label.secret,
                public: BTreeMap::from([("mac".to_owned(), label.mac)]),
            }
        };
        Ok(Self { labels: (1..=units).map(of).collect(), open, what })
    }
}

impl Fleet for Units {
    fn labels(&mut self, _wait: &Wait) -> Result<Vec<UnitLabel>, ChannelError> {
        Ok(self.labels.clone())
    }

    fn play(&mut self, scene: &[Step], wait: &Wait) -> Result<Vec<Played>, ChannelError> {
        let (next, all) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let (count, open) = (self.labels.len(), &self.open);
        let worker = || {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let Some(unit) = u32::try_from(n + 1).ok().filter(|_| n < count) else { return };
                let played = open(unit).and_then(|mut channels| play(&mut channels, n, scene, wait));
                all.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(played);
            }
        };
        // Units mostly wait: for each other's sake, and for real time.
        let threads = (4 * std::thread::available_parallelism().map_or(1, usize::from)).min(count);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(worker);
            }
        });
        let all = all.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut all = all.into_iter().collect::<Result<Vec<Played>, ChannelError>>()?;
        all.sort_by_key(|played| played.unit);
        Ok(all)
    }

    fn describe(&self) -> String {
        format!("{} {}", self.labels.len(), self.what)
    }
}

/// A wait of so long from now, within the outer one's cancel.
fn within(channels: &Channels, d: Duration, outer: &Wait) -> Wait {
    Wait { until: channels.clock.now() + d, cancel: outer.cancel.clone() }
}

fn network(channels: &mut Channels) -> Result<&mut Box<dyn Network>, ChannelError> {
    channels.network.as_mut().ok_or_else(|| ChannelError::new(ErrorKind::Unsupported, "use the network of a unit that has none"))
}

fn ask(channels: &mut Channels, dial: &Dial, bytes: &[u8], wait: &Wait) -> Result<Vec<u8>, ChannelError> {
    let wait = within(channels, ANSWER, wait);
    let network = network(channels)?;
    let Dialled::Open(conn, _) = network.connect(dial, &wait)? else { return Ok(Vec::new()) };
    let mut answer = Vec::new();
    if network.send(conn, bytes, &wait)? {
        while answer.len() < ANSWER_MOST && matches!(network.receive(conn, &mut answer, &wait)?, Received::Bytes(_)) {}
    }
    network.close(conn, End::Fin)?;
    Ok(answer)
}

/// Lets time pass; a unit that is idle may let it pass at once.
fn pass(channels: &mut Channels, d: Duration, wait: &Wait) -> Result<(), ChannelError> {
    let end = channels.clock.now() + d;
    while channels.clock.now() < end {
        channels.clock.idle(Some(end));
        let slice = within(channels, SLICE.min(end.since(channels.clock.now())), wait);
        let slept = channels.clock.sleep_until(&slice);
        channels.clock.idle(None);
        slept?;
    }
    Ok(())
}

/// One unit's part.
fn play(channels: &mut Channels, unit: usize, scene: &[Step], wait: &Wait) -> Result<Played, ChannelError> {
    let begun = channels.clock.now();
    let mut played = Played { unit, ..Played::default() };
    for step in scene {
        let soon = within(channels, SOON, wait);
        match step {
            Step::Power(on) => {
                if let Some(power) = &mut channels.power {
                    power.set(if *on { PowerAsk::On } else { PowerAsk::Off }, &soon)?;
                }
            }
            Step::Link(up) => network(channels)?.link(*up, &soon)?,
            Step::Serve(service) => network(channels)?.serve(service, &soon)?,
            Step::Ask(dial, bytes) => {
                let bytes = bytes.get(unit).ok_or_else(|| ChannelError::new(ErrorKind::Refused, "ask a unit for which there are no bytes"))?;
                let answer = ask(channels, dial, bytes, wait)?;
                played.answers.push(answer);
            }
            Step::Shown(port) => {
                let wait = within(channels, ANSWER, wait);
                let network = network(channels)?;
                let shown = match network.connect(&Dial::tls(*port), &wait)? {
                    Dialled::Open(conn, secured) => {
                        network.close(conn, End::Fin)?;
                        secured
                    }
                    Dialled::Refused | Dialled::Unsecured(_) | Dialled::Silent => None,
                };
                played.shown.push(shown);
            }
            Step::Wait(d) => pass(channels, *d, wait)?,
        }
        let now = Wait { until: Moment(0), cancel: wait.cancel.clone() };
        let seen = network(channels)?.seen(&now)?;
        // Times count from the beginning of the scene.
        played.seen.extend(seen.into_iter().map(|s| Seen { at: Moment::default() + s.at.since(begun), ..s }));
    }
    if network(channels)?.lost() > 0 {
        return Err(ChannelError::new(ErrorKind::Protocol, "see everything that a unit did: the lab lost sights"));
    }
    Ok(played)
}
