//! One direction of a connection: what is read waits in a short queue, and what is told at the moment decides how it goes on.

use super::Way;
use super::tcp::{Shared, TcpFault, Told};
use crate::capture::{Side, TcpFlow};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// Bytes that are read at once.
const PIECE: usize = 16 << 10;
/// Pieces that wait. With the one being put there, the one being written and the buffer that is read into, 272 KiB of a direction.
const PIECES: usize = 14;
/// What is sent at once at a limited rate is so long a time's worth.
const STEP: Duration = Duration::from_millis(20);

/// What was read.
enum Piece {
    Bytes(Vec<u8>),
    /// The side has sent all.
    End,
    /// The side broke off.
    Reset,
}

/// How a direction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Everything was passed on, the end too.
    Whole,
    /// One of the sides broke the connection off.
    Reset,
}

/// A direction's own.
pub(super) struct Line {
    pub shared: Arc<Shared>,
    pub fault: watch::Receiver<Told>,
    /// Number of the connection.
    pub number: u64,
    /// `ToService` or `ToDevice`.
    pub way: Way,
    pub flow: Option<Arc<Mutex<TcpFlow>>>,
}

/// What to do with a piece.
enum Turn {
    Pass,
    Lose,
    Reset,
}

/// Carries one direction until it ends. Dropping it loses what waits.
pub(super) async fn carry(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut line: Line) -> Ended {
    let (put, mut take) = mpsc::channel(PIECES);
    let reading = async {
        let mut buffer = vec![0; PIECE];
        loop {
            let piece = match from.read(&mut buffer).await {
                Ok(0) => Piece::End,
                Ok(n) => Piece::Bytes(buffer[..n].to_vec()),
                Err(_) => Piece::Reset,
            };
            let last = !matches!(piece, Piece::Bytes(_));
            if put.send((Instant::now(), piece)).await.is_err() || last {
                // The reader has nothing left to do; the writer says when the direction ends.
                return std::future::pending::<Ended>().await;
            }
        }
    };
    tokio::select! {
        ended = reading => ended,
        ended = line.write(&mut take, &mut to) => ended,
    }
}

impl Line {
    async fn write(&mut self, take: &mut mpsc::Receiver<(Instant, Piece)>, to: &mut WriteHalf<'_>) -> Ended {
        let mut place = 0;
        let mut lost_end = false;
        loop {
            let next = tokio::select! {
                next = take.recv(), if !lost_end => next,
                // What was lost with the end of a stream cannot come again: when the way is free, all that is left is to break off.
                () = self.free(), if lost_end => return Ended::Reset,
            };
            let Some((came, piece)) = next else { return Ended::Reset };
            match (self.turn(came).await, piece) {
                (Turn::Reset, _) => return Ended::Reset,
                (Turn::Lose, Piece::Bytes(bytes)) => {
                    self.shared.lost.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                    place += bytes.len() as u64;
                }
                (Turn::Lose, _) => lost_end = true,
                (Turn::Pass, Piece::Bytes(bytes)) => {
                    let length = bytes.len() as u64;
                    if self.pass(bytes, place, to).await == Some(Ended::Reset) {
                        return Ended::Reset;
                    }
                    place += length;
                }
                (Turn::Pass, Piece::End) => {
                    let ended = to.shutdown().await;
                    self.captured(|flow, side, at| flow.end(side, at));
                    return if ended.is_ok() { Ended::Whole } else { Ended::Reset };
                }
                (Turn::Pass, Piece::Reset) => return Ended::Reset,
            }
        }
    }

    /// Waits until a piece that came then may go on, or is known to be lost.
    async fn turn(&mut self, came: Instant) -> Turn {
        loop {
            let due = match &self.fault.borrow_and_update().fault {
                TcpFault::BlackHole(way) if way.has(self.way) => return Turn::Lose,
                TcpFault::Stall => None,
                TcpFault::Delay(delay) => Some(came + *delay),
                _ => return Turn::Pass,
            };
            let changed = tokio::select! {
                changed = self.fault.changed() => changed,
                () = until(due) => return Turn::Pass,
            };
            // Without a handle nobody needs the connection.
            if changed.is_err() {
                return Turn::Reset;
            }
        }
    }

    /// Returns when this direction is no black hole any more.
    async fn free(&mut self) {
        let way = self.way;
        // Without a handle there is nothing to wait for either.
        let _ = self.fault.wait_for(|told| !matches!(&told.fault, TcpFault::BlackHole(w) if w.has(way)) && told.fault != TcpFault::Stall).await;
    }

    async fn pass(&mut self, mut bytes: Vec<u8>, place: u64, to: &mut WriteHalf<'_>) -> Option<Ended> {
        let corrupt = match &self.fault.borrow().fault {
            TcpFault::Corrupt(corrupt) => Some(corrupt.clone()),
            _ => None,
        };
        if let Some(corrupt) = corrupt {
            let changed = corrupt.apply(&mut bytes, place, self.number, self.way);
            if changed > 0 {
                self.shared.say(format!(
                    "connection {}: corrupts {changed} bytes of {} from byte {place} {}",
                    self.number,
                    bytes.len(),
                    self.way.name()
                ));
            }
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            // A switch counts from the next write on, for what is left of a piece too.
            let came = Instant::now();
            let (most, pause) = match &self.fault.borrow().fault {
                TcpFault::Rate(rate) => {
                    let most = (u64::from(rate.get()) * STEP.as_millis() as u64 / 1_000).clamp(1, rest.len() as u64);
                    (most as usize, Some(Duration::from_secs_f64(most as f64 / f64::from(rate.get()))))
                }
                TcpFault::Stall => (0, None),
                TcpFault::BlackHole(way) if way.has(self.way) => {
                    self.shared.lost.fetch_add(rest.len() as u64, Ordering::Relaxed);
                    return None;
                }
                _ => (rest.len(), None),
            };
            if most == 0 {
                if matches!(self.turn(came).await, Turn::Reset) {
                    return Some(Ended::Reset);
                }
                continue;
            }
            let written = tokio::select! {
                written = to.write(&rest[..most]) => written,
                changed = self.fault.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return Some(Ended::Reset),
                },
            };
            let Ok(n @ 1..) = written else { return Some(Ended::Reset) };
            self.shared.passed(self.way).fetch_add(n as u64, Ordering::Relaxed);
            let sent = &rest[..n];
            self.captured(|flow, side, at| flow.data(side, sent, at, None));
            rest = &rest[n..];
            if let Some(pause) = pause {
                tokio::select! {
                    () = sleep_until(came + pause) => {}
                    _ = self.fault.changed() => {}
                }
            }
        }
        None
    }

    fn captured(&self, put: impl FnOnce(&mut TcpFlow, Side, proofbench_channel::Moment)) {
        if let Some(flow) = &self.flow {
            let side = if self.way == Way::ToService { Side::Client } else { Side::Server };
            put(&mut flow.lock().unwrap_or_else(PoisonError::into_inner), side, self.shared.timeline.now());
        }
    }
}

/// Sleeps until then, or for ever.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
