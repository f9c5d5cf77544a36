//! The device's network from outside: datagrams of the SMP server, and the module's link with everything that goes over it.
//!
//! Whoever is [`Outside`] hears what the device sends at the moment at which it sends it, whatever the bench waits for meanwhile.

use super::{Machine, World};
use crate::hw::Datagram;
use crate::hw::net::{FROM_OUTSIDE, Listener, NetIn, NetOut};
use std::cell::RefCell;
use std::rc::Rc;

/// From the bench into the device's buffers, and back.
pub const TRANSIT_NS: u64 = 100_000;
/// Datagrams that wait for firmware; a device has buffers for no more, and what comes on top is lost.
const WAITING_MOST: usize = 16;
/// Pieces of streams that wait for firmware. What comes on top is lost, and the connection with it.
const PIECES_MOST: usize = 4096;

/// What is at the other end of the device's link. It is handed what the device sends, and answers with what comes in and after how many nanoseconds.
pub trait Outside {
    /// The device sent this now.
    fn hear(&mut self, now: u64, out: NetOut, answers: &mut Vec<(u64, NetIn)>);
    /// When it wants [`Outside::due`] next.
    fn timer(&self) -> Option<u64>;
    /// The time has come.
    fn due(&mut self, now: u64, answers: &mut Vec<(u64, NetIn)>);
}

/// What became of an attempt to connect to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knock {
    /// It is up, under this number.
    Open(u64),
    /// Refused.
    Refused,
    /// No answer.
    Silent,
}

impl World {
    /// Sends a datagram to the SMP server. It is lost without power, in reset, while firmware boots or hangs, and when too many wait already.
    pub fn datagram(&mut self, datagram: Datagram) {
        if matches!(self.machine, Machine::Off | Machine::Held | Machine::Stuck(_)) {
            return;
        }
        let (rx, taken) = (&mut self.hw.lines.net_rx, self.hw.state.net_taken);
        let waiting = (rx.first_number()..).zip(rx.iter()).filter(|(n, _)| *n >= taken).count();
        if waiting < WAITING_MOST {
            rx.push((self.now + TRANSIT_NS, datagram));
        }
    }
    /// Takes a datagram that the SMP server has sent by now, oldest first.
    pub fn take_datagram(&mut self) -> Option<Datagram> {
        let tx = &mut self.hw.lines.net_tx;
        if tx.front().is_some_and(|(at, _)| *at <= self.now) { tx.pop().map(|(_, datagram)| datagram) } else { None }
    }
    /// When the next datagram that the application will get has arrived.
    pub(super) fn next_datagram(&self) -> Option<u64> {
        let (rx, state) = (&self.hw.lines.net_rx, &self.hw.state);
        (rx.first_number()..).zip(rx.iter()).find(|(n, (at, _))| *n >= state.net_taken && *at >= state.net_up).map(|(_, (at, _))| *at)
    }

    // --- the module's link ------------------------------------------------------------------------------------------------------------------

    /// Plugs the link in or pulls it. It is out when the world begins.
    pub fn set_link(&mut self, up: bool) {
        if self.link != up {
            self.link = up;
            self.hw.lines.link_rx.push((self.now + TRANSIT_NS, NetIn::Link(up)));
        }
    }
    /// Puts somebody at the other end. Without anybody, what the device sends waits for [`World::take_net`].
    pub fn set_outside(&mut self, outside: Rc<RefCell<dyn Outside>>) {
        self.outside = Some(outside);
    }
    /// Whether the link is in.
    pub fn has_link(&self) -> bool {
        self.link
    }
    /// Takes what the device has sent by now, oldest first; for boards, which have the real world outside. While the link is out, attempts and datagrams
    /// are lost; what belongs to connections comes, for the module to keep.
    pub fn take_net(&mut self) -> Option<NetOut> {
        while self.hw.lines.link_tx.front().is_some_and(|(at, _)| *at <= self.now) {
            let (_, sent) = self.hw.lines.link_tx.pop()?;
            if self.link || matches!(sent, NetOut::Data(..) | NetOut::End { .. }) {
                return Some(sent);
            }
        }
        None
    }
    /// How much waits for firmware. Who gives it more than it takes loses pieces.
    pub fn net_waits(&self) -> u64 {
        let rx = &self.hw.lines.link_rx;
        rx.mark().saturating_sub(self.hw.state.module.taken.max(rx.first_number()))
    }
    /// Hands something to the module. It is lost while the link is out, and without a module that runs.
    pub fn net_in(&mut self, what: NetIn) {
        self.arrive(TRANSIT_NS, what);
    }
    fn arrive(&mut self, after: u64, what: NetIn) {
        if !self.link || matches!(self.machine, Machine::Off | Machine::Held) {
            return;
        }
        if self.net_waits() < PIECES_MOST as u64 {
            self.hw.lines.link_rx.push((self.now + after, what));
        }
    }
    /// Somebody connects to a port of the device from one of his addresses.
    pub fn knock(&mut self, port: u16, from: u8) -> Knock {
        if !self.is_on_the_net() {
            return Knock::Silent;
        }
        if self.listener(port).is_none() {
            return Knock::Refused;
        }
        self.knocks += 1;
        let conn = FROM_OUTSIDE | self.knocks;
        self.net_in(NetIn::Accepted { conn, port, from });
        Knock::Open(conn)
    }
    /// The port's listener, if it is open now.
    pub fn listener(&self, port: u16) -> Option<&Listener> {
        self.hw.state.module.tcp.get(&port).filter(|l| l.since <= self.now && self.is_on_the_net())
    }
    /// TCP ports that are open now.
    pub fn open_ports(&self) -> impl Iterator<Item = u16> {
        let up = self.is_on_the_net();
        self.hw.state.module.tcp.iter().filter(move |(_, l)| up && l.since <= self.now).map(|(port, _)| *port)
    }
    /// Whether datagrams to this port are taken.
    pub fn is_bound(&self, port: u16) -> bool {
        self.hw.state.module.udp.contains(&port)
    }
    /// UDP ports that are bound now.
    pub fn bound_ports(&self) -> impl Iterator<Item = u16> {
        let up = self.is_on_the_net();
        self.hw.state.module.udp.iter().filter(move |_| up).copied()
    }
    /// Whether the device answers on the network at all: link in, power, module set up by firmware.
    pub fn is_on_the_net(&self) -> bool {
        self.link && self.hw.state.net_up <= self.now && matches!(self.machine, Machine::Running | Machine::Stuck(_))
    }
    /// Whether the device still knows this connection.
    pub fn knows(&self, conn: u64) -> bool {
        self.hw.state.module.conns.contains(&conn)
    }
    /// When the next thing that firmware will get has arrived.
    pub(super) fn next_net(&self) -> Option<u64> {
        let (rx, state) = (&self.hw.lines.link_rx, &self.hw.state);
        (rx.first_number()..).zip(rx.iter()).find(|(n, (at, what))| state.awaits(*n, *at, what)).map(|(_, (at, _))| *at)
    }
    /// When the outside is to be given something, or wants its turn.
    pub(super) fn next_outside(&self) -> Option<u64> {
        let outside = self.outside.as_ref()?;
        let sent = self.hw.lines.link_tx.front().map(|(at, _)| *at);
        [sent, outside.borrow().timer()].into_iter().flatten().min()
    }
    pub(super) fn serve_outside(&mut self) {
        let Some(outside) = self.outside.clone() else { return };
        let mut answers = Vec::new();
        if self.hw.lines.link_tx.front().is_some_and(|(at, _)| *at <= self.now) {
            if let Some((_, out)) = self.hw.lines.link_tx.pop()
                && self.link
            {
                outside.borrow_mut().hear(self.now, out, &mut answers);
            }
        } else {
            outside.borrow_mut().due(self.now, &mut answers);
        }
        for (after, what) in answers {
            self.arrive(after.max(TRANSIT_NS), what);
        }
    }
}
