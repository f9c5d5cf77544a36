//! What the page begins with: the verdict on the whole and why, what was tested, and the figures.

use super::words::{List, Mark, NAME, SENTENCE, said};
use crate::coverage::Covered;
use crate::profile;
use crate::run::{Run, profile_name};
use proofbench_assess::Assessment;
use proofbench_model::{Claim, Method, Profile, ProvisionId, UnitId, Verdict};
use serde::Serialize;
use std::collections::BTreeMap;

/// First section of the page.
#[derive(Debug, Serialize)]
pub struct Conclusion {
    /// Title of the page: begins with the verdict, because a row of tabs shows only its beginning.
    title: String,
    verdict: Mark,
    /// What the verdict is about.
    device: String,
    /// Why, a sentence each.
    why: Vec<Why>,
    /// What a reader must know before believing any of it.
    warnings: Vec<String>,
    facts: Vec<Named>,
    groups: Vec<Group>,
    figures: Vec<Figure>,
    open: Vec<Open>,
}

/// A sentence with provisions in its middle.
#[derive(Debug, Default, Serialize)]
struct Why {
    before: String,
    provisions: Vec<String>,
    after: String,
}

/// A name and its value.
#[derive(Debug, Serialize)]
pub struct Named {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

#[derive(Debug, Serialize)]
struct Group {
    verdict: Mark,
    count: usize,
    provisions: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Figure {
    what: &'static str,
    count: usize,
    meaning: &'static str,
}

#[derive(Debug, Serialize)]
struct Open {
    who: String,
    reasons: String,
}

/// Reasons for the verdict, at most so many provisions named in one.
const NAMED: usize = 12;

/// Of a run.
pub fn of(run: &Run<'_>, covered: &BTreeMap<UnitId, Covered>) -> Conclusion {
    let a = run.assessment;
    let header = run.journal.header();
    let verdict = match (a.overall, a.claim) {
        (Some(v), Claim::Full) => Mark::verdict(Some(v), ""),
        _ => Mark::verdict(None, "NO ASSESSMENT CLAIM"),
    };
    let device = said(header.dut.get("name").map_or_else(|| run.dut(), String::as_str), NAME);
    Conclusion {
        title: format!("{}: {device}, EN 303 645{}", verdict.word, profile::about(run)),
        why: why(run),
        warnings: warnings(run),
        facts: facts(run),
        groups: groups(a),
        figures: figures(covered),
        open: open(a),
        verdict,
        device,
    }
}

fn of_verdict(a: &Assessment, verdict: Verdict) -> Vec<&ProvisionId> {
    a.groups.iter().filter(|g| g.verdict == Some(verdict)).map(|g| &g.provision).collect()
}

fn why(run: &Run<'_>) -> Vec<Why> {
    let a = run.assessment;
    let mut out = Vec::new();
    let (fail, open, pass) = (of_verdict(a, Verdict::Fail), of_verdict(a, Verdict::Inconclusive), of_verdict(a, Verdict::Pass));
    let partial = a.overall.is_none() || a.claim == Claim::None;
    let plain = |before: String| Why { before, ..Why::default() };
    if let Some(scheme) = profile::special(run) {
        let speaks = if scheme.scope.is_empty() {
            String::new()
        } else {
            format!(" The verdict speaks of {} provisions and of no other.", scheme.scope.len())
        };
        out.push(plain(format!("Profile {}: {}.{speaks}", scheme.name, scheme.title)));
    }
    if partial && a.options.scheme.is_some_and(|s| s.no_verdict.is_some()) {
        out.push(plain(format!("There is no overall verdict: {}.", profile::no_verdict(run))));
    } else if partial {
        let text = "A partial run makes no assessment claim about the device. What follows is what was seen of the part that was selected.";
        out.push(plain(text.to_owned()));
    }
    let invalid = a.ics_findings.len() + a.contradictions.len();
    if invalid > 0 {
        out.push(plain(format!("The ICS is invalid: {}; by the method that alone makes the whole FAIL.", many(invalid, "finding", "findings"))));
    }
    if !fail.is_empty() {
        out.push(about(many(fail.len(), "provision FAILS", "provisions FAIL"), &fail, String::new()));
    }
    if !open.is_empty() {
        let c = &a.coverage;
        let waits = many(c.pending, "unit waits", "units wait");
        let unresolved = many(c.unresolved, "unit is", "units are");
        let after = format!("; {waits} for a person's judgement, {unresolved} unresolved for other reasons");
        out.push(about(many(open.len(), "provision is INCONCLUSIVE", "provisions are INCONCLUSIVE"), &open, after));
    }
    if !pass.is_empty() {
        out.push(about(many(pass.len(), "provision PASSES", "provisions PASS"), &pass, String::new()));
    }
    if !partial && fail.is_empty() && open.is_empty() && invalid == 0 {
        out.push(plain("The ICS is valid, and everything that it claims was resolved without a violation.".to_owned()));
    }
    out
}

fn many(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

fn about(what: String, ids: &[&ProvisionId], after: String) -> Why {
    let provisions: Vec<String> = ids.iter().take(NAMED).map(ToString::to_string).collect();
    let rest = ids.len() - provisions.len();
    let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    Why { before: format!("{what}: "), provisions, after: format!("{rest}{after}.") }
}

fn warnings(run: &Run<'_>) -> Vec<String> {
    let mut out = Vec::new();
    if run.journal.torn || run.journal.ended().is_none() {
        out.push("The run did not come to its end; what was due and not answered counts as harness-fault.".to_owned());
    }
    out.extend(profile::sentences(run).into_iter().skip(1));
    if run.assessment.options.profile == Profile::Ci {
        out.push("Profile ci: a person's pending answer does not decide the exit code of the run. It is INCONCLUSIVE all the same.".to_owned());
    }
    out
}

fn facts(run: &Run<'_>) -> Vec<Named> {
    let header = run.journal.header();
    let mut out: Vec<Named> = Vec::new();
    let mut fact = |name: &str, value: &str| out.push(Named { name: said(name, NAME), value: said(value, NAME) });
    for (name, value) in header.dut.iter().take(20) {
        fact(&format!("Device: {name}"), value);
    }
    let table = match run.assessment.options.method {
        Method::Ts103701 => "its own status table (Annex A.3)",
        Method::EnAnnexB => "the status table of EN 303 645 V2.1.1 (Annex B)",
    };
    fact("Requirements", "ETSI EN 303 645 V2.1.1");
    fact("Method", &format!("ETSI TS 103 701 V1.1.1; ICS validated by {table}"));
    fact("Profile", &profile_name(run));
    fact("Run", &header.run);
    fact("Begun", &header.started);
    fact("Seed", &header.seed.to_string());
    for (name, value) in header.versions.iter().take(20) {
        fact(&format!("Version: {name}"), value);
    }
    out
}

fn groups(a: &Assessment) -> Vec<Group> {
    let mut out: Vec<Group> = Vec::new();
    for verdict in [Verdict::Fail, Verdict::Inconclusive, Verdict::Pass] {
        let provisions: Vec<String> = of_verdict(a, verdict).iter().map(ToString::to_string).collect();
        out.push(Group { verdict: Mark::verdict(Some(verdict), ""), count: provisions.len(), provisions });
    }
    // Plan states in place of a verdict, in the order in which the standard first has one.
    let mut rest: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for group in a.groups.iter().filter(|g| g.verdict.is_none()) {
        rest.entry(group.fate.as_str()).or_default().push(group.provision.to_string());
    }
    out.extend(rest.into_iter().map(|(word, provisions)| Group { verdict: Mark::verdict(None, word), count: provisions.len(), provisions }));
    out
}

fn figures(covered: &BTreeMap<UnitId, Covered>) -> Vec<Figure> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for state in covered.values() {
        *counts.entry(state.word()).or_default() += 1;
    }
    let mut figure = |word: &str, what, meaning| Figure { what, count: counts.remove(word).unwrap_or_default(), meaning };
    vec![
        figure("executed", "Tested", "a check ran and came to an answer"),
        figure("human", "By a person", "judged by reading or looking; no check can"),
        figure("evidence", "Covered by evidence", "an accepted document stands in place of the cases"),
        figure("not applicable", "Not applicable", "the ICS says N/A"),
        figure("not claimed", "Not claimed", "the ICS says N"),
        figure("not covered", "Not covered", "functional, and nothing came to an answer"),
        figure("not selected", "Not selected", "the run was limited to other units"),
    ]
}

fn open(a: &Assessment) -> Vec<Open> {
    let who = a.who_must_act().into_iter();
    who.map(|(who, actions)| {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for action in &actions {
            *reasons.entry(action.reason.as_str()).or_default() += 1;
        }
        let reasons: Vec<String> = reasons.iter().map(|(r, n)| format!("{n} {r}")).collect();
        Open { who: who.to_owned(), reasons: reasons.join(", ") }
    })
    .collect()
}

/// A list of sentences, bounded.
pub fn sentences(all: impl IntoIterator<Item = String>, max: usize, found_in: &'static str) -> List<String> {
    List::first(all, max, found_in, |s| said(&s, SENTENCE))
}
