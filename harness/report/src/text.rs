//! The summary that a person reads first, and the ICS with what is wrong with it.

use crate::chips;
use crate::instances::Instances;
use crate::profile;
use crate::run::{Run, profile_name};
use crate::xml_text::legal;
use proofbench_assess::GroupResult;
use proofbench_model::catalogue::Catalogue;
use proofbench_model::{Outcome, Verdict};
use std::fmt::Write;

/// Lines of findings of one kind before the rest is only counted.
const LISTED: usize = 40;

/// `summary.txt`.
pub fn summary(run: &Run<'_>) -> String {
    let mut out = String::new();
    let header = run.journal.header();
    let a = run.assessment;
    let dut: Vec<String> = header.dut.iter().map(|(k, v)| format!("{k} {v}")).collect();
    let _ = writeln!(out, "device   {}", dut.join(", "));
    let _ = writeln!(out, "run      {} of {}, seed {}, profile {}", header.run, header.started, header.seed, profile_name(run));
    let _ = writeln!(out, "method   TS 103 701 V1.1.1; ICS by {:?}", a.options.method);
    if run.journal.torn || run.journal.ended().is_none() {
        let _ = writeln!(out, "WARNING  the run did not come to its end; what was due and not answered counts as harness-fault");
    }
    out.push_str(&profile::text(run));
    findings(&mut out, run);
    let c = &a.coverage;
    let _ = writeln!(
        out,
        "\nunits    {} of {} due: {} SATISFIED, {} VIOLATED, {} UNRESOLVED, {} wait for a person; {} N, {} N/A, {} not selected",
        c.due, c.total, c.satisfied, c.violated, c.unresolved, c.pending, c.not_claimed, c.not_applicable, c.not_selected
    );
    let count = |v: Verdict| a.groups.iter().filter(|g| g.verdict == Some(v)).count();
    let _ = writeln!(out, "groups   {} PASS, {} FAIL, {} INCONCLUSIVE", count(Verdict::Pass), count(Verdict::Fail), count(Verdict::Inconclusive));
    groups(&mut out, &a.groups);
    let chips = chips::cited(run, &Instances::of(run.journal));
    if !chips.is_empty() {
        let _ = write!(out, "\ndebug ports: what is known of their chips\n{chips}");
    }
    who_must_act(&mut out, run);
    let _ = match a.overall.filter(|_| profile::gives_one(run)) {
        Some(v) => writeln!(out, "\noverall  {v}{}", profile::about(run)),
        None => writeln!(out, "\noverall  none: {}", profile::no_verdict(run)),
    };
    legal(&out)
}

fn findings(out: &mut String, run: &Run<'_>) {
    let a = run.assessment;
    for f in &a.ics_findings {
        let _ = writeln!(out, "ICS-INVALID  {f}");
    }
    for c in &a.contradictions {
        let _ = writeln!(out, "{c}");
    }
    for f in &a.ixit_findings {
        let _ = writeln!(out, "IXIT  {f}");
    }
    for s in &a.strays {
        let _ = writeln!(out, "STRAY  {s}");
    }
    let instances = Instances::of(run.journal);
    for (title, wanted) in [("VIOLATED", true), ("UNRESOLVED", false)] {
        let hits: Vec<_> = instances
            .by_key
            .iter()
            .filter(|(_, i)| match i.outcome() {
                Outcome::Violated => wanted,
                Outcome::Unresolved(_) => !wanted,
                Outcome::Satisfied => false,
            })
            .collect();
        if hits.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\n{title}");
        for (key, instance) in hits.iter().take(LISTED) {
            let row = key.row.as_ref().map(|r| format!(" [{r}]")).unwrap_or_default();
            let _ = writeln!(out, "  {}{row} by {}: {}", key.unit, key.check, instance.outcome());
            if let Some(o) = instance.deciding() {
                if !o.expected.is_empty() {
                    let _ = writeln!(out, "    expected {}", o.expected);
                }
                let _ = writeln!(out, "    observed {}", o.observed);
                if let Some(replay) = &o.replay {
                    let _ = writeln!(out, "    replay   {replay}");
                }
            }
        }
        if hits.len() > LISTED {
            let _ = writeln!(out, "  ... and {} more, see junit.xml", hits.len() - LISTED);
        }
    }
}

fn groups(out: &mut String, groups: &[GroupResult]) {
    for verdict in [Verdict::Fail, Verdict::Inconclusive, Verdict::Pass] {
        let ids: Vec<String> = groups.iter().filter(|g| g.verdict == Some(verdict)).map(|g| g.provision.to_string()).collect();
        if !ids.is_empty() {
            let _ = writeln!(out, "  {verdict:<13}{}", ids.join(" "));
        }
    }
}

fn who_must_act(out: &mut String, run: &Run<'_>) {
    let open = run.assessment.who_must_act();
    if open.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nopen, by who has to act");
    for (who, actions) in open {
        let mut reasons: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
        for action in &actions {
            *reasons.entry(action.reason.as_str()).or_default() += 1;
        }
        let reasons: Vec<String> = reasons.iter().map(|(r, n)| format!("{n} {r}")).collect();
        let _ = writeln!(out, "  {who:<11}{}", reasons.join(", "));
    }
}

/// The ICS as it was assessed: a line per provision, findings below.
pub fn ics(run: &Run<'_>) -> String {
    let catalogue = Catalogue::load();
    let a = run.assessment;
    let mut out = String::from("provision  status           answer and verdict\n");
    for group in &a.groups {
        let status = catalogue.provision(&group.provision).map(|p| p.status(a.options.method).text()).unwrap_or_default();
        let answer = match group.verdict {
            Some(v) => format!("Y    {v}"),
            None => group.fate.to_string(),
        };
        let _ = writeln!(out, "{:<10} {status:<16} {answer}", group.provision);
    }
    for f in &a.ics_findings {
        let _ = writeln!(out, "INVALID  {f}");
    }
    for c in &a.contradictions {
        let _ = writeln!(out, "INVALID  {c}");
    }
    if a.ics_is_valid() {
        let _ = writeln!(out, "the ICS is valid");
    }
    legal(&out)
}

/// The assessment as JSON: verdicts of units, cases, groups and the whole.
pub fn json(run: &Run<'_>) -> String {
    let a = run.assessment;
    let verdict = |v: Option<Verdict>| v.map(|v| v.as_str());
    let units: Vec<_> = a
        .units
        .iter()
        .map(
            |u| serde_json::json!({ "unit": u.unit.to_string(), "outcome": u.outcome().map(|o| o.to_string()), "intermittent": u.is_intermittent() }),
        )
        .collect();
    let cases: Vec<_> = a.cases.iter().map(|c| serde_json::json!({ "case": c.case.as_str(), "verdict": verdict(c.verdict) })).collect();
    let groups: Vec<_> = a
        .groups
        .iter()
        .map(|g| serde_json::json!({ "provision": g.provision.as_str(), "verdict": verdict(g.verdict), "fate": g.fate.to_string() }))
        .collect();
    let whole = serde_json::json!({
        "run": run.journal.header().run,
        "claim": run.claim(),
        "profile": profile_name(run),
        "scope": a.options.scheme.map(|s| s.scope.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap_or_default(),
        "profile_notes": profile::sentences(run),
        "other_edition": profile::later(run),
        "overall": verdict(a.overall),
        "ics_valid": a.ics_is_valid(),
        "ics_findings": a.ics_findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "contradictions": a.contradictions.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "ixit_findings": a.ixit_findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "groups": groups,
        "cases": cases,
        "units": units,
    });
    let mut text = serde_json::to_string_pretty(&whole).unwrap_or_default();
    text.push('\n');
    text
}
