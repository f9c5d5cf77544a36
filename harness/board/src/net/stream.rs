//! One TCP connection of the module, with or without TLS: plain bytes on the device's side, bounded both ways.

use super::socket::forgetful;
use rustix::event::{PollFd, PollFlags};
use rustls::{AlertDescription, Connection};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

/// Bytes that the other side has not taken yet. A module has no room for more, and ends the connection.
pub const OUT_MOST: usize = 256 * 1024;
/// Bytes that are read at one look.
const LOOK_MOST: usize = 16 * 1024;
/// Records that TLS keeps for the socket.
const TLS_OUT_MOST: usize = 32 * 1024;

/// What a look at a connection found.
#[derive(Debug, PartialEq, Eq)]
pub enum Look {
    /// It goes on.
    Goes,
    /// The other side says nothing more.
    Ended,
    /// It is gone, or TLS was not kept to.
    Broken(Broken),
}

/// How a connection broke.
#[derive(Debug, PartialEq, Eq)]
pub enum Broken {
    /// The socket.
    Socket,
    /// We did not take what TLS brought.
    Ours,
    /// The other side said why, in an alert.
    Theirs(AlertDescription),
}

/// The connection.
pub struct Stream {
    tcp: TcpStream,
    tls: Option<Box<Connection>>,
    out: VecDeque<u8>,
    /// TLS has bytes that it has not looked at.
    fed: bool,
    heard_end: bool,
    /// Nothing more is to be sent behind `out`.
    ending: bool,
    notified: bool,
    fin_sent: bool,
}

impl Stream {
    /// Takes a non-blocking connection over. Until it is ended in order, its end is a reset.
    pub fn new(tcp: TcpStream, tls: Option<Connection>) -> Self {
        forgetful(&tcp, true);
        let tls = tls.map(|mut tls| {
            tls.set_buffer_limit(Some(TLS_OUT_MOST));
            Box::new(tls)
        });
        Self { tcp, tls, out: VecDeque::new(), fed: false, heard_end: false, ending: false, notified: false, fin_sent: false }
    }

    /// Whether the handshake is still under way.
    pub fn is_shaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|t| t.is_handshaking())
    }

    /// Begins TLS on a connection that has none yet, with what has been read from it so far.
    pub fn begin_tls(self, mut tls: Connection, mut read: &[u8]) -> Self {
        // Each turn takes something, or the library wants no more without having looked: then TLS fails.
        while !read.is_empty() && tls.read_tls(&mut read).is_ok_and(|n| n > 0) {}
        Self { fed: true, ..Self::new(self.tcp, Some(tls)) }
    }

    /// Itself, polled for what it waits for; reading only if what is read can be handed on.
    pub fn poll_fd(&self, takes: bool) -> Option<PollFd<'_>> {
        let mut flags = PollFlags::empty();
        if takes && !self.heard_end {
            flags |= PollFlags::IN;
        }
        if self.wants_write() {
            flags |= PollFlags::OUT;
        }
        (!flags.is_empty()).then(|| PollFd::new(&self.tcp, flags))
    }

    /// Itself, polled for what comes behind the device's end.
    pub fn last_fd(&self) -> PollFd<'_> {
        PollFd::new(&self.tcp, if self.wants_write() { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN })
    }

    fn wants_write(&self) -> bool {
        let waits = !self.out.is_empty() && !self.is_shaking();
        !self.fin_sent && (waits || self.ending || self.tls.as_ref().is_some_and(|t| t.wants_write()))
    }

    /// Reads what has arrived, one look's worth, and appends the plain bytes.
    pub fn read(&mut self, into: &mut Vec<u8>) -> Look {
        if self.heard_end {
            return Look::Ended;
        }
        let Some(tls) = &mut self.tls else {
            let mut arrived = [0; LOOK_MOST];
            return match self.tcp.read(&mut arrived) {
                Ok(0) => self.ended(),
                Ok(n) => {
                    into.extend_from_slice(&arrived[..n]);
                    Look::Goes
                }
                Err(e) if waits(&e) => Look::Goes,
                Err(_) => Look::Broken(Broken::Socket),
            };
        };
        let end = match tls.read_tls(&mut self.tcp) {
            Ok(0) => true,
            Ok(_) => false,
            Err(e) if waits(&e) && std::mem::take(&mut self.fed) => false,
            Err(e) if waits(&e) => return Look::Goes,
            Err(_) => return Look::Broken(Broken::Socket),
        };
        let state = match tls.process_new_packets() {
            Ok(state) => state,
            Err(e) => {
                // What TLS has to say about it is the last word.
                self.out.clear();
                (self.ending, self.notified) = (true, true);
                return Look::Broken(if let rustls::Error::AlertReceived(alert) = e { Broken::Theirs(alert) } else { Broken::Ours });
            }
        };
        let mut left = state.plaintext_bytes_to_read();
        let mut arrived = [0; LOOK_MOST];
        while left > 0 {
            match tls.reader().read(&mut arrived) {
                Ok(n) if n > 0 => {
                    into.extend_from_slice(&arrived[..n]);
                    left = left.saturating_sub(n);
                }
                _ => break,
            }
        }
        if end || state.peer_has_closed() { self.ended() } else { Look::Goes }
    }

    fn ended(&mut self) -> Look {
        self.heard_end = true;
        Look::Ended
    }

    /// Takes bytes for the other side. False: it has not read for too long.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        if self.ending {
            return true;
        }
        self.out.extend(bytes);
        self.out.len() <= OUT_MOST
    }

    /// Ends the device's side, once everything before it has been sent.
    pub fn end(&mut self) {
        self.ending = true;
    }

    /// Sends what waits, as far as the other side takes it. False: it is gone.
    pub fn write(&mut self) -> bool {
        if self.fin_sent {
            return true;
        }
        // Each turn writes something or ends.
        loop {
            let went = match &mut self.tls {
                Some(tls) => {
                    if !tls.is_handshaking() {
                        let (front, _) = self.out.as_slices();
                        let taken = tls.writer().write(front).unwrap_or(0);
                        self.out.drain(..taken);
                        if self.ending && self.out.is_empty() && !self.notified {
                            tls.send_close_notify();
                            self.notified = true;
                        }
                    }
                    if !tls.wants_write() {
                        break;
                    }
                    tls.write_tls(&mut self.tcp)
                }
                None if self.out.is_empty() => break,
                None => {
                    let (front, _) = self.out.as_slices();
                    let went = self.tcp.write(front);
                    self.out.drain(..*went.as_ref().unwrap_or(&0));
                    went
                }
            };
            match went {
                Ok(0) => return false,
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if waits(&e) => return true,
                Err(_) => return false,
            }
        }
        if self.ending && (self.out.is_empty() || self.is_shaking()) {
            self.fin_sent = true;
            forgetful(&self.tcp, false);
            return self.tcp.shutdown(Shutdown::Write).is_ok();
        }
        true
    }

    /// Whether everything was said.
    pub fn has_said_all(&self) -> bool {
        self.fin_sent
    }

    /// Reads and forgets what still comes after the end, one look's worth. False: nothing comes any more.
    pub fn drain(&mut self) -> bool {
        let mut lost = [0; LOOK_MOST];
        match self.tcp.read(&mut lost) {
            Ok(n) => n > 0,
            Err(e) => waits(&e),
        }
    }
}

fn waits(e: &std::io::Error) -> bool {
    matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn who_does_not_read_is_kept_waiting_and_then_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let deaf = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (tcp, _) = listener.accept().unwrap();
        tcp.set_nonblocking(true).unwrap();
        let mut stream = Stream::new(tcp, None);
        let mut kept = true;
        for _ in 0..10_000 {
            kept = stream.send(&[7; 4096]);
            assert!(stream.write(), "it has not gone");
            if !kept {
                break;
            }
        }
        assert!(!kept, "everything was kept");
        assert!(stream.out.len() <= OUT_MOST + 4096);
        drop(deaf);
    }
}
