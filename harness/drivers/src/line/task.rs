//! The task that listens to one line: opens it, captures, carries out orders, opens it again when it was lost.

use super::bridge::{confirmed, unconfirmed};
use super::capture::{Capture, Look, Order};
use super::wire::{Failure, Wire};
use super::{ControlLine, LineAddress, LineSetup};
use crate::time::Ear;
use proofbench_channel::{ChannelError, ErrorKind};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How often a vanished port is looked for, and how often when it stays away.
const LOOK: Duration = Duration::from_millis(5);
const LOOK_LATER: Duration = Duration::from_millis(25);
/// When a vanished port counts as one that stays away.
const AWAY: Duration = Duration::from_secs(30);
/// How often a server is tried.
const RECONNECT: Duration = Duration::from_millis(50);
/// How often what will not go away by waiting is tried again: a server that refuses an option, a port that somebody holds.
const REFUSED: Duration = Duration::from_millis(500);
/// A server that hangs up within this time, without a byte of the device, was not back.
const FLAP: Duration = Duration::from_millis(200);
/// Length of a BREAK.
const BREAK: Duration = Duration::from_millis(250);
/// How long a server may take to confirm a control line.
const CONFIRM: Duration = Duration::from_secs(3);
/// Bytes read at a time.
const PIECE: usize = 16 * 1024;

/// The task.
pub(super) async fn run(capture: Arc<Capture>, setup: LineSetup, mut first: Option<Wire>) {
    loop {
        let wire = match first.take() {
            Some(wire) => Some(wire),
            None => reopen(&capture, &setup).await,
        };
        let Some(mut wire) = wire else { break };
        setup.tell(Ear::Attached);
        capture.attached();
        let began = Instant::now();
        let mut line = Line { capture: &capture, setup: &setup, doing: Doing::Nothing, heard: false, broken: None };
        let end = line.listen(&mut wire).await;
        let never_back = setup.address.is_network() && !line.heard && began.elapsed() < FLAP;
        // What nothing has left of yet can wait for the line to come back.
        let unbegun = match line.doing {
            Doing::Sending(bytes, 0) => Some(Order::Write(bytes)),
            Doing::Next(order) => Some(order),
            _ => None,
        };
        wire.close().await;
        let Some(why) = end else { break };
        setup.tell(Ear::Lost);
        capture.lost(never_back);
        match unbegun {
            Some(order) => capture.again(order),
            None => capture.done(Err(Failure::new(ErrorKind::Disconnected, why))),
        }
        if never_back && timeout(RECONNECT, capture.closed()).await.is_ok() {
            break;
        }
    }
    setup.tell(Ear::Closed);
    capture.ended();
}

/// Opens the line as soon as it is there. None: it is to be closed.
async fn reopen(capture: &Capture, setup: &LineSetup) -> Option<Wire> {
    let again = async {
        let away = Instant::now() + AWAY;
        loop {
            // A node that is not there needs no thread to find that out.
            let absent = matches!(&setup.address, LineAddress::Path(p) if !p.to_string_lossy().contains('*') && !p.exists());
            let opened = match absent {
                true => Err(ChannelError::new(ErrorKind::Disconnected, format!("open {}", setup.address))),
                false => Wire::open(setup, capture.levels()).await,
            };
            let pause = match opened {
                Ok(wire) => return wire,
                Err(e) => {
                    let pause = match e.kind {
                        ErrorKind::Disconnected if setup.address.is_network() => RECONNECT,
                        ErrorKind::Disconnected if Instant::now() < away => LOOK,
                        ErrorKind::Disconnected => LOOK_LATER,
                        _ => REFUSED,
                    };
                    capture.trouble(e);
                    pause
                }
            };
            sleep(pause).await;
        }
    };
    tokio::select! {
        biased;
        () = capture.closed() => None,
        wire = again => Some(wire),
    }
}

/// The order that is carried out.
enum Doing {
    Nothing,
    /// So much of the bytes has been taken.
    Sending(Vec<u8>, usize),
    /// Waits until everything before it has left.
    Next(Order),
    /// BREAK is on until then.
    Breaking(Instant),
    /// BREAK is off; the server is to be told.
    Broke,
    /// The line is to have this level; its confirmation is waited for until then.
    Turning(ControlLine, bool, Instant),
}

enum Step {
    Read(io::Result<usize>),
    Wrote(io::Result<usize>),
    Flushed(io::Result<()>),
    /// The time of [`Doing`] has come.
    Due,
    /// The server has said something of the control line.
    Level(bool),
    /// Nothing more is to be read from a line whose other direction has failed.
    Drained,
    Poked,
}

struct Line<'a> {
    capture: &'a Capture,
    setup: &'a LineSetup,
    doing: Doing,
    /// Whether a byte of the device has come.
    heard: bool,
    /// Why nothing can be sent any more.
    broken: Option<String>,
}

impl Line<'_> {
    /// Listens and carries out orders until the line is lost, and says why, or until it is to be closed.
    async fn listen(&mut self, wire: &mut Wire) -> Option<String> {
        const VANISHED: &str = "the line vanished";
        let mut buffer = vec![0u8; PIECE];
        let mut write_first = false;
        loop {
            let Look { room, dropped, order, closing } = self.capture.look(matches!(self.doing, Doing::Turning(..)));
            if closing {
                return None;
            }
            if dropped {
                self.abandon(wire);
            }
            match order {
                Some(Order::Write(bytes)) => self.doing = Doing::Sending(bytes, 0),
                Some(other) => self.doing = Doing::Next(other),
                None => {}
            }
            // Neither direction starves the other.
            write_first = !write_first;
            match self.step(wire, &mut buffer, room, write_first).await {
                Step::Poked => {}
                Step::Read(Ok(0)) => return Some(self.broken.take().unwrap_or_else(|| VANISHED.to_owned())),
                Step::Read(Ok(n)) => {
                    self.heard = true;
                    let at = self.setup.time.now();
                    // First: leave that whoever waits here gives when he has these bytes must stay.
                    self.setup.tell(Ear::Heard(n));
                    self.capture.arrived(at, &buffer[..n]);
                }
                Step::Read(Err(e)) => return Some(self.broken.take().unwrap_or_else(|| e.to_string())),
                Step::Drained => return self.broken.take(),
                Step::Wrote(Ok(n)) if n > 0 => {
                    self.setup.tell(Ear::Typed(n));
                    if let Doing::Sending(_, sent) = &mut self.doing {
                        *sent += n;
                    }
                }
                // What has arrived before the failure is still read.
                Step::Wrote(Ok(_)) => self.broken = Some(VANISHED.to_owned()),
                Step::Wrote(Err(e)) | Step::Flushed(Err(e)) => self.broken = Some(e.to_string()),
                Step::Flushed(Ok(())) => self.flushed(wire),
                Step::Due => self.due(wire),
                Step::Level(is) => {
                    if let Doing::Turning(line, asserted, _) = std::mem::replace(&mut self.doing, Doing::Nothing) {
                        if is == asserted {
                            self.capture.want(line, Some(asserted));
                        }
                        self.capture.done(confirmed(line, asserted, is));
                    }
                }
            }
        }
    }

    /// Nobody waits any more for what is being done.
    fn abandon(&mut self, wire: &mut Wire) {
        if let Doing::Breaking(_) = std::mem::replace(&mut self.doing, Doing::Nothing) {
            // A line that cannot end its BREAK is about to be lost anyway.
            let _ = wire.set_break(false);
        }
    }

    /// Everything before has left.
    fn flushed(&mut self, wire: &mut Wire) {
        let next = |result: Result<(), Failure>, doing| match result {
            Ok(()) => doing,
            Err(f) => {
                self.capture.done(Err(f));
                Doing::Nothing
            }
        };
        self.doing = match std::mem::replace(&mut self.doing, Doing::Nothing) {
            Doing::Next(Order::Break) => next(wire.set_break(true), Doing::Breaking(Instant::now() + BREAK)),
            Doing::Next(Order::Line(line, asserted)) => next(wire.set_line(line, asserted), Doing::Turning(line, asserted, Instant::now() + CONFIRM)),
            Doing::Sending(..) | Doing::Broke => {
                self.capture.done(Ok(()));
                Doing::Nothing
            }
            other => other,
        };
    }

    fn due(&mut self, wire: &mut Wire) {
        self.doing = match std::mem::replace(&mut self.doing, Doing::Nothing) {
            Doing::Breaking(_) => match wire.set_break(false) {
                Ok(()) => Doing::Broke,
                Err(f) => {
                    self.capture.done(Err(f));
                    Doing::Nothing
                }
            },
            Doing::Turning(line, ..) => {
                self.capture.done(Err(unconfirmed(line)));
                Doing::Nothing
            }
            other => other,
        };
    }

    /// Waits for the first of: bytes, room to write, the time of what is being done, a change on the other side.
    async fn step(&self, wire: &mut Wire, buffer: &mut [u8], room: bool, write_first: bool) -> Step {
        let mut poked = pin!(self.capture.poked());
        let until = match self.doing {
            Doing::Breaking(until) | Doing::Turning(_, _, until) => Some(until),
            _ => None,
        };
        let mut due = pin!(async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        });
        poll_fn(|cx| {
            for write in [write_first, !write_first] {
                if write {
                    if let Poll::Ready(step) = self.poll_out(wire, cx) {
                        return Poll::Ready(step);
                    }
                } else if room {
                    match wire.poll_read(cx, buffer) {
                        Poll::Ready(result) => return Poll::Ready(Step::Read(result)),
                        Poll::Pending if self.broken.is_some() => return Poll::Ready(Step::Drained),
                        Poll::Pending => {}
                    }
                }
            }
            if let Doing::Turning(line, asserted, _) = self.doing
                && let Some(is) = wire.level(line, asserted)
            {
                return Poll::Ready(Step::Level(is));
            }
            if due.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Step::Due);
            }
            poked.as_mut().poll(cx).map(|()| Step::Poked)
        })
        .await
    }

    /// Sends what is to be sent now.
    fn poll_out(&self, wire: &mut Wire, cx: &mut std::task::Context<'_>) -> Poll<Step> {
        if self.broken.is_some() {
            return Poll::Pending;
        }
        match &self.doing {
            Doing::Nothing => Poll::Pending,
            Doing::Sending(bytes, sent) if *sent < bytes.len() => wire.poll_write(cx, &bytes[*sent..]).map(Step::Wrote),
            Doing::Sending(..) | Doing::Next(_) | Doing::Broke => wire.poll_flush(cx).map(Step::Flushed),
            // These have left when there is something to be said of them; only a failure is news.
            Doing::Breaking(_) | Doing::Turning(..) => match wire.poll_flush(cx) {
                Poll::Ready(Err(e)) => Poll::Ready(Step::Flushed(Err(e))),
                _ => Poll::Pending,
            },
        }
    }
}
