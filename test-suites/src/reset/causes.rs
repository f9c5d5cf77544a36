//! Every way to start again: power, brown-out, pin, watchdog, software. The security state is the same afterwards.
//!
//! Purpose: 5.9-2-2 b (after an outage of power: the same or a better state) and 5.6-4-2 b (no debug access opens by a restart of any kind). Each cause counts
//! only if the device itself names it. VIOLATED if a store that must hold is lost, a credential stops or starts to work, the console gives a session without
//! login, or lock, life cycle, counter, version or identity change.

use super::canary::Planted;
use super::{BUDGET, state};
use crate::report::{Report, each_row};
use proofbench_channel::Millivolts;
use proofbench_model::Reason;
use proofbench_model::dossier::Row;
use proofbench_runner::bench::{Boot, StateVector, state_changes};
use proofbench_runner::{Bench, Capability, Check, Trouble};
use std::time::Duration;

const OUTAGE: &str = "5.9-2-2 b";
const DEBUG: &str = "5.6-4-2 b";
const SAME: &str = "after a restart of any cause the device is as it was: stores, credentials, lock, life cycle, counter, version, identity";
/// Levels to which the supply is lowered, until one makes the device restart by brown-out.
const DIPS: [u32; 6] = [2700, 2400, 2000, 1700, 1400, 1000];
const DIP: Duration = Duration::from_millis(50);

/// Outages of power.
pub const POWER: Check = Check {
    id: "reset/power-causes",
    title: "power-on and brown-out leave stores and security state as they were",
    units: &[OUTAGE],
    table: Some(23),
    row_wanted: Some(|row| row.res().is_some_and(|r| r.outage == "power" && !r.battery)),
    needs: &[Capability::Console, Capability::Power],
    permissions: &[],
    defects: &["brownout-defaults"],
    twins: &["slow-boot", "noisy-log", "crypto-erase"],
    control: "the canaries read back before; each restart is a new boot that the device itself calls by the cause that was meant",
    budget: BUDGET,
    run: |bench| each_row(bench, &[OUTAGE], power_causes),
};

/// All others.
pub const OTHER: Check = Check {
    id: "reset/other-causes",
    title: "reset pin, watchdog and software restart open nothing and change nothing",
    units: &[DEBUG],
    table: Some(15),
    row_wanted: Some(|row| row.intf().is_some_and(|i| i.channel == "console" && i.declared == "login")),
    needs: &[Capability::Console, Capability::Power],
    permissions: &[],
    defects: &["watchdog-opens-shell", "lock-lost-on-watchdog"],
    twins: &["slow-boot", "noisy-log", "silent-bad-command"],
    control: "each restart is a new boot that the device itself calls by the cause that was meant; the owner's credential opens the console before and after",
    budget: BUDGET,
    run: |bench| each_row(bench, &[DEBUG], other_causes),
};

/// A cause that can be brought about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    PowerOn,
    BrownOut,
    Pin,
    Watchdog,
    Software,
}

impl Cause {
    fn name(self) -> &'static str {
        match self {
            Cause::PowerOn => "power-on",
            Cause::BrownOut => "brown-out",
            Cause::Pin => "reset pin",
            Cause::Watchdog => "watchdog",
            Cause::Software => "software",
        }
    }

    /// What the device calls it; none where it cannot tell this cause apart.
    fn word(self, bench: &Bench) -> Option<String> {
        let causes = &bench.bind().causes;
        match self {
            Cause::PowerOn => Some(causes.power_on.clone()),
            Cause::BrownOut => causes.brown_out.clone(),
            Cause::Pin => causes.pin.clone(),
            Cause::Watchdog => causes.watchdog.clone(),
            Cause::Software => causes.software.clone(),
        }
    }

    /// Restarts the device by this cause. `Ok(Err)` says why the rig or the dossier has no way.
    fn bring_about(self, bench: &mut Bench) -> Result<Result<Boot, String>, Trouble> {
        let Some(word) = self.word(bench) else { return Ok(Err("the device does not tell this cause apart".to_owned())) };
        let boot = match self {
            Cause::PowerOn => bench.power_cycle()?,
            Cause::Software => bench.reboot()?,
            Cause::Pin if bench.has(Capability::Reset) => bench.reset_pulse()?,
            Cause::Pin => return Ok(Err("the rig has no reset line".to_owned())),
            Cause::Watchdog => match watchdog(bench)? {
                Ok(boot) => boot,
                why => return Ok(why),
            },
            Cause::BrownOut => match brown_out(bench, &word)? {
                Ok(boot) => boot,
                why => return Ok(why),
            },
        };
        if boot.cause != word {
            return Ok(Err(format!("the device called it `{}`, not `{word}`", boot.cause)));
        }
        Ok(Ok(boot))
    }
}

fn watchdog(bench: &mut Bench) -> Result<Result<Boot, String>, Trouble> {
    let Some(action) = bench.bind().act.get("watchdog").map(super::route::unrestarted) else {
        return Ok(Err("the dossier has no act `watchdog`".to_owned()));
    };
    let did = bench.perform(&action, &[])?;
    if !did.is_done() {
        return Ok(Err(format!("the device does not do `watchdog`: {did:?}")));
    }
    let within = Duration::from_millis(bench.bind().recovery_within_ms);
    bench.wait_ready(within).map(Ok)
}

fn brown_out(bench: &mut Bench, word: &str) -> Result<Result<Boot, String>, Trouble> {
    let within = Duration::from_millis(bench.bind().recovery_within_ms);
    for level in DIPS {
        bench.drain()?;
        let wait = bench.wait(Duration::from_secs(5));
        match bench.power()?.dip(Millivolts(level), DIP, &wait) {
            Ok(()) => {}
            Err(e) if e.kind == proofbench_channel::ErrorKind::Unsupported => return Ok(Err("the supply cannot be lowered".to_owned())),
            Err(e) => return Err(e.into()),
        }
        bench.sleep(Duration::from_millis(100))?;
        // Draining reads the boot line, if there is one.
        bench.drain()?;
        if bench.boot_seen().boots == 0 {
            continue;
        }
        let boot = bench.wait_ready(within)?;
        if boot.cause == word {
            return Ok(Ok(boot));
        }
    }
    Ok(Err(format!("no level from {} to {} mV made the device restart by brown-out", DIPS[0], DIPS[DIPS.len() - 1])))
}

/// What restarts of several causes showed.
#[derive(Default)]
struct Restarts {
    /// What is wrong after one of them.
    wrong: Option<String>,
    /// Causes that came about and changed nothing.
    seen: Vec<&'static str>,
    /// Causes that did not come about, with why.
    missed: Vec<String>,
}

/// One cause after the other, up to the first that changes something.
fn judge(bench: &mut Bench, causes: &[Cause], planted: Option<&Planted>) -> Result<Restarts, Trouble> {
    let mut out = Restarts::default();
    let before = bench.state_vector()?;
    for cause in causes {
        let boot = match cause.bring_about(bench)? {
            Ok(boot) => boot,
            Err(why) => {
                out.missed.push(format!("{}: {why}", cause.name()));
                continue;
            }
        };
        if let Some(what) = changed(bench, &before, planted)? {
            out.wrong = Some(format!("after a restart by {} (boot {}) {what}", cause.name(), boot.id));
            return Ok(out);
        }
        out.seen.push(cause.name());
    }
    Ok(out)
}

/// What is not as it was before a restart.
fn changed(bench: &mut Bench, before: &StateVector, planted: Option<&Planted>) -> Result<Option<String>, Trouble> {
    if state::opens_without_login(bench)? {
        return Ok(Some("the console gives a session without login".to_owned()));
    }
    let credential = bench.credential().cloned().ok_or_else(|| Trouble::IxitMissing("[sample] label of device.toml".to_owned()))?;
    if !state::try_login(bench, &credential)? {
        return Ok(Some("the owner's credential is not taken".to_owned()));
    }
    if let Some(planted) = planted {
        let gone: Vec<String> = planted.alive(bench)?.into_iter().filter_map(|(n, there)| (!there).then_some(n)).collect();
        if !gone.is_empty() {
            return Ok(Some(format!("gone are: {}", gone.join(", "))));
        }
    }
    let changes = state_changes(before, &bench.state_vector()?);
    Ok(if changes.is_empty() { None } else { Some(changes.join("; ")) })
}

fn conclude(bench: &mut Bench, report: &mut Report, unit: &'static str, Restarts { wrong, seen, missed }: Restarts) {
    let not = if missed.is_empty() { String::new() } else { format!("; not brought about: {}", missed.join("; ")) };
    bench.strength(format!("causes: {}{not}", seen.join(", ")));
    match wrong {
        Some(what) => report.violated(bench, unit, SAME, &what),
        None if seen.is_empty() => report.unresolved(bench, unit, Reason::NoOpportunity, &missed.join("; ")),
        None => report.satisfied(bench, unit, SAME, &format!("unchanged after restarts by {}", seen.join(", "))),
    }
}

fn power_causes(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let keeps = row.res().map(|r| r.keeps.clone()).unwrap_or_default();
    let planted = Planted::plant(bench, &keeps, "causes")?;
    let result = judge(bench, &[Cause::PowerOn, Cause::BrownOut, Cause::PowerOn], Some(&planted))?;
    conclude(bench, report, OUTAGE, result);
    Ok(())
}

fn other_causes(bench: &mut Bench, _row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let result = judge(bench, &[Cause::Pin, Cause::Software, Cause::Watchdog, Cause::PowerOn], None)?;
    conclude(bench, report, DEBUG, result);
    Ok(())
}
