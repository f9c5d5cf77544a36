//! `run`: test a device and leave a run folder.

use crate::args::RunArgs;
use crate::commands::run_folder::{copy_dossier, write_reports, write_whole};
use crate::exit::Exit;
use crate::progress::Lines;
use crate::session::{Session, reference_factory, selection};
use anyhow::{Context, Result, bail};
use proofbench_assess::ExitClass;
use proofbench_model::journal::sha256_hex;
use proofbench_report::text;
use proofbench_runner::Check;
use proofbench_runner::bench::Stop;
use proofbench_runner::header::{RunFacts, header};
use proofbench_runner::journal::JournalWriter;
use proofbench_runner::run::{RunError, RunOptions, run as carry_out};
use std::path::{Path, PathBuf};

/// The whole of it.
pub fn run(args: &RunArgs, checks: &[&'static Check]) -> Result<Exit> {
    let session = Session::load(args.select.rig.as_deref(), args.select.dossier.as_deref())?;
    let plan = session.plan(checks, &selection(&args.select)?)?;
    if plan.runs() == 0 && plan.due().is_empty() {
        bail!("nothing to run: no selected check bears on a provision that the ICS claims");
    }
    let started = jiff::Timestamp::now();
    let out = match &args.out {
        Some(out) => out.clone(),
        None => default_out(&started, &session.rig.dossier),
    };
    let rig = session.rig.open(session.dossier.clone(), args.seed, "proofbench run")?;
    let facts = RunFacts {
        run: out.file_name().map_or_else(|| "run".to_owned(), |n| n.to_string_lossy().into_owned()),
        started: jiff::Timestamp::from_second(started.as_second()).unwrap_or(started).to_string(),
        seed: args.seed,
        profile: args.select.profile.reader(),
        scheme: args.select.profile.name.clone(),
        claim: plan.claim,
    };
    let mut header = header(&session.rig, &rig, facts)?;
    header.digests.insert(format!("profile {}", args.select.profile.name), sha256_hex(args.select.profile.text().as_bytes()));
    let writer = JournalWriter::create(&out, header)?;
    copy_dossier(&session.dossier.dir, &out)?;
    let replay = serde_json::json!({ "rig": session.rig_file, "dossier": args.select.dossier, "seed": args.seed });
    write_whole(&out.join("replay.json"), format!("{replay}\n").as_bytes())?;
    let stop = Stop::default();
    stop_on_signals(&stop)?;
    let options = RunOptions {
        stop,
        reference: Some(reference_factory()),
        profile: args.select.profile.reader(),
        ..RunOptions::new(args.seed, Box::new(writer))
    };
    let mut lines = Lines::new(checks.iter().map(|c| c.id.len()).max().unwrap_or(0));
    let result = carry_out(&plan, rig, checks, options, &mut lines);
    lines.finish();
    finish(&out, result)
}

/// Reports are written whatever became of the run, from what the journal holds.
fn finish(out: &Path, result: Result<proofbench_runner::run::RunSummary, RunError>) -> Result<Exit> {
    let recorded = write_reports(out);
    let summary = match result {
        Ok(summary) => summary,
        Err(e) => {
            eprintln!("proofbench: {e}");
            return Ok(Exit::Inconclusive);
        }
    };
    let recorded = recorded?;
    let assessment = recorded.assess(&recorded.options());
    print!("\n{}", text::summary(&recorded.run(&assessment)));
    println!("took     {:.2} s", summary.real_time.as_secs_f64());
    println!("folder   {}", out.display());
    if !summary.safe.is_safe() {
        println!("WARNING  the rig could not be made safe: {}", summary.safe.failed.join("; "));
        return Ok(if assessment.exit_class() == ExitClass::Failed { Exit::Failed } else { Exit::Inconclusive });
    }
    if summary.cancelled {
        println!("WARNING  stopped before its end");
    }
    Ok(exit_of(assessment.exit_class()))
}

/// The exit code of an assessment.
pub fn exit_of(class: ExitClass) -> Exit {
    match class {
        ExitClass::Clean => Exit::Good,
        ExitClass::Failed => Exit::Failed,
        ExitClass::Inconclusive => Exit::Inconclusive,
    }
}

fn default_out(started: &jiff::Timestamp, dossier: &Path) -> PathBuf {
    let time = started.strftime("%Y%m%dT%H%M%SZ").to_string();
    let name = dossier.file_name().map_or_else(|| "device".to_owned(), |n| n.to_string_lossy().into_owned());
    let first = Path::new("runs").join(format!("{time}-{name}"));
    // Two runs in one second get two folders.
    let later = (2..).map(|n| first.with_file_name(format!("{time}-{name}-{n}")));
    std::iter::once(first.clone()).chain(later).find(|dir| !dir.exists()).unwrap_or(first)
}

/// First signal: finish to a safe point; second: stop at once. Both leave the rig safe and the report written.
pub fn stop_on_signals(stop: &Stop) -> Result<()> {
    let stop = stop.clone();
    ctrlc::set_handler(move || {
        if stop.soft.is_cancelled() {
            eprintln!("\nproofbench: stopping at once");
        } else {
            eprintln!("\nproofbench: finishing to a safe point; once more to stop at once");
        }
        stop.signal();
    })
    .context("watch for signals")
}
