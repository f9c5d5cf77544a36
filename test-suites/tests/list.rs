//! The list of checks as a whole: what each entry promises can be kept.

#![allow(clippy::unwrap_used)] // a test that cannot read its fixture has failed

use proofbench_model::catalogue::{Catalogue, Kind};
use proofbench_model::{CheckId, UnitId};
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn every_check_has_a_name_of_its_own_and_bears_on_functional_units_that_read_its_table() {
    let catalogue = Catalogue::load();
    let mut names = BTreeSet::new();
    for check in proofbench_suites::all() {
        let id: CheckId = check.id.parse().unwrap();
        assert!(names.insert(id), "{} stands in the list twice", check.id);
        assert!(!check.units.is_empty(), "{} bears on nothing", check.id);
        let mut read = BTreeSet::new();
        for unit in check.units {
            let unit: UnitId = unit.parse().unwrap();
            assert!(catalogue.has_unit(&unit), "{}: no unit {unit}", check.id);
            assert_ne!(catalogue.unit_kind(&unit), Kind::Conceptual, "{}: a rig does not answer {unit}", check.id);
            read.extend(catalogue.case(&unit.case).unwrap().tables.iter().copied());
        }
        if let Some(table) = check.table {
            assert!(read.contains(&table), "{}: none of its units reads table {table}, they read {read:?}", check.id);
        }
    }
}

#[test]
fn a_check_that_no_defect_can_fail_does_not_ship() {
    for check in proofbench_suites::all() {
        assert!(!check.defects.is_empty(), "{}", check.id);
        assert!(!check.control.is_empty() && !check.title.is_empty() && !check.budget.is_zero(), "{}", check.id);
        let claimed: BTreeSet<_> = check.defects.iter().chain(check.twins).collect();
        assert_eq!(claimed.len(), check.defects.len() + check.twins.len(), "{} names one twice", check.id);
    }
}

#[test]
fn nothing_about_one_device_stands_in_a_suite() {
    let mut sources = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut sources);
    assert!(sources.len() > 10);
    for path in sources {
        let text = std::fs::read_to_string(&path).unwrap().to_lowercase();
        for word in ["th-1", "th1", "thermostat"] {
            // A comment may give an example; code may not.
            let hit = text.lines().position(|l| l.contains(word) && !l.trim_start().starts_with("//"));
            assert_eq!(hit, None, "{} knows `{word}`", path.display());
        }
    }
}

fn collect(dir: &Path, into: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}
