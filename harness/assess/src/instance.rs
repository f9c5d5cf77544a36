//! One unit on one IXIT row: what all checks and persons together say of it.

use crate::records::{Indexed, Records};
use proofbench_model::catalogue::{Catalogue, Kind, Reference, Restriction};
use proofbench_model::dossier::{Dossier, Row};
use proofbench_model::{CheckId, EvidenceId, Fate, Observation, Outcome, Reason, RowId, UnitId};
use std::collections::{BTreeMap, BTreeSet};

/// Who says something of an instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A check.
    Check(CheckId),
    /// A person, by name.
    Person(String),
    /// A rule that needs no rig, and which file it read.
    Rule(String),
    /// Nobody yet.
    Nobody,
}

/// One unit on one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The unit whose observation it is; for a reference unit, the unit it was taken from.
    pub unit: UnitId,
    /// The row; none for the unit as a whole.
    pub row: Option<RowId>,
    /// The worst of what its sources say.
    pub outcome: Outcome,
    /// A violation that another attempt did not show.
    pub intermittent: bool,
    /// Every reason for which some source could not resolve it.
    pub reasons: BTreeSet<Reason>,
    /// Who says it.
    pub sources: BTreeSet<Source>,
    /// Evidence of the observations that decide.
    pub evidence: BTreeSet<EvidenceId>,
    /// Why, in words, one line per deciding source.
    pub why: BTreeSet<String>,
}

impl Instance {
    pub(crate) fn new(unit: &UnitId, row: Option<RowId>, outcome: Outcome, source: Source, why: String) -> Self {
        let mut out = Self {
            unit: unit.clone(),
            row,
            outcome,
            intermittent: false,
            reasons: BTreeSet::new(),
            sources: BTreeSet::from([source]),
            evidence: BTreeSet::new(),
            why: BTreeSet::new(),
        };
        if let Outcome::Unresolved(reason) = outcome {
            out.reasons.insert(reason);
        }
        if !why.is_empty() {
            out.why.insert(why);
        }
        out
    }

    /// Adds what another source says: VIOLATED if any is, UNRESOLVED if any is, else SATISFIED.
    fn join(&mut self, other: Instance) {
        self.outcome = worse(self.outcome, other.outcome);
        self.intermittent |= other.intermittent;
        self.reasons.extend(other.reasons);
        self.sources.extend(other.sources);
        self.evidence.extend(other.evidence);
        self.why.extend(other.why);
    }

    /// Whether it waits for nothing but a person or a check that nobody owes.
    pub fn is_pending(&self) -> bool {
        !self.reasons.is_empty() && self.reasons.iter().all(|r| *r == Reason::HumanPending)
    }
}

/// The worse of two outcomes. Of two unresolved ones, the reason that a person's answer would not cure comes first, so that pending hides no fault.
pub(crate) fn worse(a: Outcome, b: Outcome) -> Outcome {
    let rank = |o: Outcome| match o {
        Outcome::Violated => (3, 0),
        Outcome::Unresolved(Reason::HumanPending) => (1, 0),
        Outcome::Unresolved(reason) => (2, Reason::ALL.len() - Reason::ALL.iter().position(|r| *r == reason).unwrap_or(0)),
        Outcome::Satisfied => (0, 0),
    };
    if rank(a) >= rank(b) { a } else { b }
}

/// The instances of a unit that checks and persons made, and those that are missing though a row asks for them. Reference units are not resolved here.
pub(crate) fn own(catalogue: &Catalogue, dossier: &Dossier, indexed: &Indexed<'_>, unit: &UnitId) -> Vec<Instance> {
    let mut by_row: BTreeMap<Option<RowId>, Instance> = BTreeMap::new();
    let mut add = |instance: Instance| match by_row.get_mut(&instance.row) {
        Some(there) => there.join(instance),
        None => {
            by_row.insert(instance.row.clone(), instance);
        }
    };
    let mut judged_by_check: BTreeSet<u8> = BTreeSet::new();
    for (check, row, said) in indexed.of_unit(unit) {
        judged_by_check.extend(row.map(|r| r.table));
        add(by_check(indexed.records, unit, check, row, said));
    }
    let mut judged_by_person: BTreeSet<u8> = BTreeSet::new();
    for answer in indexed.answers_on(unit) {
        judged_by_person.extend(answer.row.as_ref().map(|r| r.table));
        let outcome = if answer.holds { Outcome::Satisfied } else { Outcome::Violated };
        add(Instance::new(unit, answer.row.clone(), outcome, Source::Person(answer.author.clone()), answer.reasoning.clone()));
    }
    if unit.to_string() == "4-1-1 a" {
        add(reasons_given(catalogue, dossier, unit));
    }
    // A person who judges row by row has to judge every row, and a check can judge no row that has no binding. An answer for the unit as a whole covers all.
    let whole = by_row.get(&None).is_some_and(|i| i.sources.iter().any(|s| matches!(s, Source::Person(_))));
    for table in judged_by_check.union(&judged_by_person) {
        for row in dossier.ixit.rows(*table).iter().filter(|_| !whole) {
            let key = Some(row.id.clone());
            if by_row.contains_key(&key) {
                continue;
            }
            if judged_by_check.contains(table) && is_bindable(*table) && row.bind.is_none() {
                let why = format!("{} has no binding, so no check could judge it", row.id);
                let outcome = Outcome::Unresolved(Reason::IxitMissing);
                by_row.insert(key.clone(), Instance::new(unit, key, outcome, Source::Nobody, why));
            } else if judged_by_person.contains(table) {
                by_row.insert(key.clone(), pending(catalogue, unit, key));
            }
        }
    }
    by_row.into_values().collect()
}

/// What one check says of a unit and row over all its attempts; `all` are its observations on them.
fn by_check(records: &Records, unit: &UnitId, check: &CheckId, row: Option<&RowId>, all: &[&Observation]) -> Instance {
    let valid: Vec<&Observation> = all.iter().copied().filter(|o| !records.is_annulled(o)).collect();
    let source = Source::Check(check.clone());
    let Some(last) = valid.iter().map(|o| o.attempt).max() else {
        let (reason, why) = match records.check_fates.get(check) {
            _ if !all.is_empty() => (Reason::HarnessFault, format!("every attempt of {check} was annulled and none was repeated")),
            Some(Fate::CannotRun { missing }) => (Reason::RigCapabilityMissing, format!("{check} could not run: {missing}")),
            Some(Fate::NotRun { why }) => (Reason::HarnessFault, format!("{check} did not run: {why}")),
            _ => (Reason::HarnessFault, format!("{check} was due and reported nothing")),
        };
        return Instance::new(unit, row.cloned(), Outcome::Unresolved(reason), source, why);
    };
    // A violation stands whatever a later attempt saw. Otherwise the last attempt speaks: it may resolve what an earlier one could not.
    let outcome_of = |o: &Observation| match o.is_founded() {
        true => o.outcome,
        false => Outcome::Unresolved(Reason::HarnessFault), // no evidence, no verdict
    };
    let violated = |o: &&&Observation| outcome_of(o) == Outcome::Violated;
    let deciding: Vec<&Observation> = match valid.iter().find(violated) {
        Some(_) => valid.iter().filter(violated).copied().collect(),
        None => valid.iter().copied().filter(|o| o.attempt == last).collect(),
    };
    let mut instances = deciding.iter().map(|o| {
        let why = if o.outcome == Outcome::Satisfied { String::new() } else { o.observed.clone() };
        let mut instance = Instance::new(unit, row.cloned(), outcome_of(o), source.clone(), why);
        instance.evidence.extend(o.evidence.iter().cloned());
        instance
    });
    let mut out = instances.next().expect("the last attempt has an observation");
    instances.for_each(|i| out.join(i));
    let satisfied_attempts: BTreeSet<u32> = valid.iter().filter(|o| outcome_of(o) == Outcome::Satisfied).map(|o| o.attempt).collect();
    let violated_attempts: BTreeSet<u32> = valid.iter().filter(violated).map(|o| o.attempt).collect();
    out.intermittent = !violated_attempts.is_empty() && satisfied_attempts.difference(&violated_attempts).next().is_some();
    out
}

/// An instance that nobody has answered. Both a conceptual unit and a functional one that no check owes wait for a person.
pub(crate) fn pending(catalogue: &Catalogue, unit: &UnitId, row: Option<RowId>) -> Instance {
    let why = match catalogue.unit_kind(unit) {
        Kind::Functional => "no check owed it and nobody has tried it",
        Kind::Conceptual | Kind::Mixed => "a person's judgement is due",
    };
    Instance::new(unit, row, Outcome::Unresolved(Reason::HumanPending), Source::Nobody, why.to_owned())
}

/// The instances that a reference unit takes from elsewhere: those of the referenced units on the rows that count, one for each row.
pub(crate) fn referenced(catalogue: &Catalogue, dossier: &Dossier, indexed: &Indexed<'_>, reference: &Reference) -> Vec<Instance> {
    let mut out = Vec::new();
    for unit in &reference.to {
        let there = own(catalogue, dossier, indexed, unit);
        for row in restricted_rows(dossier, reference.restriction) {
            let key = Some(row.clone());
            let on_row: Vec<&Instance> = there.iter().filter(|i| i.row == key || i.row.is_none()).collect();
            if on_row.is_empty() {
                out.push(pending(catalogue, unit, key));
                continue;
            }
            let mut joined = on_row[0].clone();
            on_row[1..].iter().for_each(|i| joined.join((*i).clone()));
            joined.row = key;
            out.push(joined);
        }
    }
    out
}

/// The rows that a reference unit is restricted to, in the order of the table.
pub(crate) fn restricted_rows(dossier: &Dossier, restriction: Restriction) -> Vec<RowId> {
    let named = |from: u8, key: &str, to: u8, wanted: &dyn Fn(&Row) -> bool| -> Vec<RowId> {
        let names: BTreeSet<&str> = dossier.ixit.rows(from).iter().filter(|r| wanted(r)).flat_map(|r| r.names(key)).collect();
        dossier.ixit.rows(to).iter().filter(|r| names.contains(r.id.row.as_str())).map(|r| r.id.clone()).collect()
    };
    match restriction {
        Restriction::ComMechOfSecParams => named(10, "communication-mechanisms", 11, &is_critical),
        Restriction::ComMechOfPersData => named(21, "communication-mechanisms", 11, &|_| true),
        Restriction::ComMechOfSensitiveData => named(21, "communication-mechanisms", 11, &|r| says_yes(r.field("sensitive"))),
        Restriction::UpdMechOfComponents => named(6, "update-mechanism", 7, &|_| true),
        Restriction::AllUpdMech => dossier.ixit.rows(7).iter().map(|r| r.id.clone()).collect(),
        Restriction::ConfigurationServices => {
            dossier.ixit.rows(13).iter().filter(|r| says_yes(r.field("allows-configuration"))).map(|r| r.id.clone()).collect()
        }
    }
}

/// Whether a row of 10-SecParam is a critical security parameter: all but those that call themselves public.
pub(crate) fn is_critical(row: &Row) -> bool {
    !row.field("type").unwrap_or_default().trim_start().to_ascii_lowercase().starts_with("public")
}

/// Whether a yes-or-no cell says yes.
pub(crate) fn says_yes(cell: Option<&str>) -> bool {
    cell.is_some_and(|c| c.trim_start().to_ascii_lowercase().starts_with("yes"))
}

/// Tables whose rows can have a binding.
fn is_bindable(table: u8) -> bool {
    matches!(table, 1 | 7 | 10 | 15 | 20 | 21 | 23 | 25)
}

/// Test unit 4-1-1 a by rule: every recommendation that is unmet or not applicable has a reason in the ICS.
fn reasons_given(catalogue: &Catalogue, dossier: &Dossier, unit: &UnitId) -> Instance {
    use proofbench_model::Method;
    use proofbench_model::catalogue::Obligation;
    use proofbench_model::dossier::Support;
    let without: Vec<&str> = catalogue
        .provisions()
        .iter()
        // Obligations are the same in both status tables; only conditions differ.
        .filter(|p| p.status(Method::Ts103701).obligation == Obligation::Recommended)
        .filter(|p| dossier.ics.row(&p.id).is_some_and(|r| r.support != Support::Yes && r.detail.trim().is_empty()))
        .map(|p| p.id.as_str())
        .collect();
    let source = Source::Rule("ics".to_owned());
    if without.is_empty() {
        Instance::new(unit, None, Outcome::Satisfied, source, String::new())
    } else {
        Instance::new(unit, None, Outcome::Violated, source, format!("no reason is given for {}", without.join(", ")))
    }
}
