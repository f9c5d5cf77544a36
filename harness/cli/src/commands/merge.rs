//! `merge`: partial runs of one device on several rigs as one assessment.

use crate::commands::run::exit_of;
use crate::commands::run_folder::{DOSSIER, Recorded, write_reports, write_whole};
use crate::exit::Exit;
use anyhow::{Context, Result, bail};
use proofbench_model::{Claim, Scheme};
use proofbench_report::text;
use proofbench_rig::{DOSSIER_FILES, Permissions};
use proofbench_runner::Check;
use proofbench_runner::merge::{Sources, merge as carry_out};
use proofbench_runner::plan::{Plan, RigFacts, Selection, plan};
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of answers that are lacking, before the rest is only counted.
const LISTED: usize = 20;

/// Makes the merged run folder and prints its summary.
pub fn merge(runs: &[PathBuf], out: &Path, checks: &[&'static Check]) -> Result<Exit> {
    if out.exists() {
        bail!("{}: it exists already; name another folder with --out", out.display());
    }
    let sources = Sources::read(runs)?;
    let whole = whole_plan(&sources, checks)?;
    let copied = sources.dossier_of().join(DOSSIER);
    for run in runs {
        for name in DOSSIER_FILES {
            let (one, other) = (copied.join(name), run.join(DOSSIER).join(name));
            let read = |p: &Path| fs::read(p).with_context(|| format!("read {}", p.display()));
            if read(&one)? != read(&other)? {
                bail!("{} and {} differ: runs with different dossiers cannot be merged", one.display(), other.display());
            }
        }
    }
    let merged = carry_out(&sources, out, whole.as_ref())?;
    let into = out.join(DOSSIER);
    fs::create_dir_all(&into).with_context(|| format!("create {}", into.display()))?;
    for name in DOSSIER_FILES {
        let bytes = fs::read(copied.join(name)).with_context(|| format!("read {}", copied.join(name).display()))?;
        write_whole(&into.join(name), &bytes)?;
    }
    let recorded = write_reports(out)?;
    let assessment = recorded.assess(&recorded.options());
    print!("{}", text::summary(&recorded.run(&assessment)));
    println!("\nmerged   {}", merged.sources.join(", "));
    for note in &merged.notes {
        println!("note     {note}");
    }
    if merged.claim == Claim::None {
        match whole {
            None => {
                println!("claim    none: the runs were made by proofbench {}, and only that version knows what a whole run owes", sources.program())
            }
            Some(_) => println!("claim    none: {} answers of a whole run were asked of none of them", merged.lacking.len()),
        }
        for line in merged.lacking.iter().take(LISTED) {
            println!("           {line}");
        }
        if merged.lacking.len() > LISTED {
            println!("           ... and {} more", merged.lacking.len() - LISTED);
        }
    }
    println!("folder   {}", out.display());
    Ok(exit_of(assessment.exit_class()))
}

/// What a run of everything would owe, by this program's list of checks: known only for runs that this version made.
fn whole_plan(sources: &Sources, checks: &[&'static Check]) -> Result<Option<Plan>> {
    if sources.program() != env!("CARGO_PKG_VERSION") {
        return Ok(None);
    }
    let recorded = Recorded::read(sources.dossier_of())?;
    let header = sources.header();
    let scheme =
        if header.scheme.is_empty() { Scheme::of_reader(header.profile) } else { Scheme::find(&header.scheme).map_err(anyhow::Error::msg)? };
    // What is owed does not depend on the rig; what a rig could not do was recorded by it.
    let facts = RigFacts { capabilities: Vec::new(), permissions: Permissions::default() };
    let selection = Selection { scope: scheme.scope.clone(), ..Selection::default() };
    Ok(Some(plan(&recorded.dossier, &facts, checks, &selection)?))
}
