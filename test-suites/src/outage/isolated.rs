//! A device that its owner isolates, or replaces.
//!
//! Purpose: 5.3-15-2 (a product whose software cannot be updated can be isolated and its hardware replaced; also the cases of 5.3-15A and 5.3-15B of V2.1.1).
//! Which letter of the case asks for which of its steps is not in our data: the case is carried out as a whole, and every letter gets what came of the whole.
//! Procedure: the device in use is isolated as described; what is declared as its main function is done again and again; it is put back. Then other units of
//! the model take its place. Verdict: VIOLATED if a part of the main function is not done, if the device starts anew, or if a unit that takes its place does not
//! get to its service under its own serial number. Control: the main function is done and the service reached before, and reached again afterwards.

use super::{BUDGET, NEEDS};
use crate::fleet;
use proofbench_channel::fleet::Step;
use proofbench_channel::network::Sight;
use proofbench_model::bind::IsolationBind;
use proofbench_runner::bench::Did;
use proofbench_runner::{Bench, Capability, Check, Trouble};
use std::time::Duration;

const UNITS: &[&str] = &["5.3-15-2 a", "5.3-15-2 b", "5.3-15-2 c", "5.3-15-2 d", "5.3-15-2 e"];
/// How long the device is isolated, and how often its main function is done meanwhile.
const LASTS: Duration = Duration::from_secs(24 * 3600);
const LOOKS: u32 = 24;
/// As long as a device may take to get to its service, where nothing is declared.
const BACK: Duration = Duration::from_secs(1200);

/// Row 31.
pub const ISOLATED: Check = Check {
    id: "outage/isolated-and-replaced",
    title: "an isolated device keeps its main function, and another unit takes its place",
    units: UNITS,
    // 9-ReplSup has no rows; how a rig isolates stands in [bind.isolation].
    table: None,
    row_wanted: None,
    needs: &[NEEDS[0], NEEDS[1], NEEDS[2], Capability::Fleet],
    permissions: &[],
    defects: &["main-needs-cloud", "set-up-needs-first"],
    twins: &["isolated-says-so", "first-later", "retry-slower", "slow-boot", "noisy-log"],
    control: "the main function is done and the service reached before, and reached again afterwards",
    budget: BUDGET,
    run: isolated,
};

/// What of the main function is not done.
fn undone(bench: &mut Bench, isolation: &IsolationBind, turn: usize) -> Result<Vec<String>, Trouble> {
    let value = isolation.values.get(turn % isolation.values.len().max(1)).cloned().unwrap_or_default();
    let mut out = Vec::new();
    for (n, action) in isolation.main.iter().enumerate() {
        match bench.perform(action, &[("value", &value)]) {
            Ok(Did::Done { .. }) => {}
            Ok(Did::Refused { text }) => out.push(format!("part {} is refused: {text}", n + 1)),
            Ok(Did::Silent) => out.push(format!("part {} is not answered", n + 1)),
            // Asking may need a session first, which a dead device does not give.
            Err(Trouble::Unreachable(why)) => out.push(format!("part {}: {why}", n + 1)),
            Err(other) => return Err(other),
        }
    }
    Ok(out)
}

fn reached(bench: &mut Bench) -> Result<bool, Trouble> {
    bench.forget_sights()?;
    Ok(bench.watch_for(BACK, |s| matches!(s.sight, Sight::Published { .. } | Sight::Request { .. }))?.is_some())
}

fn isolated(bench: &mut Bench) -> Result<(), Trouble> {
    let isolation = bench.bind().isolation.clone().ok_or_else(|| Trouble::IxitMissing("[bind.isolation] of device.toml".to_owned()))?;
    if isolation.by != "network" || isolation.main.is_empty() {
        return Err(Trouble::IxitAmbiguous("[bind.isolation] of device.toml: `by` must be `network`, and `main` needs an action".to_owned()));
    }
    bench.at_home()?;
    if !reached(bench)? {
        return Err(Trouble::NoOpportunity("the device does not reach its services before it is isolated".to_owned()));
    }
    let before = undone(bench, &isolation, 0)?;
    if let Some(why) = before.first() {
        return Err(Trouble::NoOpportunity(format!("the main function is not done before the device is isolated: {why}")));
    }
    bench.net_down()?;
    bench.drain()?;
    let boots = bench.boots_seen();
    bench.forget_sights()?;
    let mut wrong = Vec::new();
    for look in 0..LOOKS {
        bench.watch(LASTS / LOOKS)?;
        let undone = undone(bench, &isolation, 1 + look as usize)?;
        if !undone.is_empty() {
            wrong.push(format!("isolated for {} h: {}", look + 1, undone.join(", ")));
            break;
        }
    }
    bench.drain()?;
    if bench.boots_seen() != boots {
        wrong.push("the device started anew while it was isolated".to_owned());
    }
    if bench.sights().iter().any(|s| matches!(s.sight, Sight::Secured { .. } | Sight::Published { .. } | Sight::Request { .. })) {
        return Err(Trouble::RigFault("the device was to be isolated, and reached a service".to_owned()));
    }
    bench.net_up()?;
    if wrong.is_empty() && !reached(bench)? {
        return Err(Trouble::NoOpportunity("the device does not reach its services after it was isolated".to_owned()));
    }
    let labels = fleet::labels(bench)?;
    let up = Duration::from_millis(bench.web()?.up_within_ms + 10_000);
    let mut scene = fleet::served(bench);
    scene.extend([Step::Link(true), Step::Power(true), Step::Wait(up), fleet::set_up(bench, &labels)?, Step::Wait(BACK)]);
    let played = fleet::play(bench, &scene)?;
    let works = |unit: &proofbench_channel::fleet::Played| {
        let serial = labels.get(unit.unit).map(|l| l.serial.as_str()).unwrap_or_default();
        unit.seen.iter().any(|s| match &s.sight {
            Sight::Published { topic, .. } => topic.contains(serial),
            Sight::Connect { client, .. } => client.contains(serial),
            _ => false,
        })
    };
    let idle: Vec<String> = played.iter().filter(|u| !works(u)).map(|u| labels.get(u.unit).map(|l| l.serial.clone()).unwrap_or_default()).collect();
    if !played.is_empty() && idle.len() == played.len() {
        // No unit at all: the lab of the fleet may be at fault.
        return Err(Trouble::NoOpportunity("no unit of the fleet was seen to reach its service".to_owned()));
    }
    if !idle.is_empty() {
        wrong.push(format!("set up in its place and not at work: {}", idle.iter().take(4).cloned().collect::<Vec<_>>().join(", ")));
    }
    bench.strength(format!(
        "isolated for {} h, {} parts of the main function done {LOOKS} times; {} units in its place",
        LASTS.as_secs() / 3600,
        isolation.main.len(),
        played.len()
    ));
    let expected = "the main function goes on while the device is isolated, and another unit takes its place";
    for unit in UNITS {
        match wrong.is_empty() {
            true => bench.satisfied(unit, None, expected, "so it was, by the case as a whole"),
            false => bench.violated(unit, None, expected, &format!("{}; which letter asks for this step is not known", wrong.join("; "))),
        }
    }
    Ok(())
}
