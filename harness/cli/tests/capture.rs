//! The capture that a run on sockets keeps, read by tshark.

#![allow(clippy::unwrap_used)] // a test that cannot set up its ground may stop there

mod common;

use common::{parts, proofbench};
use proofbench_testkit::find;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What begins a pcapng file.
const MAGIC: [u8; 4] = [0x0A, 0x0D, 0x0D, 0x0A];

fn captures(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    files.filter(|f| std::fs::read(f).unwrap().starts_with(&MAGIC)).collect()
}

#[test]
fn a_run_keeps_one_capture_a_check_in_which_tshark_finds_what_the_device_said() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let check = "communication/client-hello";
    let words = ["run", "--rig", "rigs/board.toml", "--check", check, "--out", out.to_str().unwrap()];
    let (code, text, err) = parts(&proofbench(&words));
    assert_eq!(code, 0, "{text}{err}");
    let kept = captures(&out.join("evidence/communication.client-hello"));
    let [capture] = &kept[..] else { panic!("{} captures of one check", kept.len()) };
    // The record covers it, and the page links it.
    let (code, text, err) = parts(&proofbench(&["verify", out.to_str().unwrap()]));
    assert_eq!(code, 0, "{text}{err}");
    let digest = capture.file_name().unwrap().to_str().unwrap();
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains(digest) && page.contains("network.pcapng"), "the page does not link {digest}");
    let mut changed = std::fs::read(capture).unwrap();
    let Some(tshark) = find("tshark") else { return };
    let said = |filter: &str, field: &str| {
        let fields = ["-T", "fields", "-e", field];
        let output = Command::new(&tshark).arg("-n").arg("-r").arg(capture).args(["-Y", filter]).args(fields).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let names = said("tls.handshake.type == 1", "tls.handshake.extensions_server_name");
    assert!(names.contains("mqtt.th1.example"), "{names}");
    assert!(said("dns", "dns.qry.name").contains("mqtt.th1.example"));
    // Inside TLS, by the keys that the file brings.
    assert!(said("mqtt.msgtype == 3", "mqtt.topic").contains("/state"));
    assert_eq!(said("_ws.malformed", "frame.number"), "");
    let last = changed.len() - 1;
    changed[last] ^= 1;
    std::fs::write(capture, changed).unwrap();
    let (code, text, err) = parts(&proofbench(&["verify", out.to_str().unwrap()]));
    assert_ne!(code, 0, "{text}{err}");
}
