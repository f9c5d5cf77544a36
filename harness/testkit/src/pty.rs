//! A pseudo terminal of the tests: what is behind a serial port, with a plug that can be pulled.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What has not happened by then never will.
const PATIENCE: Duration = Duration::from_secs(60);

/// The device's end of a serial port. Dropping it pulls the plug.
pub struct Pty {
    master: OwnedFd,
    /// Keeps the terminal alive, and raw, while nobody has it open.
    _slave: OwnedFd,
    node: PathBuf,
}

impl Pty {
    /// A terminal in raw mode.
    #[allow(clippy::new_without_default)] // a terminal is opened, not a value made
    pub fn new() -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("a pseudo terminal");
        grantpt(&master).expect("a terminal of our own");
        unlockpt(&master).expect("an unlocked terminal");
        let slave = ioctl_tiocgptpeer(&master, flags).expect("its other end");
        let mut mode = tcgetattr(&slave).expect("its mode");
        mode.make_raw();
        tcsetattr(&slave, OptionalActions::Now, &mode).expect("raw mode");
        fcntl_setfl(&master, OFlags::NONBLOCK).expect("a terminal that does not block");
        let node = PathBuf::from(OsStr::from_bytes(ptsname(&master, Vec::new()).expect("its name").to_bytes()));
        Self { master, _slave: slave, node }
    }

    /// With a link to it at `link`, replacing what was there in one step.
    pub fn at(link: &Path) -> Self {
        let pty = Self::new();
        let fresh = link.with_extension("new");
        symlink(&pty.node, &fresh).expect("a link");
        std::fs::rename(&fresh, link).expect("the link in its place");
        pty
    }

    /// The terminal's own name.
    pub fn node(&self) -> &Path {
        &self.node
    }

    /// Whether the terminal takes more, or has something to say, within `span`.
    fn ready(&self, what: PollFlags, span: Duration) -> bool {
        let span = Timespec::try_from(span).expect("a span of time");
        poll(&mut [PollFd::new(&self.master, what)], Some(&span)).expect("a terminal to wait for") > 0
    }

    /// As much of `bytes` as the terminal takes; gives up when it has taken nothing for `span`.
    pub fn send_until_stuck(&self, bytes: &[u8], span: Duration) -> usize {
        let mut sent = 0;
        while sent < bytes.len() {
            match rustix::io::write(&self.master, &bytes[sent..]) {
                Ok(n) => sent += n,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if self.ready(PollFlags::OUT, span) => {}
                Err(Errno::AGAIN) => break,
                Err(e) => panic!("write to {}: {e}", self.node.display()),
            }
        }
        sent
    }

    /// All of `bytes`; somebody must read them.
    pub fn send(&self, bytes: &[u8]) {
        let sent = self.send_until_stuck(bytes, PATIENCE);
        assert_eq!(sent, bytes.len(), "nobody reads {}", self.node.display());
    }

    /// What was sent to the device until now, at least one byte.
    pub fn receive(&self) -> Vec<u8> {
        let mut bytes = vec![0; 4096];
        loop {
            match rustix::io::read(&self.master, &mut bytes) {
                Ok(n) => {
                    bytes.truncate(n);
                    return bytes;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if self.ready(PollFlags::IN, PATIENCE) => {}
                Err(e) => panic!("read from {}: {e}", self.node.display()),
            }
        }
    }

    /// Exactly so many bytes that were sent to the device.
    pub fn receive_exactly(&self, length: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < length {
            all.extend(self.receive());
        }
        all
    }

    /// Makes it a device that sends back what it gets, until the end of the test.
    pub fn echo(self) {
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            loop {
                match rustix::io::read(&self.master, &mut bytes) {
                    Ok(n) => self.send(&bytes[..n]),
                    Err(Errno::AGAIN | Errno::INTR) => {
                        self.ready(PollFlags::IN, PATIENCE);
                    }
                    Err(_) => return,
                }
            }
        });
    }
}
