//! What a run recorded, taken out of its journal and without any order.

use proofbench_model::catalogue::Catalogue;
use proofbench_model::journal::{Amendment, Annulment, Answer, Due, Event, ExternalEvidence, Indication, Journal, Subject};
use proofbench_model::{CheckId, Claim, Fate, Observation, ProvisionId, RowId, UnitId};
use std::collections::BTreeMap;

/// Everything that bears on an assessment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Records {
    /// Instances that checks owed.
    pub due: Vec<Due>,
    /// Observations of all attempts.
    pub observations: Vec<Observation>,
    /// What bears on conditions of the ICS.
    pub indications: Vec<Indication>,
    /// Answers of persons.
    pub answers: Vec<Answer>,
    /// Attempts that do not count.
    pub annulments: Vec<Annulment>,
    /// Evidence from elsewhere.
    pub external: Vec<ExternalEvidence>,
    /// What became of checks.
    pub check_fates: BTreeMap<CheckId, Fate>,
    /// What became of units.
    pub unit_fates: BTreeMap<UnitId, Fate>,
    /// What the run set out to claim.
    pub claim: Claim,
}

impl Default for Records {
    /// Nothing recorded in a run that set out to claim everything.
    fn default() -> Self {
        Self {
            due: Vec::new(),
            observations: Vec::new(),
            indications: Vec::new(),
            answers: Vec::new(),
            annulments: Vec::new(),
            external: Vec::new(),
            check_fates: BTreeMap::new(),
            unit_fates: BTreeMap::new(),
            claim: Claim::Full,
        }
    }
}

impl Records {
    /// Takes the records out of a journal. A run without a last event claims what its header says; what it still owed shows as harness-fault.
    pub fn of(journal: &Journal) -> Self {
        // A header that says nothing on the claim claims nothing.
        let mut out = Self { claim: journal.header().claim.unwrap_or(Claim::None), ..Self::default() };
        for record in &journal.records {
            match &record.event {
                Event::Plan { due } => out.due.extend(due.iter().cloned()),
                Event::Observation(o) => out.observations.push(o.clone()),
                Event::Indication(i) => out.indications.push(i.clone()),
                Event::CheckEnded { check, fate, .. } => {
                    out.check_fates.insert(check.clone(), fate.clone());
                }
                Event::Fate { subject: Subject::Check(check), fate } => {
                    out.check_fates.insert(check.clone(), fate.clone());
                }
                Event::Fate { subject: Subject::Unit(unit), fate } => {
                    out.unit_fates.insert(unit.clone(), fate.clone());
                }
                Event::Amendment(Amendment::Annul(a)) => out.annulments.push(a.clone()),
                Event::Amendment(Amendment::Answer(a)) => out.answers.push(a.clone()),
                Event::Amendment(Amendment::External(e)) => out.external.push(e.clone()),
                Event::Ended { claim } => out.claim = *claim,
                Event::Header(_) | Event::CheckStarted { .. } | Event::Exchange { .. } | Event::Restored { .. } | Event::Note { .. } => {}
            }
        }
        out
    }

    /// Whether an observation's attempt was annulled, with a reason and an author.
    pub fn is_annulled(&self, o: &Observation) -> bool {
        self.annulments.iter().filter(|a| is_founded(a)).any(|a| {
            a.check == o.check && a.attempt == o.attempt && a.unit.as_ref().is_none_or(|u| *u == o.unit) && (a.row.is_none() || a.row == o.row)
        })
    }

    /// Answers of persons that count: with a name and with reasoning.
    pub fn valid_answers(&self) -> impl Iterator<Item = &Answer> {
        self.answers.iter().filter(|a| is_reasoned(a))
    }

    /// Accepted external evidence for a provision.
    pub fn evidence_for(&self, provision: &ProvisionId) -> Option<&ExternalEvidence> {
        self.external.iter().find(|e| e.provision == *provision && e.is_accepted())
    }

    pub(crate) fn strays(&self, catalogue: &Catalogue) -> Vec<String> {
        let mut out = Vec::new();
        for o in self.observations.iter().filter(|o| !catalogue.has_unit(&o.unit)) {
            out.push(format!("{} observed unit {}, which the catalogue does not have", o.check, o.unit));
        }
        for d in self.due.iter().filter(|d| !catalogue.has_unit(&d.unit)) {
            out.push(format!("{} owed unit {}, which the catalogue does not have", d.check, d.unit));
        }
        for a in self.annulments.iter().filter(|a| !is_founded(a)) {
            out.push(format!("the annulment of {} attempt {} lacks a reason or an author and has no effect", a.check, a.attempt));
        }
        for a in self.answers.iter().filter(|a| !catalogue.has_unit(&a.unit) || !is_reasoned(a)) {
            out.push(format!("the answer for unit {} has no effect: unknown unit, or no author or reasoning", a.unit));
        }
        for e in self.external.iter().filter(|e| !e.is_accepted()) {
            out.push(format!("external evidence for {} has no effect: it is not accepted on all three grounds", e.provision));
        }
        out.sort();
        out.dedup();
        out
    }
}

/// What one check said, or owes, on one row; in the order of the records.
pub(crate) type ByCheckAndRow<'r> = BTreeMap<(&'r CheckId, Option<&'r RowId>), Vec<&'r Observation>>;

/// The records by unit, made once: looking through all observations for each unit, and again for each check and row of it, takes the square of their number.
pub(crate) struct Indexed<'r> {
    /// The records.
    pub records: &'r Records,
    units: BTreeMap<&'r UnitId, ByCheckAndRow<'r>>,
    answers: BTreeMap<&'r UnitId, Vec<&'r Answer>>,
}

impl<'r> Indexed<'r> {
    /// Of these records.
    pub fn of(records: &'r Records) -> Self {
        let mut units: BTreeMap<&UnitId, ByCheckAndRow<'r>> = BTreeMap::new();
        for d in &records.due {
            units.entry(&d.unit).or_default().entry((&d.check, d.row.as_ref())).or_default();
        }
        for o in &records.observations {
            units.entry(&o.unit).or_default().entry((&o.check, o.row.as_ref())).or_default().push(o);
        }
        let mut answers: BTreeMap<&UnitId, Vec<&Answer>> = BTreeMap::new();
        for a in records.valid_answers() {
            answers.entry(&a.unit).or_default().push(a);
        }
        Self { records, units, answers }
    }

    /// Everything that checks said or owe on a unit, by check and row.
    pub fn of_unit(&self, unit: &UnitId) -> impl Iterator<Item = (&'r CheckId, Option<&'r RowId>, &[&'r Observation])> {
        self.units.get(unit).into_iter().flatten().map(|((check, row), said)| (*check, *row, said.as_slice()))
    }

    /// Answers of persons on a unit that count.
    pub fn answers_on(&self, unit: &UnitId) -> &[&'r Answer] {
        self.answers.get(unit).map_or(&[], Vec::as_slice)
    }
}

fn is_founded(a: &Annulment) -> bool {
    !a.reason.trim().is_empty() && !a.author.trim().is_empty()
}

fn is_reasoned(a: &Answer) -> bool {
    !a.author.trim().is_empty() && !a.reasoning.trim().is_empty()
}
