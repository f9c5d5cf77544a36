//! The command line as its users meet it: what a run leaves, what bad input says, what exit codes mean.

#![allow(clippy::unwrap_used)] // a test that cannot set up its ground may stop there

mod common;

use common::{parts, proofbench, rig_with, root};
use rstest::rstest;
use std::fs;
use std::path::Path;

/// A short, wholly deterministic part of the suites.
const SHORT: &str = "update/install";

fn run_short(dir: &Path, extra: &[&str]) -> (i32, String, String) {
    let out = dir.join("run");
    let mut words = vec!["run", "--check", SHORT, "--out", out.to_str().unwrap()];
    words.extend(extra);
    parts(&proofbench(&words))
}

#[test]
fn a_conforming_device_passes_and_leaves_a_folder_that_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let (code, out, err) = run_short(dir.path(), &[]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("SATISFIED"), "{out}");
    assert!(out.contains("a partial run makes no assessment claim"), "{out}");
    let run = dir.path().join("run");
    let reports = ["junit.xml", "junit-provisions.xml", "summary.txt", "ics.txt", "assessment.json", "report.html"];
    for file in reports.into_iter().chain(["journal.jsonl", "manifest.json"]) {
        assert!(run.join(file).is_file(), "{file} is missing");
    }
    let (code, out, _) = parts(&proofbench(&["verify", run.to_str().unwrap()]));
    assert_eq!(code, 0, "{out}");
}

#[rstest]
#[case::journal("journal.jsonl")]
#[case::report("junit.xml")]
#[case::summary("summary.txt")]
#[case::page("report.html")]
#[case::dossier("dossier/ics.toml")]
fn a_changed_run_folder_does_not_verify(#[case] file: &str) {
    let dir = tempfile::tempdir().unwrap();
    run_short(dir.path(), &[]);
    let path = dir.path().join("run").join(file);
    let text = fs::read_to_string(&path).unwrap();
    let at = text.find("5.3-2").or_else(|| text.find("TH-1")).unwrap();
    fs::write(&path, format!("{}9{}", &text[..at], &text[at + 1..])).unwrap();
    let (code, out, err) = parts(&proofbench(&["verify", dir.path().join("run").to_str().unwrap()]));
    assert_ne!(code, 0, "{out}{err}");
}

#[test]
fn two_runs_with_one_seed_record_the_same_events() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let events: Vec<Vec<(u64, serde_json::Value)>> = dirs
        .iter()
        .map(|dir| {
            run_short(dir.path(), &["--seed", "7"]);
            let text = fs::read_to_string(dir.path().join("run/journal.jsonl")).unwrap();
            // The header holds the wall clock, and every later line holds the digest of the one before.
            text.lines()
                .skip(1)
                .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap())
                .map(|r| (r["at"].as_u64().unwrap(), r["event"].clone()))
                .collect()
        })
        .collect();
    assert!(events[0].len() > 20);
    assert_eq!(events[0], events[1]);
}

#[rstest]
#[case::junit("junit", "junit.xml")]
#[case::page("html", "report.html")]
fn a_report_made_twice_has_the_same_bytes(#[case] format: &str, #[case] file: &str) {
    let dir = tempfile::tempdir().unwrap();
    run_short(dir.path(), &[]);
    let run = dir.path().join("run");
    let again = proofbench(&["report", run.to_str().unwrap(), "--format", format]).stdout;
    assert!(!again.is_empty());
    assert_eq!(again, fs::read(run.join(file)).unwrap());
}

#[test]
fn the_provisions_report_always_has_all_68_rows() {
    let dir = tempfile::tempdir().unwrap();
    run_short(dir.path(), &[]);
    let xml = fs::read_to_string(dir.path().join("run/junit-provisions.xml")).unwrap();
    let report = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    assert_eq!(report.test_suites[0].test_cases.len(), 68);
}

#[test]
fn a_defect_ends_with_exit_code_1_and_a_failure_in_the_report() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig_with(dir.path(), "defects = []", "defects = [\"sig-unchecked\"]");
    let out = dir.path().join("run");
    // Both mechanisms: 5.3-2 is met by one that withstands misuse.
    let checks = ["--check", "update/unsigned", "--check", "update/server-images"];
    let words = [&["run", "--rig", rig.to_str().unwrap(), "--out", out.to_str().unwrap()][..], &checks].concat();
    let (code, text, err) = parts(&proofbench(&words));
    assert_eq!(code, 1, "{text}{err}");
    let xml = fs::read_to_string(out.join("junit.xml")).unwrap();
    let report = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    assert!(report.test_suites.iter().map(|s| s.failures).sum::<usize>() >= 1);
}

#[test]
fn a_dossier_that_is_not_there_is_told_at_its_place_in_the_rig_file() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig_with(dir.path(), "unit = 1", "unit = 1");
    let text = fs::read_to_string(&rig).unwrap();
    fs::write(
        &rig,
        text.lines().map(|l| if l.starts_with("dossier") { "dossier = \"nowhere\"\n".to_owned() } else { format!("{l}\n") }).collect::<String>(),
    )
    .unwrap();
    for words in [["run", "--rig"], ["doctor", "--rig"]] {
        let (code, _, err) = parts(&proofbench(&[words[0], words[1], rig.to_str().unwrap()]));
        assert_eq!(code, 3);
        assert!(err.contains("rig.toml:3:11: `nowhere`: no dossier") && err.contains("valid: a folder"), "{err}");
    }
    let (code, _, err) = parts(&proofbench(&["check", rig.to_str().unwrap()]));
    assert!(code == 3 && err.contains("rig.toml:3:11: `nowhere`"), "{err}");
}

#[test]
fn a_dossier_for_another_device_decides_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let dossier = dir.path().join("dossier");
    copy(&root().join("fixtures/devices/thermostat"), &dossier);
    let device = fs::read_to_string(dossier.join("device.toml")).unwrap();
    fs::write(dossier.join("device.toml"), device.replace("TH1-0001", "TH1-0002")).unwrap();
    let (code, out, err) = run_short(dir.path(), &["--dossier", dossier.to_str().unwrap()]);
    assert_eq!(code, 2, "{out}{err}");
    assert!(out.contains("precondition-unmet") && !out.contains("SATISFIED x"), "{out}");
}

#[test]
fn a_device_that_prints_xml_and_control_characters_forges_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let plain = run_and_count(dir.path(), "plain", "defects = []");
    let noisy = run_and_count(dir.path(), "noisy", "defects = [\"noisy-log\"]");
    assert_eq!(plain, noisy);
}

fn run_and_count(dir: &Path, name: &str, defects: &str) -> (i32, Vec<String>) {
    let rig = rig_with(dir, "defects = []", defects);
    let out = dir.join(name);
    let words = ["run", "--rig", rig.to_str().unwrap(), "--suite", "reset", "--out", out.to_str().unwrap()];
    let (code, _, _) = parts(&proofbench(&words));
    let xml = fs::read_to_string(out.join("junit.xml")).unwrap();
    let report = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    let names = report.test_suites.iter().flat_map(|s| &s.test_cases).map(|c| format!("{:?} {}", c.classname, c.name.as_str())).collect();
    (code, names)
}

#[rstest]
#[case::unknown_suite(&["run", "--suite", "udpate"], "update")]
#[case::unknown_check(&["run", "--check", "update/nothing"], "update/install")]
#[case::unknown_provision(&["run", "--provision", "5.99"], "5.3-2")]
#[case::missing_rig(&["run", "--rig", "no-such.toml"], "no-such.toml")]
#[case::missing_run(&["verify", "no-such-run"], "no-such-run")]
#[case::unknown_unit(&["explain", "5.3-2-2 z"], "list units")]
#[case::bad_replay(&["replay", "x", "update/install@cut=z"], "operation number")]
#[case::no_command(&["frobnicate"], "frobnicate")]
fn bad_input_ends_with_exit_code_3_and_says_what_would_be_valid(#[case] words: &[&str], #[case] says: &str) {
    let (code, out, err) = parts(&proofbench(words));
    assert_eq!(code, 3, "{out}{err}");
    assert!(err.contains(says), "{err}");
}

#[rstest]
#[case::unknown_key("[power]\ndriver", "[power]\nvolts = 5\ndriver", "volts")]
#[case::wrong_type("unit = 1", "unit = \"one\"", "rig.toml:6:8: `one`: invalid type: string \"one\", expected u32")]
#[case::unknown_driver("[power]\ndriver = \"emulator\"", "[power]\ndriver = \"relay\"", "emulator, board")]
#[case::unknown_defect("defects = []", "defects = [\"nothing-wrong\"]", "nothing-wrong")]
#[case::unknown_fault("faults = []", "faults = [\"gremlin\"]", "dead-console")]
fn a_broken_rig_file_is_told_with_its_place_and_what_would_be_valid(#[case] from: &str, #[case] to: &str, #[case] says: &str) {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig_with(dir.path(), from, to);
    let (code, out, err) = parts(&proofbench(&["run", "--rig", rig.to_str().unwrap(), "--out", dir.path().join("r").to_str().unwrap()]));
    assert_eq!(code, 3, "{out}{err}");
    assert!(err.contains(says), "{err}");
}

#[test]
fn a_run_folder_that_cannot_be_written_is_an_error_and_not_a_result() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("run"), "a file stands here").unwrap();
    let (code, out, err) = run_short(dir.path(), &[]);
    assert_eq!(code, 3, "{out}{err}");
    assert!(err.contains("run"), "{err}");
}

#[test]
fn an_ixit_row_without_a_binding_that_a_claimed_unit_needs_is_inconclusive() {
    let dir = tempfile::tempdir().unwrap();
    let dossier = dir.path().join("dossier");
    copy(&root().join("fixtures/devices/thermostat"), &dossier);
    let ixit = fs::read_to_string(dossier.join("ixit.toml")).unwrap();
    let (before, after) = ixit.split_once("[UpdMech.bind]").unwrap();
    let rest = after.split_once("\n[[").unwrap().1;
    fs::write(dossier.join("ixit.toml"), format!("{before}\n[[{rest}")).unwrap();
    let (code, out, err) = run_short(dir.path(), &["--dossier", dossier.to_str().unwrap()]);
    assert_ne!(code, 0, "{out}{err}");
    assert!(!out.contains("SATISFIED x"), "{out}");
}

#[test]
fn assess_takes_another_ics_and_leaves_the_run_s_own_reports_alone() {
    let dir = tempfile::tempdir().unwrap();
    run_short(dir.path(), &[]);
    let run = dir.path().join("run");
    let before = fs::read(run.join("summary.txt")).unwrap();
    let ics = fs::read_to_string(run.join("dossier/ics.toml")).unwrap();
    let other = dir.path().join("other.toml");
    fs::write(&other, ics.replacen("id = \"5.2-1\"\nsupport = \"Y\"", "id = \"5.2-1\"\nsupport = \"N\"", 1)).unwrap();
    let (code, out, _) = parts(&proofbench(&["assess", run.to_str().unwrap(), "--ics", other.to_str().unwrap(), "--by", "A. Tester"]));
    assert_eq!(code, 1, "a mandatory provision is not claimed: {out}");
    assert_eq!(before, fs::read(run.join("summary.txt")).unwrap());
}

#[rstest]
#[case::checks(&["list", "checks"], "update/install")]
#[case::provisions(&["list", "provisions"], "68 provisions")]
#[case::units(&["list", "units"], "226 units")]
#[case::defects(&["list", "defects"], "sig-unchecked")]
#[case::explain(&["explain", "5.3-2"], "5.3-2-2")]
#[case::explain_check(&["explain", "update/install"], "positive control")]
#[case::check(&["check", "rigs/emulated.toml", "rigs/board.toml", "fixtures/devices/thermostat"], "68 ICS rows")]
#[case::plan(&["plan"], "claim: full")]
#[case::help(&["--help"], "Exit codes")]
fn what_there_is_can_be_asked(#[case] words: &[&str], #[case] says: &str) {
    let (code, out, err) = parts(&proofbench(words));
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains(says), "{out}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { fs::copy(&path, &target).map(drop).unwrap() }
    }
}

/// Starts a whole run, waits for its first result, sends the signal, and gives back exit code (none if killed) and the run folder.
fn interrupted(dir: &Path, signal: &str) -> Option<i32> {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let out = dir.join("run");
    let mut child = Command::new(env!("CARGO_BIN_EXE_proofbench"))
        .args(["run", "--out", out.to_str().unwrap()])
        .current_dir(root())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    // The pipe is read to its end, so that the run is never held up by it.
    for line in lines {
        drop(line);
    }
    child.wait().unwrap().code()
}

#[test]
fn a_run_stopped_by_a_signal_is_safe_and_has_its_reports() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(interrupted(dir.path(), "-INT"), Some(2), "what was due and did not run is inconclusive");
    let run = dir.path().join("run");
    let (code, out, _) = parts(&proofbench(&["verify", run.to_str().unwrap()]));
    assert_eq!(code, 0, "{out}");
    let summary = fs::read_to_string(run.join("summary.txt")).unwrap();
    assert!(summary.contains("a partial run makes no assessment claim") && summary.contains("aborted-safety"), "{summary}");
}

#[test]
fn a_controller_that_is_killed_loses_no_observation_and_claims_nothing_better() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(interrupted(dir.path(), "-KILL"), None);
    let run = dir.path().join("run");
    let (code, out, _) = parts(&proofbench(&["verify", run.to_str().unwrap()]));
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("did not come to its end"), "{out}");
    let (code, summary, err) = parts(&proofbench(&["report", run.to_str().unwrap()]));
    assert_eq!(code, 0, "{err}");
    assert!(summary.contains("harness-fault"), "{summary}");
}
