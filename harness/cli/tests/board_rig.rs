//! The same suites on the device in this process and on the device as a process of its own, over real wires: the verdicts are the same.

#![allow(clippy::unwrap_used)] // a test that cannot set up its ground may stop there

mod common;

use common::{parts, proofbench, root};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Outcome per check, unit and row.
fn outcomes(run: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(run.join("journal.jsonl")).unwrap();
    let mut out = BTreeMap::new();
    for line in text.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let event = &record["event"];
        if event["event"] == "observation" {
            let key = format!("{} {} {}", event["check"], event["unit"], event["row"]);
            let seen = event["outcome"].to_string();
            let observed = event["observed"].as_str().unwrap_or_default();
            // The words differ with the strength of the rig; they are kept for the message of a failed comparison.
            out.insert(key, format!("{seen}\n  {observed}"));
        }
    }
    out
}

#[test]
fn the_emulated_rig_and_the_board_give_the_same_verdicts() {
    for program in ["proofbench-board", "proofbench-probe-worker"] {
        let beside = Path::new(env!("CARGO_BIN_EXE_proofbench")).with_file_name(program);
        assert!(beside.is_file(), "{} is not built: `cargo test --workspace` builds it, or `cargo build --workspace`", beside.display());
    }
    let dir = tempfile::tempdir().unwrap();
    let mut runs = Vec::new();
    for rig in ["rigs/emulated.toml", "rigs/board.toml"] {
        let out = dir.path().join(rig.replace('/', "-"));
        let (code, text, err) = parts(&proofbench(&["run", "--rig", root().join(rig).to_str().unwrap(), "--out", out.to_str().unwrap()]));
        runs.push((code, outcomes(&out), format!("{text}{err}")));
    }
    let (board, emulated) = (runs.pop().unwrap(), runs.pop().unwrap());
    let first = |s: &String| s.lines().next().unwrap_or_default().to_owned();
    let differing: Vec<String> = emulated
        .1
        .iter()
        .filter(|(key, seen)| board.1.get(*key).map(first) != Some(first(seen)))
        .map(|(key, seen)| format!("{key}\n emulated {seen}\n board    {}", board.1.get(key).map_or("nothing", String::as_str)))
        .collect();
    assert!(differing.is_empty(), "{}\n{}", differing.join("\n"), board.2);
    assert_eq!(emulated.1.len(), board.1.len());
    assert_eq!((emulated.0, board.0), (0, 0), "{}", board.2);
}
