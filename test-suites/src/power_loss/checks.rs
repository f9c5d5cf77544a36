//! From a campaign to observations: which units and rows it bears on, what was expected, what was seen, how hard was looked.

use super::campaign::{self, Outcome, Plan};
use super::controls;
use super::explore::Limits;
use super::oracle::{ORACLES, is_witness, named};
use super::plans::Act;
use super::sampled::{self, Effort, Sampled};
use super::trace::Cut;
use proofbench_model::{Profile, Reason, RowId};
use proofbench_runner::{Bench, Capability, Trouble};
use std::time::Duration;

/// Rows of a unit's own table that a power cut can bear on; one "no row" where the table has none.
fn rows(bench: &Bench, unit: &str) -> Vec<Option<RowId>> {
    let ixit = &bench.dossier().ixit;
    let rows: Vec<RowId> = match unit.split('-').next() {
        Some("5.9") => ixit.rows(23).iter().filter(|r| r.res().is_some_and(|b| b.outage == "power")).map(|r| r.id.clone()).collect(),
        Some("5.3") => ixit.rows(7).iter().filter(|r| r.upd().is_some_and(|b| b.via != "server")).map(|r| r.id.clone()).collect(),
        Some("5.11") => ixit.rows(25).iter().filter(|r| r.del().is_some()).map(|r| r.id.clone()).collect(),
        _ => Vec::new(),
    };
    if rows.is_empty() { vec![None] } else { rows.into_iter().map(Some).collect() }
}

/// What a campaign comes to. The order is that of the worst.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Satisfied,
    Unresolved(Reason),
    Violated,
}

/// The end of a campaign with its words.
#[derive(Debug, Clone)]
struct Said {
    end: End,
    observed: String,
    strength: Option<String>,
    replay: Option<Cut>,
}

fn report(bench: &mut Bench, said: &Said, unit: &str, row: Option<&RowId>, expected: &str) {
    if let Some(strength) = &said.strength {
        bench.strength(strength.clone());
    }
    if let Some(cut) = said.replay {
        bench.replay_cut(cut.at, cut.tear);
    }
    match said.end {
        End::Satisfied => bench.satisfied(unit, row, expected, &said.observed),
        End::Violated => bench.violated(unit, row, expected, &said.observed),
        End::Unresolved(reason) => bench.unresolved(unit, row, reason, &said.observed),
    }
}

/// A trouble is an end, too: each unit gets it with its own rows. Only a cancelled check is left to the runner.
fn said(result: Result<Said, Trouble>) -> Result<Said, Trouble> {
    match result {
        Err(trouble @ Trouble::Cancelled) => Err(trouble),
        Err(trouble) => Ok(Said { end: End::Unresolved(trouble.reason()), observed: trouble.to_string(), strength: None, replay: None }),
        ok => ok,
    }
}

/// Real time that one campaign may take where each boot costs some: in a pipeline, and in a laboratory.
const SPENT_CI: Duration = Duration::from_secs(180);
const SPENT_CERTIFY: Duration = Duration::from_secs(4 * 3600);

/// How far closures go: seconds for a pipeline, minutes for a laboratory. Where boots cost real time, as far as that goes.
fn limits(bench: &mut Bench) -> Limits {
    let cost = bench.crash().map_or(Duration::ZERO, |crash| crash.boot_cost());
    let (full, spent) = match bench.profile() {
        Profile::Ci => (Limits::default(), SPENT_CI),
        Profile::Certify => (Limits { images: 100_000, judgements: 20_000, twice_torn: 2_000, deep: 128, ..Limits::default() }, SPENT_CERTIFY),
    };
    if cost.is_zero() {
        return full;
    }
    // Half of the boots for images, the other half for what is asked of what they left.
    let boots = usize::try_from(spent.as_nanos() / cost.as_nanos()).unwrap_or(usize::MAX);
    let part = (boots / 4).max(1);
    Limits {
        images: full.images.min(2 * part),
        judgements: full.judgements.min(part),
        twice_torn: full.twice_torn.min(part / 4),
        deep: full.deep.min(part / 8),
        ..full
    }
}

/// Runs the campaign of an act at the strength that the rig allows.
pub fn run(bench: &mut Bench, act: Act, units: &[&'static str], expected: &str) -> Result<(), Trouble> {
    bench.quiet(true);
    let effort = Effort::of(bench);
    let limits = limits(bench);
    let result = attempt(bench, act, limits, effort);
    bench.quiet(false);
    let said = said(result)?;
    for unit in units {
        for row in rows(bench, unit) {
            report(bench, &said, unit, row.as_ref(), expected);
        }
    }
    Ok(())
}

/// One campaign for each declared way to delete the user's data. Each answers for its own row; the outage units get the worst.
pub fn deletions(bench: &mut Bench, units: &[&'static str], outage: &[&'static str], expected: &str) -> Result<(), Trouble> {
    let routes: Vec<RowId> = bench.dossier().ixit.rows(25).iter().filter(|r| r.del().is_some()).map(|r| r.id.clone()).collect();
    let mut ends = Vec::new();
    for (n, row) in routes.into_iter().enumerate() {
        bench.quiet(true);
        // The routes differ in how they begin: the first is searched in full, the others as far as their own part reaches.
        let full = limits(bench);
        let limits = if n == 0 { full } else { Limits { images: full.images / 4, judgements: full.judgements / 4, deep: full.deep / 4, ..full } };
        let effort = if n == 0 { Effort::of(bench) } else { Effort::of(bench).third() };
        let result = back_to_ready(bench).and_then(|()| attempt(bench, Act::Reset(n), limits, effort));
        bench.quiet(false);
        ends.push((row, said(result)?));
    }
    // The worst last: what an observation carries from the one before must not be a reproducer of something else.
    ends.sort_by(|a, b| a.1.end.cmp(&b.1.end));
    for (row, said) in &ends {
        for unit in units.iter().filter(|u| !outage.contains(u)) {
            report(bench, said, unit, Some(row), expected);
        }
    }
    let Some((_, worst)) = ends.last() else { return Err(Trouble::IxitMissing("a row of 25-DelFunc with a binding".to_owned())) };
    for unit in outage {
        for row in rows(bench, unit) {
            report(bench, worst, unit, row.as_ref(), expected);
        }
    }
    Ok(())
}

/// A campaign starts from a running device as the run found it; after another campaign its credential is the label's again.
fn back_to_ready(bench: &mut Bench) -> Result<(), Trouble> {
    if let Some(label) = bench.dossier().device.sample.label.clone() {
        bench.set_credential(label);
    }
    Ok(())
}

fn attempt(bench: &mut Bench, act: Act, limits: Limits, effort: Effort) -> Result<Said, Trouble> {
    let caught = controls::require(bench)?;
    bench.evidence("negative-controls.txt", caught.as_bytes());
    let plan = act.plan(bench)?;
    let end = campaign(bench, &plan, limits, effort);
    // Whatever happened, the device gets back what it held before the campaign.
    plan.found.put(bench)?;
    end
}

fn campaign(bench: &mut Bench, plan: &Plan, limits: Limits, effort: Effort) -> Result<Said, Trouble> {
    let name = plan.stimulus.name;
    if bench.has(Capability::CrashSpace) {
        let only = bench.only_cut().map(|(at, tear)| Cut { at, tear });
        let outcome = campaign::run(bench, plan, Limits { seed: bench.seed(), ..limits }, only)?;
        close(bench, &outcome, name)
    } else {
        let sampled = sampled::run(bench, plan, effort)?;
        sample(&sampled, name)
    }
}

fn describe(oracle: &str) -> &'static str {
    named(oracle).map_or("", |o| o.holds)
}

fn close(bench: &mut Bench, outcome: &Outcome, act: &str) -> Result<Said, Trouble> {
    let stats = &outcome.explored.stats;
    let strength = format!(
        "{}; {} storage operations in the undisturbed {act}; {} cuts made again through the power path; disturbed again in {} recovered images",
        stats.line(&outcome.medium),
        outcome.ops,
        outcome.crossed,
        outcome.rounds
    );
    let mut table = format!("{strength}\n");
    for l in outcome.explored.findings.iter().chain(&outcome.explored.unwitnessed) {
        table.push_str(&format!("{} at cut {}: {} [{}]\n", l.finding.oracle, l.trace, l.finding.detail, describe(l.finding.oracle)));
    }
    bench.evidence("campaign.txt", table.as_bytes());
    let strength = Some(strength);
    if let Some(proven) = &outcome.proven {
        let earlier = outcome.earlier.as_ref().map_or(String::new(), |t| format!(" after an earlier disturbance at {t}"));
        let observed = format!(
            "{act}{earlier}, power cut at operation {} (a slash: again in the following boot): {} ({}: {}); seen through the power path",
            proven.trace,
            proven.finding.detail,
            proven.finding.oracle,
            describe(proven.finding.oracle)
        );
        let first = outcome.earlier.as_ref().unwrap_or(&proven.trace);
        return Ok(Said { end: End::Violated, observed, strength, replay: first.0.first().copied() });
    }
    let unresolved = |reason, observed| Ok(Said { end: End::Unresolved(reason), observed, strength: strength.clone(), replay: None });
    if let Some(l) = outcome.explored.unwitnessed.first() {
        return unresolved(Reason::NoOpportunity, format!("power cut not witnessed at {}: {} ({})", l.trace, l.finding.detail, l.finding.oracle));
    }
    if let Some(l) = outcome.unproven.first() {
        let what = format!("{} at cut {} ({}) did not come back through the power path", l.finding.oracle, l.trace, l.finding.detail);
        return unresolved(Reason::HarnessFault, what);
    }
    if stats.probe_mismatches > 0 {
        let what = format!("{} of {} boots left other contents the second time: a closure means nothing here", stats.probe_mismatches, stats.probes);
        return unresolved(Reason::NoOpportunity, what);
    }
    let observed = format!("{act}: every recovered image is one of the legal ends; {} oracles, no objection", ORACLES.len());
    Ok(Said { end: End::Satisfied, observed, strength, replay: None })
}

fn sample(sampled: &Sampled, act: &str) -> Result<Said, Trouble> {
    let strength = Some(sampled.line());
    let say = |end, observed| Ok(Said { end, observed, strength: strength.clone(), replay: None });
    let ms = |at: &std::time::Duration| at.as_secs_f64() * 1e3;
    if let Some((at, finding)) = sampled.proven.iter().find(|(_, f)| !is_witness(f.oracle)) {
        let holds = describe(finding.oracle);
        let at = ms(at);
        return say(
            End::Violated,
            format!("{act}, power cut {at:.2} ms after its start: {} ({}: {holds}); came back when cut again", finding.detail, finding.oracle),
        );
    }
    if sampled.witnessed() == 0 {
        let why = sampled.unwitnessed.clone().unwrap_or_else(|| "no cut was fired in the time".to_owned());
        return say(End::Unresolved(Reason::NoOpportunity), format!("no cut has a witness: {why}"));
    }
    if let Some((at, finding)) = sampled.unproven.first() {
        let what = format!("once, {:.2} ms after the start, and not again: {} ({})", ms(at), finding.detail, finding.oracle);
        return say(End::Unresolved(Reason::PreconditionUnmet), what);
    }
    say(End::Satisfied, format!("{act}: {} witnessed cuts, each recovered to one of the legal ends", sampled.witnessed()))
}
