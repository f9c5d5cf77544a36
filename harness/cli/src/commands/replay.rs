//! `replay`: one check of a run once more, at exactly one power cut if the address says so. Nothing is recorded.

use crate::commands::run::stop_on_signals;
use crate::exit::Exit;
use crate::progress::Lines;
use crate::session::{Session, check_by_id, reference_factory};
use anyhow::{Context, Result};
use proofbench_model::Outcome;
use proofbench_runner::Check;
use proofbench_runner::bench::Stop;
use proofbench_runner::plan::Selection;
use proofbench_runner::replay::parse;
use proofbench_runner::run::{RunOptions, run};
use proofbench_runner::sink::NullSink;
use std::path::{Path, PathBuf};

/// Exit code 1 if the violation shows again, 0 if not, 2 if it could not be decided.
pub fn replay(dir: &Path, address: &str, rig: Option<&Path>, checks: &[&'static Check]) -> Result<Exit> {
    let address = parse(address)?;
    let check = check_by_id(checks, address.check.as_str())?;
    let path = dir.join("replay.json");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let how: serde_json::Value = serde_json::from_str(&text).with_context(|| format!("read {}", path.display()))?;
    let recorded_rig = how["rig"].as_str().map(PathBuf::from);
    let dossier = how["dossier"].as_str().map(PathBuf::from);
    let session = Session::load(rig.or(recorded_rig.as_deref()), dossier.as_deref())?;
    let seed = how["seed"].as_u64().unwrap_or(1);
    let plan = session.plan(checks, &Selection { checks: vec![check.id.to_owned()], ..Selection::default() })?;
    let opened = session.rig.open(session.dossier.clone(), seed, "proofbench replay")?;
    let stop = Stop::default();
    stop_on_signals(&stop)?;
    let options = RunOptions { stop, reference: Some(reference_factory()), only_cut: address.cut, ..RunOptions::new(seed, Box::new(NullSink)) };
    let mut lines = Lines::new(check.id.len());
    let summary = run(&plan, opened, checks, options, &mut lines)?;
    lines.finish();
    let mut exit = Exit::Good;
    for o in summary.observations() {
        println!("{} {}: {}", o.unit, o.outcome, o.observed);
        exit = match o.outcome {
            Outcome::Violated => Exit::Failed,
            Outcome::Unresolved(_) if exit == Exit::Good => Exit::Inconclusive,
            _ => exit,
        };
    }
    Ok(exit)
}
