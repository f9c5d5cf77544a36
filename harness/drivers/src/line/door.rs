//! A Unix socket at which the other side arrives: how an emulator that this program starts brings the serial lines of its guest.
//!
//! The emulator connects while it starts, before the guest's first instruction, and the kernel keeps what it says from then on; so nothing is lost however
//! late the capture looks. When the emulator dies the stream ends, and the next one comes in at the same door.

use proofbench_channel::{ChannelError, ErrorKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fmt;
use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;

/// Longest path that a Unix socket of Linux may have.
const PATH_MOST: usize = 107;

/// A door; clones are the same one. The socket is there as long as one of them lives.
#[derive(Debug, Clone)]
pub struct Door {
    name: String,
    path: PathBuf,
    listener: Arc<UnixListener>,
}

impl Door {
    /// Opens a door at this path, which must not be taken. `name` is what messages call it.
    pub fn new(name: &str, path: &Path) -> Result<Self, ChannelError> {
        let failed = |e: io::Error| ChannelError::caused(ErrorKind::Driver, format!("listen at {}", path.display()), e);
        if path.as_os_str().len() > PATH_MOST {
            return Err(failed(io::Error::other(format!("a Unix socket's path has at most {PATH_MOST} bytes; TMPDIR can name a shorter folder"))));
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self { name: name.to_owned(), path: path.to_path_buf(), listener: Arc::new(listener) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next one who has arrived, if anybody has; the stream blocks.
    pub(crate) fn arrived(&self) -> io::Result<Option<std::os::unix::net::UnixStream>> {
        match self.listener.accept() {
            Ok((stream, _)) => Ok(Some(stream)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// As [`Door::arrived`], waiting at most so long.
    pub(crate) fn wait(&self, at_most: Duration) -> io::Result<Option<std::os::unix::net::UnixStream>> {
        let at_most = Timespec::try_from(at_most).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&self.listener, PollFlags::IN)], Some(&at_most)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => self.arrived(),
            Err(e) => Err(e.into()),
        }
    }

    /// As [`Door::arrived`], for the capture; `Disconnected` if nobody has. Call inside the runtime.
    pub(super) fn accept(&self, doing: &str) -> Result<UnixStream, ChannelError> {
        let failed = |e: io::Error| ChannelError::caused(ErrorKind::Driver, doing, e);
        let stream = self.arrived().map_err(failed)?.ok_or_else(|| ChannelError::new(ErrorKind::Disconnected, doing))?;
        stream.set_nonblocking(true).map_err(failed)?;
        UnixStream::from_std(stream).map_err(failed)
    }
}

impl PartialEq for Door {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for Door {}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
