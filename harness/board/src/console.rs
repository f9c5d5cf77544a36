//! The console's wires: a terminal, raw TCP, RFC 2217. What is typed into any of them reaches the one UART; what the device says goes to all.

use crate::comport::{Act, Host};
use crate::conn::{BACKLOG, Conn, Got};
use crate::device::Device;
use crate::pty::Pty;
use proofbench_emulator::Uart;
use rustix::event::{PollFd, PollFlags};
use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;

/// Most hosts of one kind at once; one too many is hung up on.
const HOSTS_MOST: usize = 8;

/// What the device said before the first host came, so that a boot log is not lost to whoever connects as soon as he can. A terminal keeps as much.
#[derive(Debug, Default)]
struct Before(Option<VecDeque<u8>>);

impl Before {
    fn new() -> Self {
        Self(Some(VecDeque::new()))
    }
    fn hear(&mut self, bytes: &[u8]) {
        if let Some(kept) = &mut self.0 {
            kept.extend(bytes);
            let over = kept.len().saturating_sub(BACKLOG);
            kept.drain(..over);
        }
    }
    fn take(&mut self) -> Vec<u8> {
        self.0.take().unwrap_or_default().into()
    }
}

/// All of them.
pub struct Console {
    /// The terminal.
    pub pty: Pty,
    raw: Vec<Conn>,
    raw_before: Before,
    com: Vec<Host>,
    com_before: Before,
}

impl Console {
    /// A console with nobody at it but the terminal.
    pub fn new(pty: Pty) -> Self {
        Self { pty, raw: Vec::new(), raw_before: Before::new(), com: Vec::new(), com_before: Before::new() }
    }

    /// Takes new hosts.
    pub fn accept(&mut self, raw: &TcpListener, com: &TcpListener) {
        if let Some(mut conn) = Conn::accept(raw)
            && self.raw.len() < HOSTS_MOST
            && conn.send_lossy(&self.raw_before.take())
        {
            self.raw.push(conn);
        }
        if let Some(conn) = Conn::accept(com)
            && self.com.len() < HOSTS_MOST
        {
            self.com.push(Host::new(conn, &self.com_before.take()));
        }
    }

    /// What to poll; `listen` says whether the device takes more.
    pub fn poll_fds<'a>(&'a self, listen: bool, into: &mut Vec<PollFd<'a>>) {
        into.push(self.pty.poll_fd(listen));
        into.extend(self.raw.iter().map(|conn| {
            let less = if listen { PollFlags::IN } else { PollFlags::empty() };
            let more = if conn.is_behind() { PollFlags::OUT } else { PollFlags::empty() };
            conn.poll_fd(less | more)
        }));
        into.extend(self.com.iter().map(|host| host.poll_fd(listen)));
    }

    /// Sends what the device says to everybody.
    pub fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.raw_before.hear(bytes);
        self.com_before.hear(bytes);
        self.raw.retain_mut(|conn| conn.send_lossy(bytes));
        // Who has gone is noticed, and his lines are let go, when he is served next.
        for host in &mut self.com {
            host.hear(bytes);
        }
        self.pty.send(bytes)
    }

    /// Hands over what has been typed and what was done to the lines. Says whether there was anything.
    pub fn serve(&mut self, device: &mut Device) -> io::Result<bool> {
        let mut arrived = [0; 4096];
        self.pty.flush()?;
        let mut heard = false;
        if device.takes_more(Uart::Console) {
            let n = self.pty.read(&mut arrived)?;
            device.world.write(Uart::Console, &arrived[..n]);
            heard = n > 0;
        }
        self.raw.retain_mut(|conn| {
            if !conn.flush() {
                return false;
            }
            if !device.takes_more(Uart::Console) {
                return true;
            }
            match conn.read(&mut arrived) {
                Got::Bytes(n) => {
                    device.world.write(Uart::Console, &arrived[..n]);
                    heard = true;
                    true
                }
                Got::Nothing => true,
                Got::Gone => false,
            }
        });
        for n in (0..self.com.len()).rev() {
            let mut acts = Vec::new();
            let there = self.com[n].serve(device.takes_more(Uart::Console), &mut acts);
            heard |= !acts.is_empty();
            for act in acts {
                match act {
                    Act::Bytes(bytes) => device.world.write(Uart::Console, &bytes),
                    Act::Break => device.world.send_break(Uart::Console),
                    Act::Rts(on) => device.set_nrst_rts(on || self.com.iter().enumerate().any(|(m, host)| m != n && host.rts())),
                }
            }
            if !there {
                self.com.remove(n);
                device.set_nrst_rts(self.com.iter().any(Host::rts));
            }
        }
        Ok(heard)
    }
}
