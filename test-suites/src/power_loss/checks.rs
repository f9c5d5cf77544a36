//! From a campaign to observations: which units and rows it bears on, what was expected, what was seen, how hard was looked.

use super::campaign::{self, Outcome};
use super::controls;
use super::explore::Limits;
use super::oracle::{is_witness, named};
use super::plans::Act;
use super::sampled::{self, Effort};
use super::trace::Cut;
use proofbench_model::{Reason, RowId};
use proofbench_runner::{Bench, Capability, Trouble};

/// A unit and the rows of its table that a check bears on.
#[derive(Debug, Clone)]
struct Target {
    unit: &'static str,
    rows: Vec<RowId>,
}

/// The rows of a unit's own table that a power cut can bear on.
fn targets(bench: &Bench, units: &[&'static str]) -> Vec<Target> {
    let dossier = bench.dossier();
    let rows = |unit: &str| -> Vec<RowId> {
        match unit.split('-').next() {
            Some("5.9") => dossier.ixit.rows(23).iter().filter(|r| r.res().is_some_and(|b| b.outage == "power")).map(|r| r.id.clone()).collect(),
            Some("5.3") => dossier.ixit.rows(7).iter().filter(|r| r.upd().is_some()).map(|r| r.id.clone()).collect(),
            Some("5.11") => dossier.ixit.rows(25).iter().filter(|r| r.del().is_some()).map(|r| r.id.clone()).collect(),
            _ => Vec::new(),
        }
    };
    units.iter().map(|unit| Target { unit, rows: rows(unit) }).collect()
}

/// What a check says of all its units and rows.
enum Say {
    Satisfied,
    Violated,
    Unresolved(Reason),
}

fn say(bench: &mut Bench, targets: &[Target], say: &Say, expected: &str, observed: &str) {
    for target in targets {
        let rows: Vec<Option<&RowId>> = if target.rows.is_empty() { vec![None] } else { target.rows.iter().map(Some).collect() };
        for row in rows {
            match say {
                Say::Satisfied => bench.satisfied(target.unit, row, expected, observed),
                Say::Violated => bench.violated(target.unit, row, expected, observed),
                Say::Unresolved(reason) => bench.unresolved(target.unit, row, *reason, observed),
            }
        }
    }
}

/// Runs the campaign of an act at the strength that the rig allows. A trouble leaves each unit with its own rows unresolved.
pub fn run(bench: &mut Bench, act: Act, units: &[&'static str], expected: &str) -> Result<(), Trouble> {
    let targets = targets(bench, units);
    let result = attempt(bench, act, &targets, expected);
    bench.quiet(false);
    if let Err(trouble) = result {
        if matches!(trouble, Trouble::Cancelled) {
            return Err(trouble);
        }
        let reason = trouble.reason();
        say(bench, &targets, &Say::Unresolved(reason), expected, &trouble.to_string());
    }
    Ok(())
}

fn attempt(bench: &mut Bench, act: Act, targets: &[Target], expected: &str) -> Result<(), Trouble> {
    bench.quiet(true);
    let caught = controls::require(bench)?;
    bench.evidence("negative-controls.txt", caught.as_bytes());
    let plan = act.plan(bench)?;
    if bench.has(Capability::CrashSpace) {
        let only = bench.only_cut().map(|(at, tear)| Cut { at, tear });
        let limits = Limits { seed: bench.seed(), ..Limits::default() };
        let outcome = campaign::run(bench, &plan, limits, only)?;
        close(bench, targets, expected, &outcome, plan.stimulus.name)
    } else {
        let sampled = sampled::run(bench, &plan, Effort::QUICK)?;
        sample(bench, targets, expected, &sampled, plan.stimulus.name)
    }
}

fn describe(oracle: &str) -> &'static str {
    named(oracle).map_or("", |o| o.holds)
}

fn close(bench: &mut Bench, targets: &[Target], expected: &str, outcome: &Outcome, act: &str) -> Result<(), Trouble> {
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
    bench.strength(strength);
    if let Some(proven) = &outcome.proven {
        if let Some(first) = proven.trace.0.first() {
            bench.replay_cut(first.at, first.tear);
        }
        let earlier = outcome.earlier.as_ref().map_or(String::new(), |t| format!(" after an earlier disturbance at {t}"));
        let observed = format!(
            "{act}{earlier}, power cut at operation {} (a slash: again in the following boot): {} ({}: {}); seen through the power path",
            proven.trace,
            proven.finding.detail,
            proven.finding.oracle,
            describe(proven.finding.oracle)
        );
        say(bench, targets, &Say::Violated, expected, &observed);
        return Ok(());
    }
    if let Some(l) = outcome.explored.unwitnessed.first() {
        return Err(Trouble::NoOpportunity(format!("power cut not witnessed at {}: {} ({})", l.trace, l.finding.detail, l.finding.oracle)));
    }
    if let Some(l) = outcome.unproven.first() {
        return Err(Trouble::Harness(format!(
            "{} at cut {} ({}) did not come back through the power path",
            l.finding.oracle, l.trace, l.finding.detail
        )));
    }
    if stats.probe_mismatches > 0 {
        return Err(Trouble::NoOpportunity(format!(
            "{} of {} boots left different contents the second time: the closure does not hold for this device",
            stats.probe_mismatches, stats.probes
        )));
    }
    let observed = format!("{act}: every recovered image is one of the legal ends; {} oracles, no objection", super::oracle::ORACLES.len());
    say(bench, targets, &Say::Satisfied, expected, &observed);
    Ok(())
}

fn sample(bench: &mut Bench, targets: &[Target], expected: &str, sampled: &sampled::Sampled, act: &str) -> Result<(), Trouble> {
    bench.strength(sampled.line());
    if let Some((at, finding)) = sampled.proven.iter().find(|(_, f)| !is_witness(f.oracle)) {
        let at_ms = at.as_secs_f64() * 1e3;
        let observed = format!(
            "{act}, power cut {at_ms:.2} ms after its start: {} ({}: {}); came back when cut again",
            finding.detail,
            finding.oracle,
            describe(finding.oracle)
        );
        say(bench, targets, &Say::Violated, expected, &observed);
        return Ok(());
    }
    if sampled.witnessed() == 0 {
        let why = sampled.unwitnessed.clone().unwrap_or_else(|| "no cut was fired in the time".to_owned());
        return Err(Trouble::NoOpportunity(format!("no cut has a witness: {why}")));
    }
    if let Some((at, finding)) = sampled.unproven.first() {
        return Err(Trouble::Precondition(format!(
            "once, {:.2} ms after the start, and not again: {} ({})",
            at.as_secs_f64() * 1e3,
            finding.detail,
            finding.oracle
        )));
    }
    let observed = format!("{act}: {} witnessed cuts, each recovered to one of the legal ends", sampled.witnessed());
    say(bench, targets, &Say::Satisfied, expected, &observed);
    Ok(())
}
