//! The serial ports, seen from outside.

use super::{Machine, World};
use crate::hw::{Input, Uart};

/// Most bytes that one take hands out.
const MOST: usize = 65_536;

impl World {
    /// Sends bytes to the device at line speed. A device without power, or with its reset held, hears nothing.
    pub fn write(&mut self, uart: Uart, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.send(uart, Input::Bytes(bytes.to_vec()), bytes.len() as u64);
        }
    }
    /// Sends a BREAK.
    pub fn send_break(&mut self, uart: Uart) {
        self.send(uart, Input::Break, 2);
    }
    /// How long the line to the device is still busy with what was sent, in nanoseconds.
    pub fn line_busy(&self, uart: Uart) -> u64 {
        self.rx_free[uart as usize].saturating_sub(self.now)
    }
    /// How many BREAKs firmware has taken from this UART since the world began. What it makes of them is its own business; this product ignores them.
    pub fn breaks(&self, uart: Uart) -> u32 {
        self.hw.state.breaks[uart as usize]
    }
    fn send(&mut self, uart: Uart, input: Input, bytes: u64) {
        let u = uart as usize;
        let at = self.rx_free[u].max(self.now) + bytes * uart.byte_ns();
        self.rx_free[u] = at;
        if matches!(self.machine, Machine::Off | Machine::Held | Machine::Stuck(_)) {
            return;
        }
        self.hw.lines.rx[u].push((at, input));
        if self.hw.state.polled[u] >= at {
            self.rerun(None);
        }
    }
    /// When the next input that the application will get has arrived.
    pub(super) fn next_rx(&mut self, uart: Uart) -> Option<u64> {
        let u = uart as usize;
        let (rx, state) = (&self.hw.lines.rx[u], &self.hw.state);
        (rx.first_number()..).zip(rx.iter()).find(|(n, (at, _))| *n >= state.taken[u] && *at >= state.uart_open[u]).map(|(_, (at, _))| *at)
    }
    /// Takes what the device has sent by now, with the time of its last byte. At most 64 KiB a call.
    pub fn take(&mut self, uart: Uart) -> Option<(u64, Vec<u8>)> {
        let (u, byte) = (uart as usize, uart.byte_ns());
        let (mut bytes, mut last) = (Vec::new(), 0);
        while let Some(front) = self.hw.lines.tx[u].front() {
            let sent = (self.now.saturating_sub(front.start) / byte).min(front.bytes.len() as u64) as usize;
            let done = self.front_done[u];
            let sent = sent.min(done + MOST - bytes.len());
            if sent > done {
                bytes.extend_from_slice(&front.bytes[done..sent]);
                last = front.start + sent as u64 * byte;
                self.front_done[u] = sent;
            }
            if sent < front.bytes.len() {
                break;
            }
            self.hw.lines.tx[u].pop();
            self.front_done[u] = 0;
        }
        (!bytes.is_empty()).then_some((last, bytes))
    }
    pub(super) fn has_output(&self, uart: Uart) -> bool {
        let u = uart as usize;
        self.hw.lines.tx[u].front().is_some_and(|f| self.now >= f.start + (self.front_done[u] as u64 + 1) * uart.byte_ns())
    }
    /// When the chunk that is on the line will be complete.
    pub(super) fn chunk_end(&self, uart: Uart) -> Option<u64> {
        self.hw.lines.tx[uart as usize].front().map(|f| f.start + f.bytes.len() as u64 * uart.byte_ns())
    }
    /// The transmitters stop: what has not left by now never does.
    pub(super) fn cut_lines(&mut self) {
        let now = self.now;
        for uart in Uart::ALL {
            let u = uart as usize;
            let tx = &mut self.hw.lines.tx[u];
            tx.drop_newest_while(|s| s.start + uart.byte_ns() > now);
            if let Some(last) = tx.back_mut() {
                last.bytes.truncate(((now - last.start) / uart.byte_ns()) as usize);
            }
            if tx.front().is_none() {
                self.front_done[u] = 0;
            }
            self.hw.state.tx_free[u] = now;
        }
        self.hw.lines.net_tx.drop_newest_while(|(at, _)| *at > now);
        self.hw.lines.link_tx.drop_newest_while(|(at, _)| *at > now);
        self.hw.lines.leds.drop_newest_while(|(at, _)| *at > now);
        self.hw.lines.timed.drop_newest_while(|op| op.start_ns > now);
    }
}
