//! `compare`: what changed between two runs, and whether that is expected.

use crate::commands::baseline::{self, Baseline};
use crate::commands::run_folder::Recorded;
use crate::exit::Exit;
use anyhow::Result;
use proofbench_assess::{Assessment, Records};
use proofbench_model::journal::Event;
use proofbench_model::{CheckId, Outcome, RowId, UnitId, Verdict};
use proofbench_report::instances::Instances;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

/// How bad a result is. The order is that of badness; what has no result is not compared with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Not due: N, N/A, not selected, covered by a document.
    None,
    Good,
    Open,
    Bad,
}

/// What a subject came to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    rank: Rank,
    text: String,
    /// In words, for what is bad or open.
    why: String,
}

/// What is compared, from the whole to its parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Ics,
    Provision(String),
    Case(String),
    Unit(UnitId),
    Check(UnitId, Option<RowId>, CheckId),
}

impl Subject {
    fn name(&self) -> String {
        match self {
            Subject::Ics => "ICS".to_owned(),
            Subject::Provision(id) => format!("provision {id}"),
            Subject::Case(id) => format!("case {id}"),
            Subject::Unit(unit) => format!("unit {unit}"),
            Subject::Check(unit, row, check) => {
                let row = row.as_ref().map(|r| format!(" [{r}]")).unwrap_or_default();
                format!("check {check} on {unit}{row}")
            }
        }
    }

    /// The provision that it is part of.
    fn provision(&self) -> Option<String> {
        match self {
            Subject::Ics => None,
            Subject::Provision(id) => Some(id.clone()),
            Subject::Case(id) => id.rsplit_once('-').map(|(p, _)| p.to_owned()),
            Subject::Unit(unit) | Subject::Check(unit, ..) => Some(unit.provision().to_string()),
        }
    }
}

/// What became of a subject from one run to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Worse,
    Gone,
    New,
    Better,
    /// Neither better nor worse, but not the same.
    Other,
}

impl Change {
    fn word(self) -> &'static str {
        match self {
            Change::Worse => "worse",
            Change::Gone => "gone",
            Change::New => "new",
            Change::Better => "better",
            Change::Other => "otherwise changed",
        }
    }
}

/// Prints the comparison.
pub fn compare(old: &Path, new: &Path, baseline: Option<&Path>) -> Result<Exit> {
    let baseline = match baseline {
        Some(path) => baseline::read(path)?,
        None => Baseline { entries: Vec::new() },
    };
    let (a, b) = (Recorded::read(old)?, Recorded::read(new)?);
    print!("{}", identity(old, new, &a, &b));
    let (before, after) = (subjects(&a), subjects(&b));
    let changes = changes(&before, &after);
    for kind in [Change::Worse, Change::Gone, Change::New, Change::Better, Change::Other] {
        let of_kind: Vec<_> = changes.iter().filter(|(_, c)| **c == kind).collect();
        if !of_kind.is_empty() {
            println!("\n{} ({})", kind.word(), of_kind.len());
        }
        for (subject, _) in of_kind {
            let text = |m: &BTreeMap<Subject, Said>| m.get(subject).map_or("-".to_owned(), |s| s.text.clone());
            println!("  {}: {} -> {}", subject.name(), text(&before), text(&after));
            let now = after.get(subject);
            if let Some(why) = now.map(|s| s.why.as_str()).filter(|w| !w.is_empty() && matches!(subject, Subject::Check(..) | Subject::Ics)) {
                println!("    {why}");
            }
        }
    }
    // The day in Greenwich: the same for everybody who looks at one run.
    let today = jiff::tz::TimeZone::UTC.to_datetime(jiff::Timestamp::now()).date();
    let (exit, text) = judge(&changes, &after, &baseline, today);
    print!("{text}");
    Ok(exit)
}

/// Everything that went into both, where it differs.
fn identity(old: &Path, new: &Path, a: &Recorded, b: &Recorded) -> String {
    let mut out = format!("old  {} ({})\nnew  {} ({})\n", old.display(), a.journal.header().started, new.display(), b.journal.header().started);
    let mut lines = String::new();
    let (ha, hb) = (a.journal.header(), b.journal.header());
    let mut maps = |title: &str, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>| {
        let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for key in keys.into_iter().filter(|k| old.get(*k) != new.get(*k)) {
            let short = |m: &BTreeMap<String, String>| m.get(key).map_or("-".to_owned(), |v| v.chars().take(60).collect::<String>());
            let _ = writeln!(lines, "  {title} {key}: {} -> {}", short(old), short(new));
        }
    };
    maps("device", &ha.dut, &hb.dut);
    maps("version", &ha.versions, &hb.versions);
    maps("channel", &ha.channels, &hb.channels);
    maps("digest", &ha.digests, &hb.digests);
    let one = |v: String| BTreeMap::from([(String::new(), v)]);
    maps(
        "profile",
        &one(a.options().scheme.map_or_else(String::new, |s| s.name.clone())),
        &one(b.options().scheme.map_or_else(String::new, |s| s.name.clone())),
    );
    maps("seed", &one(ha.seed.to_string()), &one(hb.seed.to_string()));
    let answers = |r: &Recorded| r.dossier.ics.rows().map(|row| (row.provision.to_string(), row.support.to_string())).collect::<BTreeMap<_, _>>();
    maps("ICS", &answers(a), &answers(b));
    if lines.is_empty() {
        lines.push_str("  nothing\n");
    }
    let _ = write!(out, "\nmade with, where it differs\n{lines}");
    out
}

fn subjects(recorded: &Recorded) -> BTreeMap<Subject, Said> {
    let assessment = recorded.assess(&recorded.options());
    let mut out = BTreeMap::new();
    let ics = ics(&assessment);
    out.insert(Subject::Ics, ics);
    let verdict = |v: Option<Verdict>, otherwise: &str| match v {
        Some(v) => Said { rank: rank_of(v), text: v.to_string(), why: String::new() },
        None => Said { rank: Rank::None, text: otherwise.to_owned(), why: String::new() },
    };
    for group in &assessment.groups {
        out.insert(Subject::Provision(group.provision.to_string()), verdict(group.verdict, group.fate.as_str()));
    }
    for case in &assessment.cases {
        out.insert(Subject::Case(case.case.to_string()), verdict(case.verdict, "no verdict"));
    }
    for unit in &assessment.units {
        let said = match unit.outcome() {
            Some(o) => Said { rank: rank(o), text: o.to_string(), why: String::new() },
            None => Said { rank: Rank::None, text: "not due".to_owned(), why: String::new() },
        };
        out.insert(Subject::Unit(unit.unit.clone()), said);
    }
    // What was annulled decides nothing here either.
    let records = Records::of(&recorded.journal);
    let mut journal = recorded.journal.clone();
    journal.records.retain(|r| !matches!(&r.event, Event::Observation(o) if records.is_annulled(o)));
    for (key, instance) in Instances::of(&journal).by_key {
        let outcome = instance.outcome();
        let why = instance.deciding().filter(|o| o.outcome != Outcome::Satisfied).map(|o| o.observed.clone()).unwrap_or_default();
        out.insert(Subject::Check(key.unit, key.row, key.check), Said { rank: rank(outcome), text: outcome.to_string(), why });
    }
    out
}

fn ics(assessment: &Assessment) -> Said {
    if assessment.ics_is_valid() {
        return Said { rank: Rank::Good, text: "valid".to_owned(), why: String::new() };
    }
    let findings = assessment.ics_findings.iter().map(ToString::to_string);
    let why: Vec<String> = findings.chain(assessment.contradictions.iter().map(ToString::to_string)).collect();
    Said { rank: Rank::Bad, text: "invalid".to_owned(), why: why.join("; ") }
}

fn rank_of(v: Verdict) -> Rank {
    match v {
        Verdict::Pass => Rank::Good,
        Verdict::Inconclusive => Rank::Open,
        Verdict::Fail => Rank::Bad,
    }
}

fn rank(o: Outcome) -> Rank {
    match o {
        Outcome::Satisfied => Rank::Good,
        Outcome::Unresolved(_) => Rank::Open,
        Outcome::Violated => Rank::Bad,
    }
}

fn changes(before: &BTreeMap<Subject, Said>, after: &BTreeMap<Subject, Said>) -> BTreeMap<Subject, Change> {
    let mut out = BTreeMap::new();
    let none = || Said { rank: Rank::None, text: String::new(), why: String::new() };
    for subject in before.keys().chain(after.keys()) {
        let (a, b) = (before.get(subject).cloned().unwrap_or_else(none), after.get(subject).cloned().unwrap_or_else(none));
        let change = match (a.rank, b.rank) {
            (Rank::None, Rank::None) if a.text == b.text => continue,
            (Rank::None, Rank::None) => Change::Other,
            (Rank::None, _) => Change::New,
            (_, Rank::None) => Change::Gone,
            (x, y) if x < y => Change::Worse,
            (x, y) if x > y => Change::Better,
            _ if a.text == b.text => continue,
            _ => Change::Other,
        };
        out.insert(subject.clone(), change);
    }
    out
}

/// Whether something that changed decides the exit code, and what the baseline says of it.
///
/// Results of checks decide, and units that no check bears on; a case or a provision follows from them and decides only where none of its parts changed.
fn judge(changes: &BTreeMap<Subject, Change>, after: &BTreeMap<Subject, Said>, baseline: &Baseline, today: jiff::civil::Date) -> (Exit, String) {
    let mut out = String::new();
    let mut used: BTreeSet<usize> = BTreeSet::new();
    let mut exit = Exit::Good;
    let mut expected = Vec::new();
    let mut unexpected = 0;
    // Every failure that is there is held against the baseline, whether it is new or not: an entry that is needed is a used one.
    for (subject, said) in after.iter().filter(|(_, s)| matches!(s.rank, Rank::Bad | Rank::Open)) {
        let (unit, row, check) = match subject {
            Subject::Unit(unit) => (unit, None, None),
            Subject::Check(unit, row, check) => (unit, row.as_ref(), Some(check)),
            _ => continue,
        };
        for (i, entry) in baseline.entries.iter().enumerate().filter(|(_, e)| !e.is_over(today) && e.matches(unit, row, check)) {
            used.insert(i);
            expected.push((subject, said, entry));
        }
    }
    let excused: BTreeSet<&Subject> = expected.iter().map(|(s, ..)| *s).collect();
    let with_checks: BTreeSet<&UnitId> = changes.keys().filter_map(|s| if let Subject::Check(unit, ..) = s { Some(unit) } else { None }).collect();
    let with_parts: BTreeSet<String> =
        changes.keys().filter(|s| matches!(s, Subject::Unit(_) | Subject::Check(..))).filter_map(Subject::provision).collect();
    for (subject, change) in changes {
        let decides = match subject {
            Subject::Check(..) | Subject::Ics => true,
            Subject::Unit(unit) => !with_checks.contains(unit),
            Subject::Provision(_) | Subject::Case(_) => subject.provision().is_none_or(|p| !with_parts.contains(&p)),
        };
        let now = after.get(subject).map_or(Rank::None, |s| s.rank);
        let weight = match (change, now) {
            (Change::Worse | Change::New, Rank::Bad) => Exit::Failed,
            (Change::Worse | Change::New, Rank::Open) | (Change::Gone, _) => Exit::Inconclusive,
            _ => continue,
        };
        if decides && !excused.contains(subject) {
            unexpected += 1;
            exit = worse(exit, weight);
        }
    }
    if !expected.is_empty() {
        let _ = writeln!(out, "\nexpected by the baseline ({}): these do not decide the exit code", expected.len());
    }
    for (subject, said, entry) in &expected {
        let until = entry.until.map(|d| format!(", until {d}")).unwrap_or_default();
        let _ = writeln!(out, "  {}: {}; line {}: {}{until}", subject.name(), said.text, entry.line, entry.reason);
    }
    for (i, entry) in baseline.entries.iter().enumerate() {
        let row = entry.row.as_ref().map(|r| format!(" [{r}]")).unwrap_or_default();
        if entry.is_over(today) {
            let _ =
                writeln!(out, "\nEXPIRED  line {} of the baseline, unit {}{row}: not expected any more: {}", entry.line, entry.unit, entry.reason);
        } else if !used.contains(&i) {
            let _ = writeln!(out, "\nUNUSED   line {} of the baseline, unit {}{row}: nothing fails there: {}", entry.line, entry.unit, entry.reason);
        }
    }
    let verdict = match exit {
        Exit::Failed => format!("{unexpected} changes for the worse that nobody expects, failures among them"),
        Exit::Good => "nothing got worse that nobody expects".to_owned(),
        _ => format!("{unexpected} changes for the worse that nobody expects, none of them a failure"),
    };
    let _ = writeln!(out, "\n{verdict}");
    (exit, out)
}

/// A failure counts before something open.
fn worse(a: Exit, b: Exit) -> Exit {
    if a == Exit::Failed || b == Exit::Failed { Exit::Failed } else { a.max(b) }
}
