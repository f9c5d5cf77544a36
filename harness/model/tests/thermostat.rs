//! The dossier of the emulated thermostat is one that our own reader accepts.
#![allow(clippy::unwrap_used)]

use proofbench_model::dossier::{Dossier, DossierFiles, NamedText};

#[test]
fn the_thermostats_dossier_is_read_without_an_error() {
    let read = |name: &str| {
        let path = format!("{}/../../fixtures/devices/thermostat/{name}", env!("CARGO_MANIFEST_DIR"));
        NamedText { name: name.to_owned(), text: std::fs::read_to_string(path).unwrap() }
    };
    let files = DossierFiles { device: read("device.toml"), ics: read("ics.toml"), ixit: read("ixit.toml") };
    let dossier = Dossier::parse(&files).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(dossier.ics.rows().count(), 68);
    assert_eq!(dossier.ixit.rows(25).len(), 5);
}
