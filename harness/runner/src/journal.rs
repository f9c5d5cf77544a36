//! The run folder: `journal.jsonl`, append-only and chained, and `evidence/` by digest, split per check. Written here, read and verified here.

use crate::sink::{Sink, digest};
use proofbench_channel::Moment;
use proofbench_model::journal::{BadJournal, Chain, Event, Header, Journal, Origin};
use proofbench_model::{CheckId, EvidenceId, Outcome};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Name of the journal in a run folder.
pub const JOURNAL: &str = "journal.jsonl";
/// Name of the folder of evidence in a run folder.
pub const EVIDENCE: &str = "evidence";

/// Files kept open until the next observation, at most.
const UNSYNCED_MOST: usize = 64;

/// Why a run folder cannot be written or believed.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A file cannot be read or written.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is a journal already.
    #[error("{} holds a run already; name another folder", .0.display())]
    Exists(PathBuf),
    /// The chain does not hold.
    #[error("{}: {source}", path.display())]
    Bad {
        /// The journal.
        path: PathBuf,
        /// What is wrong.
        source: BadJournal,
    },
}

/// Writes a journal. Every line is handed to the system before the bench goes on; observations and the end are forced to disk.
#[derive(Debug)]
pub struct JournalWriter {
    dir: PathBuf,
    file: File,
    chain: Chain,
    failed: Option<String>,
    kept: BTreeSet<(String, EvidenceId)>,
    /// Evidence written since the last sync: it is on disk before an observation that points to it.
    unsynced: Vec<File>,
    /// Folders with names that are not on disk yet.
    dirty: BTreeSet<PathBuf>,
    folders: BTreeSet<String>,
}

impl JournalWriter {
    /// Begins a run folder, with the header as first line. A folder that holds a journal is left alone.
    pub fn create(dir: &Path, header: Header) -> Result<JournalWriter, JournalError> {
        let io = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| JournalError::Io { doing, path, source }
        };
        let evidence = dir.join(EVIDENCE);
        fs::create_dir_all(&evidence).map_err(io("create", &evidence))?;
        let path = dir.join(JOURNAL);
        let file = match OpenOptions::new().append(true).create_new(true).open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Err(JournalError::Exists(dir.to_owned())),
            Err(e) => return Err(io("create", &path)(e)),
        };
        let mut writer = JournalWriter {
            dir: dir.to_owned(),
            file,
            chain: Chain::default(),
            failed: None,
            kept: BTreeSet::new(),
            unsynced: Vec::new(),
            dirty: BTreeSet::new(),
            folders: BTreeSet::new(),
        };
        writer.append(Moment::default(), Event::Header(header), true).map_err(io("write", &path))?;
        // The name of the journal itself must outlive a crash of the machine.
        File::open(dir).and_then(|d| d.sync_all()).map_err(io("sync", dir))?;
        Ok(writer)
    }

    /// Digest of the last line: what a manifest signs.
    pub fn head(&self) -> &str {
        self.chain.head()
    }

    /// A record of another run, under its own number, with the place where it was recorded first. Forced to disk with the end of the journal.
    pub fn copied(&mut self, at: Moment, from: Origin, event: Event) -> Result<(), JournalError> {
        let path = self.dir.join(JOURNAL);
        self.append_from(at, Some(from), event, false).map_err(|source| JournalError::Io { doing: "write", path, source })
    }

    fn append(&mut self, at: Moment, event: Event, sync: bool) -> io::Result<()> {
        self.append_from(at, None, event, sync)
    }

    fn append_from(&mut self, at: Moment, from: Option<Origin>, event: Event, sync: bool) -> io::Result<()> {
        let (_, mut line) = self.chain.append_from(at.0, from, event);
        line.push('\n');
        self.file.write_all(line.as_bytes())?;
        if sync {
            self.sync_evidence()?;
            self.file.sync_data()?;
        }
        Ok(())
    }

    fn keep(&mut self, folder: &str, id: &EvidenceId, bytes: &[u8]) -> io::Result<()> {
        let dir = self.dir.join(EVIDENCE).join(folder);
        if self.folders.insert(folder.to_owned()) {
            fs::create_dir_all(&dir)?;
        }
        // Written under another name first: a file called by a digest has that digest.
        let temporary = dir.join(format!(".{}", id.0));
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        fs::rename(&temporary, dir.join(&id.0))?;
        if self.unsynced.len() >= UNSYNCED_MOST {
            self.sync_evidence()?;
        }
        self.unsynced.push(file);
        self.dirty.insert(dir);
        Ok(())
    }

    fn sync_evidence(&mut self) -> io::Result<()> {
        for file in self.unsynced.drain(..) {
            file.sync_data()?;
        }
        for dir in std::mem::take(&mut self.dirty) {
            File::open(dir)?.sync_all()?;
        }
        Ok(())
    }
}

impl Sink for JournalWriter {
    fn event(&mut self, at: Moment, event: Event) {
        if self.failed.is_some() {
            return;
        }
        let sync = matches!(event, Event::Observation(_) | Event::Ended { .. });
        if let Err(e) = self.append(at, event, sync) {
            self.failed = Some(format!("write the journal {}: {e}", self.dir.join(JOURNAL).display()));
        }
    }

    fn evidence(&mut self, at: Moment, check: Option<&CheckId>, name: &str, bytes: &[u8]) -> EvidenceId {
        let id = digest(bytes);
        let folder = evidence_folder(check);
        if self.failed.is_some() || !self.kept.insert((folder.clone(), id.clone())) {
            return id;
        }
        if let Err(e) = self.keep(&folder, &id, bytes) {
            self.failed = Some(format!("write evidence {} into {}: {e}", id.0, self.dir.display()));
        }
        self.event(at, Event::Exchange { channel: "evidence".to_owned(), sent: None, got: Some(name.to_owned()), evidence: Some(id.clone()) });
        id
    }

    fn failed(&self) -> Option<String> {
        self.failed.clone()
    }
}

/// Folder below `evidence/` of what a check kept; `run` is the run's own.
pub fn evidence_folder(check: Option<&CheckId>) -> String {
    check.map_or_else(|| "run".to_owned(), |c| c.as_str().replace('/', "."))
}

/// A piece of evidence in a run folder, wherever it was kept.
pub fn find_evidence(run: &Path, id: &EvidenceId) -> Option<PathBuf> {
    // The name is a digest; anything else must not become a path.
    if id.0.len() != 64 || !id.0.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let folders = fs::read_dir(run.join(EVIDENCE)).ok()?;
    folders.flatten().map(|f| f.path().join(&id.0)).find(|p| p.is_file())
}

/// Reads a journal and checks its chain.
pub fn read(run: &Path) -> Result<Journal, JournalError> {
    let path = run.join(JOURNAL);
    let bytes = fs::read(&path).map_err(|source| JournalError::Io { doing: "read", path: path.clone(), source })?;
    // A torn write may end inside a character; everything before it is ours and is ASCII or whole.
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => {
            let valid = e.utf8_error().valid_up_to();
            let bytes = e.into_bytes();
            let rest_has_end = bytes[valid..].contains(&b'\n');
            if rest_has_end {
                let source = io::Error::new(io::ErrorKind::InvalidData, "bytes that are no text before the last line");
                return Err(JournalError::Io { doing: "read", path, source });
            }
            String::from_utf8_lossy(&bytes[..valid]).into_owned()
        }
    };
    Journal::read(&text).map_err(|source| JournalError::Bad { path, source })
}

/// What a look at a whole run folder found.
#[derive(Debug)]
pub struct Verified {
    /// The journal.
    pub journal: Journal,
    /// What is wrong, in words; empty if everything holds.
    pub problems: Vec<String>,
    /// Pieces of evidence that were checked.
    pub evidence: usize,
}

/// Reads the journal and checks that every piece of evidence it names is there with its digest, and that no other lies beside it.
/// A torn last line and a missing end are problems, but not errors: what stands before them can be used.
pub fn verify(run: &Path) -> Result<Verified, JournalError> {
    let journal = read(run)?;
    let mut problems = Vec::new();
    if journal.torn {
        problems.push("the last line is torn: the writer died in it".to_owned());
    }
    if journal.ended().is_none() {
        problems.push("the run did not come to its end".to_owned());
    }
    let mut named: BTreeMap<&EvidenceId, u64> = BTreeMap::new();
    for record in &journal.records {
        let ids: Vec<&EvidenceId> = match &record.event {
            Event::Observation(o) => o.evidence.iter().collect(),
            Event::Exchange { evidence: Some(id), .. } | Event::Restored { evidence: id, .. } => vec![id],
            Event::Indication(i) => i.evidence.iter().collect(),
            _ => Vec::new(),
        };
        for id in ids {
            named.entry(id).or_insert(record.seq);
        }
    }
    for (id, seq) in &named {
        match find_evidence(run, id).map(fs::read) {
            None => problems.push(format!("evidence {} of record {seq} is missing", id.0)),
            Some(Err(e)) => problems.push(format!("evidence {} of record {seq} cannot be read: {e}", id.0)),
            Some(Ok(bytes)) if digest(&bytes) != **id => problems.push(format!("evidence {} of record {seq} was changed", id.0)),
            Some(Ok(_)) => {}
        }
    }
    let folders = fs::read_dir(run.join(EVIDENCE)).into_iter().flatten().flatten();
    for file in folders.filter_map(|f| fs::read_dir(f.path()).ok()).flatten().flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !named.contains_key(&EvidenceId(name.clone())) {
            problems.push(format!("evidence {name} is named by no record"));
        }
    }
    Ok(Verified { evidence: named.len(), journal, problems })
}

/// Observations of a journal, in order; for reports and reassessment.
pub fn observations(journal: &Journal) -> impl Iterator<Item = &proofbench_model::Observation> {
    journal.records.iter().filter_map(|r| match &r.event {
        Event::Observation(o) => Some(o),
        _ => None,
    })
}

/// How many observations of each kind a journal has: satisfied, violated, unresolved.
pub fn tally(journal: &Journal) -> (usize, usize, usize) {
    observations(journal).fold((0, 0, 0), |(s, v, u), o| match o.outcome {
        Outcome::Satisfied => (s + 1, v, u),
        Outcome::Violated => (s, v + 1, u),
        Outcome::Unresolved(_) => (s, v, u + 1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proofbench_model::journal::GENESIS;
    use proofbench_model::{Claim, Observation};

    fn observation(evidence: EvidenceId) -> Observation {
        Observation {
            check: "power-loss/install".parse().unwrap(),
            unit: "5.9-2-2 b".parse().unwrap(),
            row: None,
            outcome: Outcome::Satisfied,
            expected: "e".into(),
            observed: "o".into(),
            evidence: vec![evidence],
            strength: None,
            replay: None,
            attempt: 1,
        }
    }

    /// A whole run folder: header, a note, evidence, an observation, the end.
    fn folder() -> (tempfile::TempDir, EvidenceId) {
        let dir = tempfile::tempdir().unwrap();
        let mut w = JournalWriter::create(dir.path(), Header::default()).unwrap();
        w.note(Moment(1), "begun");
        let check: CheckId = "power-loss/install".parse().unwrap();
        let id = w.evidence(Moment(2), Some(&check), "transcript.txt", b"what was said");
        w.observation(Moment(3), &observation(id.clone()));
        w.event(Moment(4), Event::Ended { claim: Claim::None });
        assert_eq!(w.failed(), None);
        (dir, id)
    }

    #[test]
    fn a_folder_that_was_written_holds() {
        let (dir, id) = folder();
        let v = verify(dir.path()).unwrap();
        assert_eq!(v.problems, Vec::<String>::new());
        assert_eq!((v.evidence, tally(&v.journal)), (1, (1, 0, 0)));
        assert_eq!(v.journal.records[0].prev, GENESIS);
        assert!(find_evidence(dir.path(), &id).unwrap().ends_with(format!("evidence/power-loss.install/{}", id.0)));
    }

    #[test]
    fn every_changed_byte_of_the_journal_is_noticed() {
        let (dir, _) = folder();
        let path = dir.path().join(JOURNAL);
        let whole = fs::read(&path).unwrap();
        // The last line has no line after it that names its digest: a manifest signs that one.
        let last = whole[..whole.len() - 1].iter().rposition(|b| *b == b'\n').unwrap();
        for at in (0..last).step_by(7) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&path, &bytes).unwrap();
            assert!(read(dir.path()).is_err(), "byte {at} changed and nobody noticed");
        }
    }

    #[test]
    fn a_torn_last_line_loses_no_observation() {
        let (dir, _) = folder();
        let path = dir.path().join(JOURNAL);
        let whole = fs::read(&path).unwrap();
        let last = whole[..whole.len() - 1].iter().rposition(|b| *b == b'\n').unwrap();
        for cut in [last + 2, whole.len() - 3] {
            fs::write(&path, &whole[..cut]).unwrap();
            let v = verify(dir.path()).unwrap();
            assert!(v.journal.torn && v.problems.iter().any(|p| p.contains("torn")));
            assert_eq!(tally(&v.journal).0, 1);
        }
    }

    #[test]
    fn evidence_that_was_changed_removed_or_added_is_noticed() {
        let (dir, id) = folder();
        let path = find_evidence(dir.path(), &id).unwrap();
        fs::write(&path, "other").unwrap();
        assert!(verify(dir.path()).unwrap().problems[0].contains("was changed"));
        fs::remove_file(&path).unwrap();
        assert!(verify(dir.path()).unwrap().problems[0].contains("is missing"));
        fs::write(&path, "what was said").unwrap();
        fs::write(path.with_file_name("ab"), "x").unwrap();
        assert!(verify(dir.path()).unwrap().problems[0].contains("named by no record"));
    }

    #[test]
    fn a_run_is_never_written_over_another() {
        let (dir, _) = folder();
        assert!(matches!(JournalWriter::create(dir.path(), Header::default()), Err(JournalError::Exists(_))));
    }

    #[test]
    fn a_journal_that_cannot_be_written_says_so_and_stays_so() {
        let dir = tempfile::tempdir().unwrap();
        let mut w = JournalWriter::create(dir.path(), Header::default()).unwrap();
        fs::remove_dir_all(dir.path().join(EVIDENCE)).unwrap();
        fs::write(dir.path().join(EVIDENCE), "").unwrap();
        w.evidence(Moment(0), None, "x", b"x");
        assert!(w.failed().unwrap().starts_with("write evidence "));
        w.note(Moment(0), "y");
        assert_eq!(fs::read_to_string(dir.path().join(JOURNAL)).unwrap().lines().count(), 1);
    }

    #[test]
    fn no_evidence_name_becomes_a_path() {
        let (dir, _) = folder();
        assert_eq!(find_evidence(dir.path(), &EvidenceId("../journal.jsonl".into())), None);
    }
}
