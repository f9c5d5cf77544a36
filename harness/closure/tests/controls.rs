//! The tool's own controls: a correct store is complete and clean, each classic mistake is caught, and every finding replays.

#![allow(clippy::unwrap_used)] // a test that cannot set up its ground may stop there

use proofbench_closure::explore::{Limits, explore};
use proofbench_closure::explored::Explored;
use proofbench_closure::medium::Tears;
use proofbench_closure::replay::replay;
use proofbench_closure::subject::Oracle;
use proofbench_closure::subjects::by_name;

fn run(name: &str, limits: Limits) -> Explored {
    explore(by_name(name).unwrap().as_ref(), limits).unwrap()
}

#[test]
fn a_correct_store_is_complete_and_clean_on_every_medium() {
    for medium in ["nor", "nrf52", "once"] {
        let explored = run(&format!("toy-correct/{medium}"), Limits { torn: 2, ..Limits::default() });
        assert!(explored.is_complete(), "{}", explored.line());
        assert_eq!(explored.findings, [], "{}", explored.line());
        assert!(explored.stats.images > 100 && explored.stats.probes > 0, "{}", explored.line());
        assert!(explored.extent().starts_with("COMPLETE for any number of clean cuts"), "{}", explored.extent());
    }
}

#[test]
fn a_store_without_a_commit_mark_is_caught() {
    let explored = run("toy-no-commit/nor", Limits::default());
    assert!(explored.finding(Oracle::OldOrNew).is_some(), "{}", explored.line());
}

#[test]
fn a_store_that_erases_before_it_copies_is_caught_by_its_shortest_chain() {
    let explored = run("toy-erase-first/nor", Limits { torn: 0, ..Limits::default() });
    let finding = explored.finding(Oracle::OldOrNew).unwrap();
    assert_eq!(finding.trace.to_string(), "toy-erase-first/nor@cut=1,tear=before");
}

/// The contents of the exploration are rebuilt, those of a replay come from armed cuts: both must end alike.
#[test]
fn every_finding_replays_to_itself() {
    for name in
        ["toy-no-commit/nor", "toy-erase-first/nor", "embassy-boot-0.7.0/small/nor", "embassy-boot-0.7.0/small/once", "embassy-boot-0.7.0/small/ecc"]
    {
        let subject = by_name(name).unwrap();
        let explored = explore(subject.as_ref(), Limits { tears: Tears { weak: true, ..Tears::ALL }, ..Limits::default() }).unwrap();
        assert!(!explored.findings.is_empty(), "{name}");
        for located in &explored.findings {
            let trace = located.trace.to_string().parse().unwrap();
            let replayed = replay(subject.as_ref(), &trace).unwrap();
            let again = replayed.findings.iter().any(|f| f.oracle == located.finding.oracle);
            assert!(again, "{}: {:?} became {:?}", located.trace, located.finding, replayed.findings);
        }
    }
}

#[test]
fn a_chain_without_a_defect_replays_to_nothing() {
    let subject = by_name("toy-correct/nor").unwrap();
    let trace = "toy-correct/nor@cut=1,tear=bits-1;cut=0,tear=before;cut=4,tear=before".parse().unwrap();
    assert_eq!(replay(subject.as_ref(), &trace).unwrap().findings, []);
}
