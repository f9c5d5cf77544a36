//! A serial cable: a terminal for a driver, a program at the other end, and the wires between them.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// A pseudo terminal in raw mode, joined to a byte stream. The far end is no terminal: a program that flushes one would reach bytes that have left it
/// already, which no UART does. Dropping it unplugs both ends.
pub struct Cable {
    node: PathBuf,
    /// Keeps the terminal alive, and raw, while nobody has it open.
    _terminal: OwnedFd,
    far: UnixStream,
    unplugged: Arc<AtomicBool>,
    wires: Vec<JoinHandle<()>>,
}

impl Cable {
    /// A fresh cable.
    pub fn new() -> Cable {
        Self::plug().expect("a pseudo terminal and a stream")
    }

    fn plug() -> io::Result<Cable> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let side = openpt(flags)?;
        grantpt(&side)?;
        unlockpt(&side)?;
        let terminal = ioctl_tiocgptpeer(&side, flags)?;
        // A fresh terminal echoes and rewrites line ends.
        let mut mode = tcgetattr(&terminal)?;
        mode.make_raw();
        tcsetattr(&terminal, OptionalActions::Now, &mode)?;
        let node = PathBuf::from(OsStr::from_bytes(ptsname(&side, Vec::new())?.to_bytes()));
        let near = std::fs::File::from(side);
        let (stream, far) = UnixStream::pair()?;
        let unplugged = Arc::new(AtomicBool::new(false));
        let (up, down) = (Arc::clone(&unplugged), Arc::clone(&unplugged));
        let (from, to) = (near.try_clone()?, stream.try_clone()?);
        let wires = vec![std::thread::spawn(move || wire(from, to, &up)), std::thread::spawn(move || wire(stream, near, &down))];
        Ok(Cable { node, _terminal: terminal, far, unplugged, wires })
    }

    /// The node that a driver opens.
    pub fn node(&self) -> &Path {
        &self.node
    }

    /// The other end, for a program's standard input and output, or for the test itself.
    pub fn far(&self) -> UnixStream {
        self.far.try_clone().expect("another handle of a stream")
    }
}

impl Default for Cable {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.unplugged.store(true, Ordering::SeqCst);
        for wire in self.wires.drain(..) {
            let _ = wire.join();
        }
    }
}

fn wire(mut from: impl Read + AsFd, mut to: impl Write, unplugged: &AtomicBool) {
    let mut buffer = [0; 4096];
    let pause = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    while !unplugged.load(Ordering::SeqCst) {
        let ready = poll(&mut [PollFd::new(&from, PollFlags::IN)], Some(&pause));
        if !matches!(ready, Ok(n) if n > 0) {
            continue;
        }
        match from.read(&mut buffer) {
            Ok(n) if n > 0 => drop(to.write_all(&buffer[..n])),
            _ => return,
        }
    }
}
