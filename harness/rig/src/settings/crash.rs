//! `[crash]`: the crash states of a device whose storage the rig owns.

use super::{ByteCount, Place, Section, Settings, Wiring};
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, CrashSpace};
use proofbench_drivers::qemu::CrashSetup;
use serde::Deserialize;
use std::path::PathBuf;
use toml::Spanned;

/// Drivers of crash spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CrashDriver {
    /// The emulated device's own.
    Emulator,
    /// A machine of QEMU whose flash keeps a log of its operations.
    Qemu {
        /// The flash, by its name in `[qemu.disks]`.
        disk: String,
        /// Bytes of the flash; the log lies behind them in the same file.
        len: u64,
        /// Where the log is.
        log: u64,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Keys {
    disk: String,
    len: ByteCount,
    log: Spanned<ByteCount>,
}

impl Settings for Keys {
    const EXAMPLE: &'static str = "disk = \"flash\"\nlen = \"256KiB\"\nlog = \"8MiB\"";
}

impl CrashDriver {
    pub(crate) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        match section.driver() {
            "emulator" => section.nothing().map(|()| Self::Emulator),
            "qemu" => {
                let keys: Keys = section.settings()?;
                let (len, log) = (keys.len.0, keys.log.get_ref().0);
                if len == 0 || log < len {
                    return Err(section.error(keys.log.span(), "the log lies behind the flash", &["log = \"8MiB\" behind len = \"256KiB\""]));
                }
                Ok(Self::Qemu { disk: keys.disk, len, log })
            }
            _ => Err(section.no_driver(&["emulator", "qemu"])),
        }
    }

    /// Whose storage it is.
    pub fn wiring(&self) -> Wiring {
        match self {
            Self::Emulator => Wiring::Emulator,
            Self::Qemu { .. } => Wiring::Qemu,
        }
    }

    /// `None` for the emulated device's own, which is opened with it.
    pub(crate) fn open(&self, place: &Place<'_>) -> Result<Option<Box<dyn CrashSpace>>, ChannelError> {
        match (self, place.qemu) {
            (Self::Qemu { disk, len, log }, Some(qemu)) => qemu.crash(&CrashSetup { file: PathBuf::from(disk), len: *len, log: *log }).map(Some),
            _ => Ok(None),
        }
    }
}
