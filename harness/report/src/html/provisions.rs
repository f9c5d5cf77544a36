//! All 68 provisions in the order of the standard, each with its answer in the ICS, its cases, its units and what was said of every row.

use super::findings::{Either, Finding};
use super::indexed::Indexed;
use super::words::{List, Mark, NAME, SENTENCE, said};
use crate::coverage::Covered;
use crate::run::Run;
use proofbench_assess::{CaseResult, GroupResult, Source, UnitResult, UnitState};
use proofbench_model::catalogue::{Catalogue, Kind};
use proofbench_model::{Fate, UnitId};
use serde::Serialize;
use std::collections::BTreeMap;

/// Rows of all units together. What every real dossier needs is far below; a journal of 100 000 observations must not become a page that nobody can open.
const ROWS: usize = 3000;

/// A clause of EN 303 645 with its provisions.
#[derive(Debug, Serialize)]
pub struct Clause {
    number: String,
    title: String,
    provisions: Vec<ProvisionRow>,
}

#[derive(Debug, Serialize)]
struct ProvisionRow {
    id: String,
    summary: String,
    status: String,
    claim: String,
    verdict: Mark,
    /// Unfolded from the start: what fails.
    unfolded: bool,
    cases: Vec<CaseRow>,
}

#[derive(Debug, Serialize)]
struct CaseRow {
    id: String,
    kind: &'static str,
    does: String,
    verdict: Mark,
    missing: List<String>,
    units: Vec<UnitRow>,
}

#[derive(Debug, Serialize)]
struct UnitRow {
    id: String,
    outcome: Mark,
    through: String,
    rows: List<Finding>,
    /// Units that it takes its answer from.
    refers_to: String,
}

/// Of a run.
pub fn of(run: &Run<'_>, indexed: &Indexed<'_>, covered: &BTreeMap<UnitId, Covered>) -> Vec<Clause> {
    let catalogue = Catalogue::load();
    let maker = Maker { run, indexed, covered, rows_per_unit: rows_per_unit(run, indexed) };
    let mut out: Vec<Clause> = Vec::new();
    for provision in catalogue.provisions() {
        let Some(group) = run.assessment.group(&provision.id) else { continue };
        let row = ProvisionRow {
            id: provision.id.to_string(),
            summary: provision.summary.clone(),
            status: provision.status(run.assessment.options.method).text(),
            claim: claim(group),
            verdict: Mark::verdict(group.verdict, group.fate.as_str()),
            unfolded: group.verdict == Some(proofbench_model::Verdict::Fail),
            cases: maker.cases(catalogue, group),
        };
        match out.last_mut().filter(|c| c.number == provision.clause) {
            Some(clause) => clause.provisions.push(row),
            None => out.push(Clause { number: provision.clause.clone(), title: provision.title.clone(), provisions: vec![row] }),
        }
    }
    out
}

/// The answer of the ICS. Only N and N/A are recorded beside the verdict; everything else is Y.
fn claim(group: &GroupResult) -> String {
    match &group.fate {
        Fate::NotApplicable { condition } => format!("N/A: {}", said(condition, SENTENCE)),
        Fate::NotClaimed { reason } => format!("N: {}", said(reason, SENTENCE)),
        _ => "Y".to_owned(),
    }
}

/// How many rows each unit may show so that all together stay below [`ROWS`]: a unit with a few rows loses none to one with thousands.
fn rows_per_unit(run: &Run<'_>, indexed: &Indexed<'_>) -> usize {
    let counts: Vec<usize> = run.assessment.units.iter().map(|u| indexed.of_unit(&u.unit).len() + u.instances.len()).collect();
    let mut most = 400;
    while most > 4 && counts.iter().map(|n| (*n).min(most)).sum::<usize>() > ROWS {
        most = most * 3 / 4;
    }
    most
}

struct Maker<'a> {
    run: &'a Run<'a>,
    indexed: &'a Indexed<'a>,
    covered: &'a BTreeMap<UnitId, Covered>,
    rows_per_unit: usize,
}

impl Maker<'_> {
    fn cases(&self, catalogue: &Catalogue, group: &GroupResult) -> Vec<CaseRow> {
        let own = self.run.assessment.cases.iter().filter(|c| c.case.provision() == group.provision);
        own.map(|c| self.case(catalogue, c, group)).collect()
    }

    fn case(&self, catalogue: &Catalogue, result: &CaseResult, group: &GroupResult) -> CaseRow {
        let case = catalogue.case(&result.case);
        let units = self.run.assessment.units.iter().filter(|u| u.unit.case == result.case);
        CaseRow {
            id: result.case.to_string(),
            kind: match case.map(|c| c.kind) {
                Some(Kind::Conceptual) => "conceptual",
                Some(Kind::Functional) => "functional",
                Some(Kind::Mixed) => "conceptual and functional",
                None => "",
            },
            does: case.map(|c| c.does.clone()).unwrap_or_default(),
            verdict: Mark::verdict(result.verdict, group.fate.as_str()),
            missing: List::first(&result.ixit_missing, 20, "assessment.json", |m| said(m, SENTENCE)),
            units: units.map(|u| self.unit(u)).collect(),
        }
    }

    fn unit(&self, unit: &UnitResult) -> UnitRow {
        let through = self.covered.get(&unit.unit).map(|c| match c.detail() {
            detail if detail.is_empty() => c.word().to_owned(),
            detail => format!("{}: {}", c.word(), said(&detail, SENTENCE)),
        });
        let by_check = self.indexed.of_unit(&unit.unit).iter().map(|said| Either::Check(*said));
        let own = unit.instances.iter().filter(|i| i.unit == unit.unit);
        // Persons and rules say something that no check says. Nobody's row is said by the unit's own mark.
        let others: Vec<_> = own.filter(|i| i.sources.iter().any(|s| matches!(s, Source::Person(_) | Source::Rule(_)))).collect();
        let through = match &unit.state {
            UnitState::CoveredByEvidence { document, sha256 } => Some(format!("{}, SHA-256 {}", said(document, NAME), said(sha256, NAME))),
            // Who answered stands in the row itself: that a person has to would be said beside an answer.
            _ if !others.is_empty() && matches!(self.covered.get(&unit.unit), Some(Covered::Human)) => None,
            _ => through,
        };
        let referred: std::collections::BTreeSet<String> =
            unit.instances.iter().filter(|i| i.unit != unit.unit).map(|i| i.unit.to_string()).collect();
        UnitRow {
            id: unit.unit.to_string(),
            outcome: Mark::unit(unit),
            through: through.unwrap_or_default(),
            rows: List::first(by_check.chain(others.into_iter().map(Either::Other)), self.rows_per_unit, "junit.xml", |from| {
                from.finding(self.indexed)
            }),
            refers_to: referred.into_iter().collect::<Vec<_>>().join(", "),
        }
    }
}
