//! What a bad way does to a connection of the device: it is late, lost and sent again, half-open, cut, or bits of it flip.
//!
//! It stands in the lab's own end of the connection and not in a proxy before it: so the device's address stays its own, the cable stays what it is, and delays are
//! told in the bench's time. The kernels on both sides go on acknowledging what they get; what is held is held from the programs.

use super::ground::Ticks;
use super::places::lock;
use super::wired::Wired;
use crate::proxy::{Corrupt, Flips, Way};
use bytes::{Buf, Bytes};
use proofbench_channel::Moment;
use proofbench_channel::network::Fault;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Bytes that wait in one direction; who has more is not read, or not written to, until some have gone.
const WAITS_MOST: usize = 256 << 10;
/// Bytes that are read at once.
const PIECE: usize = 16 << 10;
/// Bench time can jump: a wait looks at it so often.
const SLICE: Duration = Duration::from_millis(20);

/// What the way of one connection is told while it lives.
#[derive(Clone, Default)]
pub(super) struct Told(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    fault: Option<Fault>,
    /// Nothing is heard on it any more.
    dead: bool,
    /// It was cut.
    cut: bool,
    /// How often it was told something.
    times: u64,
}

impl Told {
    pub(super) fn set(&self, fault: Option<Fault>) {
        let mut state = lock(&self.0);
        state.times += 1;
        state.dead |= fault == Some(Fault::HalfOpen);
        state.fault = fault.filter(|f| *f != Fault::HalfOpen);
    }

    /// Whether its end was the way's doing.
    pub(super) fn was_cut(&self) -> bool {
        lock(&self.0).cut
    }

    fn fault(&self) -> Option<Fault> {
        lock(&self.0).fault
    }

    fn is_dead(&self) -> bool {
        lock(&self.0).dead
    }
}

/// What waits in one direction.
#[derive(Default)]
struct Queue {
    waits: VecDeque<(Moment, Piece)>,
    bytes: usize,
    pieces: u32,
    last: Moment,
}

enum Piece {
    Bytes(Bytes),
    End,
    Failed(io::Error),
}

impl Queue {
    /// When what comes now arrives. Nothing overtakes what was late before it.
    fn due(&mut self, now: Moment, fault: Option<Fault>) -> Moment {
        self.pieces = self.pieces.saturating_add(1);
        let late = match fault {
            Some(Fault::Delay(by)) => by,
            Some(Fault::Loss { one_in, again }) if self.pieces.is_multiple_of(one_in.max(1)) => again,
            _ => Duration::ZERO,
        };
        self.last = (now + late).max(self.last);
        self.last
    }

    fn put(&mut self, due: Moment, piece: Piece) {
        if let Piece::Bytes(bytes) = &piece {
            self.bytes += bytes.len();
        }
        self.waits.push_back((due, piece));
    }
}

/// The way of one connection.
pub(super) struct Rough {
    told: Told,
    ticks: Ticks,
    number: u64,
    reading: Queue,
    writing: Queue,
    /// Bytes that went to the device, and how many of them when it was told something for the time that stands behind.
    written: u64,
    base: (u64, u64),
    timer: Option<Pin<Box<Sleep>>>,
}

impl Rough {
    pub(super) fn new(told: Told, ticks: Ticks, number: u64) -> Self {
        Self { told, ticks, number, reading: Queue::default(), writing: Queue::default(), written: 0, base: (0, 0), timer: None }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.told.is_dead()
    }

    /// Wakes the task when this moment may have come.
    fn wake(&mut self, cx: &mut Context<'_>, due: Moment) {
        let left = (self.ticks.left)(due).clamp(Duration::from_millis(1), SLICE);
        let timer = self.timer.insert(Box::pin(sleep(left)));
        if timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }

    /// Reads what has arrived by now. `Ready` with nothing in `buf` is the end.
    pub(super) fn read(&mut self, tcp: &mut Wired, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // What waits to be written goes out while somebody only listens.
        let _ = self.send(tcp, cx);
        if self.is_dead() {
            return Poll::Pending;
        }
        let fault = self.told.fault();
        if self.reading.waits.is_empty() && !fault.is_some_and(Fault::takes_time) {
            return Pin::new(tcp).poll_read(cx, buf);
        }
        self.listen(tcp, cx, fault);
        match self.reading.waits.front_mut() {
            None => Poll::Pending,
            Some((due, _)) if *due > (self.ticks.now)() => {
                let due = *due;
                self.wake(cx, due);
                Poll::Pending
            }
            Some((_, Piece::Bytes(bytes))) => {
                let count = bytes.len().min(buf.remaining());
                buf.put_slice(&bytes[..count]);
                bytes.advance(count);
                let done = bytes.is_empty();
                self.reading.bytes -= count;
                if done {
                    self.reading.waits.pop_front();
                }
                Poll::Ready(Ok(()))
            }
            // The last of all: it stays.
            Some((_, Piece::End)) => Poll::Ready(Ok(())),
            Some((_, Piece::Failed(e))) => Poll::Ready(Err(e.kind().into())),
        }
    }

    /// Takes what has come and lets it wait.
    fn listen(&mut self, tcp: &mut Wired, cx: &mut Context<'_>, fault: Option<Fault>) {
        while self.reading.bytes < WAITS_MOST && matches!(self.reading.waits.back(), None | Some((_, Piece::Bytes(_)))) {
            let mut bytes = [0; PIECE];
            let mut piece = ReadBuf::new(&mut bytes);
            let piece = match Pin::new(&mut *tcp).poll_read(cx, &mut piece) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) if piece.filled().is_empty() => Piece::End,
                Poll::Ready(Ok(())) => Piece::Bytes(Bytes::copy_from_slice(piece.filled())),
                Poll::Ready(Err(e)) => Piece::Failed(e),
            };
            let due = self.reading.due((self.ticks.now)(), fault);
            self.reading.put(due, piece);
        }
    }

    /// Takes bytes for the device.
    pub(super) fn write(&mut self, tcp: &mut Wired, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_dead() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let fault = self.told.fault();
        if let Poll::Ready(Err(e)) = self.send(tcp, cx) {
            return Poll::Ready(Err(e));
        }
        if !self.writing.waits.is_empty() || fault.is_some_and(Fault::takes_time) {
            if self.writing.bytes >= WAITS_MOST {
                // `send` wakes when the next one is due.
                return Poll::Pending;
            }
            let taken = &bytes[..bytes.len().min(PIECE)];
            let due = self.writing.due((self.ticks.now)(), fault);
            self.writing.put(due, Piece::Bytes(Bytes::copy_from_slice(taken)));
            let sent = self.send(tcp, cx);
            return if let Poll::Ready(Err(e)) = sent { Poll::Ready(Err(e)) } else { Poll::Ready(Ok(taken.len())) };
        }
        let mut whole = bytes.to_vec();
        match fault {
            Some(Fault::CutAfter(most)) => {
                let times = lock(&self.told.0).times;
                if self.base.1 != times {
                    self.base = (self.written, times);
                }
                let room = usize::try_from(most.saturating_sub(self.written - self.base.0)).unwrap_or(usize::MAX);
                if room == 0 {
                    lock(&self.told.0).cut = true;
                    // A reset; where the kernel will not, it is an end.
                    let _ = tcp.forget();
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                }
                whole.truncate(room);
            }
            Some(Fault::Corrupt { one_in }) => {
                let corrupt = Corrupt { way: Way::ToDevice, flips: Flips::Seeded { seed: 1, one_in: u64::from(one_in) } };
                corrupt.apply(&mut whole, self.written, self.number, Way::ToDevice);
            }
            _ => {}
        }
        let done = Pin::new(tcp).poll_write(cx, &whole);
        if let Poll::Ready(Ok(n)) = &done {
            self.written += *n as u64;
        }
        done
    }

    /// Sends what is due. `Ready` once nothing waits any more.
    pub(super) fn send(&mut self, tcp: &mut Wired, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_dead() {
            self.writing.waits.clear();
            self.writing.bytes = 0;
        }
        while let Some((due, piece)) = self.writing.waits.front_mut() {
            let Piece::Bytes(bytes) = piece else { break };
            if *due > (self.ticks.now)() {
                let due = *due;
                self.wake(cx, due);
                return Poll::Pending;
            }
            match Pin::new(&mut *tcp).poll_write(cx, bytes) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Ready(Ok(n)) => {
                    bytes.advance(n);
                    let done = bytes.is_empty();
                    (self.writing.bytes, self.written) = (self.writing.bytes - n, self.written + n as u64);
                    if done {
                        self.writing.waits.pop_front();
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}
