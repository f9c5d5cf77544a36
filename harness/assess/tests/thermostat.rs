//! The dossier of the emulated thermostat stands before anything was run: valid ICS, complete IXIT.
#![allow(clippy::unwrap_used)]

use proofbench_assess::{ExitClass, Options, Records, assess};
use proofbench_model::catalogue::Catalogue;
use proofbench_model::dossier::{Dossier, DossierFiles, NamedText};
use proofbench_model::journal::Due;
use proofbench_model::{Claim, Method, Profile, Verdict};

fn thermostat() -> Dossier {
    let read = |name: &str| {
        let path = format!("{}/../../fixtures/devices/thermostat/{name}", env!("CARGO_MANIFEST_DIR"));
        NamedText { name: name.to_owned(), text: std::fs::read_to_string(path).unwrap() }
    };
    let files = DossierFiles { device: read("device.toml"), ics: read("ics.toml"), ixit: read("ixit.toml") };
    Dossier::parse(&files).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn its_ics_is_valid_by_annex_a3_and_its_ixit_is_complete() {
    let options = Options { method: Method::Ts103701, profile: Profile::Ci, scheme: None };
    let a = assess(Catalogue::load(), &thermostat(), &Records::default(), &options);
    let told: Vec<String> = a.ics_findings.iter().map(ToString::to_string).collect();
    assert_eq!(told, Vec::<String>::new());
    let told: Vec<String> = a.ixit_findings.iter().map(ToString::to_string).collect();
    assert_eq!(told, Vec::<String>::new());
    assert_eq!(a.contradictions, []);
}

#[test]
fn with_nothing_run_it_is_inconclusive_for_a_laboratory_and_no_reason_to_stop_a_pipeline() {
    for (profile, exit) in [(Profile::Certify, ExitClass::Inconclusive), (Profile::Ci, ExitClass::Clean)] {
        let a = assess(Catalogue::load(), &thermostat(), &Records::default(), &Options { method: Method::Ts103701, profile, scheme: None });
        assert_eq!((a.overall, a.exit_class()), (Some(Verdict::Inconclusive), exit));
        assert!(a.units.iter().all(|u| u.outcome() != Some(proofbench_model::Outcome::Violated)));
    }
}

#[test]
fn a_due_check_that_reports_nothing_stops_a_pipeline() {
    let due = Due { check: "update/matrix".parse().unwrap(), unit: "5.3-2-2 b".parse().unwrap(), row: Some("7/UpdMech-1".parse().unwrap()) };
    let records = Records { due: vec![due], claim: Claim::None, ..Records::default() };
    let a = assess(Catalogue::load(), &thermostat(), &records, &Options::default());
    assert_eq!((a.overall, a.exit_class()), (None, ExitClass::Inconclusive));
}

#[test]
fn every_row_that_a_rig_can_act_on_has_a_binding() {
    let dossier = thermostat();
    let without: Vec<String> = dossier
        .ixit
        .all_rows()
        .filter(|r| [1, 7, 10, 15, 20, 21, 23, 25].contains(&r.id.table) && r.bind.is_none())
        .map(|r| r.id.to_string())
        .collect();
    assert_eq!(without, Vec::<String>::new());
}

#[test]
fn every_table_has_rows_or_a_statement_that_it_is_empty() {
    let dossier = thermostat();
    for table in Catalogue::load().tables() {
        let rows = !dossier.ixit.rows(table.number).is_empty();
        assert!(rows != dossier.ixit.declared_empty(table.number).is_some(), "table {}", table.name);
    }
}
