//! One campaign on a rig that owns its storage: the disturbed act is recorded once, every crash state of it is rebuilt, and the closure walks on.
//!
//! What is legal afterwards is not written down here but measured: the same act is done undisturbed, step by step, and what the device shows then
//! are the [worlds](super::oracle::World) that a disturbed run may end in.

use super::content::Content;
use super::explore::{BootEnd, Explored, Facts, Finding, Judged, Limits, Located, Root, Subject, draw, explore};
use super::observe::Watchlist;
use super::oracle::{Key, NO_ANSWER, Seen, Story, World};
use super::stimulus::{Image, Step, Stimulus};
use super::trace::{Cut, Trace};
use proofbench_channel::{CrashVisitor, StateId, Tear};
use proofbench_model::bind::{Action, Credential};
use proofbench_runner::bench::Boot;
use proofbench_runner::{Bench, Trouble};
use std::rc::Rc;
use std::time::Duration;

/// How long a started device is left alone before its power goes: work that it puts off until after `ready` belongs to the boot.
pub const SETTLE: Duration = Duration::from_millis(1500);

/// The disturbed act with its legal ends.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What is done.
    pub stimulus: Stimulus,
    /// Storage content from which it is done; the device has no power.
    pub base: Content,
    /// What the device held before anything was prepared.
    pub found: Content,
    /// Legal ends.
    pub story: Story,
    /// Legal worlds by the number of acknowledged steps.
    pub after_ack: Vec<Facts>,
    /// What is looked at.
    pub watch: Watchlist,
    /// The credential in force in `base`.
    pub credential: Option<Credential>,
    /// A newer image for the question whether an update still works.
    pub further: Option<Rc<Image>>,
    /// The factory reset that must still work.
    pub reset: Option<Action>,
    /// Storage operations of the longest boot of an undisturbed run: work without bound shows against it. 0 where the rig does not see operations.
    pub boot_ops: u32,
    /// Stores that must still take a value after a recovery: key, step that writes it, value.
    pub rewrite: Vec<(Key, Step, String)>,
}

/// What came of a campaign.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The exploration.
    pub explored: Explored,
    /// Name of the medium profile.
    pub medium: String,
    /// Storage operations of the undisturbed act.
    pub ops: u32,
    /// The finding that decides, re-established by a real cut; none if there is no finding.
    pub proven: Option<Located>,
    /// The content in which the cuts of `proven` begin, if not the plan's own: the act was disturbed once before, by this chain.
    pub earlier: Option<Trace>,
    /// Findings that a real cut did not bring back.
    pub unproven: Vec<Located>,
    /// Recovered images in which the act was disturbed once more.
    pub rounds: usize,
    /// Cuts that were also made through the power path, without rebuilding anything, and led to the same content.
    pub crossed: usize,
}

/// Puts a content into the device and starts it; `None` if it does not come up.
pub fn start(bench: &mut Bench, from: &Content) -> Result<Option<Boot>, Trouble> {
    from.put(bench)?;
    bench.power_on()?;
    let within = Duration::from_millis(bench.bind().recovery_within_ms);
    bench.try_ready(within)
}

/// Brings the device from one content to another by `acts` on the started device.
pub fn prepare(bench: &mut Bench, from: &Content, acts: impl FnOnce(&mut Bench) -> Result<(), Trouble>) -> Result<Content, Trouble> {
    if start(bench, from)?.is_none() {
        return Err(Trouble::Precondition("the device does not come up to be prepared".to_owned()));
    }
    acts(bench)?;
    bench.sleep(SETTLE)?;
    bench.power_off()?;
    Content::keep(bench)
}

/// One boot and nothing else; what it leaves.
pub fn boot_once(bench: &mut Bench, from: &Content) -> Result<Content, Trouble> {
    prepare(bench, from, |_| Ok(()))
}

/// Boots `from` and asks everything; the device is left without power. `end` is what that boot leaves in the storage.
pub fn look(bench: &mut Bench, watch: &Watchlist, from: &Content, end: &Content) -> Result<Option<Seen>, Trouble> {
    let held = bench.credential().cloned();
    let seen = match start(bench, from)? {
        None => None,
        Some(_) => Some(watch.ask(bench)?),
    };
    if let Some(held) = held {
        bench.set_credential(held);
    }
    bench.power_off()?;
    let Some(mut seen) = seen else { return Ok(None) };
    watch.look_at_storage(&mut seen, |offset, into| end.read(bench, offset, into))?;
    Ok(Some(seen))
}

/// What an undisturbed device shows after a boot from this content.
pub fn world(bench: &mut Bench, watch: &Watchlist, name: &str, from: &Content, next: &[usize]) -> Result<World, Trouble> {
    let end = boot_once(bench, from)?;
    let seen = look(bench, watch, from, &end)?.ok_or_else(|| Trouble::Precondition(format!("undisturbed, the device does not come up ({name})")))?;
    // What cannot be asked of an undisturbed device cannot be held against a disturbed one: the bench or the declaration is wrong.
    if let Some((key, _)) = seen.iter().find(|(_, value)| *value == NO_ANSWER) {
        return Err(Trouble::Precondition(format!("undisturbed, the device does not say its {} ({name})", key.text())));
    }
    if let (Some(image), Some(version)) = (seen.get(&Key::RunningImage), seen.get(&Key::Version))
        && image != version
    {
        return Err(Trouble::RigFault(format!("undisturbed, the flash reader finds image `{image}` where the device reports `{version}` ({name})")));
    }
    let values = seen.into_iter().filter(|(key, _)| *key != Key::OtherImage).map(|(key, value)| (key, vec![value])).collect();
    Ok(World { name: name.to_owned(), values, next: Story::set(next) })
}

/// Does the first `count` steps undisturbed and cuts the power at the last acknowledgement or, with `settled`, after the late work is done.
/// Gives what they left.
pub fn undisturbed(bench: &mut Bench, base: &Content, stimulus: &Stimulus, count: usize, settled: bool) -> Result<Content, Trouble> {
    base.put(bench)?;
    stimulus.prelude(bench)?;
    disturbable(bench, stimulus, count, settled)?;
    Content::keep(bench)
}

fn disturbable(bench: &mut Bench, stimulus: &Stimulus, count: usize, settled: bool) -> Result<(), Trouble> {
    let done = stimulus.carry_out(bench, count, None)?;
    if settled {
        bench.sleep(stimulus.settle)?;
    }
    bench.power_off()?;
    if done < count.min(stimulus.steps.len()) {
        return Err(Trouble::Precondition(format!("undisturbed, the device does not do step {} of {}", done + 1, stimulus.name)));
    }
    Ok(())
}

/// As [`undisturbed`], recorded: the number of storage operations.
pub fn recorded(bench: &mut Bench, base: &Content, stimulus: &Stimulus, count: usize, settled: bool) -> Result<u32, Trouble> {
    base.put(bench)?;
    stimulus.prelude(bench)?;
    bench.crash()?.record()?;
    disturbable(bench, stimulus, count, settled)?;
    Ok(u32::try_from(bench.crash()?.stop()?.len()).unwrap_or(u32::MAX))
}

struct Device<'b, 'p> {
    bench: &'b mut Bench,
    plan: &'p Plan,
    /// Storage operations of the longest undisturbed boot or act, against which work without bound shows.
    clean_ops: u32,
    last_id: Option<String>,
    /// Updates and factory resets still to be tried: they are the dearest of the expensive oracles.
    dear: usize,
}

/// Cuts that are also made through the power path.
const CROSSED: u64 = 12;
/// Recovered images that are tried for a further update and a factory reset.
const DEAR: usize = 4;
/// Recovered images from which the act is disturbed once more.
const ROUNDS: usize = 8;

impl Device<'_, '_> {
    /// Oracles on the boot alone.
    fn boot_findings(&mut self, boot: Option<&Boot>, ops: u32) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut object = |oracle, detail: String| findings.push(Finding { oracle, detail });
        let Some(boot) = boot else {
            let seen = self.bench.boot_seen();
            let said = match (&seen.tripwire, seen.log.last()) {
                (Some(line), _) => format!("it stops at `{line}`"),
                (None, Some(line)) => format!("its last line is `{line}`, {} boot lines were seen", seen.boots),
                (None, None) => "it says nothing".to_owned(),
            };
            object("L1", format!("the device does not come up within its declared recovery time: {said}"));
            return findings;
        };
        let causes = &self.bench.bind().causes;
        if boot.id.is_empty() || self.last_id.as_deref() == Some(boot.id.as_str()) {
            object("W1", format!("boot id `{}` is not new", boot.id));
        }
        if boot.boots <= 1 && boot.cause != causes.power_on {
            object("W1", format!("the device calls the cause `{}`", boot.cause));
        }
        if boot.boots <= 1 && boot.ram_lost == Some(false) {
            object("W3", "the device says that its RAM was kept".to_owned());
        }
        if boot.boots > 4 {
            object("L2", format!("{} boots until ready", boot.boots));
        }
        if ops > self.clean_ops.saturating_mul(2).saturating_add(64) {
            object("L2", format!("{ops} storage operations until ready; the longest undisturbed boot or act has {}", self.clean_ops));
        }
        self.last_id = Some(boot.id.clone());
        findings
    }

    fn boot_recorded(&mut self, from: StateId) -> Result<BootEnd, Trouble> {
        let wait = self.bench.wait(Duration::from_secs(60));
        let crash = self.bench.crash()?; // the hot path: the device is known to be without power
        crash.load(from, &wait)?;
        crash.record()?;
        self.bench.power_on()?;
        let within = Duration::from_millis(self.bench.bind().recovery_within_ms);
        let boot = self.bench.try_ready(within)?;
        if boot.is_some() {
            self.bench.sleep(SETTLE)?;
        }
        let mut findings = Vec::new();
        if boot.is_none() {
            findings = self.boot_findings(None, 0);
        }
        self.bench.power_off()?;
        let ops = u32::try_from(self.bench.crash()?.stop()?.len()).unwrap_or(u32::MAX);
        if let Some(boot) = &boot {
            findings = self.boot_findings(Some(boot), ops);
        }
        Ok(BootEnd { ops, findings, up: boot.is_some() })
    }

    fn further_update(&mut self, end: &Content) -> Result<Vec<Finding>, Trouble> {
        let Some(image) = self.plan.further.clone() else { return Ok(Vec::new()) };
        let stuck = |why: &str| Ok(vec![Finding { oracle: "L3", detail: format!("an update to {} does not work any more: {why}", image.version) }]);
        if start(self.bench, end)?.is_none() {
            return stuck("the device does not come up");
        }
        let step = Step::Install(image.clone());
        let until = self.bench.now() + step.within(self.bench);
        if !step.carry_out(self.bench, until)? {
            self.bench.power_off()?;
            return stuck("the image is not taken");
        }
        self.bench.power_off()?;
        let pending = Content::keep(self.bench)?;
        let after = boot_once(self.bench, &pending);
        let after = match after {
            Ok(after) => after,
            Err(Trouble::Precondition(_)) => {
                self.bench.power_off()?;
                return stuck("the device does not come up after it");
            }
            Err(other) => return Err(other),
        };
        let seen = look(self.bench, &self.plan.watch, &pending, &after)?.unwrap_or_default();
        match seen.get(&Key::Version) {
            Some(v) if *v == image.version => Ok(Vec::new()),
            other => stuck(&format!("version {} runs after it", other.map_or("(none)", String::as_str))),
        }
    }

    /// Each store still takes a value, and keeps it over a power cut at its acknowledgement.
    fn further_writes(&mut self, end: &Content) -> Result<Vec<Finding>, Trouble> {
        if self.plan.rewrite.is_empty() {
            return Ok(Vec::new());
        }
        let steps = self.plan.rewrite.iter().map(|(_, step, _)| step.clone()).collect();
        let writes = Stimulus { name: "further writes", running: true, steps, settle: SETTLE };
        let lost = |detail: String| Ok(vec![Finding { oracle: "I4", detail }]);
        let after = match undisturbed(self.bench, end, &writes, self.plan.rewrite.len(), false) {
            Ok(after) => after,
            Err(Trouble::Precondition(why) | Trouble::Unreachable(why)) => {
                self.bench.power_off()?;
                return lost(format!("after the recovery nothing can be written: {why}"));
            }
            Err(other) => return Err(other),
        };
        let Some(seen) = look(self.bench, &self.plan.watch, &after, &after)? else {
            return lost("after the recovery and further writes the device does not come up".to_owned());
        };
        for (key, _, value) in &self.plan.rewrite {
            if let Some(has) = seen.get(key).filter(|has| *has != value) {
                return lost(format!("after the recovery {} took `{value}`, acknowledged it, and has `{has}` after a power cut", key.text()));
            }
        }
        Ok(Vec::new())
    }

    fn further_reset(&mut self, end: &Content, facts: Facts) -> Result<Vec<Finding>, Trouble> {
        let Some(action) = self.plan.reset.clone() else { return Ok(Vec::new()) };
        let failed = |why: String| Ok(vec![Finding { oracle: "L3", detail: format!("a factory reset does not work any more: {why}") }]);
        if start(self.bench, end)?.is_none() {
            return failed("the device does not come up".to_owned());
        }
        // The credential in force depends on the world that was recovered.
        let held = self.bench.credential().cloned();
        let works = self.plan.story.worlds.iter().enumerate().filter(|(i, _)| facts & (1 << i) != 0).find_map(|(_, w)| {
            let named = self.plan.watch.credentials.iter();
            named.into_iter().find(|c| w.values.get(&Key::Credential(c.name.clone())).is_some_and(|v| v.iter().any(|v| v == super::oracle::WORKS)))
        });
        if let Some(named) = works {
            self.bench.set_credential(named.pair.clone());
        }
        let did = self.bench.perform(&action, &[]);
        if let Some(held) = held {
            self.bench.set_credential(held);
        }
        self.bench.power_off()?;
        match did {
            Ok(d) if d.is_done() => Ok(Vec::new()),
            Ok(d) => failed(format!("{d:?}")),
            Err(Trouble::Unreachable(why) | Trouble::Precondition(why)) => failed(why),
            Err(other) => Err(other),
        }
    }
}

impl Subject for Device<'_, '_> {
    type Trouble = Trouble;

    fn boot(&mut self, from: StateId) -> Result<BootEnd, Trouble> {
        self.boot_recorded(from)
    }

    fn cuts(&mut self, torn: bool, visit: &mut CrashVisitor<'_>) -> Result<Vec<(u32, Tear, StateId)>, Trouble> {
        Ok(self.bench.crash()?.rebuild(torn, visit)?)
    }

    fn judge(&mut self, from: StateId, end: StateId, facts: Facts) -> Result<Judged, Trouble> {
        let Some(seen) = look(self.bench, &self.plan.watch, &Content::State(from), &Content::State(end))? else {
            let detail = "the second boot of the same storage content did not come up".to_owned();
            return Ok(Judged { findings: vec![Finding { oracle: "L1", detail }], facts });
        };
        let (findings, facts) = self.plan.story.judge(&seen, facts);
        Ok(Judged { findings, facts })
    }

    fn deep(&mut self, end: StateId, facts: Facts) -> Result<Vec<Finding>, Trouble> {
        let end = Content::State(end);
        let mut findings = self.further_writes(&end)?;
        if self.dear > 0 {
            self.dear -= 1;
            findings.extend(self.further_update(&end)?);
            findings.extend(self.further_reset(&end, facts)?);
        }
        Ok(findings)
    }

    fn forget_except(&mut self, keep: &[StateId]) {
        if let Ok(crash) = self.bench.crash() {
            crash.forget_except(keep);
        }
    }
}

/// The worlds that are legal after a cut at operation `at`: `at` operations are whole, and a step is acknowledged in that run if its acknowledgement came
/// with so many operations done.
fn facts_at(plan: &Plan, acks: &[u32], at: u32) -> Facts {
    let acked = acks.iter().filter(|ops| **ops <= at).count();
    plan.after_ack.get(acked).or(plan.after_ack.last()).copied().unwrap_or_default()
}

/// Records the act, rebuilds its crash states, explores what follows, and proves the finding that decides by a real cut. Where stores are written, the
/// act is then disturbed again in some of the recovered images. With `only`, exactly this cut in the act is taken, and everything that may follow it.
pub fn run(bench: &mut Bench, plan: &Plan, limits: Limits, only: Option<Cut>) -> Result<Outcome, Trouble> {
    if let Some(credential) = &plan.credential {
        bench.set_credential(credential.clone());
    }
    let Round { explored, ops, acks, cuts } = round(bench, plan, limits, only, &[])?;
    let medium = bench.crash()?.medium();
    let mut out = Outcome { explored, medium, ops, proven: None, earlier: None, unproven: Vec::new(), rounds: 0, crossed: 0 };
    prove(bench, plan, &acks, &mut out)?;
    if out.proven.is_none() {
        cross_check(bench, plan, &acks, &cuts, limits.seed, &mut out)?;
    }
    if plan.rewrite.is_empty() || only.is_some() || !out.explored.findings.is_empty() || limits.deep == 0 {
        return Ok(out);
    }
    // Torn recoveries first: they left something behind for the next torn write to meet.
    let mut starts = out.explored.recovered.clone();
    starts.sort_by_key(|r| r.trace.0.iter().all(|c| c.tear.is_clean()));
    // What later rounds, and the proof of a finding in one of them, go back to.
    let mut kept: Vec<StateId> = starts.iter().map(|s| s.state).collect();
    kept.push(plan.base.state()?);
    for start in starts.into_iter().take(ROUNDS) {
        let again = Plan {
            base: Content::State(start.state),
            story: Story { worlds: Vec::new(), genuine: plan.story.genuine.clone() },
            after_ack: vec![0],
            further: None,
            reset: None,
            ..plan.clone()
        };
        let small = Limits { images: 200, judgements: 100, twice_torn: 0, deep: 24, stop_at: 2, ..limits };
        let Round { explored, acks, .. } = round(bench, &again, small, None, &kept)?;
        out.rounds += 1;
        if explored.findings.is_empty() {
            continue;
        }
        // The way to the second round is gone again through the power path as well: its end is where the second round's proof starts.
        let content = walk(bench, plan, &start.trace)?;
        let mut second = Outcome { explored, ..out.clone() };
        prove(bench, &Plan { base: content, ..again }, &acks, &mut second)?;
        return Ok(Outcome { earlier: Some(start.trace), ..second });
    }
    Ok(out)
}

/// One exploration from the plan's base.
struct Round {
    explored: Explored,
    /// Operations of the act.
    ops: u32,
    /// Operations done at each acknowledgement.
    acks: Vec<u32>,
    /// Every cut in the act itself, with the digest of the content that was rebuilt for it.
    cuts: Vec<(Cut, u128)>,
}

fn round(bench: &mut Bench, plan: &Plan, limits: Limits, only: Option<Cut>, kept: &[StateId]) -> Result<Round, Trouble> {
    let steps = plan.stimulus.steps.len();
    let mut acks = Vec::with_capacity(steps);
    for count in 1..=steps {
        acks.push(recorded(bench, &plan.base, &plan.stimulus, count, false)?);
    }
    let ops = recorded(bench, &plan.base, &plan.stimulus, steps, true)?;
    let states = bench.crash()?.rebuild(limits.torn || only.is_some(), &mut |at, tear, _| only.is_none_or(|c| c == Cut { at, tear }))?;
    // Where boots are dear, not every state can be booted: those that can are spread over the act.
    let dear = !bench.crash()?.boot_cost().is_zero();
    let (all, most) = (states.len(), if dear { limits.images.max(1) } else { usize::MAX });
    let spread = states.into_iter().enumerate().filter(|(n, _)| all <= most || (n + 1) * most / all != n * most / all).map(|(_, state)| state);
    let spread: Vec<_> = spread.collect();
    let roots: Vec<Root> = spread
        .into_iter()
        .map(|(at, tear, state)| (at, tear, state, bench.crash().map_or(0, |crash| crash.digest(state))))
        .map(|(at, tear, state, digest)| Root { cut: Cut { at, tear }, digest, state, facts: facts_at(plan, &acks, at) })
        .collect();
    if roots.is_empty() {
        return Err(Trouble::NoOpportunity(match only {
            Some(cut) => format!("the act has no cut {cut}; it has {ops} storage operations"),
            None => "the act could not be recorded".to_owned(),
        }));
    }
    let mut keep = kept.to_vec();
    keep.extend([plan.base.state()?, plan.found.state()?]);
    let cuts = roots.iter().map(|r| (r.cut, r.digest)).collect();
    let mut device = Device { bench, plan, clean_ops: ops.max(plan.boot_ops), last_id: None, dear: DEAR };
    let mut explored = explore(&mut device, &roots, &keep, limits)?;
    if roots.len() < all {
        explored.stats.clean_complete = false;
        explored.stats.capped.get_or_insert(format!("{} of {all} crash states of the act were taken", roots.len()));
    }
    Ok(Round { explored, ops, acks, cuts })
}

/// Makes some of the cuts through the power path and lets the device recover there and then, with nothing rebuilt in between: the content must be the one
/// that was rebuilt, and whatever the device keeps outside of its storage has its chance to do harm.
fn cross_check(bench: &mut Bench, plan: &Plan, acks: &[u32], cuts: &[(Cut, u128)], seed: u64, out: &mut Outcome) -> Result<(), Trouble> {
    for n in 0..CROSSED {
        let share = cuts.len() as u64;
        let part = n * share / CROSSED..((n + 1) * share / CROSSED).max(n * share / CROSSED + 1);
        let index = part.start + draw(seed ^ 0xc105, n) % (part.end - part.start);
        let Some((cut, digest)) = usize::try_from(index).ok().and_then(|i| cuts.get(i)) else { continue };
        let mut device = Device { bench, plan, clean_ops: u32::MAX / 2, last_id: None, dear: 0 };
        device.go(&Trace(vec![*cut]), 0)?;
        let kept = Content::keep(bench)?.state()?;
        if bench.crash()?.digest(kept) != *digest {
            return Err(Trouble::Harness(format!("a real cut at {cut} leaves another content than the one that was rebuilt for it")));
        }
        let findings = match recover_in_place(bench, plan)? {
            None => vec![Finding { oracle: "L1", detail: "the device does not come up within its declared recovery time".to_owned() }],
            Some(seen) => plan.story.judge(&seen, facts_at(plan, acks, cut.at)).0,
        };
        out.crossed += 1;
        if let Some(finding) = findings.into_iter().next() {
            out.proven = Some(Located { finding, trace: Trace(vec![*cut]), deep: false });
            return Ok(());
        }
    }
    Ok(())
}

/// Starts the device that just lost power, as it is, and asks everything.
fn recover_in_place(bench: &mut Bench, plan: &Plan) -> Result<Option<Seen>, Trouble> {
    bench.power_on()?;
    let within = Duration::from_millis(bench.bind().recovery_within_ms);
    if bench.try_ready(within)?.is_none() {
        bench.power_off()?;
        return Ok(None);
    }
    let held = bench.credential().cloned();
    let mut seen = plan.watch.ask(bench)?;
    if let Some(held) = held {
        bench.set_credential(held);
    }
    bench.power_off()?;
    let end = Content::keep(bench)?;
    plan.watch.look_at_storage(&mut seen, |offset, into| end.read(bench, offset, into))?;
    Ok(Some(seen))
}

/// Makes the findings that decide again through the power path, the worst oracle with the shortest chain first, until one comes back.
fn prove(bench: &mut Bench, plan: &Plan, acks: &[u32], out: &mut Outcome) -> Result<(), Trouble> {
    let mut candidates: Vec<Located> = out.explored.findings.clone();
    candidates.sort_by_key(|l| (super::oracle::rank(l.finding.oracle), l.trace.0.len()));
    let mut device = Device { bench, plan, clean_ops: out.ops.max(plan.boot_ops), last_id: None, dear: DEAR };
    for located in candidates.into_iter().take(4) {
        let facts = located.trace.0.first().map_or(0, |c| facts_at(plan, acks, c.at));
        device.dear = DEAR;
        if device.reproduce(&located, facts)? {
            out.proven = Some(located);
            break;
        }
        out.unproven.push(located);
    }
    Ok(())
}

/// Goes a chain of cuts through the power path and lets the device recover once; what it then holds.
fn walk(bench: &mut Bench, plan: &Plan, trace: &Trace) -> Result<Content, Trouble> {
    let mut device = Device { bench, plan, clean_ops: u32::MAX / 2, last_id: None, dear: 0 };
    device.go(trace, 0)?;
    let from = Content::keep(device.bench)?.state()?;
    device.boot_recorded(from)?;
    Content::keep(device.bench)
}

impl Device<'_, '_> {
    /// Goes the chain of cuts through the real power path, boot by boot. Gives what is legal at its end.
    fn go(&mut self, trace: &Trace, mut facts: Facts) -> Result<Facts, Trouble> {
        self.plan.base.put(self.bench)?;
        for (i, cut) in trace.0.iter().enumerate() {
            let boots = i > 0;
            if boots {
                // What the device shows between two cuts narrows what is legal, exactly as in the exploration: only a boot that got to its end counts.
                let from = Content::keep(self.bench)?.state()?;
                let end = self.boot_recorded(from)?;
                if end.up && cut.tear.is_clean() && cut.at >= end.ops {
                    let end = Content::keep(self.bench)?.state()?;
                    facts = self.judge(from, end, facts)?.facts;
                }
                Content::State(from).put(self.bench)?;
            } else {
                self.plan.stimulus.prelude(self.bench)?;
            }
            let crash = self.bench.crash()?;
            crash.arm_cut(cut.at, cut.tear)?;
            crash.record()?;
            if boots {
                self.bench.power_on()?;
                let within = Duration::from_millis(self.bench.bind().recovery_within_ms);
                if self.bench.try_ready(within)?.is_some() {
                    self.bench.sleep(SETTLE)?;
                }
            } else {
                let steps = self.plan.stimulus.steps.len();
                if self.plan.stimulus.carry_out(self.bench, steps, None)? == steps {
                    let settle = self.plan.stimulus.settle;
                    self.bench.sleep(settle)?;
                }
            }
            self.bench.power_off()?;
            let crash = self.bench.crash()?;
            crash.stop()?;
            crash.arm_cut(u32::MAX, Tear::Before)?; // a cut that was not reached must not wait for a later recording
        }
        Ok(facts)
    }

    /// Goes the chain again and looks whether the same oracle objects.
    fn reproduce(&mut self, located: &Located, facts: Facts) -> Result<bool, Trouble> {
        let facts = self.go(&located.trace, facts)?;
        let from = Content::keep(self.bench)?.state()?;
        let boot = self.boot_recorded(from)?;
        let end = Content::keep(self.bench)?.state()?;
        let mut findings = boot.findings;
        if boot.up {
            let judged = self.judge(from, end, facts)?;
            findings.extend(judged.findings);
            if located.deep {
                findings.extend(self.deep(end, judged.facts)?);
            }
        }
        Ok(findings.iter().any(|f| f.oracle == located.finding.oracle))
    }
}
