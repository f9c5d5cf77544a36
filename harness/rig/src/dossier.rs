//! The dossier's files from disk. Parsing is the model's.

use crate::error::RigError;
use proofbench_model::dossier::{Dossier, DossierFiles, NamedText};
use std::path::Path;

/// Files of a dossier, in the order of [`DossierFiles`].
pub const FILES: [&str; 3] = ["device.toml", "ics.toml", "ixit.toml"];

/// Reads the three files of a dossier.
pub fn read_dossier(dir: &Path) -> Result<DossierFiles, RigError> {
    let read = |name: &str| {
        let path = dir.join(name);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(NamedText { name: path.display().to_string(), text }),
            Err(source) => Err(RigError::DossierRead { path, source }),
        }
    };
    Ok(DossierFiles { device: read(FILES[0])?, ics: read(FILES[1])?, ixit: read(FILES[2])? })
}

/// Reads and parses a dossier; image paths are relative to `dir`.
pub fn load_dossier(dir: &Path) -> Result<Dossier, RigError> {
    let mut dossier = Dossier::parse(&read_dossier(dir)?)?;
    dossier.dir = dir.to_owned();
    Ok(dossier)
}

/// File of the image that the device was delivered with: the one whose version the identification names.
pub fn delivered_image(dossier: &Dossier) -> Option<&str> {
    let firmware = dossier.device.identification.firmware.as_str();
    let images = || dossier.ixit.rows(7).iter().filter_map(|r| r.upd()).flat_map(|u| &u.images);
    images()
        .find(|i| i.version == firmware)
        .or_else(|| images().find(|i| i.version.split('+').next() == firmware.split('+').next()))
        .map(|i| i.file.as_str())
}
