//! Runs the real binary in the checkout, with run folders in scratch places.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Runs `proofbench` with these words in the checkout's root.
#[allow(dead_code)] // not every test file runs it to its end
pub fn proofbench(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_proofbench")).args(words).current_dir(root()).output().unwrap()
}

/// Exit code, standard output, standard error.
#[allow(dead_code)] // as above
pub fn parts(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// A rig file beside the built-in one, with some text of it exchanged.
#[allow(dead_code)] // not every test file changes the rig
pub fn rig_with(dir: &Path, from: &str, to: &str) -> PathBuf {
    let text = std::fs::read_to_string(root().join("rigs/emulated.toml")).unwrap();
    assert!(text.contains(from), "the built-in rig has no `{from}`");
    let dossier = format!("dossier = {:?}", root().join("fixtures/devices/thermostat"));
    let text = text.replace("dossier = \"../fixtures/devices/thermostat\"", &dossier).replace(from, to);
    let path = dir.join("rig.toml");
    std::fs::write(&path, text).unwrap();
    path
}
