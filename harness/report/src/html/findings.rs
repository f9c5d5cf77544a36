//! What fails and what is unresolved, each with expected against observed and its evidence; before anything that went well.

use super::conclusion::sentences;
use super::indexed::{Indexed, Said};
use super::words::{Link, List, Mark, NAME, SENTENCE, links, said};
use crate::instances::{Instance, Key};
use crate::run::Run;
use proofbench_assess::{Instance as Assessed, Source};
use proofbench_model::{Outcome, Reason};
use serde::Serialize;

/// Findings of one kind before the rest is only counted.
const LISTED: usize = 100;

/// The section.
#[derive(Debug, Serialize)]
pub struct Findings {
    ics: List<String>,
    violated: List<Finding>,
    unresolved: List<Finding>,
    ixit: List<String>,
    strays: List<String>,
    pending: List<String>,
}

/// One unit on one row by one source.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// The unit: `5.3-2-2 b`.
    pub unit: String,
    /// Its provision, which is also where the page has it.
    pub provision: String,
    /// The row; empty if there is none.
    pub row: String,
    /// Who says it.
    pub by: String,
    /// The outcome.
    pub outcome: Mark,
    /// A remark on the outcome: intermittent, annulled.
    pub remark: &'static str,
    /// What was declared.
    pub expected: String,
    /// What was seen.
    pub observed: String,
    /// How hard it looked.
    pub strength: String,
    /// What repeats it.
    pub replay: String,
    /// Who has to act, where that is somebody.
    pub who: &'static str,
    /// Evidence.
    pub evidence: List<Link>,
    /// Attempts on record.
    pub attempts: usize,
}

/// Of a run.
pub fn of(run: &Run<'_>, indexed: &Indexed<'_>) -> Findings {
    let a = run.assessment;
    let ics = a.ics_findings.iter().map(ToString::to_string).chain(a.contradictions.iter().map(ToString::to_string));
    let by_check = |wanted: fn(Outcome) -> bool| {
        let all = indexed.instances.by_key.iter().filter(move |(_, i)| wanted(i.outcome()));
        all.filter(|(key, i)| i.outcome() != Outcome::Violated || indexed.counts(key))
    };
    let others = |wanted: fn(Outcome) -> bool| {
        let own = a.units.iter().flat_map(|u| u.instances.iter().filter(|i| i.unit == u.unit));
        own.filter(move |i| wanted(i.outcome) && !i.sources.iter().any(|s| matches!(s, Source::Check(_))))
    };
    let both = |wanted: fn(Outcome) -> bool| {
        let all = by_check(wanted).map(Either::Check).chain(others(wanted).map(Either::Other));
        List::first(all, LISTED, "junit.xml", |from| from.finding(indexed))
    };
    let pending = a.units.iter().filter(|u| u.is_unresolved() && u.is_only_pending());
    Findings {
        ics: sentences(ics, LISTED, "ics.txt"),
        violated: both(|o| o == Outcome::Violated),
        unresolved: both(|o| matches!(o, Outcome::Unresolved(r) if r != Reason::HumanPending)),
        ixit: sentences(a.ixit_findings.iter().map(ToString::to_string), LISTED, "assessment.json"),
        strays: sentences(a.strays.iter().cloned(), LISTED, "summary.txt"),
        pending: List::first(pending, 300, "coverage.txt", |u| u.unit.to_string()),
    }
}

/// Where a finding comes from: made into one only if it is shown.
pub enum Either<'a> {
    /// A check.
    Check(Said<'a>),
    /// A person, a rule or nobody.
    Other(&'a Assessed),
}

impl Either<'_> {
    /// The finding.
    pub fn finding(&self, indexed: &Indexed<'_>) -> Finding {
        match self {
            Either::Check((key, instance)) => by_a_check(key, instance, indexed),
            Either::Other(i) => by_another(i),
        }
    }
}

/// What a check said.
fn by_a_check(key: &Key, instance: &Instance, indexed: &Indexed<'_>) -> Finding {
    let outcome = instance.outcome();
    let o = instance.deciding();
    let optional = |text: Option<&String>| text.map(|t| said(t, SENTENCE)).unwrap_or_default();
    let remark = match outcome {
        Outcome::Violated if !indexed.counts(key) => "annulled: on record, and decides nothing",
        _ if instance.intermittent() => "intermittent: another attempt did not show it",
        _ => "",
    };
    let due = "the check was due and reported nothing".to_owned();
    Finding {
        unit: key.unit.to_string(),
        provision: key.unit.provision().to_string(),
        row: key.row.as_ref().map(|r| said(&r.to_string(), NAME)).unwrap_or_default(),
        by: format!("check {}", key.check),
        outcome: Mark::outcome(outcome),
        remark,
        expected: o.map(|o| said(&o.expected, SENTENCE)).unwrap_or_default(),
        observed: o.map_or(due, |o| said(&o.observed, SENTENCE)),
        strength: optional(o.and_then(|o| o.strength.as_ref())),
        replay: optional(o.and_then(|o| o.replay.as_ref())),
        who: match outcome {
            Outcome::Unresolved(reason) => reason.who_must_act(),
            _ => "",
        },
        evidence: links(&key.check, o.map_or(&[], |o| o.evidence.as_slice())),
        attempts: instance.observations.iter().map(|o| o.attempt).collect::<std::collections::BTreeSet<_>>().len(),
    }
}

/// What a person, a rule or nobody says of a unit.
fn by_another(i: &Assessed) -> Finding {
    let sources = i.sources.iter().map(|s| match s {
        Source::Check(check) => format!("check {check}"),
        Source::Person(name) => format!("{name} (a person)"),
        Source::Rule(file) => format!("rule on {file}"),
        Source::Nobody => "nobody yet".to_owned(),
    });
    let why = i.why.iter().cloned().collect::<Vec<_>>().join("; ");
    Finding {
        unit: i.unit.to_string(),
        provision: i.unit.provision().to_string(),
        row: i.row.as_ref().map(|r| said(&r.to_string(), NAME)).unwrap_or_default(),
        by: said(&sources.collect::<Vec<_>>().join(", "), NAME),
        outcome: Mark::outcome(i.outcome),
        remark: if i.intermittent { "intermittent: another attempt did not show it" } else { "" },
        expected: String::new(),
        observed: said(&why, SENTENCE),
        strength: String::new(),
        replay: String::new(),
        who: i.reasons.first().map_or("", |r| r.who_must_act()),
        evidence: List { rows: Vec::new(), left_out: 0, found_in: "junit.xml" },
        attempts: 1,
    }
}
