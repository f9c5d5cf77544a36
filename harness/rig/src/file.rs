//! The rig file as written: wiring only, every value with its place in the file.

use crate::ability::Permissions;
use crate::error::{RigFileError, Source};
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
    /// The device's console.
    #[serde(default)]
    pub console: Option<PortSection>,
    /// Its supply.
    #[serde(default)]
    pub power: Option<PlainSection>,
    /// Its reset line.
    #[serde(default)]
    pub reset: Option<PlainSection>,
    /// A probe on its debug port.
    #[serde(default)]
    pub debug: Option<DebugSection>,
    /// A finger and an eye.
    #[serde(default)]
    pub fixture: Option<PlainSection>,
    /// A reader of its flash.
    #[serde(default)]
    pub storage: Option<StorageSection>,
    /// The path by which images reach it.
    #[serde(default)]
    pub update: Option<PortSection>,
    /// Its crash states.
    #[serde(default)]
    pub crash: Option<PlainSection>,
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

/// A section of which only the driver is to be said.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PlainSection {
    /// Driver.
    pub driver: Spanned<String>,
}

/// `[console]` and `[update]`
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PortSection {
    /// Driver.
    pub driver: Spanned<String>,
    /// The serial port.
    #[serde(default)]
    pub port: Option<Spanned<PortRef>>,
    /// Baud rate; 115200 if not said.
    #[serde(default)]
    pub baud: Option<Spanned<u32>>,
}

/// A serial port.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PortRef {
    /// Device node, or a link to it; `{board}` is the board's folder.
    pub path: Spanned<String>,
}

/// `[debug]`
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DebugSection {
    /// Driver.
    pub driver: Spanned<String>,
    /// `vid:pid:serial` of the probe; `{board.debug}` is the board's probe port.
    #[serde(default)]
    pub probe: Option<Spanned<String>>,
}

/// `[storage]`
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StorageSection {
    /// Driver.
    pub driver: Spanned<String>,
    /// File that is the flash; `{board}` is the board's folder.
    #[serde(default)]
    pub path: Option<Spanned<String>>,
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
