//! The task that listens to one port, and the state it shares with the blocking side.

use super::{SerialSetup, port};
use proofbench_channel::{ChannelError, ErrorKind, Moment};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio_serial::{SerialPort, SerialStream};

/// Bytes kept for a reader that does not read. Beyond it the capture stops and the kernel, then the device, is held up: nothing is lost here.
const KEEP_MOST: usize = 4 * 1024 * 1024;
/// How often a vanished port is looked for.
const REOPEN: Duration = Duration::from_millis(5);
/// Length of a BREAK.
const BREAK: Duration = Duration::from_millis(250);
/// How long closing waits for the task to let go of the port.
const CLOSE: Duration = Duration::from_secs(2);

/// What happened on the port.
pub(super) enum Event {
    /// Bytes arrived, the last of them at this moment.
    Bytes(Moment),
    /// The port vanished.
    Gone,
}

enum Queued {
    Bytes(Moment, Vec<u8>),
    Gone,
}

/// What is to be sent. One order at a time: the console is used exclusively.
pub(super) enum Out {
    /// Nothing.
    Idle,
    /// These bytes, not begun yet.
    Write(Vec<u8>),
    /// A BREAK, not begun yet.
    Break,
    /// Begun. `Idle` in its place tells the task to drop it.
    Busy,
    /// Finished.
    Done(Result<(), String>),
}

/// The shared state.
pub(super) struct State {
    queue: VecDeque<Queued>,
    kept: usize,
    /// Whether the port is open now.
    pub(super) attached: bool,
    /// Why it could not be opened the last time.
    trouble: Option<ChannelError>,
    /// The order.
    pub(super) out: Out,
    closing: bool,
    ended: bool,
}

impl State {
    /// Moves what has arrived into `into`, at most `most` bytes. Bytes that came before a loss are delivered before it is told.
    pub(super) fn take(&mut self, into: &mut Vec<u8>, most: usize) -> Option<Event> {
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

    /// The error of a port that did not come back.
    pub(super) fn gone_error(&mut self, doing: String) -> ChannelError {
        match self.trouble.take() {
            Some(e) => ChannelError::caused(ErrorKind::Disconnected, doing, e),
            None => ChannelError::new(ErrorKind::Disconnected, doing),
        }
    }
}

/// State, and the two ways of waking who waits for it.
pub(super) struct Capture {
    state: Mutex<State>,
    changed: Condvar,
    poked: Notify,
}

impl Capture {
    pub(super) fn new(attached: bool) -> Self {
        let mut queue = VecDeque::new();
        if !attached {
            queue.push_back(Queued::Gone);
        }
        let state = State { queue, kept: 0, attached, trouble: None, out: Out::Idle, closing: false, ended: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), poked: Notify::new() }
    }

    /// The state stays consistent whatever a holder did: every change is one assignment.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change, at most so long.
    pub(super) fn wait<'a>(&'a self, state: MutexGuard<'a, State>, at_most: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, at_most).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Tells the task that something changed on this side.
    pub(super) fn poke(&self) {
        self.poked.notify_one();
    }

    /// Ends the task and waits until it has let go of the port.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closing = true;
        self.poke();
        let _ = self.changed.wait_timeout_while(state, CLOSE, |s| !s.ended);
    }

    /// Ends the order that was begun, unless nobody waits for it any more.
    fn done(&self, result: Result<(), String>) {
        self.change(|s| {
            if matches!(s.out, Out::Busy) {
                s.out = Out::Done(result);
            }
        });
    }

    fn change(&self, f: impl FnOnce(&mut State)) {
        f(&mut self.lock());
        self.changed.notify_all();
    }
}

/// The task.
pub(super) async fn run(capture: Arc<Capture>, setup: SerialSetup, mut first: Option<SerialStream>) {
    loop {
        let stream = match first.take() {
            Some(stream) => stream,
            None => match reopen(&capture, &setup).await {
                Some(stream) => stream,
                None => break,
            },
        };
        capture.change(|s| (s.attached, s.trouble) = (true, None));
        let why = listen(&capture, &setup, stream).await;
        capture.change(|s| {
            s.attached = false;
            if !matches!(s.queue.back(), Some(Queued::Gone)) {
                s.queue.push_back(Queued::Gone);
            }
        });
        capture.done(Err(why.unwrap_or_else(|| "the port vanished".to_owned())));
        if capture.lock().closing {
            break;
        }
    }
    capture.change(|s| s.ended = true);
}

async fn reopen(capture: &Capture, setup: &SerialSetup) -> Option<SerialStream> {
    loop {
        if capture.lock().closing {
            return None;
        }
        match port::open(setup) {
            Ok(stream) => return Some(stream),
            Err(e) => capture.lock().trouble = Some(e),
        }
        tokio::time::sleep(REOPEN).await;
    }
}

enum Step {
    Read(io::Result<usize>),
    Wrote(io::Result<usize>),
    Poked,
}

/// Listens and sends until the port vanishes or the console is closed.
async fn listen(capture: &Capture, setup: &SerialSetup, mut stream: SerialStream) -> Option<String> {
    let mut buffer = vec![0u8; 16 * 1024];
    let mut sending: Option<(Vec<u8>, usize)> = None;
    loop {
        let (room, order) = {
            let mut state = capture.lock();
            if state.closing {
                return None;
            }
            let order = match &state.out {
                Out::Write(_) | Out::Break => Some(std::mem::replace(&mut state.out, Out::Busy)),
                Out::Busy => None,
                // Idle, or done and not yet fetched: an order that was dropped stays dropped.
                Out::Idle | Out::Done(_) => {
                    sending = None;
                    None
                }
            };
            (state.kept < KEEP_MOST, order)
        };
        match order {
            Some(Out::Write(bytes)) => sending = Some((bytes, 0)),
            Some(Out::Break) => {
                sending = None;
                let result = send_break(&mut stream).await;
                capture.done(result);
                continue;
            }
            _ => {}
        }
        match step(capture, &mut stream, &mut buffer, room, sending.as_ref()).await {
            Step::Poked => {}
            Step::Read(Ok(0)) => return None,
            Step::Read(Ok(n)) => {
                let at = setup.time.now();
                capture.change(|s| {
                    s.kept += n;
                    s.queue.push_back(Queued::Bytes(at, buffer[..n].to_vec()));
                });
            }
            Step::Wrote(Ok(n)) if n > 0 => {
                if let Some((bytes, sent)) = &mut sending {
                    *sent += n;
                    if *sent >= bytes.len() {
                        sending = None;
                        capture.done(Ok(()));
                    }
                }
            }
            Step::Wrote(Ok(_)) => return None,
            Step::Read(Err(e)) | Step::Wrote(Err(e)) => return Some(e.to_string()),
        }
    }
}

/// Waits for the first of: bytes, room to write, a change on the other side.
async fn step(capture: &Capture, stream: &mut SerialStream, buffer: &mut [u8], room: bool, sending: Option<&(Vec<u8>, usize)>) -> Step {
    let mut poked = pin!(capture.poked.notified());
    poll_fn(|cx| {
        if room {
            let mut into = ReadBuf::new(buffer);
            if let Poll::Ready(result) = Pin::new(&mut *stream).poll_read(cx, &mut into) {
                return Poll::Ready(Step::Read(result.map(|()| into.filled().len())));
            }
        }
        if let Some((bytes, sent)) = sending
            && let Poll::Ready(result) = Pin::new(&mut *stream).poll_write(cx, &bytes[*sent..])
        {
            return Poll::Ready(Step::Wrote(result));
        }
        poked.as_mut().poll(cx).map(|()| Step::Poked)
    })
    .await
}

async fn send_break(stream: &mut SerialStream) -> Result<(), String> {
    stream.set_break().map_err(|e| e.to_string())?;
    tokio::time::sleep(BREAK).await;
    stream.clear_break().map_err(|e| e.to_string())
}
