//! One host of the console over RFC 2217 (Telnet COM Port Control): bytes, line settings, RTS, DTR and BREAK over TCP.
//!
//! The modem lines are wired as on a bench where somebody soldered one wire: **RTS asserted holds nRST low**, RTS cleared lets it go. A USB serial
//! adapter's RTS# pin is low while RTS is asserted, and nRST is active low, so this is what a plain wire does; no transistor stands between. It has the
//! plain wire's trap too: operating systems (and pyserial) assert RTS when they open a port, and the device stays in reset until the host clears it.
//! Until the host says anything of RTS the line is left alone, and it is let go when the host hangs up.
//!
//! **DTR is wired to nothing.** The wiring of ESP boards (DTR to the boot button) would put it on this product's only button, which is its factory reset:
//! a terminal program left open for ten seconds would erase the device.
//!
//! BREAK reaches the device's UART as a BREAK when it begins. The device works at 115 200 baud, 8 data bits, no parity; at other settings both sides see
//! wrong bytes, as on a wire.

use crate::conn::{BACKLOG, Conn, Got};
use rfc2217::{DataBits, ModemState, Parity, PortSettings, Purge, Server, ServerEvent};
use rustix::event::{PollFd, PollFlags};
use std::collections::VecDeque;

/// Baud rate of the device's console.
const BAUD: u32 = 115_200;
/// Deviation of the baud rate at which bytes are still read right, in percent.
const TOLERANCE: u32 = 3;
/// What the wrong speed does to the bits of what is typed, and of what the device says: two masks, or an echo would come out right again.
const TYPED: u8 = 0x95;
const SAID: u8 = 0x6A;

/// What a host does to the device, in the order in which it does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Types.
    Bytes(Vec<u8>),
    /// Begins a BREAK.
    Break,
    /// Asserts or clears RTS.
    Rts(bool),
}

/// One host.
#[derive(Debug)]
pub struct Host {
    conn: Conn,
    server: Server,
    input: Vec<u8>,
    /// Payload that waits for room in the server's small output buffer.
    backlog: VecDeque<u8>,
    garbled: bool,
    rts: bool,
}

impl Host {
    /// Greets a host. `before` is what the device has said to nobody yet.
    pub fn new(conn: Conn, before: &[u8]) -> Self {
        let settings = PortSettings { baud_rate: BAUD, ..PortSettings::default() };
        let mut server = Server::new(settings).with_signature("proofbench-board");
        // Hosts ask for them (pyserial cannot do without): the adapter's inputs stand open, which reads as ready. Cannot fail before the host is there.
        let _ = server.try_set_modem_state(ModemState::CTS | ModemState::DSR);
        let garbled = is_garbled(&server.settings());
        Self { conn, server, input: Vec::new(), backlog: before.iter().copied().collect(), garbled, rts: false }
    }

    /// Whether this host asserts RTS.
    pub fn rts(&self) -> bool {
        self.rts
    }

    /// What to poll it for; `listen` says whether the device takes more. A host that does not read the answers to its requests is not listened to.
    pub fn poll_fd(&self, listen: bool) -> PollFd<'_> {
        let mut flags = if listen && self.input.is_empty() { PollFlags::IN } else { PollFlags::empty() };
        if self.server.has_output() || !self.backlog.is_empty() {
            flags |= PollFlags::OUT;
        }
        self.conn.poll_fd(flags)
    }

    /// Takes what the device has said, and keeps it until the host reads; the oldest is lost when too much waits. False: the host is gone.
    pub fn hear(&mut self, bytes: &[u8]) -> bool {
        self.backlog.extend(bytes);
        let over = self.backlog.len().saturating_sub(BACKLOG);
        self.backlog.drain(..over);
        self.write_out()
    }

    /// Carries out what has arrived, if `listen`. False: the host is gone.
    pub fn serve(&mut self, listen: bool, acts: &mut Vec<Act>) -> bool {
        if !self.write_out() {
            return false;
        }
        if !listen {
            return true;
        }
        if self.input.is_empty() {
            let mut arrived = [0; 2048];
            match self.conn.read(&mut arrived) {
                Got::Bytes(n) => self.input.extend(&arrived[..n]),
                Got::Nothing => return true,
                Got::Gone => return false,
            }
        }
        let mut done = 0;
        while done < self.input.len() {
            let mut payload = [0; 512];
            let progress = self.server.receive_into(&self.input[done..], &mut payload);
            done += progress.consumed;
            let typed = &mut payload[..progress.payload_len];
            if !typed.is_empty() {
                if self.garbled {
                    garble(typed, TYPED);
                }
                acts.push(Act::Bytes(typed.to_vec()));
            }
            while let Some(event) = self.server.poll_event() {
                self.take(event, acts);
            }
            if progress.consumed == 0 {
                // An answer waits for room. The rest is looked at when the host has read.
                let before = self.server.output().len();
                if !self.write_out() {
                    return false;
                }
                if self.server.output().len() == before {
                    break;
                }
            }
        }
        self.input.drain(..done);
        self.write_out()
    }

    fn take(&mut self, event: ServerEvent, acts: &mut Vec<Act>) {
        match event {
            ServerEvent::SettingsChanged(settings) => self.garbled = is_garbled(&settings),
            ServerEvent::Purge(Purge::Receive | Purge::Both) => self.backlog.clear(),
            ServerEvent::Break(true) => acts.push(Act::Break),
            ServerEvent::Rts(on) => {
                self.rts = on;
                acts.push(Act::Rts(on));
            }
            _ => {}
        }
    }

    /// Moves payload and answers out, as far as the host takes them.
    fn write_out(&mut self) -> bool {
        loop {
            let (front, _) = self.backlog.as_slices();
            let mut piece = [0; 64];
            let n = front.len().min(piece.len());
            piece[..n].copy_from_slice(&front[..n]);
            if self.garbled {
                garble(&mut piece[..n], SAID);
            }
            let taken = self.server.try_write_data(&piece[..n]).unwrap_or(0);
            self.backlog.drain(..taken);
            if !self.server.has_output() {
                return true;
            }
            match self.conn.write(self.server.output()) {
                Ok(0) => return true,
                Ok(n) => self.server.consume_output(n),
                Err(_) => return false,
            }
        }
    }
}

/// Whether the wire carries nonsense at these settings.
fn is_garbled(settings: &PortSettings) -> bool {
    let off = settings.baud_rate.abs_diff(BAUD) > BAUD / 100 * TOLERANCE;
    off || settings.data_bits != DataBits::Eight || settings.parity != Parity::None
}

/// What a receiver at the wrong speed makes of bytes: something, and never what was sent. (A real one would also get their number wrong.)
fn garble(bytes: &mut [u8], mask: u8) {
    for byte in bytes {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    const IAC: u8 = 255;

    /// A host at the far end, and its server.
    fn pair() -> (TcpStream, Host) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        far.set_nodelay(true).unwrap();
        let near = Conn::accept(&listener).unwrap();
        (far, Host::new(near, b"hello"))
    }

    /// Serves until so many acts have come in.
    fn acts(host: &mut Host, want: usize) -> Vec<Act> {
        let mut acts = Vec::new();
        while acts.len() < want {
            let mut fds = [host.poll_fd(true)];
            rustix::event::poll(&mut fds, None).unwrap();
            assert!(host.serve(true, &mut acts), "the host is there");
        }
        acts
    }

    fn com(code: u8, value: &[u8]) -> Vec<u8> {
        [&[IAC, 250, 44, code][..], value, &[IAC, 240]].concat()
    }

    #[test]
    fn lines_breaks_and_bytes_keep_their_order() {
        let (mut far, mut host) = pair();
        let says = [vec![IAC, 251, 44], com(1, &115_200u32.to_be_bytes()), com(5, &[11]), b"ab".to_vec(), com(5, &[5]), b"c".to_vec(), com(5, &[12])]
            .concat();
        far.write_all(&says).unwrap();
        let seen = acts(&mut host, 5);
        assert_eq!(seen, [Act::Rts(true), Act::Bytes(b"ab".to_vec()), Act::Break, Act::Bytes(b"c".to_vec()), Act::Rts(false)]);
        assert!(!host.rts());
    }

    #[test]
    fn at_another_speed_both_sides_read_nonsense() {
        let (mut far, mut host) = pair();
        far.write_all(&[vec![IAC, 251, 44], com(1, &9_600u32.to_be_bytes()), b"login".to_vec()].concat()).unwrap();
        let seen = acts(&mut host, 1);
        assert_ne!(seen, [Act::Bytes(b"login".to_vec())]);
        for byte in 0..=255u8 {
            let mut one = [byte];
            garble(&mut one, TYPED);
            assert_ne!(one, [byte]);
            garble(&mut one, SAID);
            assert_ne!(one, [byte], "an echo");
        }
    }

    #[test]
    fn a_host_that_asks_and_never_reads_is_not_listened_to_for_ever() {
        let (mut far, mut host) = pair();
        far.set_nonblocking(true).unwrap();
        far.write_all(&[IAC, 251, 44]).unwrap();
        let ask = com(0, &[]).repeat(512);
        let mut sent = 0usize;
        // Either the sockets are full in both directions, or the host took everything: then it would take as much again.
        loop {
            let mut got = Vec::new();
            host.serve(true, &mut got);
            match far.write(&ask) {
                Ok(n) => sent += n,
                Err(_) if !host.input.is_empty() => break,
                Err(_) => {}
            }
            assert!(sent < 256 << 20, "requests without end are taken");
            assert!(host.input.len() <= 2048 && host.backlog.len() <= BACKLOG);
        }
    }

    #[test]
    fn what_was_said_before_comes_first() {
        let (mut far, mut host) = pair();
        assert!(host.hear(b" world"));
        let mut text = Vec::new();
        while !text.ends_with(b"hello world") {
            let mut part = [0; 64];
            let n = far.read(&mut part).unwrap();
            text.extend(&part[..n]);
            assert!(n > 0 && text.len() < 200, "{text:?}");
        }
    }
}
