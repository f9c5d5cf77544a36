//! `assess`: recorded results evaluated again, perhaps with another ICS or IXIT. The journal and the first evaluation of the run folder are not changed.

use crate::args::MethodArg;
use crate::commands::assessments::{self, Made};
use crate::commands::run::exit_of;
use crate::commands::run_folder::{DOSSIER, Recorded};
use crate::exit::Exit;
use anyhow::{Context, Result, bail};
use proofbench_assess::Options;
use proofbench_model::dossier::{Dossier, DossierFiles, NamedText};
use proofbench_model::journal::{Event, Journal};
use proofbench_model::{Method, Scheme};
use proofbench_report::text;
use proofbench_rig::read_dossier;
use std::collections::BTreeSet;
use std::path::Path;

/// What to evaluate with.
#[derive(Debug)]
pub struct With<'a> {
    /// Another ICS.
    pub ics: Option<&'a Path>,
    /// Another IXIT.
    pub ixit: Option<&'a Path>,
    /// Who makes it.
    pub by: Option<String>,
    /// Why.
    pub why: String,
    /// Which status table.
    pub method: MethodArg,
    /// Another profile.
    pub profile: Option<&'static Scheme>,
}

/// Prints the summary of the new assessment; keeps it where the supplier's side is another.
pub fn assess(dir: &Path, with: &With<'_>) -> Result<Exit> {
    let mut recorded = Recorded::read(dir)?;
    let method = match with.method {
        MethodArg::Ts103701 => Method::Ts103701,
        MethodArg::EnAnnexB => Method::EnAnnexB,
    };
    let own = recorded.options();
    let options = Options { method, ..with.profile.map_or(own, Options::of) };
    if with.ics.is_none() && with.ixit.is_none() {
        let assessment = recorded.assess(&options);
        print!("{}", text::summary(&recorded.run(&assessment)));
        return Ok(exit_of(assessment.exit_class()));
    }
    let by = author(with.by.as_deref())?;
    let mut files = read_dossier(&dir.join(DOSSIER))?;
    let before = recorded.assess(&own);
    for (path, file) in [(with.ics, &mut files.ics), (with.ixit, &mut files.ixit)] {
        if let Some(path) = path {
            let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
            *file = NamedText { name: path.display().to_string(), text };
        }
    }
    let mut dossier = Dossier::parse(&files)?;
    dossier.dir = recorded.dossier.dir.clone();
    let changes = changes(&recorded.dossier, &dossier);
    if let Some(path) = with.ixit {
        let why = not_tested_with(&recorded.journal, &recorded.dossier, &dossier);
        if !why.is_empty() {
            bail!("{}: the device was tested with other rows; that needs a new run:\n{}", path.display(), why.join("\n"));
        }
    }
    recorded.dossier = dossier;
    let assessment = recorded.assess(&options);
    print!("{}", text::summary(&recorded.run(&assessment)));
    println!();
    for change in &changes {
        println!("changed  {change}");
    }
    let word = |a: &proofbench_assess::Assessment| a.overall.map_or("none", |v| v.as_str()).to_owned();
    let made = Made { by, why: with.why.clone(), options, changes, before: word(&before), after: word(&assessment) };
    println!("overall  {} before, {} now", made.before, made.after);
    let kept = assessments::keep(dir, &recorded, &files, &made)?;
    println!("kept     {}, record {}", kept.folder.display(), kept.record);
    Ok(exit_of(assessment.exit_class()))
}

fn author(named: Option<&str>) -> Result<String> {
    let account = || ["USER", "LOGNAME"].iter().find_map(|v| std::env::var(v).ok());
    match named.map(str::to_owned).or_else(account).map(|n| n.trim().to_owned()) {
        Some(name) if !name.is_empty() => Ok(name),
        _ => bail!("an evaluation that is kept needs who made it: --by NAME"),
    }
}

/// What differs between two suppliers' sides, a line each.
fn changes(old: &Dossier, new: &Dossier) -> Vec<String> {
    let mut out = Vec::new();
    let ids: BTreeSet<_> = old.ics.rows().chain(new.ics.rows()).map(|r| r.provision.clone()).collect();
    for id in ids {
        let say = |d: &Dossier| d.ics.row(&id).map_or_else(|| "no row".to_owned(), |r| format!("{} {}", r.support, r.detail).trim_end().to_owned());
        let (a, b) = (say(old), say(new));
        if a != b {
            out.push(format!("ICS {id}: {a} -> {b}"));
        }
    }
    for n in 1..=28 {
        let say =
            |d: &Dossier| d.ics.condition(n).map_or_else(|| "not declared".to_owned(), |c| format!("{} {}", c.holds, c.detail).trim_end().to_owned());
        let (a, b) = (say(old), say(new));
        if a != b {
            out.push(format!("ICS condition {n}: {a} -> {b}"));
        }
    }
    for row in old.ixit.all_rows() {
        match new.ixit.row(&row.id) {
            None => out.push(format!("IXIT {}: gone", row.id)),
            Some(now) => {
                let keys: BTreeSet<&String> = row.fields.keys().chain(now.fields.keys()).collect();
                let differs = keys.into_iter().filter(|k| row.fields.get(*k) != now.fields.get(*k));
                out.extend(differs.map(|k| {
                    format!("IXIT {}, field `{k}`: other words; answers that persons gave on the old ones are to be looked at again", row.id)
                }));
            }
        }
    }
    out.extend(new.ixit.all_rows().filter(|r| old.ixit.row(&r.id).is_none()).map(|r| format!("IXIT {}: new", r.id)));
    for table in 1..=29 {
        let say = |d: &Dossier| d.ixit.declared_empty(table).map(|e| e.because.clone());
        if say(old) != say(new) {
            out.push(format!("IXIT table {table}: another statement on being empty"));
        }
    }
    out
}

/// Differences that recorded observations cannot speak of: in a table that a check acted on, rows or bindings that were not there when the device was tested.
///
/// A row that was added was never looked at, and what searched for undeclared things found them declared or not by the rows of that day.
fn not_tested_with(journal: &Journal, old: &Dossier, new: &Dossier) -> Vec<String> {
    let mut acted: BTreeSet<u8> = BTreeSet::new();
    for record in &journal.records {
        match &record.event {
            Event::Plan { due } => acted.extend(due.iter().filter_map(|d| d.row.as_ref()).map(|r| r.table)),
            Event::Observation(o) => acted.extend(o.row.as_ref().map(|r| r.table)),
            _ => {}
        }
    }
    // A table whose rows can be bound may have been acted on through another table's row (a service through its guard).
    acted.extend(old.ixit.all_rows().chain(new.ixit.all_rows()).filter(|r| r.bind.is_some()).map(|r| r.id.table));
    let mut out = Vec::new();
    for table in acted {
        for row in old.ixit.rows(table) {
            match new.ixit.row(&row.id) {
                None => out.push(format!("row {} is gone", row.id)),
                Some(now) if now.bind != row.bind => out.push(format!("row {}: field `bind` is another", row.id)),
                Some(_) => {}
            }
        }
        out.extend(new.ixit.rows(table).iter().filter(|r| old.ixit.row(&r.id).is_none()).map(|r| format!("row {} is new", r.id)));
        let says = |d: &Dossier| d.ixit.declared_empty(table).is_some();
        if says(old) != says(new) {
            out.push(format!("table {table}: whether it is empty"));
        }
    }
    out
}

/// Names of the dossier's files with their texts, in their order.
pub fn named(files: &DossierFiles) -> [(&'static str, &str); 3] {
    [("device.toml", &files.device.text), ("ics.toml", &files.ics.text), ("ixit.toml", &files.ixit.text)]
}
