//! One vector or more for every rule that the table of test vectors leaves out.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use proofbench_assess::{ExitClass, IcsProblem, Records, Source, UnitState};
use proofbench_model::dossier::{DeclaredCondition, EmptyTable, Support};
use proofbench_model::journal::{Chain, Event, ExternalEvidence, Header, Indication, Journal};
use proofbench_model::verdict::Fate;
use proofbench_model::{Claim, EvidenceId, Method, Outcome, Profile, Reason, Verdict};
use rstest::rstest;

use Outcome::{Satisfied, Unresolved, Violated};
use Verdict::{Fail, Inconclusive, Pass};

const UNREACHABLE: Outcome = Unresolved(Reason::DutUnreachable);
const PENDING: Outcome = Unresolved(Reason::HumanPending);

// --- instances: retries, several checks, annulments ---------------------------------------------------------------------------------------------

#[rstest]
#[case::a_later_success_does_not_erase_a_violation(&[Violated, Satisfied], Violated, true)]
#[case::nor_does_an_earlier_one(&[Satisfied, Violated], Violated, true)]
#[case::a_later_success_resolves(&[UNREACHABLE, Satisfied], Satisfied, false)]
#[case::the_last_attempt_speaks(&[Satisfied, UNREACHABLE], UNREACHABLE, false)]
#[case::a_violation_stands_beside_what_could_not_run(&[Violated, UNREACHABLE], Violated, false)]
#[case::twice_violated_is_not_intermittent(&[Violated, Violated], Violated, false)]
fn attempts_of_one_check(#[case] attempts: &[Outcome], #[case] expected: Outcome, #[case] intermittent: bool) {
    let mut world = World::passing();
    world.attempts("5.4-1-2 a", None, attempts);
    let a = world.assess();
    let u = a.unit(&unit("5.4-1-2 a")).unwrap();
    assert_eq!((u.outcome(), u.is_intermittent()), (Some(expected), intermittent));
}

#[rstest]
#[case::with_reason_and_author("the cable came off", "O. Perator", Satisfied)]
#[case::without_reason(" ", "O. Perator", Violated)]
#[case::without_author("the cable came off", "", Violated)]
fn an_annulled_violation_no_longer_counts(#[case] reason: &str, #[case] author: &str, #[case] expected: Outcome) {
    let mut world = World::passing();
    world.attempts("5.4-1-2 a", None, &[Violated, Satisfied]);
    let mut annulment = annul("made/up", 1);
    (annulment.reason, annulment.author) = (reason.to_owned(), author.to_owned());
    annulment.unit = Some(unit("5.4-1-2 a"));
    world.records.annulments.push(annulment);
    assert_eq!(world.outcome("5.4-1-2 a"), Some(expected));
    assert_eq!(world.assess().strays.is_empty(), expected == Satisfied);
}

#[test]
fn annulling_every_attempt_leaves_nothing_proven() {
    let mut world = World::passing();
    world.attempts("5.4-1-2 a", None, &[Satisfied]);
    let mut annulment = annul("made/up", 1);
    annulment.unit = Some(unit("5.4-1-2 a"));
    world.records.annulments.push(annulment);
    assert_eq!(world.outcome("5.4-1-2 a"), Some(Unresolved(Reason::HarnessFault)));
}

#[rstest]
#[case::all_agree(Satisfied, Satisfied, Satisfied)]
#[case::one_violated(Satisfied, Violated, Violated)]
#[case::one_unresolved(UNREACHABLE, Satisfied, UNREACHABLE)]
#[case::violated_before_unresolved(UNREACHABLE, Violated, Violated)]
fn several_checks_on_one_row(#[case] first: Outcome, #[case] second: Outcome, #[case] expected: Outcome) {
    let mut world = World::passing();
    world.forget("5.5-1-2 a");
    world.records.observations.push(observe("one/check", "5.5-1-2 a", Some("11/ComMech-1"), first, 1));
    world.records.observations.push(observe("other/check", "5.5-1-2 a", Some("11/ComMech-1"), second, 1));
    let a = world.assess();
    let u = a.unit(&unit("5.5-1-2 a")).unwrap();
    assert_eq!((u.outcome(), u.instances.len()), (Some(expected), 1));
}

#[test]
fn a_check_that_reported_for_one_of_its_two_rows_owes_the_other() {
    let mut world = World::passing();
    world.forget("5.5-1-2 a");
    world.records.due.push(due("one/check", "5.5-1-2 a", Some("11/ComMech-1")));
    world.records.due.push(due("one/check", "5.5-1-2 a", Some("11/ComMech-2")));
    world.records.observations.push(observe("one/check", "5.5-1-2 a", Some("11/ComMech-1"), Satisfied, 1));
    assert_eq!(world.outcome("5.5-1-2 a"), Some(Unresolved(Reason::HarnessFault)));
}

#[rstest]
#[case::rig(Fate::CannotRun { missing: "debug port".to_owned() }, Reason::RigCapabilityMissing)]
#[case::cancelled(Fate::NotRun { why: "cancelled".to_owned() }, Reason::HarnessFault)]
fn a_due_check_that_did_not_run_says_why(#[case] fate: Fate, #[case] reason: Reason) {
    let mut world = World::passing();
    world.forget("5.4-1-2 a");
    world.records.due.push(due("one/check", "5.4-1-2 a", None));
    world.records.check_fates.insert("one/check".parse().unwrap(), fate);
    assert_eq!(world.outcome("5.4-1-2 a"), Some(Unresolved(reason)));
}

#[rstest]
#[case(Satisfied)]
#[case(Violated)]
fn an_observation_without_evidence_proves_nothing(#[case] outcome: Outcome) {
    let mut world = World::passing();
    world.attempts("5.4-1-2 a", None, &[outcome]);
    world.records.observations.last_mut().unwrap().evidence.clear();
    assert_eq!(world.outcome("5.4-1-2 a"), Some(Unresolved(Reason::HarnessFault)));
}

// --- units: rows, persons, vacuity ---------------------------------------------------------------------------------------------------------------

#[test]
fn a_row_without_a_binding_is_not_passed_over() {
    let mut world = World::passing();
    world.forget("5.4-1-2 a");
    let mut unbound = world.row(10).clone();
    unbound.id.row = "SecParam-2".to_owned();
    world.rows.push(unbound);
    world.records.observations.push(observe("one/check", "5.4-1-2 a", Some("10/SecParam-1"), Satisfied, 1));
    assert_eq!(world.outcome("5.4-1-2 a"), Some(Unresolved(Reason::IxitMissing)));
    assert_eq!(world.assess().exit_class(), ExitClass::Inconclusive);
}

#[rstest]
#[case::it_holds(Some(true), "R. Eviewer", "read", Satisfied)]
#[case::it_does_not_hold(Some(false), "R. Eviewer", "read", Violated)]
#[case::nobody_answered(None, "", "", PENDING)]
#[case::no_author(Some(true), " ", "read", PENDING)]
#[case::no_reasoning(Some(true), "R. Eviewer", "", PENDING)]
fn a_conceptual_unit_is_answered_by_a_person(#[case] holds: Option<bool>, #[case] author: &str, #[case] reasoning: &str, #[case] expected: Outcome) {
    let mut world = World::passing();
    world.forget("5.7-1-1 a");
    if let Some(holds) = holds {
        let mut a = answer("5.7-1-1 a", None, holds);
        (a.author, a.reasoning) = (author.to_owned(), reasoning.to_owned());
        world.records.answers.push(a);
    }
    assert_eq!(world.outcome("5.7-1-1 a"), Some(expected));
}

#[test]
fn a_person_who_judges_row_by_row_has_to_judge_every_row() {
    let mut world = World::passing();
    world.forget("5.5-1-1 a");
    let mut second = world.row(11).clone();
    second.id.row = "ComMech-2".to_owned();
    world.rows.push(second);
    world.records.answers.push(answer("5.5-1-1 a", Some("11/ComMech-1"), true));
    assert_eq!(world.outcome("5.5-1-1 a"), Some(PENDING));
    world.records.answers.push(answer("5.5-1-1 a", Some("11/ComMech-2"), true));
    assert_eq!(world.outcome("5.5-1-1 a"), Some(Satisfied));
}

#[test]
fn a_persons_yes_does_not_outweigh_a_checks_violation() {
    let mut world = World::passing();
    world.attempts("5.4-1-2 a", None, &[Violated]);
    world.records.answers.push(answer("5.4-1-2 a", None, true));
    assert_eq!(world.outcome("5.4-1-2 a"), Some(Violated));
}

#[rstest]
#[case::with_the_suppliers_statement(true, "5.5-1-2 a", Satisfied)]
#[case::without(false, "5.5-1-2 a", Unresolved(Reason::IxitMissing))]
#[case::a_search_for_what_is_undeclared_has_to_be_made(true, "5.6-2-2 a", PENDING)]
fn a_claimed_provision_about_no_row_at_all(#[case] stated: bool, #[case] unit_id: &str, #[case] expected: Outcome) {
    let mut world = World::passing();
    for table in [11, 15] {
        world.rows.retain(|r| r.id.table != table);
        if stated {
            world.empty.push(EmptyTable { table, because: "there is none".to_owned() });
        }
    }
    world.forget(unit_id);
    assert_eq!(world.outcome(unit_id), Some(expected));
}

#[test]
fn recommendations_without_a_reason_fail_group_4_1() {
    let mut world = World::passing();
    world.forget("4-1-1 a").ics("5.7-1", Support::No, " ");
    let a = world.assess();
    let u = a.unit(&unit("4-1-1 a")).unwrap();
    assert_eq!(u.outcome(), Some(Violated));
    assert!(u.instances[0].sources.contains(&Source::Rule("ics".to_owned())));
    assert_eq!((a.group(&provision("4-1")).unwrap().verdict, a.overall), (Some(Fail), Some(Fail)));
}

// --- reference units -------------------------------------------------------------------------------------------------------------------------------

/// Two communication mechanisms; what is sent over the second is named by nobody.
fn two_mechanisms(second: Outcome) -> World {
    let mut world = World::passing();
    let mut row = world.row(11).clone();
    row.id.row = "ComMech-2".to_owned();
    world.rows.push(row);
    world.forget("5.5-1-2 a");
    world.records.observations.push(observe("tls/capture", "5.5-1-2 a", Some("11/ComMech-1"), Satisfied, 1));
    world.records.observations.push(observe("tls/capture", "5.5-1-2 a", Some("11/ComMech-2"), second, 1));
    world
}

#[rstest]
#[case("5.8-1-2 a")]
#[case("5.8-2-2 a")]
#[case("5.5-6-2 a")]
#[case("5.5-7-2 a")]
fn a_reference_unit_takes_the_referenced_rows_and_not_the_whole_verdict(#[case] id: &str) {
    let world = two_mechanisms(Violated);
    assert_eq!(world.outcome("5.5-1-2 a"), Some(Violated));
    assert_eq!(world.outcome(id), Some(Satisfied));
    let table = if id.starts_with("5.8") { 21 } else { 10 };
    let mut named = world.clone();
    named.row(table).fields.insert("communication-mechanisms".to_owned(), "ComMech-1, ComMech-2".to_owned());
    assert_eq!(named.outcome(id), Some(Violated));
}

#[test]
fn only_sensitive_data_brings_its_mechanisms_into_5_8_2() {
    let mut world = two_mechanisms(Violated);
    let mut row = world.row(21).clone();
    row.id.row = "PersData-2".to_owned();
    row.fields.insert("communication-mechanisms".to_owned(), "ComMech-2".to_owned());
    row.fields.insert("sensitive".to_owned(), "no".to_owned());
    world.rows.push(row);
    assert_eq!((world.outcome("5.8-1-2 a"), world.outcome("5.8-2-2 a")), (Some(Violated), Some(Satisfied)));
}

#[test]
fn a_reference_unit_waits_for_a_referenced_row_that_nobody_looked_at() {
    let mut world = two_mechanisms(Satisfied);
    world.records.observations.retain(|o| o.row != Some(row_id("11/ComMech-2")));
    world.row(21).fields.insert("communication-mechanisms".to_owned(), "ComMech-2".to_owned());
    assert_eq!(world.outcome("5.8-1-2 a"), Some(PENDING));
}

#[rstest]
#[case("5.5-5-2 a", "5.5-4-2 b", "13/SoftServ-1")]
#[case("5.3-1-2 a", "5.3-2-2 b", "7/UpdMech-1")]
fn functional_references_follow_what_they_refer_to(#[case] id: &str, #[case] referenced: &str, #[case] row: &str) {
    let mut world = World::passing();
    world.row(7).bind = None;
    assert_eq!(world.outcome(id), Some(Satisfied));
    world.attempts(referenced, Some(row), &[Violated]);
    assert_eq!(world.outcome(id), Some(Violated));
}

#[test]
fn the_conceptual_reference_follows_the_judgement_on_5_3_9() {
    let mut world = World::passing();
    assert_eq!(world.outcome("5.3-10-1 a"), Some(Satisfied));
    world.forget("5.3-9-1 b");
    world.records.answers.push(answer("5.3-9-1 b", None, false));
    assert_eq!(world.outcome("5.3-10-1 a"), Some(Violated));
    world.forget("5.3-9-1 b");
    assert_eq!(world.outcome("5.3-10-1 a"), Some(PENDING));
}

// --- quantifiers -----------------------------------------------------------------------------------------------------------------------------------

/// Two update mechanisms with these outcomes of the misuse attempts (units a and b on each).
fn two_update_mechanisms(first: [Outcome; 2], second: [Outcome; 2]) -> World {
    let mut world = World::passing();
    let mut row = world.row(7).clone();
    row.id.row = "UpdMech-2".to_owned();
    world.rows.push(row);
    world.row(6).fields.insert("update-mechanism".to_owned(), "UpdMech-1 UpdMech-2".to_owned());
    for (n, unit_id) in ["5.3-2-2 a", "5.3-2-2 b"].into_iter().enumerate() {
        world.forget(unit_id);
        world.records.observations.push(observe("update/matrix", unit_id, Some("7/UpdMech-1"), first[n], 1));
        world.records.observations.push(observe("update/matrix", unit_id, Some("7/UpdMech-2"), second[n], 1));
    }
    world
}

#[rstest]
#[case::one_mechanism_withstands([Satisfied, Satisfied], [Violated, Violated], Pass, Fail)]
#[case::both_withstand([Satisfied, Satisfied], [Satisfied, Satisfied], Pass, Pass)]
#[case::none_withstands([Satisfied, Violated], [Violated, Violated], Fail, Fail)]
#[case::not_one_of_each([Satisfied, Violated], [Violated, Satisfied], Fail, Fail)]
#[case::the_other_might([Violated, Violated], [UNREACHABLE, Satisfied], Inconclusive, Fail)]
fn one_mechanism_is_enough_for_5_3_2_and_every_one_is_asked_by_5_3_1(
    #[case] first: [Outcome; 2],
    #[case] second: [Outcome; 2],
    #[case] one: Verdict,
    #[case] every: Verdict,
) {
    let a = two_update_mechanisms(first, second).assess();
    assert_eq!(a.case(&case("5.3-2-2")).unwrap().verdict, Some(one));
    assert_eq!(a.case(&case("5.3-1-2")).unwrap().verdict, Some(every));
}

#[test]
fn a_mechanism_that_nobody_tried_keeps_the_other_ones_failure_open_and_cannot_be_used_to_lift_one() {
    let mut world = two_update_mechanisms([Violated; 2], [Violated; 2]);
    world.records.observations.retain(|o| o.row != Some(row_id("7/UpdMech-2")));
    assert_eq!(world.assess().case(&case("5.3-2-2")).unwrap().verdict, Some(Inconclusive));
    // A violation on a row that is no declared mechanism is one of the unit as a whole.
    world.records.observations.push(observe("other/check", "5.3-2-2 b", Some("7/UpdMech-9"), Violated, 1));
    assert_eq!(world.assess().case(&case("5.3-2-2")).unwrap().verdict, Some(Fail));
}

#[test]
fn what_is_said_of_the_unit_as_a_whole_counts_on_every_mechanism() {
    let mut world = two_update_mechanisms([Satisfied; 2], [Satisfied; 2]);
    world.records.observations.push(observe("other/check", "5.3-2-2 b", None, Violated, 1));
    assert_eq!(world.assess().case(&case("5.3-2-2")).unwrap().verdict, Some(Fail));
}

// --- external evidence, partial runs -------------------------------------------------------------------------------------------------------------

fn evidence() -> ExternalEvidence {
    ExternalEvidence {
        provision: provision("5.4-1"),
        document: "certificate 17".to_owned(),
        sha256: "cd".repeat(32),
        accepted_by: "R. Eviewer".to_owned(),
        scope_fits: true,
        covers_purposes: true,
        depth_suffices: true,
    }
}

#[rstest]
#[case::scope(|e: &mut ExternalEvidence| e.scope_fits = false)]
#[case::purposes(|e: &mut ExternalEvidence| e.covers_purposes = false)]
#[case::depth(|e: &mut ExternalEvidence| e.depth_suffices = false)]
#[case::nobody(|e: &mut ExternalEvidence| e.accepted_by.clear())]
fn external_evidence_that_falls_short_has_no_effect(#[case] weaken: fn(&mut ExternalEvidence)) {
    let mut world = World::passing();
    world.forget("5.4-1-2 a");
    let mut e = evidence();
    weaken(&mut e);
    world.records.external.push(e);
    assert_eq!(world.group("5.4-1"), Some(Inconclusive));
    assert_eq!(world.assess().strays.len(), 1);
}

#[test]
fn external_evidence_does_not_cover_a_violation_that_was_seen() {
    let mut world = World::passing();
    world.attempts("5.4-1-2 a", None, &[Violated]);
    world.records.external.push(evidence());
    assert_eq!(world.group("5.4-1"), Some(Fail));
}

#[test]
fn a_violation_in_a_partial_run_fails_its_group_and_leaves_the_whole_without_verdict() {
    let mut world = World::passing();
    world.records = Records { claim: Claim::None, ..Records::default() };
    world.records.observations.push(observe("made/up", "5.4-1-2 a", None, Violated, 1));
    let a = world.assess();
    assert_eq!((a.group(&provision("5.4-1")).unwrap().verdict, a.overall, a.exit_class()), (Some(Fail), None, ExitClass::Failed));
}

#[test]
fn a_case_of_which_a_part_was_not_selected_cannot_pass() {
    let mut world = World::passing();
    world.records = Records { claim: Claim::None, ..Records::default() };
    world.records.observations.push(observe("made/up", "5.9-2-2 b", None, Satisfied, 1));
    let a = world.assess();
    assert_eq!(a.unit(&unit("5.9-2-2 b")).unwrap().outcome(), Some(Satisfied));
    assert_eq!((a.case(&case("5.9-2-2")).unwrap().verdict, a.group(&provision("5.9-2")).unwrap().verdict), (None, None));
}

#[test]
fn one_unit_that_was_not_selected_takes_the_claim_away() {
    let mut world = World::passing();
    world.forget("5.4-1-2 a");
    world.records.unit_fates.insert(unit("5.4-1-2 a"), Fate::NotSelected);
    let a = world.assess();
    assert_eq!((a.claim, a.overall), (Claim::None, None));
    assert_eq!(a.unit(&unit("5.4-1-2 a")).unwrap().state, UnitState::NotSelected);
}

// --- ICS -------------------------------------------------------------------------------------------------------------------------------------------

fn problems(world: &World) -> Vec<(String, IcsProblem)> {
    world.assess().ics_findings.into_iter().map(|f| (f.provision.to_string(), f.problem)).collect()
}

fn declare(world: &mut World, number: u8, holds: bool) {
    world.conditions.push(DeclaredCondition { number, holds, detail: "so we say".to_owned() });
}

#[test]
fn a_missing_row_makes_the_ics_invalid() {
    let mut world = World::passing();
    world.support.remove(&provision("5.7-1"));
    assert_eq!(problems(&world), [("5.7-1".to_owned(), IcsProblem::NoRow)]);
    assert_eq!(world.assess().overall, Some(Fail));
}

#[test]
fn not_applicable_is_refused_where_the_ixit_shows_the_condition() {
    let mut world = World::passing();
    world.ics("5.4-1", Support::NotApplicable, "nothing is stored");
    assert_eq!(problems(&world), [("5.4-1".to_owned(), IcsProblem::ConditionHolds(vec![14]))]);
}

#[test]
fn yes_is_refused_where_a_condition_does_not_hold() {
    let mut world = World::passing();
    world.rows.retain(|r| r.id.table != 24);
    world.empty.push(EmptyTable { table: 24, because: "no telemetry".to_owned() });
    let refused: Vec<String> = problems(&world).into_iter().map(|(id, _)| id).collect();
    assert_eq!(refused, ["5.10-1", "6-4", "6-5"]);
}

#[rstest]
#[case::one_condition_is_missing(Some(false), vec![])]
#[case::all_hold(Some(true), vec!["5.3-10"])]
#[case::nothing_is_known_of_one(None, vec![])]
fn not_applicable_needs_one_condition_that_does_not_hold(#[case] over_network: Option<bool>, #[case] invalid: Vec<&str>) {
    let mut world = World::passing();
    if let Some(holds) = over_network {
        declare(&mut world, 11, holds);
    }
    world.ics("5.3-10", Support::NotApplicable, "updates do not come over a network");
    let refused: Vec<String> = problems(&world).into_iter().map(|(id, _)| id).collect();
    assert_eq!(refused, invalid);
}

#[rstest]
#[case::justified(true, Some("2 KiB of RAM"), vec![])]
#[case::no_reason(true, Some("  "), vec![IcsProblem::ConstraintNotJustified])]
#[case::no_word(true, None, vec![IcsProblem::ConstraintNotJustified])]
#[case::not_constrained(false, None, vec![IcsProblem::ConditionHolds(vec![5])])]
fn not_applicable_by_constraint_needs_a_justification(#[case] constrained: bool, #[case] because: Option<&str>, #[case] expected: Vec<IcsProblem>) {
    let mut world = World::passing();
    world.dossier.device.identification.constrained = constrained;
    world.dossier.device.identification.constrained_because = because.map(str::to_owned);
    world.ics("5.1-5", Support::NotApplicable, "constrained");
    let found: Vec<IcsProblem> = problems(&world).into_iter().filter(|(id, _)| id == "5.1-5").map(|(_, p)| p).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_constrained_device_may_claim_more_than_it_must() {
    let mut world = World::passing();
    world.dossier.device.identification.constrained = true;
    world.dossier.device.identification.constrained_because = Some("2 KiB of RAM".to_owned());
    assert_eq!(problems(&world), []);
}

#[rstest]
#[case("5.4-1")]
#[case("5.5-8")]
#[case("5.8-3")]
#[case("5.13-1")]
fn provisions_that_only_annex_a3_makes_conditional(#[case] id: &str) {
    let mut world = World::passing();
    world.options.method = Method::EnAnnexB;
    world.ics(id, Support::NotApplicable, "absent");
    assert!(problems(&world).contains(&(id.to_owned(), IcsProblem::UnconditionalNotApplicable)));
}

// --- late falsification ------------------------------------------------------------------------------------------------------------------------------

/// A device that declares no debug interface.
fn without_debug() -> World {
    let mut world = World::passing();
    world.ics("5.6-4", Support::NotApplicable, "no debug interface");
    world
}

#[test]
fn an_observation_can_falsify_an_answer_of_the_ics() {
    let mut world = without_debug();
    assert_eq!(world.assess().contradictions, []);
    world.attempts("5.6-4-2 a", None, &[Violated]);
    let a = world.assess();
    assert_eq!(a.ics_findings, []);
    assert_eq!(a.contradictions.iter().map(|c| (c.provision.clone(), c.condition)).collect::<Vec<_>>(), [(Some(provision("5.6-4")), 13)]);
    // The whole fails by the ICS, not by the function: the group has no verdict.
    assert_eq!((a.group(&provision("5.6-4")).unwrap().verdict, a.overall, a.exit_class()), (None, Some(Fail), ExitClass::Failed));
    assert!(a.contradictions[0].to_string().starts_with("ICS-CONTRADICTION: 5.6-4"));
}

#[rstest]
#[case::with_evidence(vec![EvidenceId("ab".repeat(32))], 1)]
#[case::without(vec![], 0)]
fn an_indication_falsifies_only_with_evidence(#[case] evidence: Vec<EvidenceId>, #[case] expected: usize) {
    let mut world = without_debug();
    let check = "debug-port/survey".parse().unwrap();
    world.records.indications.push(Indication { condition: 13, check, observed: "a probe was answered".to_owned(), evidence });
    assert_eq!(world.assess().contradictions.len(), expected);
}

#[test]
fn an_annulled_observation_falsifies_nothing() {
    let mut world = without_debug();
    world.attempts("5.6-4-2 a", None, &[Violated]);
    let mut annulment = annul("made/up", 1);
    annulment.unit = Some(unit("5.6-4-2 a"));
    world.records.annulments.push(annulment);
    assert_eq!(world.assess().contradictions, []);
}

#[test]
fn a_condition_that_is_declared_absent_and_seen_is_a_contradiction_of_its_own() {
    let mut world = World::passing();
    declare(&mut world, 12, false);
    world.attempts("5.3-2-2 b", None, &[Satisfied]);
    let a = world.assess();
    assert!(a.contradictions.iter().any(|c| c.provision.is_none() && c.condition == 12));
    assert_eq!(a.overall, Some(Fail));
}

// --- IXIT --------------------------------------------------------------------------------------------------------------------------------------------

#[rstest]
#[case::a_field_is_blank(10, "protection-scheme", Some(" "), "5.4-1", Inconclusive)]
#[case::a_field_is_missing(10, "protection-scheme", None, "5.4-1", Inconclusive)]
#[case::an_empty_cell_that_means_something(6, "update-mechanism", Some(""), "5.5-3", Pass)]
fn an_incomplete_ixit_makes_pass_impossible(
    #[case] table: u8,
    #[case] key: &str,
    #[case] value: Option<&str>,
    #[case] group: &str,
    #[case] expected: Verdict,
) {
    let mut world = World::passing();
    world.row(table).fields.remove(key);
    if let Some(value) = value {
        world.row(table).fields.insert(key.to_owned(), value.to_owned());
    }
    let a = world.assess();
    assert_eq!(a.group(&provision(group)).unwrap().verdict, Some(expected));
    assert_eq!(a.ixit_findings.is_empty(), expected == Pass);
    let acts = a.who_must_act();
    assert_eq!(acts.contains_key("supplier"), expected == Inconclusive);
}

#[test]
fn only_claimed_provisions_need_their_fields() {
    let mut world = World::passing();
    world.rows.retain(|r| r.id.table != 18);
    assert_eq!(world.group("5.6-8"), Some(Inconclusive));
    world.ics("5.6-8", Support::No, "no such hardware");
    let a = world.assess();
    assert_eq!((a.ixit_findings.len(), a.overall), (0, Some(Pass)));
}

#[test]
fn an_incomplete_ixit_does_not_hide_a_failure() {
    let mut world = World::passing();
    world.row(10).fields.remove("protection-scheme");
    world.attempts("5.4-1-2 a", None, &[Violated]);
    assert_eq!(world.group("5.4-1"), Some(Fail));
}

// --- exit, figures, journal ------------------------------------------------------------------------------------------------------------------------

#[rstest]
#[case::pending_in_a_laboratory(PENDING, Profile::Certify, ExitClass::Inconclusive)]
#[case::pending_in_a_pipeline(PENDING, Profile::Ci, ExitClass::Clean)]
#[case::a_fault_in_a_pipeline(UNREACHABLE, Profile::Ci, ExitClass::Inconclusive)]
#[case::a_failure_in_a_pipeline(Violated, Profile::Ci, ExitClass::Failed)]
fn the_exit_class(#[case] outcome: Outcome, #[case] profile: Profile, #[case] expected: ExitClass) {
    let mut world = World::passing();
    world.options.profile = profile;
    world.attempts("5.4-1-2 a", None, &[outcome]);
    assert_eq!(world.assess().exit_class(), expected);
}

#[test]
fn a_pending_answer_hides_no_fault_beside_it() {
    let mut world = World::passing();
    world.options.profile = Profile::Ci;
    world.forget("5.4-1-2 a");
    world.records.observations.push(observe("one/check", "5.4-1-2 a", None, PENDING, 1));
    world.records.observations.push(observe("other/check", "5.4-1-2 a", None, UNREACHABLE, 1));
    let a = world.assess();
    assert_eq!(a.unit(&unit("5.4-1-2 a")).unwrap().outcome(), Some(UNREACHABLE));
    assert_eq!(a.exit_class(), ExitClass::Inconclusive);
    let acts = a.who_must_act();
    assert!(acts["device"].iter().any(|x| x.unit == unit("5.4-1-2 a")) && acts["operator"].iter().any(|x| x.unit == unit("5.4-1-2 a")));
}

#[test]
fn an_observation_of_an_unknown_unit_is_told_and_stops_a_pipeline() {
    let mut world = World::passing();
    world.options.profile = Profile::Ci;
    world.records.observations.push(observe("made/up", "5.4-1-2 z", None, Satisfied, 1));
    let a = world.assess();
    assert_eq!((a.strays.len(), a.exit_class()), (1, ExitClass::Inconclusive));
}

#[test]
fn the_figures_add_up_to_all_units() {
    let mut world = World::passing();
    world.attempts("5.4-1-2 a", None, &[Violated]).forget("5.7-1-1 a").attempts("5.7-1-2 a", None, &[UNREACHABLE]);
    world.ics("5.6-8", Support::No, "no such hardware");
    let c = world.assess().coverage;
    assert_eq!(c.due + c.not_claimed + c.not_applicable + c.not_selected + c.by_evidence, c.total);
    assert_eq!(c.satisfied + c.violated + c.unresolved + c.pending, c.due);
    assert_eq!((c.total, c.violated, c.unresolved, c.pending, c.not_claimed), (226, 1, 1, 1, 2));
}

#[test]
fn records_come_out_of_a_journal() {
    let mut chain = Chain::default();
    let header = Header { claim: Some(Claim::Full), ..Header::default() };
    let check: proofbench_model::CheckId = "made/up".parse().unwrap();
    let events = [
        Event::Header(header),
        Event::Plan { due: vec![due("made/up", "5.4-1-2 a", None)] },
        Event::Observation(observe("made/up", "5.4-1-2 a", None, Satisfied, 1)),
        Event::CheckEnded { check: check.clone(), fate: Fate::Run, virtual_ms: 3 },
        Event::Ended { claim: Claim::None },
    ];
    let text: String = events.into_iter().map(|e| chain.append(0, e).1 + "\n").collect();
    let records = Records::of(&Journal::read(&text).unwrap());
    assert_eq!((records.due.len(), records.observations.len(), records.claim), (1, 1, Claim::None));
    assert_eq!(records.check_fates[&check], Fate::Run);
}
