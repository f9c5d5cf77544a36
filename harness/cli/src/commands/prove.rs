//! `prove`: every check against the conforming device, its twins and its defects, on a healthy bench and on every faulty one.

use crate::commands::matrix::{Cell, Said, Subject, objection, table};
use crate::exit::Exit;
use crate::session::{DEFAULT_RIG, Session, find_up, reference_factory};
use anyhow::{Context, Result, bail};
use proofbench_rig::{Capability, builtin};
use proofbench_runner::Check;
use proofbench_runner::plan::{Selection, glob_matches};
use proofbench_runner::run::{RunOptions, run};
use proofbench_runner::sink::NullSink;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// The table that a change must not alter without a reason.
const EXPECTED: &str = "fixtures/expected/detection.txt";

/// Runs the proof and compares its table with the expected one, or writes it.
pub fn prove(patterns: &[String], write: bool, checks: &[&'static Check]) -> Result<Exit> {
    let begun = Instant::now();
    let rig_file = find_up(Path::new(DEFAULT_RIG)).with_context(|| format!("no {DEFAULT_RIG} here or above: run in a checkout"))?;
    let chosen: Vec<&'static Check> =
        checks.iter().copied().filter(|c| patterns.is_empty() || patterns.iter().any(|p| glob_matches(p, c.id))).collect();
    if chosen.is_empty() {
        bail!("no check matches {}", patterns.join(", "));
    }
    let mut problems = if patterns.is_empty() { unclaimed(checks) } else { Vec::new() };
    let work = cells(&chosen);
    let results = carry_out(&rig_file, checks, &work)?;
    let faults: Vec<&'static str> = builtin::faults().iter().map(|f| f.name).collect();
    let text = table(&faults, &results);
    print!("{text}");
    for (cell, said) in &results {
        let check = chosen.iter().find(|c| c.id == cell.check);
        let concerned = check.is_some_and(|c| cell.fault.is_some_and(|f| concerns(f, c)));
        if let Some(why) = objection(*cell, concerned, *said) {
            problems.push(format!("{} on {} with {}: {why}", cell.check, cell.subject, cell.fault.unwrap_or("a healthy bench")));
        }
    }
    if patterns.is_empty() {
        compare(&rig_file, &text, write, &mut problems)?;
    }
    for problem in &problems {
        println!("PROBLEM  {problem}");
    }
    let count = |f: fn(&Subject) -> bool| results.keys().filter(|c| f(&c.subject)).map(|c| c.subject).collect::<BTreeSet<_>>().len();
    println!(
        "{} checks, {} defects, {} twins, {} bench faults, {} runs in {:.1} s: {}",
        chosen.len(),
        count(|s| matches!(s, Subject::Defect(_))),
        count(|s| matches!(s, Subject::Twin(_))),
        faults.len(),
        results.len(),
        begun.elapsed().as_secs_f64(),
        if problems.is_empty() { "proven" } else { "NOT proven" }
    );
    Ok(if problems.is_empty() { Exit::Good } else { Exit::Failed })
}

/// Checks that claim no defect, and defects that no check claims: neither may ship.
fn unclaimed(checks: &[&'static Check]) -> Vec<String> {
    let mut problems = Vec::new();
    let claimed: BTreeSet<&str> = checks.iter().flat_map(|c| c.defects.iter().copied()).collect();
    for check in checks.iter().filter(|c| c.defects.is_empty()) {
        problems.push(format!("{} claims no defect", check.id));
    }
    for defect in builtin::defects().iter().filter(|d| d.kind != builtin::Kind::Twin && !claimed.contains(d.name)) {
        problems.push(format!("no check claims the defect {}", defect.name));
    }
    let twins: BTreeSet<&str> = checks.iter().flat_map(|c| c.twins.iter().copied()).collect();
    for twin in builtin::defects().iter().filter(|d| d.kind == builtin::Kind::Twin && !twins.contains(d.name)) {
        problems.push(format!("no check is tried on the twin {}", twin.name));
    }
    problems
}

fn cells(checks: &[&'static Check]) -> Vec<Cell> {
    let faults: Vec<Option<&'static str>> = std::iter::once(None).chain(builtin::faults().iter().map(|f| Some(f.name))).collect();
    let mut out = Vec::new();
    for check in checks {
        let twins = check.twins.iter().map(|t| Subject::Twin(t));
        let defects = check.defects.iter().map(|d| Subject::Defect(d));
        for subject in std::iter::once(Subject::Conforming).chain(twins).chain(defects) {
            out.extend(faults.iter().map(|fault| Cell { check: check.id, subject, fault: *fault }));
        }
    }
    out
}

/// Whether a bench fault sits on a channel that the check says it needs.
fn concerns(fault: &str, check: &Check) -> bool {
    let channel = match fault {
        "dead-console" | "garbled-console" => Capability::Console,
        "stuck-power" | "back-feed" => Capability::Power,
        "silent-probe" => Capability::DebugPort,
        "lying-flash-reader" | "stale-flash-reader" => Capability::Storage,
        "deaf-update" => Capability::UpdatePath,
        "dead-link" => Capability::Network,
        // A check that only calls the device does not use the lab: it may pass; that a defect never passes holds for it all the same.
        "stale-lab" | "deaf-lab" | "same-label" => return false,
        _ => return true,
    };
    check.needs.contains(&channel)
}

/// Runs all cells on as many threads as there are processors. Each cell has a rig of its own.
fn carry_out(rig_file: &Path, checks: &[&'static Check], work: &[Cell]) -> Result<BTreeMap<Cell, Said>> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(BTreeMap::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(work.len().max(1));
    let worker = || -> Result<()> {
        let session = Session::load(Some(rig_file), None)?;
        let reference = reference_factory();
        while let Some(cell) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
            let said = one(&session, checks, &reference, *cell).with_context(|| format!("{} on {}", cell.check, cell.subject))?;
            results.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(*cell, said);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        for handle in handles {
            handle.join().map_err(|_| anyhow::anyhow!("a thread of the proof panicked"))??;
        }
        Ok::<(), anyhow::Error>(())
    })?;
    Ok(results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

fn one(session: &Session, checks: &[&'static Check], reference: &proofbench_runner::bench::ReferenceFactory, cell: Cell) -> Result<Said> {
    let names: Vec<&str> = cell.subject.name().into_iter().collect();
    let faults: Vec<&str> = cell.fault.into_iter().collect();
    let resolved = session.rig.clone().with_defects(&names).with_faults(&faults);
    let session = Session { rig_file: session.rig_file.clone(), rig: resolved, dossier: session.dossier.clone() };
    let plan = session.plan(checks, &Selection { checks: vec![cell.check.to_owned()], ..Selection::default() })?;
    let rig = session.rig.open(session.dossier.clone(), 1, "proofbench prove")?;
    let options = RunOptions { reference: Some(reference.clone()), ..RunOptions::new(1, Box::new(NullSink)) };
    let summary = run(&plan, rig, checks, options, &mut ())?;
    Ok(Said::of(summary.observations().map(|o| o.outcome)))
}

fn compare(rig_file: &Path, text: &str, write: bool, problems: &mut Vec<String>) -> Result<()> {
    let root = rig_file.parent().and_then(Path::parent).unwrap_or(Path::new("."));
    let path = root.join(EXPECTED);
    if write {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        }
        return crate::commands::run_folder::write_whole(&path, text.as_bytes());
    }
    let expected = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) => {
            problems.push(format!("read {}: {e}; `prove --write` makes it", path.display()));
            return Ok(());
        }
    };
    let (old, new): (BTreeSet<&str>, BTreeSet<&str>) = (expected.lines().collect(), text.lines().collect());
    problems.extend(old.difference(&new).map(|l| format!("expected, and not so any more: {l}")));
    problems.extend(new.difference(&old).map(|l| format!("new: {l}")));
    Ok(())
}
