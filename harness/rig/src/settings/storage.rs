//! `[storage]`

pub mod command;

use super::{ByteCount, Place, Section, Settings, Wiring};
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, PowerSeen, Storage, Wait};
use proofbench_drivers::file::FileStorage;
use serde::Deserialize;
use std::cell::RefCell;
use std::time::Duration;
use toml::Spanned;

/// Drivers of flash readers.
#[derive(Debug, Clone, PartialEq)]
pub enum StorageDriver {
    /// The emulated device's own.
    Emulator,
    /// A file that is the flash.
    File {
        /// Where; may begin with `{board}` or `{qemu}`.
        path: String,
        /// How many of its bytes are the flash; `None`: all.
        len: Option<u64>,
    },
    /// The user's programs.
    Command(command::Command),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct FileSettings {
    path: Spanned<String>,
    len: Option<ByteCount>,
}

impl Settings for FileSettings {
    const EXAMPLE: &'static str = "path = \"{board}/flash.bin\"";
}

impl StorageDriver {
    const NAMES: &'static [&'static str] = &["emulator", "file", "command"];

    pub(crate) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        match section.driver() {
            "emulator" => section.nothing().map(|()| Self::Emulator),
            "file" => {
                let keys = section.settings::<FileSettings>()?;
                Ok(Self::File { path: section.placeholders(&keys.path, &["{board}", "{qemu}"])?, len: keys.len.map(|len| len.0) })
            }
            "command" => command::Command::read(section).map(Self::Command),
            _ => Err(section.no_driver(Self::NAMES)),
        }
    }

    /// Whose storage it is.
    pub fn wiring(&self) -> Wiring {
        match self {
            Self::Emulator => Wiring::Emulator,
            Self::File { path, .. } if path.contains("{board}") => Wiring::Board,
            Self::File { path, .. } if path.contains("{qemu}") => Wiring::Qemu,
            Self::File { .. } | Self::Command(_) => Wiring::Real,
        }
    }

    /// `None` for the emulated device's own, which is opened with it.
    pub(crate) fn open(&self, place: &Place<'_>) -> Result<Option<Box<dyn Storage>>, ChannelError> {
        match self {
            Self::Emulator => Ok(None),
            Self::Command(driver) => driver.open(place, powered(place)?).map(Some),
            Self::File { path, len } => Ok(Some(Box::new(FileStorage::window(&place.path(path), *len, powered(place)?)?))),
        }
    }
}

/// Says whether the device has power, for a flash that must not be touched then. Without a switch to ask, the answer is no: the medium was taken out.
fn powered(place: &Place<'_>) -> Result<Box<dyn Fn() -> bool>, ChannelError> {
    let time = place.time;
    let power = match (place.board, place.qemu) {
        (Some(board), _) => board.power()?,
        (None, Some(qemu)) => qemu.power(),
        (None, None) => return Ok(Box::new(|| false)),
    };
    let power = RefCell::new(power);
    Ok(Box::new(move || {
        let wait = Wait::until(time.now() + Duration::from_secs(1), &Default::default());
        // What cannot be read back counts as powered: refusing is the safe side.
        !matches!(power.borrow_mut().state(&wait), Ok(PowerSeen::Off))
    }))
}
