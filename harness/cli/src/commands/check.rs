//! `check`: rig files and dossiers, read and linted without touching hardware.

use crate::exit::Exit;
use anyhow::{Result, bail};
use proofbench_assess::lint::{self, Grade};
use proofbench_model::Method;
use proofbench_model::catalogue::Catalogue;
use proofbench_model::dossier::Dossier;
use proofbench_rig::{ResolvedRig, load_dossier, read_dossier};
use proofbench_runner::Check;
use proofbench_runner::plan::{RigFacts, Selection, plan};
use std::path::{Path, PathBuf};

/// Checks each; the worst decides the exit code.
pub fn check(files: &[PathBuf], checks: &[&'static Check]) -> Result<Exit> {
    let mut worst = Exit::Good;
    for file in files {
        match one(file, checks) {
            Ok(exit) => worst = worst.max(exit),
            Err(e) => {
                eprintln!("{}", crate::told_once(&e));
                worst = Exit::BadInput;
            }
        }
    }
    Ok(worst)
}

fn one(path: &Path, checks: &[&'static Check]) -> Result<Exit> {
    if path.is_dir() {
        return lint(path, &load_dossier(path)?);
    }
    if !path.exists() {
        bail!("{}: there is no such file or folder", path.display());
    }
    let rig = ResolvedRig::load(path)?;
    let names: Vec<String> = rig.capabilities().iter().map(ToString::to_string).collect();
    println!("{}: a rig with {}", path.display(), names.join(", "));
    let dossier = rig.load_dossier()?;
    let exit = lint(&rig.dossier, &dossier)?;
    let facts = RigFacts { capabilities: rig.capabilities(), permissions: rig.permissions };
    let plan = plan(&dossier, &facts, checks, &Selection::default())?;
    println!("{}: {} of {} checks would run", path.display(), plan.runs(), plan.checks.len());
    Ok(exit)
}

/// What makes the ICS invalid exits as a FAIL would; what is incomplete or disagrees as INCONCLUSIVE.
fn lint(dir: &Path, dossier: &Dossier) -> Result<Exit> {
    let findings = lint::lint(Catalogue::load(), &read_dossier(dir)?, dossier, Method::default());
    for finding in &findings {
        println!("{finding}");
    }
    for image in dossier.images() {
        if !dir.join(image).is_file() {
            bail!("{}: the image {image} that a binding names is not there", dir.display());
        }
    }
    let rows = dossier.ics.rows().count();
    println!(
        "{}: a dossier of {} with {rows} ICS rows and {} IXIT rows",
        dir.display(),
        dossier.device.identification.name,
        dossier.ixit.all_rows().count()
    );
    let count = |grade| findings.iter().filter(|f| f.grade == grade).count();
    if !findings.is_empty() {
        let (fails, incomplete, disagrees) = (count(Grade::Fails), count(Grade::Incomplete), count(Grade::Disagrees));
        println!("{}: {fails} make it invalid, {incomplete} leave it incomplete, {disagrees} disagree", dir.display());
    }
    Ok(match findings.iter().map(|f| f.grade).min() {
        None => Exit::Good,
        Some(Grade::Fails) => Exit::Failed,
        Some(Grade::Incomplete | Grade::Disagrees) => Exit::Inconclusive,
    })
}
