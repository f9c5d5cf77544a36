//! Every check: what it came to, how hard it looked, how long it took, what it did to power and reset line.

use super::bench::{Bench, Span};
use super::indexed::{Indexed, Said};
use super::words::{Link, List, Mark, SENTENCE, link, said, time};
use crate::run::Run;
use proofbench_model::journal::{Event, Subject};
use proofbench_model::{CheckId, Outcome};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Checks in the table.
const CHECKS: usize = 400;
/// The name under which a check's capture is kept.
pub const CAPTURE: &str = "network.pcapng";
/// Captures of one check.
const CAPTURES: usize = 4;
/// Strengths of one check.
const STRENGTHS: usize = 4;

/// One line of the table.
#[derive(Debug, Serialize)]
pub struct CheckRow {
    name: String,
    outcome: Mark,
    /// How many units and rows it answered for, by outcome.
    answers: String,
    strengths: List<String>,
    /// What went over its network, one for each time it ran.
    captures: List<Link>,
    /// Why it did not run, or not in the ordinary way.
    fate: String,
    begins: String,
    took: String,
    attempts: usize,
    cuts: usize,
    resets: usize,
}

/// All checks that were due or ran, in the order in which they ran.
pub fn of(run: &Run<'_>, indexed: &Indexed<'_>, bench: &Bench) -> List<CheckRow> {
    let mut spans: BTreeMap<&CheckId, Vec<&Span>> = BTreeMap::new();
    let mut order: Vec<&CheckId> = Vec::new();
    for span in &bench.spans {
        let Some(check) = &span.check else { continue };
        let of_check = spans.entry(check).or_default();
        if of_check.is_empty() {
            order.push(check);
        }
        of_check.push(span);
    }
    let fates: BTreeMap<&CheckId, String> = fates(run);
    let never_began = indexed.by_check.keys().copied().chain(fates.keys().copied()).filter(|c| !spans.contains_key(*c));
    let never_began: BTreeSet<&CheckId> = never_began.collect();
    let all = order.into_iter().chain(never_began);
    List::first(all, CHECKS, "junit.xml", |check| {
        let said = indexed.by_check.get(check).map_or(&[][..], Vec::as_slice);
        row(check, spans.get(check).map_or(&[][..], Vec::as_slice), said, indexed, fates.get(check).cloned().unwrap_or_default())
    })
}

fn fates<'a>(run: &Run<'a>) -> BTreeMap<&'a CheckId, String> {
    let records = run.journal.records.iter().filter_map(|r| match &r.event {
        Event::Fate { subject: Subject::Check(check), fate } => Some((check, said(&fate.to_string(), SENTENCE))),
        _ => None,
    });
    records.collect()
}

fn row(check: &CheckId, spans: &[&Span], answers: &[Said<'_>], indexed: &Indexed<'_>, fate: String) -> CheckRow {
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for (key, instance) in answers {
        let word = match instance.outcome() {
            Outcome::Violated if !indexed.counts(key) => "annulled",
            Outcome::Violated => "VIOLATED",
            Outcome::Unresolved(_) => "UNRESOLVED",
            Outcome::Satisfied => "SATISFIED",
        };
        *counts.entry(word).or_default() += 1;
    }
    let strengths: BTreeSet<&String> = answers.iter().flat_map(|(_, i)| i.observations.iter().filter_map(|o| o.strength.as_ref())).collect();
    let took = spans.iter().map(|s| s.to.saturating_sub(s.from)).sum();
    let worst = spans.first().and_then(|s| super::timeline::outcome(indexed, s));
    let never = || Mark { shape: "none", word: if spans.is_empty() { "DID NOT RUN".to_owned() } else { "no answer was due".to_owned() } };
    CheckRow {
        name: check.to_string(),
        outcome: worst.unwrap_or_else(never),
        answers: counts.iter().map(|(word, n)| format!("{n} {word}")).collect::<Vec<_>>().join(", "),
        strengths: List::first(strengths, STRENGTHS, "junit.xml", |s| said(s, SENTENCE)),
        captures: List::first(spans.iter().filter_map(|s| s.files.get(CAPTURE)), CAPTURES, "journal.jsonl", |id| link(check, id, Some(CAPTURE))),
        fate: if fate.is_empty() { spans.iter().map(|s| s.fate.clone()).find(|f| !f.is_empty()).unwrap_or_default() } else { fate },
        begins: spans.first().map(|s| time(s.from)).unwrap_or_default(),
        took: if spans.is_empty() { String::new() } else { time(took) },
        attempts: spans.len(),
        cuts: spans.iter().map(|s| s.cuts.len()).sum(),
        resets: spans.iter().map(|s| s.resets).sum(),
    }
}
