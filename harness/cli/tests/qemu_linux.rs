//! The Linux-class device in QEMU under unmodified suites, short form: a stock boot loader's finding, an update and its rollback, power cuts in an
//! installation. What is observed is pinned in `fixtures/expected/qemu-linux.txt`.

use proofbench_testkit::{built, find, fixture};
use std::collections::BTreeSet;
use std::process::{Command, Stdio};

const CHECKS: [&str; 3] = ["debug-port/boot-keys", "update/revert-unconfirmed", "power-loss/install"];

#[test]
fn a_real_update_stack_and_a_stock_boot_loader_are_judged_as_pinned() {
    if find("qemu-system-aarch64").is_none() || find("ssh").is_none() || built("fixtures/firmware/linux/build").is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let mut command = Command::new(env!("CARGO_BIN_EXE_proofbench"));
    command.arg("run").arg("--rig").arg(fixture("rigs/qemu-linux.toml")).arg("--out").arg(&out).args(["--profile", "ci", "--seed", "1"]);
    command.args(CHECKS.iter().flat_map(|c| ["--check", c])).stdin(Stdio::null());
    let done = command.output().unwrap();
    let journal = std::fs::read_to_string(out.join("journal.jsonl")).unwrap_or_else(|e| panic!("no journal: {e}; {done:?}"));
    let mut seen = BTreeSet::new();
    let mut words = String::new();
    for line in journal.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let event = &event["event"];
        if event["event"] == "observation" {
            let text = |key: &str| event[key].as_str().unwrap_or("-").to_owned();
            let outcome = event["outcome"].as_str().map_or_else(|| event["outcome"].to_string(), str::to_owned);
            seen.insert(format!("{} {} {} {outcome}", text("check"), text("unit"), text("row")));
            words.push_str(&format!("{}: {outcome}: {}\n", text("check"), text("observed")));
        }
    }
    let expected = std::fs::read_to_string(fixture("fixtures/expected/qemu-linux.txt")).unwrap();
    let pinned: BTreeSet<String> = expected.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).map(str::to_owned).collect();
    assert_eq!(seen, pinned, "{words}");
    // On Debian's own U-Boot a key stops the start, and the prompt answers.
    assert!(words.contains("prompt `=>` without login"), "{words}");
}
