//! Later evaluations of a run: `assessments/<n>/`, each with what went in, what came out, who made it and when.
//!
//! A record names the digest of the record before it and the end of the journal that it was made from, so that `verify` can make it again from its own
//! inputs. The run's own evaluation is never replaced. Taking away the last evaluation cannot be seen from inside: who relies on one notes its digest,
//! which `assess` prints.

use crate::commands::assess::named;
use crate::commands::run_folder::{DOSSIER, Recorded, write_whole};
use anyhow::{Context, Result};
use proofbench_assess::Options;
use proofbench_model::catalogue::{PROVISIONS_TOML, TS103701_TOML};
use proofbench_model::dossier::DossierFiles;
use proofbench_model::journal::{GENESIS, Journal, sha256_hex};
use proofbench_model::{Method, Scheme};
use proofbench_rig::load_dossier;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Folder of the later evaluations.
pub const ASSESSMENTS: &str = "assessments";
const RECORD: &str = "record.json";

/// What the caller knows of an evaluation.
#[derive(Debug)]
pub struct Made {
    /// Who made it.
    pub by: String,
    /// Why.
    pub why: String,
    /// How.
    pub options: Options,
    /// What differs from the dossier of the run.
    pub changes: Vec<String>,
    /// Overall verdict of the run's own evaluation.
    pub before: String,
    /// Overall verdict of this one.
    pub after: String,
}

/// `record.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    format: u32,
    number: u32,
    run: String,
    /// RFC 3339.
    made: String,
    by: String,
    why: String,
    program: String,
    method: Method,
    profile: String,
    /// Digest of the journal's last line at that time.
    journal_head: String,
    /// Digest of the record before; zeros for the first.
    previous: String,
    changes: Vec<String>,
    overall_before: String,
    overall: String,
    /// SHA-256 of everything that went in, by name.
    inputs: BTreeMap<String, String>,
    /// SHA-256 of everything that came out, by name.
    files: BTreeMap<String, String>,
}

/// Where an evaluation was kept.
#[derive(Debug)]
pub struct Kept {
    /// Its folder.
    pub folder: PathBuf,
    /// Digest of its record.
    pub record: String,
}

fn inputs<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>, scheme: &Scheme) -> BTreeMap<String, String> {
    let mut out: BTreeMap<String, String> = files.map(|(name, bytes)| (format!("dossier {name}"), sha256_hex(bytes))).collect();
    out.insert("catalogue provisions.toml".to_owned(), sha256_hex(PROVISIONS_TOML.as_bytes()));
    out.insert("catalogue ts103701.toml".to_owned(), sha256_hex(TS103701_TOML.as_bytes()));
    out.insert(format!("profile {}", scheme.name), sha256_hex(scheme.text().as_bytes()));
    out
}

fn scheme_of(options: &Options) -> &'static Scheme {
    options.scheme.unwrap_or_else(|| Scheme::of_reader(options.profile))
}

/// Keeps an evaluation under the next number. Its folder appears whole or not at all.
pub fn keep(run: &Path, recorded: &Recorded, files: &DossierFiles, made: &Made) -> Result<Kept> {
    let root = run.join(ASSESSMENTS);
    fs::create_dir_all(&root).with_context(|| format!("create {}", root.display()))?;
    let number = numbers(&root)?.last().map_or(1, |n| n + 1);
    let previous = match number {
        1 => GENESIS.to_owned(),
        n => {
            let path = root.join((n - 1).to_string()).join(RECORD);
            sha256_hex(&fs::read(&path).with_context(|| format!("read {}", path.display()))?)
        }
    };
    let reports = recorded.reports_with(&made.options)?;
    let scheme = scheme_of(&made.options);
    let record = Record {
        format: 1,
        number,
        run: recorded.journal.header().run.clone(),
        made: jiff::Timestamp::now().to_string(),
        by: made.by.clone(),
        why: made.why.clone(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        method: made.options.method,
        profile: scheme.name.clone(),
        journal_head: recorded.journal.head.clone(),
        previous,
        changes: made.changes.clone(),
        overall_before: made.before.clone(),
        overall: made.after.clone(),
        inputs: inputs(named(files).into_iter().map(|(n, t)| (n, t.as_bytes())), scheme),
        files: reports.iter().map(|(name, text)| ((*name).to_owned(), sha256_hex(text.as_bytes()))).collect(),
    };
    let text = format!("{}\n", serde_json::to_string_pretty(&record)?);
    let scratch = tempfile::Builder::new().prefix(".making-").tempdir_in(&root).with_context(|| format!("write into {}", root.display()))?;
    let dossier = scratch.path().join(DOSSIER);
    fs::create_dir(&dossier).with_context(|| format!("create {}", dossier.display()))?;
    for (name, text) in named(files) {
        write_whole(&dossier.join(name), text.as_bytes())?;
    }
    for (name, text) in &reports {
        write_whole(&scratch.path().join(name), text.as_bytes())?;
    }
    write_whole(&scratch.path().join(RECORD), text.as_bytes())?;
    let folder = root.join(number.to_string());
    // As readable as the run folder itself; a scratch folder is its maker's only.
    let mode = fs::metadata(&root).with_context(|| format!("read {}", root.display()))?.permissions();
    fs::set_permissions(scratch.path(), mode).with_context(|| format!("write {}", folder.display()))?;
    fs::rename(scratch.path(), &folder).with_context(|| format!("write {}", folder.display()))?;
    // It is not there any more under this name; nothing is left to remove.
    let _ = scratch.keep();
    Ok(Kept { folder, record: sha256_hex(text.as_bytes()) })
}

/// Numbers of the evaluations that are there, in order.
fn numbers(root: &Path) -> Result<Vec<u32>> {
    let mut out = Vec::new();
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(out),
        Err(e) => return Err(e).with_context(|| format!("read {}", root.display())),
    };
    for entry in entries {
        let name = entry.with_context(|| format!("read {}", root.display()))?.file_name();
        out.extend(name.to_str().and_then(|n| n.parse::<u32>().ok()));
    }
    out.sort_unstable();
    Ok(out)
}

/// How many later evaluations there are, and what is wrong with them: each is made again from its own inputs.
pub fn verify(run: &Path, journal: &Journal) -> Result<(usize, Vec<String>)> {
    let root = run.join(ASSESSMENTS);
    let numbers = numbers(&root)?;
    let mut problems = Vec::new();
    let mut previous = GENESIS.to_owned();
    for (number, expected) in numbers.iter().zip(1..) {
        let name = format!("{ASSESSMENTS}/{number}");
        if *number != expected {
            problems.push(format!("{name}: evaluation {expected} is missing before it"));
        }
        let folder = root.join(number.to_string());
        match one(&folder, *number, &previous, journal) {
            Ok((digest, wrong)) => {
                previous = digest;
                problems.extend(wrong.into_iter().map(|w| format!("{name}: {w}")));
            }
            Err(e) => problems.push(format!("{name}: {e:#}")),
        }
    }
    Ok((numbers.len(), problems))
}

fn one(folder: &Path, number: u32, previous: &str, journal: &Journal) -> Result<(String, Vec<String>)> {
    let path = folder.join(RECORD);
    let text = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    let record: Record = serde_json::from_slice(&text).with_context(|| format!("read {}", path.display()))?;
    let mut wrong = Vec::new();
    if record.format != 1 || record.number != number {
        wrong.push(format!("{RECORD} is that of evaluation {} in format {}", record.number, record.format));
    }
    if record.previous != previous {
        wrong.push(format!("{RECORD} names another record before it: one was changed, removed or added"));
    }
    let scheme = Scheme::find(&record.profile).map_err(|e| anyhow::anyhow!("{RECORD}: {e}"))?;
    let dossier = folder.join(DOSSIER);
    let texts: Vec<(&str, Vec<u8>)> = ["device.toml", "ics.toml", "ixit.toml"]
        .into_iter()
        .map(|name| fs::read(dossier.join(name)).map(|b| (name, b)).with_context(|| format!("read {}", dossier.join(name).display())))
        .collect::<Result<_>>()?;
    let now = inputs(texts.iter().map(|(n, b)| (*n, b.as_slice())), scheme);
    for (name, digest) in &now {
        if record.inputs.get(name) != Some(digest) {
            wrong.push(format!("{name} is not what went in"));
        }
    }
    if let Some(name) = record.inputs.keys().find(|n| !now.contains_key(*n)) {
        wrong.push(format!("{name} went in and is not there"));
    }
    let Some(journal) = as_of(journal, &record.journal_head) else {
        wrong.push("it was made from another journal than the one that is here".to_owned());
        return Ok((sha256_hex(&text), wrong));
    };
    let recorded = Recorded { journal, dossier: load_dossier(&dossier)? };
    let options = Options { method: record.method, ..Options::of(scheme) };
    let reports = recorded.reports_with(&options)?;
    for (name, text) in &reports {
        let digest = sha256_hex(text.as_bytes());
        match fs::read(folder.join(name)) {
            Ok(bytes) if bytes != text.as_bytes() => wrong.push(format!("{name} is not what its inputs give")),
            Ok(_) if record.files.get(*name) != Some(&digest) => wrong.push(format!("{name} is not what {RECORD} names")),
            Ok(_) => {}
            Err(e) => wrong.push(format!("{name} cannot be read: {e}")),
        }
    }
    let known = |name: &str| name == RECORD || name == DOSSIER || reports.contains_key(name);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !known(&name) {
            wrong.push(format!("{name} does not belong to it"));
        }
    }
    Ok((sha256_hex(&text), wrong))
}

/// The journal as it was when its last line had this digest: amendments may have been added since.
fn as_of(journal: &Journal, head: &str) -> Option<Journal> {
    if journal.head == head {
        return Some(journal.clone());
    }
    let after = journal.records.iter().position(|r| r.prev == head).filter(|i| *i > 0)?;
    Some(Journal { records: journal.records[..after].to_vec(), torn: false, head: head.to_owned() })
}
