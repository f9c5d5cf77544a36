//! The doctor: is the bench wired as its rig file says, and if not, what is wrong and what to try?
//!
//! It works like a person with a checklist: safe state, power-on, what the console says, a dialogue, each other channel, an off with all its
//! witnesses, the flash, the supply once more. A channel's behaviour suite ([`proofbench_channel::conformance`]) runs after its wiring has been seen to
//! work: a suite on dead wires only waits. Nothing is recorded, nothing is judged about the device; what the rig does not grant is not done.

mod listen;
mod off;
mod parts;
mod start;
mod words;

use crate::bench::{Bench, BenchSetup, Stop};
use crate::check::{Capability, Permission};
use crate::sink::NullSink;
use crate::trouble::Trouble;
use proofbench_channel::ChannelError;
use proofbench_model::Profile;
use proofbench_rig::lease::LeaseError;
use proofbench_rig::{Rig, SafeState};
use serde::Serialize;
use std::time::Duration;
use words::Finding;
use words::console::{Around, Heard};

/// What a step comes to, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// Not tried: the rig does not grant it, or the dossier has nothing to try.
    NotDone,
    /// Tried, and it could not be told.
    Untold,
    /// Something is wrong.
    Wrong,
}

/// One step of the examination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Which channel it is about, as in the rig file: `console`, `power`; `rig` and `dossier` for the rest.
    pub channel: &'static str,
    /// What was tried, in a word or two.
    pub step: &'static str,
    /// What it comes to.
    pub outcome: Outcome,
    /// What was seen. Text of the device is escaped.
    pub seen: String,
    /// What to try, likeliest first.
    #[serde(rename = "try")]
    pub advice: Vec<String>,
    /// Bench time it took, in milliseconds.
    pub ms: u64,
}

/// What an examination comes to.
#[derive(Debug)]
pub struct Diagnosis {
    /// Its steps in order.
    pub steps: Vec<Step>,
    /// How the rig was left.
    pub safe: SafeState,
    /// Whether somebody stopped it before its end.
    pub stopped: bool,
}

impl Diagnosis {
    /// The worst of its steps. A rig that could not be made safe is wrong; an examination that was stopped has not told everything.
    pub fn outcome(&self) -> Outcome {
        let steps = self.steps.iter().map(|s| s.outcome).max().unwrap_or(Outcome::Untold);
        let safe = if self.safe.is_safe() { Outcome::Ok } else { Outcome::Wrong };
        let stopped = if self.stopped { Outcome::Untold } else { Outcome::Ok };
        steps.max(safe).max(stopped)
    }
}

/// Why a bench cannot be examined at all.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// The dossier's patterns cannot be used.
    #[error("{}", .0.explain())]
    Dossier(#[source] Trouble),
    /// The rig is safe, but its lease cannot say so.
    #[error(transparent)]
    Lease(#[from] LeaseError),
}

/// Examines an open rig and leaves it safe. `broken`: channels that could not be opened. `tell` hears of every step as soon as it is done.
pub fn examine(rig: Rig, broken: Vec<(&'static str, ChannelError)>, stop: Stop, tell: &mut dyn FnMut(&Step)) -> Result<Diagnosis, DoctorError> {
    let Rig { channels, permissions, dossier, lease, recover } = rig;
    let bench = Bench::new(BenchSetup {
        channels,
        permissions,
        dossier,
        sink: Box::new(NullSink),
        seed: 1,
        stop,
        reference: None,
        only_cut: None,
        profile: Profile::Ci,
    })
    .map_err(DoctorError::Dossier)?;
    let mut doctor = Doctor { b: bench, tell, steps: Vec::new(), device: Device::default(), around: Around::default() };
    let stopped = doctor.all(&broken, recover).is_err();
    let safe = doctor.b.make_safe();
    // Only a rig that was made safe is called safe; another one keeps its mark, and the next run recovers it.
    if let (Some(lease), true) = (lease, safe.is_safe()) {
        lease.safe()?;
    }
    Ok(Diagnosis { steps: doctor.steps, safe, stopped })
}

/// What is known of the device by now.
#[derive(Debug, Default)]
struct Device {
    /// What the console brought at the first start.
    heard: Heard,
    /// It became ready.
    up: bool,
    /// It answers an empty line, with this text.
    prompt: Option<Vec<u8>>,
    /// Its console reacts.
    answers: bool,
    /// Text that every boot begins with.
    greeting: Option<Vec<u8>>,
    /// The update path answers.
    updates: bool,
    /// The debug port answers.
    debugs: bool,
    /// The indicator is lit.
    lit: bool,
    /// The last off was seen to be one.
    goes_off: bool,
    /// The rail could be measured.
    metered: bool,
}

/// Somebody asked to stop.
struct Stopped;

struct Doctor<'a> {
    b: Bench,
    tell: &'a mut dyn FnMut(&Step),
    steps: Vec<Step>,
    device: Device,
    around: Around,
}

/// How long one request to an adapter may take.
const ADAPTER: Duration = Duration::from_secs(5);

impl Doctor<'_> {
    fn all(&mut self, broken: &[(&'static str, ChannelError)], recover: Option<String>) -> Result<(), Stopped> {
        for (channel, error) in broken {
            self.step(channel, "open", |_| Ok(words::adapter(channel, error)))?;
        }
        self.safe(recover)?;
        self.start()?;
        self.dialogue()?;
        self.update_path()?;
        self.fixture()?;
        self.debug_port()?;
        self.reset_line()?;
        self.storage_in_use()?;
        self.off()?;
        self.storage_contents()?;
        self.back_on()?;
        self.crash_space()
    }

    /// Carries out one step and tells of it. Trouble in it is a finding like any other, unless somebody stopped it.
    fn step(
        &mut self,
        channel: &'static str,
        step: &'static str,
        work: impl FnOnce(&mut Self) -> Result<Finding, Trouble>,
    ) -> Result<Outcome, Stopped> {
        let begun = self.b.now();
        let finding = match work(self) {
            Ok(finding) => finding,
            Err(t) if t.is_cancelled() => return Err(Stopped),
            Err(t) => words::trouble(channel, &t),
        };
        let ms = u64::try_from(self.b.now().since(begun).as_millis()).unwrap_or(u64::MAX);
        let outcome = finding.outcome;
        let step = Step { channel, step, outcome, seen: finding.seen, advice: finding.advice, ms };
        (self.tell)(&step);
        self.steps.push(step);
        Ok(outcome)
    }

    fn has(&self, c: Capability) -> bool {
        self.b.has(c)
    }

    /// [`Trouble::Permission`] ends the step as not done.
    fn require(&self, p: Permission) -> Result<(), Trouble> {
        self.b.require(p)
    }

    fn safe(&mut self, recover: Option<String>) -> Result<(), Stopped> {
        self.step("rig", "safe state", |d| {
            let state = d.b.make_safe();
            let before = recover.map(|mark| format!("; it had not been left safe ({mark})")).unwrap_or_default();
            if !state.is_safe() {
                return Ok(Finding::wrong(
                    format!("{}{before}", state.failed.join("; ")),
                    &["nothing may be tested on a rig that cannot be made safe"],
                ));
            }
            let supply = state.supply.map(|s| format!(", supply reports {s}")).unwrap_or_default();
            Ok(Finding::ok(format!("supply asked off, lines released{supply}{before}")))
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn diagnosis(outcomes: &[Outcome], stopped: bool, failed: &[&str]) -> Diagnosis {
        let step = |o: &Outcome| Step { channel: "console", step: "boot", outcome: *o, seen: String::new(), advice: vec![], ms: 0 };
        let safe = SafeState { failed: failed.iter().map(|f| (*f).to_owned()).collect(), supply: None };
        Diagnosis { steps: outcomes.iter().map(step).collect(), safe, stopped }
    }

    #[rstest]
    #[case::good(&[Outcome::Ok, Outcome::Ok], false, &[], Outcome::Ok)]
    #[case::left_out(&[Outcome::Ok, Outcome::NotDone], false, &[], Outcome::NotDone)]
    #[case::wrong_outweighs(&[Outcome::Wrong, Outcome::Untold], false, &[], Outcome::Wrong)]
    #[case::stopped(&[Outcome::Ok], true, &[], Outcome::Untold)]
    #[case::unsafe_rig(&[Outcome::Ok], false, &["switch the supply off"], Outcome::Wrong)]
    #[case::nothing_was_done(&[], false, &[], Outcome::Untold)]
    fn the_worst_step_speaks_for_the_bench(#[case] steps: &[Outcome], #[case] stopped: bool, #[case] failed: &[&str], #[case] expected: Outcome) {
        assert_eq!(diagnosis(steps, stopped, failed).outcome(), expected);
    }
}
