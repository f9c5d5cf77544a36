//! Devices with known defects as processes of their own: what the checks find in the model they find on real sockets, with real TLS.

#![allow(clippy::unwrap_used)] // a test that cannot set up its ground may stop there

mod common;

use common::{parts, proofbench, root};
use rstest::rstest;
use std::path::{Path, PathBuf};

/// The board's rig file with this defect, beside a dossier that is still found.
fn rig(dir: &Path, defect: &str) -> PathBuf {
    let text = std::fs::read_to_string(root().join("rigs/board.toml")).unwrap();
    let dossier = format!("dossier = {:?}", root().join("fixtures/devices/thermostat"));
    let changed = text.replace("dossier = \"../fixtures/devices/thermostat\"", &dossier).replace("defects = []", &format!("defects = [{defect:?}]"));
    assert!(changed.contains(defect) && changed.contains(&dossier), "rigs/board.toml has changed its shape");
    let path = dir.join("board.toml");
    std::fs::write(&path, changed).unwrap();
    path
}

#[rstest]
#[case::a_cloud_that_anybody_can_be("communication/certificates", "tls-unverified-cloud")]
#[case::an_expired_certificate("communication/certificates", "tls-time-unchecked")]
#[case::a_suite_that_nobody_declared("communication/client-hello", "hello-undeclared-suite")]
#[case::an_old_version_that_is_offered("communication/client-hello", "hello-offers-tls10")]
#[case::an_old_version_that_is_taken("communication/server-offer", "server-takes-tls10")]
#[case::a_login_without_a_lock("credentials/lock", "web-no-lock")]
#[case::a_page_that_forgets_to_ask("credentials/access", "notes-without-login")]
#[case::attempts_every_second("outage/retry-pattern", "retry-every-second")]
#[case::telemetry_before_anybody_was_asked("consent/asked-first", "telemetry-without-consent")]
fn a_defect_is_found_on_real_sockets(#[case] check: &str, #[case] defect: &str) {
    let dir = tempfile::tempdir().unwrap();
    let (rig, out) = (rig(dir.path(), defect), dir.path().join("run"));
    let words = ["run", "--rig", rig.to_str().unwrap(), "--check", check, "--out", out.to_str().unwrap()];
    let (code, text, err) = parts(&proofbench(&words));
    assert_eq!(code, 1, "{text}{err}");
    assert!(text.contains(&format!("by {check}: VIOLATED")), "{text}{err}");
}
