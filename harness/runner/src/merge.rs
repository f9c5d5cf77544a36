//! Partial runs of one device, on several rigs, as one run folder.
//!
//! The merged journal is a chain of its own. Every record of a source that bears on an assessment is in it, with the run and the number under which it was
//! recorded first; the source journals lie beside it, whole. Attempts are counted on over the sources of a check, in the order in which they were begun,
//! but for sources that say of a check only that their rig cannot do it: they come first, for they say nothing of the device. So the rules on attempts hold
//! as in one run: a violation stands, whatever another rig saw, and a later answer may resolve what an earlier one could not.

use crate::journal::{EVIDENCE, JOURNAL, JournalError, JournalWriter, Verified, verify};
use crate::plan::Plan;
use crate::sink::Sink;
use proofbench_channel::Moment;
use proofbench_model::journal::{Amendment, Event, Header, Journal, Origin, Subject};
use proofbench_model::{CheckId, Claim, Fate, Outcome, Reason, UnitId};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Folder of the source journals in a merged run.
pub const SOURCES: &str = "sources";
/// Digests of a header that must be the same in all sources begin with one of these.
const SAME: [&str; 4] = ["dossier ", "catalogue ", "chip-families", "profile "];

/// Why runs cannot be merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A file cannot be read or written, or a journal is not whole.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A file beside the journal.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A source does not verify.
    #[error("{} cannot be relied on: {}", run.display(), problems.join("; "))]
    NotWhole {
        /// The run folder.
        run: PathBuf,
        /// What is wrong.
        problems: Vec<String>,
    },
    /// Two sources are not about the same thing.
    #[error("{} and {} cannot be merged: {what} differs: {} and {}", one.display(), other.display(), values.0, values.1)]
    Differs {
        /// A run folder.
        one: PathBuf,
        /// Another.
        other: PathBuf,
        /// What differs.
        what: String,
        /// What stands in each.
        values: (String, String),
    },
    /// A run is named twice.
    #[error("{} and {} are the same run: its answers would count twice", one.display(), other.display())]
    Twice {
        /// A run folder.
        one: PathBuf,
        /// The other.
        other: PathBuf,
    },
}

/// What was merged.
#[derive(Debug)]
pub struct Merged {
    /// Names of the sources in the merged folder, in the order in which they were begun.
    pub sources: Vec<String>,
    /// What the merged run claims.
    pub claim: Claim,
    /// Answers that a whole run owes and that no source was asked for.
    pub lacking: Vec<String>,
    /// What the reader should know.
    pub notes: Vec<String>,
}

struct Source {
    dir: PathBuf,
    name: String,
    journal: Journal,
}

/// Reads and compares the sources. They are those that [`merge`] takes, in the order in which they were begun.
pub struct Sources(Vec<Source>);

impl Sources {
    /// Refuses sources that are not whole, or not about one dossier and one device.
    pub fn read(dirs: &[PathBuf]) -> Result<Self, MergeError> {
        let mut sources = Vec::new();
        for dir in dirs {
            let Verified { journal, problems, .. } = verify(dir)?;
            // A run that was cut short is whole as far as it goes; what it owed and did not answer shows in the assessment.
            let problems: Vec<String> = problems.into_iter().filter(|p| p.starts_with("evidence ")).collect();
            if !problems.is_empty() {
                return Err(MergeError::NotWhole { run: dir.clone(), problems });
            }
            sources.push(Source { dir: dir.clone(), name: String::new(), journal });
        }
        sources.sort_by(|a, b| a.journal.header().started.cmp(&b.journal.header().started).then_with(|| a.dir.cmp(&b.dir)));
        for (n, source) in sources.iter_mut().enumerate() {
            let run: String =
                source.journal.header().run.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).take(60).collect();
            source.name = format!("{}-{run}", n + 1);
        }
        for (i, other) in sources.iter().enumerate().skip(1) {
            for one in &sources[..i] {
                if one.journal.head == other.journal.head || one.journal.records[0] == other.journal.records[0] {
                    return Err(MergeError::Twice { one: one.dir.clone(), other: other.dir.clone() });
                }
            }
            same(&sources[0], other)?;
        }
        Ok(Self(sources))
    }

    /// The folder whose copied dossier stands for all.
    pub fn dossier_of(&self) -> &Path {
        &self.0[0].dir
    }

    /// The version of this program that made them.
    pub fn program(&self) -> &str {
        self.0[0].journal.header().versions.get("proofbench").map_or("", String::as_str)
    }

    /// The header that they share, as far as it is needed to plan.
    pub fn header(&self) -> &Header {
        self.0[0].journal.header()
    }
}

fn same(one: &Source, other: &Source) -> Result<(), MergeError> {
    let (a, b) = (one.journal.header(), other.journal.header());
    let differs = |what: String, x: &str, y: &str| {
        let shown = |t: &str| if t.is_empty() { "nothing".to_owned() } else { t.to_owned() };
        Err(MergeError::Differs { one: one.dir.clone(), other: other.dir.clone(), what, values: (shown(x), shown(y)) })
    };
    let of = |m: &BTreeMap<String, String>, key: &str| m.get(key).cloned().unwrap_or_default();
    if a.dut.is_empty() || b.dut.is_empty() {
        return differs("which device it was".to_owned(), &format!("{:?}", a.dut), &format!("{:?}", b.dut));
    }
    if let Some(key) = a.dut.keys().chain(b.dut.keys()).find(|k| a.dut.get(*k) != b.dut.get(*k)) {
        return differs(format!("the device's {key}"), &of(&a.dut, key), &of(&b.dut, key));
    }
    let digests: BTreeSet<&String> = a.digests.keys().chain(b.digests.keys()).filter(|k| SAME.iter().any(|s| k.starts_with(s))).collect();
    if let Some(key) = digests.into_iter().find(|k| a.digests.get(*k) != b.digests.get(*k)) {
        return differs(format!("the digest of {key}"), &of(&a.digests, key), &of(&b.digests, key));
    }
    if a.scheme != b.scheme || a.profile != b.profile {
        return differs("the profile".to_owned(), &a.scheme, &b.scheme);
    }
    if a.versions.get("proofbench") != b.versions.get("proofbench") {
        return differs("the version of proofbench".to_owned(), &of(&a.versions, "proofbench"), &of(&b.versions, "proofbench"));
    }
    Ok(())
}

/// Writes journal and evidence of the merged run. `whole` is the plan of a run of everything: with it the merged run may claim everything, if it owes no
/// answer that the sources were not asked for. Without it, it claims nothing.
pub fn merge(sources: &Sources, out: &Path, whole: Option<&Plan>) -> Result<Merged, MergeError> {
    let sources = &sources.0;
    let lacking = whole.map(|plan| lacking(sources, plan));
    let claim = if lacking.as_ref().is_some_and(Vec::is_empty) { Claim::Full } else { Claim::None };
    let mut notes = Vec::new();
    let mut writer = JournalWriter::create(out, header(sources, out, claim))?;
    let offsets = offsets(sources);
    let mut base = 0;
    for (index, source) in sources.iter().enumerate() {
        let header = source.journal.header();
        let text = format!("from run {}: {} of {}, journal {}", source.name, header.run, header.started, source.journal.head);
        writer.event(Moment(base), Event::Note { text: text.clone() });
        if source.journal.torn || source.journal.ended().is_none() {
            notes.push(format!("{} did not come to its end: what it owed and no other run answered counts as harness-fault", source.name));
        }
        let mut last = 0;
        for record in &source.journal.records {
            last = last.max(record.at);
            if let Some(event) = carried(&record.event, |check| offsets.get(&(index, check.clone())).copied().unwrap_or(0)) {
                writer.copied(Moment(base + record.at), Origin { run: source.name.clone(), seq: record.seq }, event)?;
            }
        }
        base += last + 1;
        copy_evidence(&source.dir, out)?;
        keep_source(source, out)?;
    }
    for (unit, fate) in unit_fates(sources, whole.filter(|_| claim == Claim::Full)) {
        writer.event(Moment(base), Event::Fate { subject: Subject::Unit(unit), fate });
    }
    for (check, fate) in check_fates(sources) {
        writer.event(Moment(base), Event::Fate { subject: Subject::Check(check), fate });
    }
    writer.event(Moment(base), Event::Ended { claim });
    if let Some(why) = writer.failed() {
        let path = out.join(JOURNAL);
        return Err(MergeError::Io { doing: "write", path, source: io::Error::other(why) });
    }
    Ok(Merged { sources: sources.iter().map(|s| s.name.clone()).collect(), claim, lacking: lacking.unwrap_or_default(), notes })
}

fn header(sources: &[Source], out: &Path, claim: Claim) -> Header {
    let first = sources[0].journal.header();
    let mut header = Header {
        run: out.file_name().map_or_else(|| "merged".to_owned(), |n| n.to_string_lossy().into_owned()),
        started: first.started.clone(),
        seed: first.seed,
        dut: first.dut.clone(),
        profile: first.profile,
        scheme: first.scheme.clone(),
        claim: Some(claim),
        ..Header::default()
    };
    for source in sources {
        let own = source.journal.header();
        header.digests.insert(format!("source journal {}", source.name), source.journal.head.clone());
        for (key, value) in &own.digests {
            let name = if SAME.iter().any(|s| key.starts_with(s)) { key.clone() } else { format!("{} {key}", source.name) };
            header.digests.insert(name, value.clone());
        }
        for (key, value) in &own.versions {
            let name = if key == "proofbench" { key.clone() } else { format!("{} {key}", source.name) };
            header.versions.insert(name, value.clone());
        }
        header.channels.extend(own.channels.iter().map(|(k, v)| (format!("{} {k}", source.name), v.clone())));
        header.permissions.extend(own.permissions.iter().map(|p| format!("{} {p}", source.name)));
        header.chip_families.extend(own.chip_families.clone());
    }
    header
}

/// What a record of a source is in the merged journal; nothing for those that speak of the run as a whole, in whose place the merged run's own stand.
fn carried(event: &Event, offset: impl Fn(&CheckId) -> u32) -> Option<Event> {
    Some(match event {
        Event::Header(_) | Event::Ended { .. } | Event::Fate { .. } => return None,
        Event::Observation(o) => {
            let mut o = o.clone();
            o.attempt += offset(&o.check);
            Event::Observation(o)
        }
        Event::CheckStarted { check, attempt } => Event::CheckStarted { check: check.clone(), attempt: attempt + offset(check) },
        Event::Amendment(Amendment::Annul(a)) => {
            let mut a = a.clone();
            a.attempt += offset(&a.check);
            Event::Amendment(Amendment::Annul(a))
        }
        other => other.clone(),
    })
}

/// By how much the attempts of a check are moved in each source, so that no two sources share a number.
fn offsets(sources: &[Source]) -> BTreeMap<(usize, CheckId), u32> {
    /// Highest attempt of a check in a source, and whether that rig could do it at all.
    struct Said {
        source: usize,
        most: u32,
        able: bool,
    }
    let mut said: BTreeMap<&CheckId, Vec<Said>> = BTreeMap::new();
    for (index, source) in sources.iter().enumerate() {
        for record in &source.journal.records {
            let (check, attempt, able) = match &record.event {
                Event::Observation(o) => {
                    let unable = matches!(o.outcome, Outcome::Unresolved(Reason::RigCapabilityMissing | Reason::ToolMissing));
                    (&o.check, o.attempt, !unable)
                }
                Event::CheckStarted { check, attempt } => (check, *attempt, false),
                Event::Amendment(Amendment::Annul(a)) => (&a.check, a.attempt, false),
                _ => continue,
            };
            let of_check = said.entry(check).or_default();
            match of_check.last_mut().filter(|s| s.source == index) {
                Some(s) => {
                    s.most = s.most.max(attempt);
                    s.able |= able;
                }
                None => of_check.push(Said { source: index, most: attempt, able }),
            }
        }
    }
    let mut out = BTreeMap::new();
    for (check, mut of_check) in said {
        // Stable: among those that could, and among those that could not, the order in which they were begun stays.
        of_check.sort_by_key(|s| s.able);
        let mut before = 0;
        for s in of_check {
            out.insert((s.source, check.clone()), before);
            before += s.most;
        }
    }
    out
}

/// Answers that a run of everything owes and that no source was asked for.
fn lacking(sources: &[Source], whole: &Plan) -> Vec<String> {
    let mut owed = BTreeSet::new();
    for record in sources.iter().flat_map(|s| &s.journal.records) {
        if let Event::Plan { due } = &record.event {
            owed.extend(due.iter());
        }
    }
    let row = |d: &proofbench_model::journal::Due| d.row.as_ref().map(|r| format!(" [{r}]")).unwrap_or_default();
    whole.due().iter().filter(|d| !owed.contains(d)).map(|d| format!("{} on {}{}", d.check, d.unit, row(d))).collect()
}

/// Fates of units that did not come to run. Of a merged run that claims everything they are those of a run of everything; otherwise a unit is not selected
/// only where no source selected it.
fn unit_fates(sources: &[Source], whole: Option<&Plan>) -> BTreeMap<UnitId, Fate> {
    if let Some(plan) = whole {
        let told = plan.units.iter().filter(|(_, fate)| !matches!(fate, Fate::Run | Fate::NotRun { .. } | Fate::CannotRun { .. }));
        return told.map(|(u, f)| (u.clone(), f.clone())).collect();
    }
    let mut out: BTreeMap<UnitId, Vec<&Fate>> = BTreeMap::new();
    for record in sources.iter().flat_map(|s| &s.journal.records) {
        if let Event::Fate { subject: Subject::Unit(unit), fate } = &record.event {
            out.entry(unit.clone()).or_default().push(fate);
        }
    }
    // A source in whose journal a unit has no fate ran it, or left it to a person.
    let told = out.into_iter().filter(|(_, fates)| fates.len() == sources.len());
    told.filter_map(|(unit, fates)| Some((unit, fates.into_iter().min_by_key(|f| precedence(f))?.clone()))).collect()
}

/// The fate of each check: that of the source in which most came of it.
fn check_fates(sources: &[Source]) -> BTreeMap<CheckId, Fate> {
    let mut out: BTreeMap<CheckId, Fate> = BTreeMap::new();
    for record in sources.iter().flat_map(|s| &s.journal.records) {
        let (check, fate) = match &record.event {
            Event::Fate { subject: Subject::Check(check), fate } | Event::CheckEnded { check, fate, .. } => (check, fate),
            _ => continue,
        };
        match out.get(check) {
            Some(there) if precedence(there) <= precedence(fate) => {}
            _ => {
                out.insert(check.clone(), fate.clone());
            }
        }
    }
    out
}

/// What says more comes first.
fn precedence(fate: &Fate) -> u8 {
    match fate {
        Fate::Run => 0,
        Fate::NotRun { .. } => 1,
        Fate::CannotRun { .. } => 2,
        Fate::CoveredByEvidence { .. } => 3,
        Fate::NotClaimed { .. } | Fate::NotApplicable { .. } => 4,
        Fate::NotSelected => 5,
    }
}

fn copy_evidence(from: &Path, out: &Path) -> Result<(), MergeError> {
    let io = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| MergeError::Io { doing, path, source }
    };
    let root = from.join(EVIDENCE);
    for folder in fs::read_dir(&root).map_err(io("read", &root))? {
        let folder = folder.map_err(io("read", &root))?.path();
        let into = out.join(EVIDENCE).join(folder.file_name().unwrap_or_default());
        fs::create_dir_all(&into).map_err(io("create", &into))?;
        for file in fs::read_dir(&folder).map_err(io("read", &folder))? {
            let file = file.map_err(io("read", &folder))?.path();
            let to = into.join(file.file_name().unwrap_or_default());
            // Called by its digest: what is there already is the same.
            if !to.exists() {
                fs::copy(&file, &to).map_err(io("copy", &file))?;
            }
        }
    }
    Ok(())
}

fn keep_source(source: &Source, out: &Path) -> Result<(), MergeError> {
    let into = out.join(SOURCES).join(&source.name);
    fs::create_dir_all(&into).map_err(|e| MergeError::Io { doing: "create", path: into.clone(), source: e })?;
    for name in [JOURNAL, "manifest.json", "replay.json"] {
        let from = source.dir.join(name);
        if from.exists() {
            fs::copy(&from, into.join(name)).map_err(|e| MergeError::Io { doing: "copy", path: from.clone(), source: e })?;
        }
    }
    Ok(())
}

/// What is wrong with the provenance of a merged run; nothing for a run that was not merged.
///
/// Each source must be there with the end that the header names; each record must be what its source says under that number, attempts aside; and everything
/// that a source recorded and that bears on an assessment must be there.
pub fn check(run: &Path, journal: &Journal) -> Vec<String> {
    let mut problems = Vec::new();
    let mut sources: BTreeMap<&str, Journal> = BTreeMap::new();
    for (key, head) in &journal.header().digests {
        let Some(name) = key.strip_prefix("source journal ") else { continue };
        match crate::journal::read(&run.join(SOURCES).join(name)) {
            Ok(source) if source.head == *head => {
                sources.insert(name, source);
            }
            Ok(_) => problems.push(format!("{SOURCES}/{name} is not the journal that was merged")),
            Err(e) => problems.push(format!("{SOURCES}/{name}: {e}")),
        }
    }
    let mut seen: BTreeSet<&Origin> = BTreeSet::new();
    for record in &journal.records {
        let Some(from) = &record.from else {
            if !sources.is_empty() && matches!(record.event, Event::Observation(_)) {
                problems.push(format!("record {}: an observation that comes from no run", record.seq));
            }
            continue;
        };
        let Some(source) = sources.get(from.run.as_str()) else {
            problems.push(format!("record {} comes from run {}, which is not there", record.seq, from.run));
            continue;
        };
        let there = usize::try_from(from.seq).ok().and_then(|i| source.records.get(i));
        let unmoved = |e: &Event| carried(e, |_| 0).map(without_attempt);
        if there.and_then(|r| unmoved(&r.event)) != unmoved(&record.event) {
            problems.push(format!("record {} is not record {} of run {}", record.seq, from.seq, from.run));
        }
        if !seen.insert(from) {
            problems.push(format!("record {}: record {} of run {} is there twice", record.seq, from.seq, from.run));
        }
    }
    for (name, source) in &sources {
        for record in source.records.iter().filter(|r| carried(&r.event, |_| 0).is_some()) {
            if !seen.contains(&Origin { run: (*name).to_owned(), seq: record.seq }) {
                problems.push(format!("record {} of run {name} was lost", record.seq));
            }
        }
    }
    problems
}

fn without_attempt(event: Event) -> Event {
    match event {
        Event::Observation(mut o) => {
            o.attempt = 0;
            Event::Observation(o)
        }
        Event::CheckStarted { check, .. } => Event::CheckStarted { check, attempt: 0 },
        Event::Amendment(Amendment::Annul(mut a)) => {
            a.attempt = 0;
            Event::Amendment(Amendment::Annul(a))
        }
        other => other,
    }
}
