//! The smallest parts of the page: text of unknown origin made harmless and bounded, lists that say what they left out, verdicts as word and shape.

use crate::xml_text::{capped, legal};
use proofbench_assess::{UnitResult, UnitState};
use proofbench_model::{CheckId, EvidenceId, Outcome, Verdict};
use serde::Serialize;

/// Bytes of a name.
pub const NAME: usize = 200;
/// Bytes of a sentence: what was expected, what was observed.
pub const SENTENCE: usize = 700;
/// Pieces of evidence linked at one place.
const LINKS: usize = 12;

/// Text of a device, a dossier or a person, at most `max` bytes and some. Controls become pictures. Characters that would reorder or hide the text around
/// them are written as their code points: escaping markup does not stop U+202E from turning a word into its contrary.
pub fn said(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(2 * max));
    for c in legal(&capped(text, max)).chars() {
        match c {
            '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}' => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// The first rows of a list, and how many more there are.
#[derive(Debug, Serialize)]
pub struct List<T> {
    /// What is shown.
    pub rows: Vec<T>,
    /// How many are not.
    pub left_out: usize,
    /// The file of the run folder that has them.
    pub found_in: &'static str,
}

impl<T> List<T> {
    /// The first `max` of `all`, each made by `row`; the rest is only counted.
    pub fn first<S>(all: impl IntoIterator<Item = S>, max: usize, found_in: &'static str, row: impl FnMut(S) -> T) -> Self {
        let mut all = all.into_iter();
        let rows = all.by_ref().take(max).map(row).collect();
        Self { rows, left_out: all.count(), found_in }
    }
}

/// A verdict, an outcome or a plan state: a word, and the name of the shape that stands beside it.
#[derive(Debug, Clone, Serialize)]
pub struct Mark {
    /// Name of the shape: `pass`, `fail`, `open`, `wait`, `none`.
    pub shape: &'static str,
    /// The word.
    pub word: String,
}

impl Mark {
    /// Of a verdict; of none, the plan state in its place.
    pub fn verdict(verdict: Option<Verdict>, instead: &str) -> Self {
        let shape = match verdict {
            Some(Verdict::Pass) => "pass",
            Some(Verdict::Fail) => "fail",
            Some(Verdict::Inconclusive) => "open",
            None => "none",
        };
        Self { shape, word: verdict.map_or_else(|| said(instead, NAME), |v| v.to_string()) }
    }

    /// Of an outcome.
    pub fn outcome(outcome: Outcome) -> Self {
        let shape = match outcome {
            Outcome::Satisfied => "pass",
            Outcome::Violated => "fail",
            Outcome::Unresolved(proofbench_model::Reason::HumanPending) => "wait",
            Outcome::Unresolved(_) => "open",
        };
        Self { shape, word: outcome.to_string() }
    }

    /// Of a unit.
    pub fn unit(unit: &UnitResult) -> Self {
        let none = |word: &str| Self { shape: "none", word: word.to_owned() };
        match &unit.state {
            UnitState::NotClaimed => none("NOT-CLAIMED"),
            UnitState::NotApplicable => none("NOT-APPLICABLE"),
            UnitState::NotSelected => none("NOT-SELECTED"),
            UnitState::CoveredByEvidence { .. } => none("COVERED-BY-EVIDENCE"),
            UnitState::NotYetRun | UnitState::Due(_) => {
                let mut mark = unit.outcome().map_or_else(|| none(""), Self::outcome);
                if unit.is_intermittent() {
                    mark.word.push_str(", intermittent");
                }
                mark
            }
        }
    }
}

/// A link to a file of the run folder.
#[derive(Debug, Clone, Serialize)]
pub struct Link {
    /// Relative address; none if the record names no digest.
    pub href: Option<String>,
    /// What is shown.
    pub text: String,
}

/// Link to one piece of evidence of a check. Only a digest becomes an address: anything else in a journal could lead out of the folder.
pub fn link(check: &CheckId, id: &EvidenceId, text: Option<&str>) -> Link {
    let digest = id.0.len() == 64 && id.0.bytes().all(|b| b.is_ascii_hexdigit());
    let href = digest.then(|| format!("evidence/{}/{}", check.as_str().replace('/', "."), id.0));
    let short = if digest { id.0[..12].to_owned() } else { said(&id.0, NAME) };
    Link { href, text: text.map_or(short, |t| said(t, NAME)) }
}

/// Links to all evidence of a list.
pub fn links(check: &CheckId, ids: &[EvidenceId]) -> List<Link> {
    List::first(ids, LINKS, "journal.jsonl", |id| link(check, id, None))
}

/// Bench time in words: `1.835 s`, `24 h 30 min`.
pub fn time(nanoseconds: u64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    match seconds {
        0..60 => format!("{}.{:03} s", seconds, nanoseconds / 1_000_000 % 1000),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..172_800 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("a\u{202e}b", "a\\u{202e}b")]
    #[case("a\u{200b}\u{feff}", "a\\u{200b}\\u{feff}")]
    #[case("nul\u{0}", "nul\u{2400}")]
    fn what_reorders_or_hides_is_written_out(#[case] text: &str, #[case] shown: &str) {
        assert_eq!(said(text, 100), shown);
    }

    #[test]
    fn only_a_digest_becomes_an_address() {
        let check: CheckId = "a/b".parse().unwrap();
        let href = |id: &str| link(&check, &EvidenceId(id.to_owned()), None).href;
        assert_eq!(href("../../x"), None);
        assert_eq!(href(&"a".repeat(64)), Some(format!("evidence/a.b/{}", "a".repeat(64))));
    }

    #[rstest]
    #[case(1_835_560_692, "1.835 s")]
    #[case(90_000_000_000, "1 min 30 s")]
    #[case(86_400_000_000_000, "24 h 0 min")]
    #[case(757_801_000_000_000, "8 d 18 h")]
    fn times_are_said_in_two_units(#[case] ns: u64, #[case] text: &str) {
        assert_eq!(time(ns), text);
    }
}
