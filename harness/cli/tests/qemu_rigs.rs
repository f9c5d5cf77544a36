//! Real firmware in QEMU under the unmodified suites: what comes out of Debian's U-Boot and of the MCU rig's firmware. Where QEMU or the firmware is not there
//! the tests say so, and fail where peers are required.

#![allow(clippy::unwrap_used)] // a test that cannot set up its ground may stop there

mod common;

use common::{parts, proofbench, root};
use proofbench_testkit::{find, made};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Outcome per check and row, over all units.
fn outcomes(run: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(run.join("journal.jsonl")).unwrap();
    let events = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].clone());
    let seen = events.filter(|e| e["event"] == "observation");
    seen.map(|e| (format!("{} {}", e["check"].as_str().unwrap(), e["row"].as_str().unwrap()), e["outcome"].to_string())).collect()
}

fn run(rig: &str, words: &[&str]) -> (i32, BTreeMap<String, String>, String) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let mut all = vec!["run", "--rig", rig, "--out", out.to_str().unwrap()];
    all.extend(words);
    let (code, text, err) = parts(&proofbench(&all));
    (code, outcomes(&out), format!("{text}{err}"))
}

#[test]
fn the_open_console_of_debians_u_boot_is_a_finding() {
    if find("qemu-system-arm").is_none() || made(Path::new("/usr/lib/u-boot/qemu_arm/u-boot.bin"), "apt-get install u-boot-qemu").is_none() {
        return;
    }
    assert!(Command::new(root().join("fixtures/firmware/uboot/build")).status().unwrap().success());
    let (code, seen, text) = run("rigs/qemu-uboot.toml", &["--check", "debug-port/boot-keys", "--check", "debug-port/without-login"]);
    let row = "15/Intf-console";
    for check in ["debug-port/boot-keys", "debug-port/without-login"] {
        assert_eq!(seen.get(&format!("{check} {row}")).map(String::as_str), Some("\"VIOLATED\""), "{text}");
    }
    assert!(text.contains("prompt `=>` without login"), "{text}");
    assert_eq!(code, 1, "{text}");
}

#[test]
fn an_image_is_installed_and_given_back_by_real_firmware() {
    let images = root().join("target/firmware/mcu/images/1.2.0.bin");
    if find("qemu-system-arm").is_none() || made(&images, "fixtures/firmware/mcu/build").is_none() {
        return;
    }
    // One update that stays, and one that is given up.
    let (_, seen, text) = run("rigs/qemu-mcu.toml", &["--check", "update/install", "--check", "update/revert-unconfirmed"]);
    assert!(!seen.is_empty(), "{text}");
    for (check, outcome) in &seen {
        assert_eq!(outcome, "\"SATISFIED\"", "{check}: {text}");
    }
}

#[test]
fn an_emulator_that_is_missing_is_one_line_and_bad_input() {
    let dir = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(root().join("rigs/qemu-uboot.toml")).unwrap();
    let dossier = format!("dossier = {:?}", root().join("fixtures/devices/uboot"));
    let text = text.replace("dossier = \"../fixtures/devices/uboot\"", &dossier).replace("\"qemu-system-arm\"", "\"qemu-system-nothing\"");
    let rig = dir.path().join("rig.toml");
    fs::write(&rig, text).unwrap();
    let out = dir.path().join("run");
    let (code, _, err) = parts(&proofbench(&["run", "--rig", rig.to_str().unwrap(), "--out", out.to_str().unwrap()]));
    assert_eq!(code, 3, "{err}");
    assert_eq!(err.trim().lines().count(), 1, "{err}");
    assert!(err.contains("qemu-system-nothing") && err.contains("apt-get install qemu-system-misc"), "{err}");
}
