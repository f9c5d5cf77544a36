//! The manufacturer's side of a device: identification, ICS, IXIT with its bindings.
//!
//! Parsing is pure on text; who reads the files is another room's business. Every error names file, line, column, the value found
//! and what would be valid, and as many errors as can be told apart are reported at once.

mod device;
mod error;
mod ics;
mod ixit;
mod lint;
mod read;
pub mod sheet;
pub mod skeleton;

pub use device::{Constrained, Device, Identification, Sample};
pub use error::{DossierError, DossierErrors};
pub use ics::{DeclaredCondition, Ics, IcsRow, Support};
pub use ixit::{Bind, EmptyTable, Ixit, Row};
pub use lint::references_of;

use std::path::PathBuf;

/// A file's name, for messages, and its text.
#[derive(Debug, Clone)]
pub struct NamedText {
    /// How messages call it.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// The three files of a dossier.
#[derive(Debug, Clone)]
pub struct DossierFiles {
    /// `device.toml`
    pub device: NamedText,
    /// `ics.toml`
    pub ics: NamedText,
    /// `ixit.toml`
    pub ixit: NamedText,
}

/// A dossier.
#[derive(Debug, Clone)]
pub struct Dossier {
    /// Folder that image paths are relative to. The parser leaves it empty; who read the files sets it.
    pub dir: PathBuf,
    /// Identification, sample, bindings of the device as a whole.
    pub device: Device,
    /// The implementation conformance statement.
    pub ics: Ics,
    /// The 29 tables.
    pub ixit: Ixit,
}

impl Dossier {
    /// Reads the three files. All errors of all files are reported together.
    pub fn parse(files: &DossierFiles) -> Result<Dossier, DossierErrors> {
        let mut errors = Vec::new();
        let device = device::parse(&files.device).map_err(|e| errors.extend(e)).ok();
        let ics = ics::parse(&files.ics).map_err(|e| errors.extend(e)).ok();
        let ixit = ixit::parse(&files.ixit).map_err(|e| errors.extend(e)).ok();
        if let Some(ixit) = &ixit {
            lint::references(&files.ixit, ixit, &mut errors);
        }
        match (device, ics, ixit) {
            (Some(device), Some(ics), Some(ixit)) if errors.is_empty() => Ok(Dossier { dir: PathBuf::new(), device, ics, ixit }),
            _ => Err(DossierErrors(errors)),
        }
    }

    /// Every image file that a binding names, below the dossier's folder, without repetition.
    pub fn images(&self) -> Vec<&str> {
        let mut out: Vec<&str> = Vec::new();
        for bind in self.ixit.rows(7).iter().filter_map(Row::upd) {
            out.extend(bind.images.iter().map(|i| i.file.as_str()));
            out.extend(
                [&bind.other_model, &bind.crashing, &bind.hanging, &bind.rebuilt, &bind.old_counter, &bind.other_key, &bind.unsigned]
                    .into_iter()
                    .flatten()
                    .map(String::as_str),
            );
        }
        out.sort_unstable();
        out.dedup();
        out
    }
}
