//! The state that the task on one line shares with the blocking side: what has arrived, what is to be done.

use super::ControlLine;
use super::wire::{Failure, Levels};
use crate::TimeBase;
use proofbench_channel::{ChannelError, ErrorKind, Moment, Wait};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Bytes kept for a reader that does not read. Beyond it the capture stops and the kernel, then the device, is held up: nothing is lost here.
pub(super) const KEEP_MOST: usize = 4 * 1024 * 1024;
/// More that may arrive while a server's word on a control line is waited for, which comes behind what the device says.
const KEEP_MORE: usize = 4 * 1024 * 1024;
/// What a piece costs beside its bytes: a device that trickles must not cost more memory than one that floods.
const PIECE: usize = 64;
/// How long closing waits for the task to let go of the line.
const CLOSE: Duration = Duration::from_secs(2);

/// What happened on the line.
pub(super) enum Event {
    /// Bytes arrived, the last of them at this moment.
    Bytes(Moment),
    /// The line vanished.
    Gone,
}

enum Queued {
    Bytes(Moment, Vec<u8>),
    Gone,
}

/// What is to be done on the line.
pub(super) enum Order {
    Write(Vec<u8>),
    Break,
    Line(ControlLine, bool),
}

/// The one order that is on its way.
enum Out {
    /// None.
    Idle,
    /// Not begun yet.
    Asked(Order),
    /// Begun. `Idle` in its place tells the task to drop it.
    Busy,
    /// Finished.
    Done(Result<(), Failure>),
}

struct State {
    queue: VecDeque<Queued>,
    /// Bytes in the queue, and what the pieces cost.
    kept: usize,
    /// Whether the line is open now.
    attached: bool,
    /// Whether the last thing that was put into the queue says that the line is gone.
    told_gone: bool,
    /// Why it could not be opened the last time.
    trouble: Option<ChannelError>,
    out: Out,
    levels: Levels,
    closing: bool,
    ended: bool,
}

/// What the task is to do next.
pub(super) struct Look {
    /// Whether more may be read.
    pub room: bool,
    /// Whether nobody waits any more for the order that was begun.
    pub dropped: bool,
    /// An order to begin.
    pub order: Option<Order>,
    /// Whether the line is to be closed.
    pub closing: bool,
}

/// The shared state, and the two ways of waking who waits for it.
pub(super) struct Capture {
    state: Mutex<State>,
    changed: Condvar,
    poked: Notify,
}

/// The blocking side.
impl Capture {
    pub fn new(attached: bool, levels: Levels) -> Self {
        let mut queue = VecDeque::new();
        if !attached {
            queue.push_back(Queued::Gone);
        }
        let state = State { queue, kept: 0, attached, told_gone: !attached, trouble: None, out: Out::Idle, levels, closing: false, ended: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), poked: Notify::new() }
    }

    /// The state stays consistent whatever a holder did: every change is one assignment.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change, at most so long.
    fn wait<'a>(&'a self, state: MutexGuard<'a, State>, at_most: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, at_most).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Moves what has arrived into `into`, at most `most` bytes; waits for it if there is nothing. None at the deadline.
    pub fn read(&self, time: TimeBase, into: &mut Vec<u8>, most: usize, wait: &Wait) -> Result<Option<Event>, ChannelError> {
        let mut state = self.lock();
        loop {
            if wait.cancel.is_cancelled() {
                return Err(ChannelError::new(ErrorKind::Cancelled, "read"));
            }
            if let Some(event) = state.take(into, most) {
                self.poked.notify_one();
                return Ok(Some(event));
            }
            match time.slice(wait, "read") {
                Ok(slice) => state = self.wait(state, slice),
                Err(e) if e.kind == ErrorKind::Timeout => return Ok(None),
                Err(e) => return Err(e),
            }
        }
    }

    /// Has an order carried out, and waits for it. A line that is not there is `Disconnected` only if it does not come back before the deadline; one
    /// that goes while the order is carried out is `Disconnected` at once. An order that is given up is not carried out later.
    pub fn order(&self, time: TimeBase, order: Order, doing: &str, wait: &Wait) -> Result<(), ChannelError> {
        wait.check(time.now(), doing)?;
        let mut state = self.lock();
        let mut order = Some(order);
        loop {
            match &mut state.out {
                Out::Idle => {
                    if let Some(order) = order.take() {
                        state.out = Out::Asked(order);
                        self.poked.notify_one();
                    }
                }
                // While the own order waits, this is the end of somebody else's.
                Out::Done(result) if order.is_none() => {
                    let result = std::mem::replace(result, Ok(()));
                    state.out = Out::Idle;
                    self.changed.notify_all();
                    return result.map_err(|f| ChannelError::caused(f.kind, doing, f.why));
                }
                Out::Done(_) | Out::Asked(_) | Out::Busy => {}
            }
            let slice = if state.ended { Err(ChannelError::new(ErrorKind::Disconnected, doing)) } else { time.slice(wait, doing) };
            match slice {
                Ok(slice) => state = self.wait(state, slice),
                Err(e) => {
                    if order.is_none() {
                        // Whatever has not been sent yet must not be sent later.
                        state.out = Out::Idle;
                        self.poked.notify_one();
                        self.changed.notify_all();
                    }
                    return Err(match (e.kind, state.attached) {
                        (ErrorKind::Timeout, false) => state.gone_error(doing),
                        _ => e,
                    });
                }
            }
        }
    }

    /// Has the control line driven to this level whenever the wire is opened from now on.
    pub fn want(&self, line: ControlLine, asserted: Option<bool>) {
        self.lock().levels.set(line, asserted);
    }

    /// Whether the line is open now.
    pub fn is_attached(&self) -> bool {
        self.lock().attached
    }

    /// Ends the task and waits until it has let go of the line.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closing = true;
        self.poked.notify_one();
        let _ = self.changed.wait_timeout_while(state, CLOSE, |s| !s.ended);
    }
}

/// The task's side.
impl Capture {
    /// Returns when the other side has changed something.
    pub async fn poked(&self) {
        self.poked.notified().await;
    }

    /// Returns when the line is to be closed.
    pub async fn closed(&self) {
        while !self.lock().closing {
            self.poked.notified().await;
        }
    }

    /// What to do next. `confirming`: a server's word on a control line is waited for.
    pub fn look(&self, confirming: bool) -> Look {
        let mut state = self.lock();
        let order = match std::mem::replace(&mut state.out, Out::Busy) {
            Out::Asked(order) => Some(order),
            other => {
                state.out = other;
                None
            }
        };
        Look {
            room: state.kept < if confirming { KEEP_MOST + KEEP_MORE } else { KEEP_MOST },
            dropped: order.is_none() && !matches!(state.out, Out::Busy),
            order,
            closing: state.closing,
        }
    }

    pub fn levels(&self) -> Levels {
        self.lock().levels
    }

    pub fn attached(&self) {
        self.change(|s| (s.attached, s.trouble) = (true, None));
    }

    /// Bytes have arrived.
    pub fn arrived(&self, at: Moment, bytes: &[u8]) {
        self.change(|s| {
            s.kept += bytes.len() + PIECE;
            s.told_gone = false;
            s.queue.push_back(Queued::Bytes(at, bytes.to_vec()));
        });
    }

    /// The line was lost. `never_back`: it had not really come back since the last time.
    pub fn lost(&self, never_back: bool) {
        self.change(|s| {
            s.attached = false;
            let told = matches!(s.queue.back(), Some(Queued::Gone)) || (never_back && s.told_gone);
            if !told {
                s.queue.push_back(Queued::Gone);
                s.told_gone = true;
            }
        });
    }

    /// The line could not be opened.
    pub fn trouble(&self, e: ChannelError) {
        self.lock().trouble = Some(e);
    }

    /// Ends the order that was begun, unless nobody waits for it any more.
    pub fn done(&self, result: Result<(), Failure>) {
        self.change(|s| {
            if matches!(s.out, Out::Busy) {
                s.out = Out::Done(result);
            }
        });
    }

    /// Puts an order back of which nothing was done, unless nobody waits for it any more.
    pub fn again(&self, order: Order) {
        self.change(|s| {
            if matches!(s.out, Out::Busy) {
                s.out = Out::Asked(order);
            }
        });
    }

    /// The task has let go of the line.
    pub fn ended(&self) {
        self.change(|s| (s.attached, s.ended) = (false, true));
    }

    fn change(&self, f: impl FnOnce(&mut State)) {
        f(&mut self.lock());
        self.changed.notify_all();
    }
}

impl State {
    /// Moves what has arrived into `into`, at most `most` bytes. Bytes that came before a loss are delivered before it is told.
    fn take(&mut self, into: &mut Vec<u8>, most: usize) -> Option<Event> {
        let mut last = None;
        let mut room = most;
        while room > 0 {
            match self.queue.front_mut() {
                Some(Queued::Bytes(at, bytes)) => {
                    let n = bytes.len().min(room);
                    into.extend_from_slice(&bytes[..n]);
                    (room, self.kept, last) = (room - n, self.kept - n, Some(*at));
                    if n < bytes.len() {
                        bytes.drain(..n);
                    } else {
                        self.kept -= PIECE;
                        self.queue.pop_front();
                    }
                }
                Some(Queued::Gone) if last.is_none() => {
                    self.queue.pop_front();
                    return Some(Event::Gone);
                }
                _ => break,
            }
        }
        last.map(Event::Bytes)
    }

    /// The error of a line that did not come back.
    fn gone_error(&mut self, doing: &str) -> ChannelError {
        match self.trouble.take() {
            Some(e) => ChannelError::caused(ErrorKind::Disconnected, doing, e),
            None => ChannelError::new(ErrorKind::Disconnected, doing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proofbench_channel::Cancel;

    #[test]
    fn a_loss_is_told_once_however_often_a_server_hangs_up_at_once() {
        let capture = Capture::new(true, Levels::default());
        let time = TimeBase::real();
        let take = |into: &mut Vec<u8>| capture.read(time, into, 100, &Wait::until(Moment(0), &Cancel::new())).unwrap();
        let mut bytes = Vec::new();
        capture.arrived(Moment(1), b"last words");
        capture.lost(false);
        assert!(matches!(take(&mut bytes), Some(Event::Bytes(Moment(1)))));
        assert_eq!(bytes, b"last words");
        assert!(matches!(take(&mut bytes), Some(Event::Gone)));
        for _ in 0..3 {
            capture.attached();
            capture.lost(true);
            assert!(take(&mut bytes).is_none());
        }
        capture.attached();
        capture.lost(false);
        assert!(matches!(take(&mut bytes), Some(Event::Gone)), "it had been back");
    }

    #[test]
    fn a_trickle_fills_the_queue_as_a_flood_does() {
        let capture = Capture::new(true, Levels::default());
        let mut pieces = 0;
        while capture.look(false).room {
            capture.arrived(Moment(0), b"x");
            pieces += 1;
        }
        assert!(pieces <= KEEP_MOST / PIECE);
        assert!(capture.look(true).room, "a server's word is waited for a little longer");
        let mut all = Vec::new();
        let wait = Wait::until(Moment(0), &Cancel::new());
        while capture.read(TimeBase::real(), &mut all, 64 * 1024, &wait).unwrap().is_some() {}
        assert_eq!((all.len(), capture.lock().kept), (pieces, 0));
    }
}
