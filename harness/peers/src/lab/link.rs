//! Connections through a cable that can be pulled: while it is, nothing is read and nothing is written, and nothing ends.

use super::rough::Rough;
use super::wired::{Tape, Wired};
use crate::mqtt::Wire;
use bytes::{Buf, BytesMut};
use proofbench_channel::network::End;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// Most bytes that are taken in one look.
const LOOK: usize = 4096;

/// Waits while the cable is pulled, for one direction.
struct Gate {
    up: watch::Receiver<bool>,
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Gate {
    fn new(up: watch::Receiver<bool>) -> Self {
        Self { up, waiting: None }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if *self.up.borrow() {
            self.waiting = None;
            return Poll::Ready(());
        }
        let up = &self.up;
        let waiting = self.waiting.get_or_insert_with(|| {
            let up = up.clone();
            Box::pin(plugged(up))
        });
        ready!(waiting.as_mut().poll(cx));
        self.waiting = None;
        Poll::Ready(())
    }
}

/// Returns once the cable is in.
pub(super) async fn plugged(mut up: watch::Receiver<bool>) {
    // A lab that is gone holds nothing.
    let _ = up.wait_for(|up| *up).await;
}

/// How the other side ended a connection, once it has; whoever looks after the connection tells it in its place.
#[derive(Clone, Default)]
pub(super) struct Ended(Arc<Mutex<Option<End>>>);

impl Ended {
    pub(super) fn get(&self) -> Option<End> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, end: End) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(end);
    }

    fn failed(&self, e: &io::Error) {
        if matches!(e.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted) {
            self.set(End::Reset);
        }
    }
}

/// A TCP connection behind the cable. What was looked at is read again.
pub(super) struct Line {
    tcp: Wired,
    reading: Gate,
    writing: Gate,
    first: BytesMut,
    ended: Ended,
    /// What is wrong with the way, once its place is known.
    rough: Option<Box<Rough>>,
}

impl Line {
    pub(super) fn new(tcp: TcpStream, tape: Option<Tape>, up: watch::Receiver<bool>) -> Self {
        Self {
            tcp: Wired::new(tcp, tape),
            reading: Gate::new(up.clone()),
            writing: Gate::new(up),
            first: BytesMut::new(),
            ended: Ended::default(),
            rough: None,
        }
    }

    pub(super) fn ended(&self) -> Ended {
        self.ended.clone()
    }

    /// From here on the way is as it is told.
    pub(super) fn lead(&mut self, rough: Rough) {
        self.rough = Some(Box::new(rough));
    }

    /// All that was looked at.
    pub(super) fn first(&self) -> &[u8] {
        &self.first
    }

    /// Waits for further bytes and leaves them to be read. How many there were; 0 is the end of the other side.
    pub(super) async fn look(&mut self) -> io::Result<usize> {
        let mut bytes = [0; LOOK];
        let mut buf = ReadBuf::new(&mut bytes);
        poll_fn(|cx| self.take(cx, &mut buf)).await?;
        self.first.extend_from_slice(buf.filled());
        Ok(buf.filled().len())
    }

    fn take(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.reading.poll(cx));
        let before = buf.filled().len();
        let room = buf.remaining();
        let done = ready!(match &mut self.rough {
            Some(rough) => rough.read(&mut self.tcp, cx, buf),
            None => Pin::new(&mut self.tcp).poll_read(cx, buf),
        });
        match &done {
            Ok(()) if room > 0 && buf.filled().len() == before => self.ended.set(End::Fin),
            Ok(()) => {}
            Err(e) => self.ended.failed(e),
        }
        Poll::Ready(done)
    }
}

impl Wire for Line {
    fn reset(&self) -> io::Result<()> {
        self.tcp.forget()
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.first.is_empty() || self.rough.as_ref().is_some_and(|r| r.is_dead()) {
            return self.take(cx, buf);
        }
        let count = self.first.len().min(buf.remaining());
        buf.put_slice(&self.first[..count]);
        self.first.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.writing.poll(cx));
        let Self { tcp, rough, .. } = &mut *self;
        let done = ready!(match rough {
            Some(rough) => rough.write(tcp, cx, buf),
            None => Pin::new(tcp).poll_write(cx, buf),
        });
        if let Err(e) = &done {
            self.ended.failed(e);
        }
        Poll::Ready(done)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.writing.poll(cx));
        let Self { tcp, rough, .. } = &mut *self;
        if let Some(rough) = rough {
            ready!(rough.send(tcp, cx))?;
            if rough.is_dead() {
                return Poll::Ready(Ok(()));
            }
        }
        Pin::new(tcp).poll_shutdown(cx)
    }
}
