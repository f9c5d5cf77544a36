//! Where power was cut, per check that cuts power to see what becomes of storage.
//!
//! The journal has the cuts that went through the rig's power path, and for each one what the rail read and whether the console came back. Cuts that were
//! made in recorded storage are in the check's evidence; the strength of an observation counts them, and a violation names the one that shows it.

use super::axis::{Axis, COLUMNS};
use super::bench::{Bench, Cut, Span};
use super::indexed::{Indexed, Said};
use super::words::{Link, List, Mark, SENTENCE, link, said, time};
use proofbench_model::Outcome;
use serde::Serialize;
use std::collections::BTreeSet;

/// Checks with a map.
const MAPS: usize = 60;
/// Cuts in words below a map.
const CUTS: usize = 40;
/// Evidence that describes a campaign, by the names that checks give it.
const DESCRIBED_BY: [&str; 3] = ["campaign.txt", "negative-controls.txt", "cuts.txt"];

/// The map of one check.
#[derive(Debug, Serialize)]
pub struct CutMap {
    check: String,
    outcome: Option<Mark>,
    strengths: List<String>,
    /// Cuts that show a violation.
    shown_by: List<Shown>,
    width: usize,
    marks: Vec<CutMark>,
    cuts: List<CutRow>,
    total: usize,
    back: usize,
    quiet: Vec<String>,
    files: Vec<Link>,
}

#[derive(Debug, Serialize)]
struct Shown {
    replay: String,
    observed: String,
}

#[derive(Debug, Serialize)]
struct CutMark {
    x: usize,
    /// `back`: the console spoke after every cut of the column; `quiet` otherwise.
    kind: &'static str,
    text: String,
}

#[derive(Debug, Serialize)]
struct CutRow {
    at: String,
    rail: String,
    after: String,
    kind: &'static str,
}

/// Of a run.
pub fn of(indexed: &Indexed<'_>, bench: &Bench) -> List<CutMap> {
    let spans = bench.spans.iter().filter(|s| is_power_loss(s, indexed));
    List::first(spans, MAPS, "journal.jsonl", |span| map(span, indexed))
}

/// A check of the suite, or one whose violation names a cut: a vendor's own suite may have another name.
fn is_power_loss(span: &Span, indexed: &Indexed<'_>) -> bool {
    let names_a_cut =
        |said: &[Said<'_>]| said.iter().any(|(_, i)| i.observations.iter().any(|o| o.replay.as_ref().is_some_and(|r| r.contains("@cut="))));
    let said = span.check.as_ref().and_then(|c| indexed.by_check.get(c));
    span.name().starts_with("power-loss/") || said.is_some_and(|s| names_a_cut(s))
}

fn map(span: &Span, indexed: &Indexed<'_>) -> CutMap {
    let said_of = span.check.as_ref().and_then(|c| indexed.by_check.get(c)).map_or(&[][..], Vec::as_slice);
    let observations = || said_of.iter().flat_map(|(_, i)| &i.observations);
    let strengths: BTreeSet<&String> = observations().filter_map(|o| o.strength.as_ref()).collect();
    let shown: BTreeSet<(&String, &String)> =
        observations().filter(|o| o.outcome == Outcome::Violated).filter_map(|o| Some((o.replay.as_ref()?, &o.observed))).collect();
    let files = DESCRIBED_BY.iter().filter_map(|name| Some(link(span.check.as_ref()?, span.files.get(*name)?, Some(name))));
    CutMap {
        check: span.name().to_owned(),
        outcome: super::timeline::outcome(indexed, span),
        strengths: List::first(strengths, 12, "junit.xml", |s| said(s, SENTENCE)),
        shown_by: List::first(shown, 20, "junit.xml", |(replay, observed)| Shown {
            replay: said(replay, SENTENCE),
            observed: said(observed, SENTENCE),
        }),
        width: COLUMNS,
        marks: marks(span),
        cuts: List::first(&span.cuts, CUTS, "journal.jsonl", |cut| row(span, cut)),
        total: span.cuts.len(),
        back: span.cuts.iter().filter(|c| c.first_words.is_some()).count(),
        quiet: span.quiet.clone(),
        files: files.collect(),
    }
}

fn marks(span: &Span) -> Vec<CutMark> {
    let axis = Axis::Time { from: span.from, to: span.to };
    let mut columns = vec![(0usize, 0usize); COLUMNS];
    for cut in &span.cuts {
        let (all, back) = &mut columns[axis.column(cut.at)];
        *all += 1;
        *back += usize::from(cut.first_words.is_some());
    }
    let used = columns.iter().enumerate().filter(|(_, (all, _))| *all > 0);
    used.map(|(x, (all, back))| CutMark {
        x,
        kind: if all == back { "back" } else { "quiet" },
        text: format!("{all} cuts, console back after {back}"),
    })
    .collect()
}

fn row(span: &Span, cut: &Cut) -> CutRow {
    let (kind, after) = match (&cut.first_words, cut.back) {
        (Some(words), _) => ("back", format!("power again; the console said: {words}")),
        (None, true) => ("quiet", "power again; no line of the console in the journal before the next act".to_owned()),
        (None, false) => ("quiet", "left off".to_owned()),
    };
    CutRow { at: time(cut.at.saturating_sub(span.from)), rail: cut.rail.clone().unwrap_or_else(|| "not read".to_owned()), after, kind }
}
