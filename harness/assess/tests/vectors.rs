//! The test-vector table of the assessment rules, one case per row, under the row's number.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use proofbench_assess::{ExitClass, UnitState};
use proofbench_model::dossier::{EmptyTable, Support};
use proofbench_model::journal::ExternalEvidence;
use proofbench_model::verdict::Fate;
use proofbench_model::{Claim, Method, Outcome, Reason, Verdict};
use rstest::rstest;

use Verdict::{Fail, Inconclusive, Pass};

#[test]
fn the_world_of_these_tests_passes_until_it_is_spoilt() {
    let a = World::passing().assess();
    assert_eq!(a.ics_findings, []);
    assert_eq!(a.ixit_findings, []);
    assert_eq!(a.strays, Vec::<String>::new());
    let not_passed: Vec<String> = a.groups.iter().filter(|g| g.verdict != Some(Pass)).map(|g| g.provision.to_string()).collect();
    assert_eq!(not_passed, ["5.3-14", "5.3-15"]);
    assert_eq!(a.overall, Some(Pass));
    assert_eq!(a.exit_class(), ExitClass::Clean);
}

/// Rows 1 to 4: group 5.4-1 with its conceptual and its functional case.
#[rstest]
#[case::row_1(Pass, Pass, Pass, Pass)]
#[case::row_2(Pass, Fail, Fail, Fail)]
#[case::row_3(Inconclusive, Pass, Inconclusive, Inconclusive)]
#[case::row_4(Inconclusive, Fail, Fail, Fail)]
fn cases_make_a_group_and_groups_the_whole(#[case] first: Verdict, #[case] second: Verdict, #[case] group: Verdict, #[case] overall: Verdict) {
    let mut world = World::passing();
    world.spoil("5.4-1-1 a", first).spoil("5.4-1-2 a", second);
    let a = world.assess();
    assert_eq!(a.case(&case("5.4-1-1")).unwrap().verdict, Some(first));
    assert_eq!(a.case(&case("5.4-1-2")).unwrap().verdict, Some(second));
    assert_eq!(a.group(&provision("5.4-1")).unwrap().verdict, Some(group));
    assert_eq!(a.overall, Some(overall));
}

#[rstest]
#[case::row_5("5.7-1", Support::No, "too small a boot ROM", Pass, true)]
#[case::row_7("5.5-1", Support::No, "not wanted", Fail, false)]
#[case::row_8("5.5-1", Support::NotApplicable, "no network", Fail, false)]
fn an_answer_of_the_ics_other_than_yes(
    #[case] id: &str,
    #[case] support: Support,
    #[case] detail: &str,
    #[case] overall: Verdict,
    #[case] valid: bool,
) {
    let mut world = World::passing();
    world.ics(id, support, detail);
    let a = world.assess();
    assert_eq!(a.group(&provision(id)).unwrap().verdict, None);
    assert_eq!(a.ics_is_valid(), valid, "{:?}", a.ics_findings);
    assert_eq!(a.overall, Some(overall));
}

/// The device senses nothing.
fn without_sensors() -> World {
    let mut world = World::passing();
    world.rows.retain(|r| r.id.table != 22);
    world.empty.push(EmptyTable { table: 22, because: "it senses nothing".to_owned() });
    world.ics("5.8-3", Support::NotApplicable, "it senses nothing");
    world
}

#[test]
fn row_9_not_applicable_with_the_condition_absent_is_valid_and_not_counted() {
    let a = without_sensors().assess();
    let group = a.group(&provision("5.8-3")).unwrap();
    assert_eq!((group.verdict, matches!(group.fate, Fate::NotApplicable { .. })), (None, true));
    assert_eq!(a.overall, Some(Pass));
}

fn accepted(id: &str) -> ExternalEvidence {
    ExternalEvidence {
        provision: provision(id),
        document: "certificate 17".to_owned(),
        sha256: "cd".repeat(32),
        accepted_by: "R. Eviewer".to_owned(),
        scope_fits: true,
        covers_purposes: true,
        depth_suffices: true,
    }
}

#[test]
fn row_12_accepted_external_evidence_replaces_cases_that_were_not_run() {
    let mut world = World::passing();
    for u in ["a", "b", "c", "d"] {
        world.forget(&format!("5.4-1-1 {u}"));
    }
    world.forget("5.4-1-2 a");
    world.records.external.push(accepted("5.4-1"));
    let a = world.assess();
    assert_eq!(a.case(&case("5.4-1-2")).unwrap().verdict, None);
    assert_eq!(a.group(&provision("5.4-1")).unwrap().verdict, Some(Pass));
    assert!(matches!(a.unit(&unit("5.4-1-2 a")).unwrap().state, UnitState::CoveredByEvidence { .. }));
    assert_eq!(a.overall, Some(Pass));
}

#[test]
fn row_15_a_rig_without_a_probe_leaves_the_unit_inconclusive() {
    let mut world = World::passing();
    world.forget("5.6-4-2 a");
    world.records.due.push(due("debug-port/survey", "5.6-4-2 a", None));
    world.records.check_fates.insert("debug-port/survey".parse().unwrap(), Fate::CannotRun { missing: "debug port".to_owned() });
    let a = world.assess();
    assert_eq!(a.unit(&unit("5.6-4-2 a")).unwrap().outcome(), Some(Outcome::Unresolved(Reason::RigCapabilityMissing)));
    assert_eq!(a.group(&provision("5.6-4")).unwrap().verdict, Some(Inconclusive));
    assert_eq!((a.overall, a.exit_class()), (Some(Inconclusive), ExitClass::Inconclusive));
}

#[test]
fn row_16_a_recommendation_that_is_no_longer_claimed_stops_counting_and_the_old_evaluation_stays_as_it_was() {
    let mut world = World::passing();
    world.spoil("5.7-1-2 a", Fail);
    let before = world.assess();
    assert_eq!(before.overall, Some(Fail));
    let mut reissued = world.clone();
    reissued.ics("5.7-1", Support::No, "dropped after the first evaluation");
    let after = reissued.assess();
    assert_eq!((after.group(&provision("5.7-1")).unwrap().verdict, after.overall), (None, Some(Pass)));
    assert_eq!(world.assess(), before);
}

#[test]
fn row_18_a_conceptual_case_that_nobody_answered_is_inconclusive() {
    let mut world = World::passing();
    world.forget("5.7-1-1 a").forget("5.7-1-1 b");
    let a = world.assess();
    assert_eq!(a.case(&case("5.7-1-1")).unwrap().verdict, Some(Inconclusive));
    assert_eq!(a.case(&case("5.7-1-2")).unwrap().verdict, Some(Pass));
    assert_eq!(a.group(&provision("5.7-1")).unwrap().verdict, Some(Inconclusive));
    assert_eq!(a.overall, Some(Inconclusive));
    assert_eq!(a.unit(&unit("5.7-1-1 a")).unwrap().state, UnitState::NotYetRun);
}

#[test]
fn row_19_a_partial_run_has_no_overall_verdict() {
    let mut world = World::passing();
    world.records.claim = Claim::None;
    let selected = |u: &proofbench_model::UnitId| ["5.4-1", "5.7-1", "5.9-2"].contains(&u.provision().as_str());
    world.records.observations.retain(|o| selected(&o.unit));
    world.records.answers.retain(|a| selected(&a.unit));
    let a = world.assess();
    assert_eq!((a.overall, a.claim), (None, Claim::None));
    assert_eq!(a.group(&provision("5.9-2")).unwrap().verdict, Some(Pass));
    assert_eq!(a.group(&provision("5.5-2")).unwrap().verdict, None);
    assert_eq!(a.unit(&unit("5.5-2-2 a")).unwrap().state, UnitState::NotSelected);
    assert_eq!(a.exit_class(), ExitClass::Clean);
}

#[test]
fn row_20_a_harness_that_died_in_a_case_leaves_it_inconclusive() {
    let mut world = World::passing();
    world.forget("5.9-2-2 b");
    world.records.due.push(due("power-loss/idle", "5.9-2-2 b", None));
    let a = world.assess();
    assert_eq!(a.unit(&unit("5.9-2-2 b")).unwrap().outcome(), Some(Outcome::Unresolved(Reason::HarnessFault)));
    assert_eq!(a.group(&provision("5.9-2")).unwrap().verdict, Some(Inconclusive));
    assert_eq!(a.overall, Some(Inconclusive));
}

#[rstest]
#[case::by_annex_a3(Method::Ts103701, Pass)]
#[case::by_annex_b_of_the_en(Method::EnAnnexB, Fail)]
fn row_23_not_applicable_on_5_4_1_depends_on_the_status_table(#[case] method: Method, #[case] overall: Verdict) {
    let mut world = World::passing();
    world.options.method = method;
    world.rows.retain(|r| r.id.table != 10);
    world.empty.push(EmptyTable { table: 10, because: "nothing is stored persistently".to_owned() });
    world.ics("5.4-1", Support::NotApplicable, "nothing is stored persistently");
    // What else rests on security parameters is N/A by Annex A.3 and still claimed under Annex B, where it has no condition.
    for id in ["5.4-4", "5.5-6", "5.5-7", "5.5-8"] {
        if method == Method::Ts103701 {
            world.ics(id, Support::NotApplicable, "nothing is stored persistently");
        }
    }
    let a = world.assess();
    let invalid: Vec<String> = a.ics_findings.iter().map(|f| f.provision.to_string()).collect();
    assert_eq!(invalid, if overall == Fail { vec!["5.4-1"] } else { vec![] });
    assert_eq!((a.group(&provision("5.4-1")).unwrap().verdict, a.overall), (None, Some(overall)));
}
