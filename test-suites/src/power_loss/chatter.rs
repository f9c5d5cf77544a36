//! Fast power cycling: what a flickering supply does to the device. It must change nothing, and above all not act as a reset.

use super::observe::Watchlist;
use super::oracle::{Key, Seen};
use proofbench_channel::PowerAsk;
use proofbench_runner::{Bench, Permission, Trouble};
use std::time::Duration;

/// Cycles of one burst: enough for every "power it five times to reset" that is sold.
const CYCLES: u32 = 20;
/// Bursts, by the share of the declared start time that the device is powered in each cycle.
const SHARES: [f64; 3] = [0.01, 0.05, 0.5];

const EXPECTED: &str = "fast power cycling changes nothing: same version, state, stores and credentials, and the device comes up";

/// The check's procedure.
pub fn run(bench: &mut Bench, units: &[&'static str]) -> Result<(), Trouble> {
    let watch = Watchlist::of(bench, &[]);
    bench.require(Permission::PowerCut)?;
    bench.quiet(true);
    leave_something(bench)?;
    let before = watch.ask(bench)?;
    // Control: one slow, witnessed cycle shows that power goes and that the device says the same again.
    bench.power_cycle()?;
    let calm = watch.ask(bench)?;
    let differs = changes(&before, &calm);
    if !differs.is_empty() {
        violated(bench, units, &format!("one power cycle at rest changed {differs}"));
        return Ok(());
    }
    let ready = Duration::from_millis(bench.bind().ready_within_ms);
    for share in SHARES {
        let on = ready.mul_f64(share);
        for n in 0..CYCLES {
            bench.power_off()?;
            let wait = bench.wait(Duration::from_secs(5));
            bench.power()?.set(PowerAsk::On, &wait)?;
            // The last cycles of a burst are the shortest: a supply that comes back in bounces.
            bench.sleep(if n + 5 > CYCLES { on / 4 } else { on })?;
        }
        bench.power_off()?;
        bench.power_on()?;
        let within = Duration::from_millis(bench.bind().recovery_within_ms);
        let Some(boot) = bench.try_ready(within)? else {
            let last = bench.boot_seen().log.last().cloned().unwrap_or_default();
            violated(bench, units, &format!("after {CYCLES} cycles of {on:?} the device does not come up; last line `{last}`"));
            return Ok(());
        };
        bench.witness(None, &boot)?;
        let after = watch.ask(bench)?;
        let differs = changes(&before, &after);
        if !differs.is_empty() {
            violated(bench, units, &format!("after {CYCLES} cycles of {on:?}: {differs}"));
            return Ok(());
        }
    }
    bench.strength(format!("{} bursts of {CYCLES} cycles, powered for {SHARES:?} of the declared start time", SHARES.len()));
    for (unit, row) in rows(bench, units) {
        bench.satisfied(unit, row.as_ref(), EXPECTED, "the device came up after every burst with everything unchanged");
    }
    Ok(())
}

/// Puts values of the owner's into the stores: an unwanted reset must have something to take away.
fn leave_something(bench: &mut Bench) -> Result<(), Trouble> {
    let ixit = &bench.dossier().ixit;
    let stores = ixit.rows(10).iter().chain(ixit.rows(21)).filter_map(|r| r.store()).filter(|s| s.kind == "personal");
    let sets: Vec<_> = stores.filter_map(|s| s.set.clone()).collect();
    for (n, set) in sets.iter().enumerate() {
        bench.perform(set, &[("value", &format!("flicker-{n}"))])?;
    }
    Ok(())
}

fn rows(bench: &Bench, units: &[&'static str]) -> Vec<(&'static str, Option<proofbench_model::RowId>)> {
    let rows = bench.rows();
    units
        .iter()
        .flat_map(|unit| if rows.is_empty() { vec![(*unit, None)] } else { rows.iter().map(|r| (*unit, Some(r.id.clone()))).collect() })
        .collect()
}

fn violated(bench: &mut Bench, units: &[&'static str], observed: &str) {
    for (unit, row) in rows(bench, units) {
        bench.violated(unit, row.as_ref(), EXPECTED, observed);
    }
}

/// Keys whose value changed, in words.
fn changes(before: &Seen, after: &Seen) -> String {
    let keys = before.keys().chain(after.keys().filter(|k| !before.contains_key(*k)));
    let text = |s: &Seen, k: &Key| s.get(k).cloned().unwrap_or_else(|| "(absent)".to_owned());
    let differing: Vec<String> = keys
        .filter(|k| before.get(*k) != after.get(*k))
        .map(|k| format!("{}: `{}` became `{}`", k.text(), text(before, k), text(after, k)))
        .collect();
    differing.join("; ")
}
