//! Dossiers by the command line: the skeleton, tables and back, the linter.

#![allow(clippy::unwrap_used)] // a test that cannot set up its ground may stop there

mod common;

use common::{parts, proofbench, root};
use rstest::rstest;
use std::fs;
use std::path::{Path, PathBuf};

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

/// A copy of the thermostat's dossier.
fn thermostat(dir: &Path) -> PathBuf {
    let dossier = dir.join("dossier");
    copy(&root().join("fixtures/devices/thermostat"), &dossier);
    dossier
}

fn spoil(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "no `{from}`");
    fs::write(file, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn a_skeleton_is_written_once_and_check_names_every_answer_that_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let new = dir.path().join("new/product");
    let (code, out, err) = parts(&proofbench(&["init", "dossier", new.to_str().unwrap()]));
    assert_eq!(code, 0, "{out}{err}");
    for file in ["device.toml", "ics.toml", "ixit.toml"] {
        assert!(new.join(file).is_file(), "{file}");
    }
    let (code, _, err) = parts(&proofbench(&["check", new.to_str().unwrap()]));
    assert_eq!(code, 3);
    assert_eq!(err.matches("no answer of the form; valid: Y, N, N/A").count(), 68, "{err}");
    let (code, _, err) = parts(&proofbench(&["init", "dossier", new.to_str().unwrap()]));
    assert!(code == 3 && err.contains("it exists already"), "{err}");
}

#[test]
fn the_thermostat_checks_clean() {
    let (code, out, err) = parts(&proofbench(&["check", "fixtures/devices/thermostat"]));
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert_eq!(out.lines().count(), 1, "{out}");
}

#[rstest]
#[case::invalid(
    "ics.toml",
    "id = \"5.4-3\"\nsupport = \"Y\"",
    "id = \"5.4-3\"\nsupport = \"N\"",
    1,
    "invalid: ICS, row 5.4-3, field `support`: N on a mandatory provision"
)]
#[case::incomplete(
    "ixit.toml",
    "time-frame = \"90 days\"",
    "",
    2,
    "incomplete: 3-VulnTypes, row VulnTypes-1, field `time-frame`: empty or missing, and needed by 5.2-2"
)]
#[case::disagrees("ixit.toml", "port = 8883", "port = 8883 # as in the text\n", 0, "")]
#[case::prose(
    "ixit.toml",
    "TCP port 8443;",
    "TCP port 443;",
    2,
    "disagrees: 13-SoftServ, row SoftServ-web, field `description`: the prose says port 443, the binding port 8443"
)]
#[case::dangling(
    "ixit.toml",
    "update-mechanism = \"UpdMech-1, UpdMech-2\"",
    "update-mechanism = \"UpdMech-1, UpdMech-9\"",
    3,
    "`UpdMech-9`: `update-mechanism` of 6/SoftComp-application names a row that does not exist; valid: UpdMech-1"
)]
fn check_names_file_line_table_row_and_field(#[case] file: &str, #[case] from: &str, #[case] to: &str, #[case] code: i32, #[case] words: &str) {
    let dir = tempfile::tempdir().unwrap();
    let dossier = thermostat(dir.path());
    spoil(&dossier.join(file), from, to);
    let (found, out, err) = parts(&proofbench(&["check", dossier.to_str().unwrap()]));
    assert_eq!(found, code, "{out}{err}");
    let told = format!("{out}{err}");
    let line = told.lines().find(|l| l.contains(words)).unwrap_or_else(|| panic!("nothing says `{words}`:\n{told}"));
    if !words.is_empty() {
        assert!(line.starts_with(&format!("{}:", dossier.join(file).display())), "{line}");
    }
}

#[rstest]
#[case::csv("csv", false)]
#[case::for_excel("xlsx", true)]
fn a_dossier_goes_out_as_tables_and_comes_back_as_one_that_checks_clean(#[case] format: &str, #[case] bom: bool) {
    let dir = tempfile::tempdir().unwrap();
    let tables = dir.path().join("tables");
    let words = ["dossier", "export", "fixtures/devices/thermostat", "--format", format, "--out", tables.to_str().unwrap()];
    let (code, out, err) = parts(&proofbench(&words));
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(fs::read(tables.join("ics.csv")).unwrap().starts_with("\u{feff}".as_bytes()), bom);
    assert!(!tables.join("device.toml").exists(), "the secret of the sample stays where it is");
    let (code, _, err) = parts(&proofbench(&words));
    assert!(code == 3 && err.contains("the folder is not empty"), "{err}");
    let back = thermostat(dir.path());
    let import = ["dossier", "import", tables.to_str().unwrap(), "--out", back.to_str().unwrap()];
    let (code, _, err) = parts(&proofbench(&import));
    assert!(code == 3 && err.contains("ics.toml: it exists already"), "{err}");
    fs::remove_file(back.join("ics.toml")).unwrap();
    fs::remove_file(back.join("ixit.toml")).unwrap();
    let (code, out, err) = parts(&proofbench(&import));
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, err) = parts(&proofbench(&["check", back.to_str().unwrap()]));
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
}

#[test]
fn a_mistake_in_a_table_is_told_with_its_place_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let tables = dir.path().join("tables");
    parts(&proofbench(&["dossier", "export", "fixtures/devices/thermostat", "--out", tables.to_str().unwrap()]));
    spoil(&tables.join("ics.csv"), ",N,", ",perhaps,");
    spoil(&tables.join("ixit/15-Intf.csv"), "Intf-console,", "Intf-update,");
    let out = dir.path().join("out");
    let (code, _, err) = parts(&proofbench(&["dossier", "import", tables.to_str().unwrap(), "--out", out.to_str().unwrap()]));
    assert_eq!(code, 3);
    assert!(err.contains("ics.csv:11: ICS, row 5.3-1, field `Support`: `perhaps`: no answer of the form; valid: Y, N, N/A"), "{err}");
    assert!(err.contains("15-Intf, row Intf-update, field `ID`: the table has a row of this id already, in line 2"), "{err}");
    assert!(!out.exists());
}
