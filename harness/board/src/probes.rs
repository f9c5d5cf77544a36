//! Hosts of the debug connector: each protocol has its own port and one host at a time, and all of them move the same pins.
//!
//! Two hosts of different protocols at once are two probes on one connector: their clocks mix, and neither gets an answer that makes sense.

use crate::conn::{Conn, Got};
use proofbench_emulator::debug::Pins;
use rustix::event::PollFd;
use std::net::TcpListener;

/// One host's conversation: bytes in, pins moved, answers out. What a session keeps is bounded, whatever it is told.
pub trait Conversation: Default {
    /// Carries out every request that is complete, and appends the answers. False: the host has said good-bye, or talks nonsense without end.
    fn feed(&mut self, bytes: &[u8], pins: &mut dyn Pins, answers: &mut Vec<u8>) -> bool;

    /// The host has gone.
    fn hang_up(&mut self, _pins: &mut dyn Pins) {}
}

/// A protocol's server. A new host takes over from one that has left without a word.
#[derive(Debug, Default)]
pub struct Server<C> {
    host: Option<(Conn, C)>,
}

impl<C: Conversation> Server<C> {
    /// Takes a new host, if one waits.
    pub fn accept(&mut self, listener: &TcpListener, pins: &mut dyn Pins) {
        if let Some(conn) = Conn::accept(listener) {
            self.drop_host(pins);
            self.host = Some((conn, C::default()));
        }
    }

    /// What to poll.
    pub fn poll_fd(&self) -> Option<PollFd<'_>> {
        self.host.as_ref().map(|(conn, _)| conn.ask_fd())
    }

    /// Carries out what has arrived, at most 4 KiB of it. Says whether there was anything.
    pub fn serve(&mut self, pins: &mut dyn Pins) -> bool {
        let Some((conn, session)) = &mut self.host else { return false };
        if !conn.flush() {
            self.drop_host(pins);
            return false;
        }
        if conn.is_behind() {
            return false;
        }
        let mut arrived = [0; 4096];
        match conn.read(&mut arrived) {
            Got::Nothing => false,
            Got::Gone => {
                self.drop_host(pins);
                false
            }
            Got::Bytes(n) => {
                let mut answers = Vec::new();
                let goes_on = session.feed(&arrived[..n], pins, &mut answers);
                if !conn.send(&answers) || !goes_on {
                    self.drop_host(pins);
                }
                true
            }
        }
    }

    fn drop_host(&mut self, pins: &mut dyn Pins) {
        if let Some((_, mut session)) = self.host.take() {
            session.hang_up(pins);
        }
    }
}
