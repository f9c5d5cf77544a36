//! What must hold whatever was recorded.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use proofbench_assess::{Assessment, Records};
use proofbench_model::dossier::Support;
use proofbench_model::{Claim, Observation, Outcome, Reason, Verdict};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Units in which the rules differ: rows or none, reference units and what they refer to, the one-is-enough case, units not claimed.
const UNITS: [&str; 10] =
    ["5.4-1-2 a", "5.5-1-2 a", "5.8-1-2 a", "5.3-2-2 a", "5.3-2-2 b", "5.3-1-2 a", "5.6-4-2 a", "5.9-2-2 b", "5.11-1-2 c", "5.3-14-2 a"];
const ROWS: [Option<&str>; 7] =
    [None, Some("7/UpdMech-1"), Some("7/UpdMech-2"), Some("10/SecParam-1"), Some("11/ComMech-1"), Some("11/ComMech-2"), Some("23/ResMech-1")];
const CHECKS: [&str; 3] = ["one/check", "other/check", "third/check"];

fn outcome() -> impl Strategy<Value = Outcome> {
    let reason = prop::sample::select(Reason::ALL.to_vec()).prop_map(Outcome::Unresolved);
    prop_oneof![3 => Just(Outcome::Satisfied), 2 => Just(Outcome::Violated), 2 => reason]
}

fn observation(outcome: impl Strategy<Value = Outcome>) -> impl Strategy<Value = Observation> {
    (0..CHECKS.len(), 0..UNITS.len(), 0..ROWS.len(), outcome, 1u32..4).prop_map(|(c, u, r, o, n)| observe(CHECKS[c], UNITS[u], ROWS[r], o, n))
}

prop_compose! {
    fn world()(
        observations in prop::collection::vec(observation(outcome()), 0..14),
        kept in prop::collection::vec(any::<bool>(), UNITS.len()),
        due_of in prop::collection::vec((0..CHECKS.len(), 0..UNITS.len(), 0..ROWS.len()), 0..4),
        annulled in prop::collection::vec((0..CHECKS.len(), 1u32..4), 0..2),
        partial in any::<bool>(),
        not_claimed in prop::option::of(prop::sample::select(vec!["5.6-4", "5.7-1", "5.5-2"])),
    ) -> World {
        let mut world = World::passing();
        for table in [7, 11] {
            let mut row = world.row(table).clone();
            row.id.row = row.id.row.replace("-1", "-2");
            world.rows.push(row);
        }
        for (unit_id, _) in UNITS.iter().zip(kept).filter(|(_, kept)| !kept) {
            world.forget(unit_id);
        }
        world.records.observations.extend(observations);
        world.records.due.extend(due_of.into_iter().map(|(c, u, r)| due(CHECKS[c], UNITS[u], ROWS[r])));
        world.records.annulments.extend(annulled.into_iter().map(|(c, n)| annul(CHECKS[c], n)));
        if partial {
            world.records.claim = Claim::None;
        }
        if let Some(id) = not_claimed {
            world.ics(id, Support::No, "not wanted");
        }
        world
    }
}

/// 0 is best. A group or a whole without verdict is nothing that could be improved on, and PASS is the only thing worth having.
fn rank(v: Option<Verdict>) -> u8 {
    match v {
        Some(Verdict::Pass) => 0,
        None => 1,
        Some(Verdict::Inconclusive) => 2,
        Some(Verdict::Fail) => 3,
    }
}

fn never_better(before: &Assessment, after: &Assessment) -> Result<(), TestCaseError> {
    for (b, a) in before.groups.iter().zip(&after.groups) {
        prop_assert!(rank(a.verdict) >= rank(b.verdict), "{}: {:?} became {:?}", b.provision, b.verdict, a.verdict);
    }
    for (b, a) in before.cases.iter().zip(&after.cases) {
        prop_assert!(rank(a.verdict) >= rank(b.verdict), "{}: {:?} became {:?}", b.case, b.verdict, a.verdict);
    }
    prop_assert!(rank(after.overall) >= rank(before.overall));
    prop_assert!(after.exit_class() >= before.exit_class(), "{:?} became {:?}", before.exit_class(), after.exit_class());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn adding_a_violation_never_improves_anything(world in world(), more in observation(Just(Outcome::Violated))) {
        let before = world.assess();
        let mut worse = world;
        worse.records.observations.push(more);
        never_better(&before, &worse.assess())?;
    }

    #[test]
    fn adding_an_unresolved_never_makes_a_pass(world in world(), more in observation(prop::sample::select(Reason::ALL.to_vec()).prop_map(Outcome::Unresolved))) {
        let before = world.assess();
        let mut more_of_it = world;
        more_of_it.records.observations.push(more);
        let after = more_of_it.assess();
        for (b, a) in before.groups.iter().zip(&after.groups) {
            prop_assert!(a.verdict != Some(Verdict::Pass) || b.verdict == Some(Verdict::Pass), "{}: {:?} became PASS", b.provision, b.verdict);
        }
        for (b, a) in before.cases.iter().zip(&after.cases) {
            prop_assert!(a.verdict != Some(Verdict::Pass) || b.verdict == Some(Verdict::Pass), "{}: {:?} became PASS", b.case, b.verdict);
        }
        prop_assert!(after.overall != Some(Verdict::Pass) || before.overall == Some(Verdict::Pass));
    }

    #[test]
    fn order_never_matters(world in world(), seed in any::<u64>()) {
        let before = world.assess();
        let mut shuffled = world;
        shuffle(&mut shuffled.records, seed);
        prop_assert_eq!(before, shuffled.assess());
    }

    #[test]
    fn a_satisfied_never_outweighs_a_violation(world in world(), more in observation(Just(Outcome::Satisfied))) {
        let before = world.assess();
        let mut better = world;
        better.records.observations.push(more);
        let after = better.assess();
        for (b, a) in before.cases.iter().zip(&after.cases) {
            // One update mechanism that withstands is enough for these two.
            let one_is_enough = ["5.3-2-1", "5.3-2-2"].contains(&b.case.as_str());
            prop_assert!(b.verdict != Some(Verdict::Fail) || one_is_enough || a.verdict == Some(Verdict::Fail), "{} recovered", b.case);
        }
    }
}

/// A shuffle that needs nothing but its seed.
fn shuffle(records: &mut Records, seed: u64) {
    let mut state = seed | 1;
    let mut next = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    let o = &mut records.observations;
    (1..o.len()).rev().for_each(|i| o.swap(i, next(i + 1)));
    let a = &mut records.answers;
    (1..a.len()).rev().for_each(|i| a.swap(i, next(i + 1)));
    let d = &mut records.due;
    (1..d.len()).rev().for_each(|i| d.swap(i, next(i + 1)));
}
