//! The device's network, as far as it has one: datagrams in, datagrams out. Whose datagram one is, only the bench knows.

use super::{Machine, World};
use crate::hw::Datagram;

/// From the bench into the device's buffers.
const TRANSIT_NS: u64 = 100_000;
/// Datagrams that wait for firmware; a device has buffers for no more, and what comes on top is lost.
const WAITING_MOST: usize = 16;

impl World {
    /// Sends a datagram to the device. It is lost without power, in reset, while firmware boots or hangs, and when too many wait already.
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
    /// Takes a datagram that the device has sent by now, oldest first.
    pub fn take_datagram(&mut self) -> Option<Datagram> {
        let tx = &mut self.hw.lines.net_tx;
        if tx.front().is_some_and(|(at, _)| *at <= self.now) { tx.pop().map(|(_, datagram)| datagram) } else { None }
    }
    /// When the next datagram that the application will get has arrived.
    pub(super) fn next_datagram(&self) -> Option<u64> {
        let (rx, state) = (&self.hw.lines.net_rx, &self.hw.state);
        (rx.first_number()..).zip(rx.iter()).find(|(n, (at, _))| *n >= state.net_taken && *at >= state.net_up).map(|(_, (at, _))| *at)
    }
}
