//! Results evaluated again, compared and merged; profiles. Each test runs short parts of the suites on the emulated device.

#![allow(clippy::unwrap_used)] // a test that cannot set up its ground may stop there

mod common;

use common::{parts, proofbench, rig_with, root};
use rstest::rstest;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn run(out: &Path, words: &[&str]) -> (i32, String, String) {
    let all = [&["run", "--out", out.to_str().unwrap()][..], words].concat();
    parts(&proofbench(&all))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Every file below a folder with its content, but what is below `assessments`.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut out = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            if entry.file_name() == "assessments" {
                continue;
            }
            if entry.path().is_dir() {
                open.push(entry.path());
            } else {
                out.insert(entry.path(), fs::read(entry.path()).unwrap());
            }
        }
    }
    out
}

/// The thermostat's ICS with one row changed.
fn ics_with(dir: &Path, id: &str, support: &str, detail: &str) -> PathBuf {
    let old = fs::read_to_string(root().join("fixtures/devices/thermostat/ics.toml")).unwrap();
    let from = format!("id = \"{id}\"\nsupport = \"Y\"");
    assert!(old.contains(&from));
    let path = dir.join(format!("{id}.toml"));
    fs::write(&path, old.replacen(&from, &format!("id = \"{id}\"\nsupport = \"{support}\"\ndetail = \"{detail}\""), 1)).unwrap();
    path
}

fn ixit_with(dir: &Path, from: &str, to: &str) -> PathBuf {
    let old = fs::read_to_string(root().join("fixtures/devices/thermostat/ixit.toml")).unwrap();
    assert!(old.contains(from), "no `{from}`");
    let path = dir.join("other-ixit.toml");
    fs::write(&path, old.replacen(from, to, 1)).unwrap();
    path
}

#[test]
fn evaluations_with_other_declarations_are_kept_beside_a_run_that_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    run(&out, &["--check", "update/install"]);
    let before = contents(&out);
    // 5.7-1 is recommended; stop claiming it.
    let ics = ics_with(dir.path(), "5.7-1", "N", "Not claimed any more.");
    let (code, said, err) = parts(&proofbench(&["assess", text(&out), "--ics", text(&ics), "--by", "A. Tester", "--why", "new ICS"]));
    assert_eq!(code, 0, "{said}{err}");
    assert!(said.contains("changed  ICS 5.7-1: Y -> N Not claimed any more.") && said.contains("assessments/1, record "), "{said}");
    let words = ixit_with(dir.path(), "time-frame = \"90 days\"", "time-frame = \"60 days\"");
    let (code, said, err) = parts(&proofbench(&["assess", text(&out), "--ixit", text(&words), "--by", "B. Second", "--profile", "certify"]));
    assert_eq!(code, 0, "{said}{err}");
    assert!(said.contains("changed  IXIT 3/VulnTypes-1, field `time-frame`: other words"), "{said}");
    assert_eq!(before, contents(&out), "the run's own files are not touched");
    let record: serde_json::Value = serde_json::from_slice(&fs::read(out.join("assessments/1/record.json")).unwrap()).unwrap();
    assert_eq!((record["by"].as_str(), record["why"].as_str(), record["profile"].as_str()), (Some("A. Tester"), Some("new ICS"), Some("ci")));
    assert!(record["made"].as_str().unwrap().starts_with("20") && record["inputs"]["dossier ics.toml"].as_str().unwrap().len() == 64);
    assert!(fs::read_to_string(out.join("assessments/1/ics.txt")).unwrap().contains("NOT-CLAIMED: Not claimed any more."));
    let (code, said, _) = parts(&proofbench(&["verify", text(&out)]));
    assert!(code == 0 && said.contains("2 later evaluations"), "{said}");
}

#[rstest]
#[case::a_report("assessments/1/summary.txt", "summary.txt is not what its inputs give")]
#[case::an_input("assessments/1/dossier/ics.toml", "dossier ics.toml is not what went in")]
#[case::the_record("assessments/1/record.json", "assessments/2: record.json names another record before it")]
#[case::an_added_file("assessments/1/note.txt", "note.txt does not belong to it")]
fn verify_finds_what_was_changed_in_an_evaluation(#[case] file: &str, #[case] words: &str) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    run(&out, &["--check", "update/install"]);
    let ics = ics_with(dir.path(), "5.7-1", "N", "Not claimed.");
    for _ in 0..2 {
        proofbench(&["assess", text(&out), "--ics", text(&ics), "--by", "A. Tester"]);
    }
    let path = out.join(file);
    let old = fs::read_to_string(&path).unwrap_or_default();
    fs::write(&path, if file.ends_with(".json") { old.replace("A. Tester", "Nobody") } else { format!("{old}# x\n") }).unwrap();
    let (code, said, _) = parts(&proofbench(&["verify", text(&out)]));
    assert!(code == 1 && said.contains(words), "{said}");
}

#[test]
fn an_evaluation_that_is_missing_in_the_middle_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    run(&out, &["--check", "update/install"]);
    let ics = ics_with(dir.path(), "5.7-1", "N", "Not claimed.");
    for _ in 0..2 {
        proofbench(&["assess", text(&out), "--ics", text(&ics), "--by", "A. Tester"]);
    }
    fs::remove_dir_all(out.join("assessments/1")).unwrap();
    let (code, said, _) = parts(&proofbench(&["verify", text(&out)]));
    assert!(code == 1 && said.contains("evaluation 1 is missing before it"), "{said}");
}

#[rstest]
#[case::another_binding("tries = 5", "tries = 9", "row 1/AuthMech-web: field `bind` is another")]
#[case::a_row_that_was_never_looked_at(
    "[[UpdProc]]",
    "[[SecBoot]]\nid = \"SecBoot-new\"\ndescription = \"x\"\n\n[[UpdProc]]",
    "row 20/SecBoot-new is new"
)]
#[case::a_row_that_is_gone("[[ExtAPI]]\nid = \"ExtAPI-smp\"", "[[ExtAPI]]\nid = \"ExtAPI-other\"", "row 28/ExtAPI-smp is gone")]
fn an_ixit_that_the_device_was_not_tested_with_is_refused_and_nothing_is_kept(#[case] from: &str, #[case] to: &str, #[case] words: &str) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    run(&out, &["--check", "update/install"]);
    let ixit = ixit_with(dir.path(), from, to);
    let (code, _, err) = parts(&proofbench(&["assess", text(&out), "--ixit", text(&ixit), "--by", "A. Tester"]));
    assert!(code == 3 && err.contains(words) && err.contains("that needs a new run"), "{err}");
    assert!(!out.join("assessments").exists());
}

/// Two runs, the newer one on a device that takes images whose signature does not fit.
fn two_runs(dir: &Path) -> (PathBuf, PathBuf) {
    let (old, new) = (dir.join("old"), dir.join("new"));
    let rig = rig_with(dir, "defects = []", "defects = [\"sig-unchecked\"]");
    run(&old, &["--check", "update/unsigned"]);
    run(&new, &["--check", "update/unsigned", "--check", "update/install", "--rig", text(&rig)]);
    (old, new)
}

#[test]
fn a_comparison_shows_what_got_worse_and_better_and_exits_by_it() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = two_runs(dir.path());
    let (code, said, err) = parts(&proofbench(&["compare", text(&old), text(&new)]));
    assert_eq!(code, 1, "{said}{err}");
    let (worse, rest) = said.split_once("\nnew (").unwrap_or_else(|| panic!("{said}"));
    assert!(worse.contains("\nworse (") && worse.contains("check update/unsigned on 5.3-2-2 b [7/UpdMech-1]: SATISFIED -> VIOLATED"), "{said}");
    assert!(rest.contains("check update/install on") && rest.contains(": - -> SATISFIED"), "{said}");
    assert!(said.contains("digest rig file:"), "{said}");
    let (code, said, _) = parts(&proofbench(&["compare", text(&new), text(&old)]));
    // The other way the failure is gone from view, and so are the answers of a check that did not run.
    assert!(code == 2 && said.contains("\nbetter (") && said.contains("\ngone ("), "{said}");
    let (code, said, _) = parts(&proofbench(&["compare", text(&old), text(&old)]));
    assert!(code == 0 && said.contains("nothing got worse that nobody expects") && !said.contains("worse ("), "{said}");
}

#[rstest]
#[case::expected(
    "unit = \"5.3-2-2 b\"\nreason = \"known, fixed in 1.3\"\nuntil = \"2999-12-31\"",
    0,
    "line 2: known, fixed in 1.3, until 2999-12-31"
)]
#[case::of_another_row(
    "unit = \"5.3-2-2 b\"\nrow = \"7/UpdMech-2\"\nreason = \"known\"",
    1,
    "UNUSED   line 2 of the baseline, unit 5.3-2-2 b [7/UpdMech-2]: nothing fails there: known"
)]
#[case::over("unit = \"5.3-2-2 b\"\nreason = \"known\"\nuntil = \"2020-01-01\"", 1, "EXPIRED  line 2 of the baseline, unit 5.3-2-2 b")]
#[case::without_reason(
    "unit = \"5.3-2-2 b\"\nreason = \" \"",
    3,
    "baseline.toml:2: unit 5.3-2-2 b: field `reason`: an expected failure needs a reason"
)]
#[case::no_day("unit = \"5.3-2-2 b\"\nreason = \"known\"\nuntil = \"soon\"", 3, "field `until`: `soon` is no day; valid: 2027-03-31")]
#[case::no_unit("unit = \"5.3-2-2\"\nreason = \"known\"", 3, "`5.3-2-2` is no test unit; a valid one looks like `5.3-2-2 b`")]
#[case::unknown_key("unit = \"5.3-2-2 b\"\nreason = \"known\"\nuntill = \"2027-01-01\"", 3, "unknown field `untill`")]
fn a_baseline_changes_the_exit_code_and_is_printed(#[case] entry: &str, #[case] code: i32, #[case] words: &str) {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = two_runs(dir.path());
    let baseline = dir.path().join("baseline.toml");
    fs::write(&baseline, format!("format = 1\n[[expected]]\n{entry}\n")).unwrap();
    let (found, said, err) = parts(&proofbench(&["compare", text(&old), text(&new), "--baseline", text(&baseline)]));
    assert_eq!(found, code, "{said}{err}");
    assert!(said.contains(words) || err.contains(words), "{said}{err}");
    if code < 3 {
        assert!(said.contains("SATISFIED -> VIOLATED"), "what is expected is shown all the same: {said}");
    }
}

#[test]
fn partial_runs_on_two_rigs_become_one_that_verifies_and_keeps_every_failure() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two, out) = (dir.path().join("one"), dir.path().join("two"), dir.path().join("merged"));
    let rig = rig_with(dir.path(), "defects = []", "defects = [\"sig-unchecked\"]");
    // The same check fails on one rig and passes on the other: the failure stands, whichever came first.
    run(&one, &["--check", "update/unsigned", "--rig", text(&rig)]);
    run(&two, &["--check", "update/unsigned", "--check", "reset/*"]);
    for order in [[&one, &two], [&two, &one]] {
        let (code, said, err) = parts(&proofbench(&["merge", text(order[0]), text(order[1]), "--out", text(&out)]));
        assert_eq!(code, 0, "5.3-2 asks for one mechanism that withstands, and the other was not looked at: {said}{err}");
        assert!(said.contains("5.3-2-2 b [7/UpdMech-1] by update/unsigned: VIOLATED"), "{said}");
        assert!(said.contains("claim    none:") && said.contains("answers of a whole run were asked of none of them"), "{said}");
        let (code, said, _) = parts(&proofbench(&["verify", text(&out)]));
        assert_eq!(code, 0, "{said}");
        // Every observation says where it was made.
        let journal = fs::read_to_string(out.join("journal.jsonl")).unwrap();
        let observed: Vec<serde_json::Value> =
            journal.lines().map(|l| serde_json::from_str(l).unwrap()).filter(|r: &serde_json::Value| r["event"]["event"] == "observation").collect();
        let from = |run: &str| observed.iter().filter(|r| r["from"]["run"].as_str().is_some_and(|f| f.ends_with(run))).count();
        assert!(from("one") > 0 && from("two") > from("one") && from("one") + from("two") == observed.len());
        fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn a_merged_run_whose_source_or_records_were_changed_does_not_verify() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two, out) = (dir.path().join("one"), dir.path().join("two"), dir.path().join("merged"));
    run(&one, &["--check", "update/unsigned"]);
    run(&two, &["--check", "reset/*"]);
    parts(&proofbench(&["merge", text(&one), text(&two), "--out", text(&out)]));
    let path = out.join("sources/1-one/journal.jsonl");
    let old = fs::read_to_string(&path).unwrap();
    let last = old.trim_end().rfind('\n').unwrap();
    fs::write(&path, &old[..=last]).unwrap();
    let (code, said, _) = parts(&proofbench(&["verify", text(&out)]));
    assert!(code == 1 && said.contains("sources/1-one is not the journal that was merged"), "{said}");
}

#[test]
fn runs_of_another_device_or_dossier_or_the_same_run_twice_are_not_merged() {
    let dir = tempfile::tempdir().unwrap();
    let one = dir.path().join("one");
    run(&one, &["--check", "update/install"]);
    let refused = |other: &Path, words: &str| {
        let out = dir.path().join("merged");
        let (code, _, err) = parts(&proofbench(&["merge", text(&one), text(other), "--out", text(&out)]));
        assert!(code == 3 && err.contains(words), "{err}");
        assert!(!out.exists(), "{words}");
    };
    refused(&one, "are the same run: its answers would count twice");
    let dossier = dir.path().join("dossier");
    copy(&root().join("fixtures/devices/thermostat"), &dossier);
    let change = |file: &str, from: &str, to: &str| {
        let old = fs::read_to_string(dossier.join(file)).unwrap();
        assert!(old.contains(from));
        fs::write(dossier.join(file), old.replacen(from, to, 1)).unwrap();
    };
    change("ixit.toml", "90 days", "60 days");
    let two = dir.path().join("two");
    run(&two, &["--check", "update/install", "--dossier", text(&dossier)]);
    refused(&two, "the digest of dossier ixit.toml differs");
    change("device.toml", "TH1-0001", "TH1-0002");
    let three = dir.path().join("three");
    run(&three, &["--check", "update/install", "--dossier", text(&dossier)]);
    refused(&three, "the device's serial differs: TH1-0001 and TH1-0002");
    let evidence =
        fs::read_dir(two.join("evidence")).unwrap().flatten().find_map(|d| fs::read_dir(d.path()).unwrap().flatten().next()).unwrap().path();
    fs::write(evidence, "other").unwrap();
    refused(&two, "cannot be relied on: evidence ");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn parts_that_together_are_everything_claim_everything() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two, out, whole) = (dir.path().join("one"), dir.path().join("two"), dir.path().join("merged"), dir.path().join("whole"));
    // A profile of few provisions: its checks in two parts, by provision.
    run(&one, &["--profile", "uk-psti", "--provision", "5.1-1"]);
    run(&two, &["--profile", "uk-psti", "--provision", "5.1-2"]);
    let (_, merged, err) = parts(&proofbench(&["merge", text(&one), text(&two), "--out", text(&out)]));
    let (_, at_once, _) = run(&whole, &["--profile", "uk-psti"]);
    let overall = |t: &str| t.lines().find(|l| l.starts_with("overall")).unwrap_or_else(|| panic!("{t}{err}")).to_owned();
    assert_eq!(overall(&merged), overall(&at_once));
    assert!(overall(&at_once).contains("for the 4 provisions of profile uk-psti; nothing is said of the others"), "{at_once}");
    let verdicts =
        |dir: &Path| serde_json::from_slice::<serde_json::Value>(&fs::read(dir.join("assessment.json")).unwrap()).unwrap()["units"].clone();
    assert_eq!(verdicts(&out), verdicts(&whole));
    let (code, said, _) = parts(&proofbench(&["verify", text(&out)]));
    assert_eq!(code, 0, "{said}");
    // Under a profile of everything the same records claim nothing.
    let (_, said, _) = parts(&proofbench(&["assess", text(&whole), "--profile", "certify"]));
    assert!(said.contains("overall  none: a partial run makes no assessment claim"), "{said}");
}

#[test]
fn a_profile_of_another_edition_gives_no_overall_verdict_and_marks_what_is_not_verified() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let (_, said, err) = run(&out, &["--check", "update/install", "--profile", "en303645-v3"]);
    assert!(said.contains("overall  none: profile en303645-v3 gives none:"), "{said}{err}");
    assert!(said.contains("5.3-6A R F (h)") && said.contains("NOT VERIFIED: split into 2; our sources agree on status only"), "{said}");
    assert!(said.contains("6-7 R F (aa)") && said.contains("NOT TESTED"), "{said}");
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("from the results for V2.1.1") && page.matches("<strong>NOT VERIFIED</strong>").count() > 30);
    let (code, said, _) = parts(&proofbench(&["verify", text(&out)]));
    assert_eq!(code, 0, "{said}");
}

#[test]
fn an_unknown_profile_is_told_with_the_ones_that_there_are() {
    let (code, _, err) = parts(&proofbench(&["run", "--profile", "psti"]));
    assert!(code == 3 && err.contains("unknown profile `psti`; valid: certify, ci, uk-psti, en303645-v3"), "{err}");
    let (code, out, _) = parts(&proofbench(&["list", "profiles"]));
    assert_eq!(code, 0);
    for words in ["uk-psti", "speaks of 5.1-1, 5.1-2, 5.2-1, 5.3-13 only", "gives no overall verdict", "4 profiles"] {
        assert!(out.contains(words), "{words}: {out}");
    }
}

#[test]
fn what_one_rig_cannot_do_another_one_answers_whichever_was_run_first() {
    let dir = tempfile::tempdir().unwrap();
    let (able, unable, out) = (dir.path().join("able"), dir.path().join("unable"), dir.path().join("merged"));
    let rig = rig_with(dir.path(), "power-cut = true", "power-cut = false");
    run(&able, &["--check", "power-loss/settings"]);
    let (_, said, _) = run(&unable, &["--check", "power-loss/settings", "--rig", text(&rig)]);
    assert!(said.contains("rig-capability-missing"), "{said}");
    let verdicts =
        |dir: &Path| serde_json::from_slice::<serde_json::Value>(&fs::read(dir.join("assessment.json")).unwrap()).unwrap()["units"].clone();
    assert_ne!(verdicts(&able), verdicts(&unable));
    for order in [[&able, &unable], [&unable, &able]] {
        let (_, said, err) = parts(&proofbench(&["merge", text(order[0]), text(order[1]), "--out", text(&out)]));
        assert_eq!(verdicts(&out), verdicts(&able), "{said}{err}");
        fs::remove_dir_all(&out).unwrap();
    }
}
