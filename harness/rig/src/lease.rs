//! Who has the rig. The mark "in use" is on disk before the rig is touched, "safe" after it has been made safe: whoever finds "in use" without a holder
//! knows that the rig was left in an unknown state.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Why a rig cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another process has it.
    #[error("the rig is in use ({holder}); its lease is {}", path.display())]
    Taken {
        /// Lease file.
        path: PathBuf,
        /// What the holder wrote.
        holder: String,
    },
    /// The lease file cannot be written.
    #[error("write the lease {}: {source}", path.display())]
    Io {
        /// Lease file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// How the lease was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Never used, or left safe.
    Safe,
    /// A former holder went away without making the rig safe, or left it otherwise on purpose; its mark.
    InUse(String),
}

/// A rig that is ours until this is dropped. Dropping without [`Lease::safe`] leaves the mark "in use".
#[derive(Debug)]
pub struct Lease {
    file: File,
    path: PathBuf,
}

impl Lease {
    /// Takes the lease, or says who has it. The mark is on disk when this returns.
    pub fn acquire(path: &Path, holder: &str) -> Result<(Lease, Found), LeaseError> {
        let io = |source| LeaseError::Io { path: path.to_owned(), source };
        if let Some(dir) = path.parent()
            && !dir.as_os_str().is_empty()
        {
            std::fs::create_dir_all(dir).map_err(io)?;
        }
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
        let locked = file.try_lock();
        let mut mark = String::new();
        // At most a line of ours is read, whatever somebody put there.
        let _ = (&mut file).take(512).read_to_string(&mut mark);
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LeaseError::Taken { path: path.to_owned(), holder: mark.trim().to_owned() }),
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        let found = match mark.trim() {
            "" | "safe" => Found::Safe,
            other => Found::InUse(other.to_owned()),
        };
        let mut lease = Lease { file, path: path.to_owned() };
        lease.mark(&format!("in use by {holder}"))?;
        Ok((lease, found))
    }

    /// Says on disk that the rig is safe, and gives it back.
    pub fn safe(mut self) -> Result<(), LeaseError> {
        self.mark("safe")
    }

    /// Gives the rig back in a state that is not safe, and says on disk which: `left on by hand`. Whoever comes next finds the mark.
    pub fn leave(mut self, state: &str) -> Result<(), LeaseError> {
        self.mark(state)
    }

    fn mark(&mut self, text: &str) -> Result<(), LeaseError> {
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()
        };
        write(&mut self.file).map_err(|source| LeaseError::Io { path: self.path.clone(), source })
    }
}

/// Where the lease of a rig file lies if the file does not say: in the user's state folder, by the file's full name.
pub(crate) fn default_path(rig: &Path) -> PathBuf {
    let full = std::path::absolute(rig).unwrap_or_else(|_| rig.to_owned());
    let name: String = full.display().to_string().chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.or_else(|| std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".local/state")));
    state.unwrap_or_else(std::env::temp_dir).join("proofbench").join(format!("{}.lease", name.trim_matches('-')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rig_has_one_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/rig.lease");
        let (lease, found) = Lease::acquire(&path, "run 1").unwrap();
        assert_eq!(found, Found::Safe);
        let taken = Lease::acquire(&path, "run 2").unwrap_err().to_string();
        assert!(taken.contains("in use by run 1"), "{taken}");
        lease.safe().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "safe\n");
        assert_eq!(Lease::acquire(&path, "run 3").unwrap().1, Found::Safe);
    }

    #[test]
    fn a_holder_that_vanished_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rig.lease");
        drop(Lease::acquire(&path, "run 1").unwrap());
        let (_, found) = Lease::acquire(&path, "run 2").unwrap();
        assert_eq!(found, Found::InUse("in use by run 1".to_owned()));
    }

    #[test]
    fn a_rig_that_is_left_on_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rig.lease");
        Lease::acquire(&path, "power on").unwrap().0.leave("left on by hand").unwrap();
        let (lease, found) = Lease::acquire(&path, "run 2").unwrap();
        assert_eq!(found, Found::InUse("left on by hand".to_owned()));
        lease.safe().unwrap();
        assert_eq!(Lease::acquire(&path, "run 3").unwrap().1, Found::Safe);
    }

    #[test]
    fn a_lease_that_cannot_be_written_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file/rig.lease");
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(matches!(Lease::acquire(&path, "run"), Err(LeaseError::Io { .. })));
    }
}
