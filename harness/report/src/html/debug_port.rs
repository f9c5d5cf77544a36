//! Which level of access a debug probe had, per state of the device and way of attaching. The level is the check's own word for it: this page does not judge
//! a survey a second time. Where the check has no word for one survey among several, the cell says what answered and what did not.

use super::words::{Link, NAME, link, said};
use proofbench_model::journal::{Event, Journal};
use proofbench_model::{CheckId, EvidenceId};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Rows of the table.
const STATES: usize = 60;
/// Columns of the table.
const WAYS: usize = 16;
/// Surveys that are looked at.
const SURVEYS: usize = 5000;

/// The table.
#[derive(Debug, Serialize)]
pub struct Matrix {
    ways: Vec<String>,
    states: Vec<StateRow>,
    left_out: usize,
}

#[derive(Debug, Serialize)]
struct StateRow {
    state: String,
    cells: Vec<Option<Cell>>,
}

#[derive(Debug, Clone, Serialize)]
struct Cell {
    /// Levels, in the words of the check; several if surveys differ.
    levels: Vec<String>,
    /// A level of access that a lock should have prevented.
    reached: bool,
    record: Link,
    check: String,
}

/// A survey as its evidence names it: `survey as delivered, SWD while running.json`.
struct Survey<'a> {
    check: &'a CheckId,
    label: &'a str,
    evidence: &'a EvidenceId,
    /// The probe's answer.
    answer: Option<&'a str>,
}

/// Of a run; none if no survey was made.
pub fn of(journal: &Journal) -> Option<Matrix> {
    let surveys = surveys(journal);
    if surveys.is_empty() {
        return None;
    }
    let words = words(journal, &surveys);
    let (mut states, mut ways): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    let mut cells: BTreeMap<(&str, &str), Cell> = BTreeMap::new();
    let mut left_out = 0;
    for survey in &surveys {
        let (state, way) = survey.label.rsplit_once(", ").unwrap_or((survey.label, "survey"));
        if !place(&mut states, state, STATES) || !place(&mut ways, way, WAYS) {
            left_out += 1;
            continue;
        }
        let level = level(&words, survey).or_else(|| facts(survey.answer?)).unwrap_or_else(|| "surveyed; see the record".to_owned());
        let record = link(survey.check, survey.evidence, Some("record"));
        let cell = cells.entry((state, way)).or_insert_with(|| Cell { levels: Vec::new(), reached: false, record, check: survey.check.to_string() });
        cell.reached |= level.starts_with("open") || level.starts_with("partial");
        if !cell.levels.contains(&level) && cell.levels.len() < 4 {
            cell.levels.push(level);
        }
    }
    let row = |state: &&str| StateRow { state: said(state, NAME), cells: ways.iter().map(|way| cells.get(&(*state, *way)).cloned()).collect() };
    Some(Matrix { states: states.iter().map(row).collect(), ways: ways.iter().map(|w| said(w, NAME)).collect(), left_out })
}

/// Whether `name` has a place among `names`, which are at most `max`.
fn place<'a>(names: &mut Vec<&'a str>, name: &'a str, max: usize) -> bool {
    if names.contains(&name) {
        return true;
    }
    let room = names.len() < max;
    if room {
        names.push(name);
    }
    room
}

fn surveys(journal: &Journal) -> Vec<Survey<'_>> {
    let mut out = Vec::new();
    let mut running: Option<&CheckId> = None;
    // Evidence of that name in a check that never asked the probe is somebody else's survey.
    let mut probed = false;
    let mut answer: Option<&str> = None;
    for record in &journal.records {
        match &record.event {
            Event::CheckStarted { check, .. } => (running, probed, answer) = (Some(check), false, None),
            Event::Exchange { channel, got, .. } if channel == "debug" => {
                probed = true;
                answer = got.as_deref();
            }
            Event::Exchange { channel, got: Some(name), evidence: Some(evidence), .. } if channel == "evidence" && probed => {
                let label = name.strip_prefix("survey ").and_then(|n| n.strip_suffix(".json"));
                if let (Some(check), Some(label)) = (running, label)
                    && out.len() < SURVEYS
                {
                    out.push(Survey { check, label, evidence, answer: answer.take() });
                }
            }
            _ => {}
        }
    }
    out
}

/// What checks that surveyed said, each text once.
fn words<'a>(journal: &'a Journal, surveys: &[Survey<'_>]) -> BTreeMap<&'a CheckId, BTreeSet<&'a str>> {
    let surveyed: BTreeSet<&CheckId> = surveys.iter().map(|s| s.check).collect();
    let mut out: BTreeMap<&CheckId, BTreeSet<&str>> = BTreeMap::new();
    for record in &journal.records {
        if let Event::Observation(o) = &record.event
            && surveyed.contains(&o.check)
        {
            let of_check = out.entry(&o.check).or_default();
            if of_check.len() < 50 {
                of_check.insert(&o.observed);
            }
        }
    }
    out
}

/// The check's word for a survey: `as delivered, SWD while running, access ports 0 to 255: memory access refused; ...`.
fn level(words: &BTreeMap<&CheckId, BTreeSet<&str>>, survey: &Survey<'_>) -> Option<String> {
    words.get(survey.check)?.iter().find_map(|text| {
        let part = text.split("; ").find(|part| part.starts_with(survey.label))?;
        let level = part[survey.label.len()..].split_once(": ")?.1;
        // Register values follow in brackets, and may hold a semicolon themselves.
        Some(said(level.split(" (").next()?, NAME))
    })
}

/// What a survey's answer holds, without a judgement: `debug port answers; AP 0: flash, RAM refused`.
fn facts(answer: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    answer.get("job")?;
    let is_value = |said: &Value| said.get("value").is_some();
    if !is_value(&answer["dpidr"]) {
        return Some("no answer".to_owned());
    }
    let memory = answer["aps"].as_array()?.iter().filter(|ap| ap["mem"] == true);
    let of_ap = memory.take(4).map(|ap| {
        let (read, refused): (Vec<&str>, Vec<&str>) = ["core", "ram", "flash"].into_iter().partition(|what| is_value(&ap[*what]));
        let list = |names: Vec<&str>, word: &str| if names.is_empty() { String::new() } else { format!(" {} {word}", names.join(", ")) };
        format!("; AP {}:{}{}", ap["ap"], list(read, "answered"), list(refused, "did not"))
    });
    Some(said(&format!("debug port answers{}", of_ap.collect::<String>()), NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_the_checks_own_word_for_that_survey() {
        let check: CheckId = "debug-port/running".parse().unwrap();
        let text = "as delivered, SWD while running, access ports 0 to 255: memory access refused; as delivered, JTAG while running: silent";
        let words = BTreeMap::from([(&check, BTreeSet::from([text]))]);
        let evidence = EvidenceId("x".to_owned());
        let of = |label| level(&words, &Survey { check: &check, label, evidence: &evidence, answer: None });
        assert_eq!(of("as delivered, SWD while running").as_deref(), Some("memory access refused"));
        assert_eq!(of("as delivered, JTAG while running").as_deref(), Some("silent"));
        assert_eq!(of("after an update, SWD while running"), None);
    }

    #[test]
    fn without_a_word_of_the_check_the_cell_says_what_answered() {
        let open =
            r#"{"job":{},"dpidr":{"value":7},"aps":[{"ap":0,"mem":true,"core":{"value":1},"ram":{"value":1},"flash":"fault"},{"ap":1,"mem":false}]}"#;
        assert_eq!(facts(open).as_deref(), Some("debug port answers; AP 0: core, ram answered flash did not"));
        assert_eq!(facts(r#"{"job":{},"dpidr":"no-ack","aps":[]}"#).as_deref(), Some("no answer"));
        assert_eq!(facts("{}"), None);
    }
}
