//! One TCP connection, non-blocking, with a queue of what the other side has not taken yet.

use rustix::event::{PollFd, PollFlags};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

/// Bytes kept for a listener that does not read ([`Conn::send_lossy`]); a real port would have lost them long before.
pub const BACKLOG: usize = 64 * 1024;

/// Connections that are looked at for one that works.
const LOOKS: usize = 16;

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Got {
    /// So many bytes.
    Bytes(usize),
    /// Nothing yet.
    Nothing,
    /// The other side has hung up.
    Gone,
}

/// The connection.
#[derive(Debug)]
pub struct Conn {
    stream: TcpStream,
    out: VecDeque<u8>,
}

impl Conn {
    /// Takes a waiting connection, if there is one. Connections that are broken already are passed over, a few at a look.
    pub fn accept(listener: &TcpListener) -> Option<Self> {
        for _ in 0..LOOKS {
            match listener.accept() {
                Ok((stream, _)) => {
                    // Questions and answers are small and wait for each other: Nagle's delay would make a survey last minutes.
                    if stream.set_nonblocking(true).is_ok() && stream.set_nodelay(true).is_ok() {
                        return Some(Self { stream, out: VecDeque::new() });
                    }
                }
                Err(e) if matches!(e.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// Itself, polled for `flags`.
    pub fn poll_fd(&self, flags: PollFlags) -> PollFd<'_> {
        PollFd::new(&self.stream, flags)
    }

    /// Itself, polled for questions: one that is behind with the answers is not listened to until it has read.
    pub fn ask_fd(&self) -> PollFd<'_> {
        self.poll_fd(if self.is_behind() { PollFlags::OUT } else { PollFlags::IN })
    }

    /// Whether bytes wait for the other side.
    pub fn is_behind(&self) -> bool {
        !self.out.is_empty()
    }

    /// Reads what has arrived, at most `into`'s worth.
    pub fn read(&mut self, into: &mut [u8]) -> Got {
        match self.stream.read(into) {
            Ok(0) => Got::Gone,
            Ok(n) => Got::Bytes(n),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Got::Nothing,
            Err(_) => Got::Gone,
        }
    }

    /// Writes at once what the other side takes of `bytes`, if nothing waits before them; says how many that was.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_behind() {
            return Ok(0);
        }
        match self.stream.write(bytes) {
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
            written => written,
        }
    }

    /// Sends bytes, keeping all that cannot leave yet: for answers, whose questions are not read meanwhile. False: the other side is gone.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.out.extend(bytes);
        self.flush()
    }

    /// Sends bytes, keeping [`BACKLOG`] of what cannot leave yet; the oldest are lost beyond that. False: the other side is gone.
    pub fn send_lossy(&mut self, bytes: &[u8]) -> bool {
        self.out.extend(bytes);
        let over = self.out.len().saturating_sub(BACKLOG);
        self.out.drain(..over);
        self.flush()
    }

    /// Sends what was kept, as far as the other side takes it. False: the other side is gone.
    pub fn flush(&mut self) -> bool {
        while !self.out.is_empty() {
            let (front, _) = self.out.as_slices();
            match self.stream.write(front) {
                Ok(0) => return false,
                Ok(n) => {
                    self.out.drain(..n);
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock) => return true,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }
}
