//! What a network between the device and one destination does to their connections.

use std::time::Duration;

/// A fault of the way between the device and one destination of its connections (TCP), on top of whatever the service there does. Datagrams go unharmed.
///
/// Bytes and pieces are counted from a connection's beginning, in each direction by itself, as the driver has them: on wires with what TLS makes of them, in a
/// lab that models TLS without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Everything arrives so much later, in both directions.
    Delay(Duration),
    /// What the network loses is sent again: of the pieces of each direction every so-many-th arrives `again` later, and what is behind it waits. 0 counts as 1.
    Loss {
        /// One piece in so many.
        one_in: u32,
        /// How long it takes until it is there after all.
        again: Duration,
    },
    /// Half-open: connections that are up at this moment stay up, and nothing is heard on them any more, in neither direction, their ends included. That holds for
    /// good: a gateway has forgotten them. New connections are as good as ever.
    HalfOpen,
    /// A connection breaks as soon as so many bytes have gone to the device since the fault was laid: both sides are told by a reset.
    CutAfter(u64),
    /// One bit of about one byte in so many flips on the way to the device. With TLS no such record is taken by a device that looks at it. 0 counts as 1.
    Corrupt {
        /// One byte in so many.
        one_in: u32,
    },
}

impl Fault {
    /// Whether it takes time, so that a bench must not be in a hurry while it is there.
    pub fn takes_time(self) -> bool {
        matches!(self, Fault::Delay(_) | Fault::Loss { .. })
    }
}
