//! The rig file as written: wiring only, every value with its place in the file.

use crate::ability::Permissions;
use crate::error::{RigFileError, Source};
use crate::settings::qemu::QemuSection;
use serde::Deserialize;
use toml::Spanned;

/// A rig file. Unknown keys are refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RigFile {
    /// Always 1.
    pub format: Spanned<u32>,
    /// Folder of the device's dossier, relative to the rig file.
    pub dossier: Spanned<String>,
    /// Lease file, relative to the rig file; rigs with devices of their own (emulator, board) need none.
    #[serde(default)]
    pub lease: Option<Spanned<String>>,
    /// Settings of the driver `emulator`.
    #[serde(default)]
    pub emulator: Option<Spanned<EmulatorSection>>,
    /// Settings of the driver `board`.
    #[serde(default)]
    pub board: Option<Spanned<BoardSection>>,
    /// The machine of the driver `qemu`.
    #[serde(default)]
    pub qemu: Option<Spanned<QemuSection>>,
    /// The device's console.
    #[serde(default)]
    pub console: Option<Driven>,
    /// Its supply.
    #[serde(default)]
    pub power: Option<Driven>,
    /// Its reset line.
    #[serde(default)]
    pub reset: Option<Driven>,
    /// A probe on its debug port.
    #[serde(default)]
    pub debug: Option<Driven>,
    /// A finger and an eye.
    #[serde(default)]
    pub fixture: Option<Driven>,
    /// A reader of its flash.
    #[serde(default)]
    pub storage: Option<Driven>,
    /// The path by which images reach it.
    #[serde(default)]
    pub update: Option<Driven>,
    /// The network between the lab and it.
    #[serde(default)]
    pub network: Option<Driven>,
    /// Other units of the same model.
    #[serde(default)]
    pub fleet: Option<Driven>,
    /// Its crash states.
    #[serde(default)]
    pub crash: Option<Driven>,
    /// Irreversible or invasive acts that are granted.
    #[serde(default)]
    pub permissions: Permissions,
}

/// `[emulator]`
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EmulatorSection {
    /// Unit number: serial number, secrets and factory data follow from it.
    #[serde(default = "first_unit")]
    pub unit: u32,
    /// Medium profile of the flash.
    #[serde(default)]
    pub medium: Option<String>,
    /// Built-in defects and twins.
    #[serde(default)]
    pub defects: Vec<String>,
    /// Bench faults.
    #[serde(default)]
    pub faults: Vec<String>,
}

impl Default for EmulatorSection {
    fn default() -> Self {
        Self { unit: first_unit(), medium: None, defects: Vec::new(), faults: Vec::new() }
    }
}

/// `[board]`
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BoardSection {
    /// Unit number.
    #[serde(default = "first_unit")]
    pub unit: u32,
    /// Device seconds a real second.
    #[serde(default = "real_speed")]
    pub speed: Spanned<f64>,
    /// The board program, relative to the rig file; else `PROOFBENCH_BOARD`, else beside the running program.
    #[serde(default)]
    pub program: Option<String>,
    /// Built-in defects and twins.
    #[serde(default)]
    pub defects: Vec<String>,
    /// Bench faults.
    #[serde(default)]
    pub faults: Vec<String>,
}

impl Default for BoardSection {
    fn default() -> Self {
        Self { unit: first_unit(), speed: real_speed(), program: None, defects: Vec::new(), faults: Vec::new() }
    }
}

fn first_unit() -> u32 {
    1
}

fn real_speed() -> Spanned<f64> {
    Spanned::new(0..0, 1.0)
}

/// A section of a channel. Its driver decides which other keys it has: see [`crate::settings`].
#[derive(Debug, Clone, Deserialize)]
pub struct Driven {
    /// Driver.
    pub driver: Spanned<String>,
}

impl RigFile {
    /// Reads the text of a rig file. `name` is how messages call it.
    pub fn parse(name: &str, text: &str) -> Result<RigFile, RigFileError> {
        Self::read(&Source { name: name.to_owned(), text: text.to_owned() })
    }

    pub(crate) fn read(source: &Source) -> Result<RigFile, RigFileError> {
        let file: RigFile = toml::from_str(&source.text).map_err(|e| {
            let span = e.span().unwrap_or(0..0);
            source.error(span, e.message().trim_end(), &[])
        })?;
        if *file.format.get_ref() != 1 {
            return Err(source.error(file.format.span(), "this program reads rig files of format 1", &["1"]));
        }
        Ok(file)
    }
}
