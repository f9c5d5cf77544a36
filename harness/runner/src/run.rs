//! Carries out a plan: each check between a safe state and a safe state, on a known device, on a rig that is healthy before and after.
//!
//! Fail closed: an error, a panic, a rig that is not healthy afterwards, a device that is another one: all of them end as UNRESOLVED.

mod guard;
pub(crate) mod prepare;
mod settle;

use crate::bench::{Bench, BenchSetup, ReferenceFactory, Stop};
use crate::check::Check;
use crate::plan::{Plan, PlannedCheck};
use crate::sink::Sink;
use crate::trouble::Trouble;
use prepare::Reference;
use proofbench_channel::Tear;
use proofbench_model::journal::{Event, Subject};
use proofbench_model::{CheckId, Claim, Fate, Observation, Outcome, Profile, Reason};
use proofbench_rig::lease::LeaseError;
use proofbench_rig::{Rig, SafeState};
use std::time::{Duration, Instant};

/// How a run is to be carried out.
pub struct RunOptions {
    /// Seed of all chance in the run.
    pub seed: u64,
    /// Where records go: a [`crate::journal::JournalWriter`], or memory.
    pub sink: Box<dyn Sink>,
    /// Ways to stop.
    pub stop: Stop,
    /// Makes reference devices for negative controls.
    pub reference: Option<ReferenceFactory>,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Replay: exactly this cut.
    pub only_cut: Option<(u32, Tear)>,
    /// How thorough checks that sample are.
    pub profile: Profile,
}

impl RunOptions {
    /// A first attempt with this seed and sink.
    pub fn new(seed: u64, sink: Box<dyn Sink>) -> Self {
        Self { seed, sink, stop: Stop::default(), reference: None, attempt: 1, only_cut: None, profile: Profile::Ci }
    }
}

/// Told as things happen. Every method does nothing unless it is written.
pub trait Progress {
    /// A check begins; the first has index 0.
    fn check_started(&mut self, check: &Check, index: usize, total: usize) {
        let _ = (check, index, total);
    }
    /// An observation stands in the journal.
    fn observation(&mut self, observation: &Observation) {
        let _ = observation;
    }
    /// A check ended, or will not run.
    fn check_ended(&mut self, result: &CheckResult) {
        let _ = result;
    }
    /// Something that the user should know now.
    fn note(&mut self, text: &str) {
        let _ = text;
    }
}

/// Tells nobody.
impl Progress for () {}

/// What became of one check.
#[derive(Debug, Clone)]
pub struct CheckResult {
    /// Which.
    pub id: CheckId,
    /// Its fate.
    pub fate: Fate,
    /// What it observed, as journalled.
    pub observations: Vec<Observation>,
    /// Bench time of the body.
    pub bench_time: Duration,
    /// Real time, preamble and postamble included.
    pub real_time: Duration,
    /// What stopped it, if something did.
    pub trouble: Option<String>,
}

/// What became of a run.
#[derive(Debug)]
pub struct RunSummary {
    /// Results in the order of the plan.
    pub checks: Vec<CheckResult>,
    /// What the run may claim.
    pub claim: Claim,
    /// Whether somebody stopped it.
    pub cancelled: bool,
    /// The last safe state.
    pub safe: SafeState,
    /// Real time of the whole run.
    pub real_time: Duration,
}

impl RunSummary {
    /// Every observation, in the order of the plan.
    pub fn observations(&self) -> impl Iterator<Item = &Observation> {
        self.checks.iter().flat_map(|c| &c.observations)
    }
}

/// Why a run has no result. The rig was made safe all the same.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No record, no verdict.
    #[error("{0}; a run that cannot be recorded has no result")]
    Record(String),
    /// The dossier or the list of checks cannot be used.
    #[error("prepare the run: {}", .0.explain())]
    Prepare(#[source] Trouble),
    /// The rig is safe, but its lease cannot say so.
    #[error(transparent)]
    Lease(#[from] LeaseError),
}

/// Carries out the plan. The rig is safe when this returns, whatever it returns, unless the summary says otherwise.
pub fn run(plan: &Plan, rig: Rig, checks: &[&'static Check], options: RunOptions, progress: &mut dyn Progress) -> Result<RunSummary, RunError> {
    let begun = Instant::now();
    let Rig { channels, permissions, dossier, lease, recover } = rig;
    let stop = options.stop.clone();
    let mut bench = Bench::new(BenchSetup {
        channels,
        permissions,
        dossier,
        sink: options.sink,
        seed: options.seed,
        stop: stop.clone(),
        reference: options.reference,
        only_cut: options.only_cut,
        profile: options.profile,
    })
    .map_err(RunError::Prepare)?;
    bench.event(Event::Plan { due: plan.due() });
    // A unit that no check of ours judges is no fault of this run: without a fate it waits for a person.
    for (unit, fate) in plan.units.iter().filter(|(_, fate)| !matches!(fate, Fate::Run | Fate::NotRun { .. })) {
        bench.event(Event::Fate { subject: Subject::Unit(unit.clone()), fate: fate.clone() });
    }
    if let Some(mark) = recover {
        let text = format!("the rig had not been left safe ({mark}): made safe before use");
        bench.note(&text);
        progress.note(&text);
    }
    let mut runner = Runner { bench, attempt: options.attempt, reference: Reference::NotTaken, quarantine: None, safe: SafeState::default() };
    runner.safe_state();
    if plan.runs() > 0 {
        runner.take_reference(progress);
    }
    let total = plan.runs();
    let mut results = Vec::with_capacity(plan.checks.len());
    let mut index = 0;
    for planned in &plan.checks {
        let check = checks.get(planned.index).filter(|c| c.id == planned.id.as_str());
        let result = match (&planned.fate, check) {
            (Fate::Run, Some(check)) => {
                if let Some(why) = runner.must_not_run(&stop) {
                    runner.not_run(planned, why, Reason::AbortedSafety, progress)
                } else {
                    progress.check_started(check, index, total);
                    index += 1;
                    runner.check(check, planned, progress)
                }
            }
            (Fate::Run, None) => runner.not_run(planned, "the plan was made for another list of checks".to_owned(), Reason::HarnessFault, progress),
            (fate, _) => runner.planned_away(planned, fate, progress),
        };
        progress.check_ended(&result);
        results.push(result);
        if runner.bench.record_failed().is_some() {
            break;
        }
    }
    runner.safe_state();
    // A switch that says off, and was caught at it, vouches for nothing.
    if let Some(why) = runner.bench.still_fed() {
        runner.safe.failed.push(why.to_owned());
    }
    let cancelled = stop.soft.is_cancelled() || stop.hard.is_cancelled();
    let claim = if cancelled { Claim::None } else { plan.claim };
    runner.bench.event(Event::Ended { claim });
    // Only a rig that was made safe is called safe; another one keeps its mark, and the next run recovers it.
    if let (Some(lease), true) = (lease, runner.safe.is_safe()) {
        lease.safe()?;
    }
    if let Some(why) = runner.bench.record_failed() {
        return Err(RunError::Record(why));
    }
    Ok(RunSummary { checks: results, claim, cancelled, safe: runner.safe, real_time: begun.elapsed() })
}

struct Runner {
    bench: Bench,
    attempt: u32,
    reference: Reference,
    /// Why the rig is not used any more.
    quarantine: Option<String>,
    safe: SafeState,
}

impl Runner {
    fn safe_state(&mut self) {
        self.safe = self.bench.make_safe();
        if !self.safe.is_safe() {
            let why = format!("the rig could not be made safe: {}", self.safe.failed.join("; "));
            self.bench.note(&why);
            self.quarantine.get_or_insert(why);
        }
    }

    fn must_not_run(&self, stop: &Stop) -> Option<String> {
        if stop.soft.is_cancelled() || stop.hard.is_cancelled() {
            return Some("cancelled before it began".to_owned());
        }
        self.quarantine.clone()
    }

    /// A check that the plan does not run: its fate, and what it owes and cannot give.
    fn planned_away(&mut self, planned: &PlannedCheck, fate: &Fate, progress: &mut dyn Progress) -> CheckResult {
        self.bench.event(Event::Fate { subject: Subject::Check(planned.id.clone()), fate: fate.clone() });
        let observations = settle::short(planned, self.attempt);
        self.record(&observations, progress);
        result(planned, fate.clone(), observations)
    }

    fn not_run(&mut self, planned: &PlannedCheck, why: String, reason: Reason, progress: &mut dyn Progress) -> CheckResult {
        let fate = Fate::NotRun { why: why.clone() };
        self.bench.event(Event::Fate { subject: Subject::Check(planned.id.clone()), fate: fate.clone() });
        let observations = settle::owed(planned, Vec::new(), reason, &why, self.attempt);
        self.record(&observations, progress);
        result(planned, fate, observations)
    }

    fn check(&mut self, check: &Check, planned: &PlannedCheck, progress: &mut dyn Progress) -> CheckResult {
        let begun = Instant::now();
        self.bench.event(Event::CheckStarted { check: planned.id.clone(), attempt: self.attempt });
        let mut bench_time = Duration::ZERO;
        let mut trouble = self.bench.begin(check, self.attempt).err();
        if trouble.is_none() {
            trouble = self.prepare().err();
        }
        let prepared = trouble.is_none();
        if prepared {
            let from = self.bench.now();
            self.bench.start_budget(check.budget);
            trouble = guard::body(check, &mut self.bench).err();
            bench_time = self.bench.now().since(from);
        }
        self.bench.end_budget();
        let health = if prepared && !self.bench.stopped_at_once() { self.postamble() } else { self.abandon() };
        let Some(mut current) = self.bench.end() else {
            return self.not_run(planned, "the check list has a bad id".to_owned(), Reason::HarnessFault, progress);
        };
        if let Some(mistake) = current.mistake.take() {
            trouble = Some(Trouble::Harness(mistake));
        }
        let observations = settle::settle(planned, std::mem::take(&mut current.observations), trouble.as_ref(), &health, self.attempt);
        if let Some(t) = &trouble {
            self.bench.note(&t.explain());
        }
        self.record(&observations, progress);
        let virtual_ms = u64::try_from(bench_time.as_millis()).unwrap_or(u64::MAX);
        self.bench.event(Event::CheckEnded { check: planned.id.clone(), fate: Fate::Run, virtual_ms });
        CheckResult {
            id: planned.id.clone(),
            fate: Fate::Run,
            observations,
            bench_time,
            real_time: begun.elapsed(),
            trouble: trouble.as_ref().map(Trouble::explain).or_else(|| health.problem().map(str::to_owned)),
        }
    }

    fn record(&mut self, observations: &[Observation], progress: &mut dyn Progress) {
        for o in observations {
            self.bench.event(Event::Observation(o.clone()));
            if self.bench.record_failed().is_none() {
                progress.observation(o);
            }
        }
    }
}

fn result(planned: &PlannedCheck, fate: Fate, observations: Vec<Observation>) -> CheckResult {
    CheckResult { id: planned.id.clone(), fate, observations, bench_time: Duration::ZERO, real_time: Duration::ZERO, trouble: None }
}

/// Whether an outcome says something about the device.
fn decided(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Satisfied | Outcome::Violated)
}
