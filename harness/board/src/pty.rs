//! A serial port of the device as a pseudo terminal with a stable name.

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use std::cell::Cell;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Bytes kept for a reader that does not read; a real port would have lost them long before.
const BACKLOG: usize = 64 * 1024;

/// One port.
pub struct Pty {
    master: OwnedFd,
    /// Keeps the terminal alive, and raw, while nobody has it open.
    _slave: OwnedFd,
    node: PathBuf,
    link: PathBuf,
    backlog: VecDeque<u8>,
    said: u64,
    taken: Cell<u64>,
}

impl Pty {
    /// Makes a terminal in raw mode and points `link` to it, replacing what was there in one step.
    pub fn new(link: &Path) -> io::Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let slave = ioctl_tiocgptpeer(&master, flags)?;
        // A fresh terminal echoes and rewrites line ends: the device would hear its own boot log.
        let mut mode = tcgetattr(&slave)?;
        mode.make_raw();
        tcsetattr(&slave, OptionalActions::Now, &mode)?;
        fcntl_setfl(&master, OFlags::NONBLOCK)?;
        let node = PathBuf::from(OsStr::from_bytes(ptsname(&master, Vec::new())?.to_bytes()));
        let fresh = link.with_extension("new");
        let _ = std::fs::remove_file(&fresh);
        symlink(&node, &fresh)?;
        std::fs::rename(&fresh, link)?;
        Ok(Self { master, _slave: slave, node, link: link.to_path_buf(), backlog: VecDeque::new(), said: 0, taken: Cell::new(0) })
    }

    /// Takes the name away again, if it is still this terminal's. A terminal's number is given to the next who asks, and nobody may follow an old name
    /// there.
    pub fn unlink(&self) {
        if std::fs::read_link(&self.link).is_ok_and(|at| at == self.node) {
            let _ = std::fs::remove_file(&self.link);
        }
    }

    /// The terminal's own name.
    pub fn node(&self) -> &Path {
        &self.node
    }

    /// What to poll; `listen` says whether the other side is listened to.
    pub fn poll_fd(&self, listen: bool) -> PollFd<'_> {
        let mut flags = if listen { PollFlags::IN } else { PollFlags::empty() };
        if !self.backlog.is_empty() {
            flags |= PollFlags::OUT;
        }
        PollFd::new(&self.master, flags)
    }

    /// Bytes that were sent, those that wait included, and not those that were lost.
    pub fn said(&self) -> u64 {
        self.said
    }

    /// Bytes that were read.
    pub fn taken(&self) -> u64 {
        self.taken.get()
    }

    /// Appends what the other side has sent, at most `into`'s worth.
    pub fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        match rustix::io::read(&self.master, into) {
            Ok(n) => {
                self.taken.set(self.taken.get() + n as u64);
                Ok(n)
            }
            Err(Errno::AGAIN | Errno::INTR | Errno::IO) => Ok(0),
            Err(e) => Err(e.into()),
        }
    }

    /// Sends bytes, or keeps them until they can be sent; the oldest are lost when too many wait.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.backlog.extend(bytes);
        let over = self.backlog.len().saturating_sub(BACKLOG);
        self.backlog.drain(..over);
        self.said = (self.said + bytes.len() as u64).saturating_sub(over as u64);
        self.flush()
    }

    /// Sends what was kept, as far as the other side takes it.
    pub fn flush(&mut self) -> io::Result<()> {
        while !self.backlog.is_empty() {
            let (front, _) = self.backlog.as_slices();
            match rustix::io::write(&self.master, front) {
                Ok(0) => break,
                Ok(n) => {
                    self.backlog.drain(..n);
                }
                Err(Errno::AGAIN | Errno::INTR | Errno::IO) => break,
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }
}
