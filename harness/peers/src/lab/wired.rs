//! A TCP connection, and what went over it, written down.

use super::ground::Ticks;
use crate::capture::{Side, TcpFlow};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connection whose bytes go into a capture as the lab's program got and gave them.
pub(super) struct Wired {
    tcp: TcpStream,
    tape: Option<Tape>,
}

/// Where it is written down.
pub(super) struct Tape {
    pub(super) flow: TcpFlow,
    /// Which side the lab is.
    pub(super) own: Side,
    pub(super) ticks: Ticks,
}

impl Wired {
    pub(super) fn new(tcp: TcpStream, tape: Option<Tape>) -> Self {
        // What is said is said at once; that it cannot be arranged is no reason not to talk.
        let _ = tcp.set_nodelay(true);
        Self { tcp, tape }
    }

    /// Has the connection end by a reset.
    pub(super) fn forget(&self) -> io::Result<()> {
        self.tcp.set_zero_linger()
    }
}

impl Drop for Wired {
    fn drop(&mut self) {
        if let Some(tape) = &mut self.tape {
            let resets = self.tcp.linger().is_ok_and(|l| l.is_some_and(|l| l.is_zero()));
            let now = (tape.ticks.now)();
            if resets { tape.flow.reset(tape.own, now, None) } else { tape.flow.end(tape.own, now) }
        }
    }
}

impl AsyncRead for Wired {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let room = buf.remaining();
        let done = Pin::new(&mut self.tcp).poll_read(cx, buf);
        if let (Some(tape), Poll::Ready(done)) = (&mut self.tape, &done) {
            let (now, other) = ((tape.ticks.now)(), tape.own.other());
            match done {
                Ok(()) if buf.filled().len() > before => tape.flow.data(other, &buf.filled()[before..], now, None),
                Ok(()) if room > 0 => tape.flow.end(other, now),
                Ok(()) => {}
                Err(_) => tape.flow.reset(other, now, None),
            }
        }
        done
    }
}

impl AsyncWrite for Wired {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.tcp).poll_write(cx, buf);
        if let (Some(tape), Poll::Ready(Ok(n))) = (&mut self.tape, &done) {
            tape.flow.data(tape.own, &buf[..*n], (tape.ticks.now)(), None);
        }
        done
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.tcp).poll_shutdown(cx);
        if let (Some(tape), Poll::Ready(Ok(()))) = (&mut self.tape, &done) {
            tape.flow.end(tape.own, (tape.ticks.now)());
        }
        done
    }
}
