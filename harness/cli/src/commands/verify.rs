//! `verify`: is a run folder whole, and do its reports say what its journal says. No rig is needed.

use crate::commands::assessments;
use crate::commands::run_folder::{MANIFEST, Recorded};
use crate::exit::Exit;
use anyhow::{Context, Result};
use proofbench_model::journal::sha256_hex;
use std::path::Path;

/// Prints what is wrong, or that nothing is.
pub fn verify(dir: &Path) -> Result<Exit> {
    let found = proofbench_runner::journal::verify(dir)?;
    let mut problems = found.problems;
    match Recorded::read(dir).and_then(|r| r.reports()) {
        Ok(reports) => {
            for (name, text) in &reports {
                match std::fs::read(dir.join(name)) {
                    Ok(bytes) if bytes == text.as_bytes() => {}
                    Ok(_) => problems.push(format!("{name} is not what the journal gives")),
                    Err(e) => problems.push(format!("{name} cannot be read: {e}")),
                }
            }
        }
        Err(e) => problems.push(format!("the reports cannot be made again: {e:#}")),
    }
    problems.extend(manifest(dir, &found.journal.head)?);
    problems.extend(proofbench_runner::merge::check(dir, &found.journal));
    let (evaluations, wrong) = assessments::verify(dir, &found.journal)?;
    problems.extend(wrong);
    for problem in &problems {
        println!("PROBLEM  {problem}");
    }
    println!(
        "{} records, {} pieces of evidence{}, chain {}: {}",
        found.journal.records.len(),
        found.evidence,
        if evaluations == 0 { String::new() } else { format!(", {evaluations} later evaluations") },
        found.journal.head.get(..12).unwrap_or_default(),
        if problems.is_empty() { "everything holds" } else { "NOT to be relied on" }
    );
    Ok(if problems.is_empty() { Exit::Good } else { Exit::Failed })
}

fn manifest(dir: &Path, head: &str) -> Result<Vec<String>> {
    let path = dir.join(MANIFEST);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) => return Ok(vec![format!("{MANIFEST} cannot be read: {e}")]),
    };
    let whole: serde_json::Value = serde_json::from_str(&text).with_context(|| format!("read {}", path.display()))?;
    let mut problems = Vec::new();
    if whole["journal_head"].as_str() != Some(head) {
        problems.push("the manifest names another end of the journal: lines were added or removed".to_owned());
    }
    for (name, digest) in whole["files"].as_object().into_iter().flatten() {
        match std::fs::read(dir.join(name)) {
            Ok(bytes) if Some(sha256_hex(&bytes).as_str()) == digest.as_str() => {}
            Ok(_) => problems.push(format!("{name} was changed after the manifest was made")),
            Err(e) => problems.push(format!("{name} of the manifest cannot be read: {e}")),
        }
    }
    Ok(problems)
}
