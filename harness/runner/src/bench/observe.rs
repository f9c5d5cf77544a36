//! Evidence and observations.

use super::{Bench, Current};
use crate::text::escape;
use proofbench_channel::Tear;
use proofbench_model::{EvidenceId, Observation, Outcome, Reason, RowId, UnitId};

/// Pieces of evidence that one observation points to, beside the transcript: the latest.
const EVIDENCE_MOST: usize = 32;

impl Current {
    pub(super) fn for_reference(&self) -> Current {
        Current {
            id: self.id.clone(),
            table: self.table,
            row_wanted: self.row_wanted,
            units: self.units.clone(),
            seed: self.seed,
            attempt: self.attempt,
            observations: Vec::new(),
            evidence: Vec::new(),
            strength: None,
            replay: None,
            mistake: None,
        }
    }
}

impl Bench {
    /// Keeps bytes as evidence; observations of this check that follow point to them.
    pub fn evidence(&mut self, name: &str, bytes: &[u8]) -> EvidenceId {
        let check = self.current.as_ref().map(|c| &c.id);
        let id = self.core.sink.borrow_mut().evidence(self.core.now(), check, name, bytes);
        if let Some(current) = &mut self.current
            && !current.evidence.contains(&id)
        {
            if current.evidence.len() == EVIDENCE_MOST {
                current.evidence.remove(0);
            }
            current.evidence.push(id.clone());
        }
        id
    }

    /// Keeps as evidence what went over the channels since the check started.
    pub fn transcript(&mut self) -> EvidenceId {
        let text = self.core.transcript.borrow().text();
        let check = self.current.as_ref().map(|c| &c.id);
        self.core.sink.borrow_mut().evidence(self.core.now(), check, "transcript.txt", text.as_bytes())
    }

    /// The transcript as text, for messages.
    pub fn transcript_text(&self) -> String {
        self.core.transcript.borrow().text()
    }

    /// The device did as declared. The runner keeps it back until the rig has been found healthy after the check.
    pub fn satisfied(&mut self, unit: &str, row: Option<&RowId>, expected: &str, observed: &str) {
        self.observe(unit, row, Outcome::Satisfied, expected, observed);
    }

    /// The device did the contrary. Only after the check's own control has held.
    pub fn violated(&mut self, unit: &str, row: Option<&RowId>, expected: &str, observed: &str) {
        self.observe(unit, row, Outcome::Violated, expected, observed);
    }

    /// No meaningful answer.
    pub fn unresolved(&mut self, unit: &str, row: Option<&RowId>, reason: Reason, why: &str) {
        self.observe(unit, row, Outcome::Unresolved(reason), "", why);
    }

    fn observe(&mut self, unit: &str, row: Option<&RowId>, outcome: Outcome, expected: &str, observed: &str) {
        let outcome = match outcome {
            // A wait that ended at the budget is not a wait that ended at its deadline.
            Outcome::Satisfied | Outcome::Violated if self.clipped.get() && self.now() >= self.budget_end => {
                Outcome::Unresolved(Reason::BudgetExceeded)
            }
            other => other,
        };
        let transcript = self.transcript();
        let Some(current) = &mut self.current else { return };
        let unit: UnitId = match unit.parse() {
            Ok(unit) if current.units.contains(&unit) => unit,
            Ok(unit) => {
                current.mistake.get_or_insert(format!("{} reported for unit {unit}, which it does not list", current.id));
                return;
            }
            Err(e) => {
                current.mistake.get_or_insert(format!("{}: {e}", current.id));
                return;
            }
        };
        let mut evidence = current.evidence.clone();
        evidence.push(transcript);
        current.observations.push(Observation {
            check: current.id.clone(),
            unit,
            row: row.cloned(),
            outcome,
            expected: expected.to_owned(),
            observed: clean(observed),
            evidence,
            strength: current.strength.clone(),
            replay: current.replay.clone(),
            attempt: current.attempt,
        });
    }

    /// How hard the rig looked, in figures: for the observations that follow.
    pub fn strength(&mut self, text: String) {
        if let Some(current) = &mut self.current {
            current.strength = Some(text);
        }
    }

    /// What `proofbench replay` takes to repeat what the following observations saw.
    pub fn replay_hint(&mut self, text: String) {
        if let Some(current) = &mut self.current {
            current.replay = Some(text);
        }
    }

    /// [`Bench::replay_hint`] for one cut of this check.
    pub fn replay_cut(&mut self, at: u32, tear: Tear) {
        if let Some(current) = &mut self.current {
            current.replay = Some(crate::replay::spec(current.id.as_str(), at, tear));
        }
    }

    /// A remark for the reader of the journal.
    pub fn note(&mut self, text: &str) {
        let now = self.now();
        self.core.transcript.borrow_mut().add(now, "note", '!', text.as_bytes());
        self.core.sink.borrow_mut().note(now, &clean(text));
    }
}

/// Text of a check that may carry device text: control characters are escaped once more, so that nothing can forge a report.
fn clean(text: &str) -> String {
    if text.chars().any(char::is_control) { text.lines().map(escape_controls).collect::<Vec<_>>().join("\n") } else { text.to_owned() }
}

fn escape_controls(line: &str) -> String {
    line.chars().map(|c| if c.is_control() { escape(c.to_string().as_bytes()) } else { c.to_string() }).collect()
}
