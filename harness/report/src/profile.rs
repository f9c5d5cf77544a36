//! What the profile of an assessment means for its reader: of what the verdict speaks, what is not verified, and results by another edition's numbers.

use crate::run::Run;
use proofbench_model::catalogue::{Catalogue, Provision};
use proofbench_model::{Claim, Scheme};
use std::fmt::Write;

/// A provision of another edition, with what this one says of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LaterRow {
    /// Its id there, with status: `5.3-6A R F (h)`.
    pub there: String,
    /// The provision of V2.1.1 that was tested; empty if there is none.
    pub here: String,
    /// Verdict or plan state of that.
    pub verdict: String,
    /// Empty where status and wording are verified and it was not split; otherwise why the verdict is not carried over.
    pub not_verified: String,
    /// What changed, in our words.
    pub change: String,
}

/// The profile, as far as it is more than a reader: with a scope, without an overall verdict, or of another edition.
pub fn special(run: &Run<'_>) -> Option<&'static Scheme> {
    run.assessment.options.scheme.filter(|s| !s.scope.is_empty() || s.edition.is_some() || s.no_verdict.is_some())
}

/// Of what the overall verdict speaks, where that is not everything: ` for the 4 provisions of profile uk-psti; nothing is said of the others`.
pub fn about(run: &Run<'_>) -> String {
    match special(run).filter(|s| !s.scope.is_empty()) {
        Some(s) => format!(" for the {} provisions of profile {}; nothing is said of the others", s.scope.len(), s.name),
        None => String::new(),
    }
}

/// Why there is no overall verdict.
pub fn no_verdict(run: &Run<'_>) -> String {
    match run.assessment.options.scheme.and_then(|s| Some((s, s.no_verdict.as_ref()?))) {
        Some((s, why)) => format!("profile {} gives none: {why}", s.name),
        None => "a partial run makes no assessment claim".to_owned(),
    }
}

/// Sentences for the head of a report.
pub fn sentences(run: &Run<'_>) -> Vec<String> {
    let Some(scheme) = special(run) else { return Vec::new() };
    let mut out = vec![format!("Profile {}: {}.", scheme.name, scheme.title)];
    if !scheme.scope.is_empty() {
        let ids: Vec<&str> = scheme.scope.iter().map(|p| p.as_str()).collect();
        let all = run.assessment.groups.len();
        out.push(format!("It speaks of {} of the {all} provisions: {}. Nothing is said of the others.", ids.len(), ids.join(", ")));
    }
    if let Some(why) = &scheme.no_verdict {
        out.push(format!("It gives no overall verdict: {why}."));
    }
    out.extend(scheme.notes.iter().cloned());
    out
}

/// The provisions of the profile's other edition; none if it has no other.
pub fn later(run: &Run<'_>) -> Vec<LaterRow> {
    if special(run).is_none_or(|s| s.edition.is_none()) {
        return Vec::new();
    }
    let catalogue = Catalogue::load();
    let mut out = Vec::new();
    for p in catalogue.provisions() {
        let group = run.assessment.groups.iter().find(|g| g.provision == p.id);
        let verdict = group.map_or_else(String::new, |g| g.verdict.map_or_else(|| g.fate.as_str().to_owned(), |v| v.to_string()));
        out.extend(p.later.rows.iter().map(|there| LaterRow {
            there: there.clone(),
            here: p.id.to_string(),
            verdict: verdict.clone(),
            not_verified: why_not(p),
            change: p.later.change.clone(),
        }));
    }
    out.extend(catalogue.later_only().iter().map(|n| LaterRow {
        there: format!("{} {}", n.id, n.status),
        here: String::new(),
        verdict: "NOT TESTED".to_owned(),
        not_verified: "V2.1.1 has no such provision, and no check of this program is about it".to_owned(),
        change: n.summary.clone(),
    }));
    out
}

fn why_not(p: &Provision) -> String {
    if p.later.is_verified() {
        return String::new();
    }
    let split = if p.later.rows.len() > 1 { format!("split into {}; ", p.later.rows.len()) } else { String::new() };
    format!("{split}our sources agree on {}", p.later.verified)
}

/// The section of the summary; empty for a plain profile.
pub(crate) fn text(run: &Run<'_>) -> String {
    let mut out = String::new();
    let Some(scheme) = special(run) else { return out };
    out.push('\n');
    for sentence in sentences(run) {
        let _ = writeln!(out, "profile  {sentence}");
    }
    let rows = later(run);
    if let Some(edition) = scheme.edition.as_ref().filter(|_| !rows.is_empty()) {
        let _ = writeln!(out, "\nEN 303 645 {edition}, from the results for V2.1.1");
        for row in &rows {
            let from = if row.here.is_empty() { "-" } else { &row.here };
            let _ = writeln!(out, "  {:<22} from {from:<7} {}", row.there, row.verdict);
            if !row.not_verified.is_empty() {
                let _ = writeln!(out, "    NOT VERIFIED: {}. {}", row.not_verified, row.change);
            } else if !row.change.starts_with("Status unchanged") {
                let _ = writeln!(out, "    changed: {}", row.change);
            }
        }
        let open = rows.iter().filter(|r| !r.not_verified.is_empty()).count();
        let _ = writeln!(out, "  {} provisions, {open} of them NOT VERIFIED", rows.len());
    }
    out
}

/// Whether an overall verdict is given.
pub(crate) fn gives_one(run: &Run<'_>) -> bool {
    run.assessment.overall.is_some() && run.assessment.claim == Claim::Full
}
