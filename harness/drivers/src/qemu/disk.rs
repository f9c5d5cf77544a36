//! A flash or disk of the machine: a file of its own in the machine's folder.

use proofbench_channel::{ChannelError, ErrorKind};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How much is copied at a time; pieces of zeros are left out, so that a sparse image stays one.
const PIECE: usize = 64 * 1024;

/// A flash or disk, as it leaves the factory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Its file's name in the machine's folder.
    pub name: String,
    /// What is in it at first, relative to the setup's base; `None`: nothing.
    pub from: Option<PathBuf>,
    /// Its size in bytes; `None`: that of `from`.
    pub size: Option<u64>,
    /// Whether the space that `from` does not fill reads FF, as erased flash does, instead of 0.
    pub erased: bool,
}

impl Disk {
    /// Makes the file in `dir`.
    pub(super) fn make(&self, base: &Path, dir: &Path, made_by: Option<&str>) -> Result<(), ChannelError> {
        let to = dir.join(&self.name);
        let from = self.from.as_ref().map(|from| base.join(from));
        let doing = || match &from {
            Some(from) => format!("copy {} for the machine", from.display()),
            None => format!("make {} for the machine", self.name),
        };
        self.fill(from.as_deref(), &to).map_err(|e| match (e.kind(), made_by) {
            (io::ErrorKind::NotFound, Some(made_by)) => {
                ChannelError::new(ErrorKind::Driver, format!("{}, which is not there (`{made_by}` makes it)", doing()))
            }
            _ => ChannelError::caused(ErrorKind::Driver, doing(), e),
        })
    }

    fn fill(&self, from: Option<&Path>, to: &Path) -> io::Result<()> {
        let source = from.map(File::open).transpose()?;
        let given = source.as_ref().map_or(Ok(0), |f| f.metadata().map(|m| m.len()))?;
        let size = self.size.unwrap_or(given);
        if given > size {
            return Err(io::Error::other(format!("it has {given} bytes, and the disk {size}")));
        }
        let file = File::create_new(to)?;
        file.set_len(size)?;
        let mut at = match source {
            Some(source) => copy(source, &file)?,
            None => 0,
        };
        let blank = [0xff; PIECE];
        while self.erased && at < size {
            let n = usize::try_from(size - at).unwrap_or(PIECE).min(PIECE);
            file.write_all_at(&blank[..n], at)?;
            at += n as u64;
        }
        Ok(())
    }
}

fn copy(mut from: File, to: &File) -> io::Result<u64> {
    let (mut buffer, mut at) = (vec![0; PIECE], 0);
    loop {
        let n = from.read(&mut buffer)?;
        if n == 0 {
            return Ok(at);
        }
        if buffer[..n].iter().any(|b| *b != 0) {
            to.write_all_at(&buffer[..n], at)?;
        }
        at += n as u64;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test that cannot go on fails
mod tests {
    use super::*;

    fn disk(from: Option<&str>, size: Option<u64>, erased: bool) -> Disk {
        Disk { name: "flash".to_owned(), from: from.map(PathBuf::from), size, erased }
    }

    #[test]
    fn the_file_has_the_content_and_the_rest_is_blank() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("code"), b"code").unwrap();
        for (erased, blank) in [(true, 0xff), (false, 0)] {
            let to = tempfile::tempdir().unwrap();
            disk(Some("code"), Some(100_000), erased).make(dir.path(), to.path(), None).unwrap();
            let made = std::fs::read(to.path().join("flash")).unwrap();
            assert_eq!((made.len(), &made[..4]), (100_000, &b"code"[..]));
            assert!(made[4..].iter().all(|b| *b == blank));
        }
    }

    #[test]
    fn what_is_missing_or_too_large_is_told() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("code"), b"code").unwrap();
        let e = disk(Some("nothing"), None, false).make(dir.path(), dir.path(), Some("fixtures/build")).unwrap_err().explain();
        assert!(e.contains("nothing") && e.contains("`fixtures/build` makes it"), "{e}");
        let e = disk(Some("code"), Some(3), false).make(dir.path(), dir.path(), None).unwrap_err().explain();
        assert!(e.contains("it has 4 bytes, and the disk 3"), "{e}");
    }
}
