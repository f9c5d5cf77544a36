//! Units of the emulated device, each in a world of its own that begins at time 0: what happens to all at once happens at the same time of each world.

use super::{EmulatedSetup, open};
use crate::Channels;
use proofbench_channel::fleet::{Fleet, Played, Step, UnitLabel};
use proofbench_channel::network::{Dial, Dialled, End, Network, Received};
use proofbench_channel::{ChannelError, ErrorKind, Moment, PowerAsk, Wait};
use proofbench_emulator::label;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(2);
/// Bytes of an answer that are kept.
const ANSWER_MOST: usize = 64 * 1024;

/// Units 1 to n.
pub(super) struct EmulatedFleet {
    setup: EmulatedSetup,
    units: u32,
}

impl EmulatedFleet {
    pub(super) fn new(setup: &EmulatedSetup, units: u32) -> Self {
        Self { setup: EmulatedSetup { faults: Vec::new(), ..setup.clone() }, units }
    }

    fn open(&self, unit: u32) -> Result<Channels, ChannelError> {
        // Units differ by what the factory gave them; chance is one for all, as it is for products with one image.
        open(&EmulatedSetup { unit, ..self.setup.clone() })
    }
}

/// A wait of so long from now.
fn within(channels: &Channels, d: Duration, outer: &Wait) -> Wait {
    Wait { until: channels.clock.now() + d, cancel: outer.cancel.clone() }
}

fn network(channels: &mut Channels) -> Result<&mut Box<dyn Network>, ChannelError> {
    channels.network.as_mut().ok_or_else(|| ChannelError::new(ErrorKind::Unsupported, "use the network of an emulated unit"))
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

/// One unit's part.
fn play(channels: &mut Channels, unit: usize, scene: &[Step], wait: &Wait) -> Result<Played, ChannelError> {
    let mut played = Played { unit, ..Played::default() };
    for step in scene {
        let soon = within(channels, Duration::from_secs(60), wait);
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
            Step::Wait(d) => {
                let end = within(channels, *d, wait);
                channels.clock.sleep_until(&end)?;
            }
        }
        let now = Wait { until: Moment(0), cancel: wait.cancel.clone() };
        let seen = network(channels)?.seen(&now)?;
        played.seen.extend(seen);
    }
    Ok(played)
}

impl Fleet for EmulatedFleet {
    fn labels(&mut self, _wait: &Wait) -> Result<Vec<UnitLabel>, ChannelError> {
        let defects = super::parsed(&self.setup)?;
        let of = |unit| {
            let label = label(unit, defects);
            UnitLabel {
                serial: label.serial,
                user: "admin".to_owned(),
                secret: label.secret,
                public: BTreeMap::from([("mac".to_owned(), label.mac)]),
            }
        };
        Ok((1..=self.units).map(of).collect())
    }

    fn play(&mut self, scene: &[Step], wait: &Wait) -> Result<Vec<Played>, ChannelError> {
        (1..=self.units)
            .enumerate()
            .map(|(n, unit)| {
                let mut channels = self.open(unit)?;
                play(&mut channels, n, scene, wait)
            })
            .collect()
    }

    fn describe(&self) -> String {
        format!("{} emulated units", self.units)
    }
}
