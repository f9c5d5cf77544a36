//! The commands of the README do what it says.

#![allow(clippy::unwrap_used)] // a test that cannot set up its ground may stop there

mod common;

use common::{parts, proofbench, root};

#[test]
fn every_command_of_the_readme_ends_well() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("u");
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    let mut tried = 0;
    for line in text.lines().filter_map(|l| l.strip_prefix("$ cargo run -- ")) {
        let line = line.split(" #").next().unwrap().trim();
        // The main job and the proof have their own steps in CI.
        if line == "run" || line == "prove" {
            continue;
        }
        let line = line.replace("runs/u", run.to_str().unwrap()).replace("other-ics.toml", "fixtures/devices/thermostat/ics.toml").replace('\'', "");
        let words: Vec<&str> = line.split_whitespace().collect();
        let (code, out, err) = parts(&proofbench(&words));
        assert_eq!(code, 0, "{line}: {out}{err}");
        tried += 1;
    }
    assert!(tried >= 8, "the README names only {tried} commands");
}
