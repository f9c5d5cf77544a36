//! Units, cases and groups.

use crate::instance::{self, Instance, Source};
use crate::ixit::IxitFinding;
use crate::records::{Indexed, Records};
use proofbench_model::catalogue::{Case, Catalogue, Kind};
use proofbench_model::dossier::{Dossier, Support};
use proofbench_model::{CaseId, Claim, Fate, Outcome, ProvisionId, Reason, RowId, UnitId, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// Where a unit stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitState {
    /// It was due and has this outcome.
    Due(Outcome),
    /// Due, and nobody has answered: no check owes it, no person judged it.
    NotYetRun,
    /// The ICS says N, or has no row.
    NotClaimed,
    /// The ICS says N/A.
    NotApplicable,
    /// The run was limited to other units.
    NotSelected,
    /// Accepted external evidence stands in its place.
    CoveredByEvidence {
        /// The document.
        document: String,
        /// Its digest.
        sha256: String,
    },
}

/// A unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitResult {
    /// Which.
    pub unit: UnitId,
    /// How it is answered.
    pub kind: Kind,
    /// Where it stands.
    pub state: UnitState,
    /// Its instances. Also present where the state gives no outcome, if something was observed.
    pub instances: Vec<Instance>,
}

impl UnitResult {
    /// Its outcome, if it was due. A unit that nobody has answered is UNRESOLVED(human-pending).
    pub fn outcome(&self) -> Option<Outcome> {
        match self.state {
            UnitState::Due(outcome) => Some(outcome),
            UnitState::NotYetRun => Some(Outcome::Unresolved(Reason::HumanPending)),
            _ => None,
        }
    }

    /// Whether it was due and is unresolved.
    pub fn is_unresolved(&self) -> bool {
        matches!(self.outcome(), Some(Outcome::Unresolved(_)))
    }

    /// Whether all that it lacks is a person's answer.
    pub fn is_only_pending(&self) -> bool {
        let mut open = self.instances.iter().filter(|i| matches!(i.outcome, Outcome::Unresolved(_)));
        match self.state {
            UnitState::NotYetRun => true,
            UnitState::Due(Outcome::Unresolved(Reason::HumanPending)) => open.all(Instance::is_pending),
            _ => false,
        }
    }

    /// Whether one of its violations was not shown by every attempt.
    pub fn is_intermittent(&self) -> bool {
        self.instances.iter().any(|i| i.intermittent)
    }
}

/// A case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseResult {
    /// Which.
    pub case: CaseId,
    /// Its verdict; none if it was not due in this run.
    pub verdict: Option<Verdict>,
    /// What it needs from the IXIT and does not find. Any makes PASS impossible.
    pub ixit_missing: Vec<String>,
}

/// A group, that is, a provision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupResult {
    /// Which.
    pub provision: ProvisionId,
    /// Its verdict; none if it was not due in this run.
    pub verdict: Option<Verdict>,
    /// Its fate: run, or the plan state that stands in place of a verdict.
    pub fate: Fate,
}

pub(crate) fn units(catalogue: &Catalogue, dossier: &Dossier, records: &Records) -> Vec<UnitResult> {
    let indexed = Indexed::of(records);
    catalogue
        .cases()
        .iter()
        .flat_map(|case| case.unit_ids().map(move |u| (case, u)))
        .map(|(case, u)| unit(catalogue, dossier, &indexed, case, u))
        .collect()
}

fn unit(catalogue: &Catalogue, dossier: &Dossier, indexed: &Indexed<'_>, case: &Case, unit: UnitId) -> UnitResult {
    let records = indexed.records;
    let provision = unit.provision();
    let kind = catalogue.unit_kind(&unit);
    let mut instances = instance::own(catalogue, dossier, indexed, &unit);
    let result = |state, instances| UnitResult { unit: unit.clone(), kind, state, instances };
    match dossier.ics.support(&provision) {
        Some(Support::Yes) => {}
        Some(Support::NotApplicable) => return result(UnitState::NotApplicable, instances),
        Some(Support::No) | None => return result(UnitState::NotClaimed, instances),
    }
    let answered = !instances.is_empty();
    if let Some(reference) = catalogue.reference(&unit) {
        instances.extend(instance::referenced(catalogue, dossier, indexed, reference));
    }
    // What was seen counts; only what nobody looked at can be a plan state.
    let seen = instances.iter().any(|i| i.sources.iter().any(|s| *s != Source::Nobody));
    let violated = instances.iter().any(|i| i.outcome == Outcome::Violated);
    if let Some(evidence) = records.evidence_for(&provision).filter(|_| !violated) {
        let state = UnitState::CoveredByEvidence { document: evidence.document.clone(), sha256: evidence.sha256.clone() };
        return result(state, instances);
    }
    let excluded = match records.unit_fates.get(&unit) {
        Some(Fate::NotSelected) => true,
        Some(_) => false,
        None => records.claim == Claim::None,
    };
    if excluded && !answered && !seen {
        return result(UnitState::NotSelected, Vec::new());
    }
    if instances.is_empty() {
        if let Some(vacuous) = vacuous(catalogue, dossier, case, &unit) {
            return result(UnitState::Due(vacuous.outcome), vec![vacuous]);
        }
        if let Some(Fate::CannotRun { missing }) = records.unit_fates.get(&unit) {
            let outcome = Outcome::Unresolved(Reason::RigCapabilityMissing);
            let instance = Instance::new(&unit, None, outcome, Source::Nobody, format!("could not run: {missing}"));
            return result(UnitState::Due(outcome), vec![instance]);
        }
        if let Some(Fate::NotRun { why }) = records.unit_fates.get(&unit) {
            let outcome = Outcome::Unresolved(Reason::HarnessFault);
            return result(UnitState::Due(outcome), vec![Instance::new(&unit, None, outcome, Source::Nobody, why.clone())]);
        }
        return result(UnitState::NotYetRun, instances);
    }
    let outcome = if one_row_is_enough(&unit.case) { best(per_row(&instances, &mechanisms(dossier))) } else { worst(&instances) };
    result(UnitState::Due(outcome), instances)
}

fn worst<'a>(instances: impl IntoIterator<Item = &'a Instance>) -> Outcome {
    instances.into_iter().map(|i| i.outcome).fold(Outcome::Satisfied, instance::worse)
}

/// V1.1.1 words 5.3-2 so that one update mechanism that withstands misuse is enough; 5.3-1 then asks it of every mechanism.
fn one_row_is_enough(case: &CaseId) -> bool {
    matches!(case.as_str(), "5.3-2-1" | "5.3-2-2")
}

/// The rows of 7-UpdMech: what one-is-enough is asked of.
fn mechanisms(dossier: &Dossier) -> Vec<RowId> {
    dossier.ixit.rows(7).iter().map(|r| r.id.clone()).collect()
}

/// The outcome on each of these rows. What was said of the unit as a whole, or of a row that is none of these, counts on every one of them.
///
/// All declared rows are looked at, also those that nobody judged: otherwise judging one more could turn a FAIL into something better.
fn per_row<'a>(instances: impl IntoIterator<Item = &'a Instance>, rows: &[RowId]) -> Vec<Outcome> {
    let on_row = |i: &&Instance| i.row.as_ref().is_some_and(|r| rows.contains(r));
    let (rowed, whole): (Vec<&Instance>, Vec<&Instance>) = instances.into_iter().partition(on_row);
    let base = worst(whole.iter().copied());
    if rows.is_empty() {
        return if whole.is_empty() { vec![Outcome::Unresolved(Reason::HumanPending)] } else { vec![base] };
    }
    let outcome = |row: &RowId| {
        let here: Vec<&Instance> = rowed.iter().copied().filter(|i| i.row.as_ref() == Some(row)).collect();
        if here.is_empty() && whole.is_empty() {
            return Outcome::Unresolved(Reason::HumanPending);
        }
        instance::worse(base, worst(here))
    };
    rows.iter().map(outcome).collect()
}

/// The better of outcomes: SATISFIED, then UNRESOLVED, then VIOLATED.
fn best(outcomes: impl IntoIterator<Item = Outcome>) -> Outcome {
    let better = |a: Outcome, b: Outcome| if instance::worse(a, b) == a { b } else { a };
    outcomes.into_iter().reduce(better).unwrap_or(Outcome::Unresolved(Reason::HumanPending))
}

/// Units that look for what was *not* declared. No statement that a table is empty answers them; it is what they put to the test.
const COMPLETENESS: [&str; 16] = [
    "5.1-1-2 a",
    "5.1-5-2 a",
    "5.3-10-1 c",
    "5.4-1-1 d",
    "5.4-2-1 a",
    "5.4-3-1 a",
    "5.5-5-2 b",
    "5.6-1-2 b",
    "5.6-2-2 a",
    "5.6-3-2 a",
    "5.6-4-2 b",
    "5.8-3-1 c",
    "5.13-1-2 b",
    "5.13-1-2 c",
    "5.12-1-2 d",
    "4-1-1 a",
];

/// A unit about rows of which there are none. It is UNRESOLVED, unless the supplier says in so many words that the table is empty.
fn vacuous(catalogue: &Catalogue, dossier: &Dossier, case: &Case, unit: &UnitId) -> Option<Instance> {
    if COMPLETENESS.contains(&unit.to_string().as_str()) {
        return None;
    }
    let tables: BTreeSet<u8> = match catalogue.reference(unit) {
        Some(reference) => reference.to.iter().filter_map(|u| catalogue.case(&u.case)).flat_map(|c| c.tables.iter().copied()).collect(),
        None => case.tables.iter().copied().collect(),
    };
    let without_rows: Vec<u8> = tables.iter().copied().filter(|t| dossier.ixit.rows(*t).is_empty()).collect();
    if tables.is_empty() || without_rows.len() < tables.len() {
        return None;
    }
    let statements: Vec<&str> = tables.iter().filter_map(|t| dossier.ixit.declared_empty(*t)).map(|e| e.because.as_str()).collect();
    Some(if statements.len() == tables.len() {
        let why = format!("there is no row to judge; the supplier states: {}", statements.join("; "));
        Instance::new(unit, None, Outcome::Satisfied, Source::Rule("ixit".to_owned()), why)
    } else {
        let names: Vec<String> = without_rows.iter().filter_map(|t| catalogue.table(*t)).map(|t| format!("{}-{}", t.number, t.name)).collect();
        let why = format!("the provision is claimed, but {} has no row and no statement that it is empty", names.join(", "));
        Instance::new(unit, None, Outcome::Unresolved(Reason::IxitMissing), Source::Nobody, why)
    })
}

pub(crate) fn cases(catalogue: &Catalogue, dossier: &Dossier, units: &[UnitResult], ixit: &[IxitFinding]) -> Vec<CaseResult> {
    let mechanisms = mechanisms(dossier);
    let mut of_case: BTreeMap<&CaseId, Vec<&UnitResult>> = BTreeMap::new();
    for unit in units {
        of_case.entry(&unit.unit.case).or_default().push(unit);
    }
    let missing_for = |case: &Case| -> Vec<String> {
        let of_provision = ixit.iter().filter(|f| f.provision == case.id.provision());
        of_provision.filter(|f| case.tables.contains(&f.table)).map(IxitFinding::to_string).collect()
    };
    catalogue
        .cases()
        .iter()
        .map(|case| {
            let units = of_case.get(&case.id).map(Vec::as_slice).unwrap_or_default();
            let ixit_missing = missing_for(case);
            let mut verdict = case_verdict(&case.id, units, &mechanisms);
            if verdict == Some(Verdict::Pass) && !ixit_missing.is_empty() {
                verdict = Some(Verdict::Inconclusive);
            }
            CaseResult { case: case.id.clone(), verdict, ixit_missing }
        })
        .collect()
}

fn case_verdict(case: &CaseId, units: &[&UnitResult], mechanisms: &[RowId]) -> Option<Verdict> {
    let due: Vec<Outcome> = units.iter().filter_map(|u| u.outcome()).collect();
    if due.is_empty() {
        return None;
    }
    let outcome =
        if one_row_is_enough(case) { best_common_row(units, mechanisms) } else { due.into_iter().fold(Outcome::Satisfied, instance::worse) };
    match outcome {
        Outcome::Violated => Some(Verdict::Fail),
        Outcome::Unresolved(_) => Some(Verdict::Inconclusive),
        // What was not selected can neither spoil nor earn a verdict.
        Outcome::Satisfied if units.iter().any(|u| u.state == UnitState::NotSelected) => None,
        Outcome::Satisfied => Some(Verdict::Pass),
    }
}

/// One mechanism must withstand everything: the row that fares best over *all* units, not the best row of each.
fn best_common_row(units: &[&UnitResult], rows: &[RowId]) -> Outcome {
    let due = units.iter().filter(|u| u.outcome().is_some());
    let over_units = due.map(|u| per_row(&u.instances, rows)).reduce(|a, b| a.into_iter().zip(b).map(|(a, b)| instance::worse(a, b)).collect());
    best(over_units.unwrap_or_default())
}

pub(crate) fn groups(catalogue: &Catalogue, dossier: &Dossier, records: &Records, units: &[UnitResult], cases: &[CaseResult]) -> Vec<GroupResult> {
    let mut of_group: BTreeMap<ProvisionId, Vec<&CaseResult>> = BTreeMap::new();
    for case in cases {
        of_group.entry(case.case.provision()).or_default().push(case);
    }
    let group = |provision: &ProvisionId| {
        let detail = dossier.ics.row(provision).map(|r| r.detail.clone()).unwrap_or_default();
        let none = |fate| GroupResult { provision: provision.clone(), verdict: None, fate };
        match dossier.ics.support(provision) {
            Some(Support::Yes) => {}
            Some(Support::NotApplicable) => return none(Fate::NotApplicable { condition: detail }),
            Some(Support::No) => return none(Fate::NotClaimed { reason: detail }),
            None => return none(Fate::NotClaimed { reason: "the ICS has no row for it".to_owned() }),
        }
        let verdicts: Vec<Option<Verdict>> = of_group.get(provision).into_iter().flatten().map(|c| c.verdict).collect();
        let worst = verdicts.iter().flatten().max().copied();
        let of_units = || units.iter().filter(|u| u.unit.provision() == *provision);
        if let Some(evidence) = records.evidence_for(provision).filter(|_| worst != Some(Verdict::Fail)) {
            let fate = Fate::CoveredByEvidence { document: evidence.document.clone(), sha256: evidence.sha256.clone() };
            return GroupResult { provision: provision.clone(), verdict: Some(Verdict::Pass), fate };
        }
        if worst.is_none() && of_units().all(|u| u.state == UnitState::NotSelected) {
            return none(Fate::NotSelected);
        }
        let verdict = match worst {
            Some(Verdict::Pass) if verdicts.iter().any(Option::is_none) => None,
            other => other,
        };
        GroupResult { provision: provision.clone(), verdict, fate: Fate::Run }
    };
    catalogue.provisions().iter().map(|p| group(&p.id)).collect()
}
