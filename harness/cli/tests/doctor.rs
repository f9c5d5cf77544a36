//! `doctor` as a person calls it: on the emulated rig, on the board's real wires, on benches that are wired wrongly.

#![allow(clippy::unwrap_used)] // a test that cannot set up its ground may stop there

mod common;

use common::{parts, proofbench, rig_with, root};
use std::path::Path;

fn doctor(rig: &Path, more: &[&str]) -> (i32, String, String) {
    let mut words = vec!["doctor", "--rig", rig.to_str().unwrap()];
    words.extend(more);
    parts(&proofbench(&words))
}

/// The line of one step.
fn line<'a>(out: &'a str, channel: &str, step: &str) -> &'a str {
    let found = out.lines().find(|l| l.split_whitespace().collect::<Vec<_>>().join(" ").contains(&format!("{channel} {step}")));
    found.unwrap_or_else(|| panic!("no line {channel} {step} in\n{out}"))
}

#[test]
fn the_emulated_rig_is_in_order() {
    let (code, out, err) = doctor(&root().join("rigs/emulated.toml"), &[]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(line(&out, "power", "off-min").contains("your off-min of 20ms is enough"), "{out}");
    assert!(out.lines().last().unwrap().starts_with("the bench is wired as its rig file says; the rig is left safe"), "{out}");
}

#[test]
fn without_a_rig_the_emulated_one_is_examined() {
    let (code, out, _) = parts(&proofbench(&["doctor"]));
    assert_eq!(code, 0);
    assert!(out.contains("emulated UART0"), "{out}");
}

#[test]
fn the_board_is_in_order_over_real_wires() {
    for program in ["proofbench-board", "proofbench-probe-worker"] {
        let beside = Path::new(env!("CARGO_BIN_EXE_proofbench")).with_file_name(program);
        assert!(beside.is_file(), "{} is not built: `cargo test --workspace` builds it, or `cargo build --workspace`", beside.display());
    }
    let (code, out, err) = doctor(&root().join("rigs/board.toml"), &[]);
    assert_eq!(code, 0, "{out}{err}");
    for (channel, step) in
        [("console", "rules"), ("reset", "rules"), ("debug", "nRST"), ("update", "rules"), ("storage", "contents"), ("power", "rules")]
    {
        assert!(line(&out, channel, step).starts_with("ok"), "{out}");
    }
}

#[test]
fn a_board_whose_supply_does_nothing_is_found_out_over_real_wires() {
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(root().join("rigs/board.toml")).unwrap();
    let dossier = format!("dossier = {:?}", root().join("fixtures/devices/thermostat"));
    let text = text.replace("dossier = \"../fixtures/devices/thermostat\"", &dossier).replace("defects = []", "faults = [\"stuck-power\"]");
    let rig = dir.path().join("stuck.toml");
    std::fs::write(&rig, text).unwrap();
    let (code, out, err) = doctor(&rig, &[]);
    assert_eq!(code, 1, "{out}{err}");
    assert!(line(&out, "power", "off").starts_with("WRONG") && out.contains("the switch does nothing"), "{out}");
}

#[test]
fn a_back_fed_board_is_told_in_words_with_what_to_try() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig_with(dir.path(), "faults = []", "faults = [\"back-feed\"]");
    let (code, out, _) = doctor(&rig, &[]);
    assert_eq!(code, 1);
    let at = out.lines().position(|l| l.contains("still powered through the probe or UART")).unwrap_or_else(|| panic!("{out}"));
    assert!(out.lines().nth(at + 1).unwrap().trim_start().starts_with("try: unplug the probe"), "{out}");
    assert!(out.lines().last().unwrap().contains("wrong"), "{out}");
}

#[test]
fn as_json_it_says_the_same() {
    let dir = tempfile::tempdir().unwrap();
    for (fault, code, outcome) in [("", 0, "ok"), ("dead-console", 1, "wrong")] {
        let faults = if fault.is_empty() { "faults = [ ]".to_owned() } else { format!("faults = [\"{fault}\"]") };
        let rig = rig_with(dir.path(), "faults = []", &faults);
        let (exit, out, err) = doctor(&rig, &["--json"]);
        assert_eq!(exit, code, "{out}{err}");
        let all: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!((all["format"].as_u64(), all["exit"].as_i64()), (Some(1), Some(code.into())));
        assert_eq!((all["outcome"].as_str(), all["safe"].as_bool()), (Some(outcome), Some(true)));
        let boot = all["steps"].as_array().unwrap().iter().find(|s| s["channel"] == "console" && s["step"] == "boot").unwrap();
        assert_eq!(boot["outcome"], outcome);
        assert_eq!(boot["try"].as_array().unwrap().is_empty(), code == 0);
    }
}

#[test]
fn what_the_rig_does_not_grant_is_not_done_and_is_no_fault() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig_with(dir.path(), "flash-write = true", "flash-write = false");
    let (code, out, _) = doctor(&rig, &[]);
    assert_eq!(code, 0, "{out}");
    let not_done = line(&out, "storage", "rules");
    assert!(not_done.starts_with("not done") && not_done.ends_with("the rig does not grant flash-write"), "{out}");
    assert!(out.lines().last().unwrap().starts_with("nothing is wrong in what was done; 2 not done"), "{out}");
}

#[test]
fn what_cannot_be_told_has_its_own_code() {
    // A supply that nobody measures, of a device that is not connected to anything else: nothing shows an off.
    let dir = tempfile::tempdir().unwrap();
    let dossier = root().join("fixtures/devices/thermostat");
    let rig = dir.path().join("bare.toml");
    let text = format!("format = 1\ndossier = {dossier:?}\n[emulator]\nfaults = [\"stuck-power\"]\n[power]\ndriver = \"emulator\"\n");
    std::fs::write(&rig, text).unwrap();
    let (code, out, err) = doctor(&rig, &[]);
    assert_eq!(code, 2, "{out}{err}");
    assert!(line(&out, "power", "off").starts_with("untold"), "{out}");
}

#[test]
fn a_rig_file_that_is_wrong_is_bad_input() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig_with(dir.path(), "driver = \"emulator\"", "driver = \"emulater\"");
    assert_eq!(doctor(&rig, &[]).0, 3);
    assert_eq!(doctor(&dir.path().join("none.toml"), &[]).0, 3);
}

#[test]
fn every_channel_that_cannot_be_opened_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let dossier = root().join("fixtures/devices/thermostat");
    let rig = dir.path().join("absent.toml");
    let port = |n: u32| format!("driver = \"serial\"\nport = {{ path = \"{}/tty{n}\" }}\n", dir.path().display());
    // A folder cannot be opened as a port; a port that is not there yet would be waited for.
    for n in 0..2 {
        std::fs::create_dir(dir.path().join(format!("tty{n}"))).unwrap();
    }
    let lease = dir.path().join("rig.lease");
    let text = format!(
        "format = 1\ndossier = {dossier:?}\nlease = {lease:?}\n[console]\n{}[update]\ndriver = \"smp\"\n{}",
        port(0),
        port(1).replace("driver = \"serial\"\n", "")
    );
    std::fs::write(&rig, text).unwrap();
    let (code, out, err) = doctor(&rig, &[]);
    assert_eq!(code, 1, "{out}{err}");
    assert!(line(&out, "console", "open").starts_with("WRONG") && line(&out, "update", "open").starts_with("WRONG"), "{out}{err}");
    assert_eq!(std::fs::read_to_string(lease).unwrap(), "safe\n");
}
