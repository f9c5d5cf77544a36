//! One fate for every unit and check, with its reason.

mod common;

use common::{check, dossier};
use proofbench_model::catalogue::Catalogue;
use proofbench_model::dossier::{EmptyTable, Ixit, Row, Support};
use proofbench_model::{Claim, Fate, Reason, UnitId};
use proofbench_rig::Permissions;
use proofbench_runner::plan::PlanError;
use proofbench_runner::{Capability, Check, RigFacts, Selection, plan};
use rstest::rstest;

fn everything() -> RigFacts {
    RigFacts { capabilities: Capability::ALL.to_vec(), permissions: Permissions::all() }
}

static A: Check = check("power-loss/a", |_| Ok(()));
static B: Check = Check { units: &["5.3-2-2 b"], table: Some(7), ..check("update/b", |_| Ok(())) };
static C: Check = Check { units: &["5.3-2-2 b"], table: Some(7), row_wanted: Some(|_| false), ..check("update/c", |_| Ok(())) };
static LIST: [&Check; 2] = [&A, &B];

#[test]
fn every_catalogued_unit_has_a_fate() {
    let p = plan(&dossier(), &everything(), &LIST, &Selection::default()).unwrap();
    assert_eq!(p.units.len(), Catalogue::load().units().count());
    assert_eq!(p.claim, Claim::Full);
    assert_eq!(p.runs(), 2);
    let d = dossier();
    for (unit, fate) in &p.units {
        match d.ics.support(&unit.provision()) {
            Some(Support::Yes) => assert!(!matches!(fate, Fate::NotClaimed { .. } | Fate::NotApplicable { .. }), "{unit}: {fate}"),
            Some(Support::No) | None => assert!(matches!(fate, Fate::NotClaimed { .. }), "{unit}: {fate}"),
            Some(Support::NotApplicable) => assert!(matches!(fate, Fate::NotApplicable { .. }), "{unit}: {fate}"),
        }
    }
}

#[test]
fn a_check_owes_an_answer_for_every_row_of_its_table() {
    let p = plan(&dossier(), &everything(), &[&B], &Selection::default()).unwrap();
    let rows: Vec<String> = p.due().iter().map(|d| d.row.as_ref().unwrap().to_string()).collect();
    let declared: Vec<String> = dossier().ixit.rows(7).iter().map(|r| r.id.to_string()).collect();
    assert_eq!(rows, declared);
}

#[test]
fn a_row_without_a_binding_is_owed_and_missing() {
    let mut d = (*dossier()).clone();
    let rows: Vec<Row> = d.ixit.rows(7).iter().cloned().map(|r| Row { bind: None, ..r }).collect();
    d.ixit = Ixit::new(rows, []);
    let p = plan(&d, &everything(), &[&B], &Selection::default()).unwrap();
    assert!(matches!(p.checks[0].fate, Fate::CannotRun { .. }), "{:?}", p.checks[0]);
    assert!(!p.checks[0].due.is_empty());
    assert!(p.checks[0].short.iter().all(|s| s.reason == Reason::IxitMissing));
    assert_eq!(p.checks[0].short.len(), p.checks[0].due.len());
}

#[test]
fn a_table_without_rows_is_missing_unless_it_is_declared_empty() {
    let mut d = (*dossier()).clone();
    d.ixit = Ixit::new([], []);
    let p = plan(&d, &everything(), &[&B], &Selection::default()).unwrap();
    assert!(matches!(&p.checks[0].fate, Fate::CannotRun { missing } if missing.contains("7-UpdMech has no rows")), "{:?}", p.checks[0].fate);
    assert_eq!(p.checks[0].short.len(), 1);
    d.ixit = Ixit::new([], [EmptyTable { table: 7, because: "nothing is updatable".into() }]);
    let p = plan(&d, &everything(), &[&B], &Selection::default()).unwrap();
    assert!(p.checks[0].due.is_empty());
    assert!(matches!(&p.checks[0].fate, Fate::NotRun { why } if why.contains("nothing is updatable")), "{:?}", p.checks[0].fate);
}

#[test]
fn rows_of_another_kind_are_owed_to_nobody_here() {
    let p = plan(&dossier(), &everything(), &[&C], &Selection::default()).unwrap();
    assert!(p.checks[0].due.is_empty() && matches!(p.checks[0].fate, Fate::NotRun { .. }));
}

#[rstest]
#[case(Selection { suites: vec!["update".into()], ..Selection::default() }, [false, true])]
#[case(Selection { checks: vec!["*/a".into()], ..Selection::default() }, [true, false])]
#[case(Selection { provisions: vec!["5.3-2".parse().unwrap()], ..Selection::default() }, [false, true])]
fn a_selection_leaves_the_rest_out_and_claims_nothing(#[case] selection: Selection, #[case] runs: [bool; 2]) {
    let p = plan(&dossier(), &everything(), &LIST, &selection).unwrap();
    assert_eq!(p.checks.iter().map(|c| c.fate == Fate::Run).collect::<Vec<_>>(), runs);
    assert!(p.checks.iter().any(|c| c.fate == Fate::NotSelected));
    assert_eq!(p.claim, Claim::None);
    let other: UnitId = "5.5-1-2 a".parse().unwrap();
    assert_eq!(p.units[&other], Fate::NotSelected);
}

#[rstest]
#[case(Selection { suites: vec!["updates".into()], ..Selection::default() }, "suite `updates` selects nothing; there are: power-loss, update")]
#[case(Selection { checks: vec!["x*".into()], ..Selection::default() }, "check `x*` selects nothing; there are: power-loss/a, update/b")]
#[case(Selection { provisions: vec!["5.1-1".parse().unwrap()], ..Selection::default() }, "provision `5.1-1` selects nothing; there are: 5.3-2, 5.9-2")]
fn a_selection_of_nothing_names_what_there_is(#[case] selection: Selection, #[case] message: &str) {
    let e = plan(&dossier(), &everything(), &LIST, &selection).unwrap_err();
    assert_eq!(e.to_string(), message);
}

#[test]
fn a_list_with_a_mistake_is_refused() {
    static TWICE: [&Check; 2] = [&A, &A];
    static BAD: Check = Check { units: &["5.9-2-2 z"], ..check("test/bad", |_| Ok(())) };
    assert!(matches!(plan(&dossier(), &everything(), &TWICE, &Selection::default()), Err(PlanError::List(_))));
    assert!(matches!(plan(&dossier(), &everything(), &[&BAD], &Selection::default()), Err(PlanError::List(_))));
}
