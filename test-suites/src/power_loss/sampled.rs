//! Cuts at moments, for rigs that cannot rebuild storage states: a survey over the act, bisection where the outcome changes, dense around those
//! edges, and a second cut inside the recovery. Only witnessed cuts count.

use super::campaign::{Plan, start};
use super::content::Content;
use super::explore::{Facts, Finding, draw};
use super::oracle::{Key, Seen, rank};
use proofbench_channel::Moment;
use proofbench_model::Profile;
use proofbench_runner::{Bench, Capability, Trouble};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many cuts.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Cuts of the survey: one in each of so many equal parts of the act.
    pub survey: usize,
    /// Cuts spent on bisecting and on the neighbourhood of edges.
    pub edges: usize,
    /// Pairs of cuts: one in the act, one in the boot that follows.
    pub repeated: usize,
    /// Bench time after which no further cut is begun.
    pub time: Duration,
}

impl Effort {
    /// What fits into a run of a developer or a CI job.
    pub const QUICK: Effort = Effort { survey: 6, edges: 3, repeated: 2, time: Duration::from_secs(40) };
    /// What a laboratory takes: a defect that shows once in fifty cuts is met with 95 % by 150 of them.
    pub const THOROUGH: Effort = Effort { survey: 150, edges: 60, repeated: 20, time: Duration::from_secs(4 * 3600) };

    /// The effort of this run.
    pub fn of(bench: &Bench) -> Effort {
        match bench.profile() {
            Profile::Certify => Effort::THOROUGH,
            Profile::Ci => Effort::QUICK,
        }
    }

    /// Less of it, for a variant of an act that was searched already.
    pub fn third(self) -> Effort {
        Effort { survey: self.survey.div_ceil(3), edges: self.edges / 3, repeated: self.repeated.div_ceil(3), time: self.time / 2 }
    }
}

/// Which part of the schedule a cut belongs to. Bounds are told per stratum, never pooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stratum {
    /// Spread over the act.
    Survey,
    /// Next to a change of the outcome.
    Edge,
    /// Cut again in the following boot.
    Repeated,
}

/// Coarse view of what a cut led to; a change between neighbouring moments is an edge.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Signature(Option<String>, Option<String>, usize, Vec<&'static str>);

/// One cut and what came of it.
#[derive(Debug, Clone)]
struct Shot {
    /// When power went, after the start of the act: measured, not asked for.
    at: Duration,
    signature: Signature,
    findings: Vec<Finding>,
    witnessed: bool,
}

/// What came of a sampled campaign.
#[derive(Debug, Clone, Default)]
pub struct Sampled {
    /// Length of the undisturbed act.
    pub length: Duration,
    /// Cuts planned, fired, witnessed per stratum.
    pub strata: BTreeMap<Stratum, (usize, usize, usize)>,
    /// Share of the act that lies within two hundredths of its length of a witnessed cut.
    pub coverage: f64,
    /// Moments between which the outcome changes.
    pub edges: Vec<Duration>,
    /// Findings that came back when the same cut was made again, or that do not go away: with their moment.
    pub proven: Vec<(Duration, Finding)>,
    /// Findings seen once only.
    pub unproven: Vec<(Duration, Finding)>,
    /// Why a cut was no cut, for the first that was not witnessed.
    pub unwitnessed: Option<String>,
}

impl Sampled {
    /// Witnessed cuts in all strata.
    pub fn witnessed(&self) -> usize {
        self.strata.values().map(|s| s.2).sum()
    }

    /// One line for the report.
    pub fn line(&self) -> String {
        let strata = self.strata.iter().map(|(stratum, (planned, fired, witnessed))| {
            let bound = if *witnessed == 0 { 100.0 } else { (300.0 / *witnessed as f64).min(100.0) };
            format!("{stratum:?}: {planned} planned, {fired} fired, {witnessed} witnessed, failure rate below {bound:.0} % (95 %)")
        });
        format!(
            "sampled over {:.0} ms; {}; {} edges; coverage {:.0} %",
            self.length.as_secs_f64() * 1e3,
            strata.collect::<Vec<_>>().join("; "),
            self.edges.len(),
            self.coverage * 100.0
        )
    }
}

/// The share of `length` within `reach` of one of the moments.
fn coverage(length: Duration, moments: &[Duration], reach: Duration) -> f64 {
    let total = length.as_secs_f64();
    if total <= 0.0 {
        return 0.0;
    }
    let mut spans: Vec<(f64, f64)> =
        moments.iter().map(|m| ((m.as_secs_f64() - reach.as_secs_f64()).max(0.0), (m.as_secs_f64() + reach.as_secs_f64()).min(total))).collect();
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut covered, mut end) = (0.0, 0.0);
    for (from, to) in spans {
        let from = from.max(end);
        if to > from {
            covered += to - from;
            end = to;
        }
    }
    covered / total
}

/// The survey's moments: one in each equal part of the act, where in the part by the seed.
fn survey(length: Duration, cuts: usize, seed: u64) -> Vec<Duration> {
    let parts = u32::try_from(cuts.max(1)).unwrap_or(u32::MAX);
    (0..parts)
        .map(|i| {
            let inside = (draw(seed, u64::from(i)) % 1024) as f64 / 1024.0;
            length.mul_f64((f64::from(i) + inside) / f64::from(parts))
        })
        .collect()
}

struct Campaign<'b, 'p> {
    bench: &'b mut Bench,
    plan: &'p Plan,
    out: Sampled,
    shots: Vec<Shot>,
    ends: Moment,
}

/// Runs the sampled campaign.
pub fn run(bench: &mut Bench, plan: &Plan, effort: Effort) -> Result<Sampled, Trouble> {
    if let Some(credential) = &plan.credential {
        bench.set_credential(credential.clone());
    }
    // Undisturbed once more: its length is what the moments are spread over.
    plan.base.put(bench)?;
    plan.stimulus.prelude(bench)?;
    let begun = bench.now();
    let steps = plan.stimulus.steps.len();
    if plan.stimulus.carry_out(bench, steps, None)? < steps {
        return Err(Trouble::Precondition(format!("undisturbed, the device does not do {}", plan.stimulus.name)));
    }
    let length = bench.now().since(begun).max(Duration::from_millis(1));
    bench.power_off()?;
    let ends = bench.now() + effort.time;
    let seed = bench.seed();
    let mut c = Campaign { bench, plan, out: Sampled { length, ..Sampled::default() }, shots: Vec::new(), ends };
    for at in survey(length, effort.survey, seed) {
        c.shoot(Stratum::Survey, at, None)?;
    }
    c.edges(effort.edges)?;
    for n in 0..effort.repeated as u64 {
        let at = length.mul_f64((draw(seed, 1000 + n) % 1000) as f64 / 1000.0);
        let again = Duration::from_millis(c.bench.bind().ready_within_ms).mul_f64((draw(seed, 2000 + n) % 250) as f64 / 1000.0);
        c.shoot(Stratum::Repeated, at, Some(again))?;
    }
    let moments: Vec<Duration> = c.shots.iter().filter(|s| s.witnessed).map(|s| s.at).collect();
    c.out.coverage = coverage(length, &moments, length / 50);
    c.prove()?;
    Ok(c.out)
}

impl Campaign<'_, '_> {
    fn shoot(&mut self, stratum: Stratum, at: Duration, again: Option<Duration>) -> Result<(), Trouble> {
        self.out.strata.entry(stratum).or_default().0 += 1;
        if self.bench.now() >= self.ends {
            return Ok(()); // planned and not fired: said so in the figures
        }
        let shot = self.cut(at, again)?;
        let counts = self.out.strata.entry(stratum).or_default();
        counts.1 += 1;
        counts.2 += usize::from(shot.witnessed);
        if !shot.witnessed && self.out.unwitnessed.is_none() {
            self.out.unwitnessed = shot.findings.first().map(|f| format!("{}: {}", f.oracle, f.detail));
        }
        self.shots.push(shot);
        Ok(())
    }

    /// Bisects between neighbours of the survey whose outcomes differ, finest last.
    fn edges(&mut self, cuts: usize) -> Result<(), Trouble> {
        for _ in 0..cuts {
            self.shots.sort_by_key(|s| s.at);
            let widest = self
                .shots
                .windows(2)
                .filter(|w| w[0].witnessed && w[1].witnessed && w[0].signature != w[1].signature)
                .max_by_key(|w| w[1].at - w[0].at)
                .map(|w| (w[0].at, w[1].at));
            let Some((from, to)) = widest else { break };
            self.shoot(Stratum::Edge, from + (to - from) / 2, None)?;
        }
        self.shots.sort_by_key(|s| s.at);
        self.out.edges = self.shots.windows(2).filter(|w| w[0].signature != w[1].signature).map(|w| w[0].at + (w[1].at - w[0].at) / 2).collect();
        Ok(())
    }

    /// One cut, with the whole judgement of the device that comes back.
    fn cut(&mut self, at: Duration, again: Option<Duration>) -> Result<Shot, Trouble> {
        let (bench, plan) = (&mut *self.bench, self.plan);
        plan.base.put(bench)?;
        plan.stimulus.prelude(bench)?;
        let before = bench.last_boot_id().map(str::to_owned);
        let begun = bench.now();
        let acked = plan.stimulus.carry_out(bench, plan.stimulus.steps.len(), Some(begun + at))?;
        let rest = (begun + at).since(bench.now());
        bench.sleep(rest)?;
        let fell = bench.now().since(begun);
        bench.power_off()?;
        if let Some(again) = again {
            bench.power_on()?;
            bench.sleep(again)?;
            bench.power_off()?;
        }
        let facts = plan.after_ack.get(acked).or(plan.after_ack.last()).copied().unwrap_or_default();
        let from = Content::keep(bench)?;
        let (seen, findings, witnessed) = judge(bench, plan, &from, facts, before.as_deref())?;
        let get = |k: &Key| seen.get(k).cloned();
        let signature = Signature(get(&Key::Version), get(&Key::SlotState), acked, findings.iter().map(|f| f.oracle).collect());
        Ok(Shot { at: fell, signature, findings, witnessed })
    }

    /// Makes the cut of the worst findings again: what comes back within three times is proven.
    fn prove(&mut self) -> Result<(), Trouble> {
        let mut bad: Vec<(Duration, Finding)> =
            self.shots.iter().filter(|s| s.witnessed).flat_map(|s| s.findings.iter().map(|f| (s.at, f.clone()))).collect();
        bad.sort_by_key(|(at, f)| (rank(f.oracle), *at));
        let mut tried = 0;
        for (at, finding) in bad {
            if !self.out.proven.is_empty() || tried >= 2 {
                self.out.unproven.push((at, finding));
                continue;
            }
            tried += 1;
            let mut back = false;
            for _ in 0..3 {
                let shot = self.cut(at, None)?;
                if shot.witnessed && shot.findings.iter().any(|f| f.oracle == finding.oracle) {
                    back = true;
                    break;
                }
            }
            if back { self.out.proven.push((at, finding)) } else { self.out.unproven.push((at, finding)) }
        }
        Ok(())
    }
}

/// Starts the device that lost power and judges it; says whether the cut was witnessed.
fn judge(bench: &mut Bench, plan: &Plan, from: &Content, facts: Facts, before: Option<&str>) -> Result<(Seen, Vec<Finding>, bool), Trouble> {
    let Some(boot) = start(bench, from)? else {
        let log = bench.boot_seen().log.last().cloned().unwrap_or_default();
        let cut = bench.cut_was_seen();
        bench.power_off()?;
        // Dead is a finding only if the device stays dead over one more long absence of power; that it was without power shows in its boot line.
        let revived = start(bench, from)?.is_some();
        bench.power_off()?;
        let again = if revived { "; it came up at the second try" } else { "" };
        let detail = format!("the device does not come up within its declared recovery time, last line `{log}`{again}");
        return Ok((Seen::new(), vec![Finding { oracle: "L1", detail }], cut));
    };
    let mut findings = Vec::new();
    let witnessed = match bench.witness(before, &boot) {
        Ok(()) => true,
        Err(Trouble::NoOpportunity(why)) => {
            findings.push(Finding { oracle: if boot.ram_lost == Some(false) { "W3" } else { "W1" }, detail: why });
            false
        }
        Err(other) => return Err(other),
    };
    let held = bench.credential().cloned();
    let mut seen = plan.watch.ask(bench)?;
    if let Some(held) = held {
        bench.set_credential(held);
    }
    bench.power_off()?;
    if bench.has(Capability::Storage) || bench.has(Capability::CrashSpace) {
        let end = Content::keep(bench)?;
        plan.watch.look_at_storage(&mut seen, |offset, into| end.read(bench, offset, into))?;
    }
    findings.extend(plan.story.judge(&seen, facts).0);
    Ok((seen, findings, witnessed))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn the_survey_puts_one_cut_into_each_part_and_repeats_with_its_seed() {
        let cuts = survey(MS(1000), 10, 7);
        for (i, at) in cuts.iter().enumerate() {
            assert!(*at >= MS(100 * i as u64) && *at < MS(100 * (i as u64 + 1)), "{cuts:?}");
        }
        assert_eq!(cuts, survey(MS(1000), 10, 7));
        assert_ne!(cuts, survey(MS(1000), 10, 8));
    }

    #[test]
    fn coverage_counts_overlapping_neighbourhoods_once() {
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(near(coverage(MS(100), &[MS(10), MS(12)], MS(5)), 0.12));
        assert!(near(coverage(MS(100), &[MS(0)], MS(5)), 0.05));
        assert!(near(coverage(MS(100), &[], MS(5)), 0.0));
    }

    #[test]
    fn a_stratum_without_a_witnessed_cut_bounds_nothing() {
        let out = Sampled { strata: [(Stratum::Survey, (6, 6, 0)), (Stratum::Edge, (30, 30, 30))].into(), ..Sampled::default() };
        let line = out.line();
        assert!(line.contains("Survey: 6 planned, 6 fired, 0 witnessed, failure rate below 100 %"), "{line}");
        assert!(line.contains("failure rate below 10 %"), "{line}");
    }
}
