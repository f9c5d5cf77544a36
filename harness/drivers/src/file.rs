//! A flash that is a file: what a flash reader would give, read and written while the device has no power.
//!
//! Run against: the board process's flash file. A reader of real flash chips is another driver.

use proofbench_channel::{ChannelError, ErrorKind, Storage, Wait};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What is compared, and written, at once.
const PIECE: usize = 64 * 1024;

/// Opens the file. `powered` says whether the device has power now: then every access is `Refused`.
pub fn open(path: &Path, powered: Box<dyn Fn() -> bool>) -> Result<Box<dyn Storage>, ChannelError> {
    Ok(Box::new(FileStorage::open(path, powered)?))
}

/// See [`open`].
pub struct FileStorage {
    path: PathBuf,
    file: File,
    len: u64,
    powered: Box<dyn Fn() -> bool>,
}

impl FileStorage {
    /// See [`open`].
    pub fn open(path: &Path, powered: Box<dyn Fn() -> bool>) -> Result<Self, ChannelError> {
        Self::window(path, None, powered)
    }

    /// The first `most` bytes of the file: what lies behind them is none of the flash.
    pub fn window(path: &Path, most: Option<u64>, powered: Box<dyn Fn() -> bool>) -> Result<Self, ChannelError> {
        let failed = |e| ChannelError::caused(ErrorKind::Driver, format!("open flash file {}", path.display()), e);
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        let len = most.map_or(len, |most| most.min(len));
        Ok(Self { path: path.to_path_buf(), file, len, powered })
    }

    fn allow(&self, doing: &str, offset: u64, len: usize, wait: &Wait) -> Result<(), ChannelError> {
        let doing = || format!("{doing} {len} bytes at 0x{offset:x} of {}", self.path.display());
        if wait.cancel.is_cancelled() {
            return Err(ChannelError::new(ErrorKind::Cancelled, doing()));
        }
        if (self.powered)() {
            return Err(ChannelError::caused(ErrorKind::Refused, doing(), "the device has power"));
        }
        if offset.checked_add(len as u64).is_none_or(|end| end > self.len) {
            return Err(ChannelError::caused(ErrorKind::Refused, doing(), format!("the medium has {} bytes", self.len)));
        }
        Ok(())
    }
}

impl Storage for FileStorage {
    fn len(&self) -> u64 {
        self.len
    }

    fn read(&mut self, offset: u64, into: &mut [u8], wait: &Wait) -> Result<(), ChannelError> {
        self.allow("read", offset, into.len(), wait)?;
        self.file.read_exact_at(into, offset).map_err(|e| ChannelError::caused(ErrorKind::Driver, format!("read {}", self.path.display()), e))
    }

    fn write(&mut self, offset: u64, bytes: &[u8], wait: &Wait) -> Result<(), ChannelError> {
        self.allow("write", offset, bytes.len(), wait)?;
        let failed = |e| ChannelError::caused(ErrorKind::Driver, format!("write {}", self.path.display()), e);
        // Only what differs is written: a campaign puts the same disk back for every cut, and most of it has not changed.
        let mut there = vec![0; PIECE.min(bytes.len())];
        for (n, piece) in bytes.chunks(PIECE).enumerate() {
            let at = offset + (n * PIECE) as u64;
            let there = &mut there[..piece.len()];
            self.file.read_exact_at(there, at).map_err(failed)?;
            if there != piece {
                self.file.write_all_at(piece, at).map_err(failed)?;
            }
        }
        Ok(())
    }

    fn describe(&self) -> String {
        format!("file {} of {} bytes", self.path.display(), self.len)
    }
}
