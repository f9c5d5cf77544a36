//! What is known of published crates, found by the tool as it is. Figures and all replay lines: docs/closure.md.

#![allow(clippy::unwrap_used)] // a test that cannot set up its ground may stop there

use proofbench_closure::explore::{Limits, explore};
use proofbench_closure::explored::Explored;
use proofbench_closure::medium::Tears;
use proofbench_closure::replay::replay;
use proofbench_closure::subject::{Finding, Oracle};
use proofbench_closure::subjects::by_name;

fn run(name: &str, limits: Limits) -> Explored {
    explore(by_name(name).unwrap().as_ref(), limits).unwrap()
}

fn replayed(line: &str) -> Vec<Finding> {
    let trace: proofbench_closure::trace::Trace = line.parse().unwrap();
    replay(by_name(&trace.subject).unwrap().as_ref(), &trace).unwrap().findings
}

fn clean() -> Limits {
    Limits { torn: 0, ..Limits::default() }
}

/// tweedegolf/sequential-storage issue 136: a store is acknowledged and gone at the next power-on. Nothing here knows how: values by number are tried.
#[test]
fn the_documented_power_fail_defect_of_sequential_storage_is_found_again() {
    for release in ["5.0.1", "8.0.2"] {
        let found = (30..60).find_map(|seed| {
            let name = format!("sequential-storage-{release}/store-1/nor/w1x3/seed={seed}");
            let explored = run(&name, Limits { torn: 2, depth: Some(2), ..Limits::default() });
            explored.finding(Oracle::OldOrNew).cloned()
        });
        let found = found.unwrap_or_else(|| panic!("not found in {release}"));
        assert!(found.finding.detail.contains("holds nothing"), "{}", found.finding.detail);
        assert_eq!(replayed(&found.trace.to_string())[0].oracle, Oracle::OldOrNew);
    }
}

/// The changelog of 8.0.1: an interrupted removal after an interrupted store could give back an older value. Clean cuts are enough.
#[test]
fn an_interrupted_removal_gives_back_an_older_value_in_the_old_release_and_not_in_the_new() {
    let older = |release: &str| {
        let explored = run(&format!("sequential-storage-{release}/remove-3/nor/w4x3/seed=0"), clean());
        assert!(explored.is_complete(), "{}", explored.line());
        explored.findings.into_iter().find(|l| l.finding.class == "a third value")
    };
    let found = older("5.0.1").unwrap();
    assert_eq!(replayed(&found.trace.to_string()), [found.finding]);
    assert_eq!(older("8.0.2"), None);
}

/// Not known upstream as far as we know: a chain of clean cuts after which an acknowledged value, read back after each of them, is gone.
#[test]
fn an_interrupted_removal_that_read_back_as_undone_is_done_by_a_later_interrupted_store() {
    let explored = run("sequential-storage-8.0.2/remove-2/nor/w4x3/seed=0", clean());
    assert!(explored.is_complete(), "{}", explored.line());
    let found = explored.finding(Oracle::OldOrNew).unwrap();
    assert_eq!(found.finding.class, "nothing");
    assert_eq!(replayed(&found.trace.to_string()), std::slice::from_ref(&found.finding));
}

#[test]
fn the_queue_of_the_newest_release_survives_any_number_of_clean_cuts() {
    let explored = run("sequential-storage-8.0.2/queue/nor/w4x3", clean());
    assert!(explored.is_complete(), "{}", explored.line());
    assert_eq!(explored.findings, []);
}

#[test]
fn the_boot_loader_always_boots_a_legal_image_on_ideal_flash() {
    let explored = run("embassy-boot-0.7.0/small/nor", Limits::default());
    assert!(explored.is_complete(), "{}", explored.line());
    for oracle in [Oracle::Opens, Oracle::OldOrNew, Oracle::FurtherWrite, Oracle::Downgrade] {
        assert_eq!(explored.finding(oracle), None, "{}", explored.line());
    }
}

#[test]
fn the_boot_loader_reports_a_revert_while_the_new_image_runs_after_a_cut_in_its_confirmation() {
    let explored = run("embassy-boot-0.7.0/small/nor", clean());
    let lies: Vec<&str> = explored.findings.iter().filter(|l| l.finding.oracle == Oracle::Truth).map(|l| l.finding.detail.as_str()).collect();
    assert!(lies.iter().any(|l| l.contains("the new image runs, and the state says Revert")), "{lies:?}");
    assert!(lies.iter().any(|l| l.contains("the old image runs, and the state says Boot")), "{lies:?}");
}

#[test]
fn one_clean_cut_in_the_confirmation_stops_the_boot_loader_for_good_on_write_once_flash() {
    let explored = run("embassy-boot-0.7.0/small/once", clean());
    let found = explored.finding(Oracle::Opens).unwrap();
    assert!(found.finding.detail.contains("Refused"), "{}", found.finding.detail);
    // The first cut is the power-cycle after the update was marked; the other is the one in mark_booted.
    assert_eq!(found.trace.cuts.len(), 2);
}

#[test]
fn a_torn_word_stops_the_boot_loader_for_good_on_checksummed_flash_and_clean_cuts_do_not() {
    assert_eq!(run("embassy-boot-0.7.0/small/ecc", clean()).finding(Oracle::Opens), None);
    let torn = run("embassy-boot-0.7.0/small/ecc", Limits::default());
    assert!(torn.finding(Oracle::Opens).unwrap().finding.detail.contains("Unreadable"));
}

#[test]
fn a_weak_progress_word_corrupts_the_running_image_of_the_boot_loader() {
    let weak = run("embassy-boot-0.7.0/small/nor", Limits { tears: Tears { weak: true, ..Tears::ALL }, ..Limits::default() });
    let found = weak.findings.iter().find(|l| l.finding.detail.contains("no whole image")).unwrap();
    assert!(found.trace.cuts.iter().any(|c| c.tear == proofbench_closure::medium::Tear::Weak));
}

/// When its meta page is full, ekv 1.0.0 writes the header of the next one before the entries: power between the two leaves an empty database.
#[test]
fn one_clean_cut_while_the_meta_page_changes_empties_the_database() {
    let explored = run("ekv-1.0.0/transactions-2/once/p16", clean());
    assert!(explored.is_complete(), "{}", explored.line());
    let found = explored.finding(Oracle::Others).unwrap();
    assert!(found.finding.detail.contains("the untouched key holds nothing"), "{}", found.finding.detail);
    assert!(found.trace.cuts.iter().all(|c| c.tear.is_clean()));
    assert_eq!(found.trace.cuts.len(), 2); // the first is the power-cycle after an acknowledged transaction
}
