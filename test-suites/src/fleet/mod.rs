//! Suite `fleet`: several units of one model, and what must not be the same in them.
//!
//! Rows of 1-AuthMech (5.1-2-2), 11-ComMech (5.9-3-2) and keys (5.4-3-2). The fleet's units stand beside the device under test; labels are enough for the first.

mod keys;
mod passwords;
mod relations;
mod together;

use proofbench_channel::fleet::{Played, Step, UnitLabel};
use proofbench_channel::network::Service;
use proofbench_runner::bench::resolver;
use proofbench_runner::{Bench, Check, Trouble};
use std::time::Duration;

const BUDGET: Duration = Duration::from_secs(24 * 3600);
/// A scene of all units.
const SCENE: Duration = Duration::from_secs(24 * 3600);

/// Fewer units than these say nothing about how all of them are made: neither spread nor the way of a secret can be told from chance.
const LEAST: usize = 8;

/// The checks, in the order in which they run.
pub const CHECKS: &[Check] = &[passwords::UNRELATED, keys::OWN, together::FIRST, together::RETRIES];

/// The labels of all units. One that stands twice on the list is the list's fault.
pub(crate) fn labels(bench: &mut Bench) -> Result<Vec<UnitLabel>, Trouble> {
    let wait = bench.wait(Duration::from_secs(60));
    let labels = bench.fleet()?.labels(&wait)?;
    let mut serials: Vec<&str> = labels.iter().map(|l| l.serial.as_str()).collect();
    serials.sort_unstable();
    if let Some(twice) = serials.windows(2).find(|w| w[0] == w[1]) {
        return Err(Trouble::RigFault(format!("the serial number {} stands twice among the labels of the fleet", twice[0])));
    }
    if labels.len() < 2 {
        return Err(Trouble::RigFault(format!("the fleet has {} unit(s): nothing can be compared", labels.len())));
    }
    Ok(labels)
}

/// Plays a scene to all units.
pub(crate) fn play(bench: &mut Bench, scene: &[Step]) -> Result<Vec<Played>, Trouble> {
    let wait = bench.wait(SCENE);
    Ok(bench.fleet()?.play(scene, &wait)?)
}

/// The steps that put the declared services up, honestly.
pub(crate) fn served(bench: &Bench) -> Vec<Step> {
    let honest = bench.clients().into_iter().filter_map(|(_, com)| bench.honest(&com));
    let names = |s: &Service| matches!(s.trade, proofbench_channel::network::Trade::Names { .. });
    std::iter::once(resolver(true)).chain(honest.filter(|s| !names(s))).map(Step::Serve).collect()
}

/// The step that sets all units up, each with its own label.
pub(crate) fn set_up(bench: &mut Bench, labels: &[UnitLabel]) -> Result<Step, Trouble> {
    let mut dial = None;
    let mut all = Vec::new();
    for label in labels {
        let (to, bytes) = bench.set_up_bytes(&label.user, &label.secret)?;
        dial = Some(to);
        all.push(bytes);
    }
    let dial = dial.ok_or_else(|| Trouble::RigFault("the fleet has no units".to_owned()))?;
    Ok(Step::Ask(dial, all))
}
