//! Files of a run folder that are made from its journal: the copied dossier, the reports, the manifest. Whole or not at all.

use anyhow::{Context, Result};
use proofbench_assess::{Assessment, Options, Records, assess};
use proofbench_model::Scheme;
use proofbench_model::catalogue::Catalogue;
use proofbench_model::dossier::Dossier;
use proofbench_model::journal::{Journal, sha256_hex};
use proofbench_report::junit::{Dialect, render};
use proofbench_report::{Run, coverage, html, provisions, text, units};
use proofbench_rig::{DOSSIER_FILES, load_dossier, read_dossier};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Folder of the copied dossier.
pub const DOSSIER: &str = "dossier";
/// Digests of all files.
pub const MANIFEST: &str = "manifest.json";
/// Reports that are a pure function of the journal and the copied dossier.
pub const REPORTS: [&str; 7] = ["junit.xml", "junit-provisions.xml", "summary.txt", "ics.txt", "assessment.json", "coverage.txt", "report.html"];

/// A run as it stands on disk.
pub struct Recorded {
    /// Its records.
    pub journal: Journal,
    /// The dossier that it was run with, secrets of the sample removed.
    pub dossier: Dossier,
}

impl Recorded {
    /// Reads journal and dossier of a run folder.
    pub fn read(dir: &Path) -> Result<Recorded> {
        let journal = proofbench_runner::journal::read(dir)?;
        let name = &journal.header().scheme;
        if !name.is_empty() {
            // A result is not shown as if it were about everything because its profile is not known.
            Scheme::find(name).map_err(|e| anyhow::anyhow!("{}: {e}", dir.display()))?;
        }
        let dossier = load_dossier(&dir.join(DOSSIER)).with_context(|| format!("{} holds no dossier that can be read", dir.display()))?;
        Ok(Recorded { journal, dossier })
    }

    /// Assesses it.
    pub fn assess(&self, options: &Options) -> Assessment {
        assess(Catalogue::load(), &self.dossier, &Records::of(&self.journal), options)
    }

    /// What reports are made from.
    pub fn run<'a>(&'a self, assessment: &'a Assessment) -> Run<'a> {
        let started = self.journal.header().started.parse::<jiff::Timestamp>().map(|t| t.as_second()).unwrap_or_default();
        Run { journal: &self.journal, assessment, started_unix: started }
    }

    /// How it was meant to be assessed: in the profile that the run was started with. [`Recorded::read`] refuses one that is not known.
    pub fn options(&self) -> Options {
        let header = self.journal.header();
        let scheme = Scheme::find(&header.scheme).unwrap_or_else(|_| Scheme::of_reader(header.profile));
        Options { profile: header.profile, ..Options::of(scheme) }
    }

    /// All reports by file name, in the profile that the run was started with.
    pub fn reports(&self) -> Result<BTreeMap<&'static str, String>> {
        self.reports_with(&self.options())
    }

    /// All reports by file name.
    pub fn reports_with(&self, options: &Options) -> Result<BTreeMap<&'static str, String>> {
        let assessment = self.assess(options);
        let run = self.run(&assessment);
        let mut out = BTreeMap::new();
        out.insert(REPORTS[0], render(&units::suites(&run), Dialect::Extended)?);
        out.insert(REPORTS[1], render(&provisions::suites(&run), Dialect::Extended)?);
        out.insert(REPORTS[2], text::summary(&run));
        out.insert(REPORTS[3], text::ics(&run));
        out.insert(REPORTS[4], text::json(&run));
        out.insert(REPORTS[5], coverage::table(&run));
        out.insert(REPORTS[6], html::page(&run)?);
        Ok(out)
    }
}

/// Copies the dossier into the run folder, so that the run can be assessed again without anything else. The secret of the sample is left out.
pub fn copy_dossier(dossier: &Path, run: &Path) -> Result<()> {
    let files = read_dossier(dossier)?;
    let into = run.join(DOSSIER);
    fs::create_dir_all(&into).with_context(|| format!("create {}", into.display()))?;
    for (name, file) in DOSSIER_FILES.iter().zip([&files.device, &files.ics, &files.ixit]) {
        let text = if *name == DOSSIER_FILES[0] { without_secret(&file.text)? } else { file.text.clone() };
        write_whole(&into.join(name), text.as_bytes())?;
    }
    Ok(())
}

fn without_secret(device: &str) -> Result<String> {
    let mut table: toml::Table = device.parse().context("read device.toml")?;
    if let Some(label) = table.get_mut("sample").and_then(|s| s.get_mut("label")).and_then(toml::Value::as_table_mut) {
        label.insert("secret".to_owned(), toml::Value::String("(not recorded)".to_owned()));
    }
    Ok(format!("# Copy of the dossier's device.toml; the secret of the sample is left out.\n{table}"))
}

/// Writes a file under another name first, so that it is there whole or not at all.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        // As readable as any file the user makes: a pipeline collects the reports under another account.
        let mode = fs::Permissions::from_mode(0o666);
        let mut file = tempfile::Builder::new().permissions(mode).tempfile_in(dir)?;
        file.write_all(bytes)?;
        file.as_file().sync_data()?;
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    write().with_context(|| format!("write {}", path.display()))
}

/// Makes all reports and the manifest.
pub fn write_reports(dir: &Path) -> Result<Recorded> {
    let recorded = Recorded::read(dir)?;
    for (name, text) in recorded.reports()? {
        write_whole(&dir.join(name), text.as_bytes())?;
    }
    let manifest = manifest(dir, &recorded.journal)?;
    write_whole(&dir.join(MANIFEST), manifest.as_bytes())?;
    Ok(recorded)
}

/// Digest of the journal's last line, and of every file but the evidence (which is called by its digest) and the manifest itself.
fn manifest(dir: &Path, journal: &Journal) -> Result<String> {
    let mut files = BTreeMap::new();
    let names = REPORTS.iter().map(|r| (*r).to_owned());
    let names = names.chain([proofbench_runner::journal::JOURNAL.to_owned(), "replay.json".to_owned()]);
    for name in names.chain(DOSSIER_FILES.iter().map(|f| format!("{DOSSIER}/{f}"))) {
        let path = dir.join(&name);
        if path.exists() {
            let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
            files.insert(name, sha256_hex(&bytes));
        }
    }
    let whole = serde_json::json!({ "format": 1, "run": journal.header().run, "journal_head": journal.head, "files": files });
    Ok(format!("{}\n", serde_json::to_string_pretty(&whole)?))
}
