//! A TCP connection in a capture.

use super::file::Capture;
use super::packet::{ACK, FIN, PSH, RST, SYN, Segment, one_family, tcp};
use proofbench_channel::Moment;
use std::net::SocketAddr;

/// Bytes of a segment: what both sides offer in their SYN.
const SEGMENT: usize = 1_440;
/// Bytes that are acknowledged at once; the scaled window is larger.
const ACKNOWLEDGE: usize = 64 << 10;

/// Who sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Who opened the connection.
    Client,
    /// Who accepted it.
    Server,
}

/// A TCP connection in a capture, open since it was made. Dropping it leaves the connection open in the capture.
#[derive(Debug)]
pub struct TcpFlow {
    capture: Capture,
    addresses: [SocketAddr; 2],
    /// The next sequence number of each side.
    next: [u32; 2],
    ended: [bool; 2],
    reset: bool,
}

impl TcpFlow {
    pub(super) fn open(capture: Capture, client: SocketAddr, server: SocketAddr, number: u32, at: Moment) -> Self {
        let (client, server) = one_family(client, server);
        let first = number.wrapping_mul(0x0100_0001);
        let mut flow = Self { capture, addresses: [client, server], next: [first, first.wrapping_add(0x8000_0000)], ended: [false; 2], reset: false };
        flow.send(Side::Client, SYN, &[], at, None);
        flow.send(Side::Server, SYN | ACK, &[], at, None);
        flow.send(Side::Client, ACK, &[], at, None);
        flow
    }

    /// Bytes that a side sent, in as many segments as they need; the comment is the first segment's. Nothing after that side's end or a reset.
    pub fn data(&mut self, from: Side, bytes: &[u8], at: Moment, comment: Option<&str>) {
        if self.reset || self.ended[from as usize] {
            return;
        }
        let mut comment = comment;
        for window in bytes.chunks(ACKNOWLEDGE) {
            for segment in window.chunks(SEGMENT) {
                self.send(from, PSH | ACK, segment, at, comment.take());
            }
            self.send(from.other(), ACK, &[], at, None);
        }
    }

    /// The side has sent all that it will (FIN).
    pub fn end(&mut self, from: Side, at: Moment) {
        if self.reset || std::mem::replace(&mut self.ended[from as usize], true) {
            return;
        }
        self.send(from, FIN | ACK, &[], at, None);
        self.send(from.other(), ACK, &[], at, None);
    }

    /// The side broke the connection off (RST). Nothing after it.
    pub fn reset(&mut self, from: Side, at: Moment, comment: Option<&str>) {
        if !std::mem::replace(&mut self.reset, true) {
            self.send(from, RST | ACK, &[], at, comment);
        }
    }

    fn send(&mut self, from: Side, flags: u8, payload: &[u8], at: Moment, comment: Option<&str>) {
        let (own, other) = (from as usize, from.other() as usize);
        let acknowledged = if flags & ACK == 0 { 0 } else { self.next[other] };
        let segment = Segment { sequence: self.next[own], acknowledged, flags };
        self.capture.packet(&tcp(self.addresses[own], self.addresses[other], segment, payload), at, comment);
        // A segment is shorter than 2^16.
        let counted = payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        self.next[own] = self.next[own].wrapping_add(counted);
    }
}

impl Side {
    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}
