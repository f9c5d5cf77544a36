//! A device that takes the handshake and thinks better of it: in TLS 1.3 it may refuse the certificate behind the end of the handshake.

use super::link::Line;
use super::places::lock;
use super::secure;
use crate::mqtt::Wire;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

/// The alert by which the device ended a session, if it did.
#[derive(Clone, Default)]
pub(super) struct Alert(Arc<Mutex<Option<String>>>);

impl Alert {
    pub(super) fn get(&self) -> Option<String> {
        lock(&self.0).clone()
    }
}

/// A session that remembers the alert that ended it.
pub(super) struct Session {
    stream: TlsStream<Line>,
    alert: Alert,
}

impl Session {
    pub(super) fn new(stream: TlsStream<Line>) -> Self {
        Self { stream, alert: Alert::default() }
    }

    pub(super) fn alert(&self) -> Alert {
        self.alert.clone()
    }

    fn look<T>(&self, done: io::Result<T>) -> io::Result<T> {
        if let Some(alert) = done.as_ref().err().and_then(secure::alert) {
            lock(&self.alert.0).get_or_insert(alert);
        }
        done
    }
}

impl Wire for Session {
    fn reset(&self) -> io::Result<()> {
        self.stream.reset()
    }
}

impl AsyncRead for Session {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let done = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        Poll::Ready(self.look(done))
    }
}

impl AsyncWrite for Session {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let done = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        Poll::Ready(self.look(done))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
