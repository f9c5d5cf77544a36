//! The campaigns against the emulated thermostat: what they prove of the conforming device, what they find on broken ones, what they never hold against
//! a device that only looks suspicious.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod reference;

use proofbench_runner::Bench;
use proofbench_suites::power_loss::campaign::{self, Outcome};
use proofbench_suites::power_loss::explore::Limits;
use proofbench_suites::power_loss::plans::Act;
use proofbench_suites::power_loss::sampled::{self, Effort};
use proofbench_suites::power_loss::trace::Cut;
use proofbench_suites::power_loss::{CHECKS, controls};
use reference::{Rig, bench};
use rstest::rstest;

/// Small enough for a debug build; the full search runs in `proofbench prove`.
fn limits() -> Limits {
    Limits { images: 1_200, judgements: 200, twice_torn: 8, deep: 6, ..Limits::default() }
}

fn campaign(defects: &[&str], act: Act, limits: Limits, only: Option<Cut>) -> Outcome {
    let mut bench = bench(defects, Rig::WHOLE);
    let plan = act.plan(&mut bench).unwrap();
    campaign::run(&mut bench, &plan, limits, only).unwrap()
}

#[rstest]
#[case::idle(Act::Idle)]
#[case::settings(Act::Settings)]
#[case::user_data(Act::UserData)]
#[case::credential(Act::Credential)]
#[case::counter(Act::Counter)]
#[case::swap(Act::Swap)]
#[case::revert(Act::Revert)]
#[case::confirm(Act::Confirm)]
#[case::install(Act::Install)]
fn clean_cuts_of_the_conforming_device_are_proven_completely(#[case] act: Act) {
    let outcome = campaign(&[], act, Limits { torn: false, ..limits() }, None);
    assert_eq!(outcome.explored.findings, []);
    assert_eq!(outcome.explored.unwitnessed, []);
    assert_eq!(outcome.proven, None);
    assert_eq!(outcome.explored.stats.capped, None, "{}", outcome.explored.stats.line(&outcome.medium));
    assert_eq!(outcome.explored.stats.probe_mismatches, 0);
    assert!(outcome.crossed > 0, "some cuts are made through the power path as well");
}

#[rstest]
#[case::console(0)]
#[case::button(1)]
#[case::update_port(2)]
fn a_disturbed_deletion_of_the_conforming_device_has_no_finding_by_any_route(#[case] route: usize) {
    let outcome = campaign(&[], Act::Reset(route), Limits { images: 300, judgements: 80, ..limits() }, None);
    assert_eq!(outcome.explored.findings, []);
    assert!(outcome.ops > 0);
}

#[rstest]
#[case("swap-magic-nonatomic", Act::Swap, &["L1"])]
#[case("counter-early", Act::Swap, &["L1", "S1"])]
#[case("swap-in-place", Act::Swap, &["I1", "I2", "L1"])]
#[case("loader-static", Act::Swap, &["L1", "I1", "T2"])]
#[case("revert-forgets-type", Act::Revert, &["T3", "P1", "T2"])]
#[case("revert-stuck", Act::Revert, &["L3"])]
#[case("lie-revert", Act::Confirm, &["T2"])]
#[case("partial-upload-boots", Act::Install, &["I1", "L1", "S3"])]
#[case("settings-reset-on-torn", Act::Settings, &["L1", "S5", "S4"])]
#[case("settings-gc-loses", Act::Settings, &["I4", "T3"])]
#[case("report-before-commit", Act::Settings, &["T3", "I4"])]
#[case("no-flush-commit", Act::Settings, &["T3", "I4", "L1"])]
#[case("ack-lost-after-two-cuts", Act::Settings, &["I4"])]
#[case("userdata-in-place", Act::UserData, &["T3", "I4"])]
#[case("count-in-place", Act::Counter, &["T3", "I4"])]
#[case("reset-flag-first", Act::Reset(0), &["I4", "S4"])]
#[case("reset-never-resumes", Act::Reset(0), &["I4", "S4"])]
#[case("attempts-burnt", Act::Idle, &["L1", "P1"])]
#[case("power-cycles-reset", Act::Idle, &["I4", "S4"])]
fn a_defect_is_found_and_made_again_through_the_power_path(#[case] defect: &str, #[case] act: Act, #[case] oracles: &[&str]) {
    let outcome = campaign(&[defect], act, limits(), None);
    let proven = outcome.proven.unwrap_or_else(|| panic!("{:?} {:?}", outcome.explored.findings, outcome.unproven));
    assert!(oracles.contains(&proven.finding.oracle), "{proven:?}");
}

#[rstest]
#[case("slow-copy", Act::Swap)]
#[case("slot-fallback", Act::Swap)]
#[case("late-refusal", Act::Swap)]
#[case("size-refused-early", Act::Install)]
#[case("password-hashed", Act::Credential)]
#[case("silent-bad-command", Act::Settings)]
#[case("crypto-erase", Act::Reset(0))]
#[case("noisy-log", Act::Idle)]
#[case("slow-boot", Act::Idle)]
fn a_twin_has_no_finding(#[case] twin: &str, #[case] act: Act) {
    let outcome = campaign(&[twin], act, Limits { images: 400, judgements: 100, ..limits() }, None);
    assert_eq!((outcome.explored.findings, outcome.proven), (vec![], None));
}

#[test]
fn a_reported_cut_replays_alone_and_finds_the_same() {
    let found = campaign(&["settings-gc-loses"], Act::Settings, limits(), None).proven.unwrap();
    let again = campaign(&["settings-gc-loses"], Act::Settings, limits(), Some(found.trace.0[0]));
    assert_eq!(again.proven.unwrap().finding.oracle, found.finding.oracle);
    let elsewhere = campaign(&["settings-gc-loses"], Act::Settings, limits(), Some(Cut { at: 0, tear: proofbench_channel::Tear::Before }));
    assert_eq!(elsewhere.proven, None, "another cut of the same act is harmless");
}

#[test]
fn a_cut_that_the_act_does_not_have_is_no_opportunity_and_not_a_pass() {
    let mut bench = bench(&[], Rig::WHOLE);
    let plan = Act::Confirm.plan(&mut bench).unwrap();
    let cut = Cut { at: 5_000, tear: proofbench_channel::Tear::Before };
    let trouble = campaign::run(&mut bench, &plan, limits(), Some(cut)).unwrap_err();
    assert_eq!(trouble.reason(), proofbench_model::Reason::NoOpportunity);
}

#[test]
fn the_same_seed_gives_the_same_campaign_to_the_last_number() {
    let run = || campaign(&[], Act::Credential, limits(), None).explored;
    assert_eq!(run(), run());
}

#[test]
fn every_negative_control_is_caught() {
    let mut bench = bench(&[], Rig::WHOLE);
    for control in controls::results(&mut bench).unwrap() {
        assert!(control.caught.is_some(), "{} is not caught", control.name);
    }
    assert!(controls::require(&mut bench).is_ok());
}

fn sampled(bench: &mut Bench, act: Act) -> sampled::Sampled {
    let plan = act.plan(bench).unwrap();
    sampled::run(bench, &plan, Effort { survey: 8, edges: 4, repeated: 2, time: std::time::Duration::from_secs(600) }).unwrap()
}

#[rstest]
#[case(Act::Settings)]
#[case(Act::Swap)]
#[case(Act::Confirm)]
#[case(Act::Idle)]
#[case(Act::Reset(0))]
fn without_a_crash_space_every_cut_is_witnessed_and_the_conforming_device_has_no_finding(#[case] act: Act) {
    let mut bench = bench(&[], Rig { crash_space: false, ..Rig::WHOLE });
    let sampled = sampled(&mut bench, act);
    assert_eq!((sampled.proven.clone(), sampled.unproven.clone()), (vec![], vec![]));
    assert!(sampled.witnessed() >= 10, "{}", sampled.line());
    assert!(sampled.unwitnessed.is_none());
}

#[rstest]
#[case("swap-in-place", Act::Swap)]
#[case("count-in-place", Act::Counter)]
fn without_a_crash_space_a_wide_window_is_still_hit(#[case] defect: &str, #[case] act: Act) {
    let mut bench = bench(&[defect], Rig { crash_space: false, ..Rig::WHOLE });
    let sampled = sampled(&mut bench, act);
    assert!(!sampled.proven.is_empty(), "{}", sampled.line());
}

#[test]
fn a_power_switch_that_does_nothing_is_never_a_pass_nor_a_fail() {
    let mut bench = bench(&[], Rig { fault: Some("stuck-power"), ..Rig::WHOLE });
    let result = Act::Idle.plan(&mut bench).map(|_| ());
    assert_eq!(result.unwrap_err().reason(), proofbench_model::Reason::RigFault);
}

#[test]
fn a_deaf_update_path_is_told_before_anything_is_held_against_the_device() {
    let mut bench = bench(&[], Rig { fault: Some("deaf-update"), ..Rig::WHOLE });
    let trouble = Act::Settings.plan(&mut bench).map(|_| ()).unwrap_err();
    assert_eq!(trouble.reason(), proofbench_model::Reason::PreconditionUnmet);
}

#[test]
fn every_power_loss_defect_and_control_of_the_emulator_is_claimed_by_a_check() {
    let claimed: Vec<&str> = CHECKS.iter().flat_map(|c| c.defects).copied().collect();
    for entry in proofbench_emulator::defects::ALL.iter().filter(|e| e.suite == "power-loss" && e.kind != proofbench_emulator::defects::Kind::Twin) {
        assert!(claimed.contains(&entry.name), "{}", entry.name);
    }
}
