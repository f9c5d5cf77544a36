//! The open wire of a byte line, whichever kind it is: what the capture polls.

use super::bridge::Bridge;
use super::tty::{self, Tty};
use super::{ControlLine, LineAddress, LineSetup, tcp};
use proofbench_channel::{ChannelError, ErrorKind};
use std::error::Error;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// Levels of the control lines that somebody chose; `true` is asserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Levels {
    pub dtr: Option<bool>,
    pub rts: Option<bool>,
}

impl Levels {
    pub fn of(self, line: ControlLine) -> Option<bool> {
        match line {
            ControlLine::Dtr => self.dtr,
            ControlLine::Rts => self.rts,
        }
    }

    pub fn set(&mut self, line: ControlLine, asserted: Option<bool>) {
        match line {
            ControlLine::Dtr => self.dtr = asserted,
            ControlLine::Rts => self.rts = asserted,
        }
    }
}

/// Why the wire did not do what it was asked.
#[derive(Debug)]
pub(super) struct Failure {
    pub kind: ErrorKind,
    pub why: Box<dyn Error + Send + Sync>,
}

impl Failure {
    pub fn new(kind: ErrorKind, why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, why: why.into() }
    }
}

/// An open wire.
pub(super) enum Wire {
    Tty(Tty),
    Raw(TcpStream),
    Local(UnixStream),
    Bridge(Box<Bridge>),
}

impl Wire {
    /// Opens it. `Disconnected` if it is not there now; other errors will not go away by waiting alone.
    pub async fn open(setup: &LineSetup, levels: Levels) -> Result<Wire, ChannelError> {
        let doing = || format!("open {}", setup.address);
        match &setup.address {
            LineAddress::Tcp(server) => Ok(Wire::Raw(tcp::connect(server, &doing()).await?)),
            LineAddress::Door(door) => Ok(Wire::Local(door.accept(&doing())?)),
            LineAddress::Rfc2217(server) => Ok(Wire::Bridge(Box::new(Bridge::open(server, &setup.settings, levels, &doing()).await?))),
            LineAddress::Path(_) | LineAddress::ById(_) | LineAddress::ByPath(_) | LineAddress::Usb { .. } => {
                let setup = setup.clone();
                // Some adapters take their time to open; the I/O thread serves others meanwhile.
                let opened = tokio::task::spawn_blocking(move || tty::open(&setup, levels)).await;
                opened.map_err(|e| ChannelError::caused(ErrorKind::Driver, doing(), e))?.map(Wire::Tty)
            }
        }
    }

    /// Lets go of it. The kernel may take a while to send what a tty still holds; the I/O thread serves others meanwhile.
    pub async fn close(self) {
        if let Wire::Tty(tty) = self {
            let _ = tokio::task::spawn_blocking(move || drop(tty)).await;
        }
    }

    /// Bytes of the device; none is the end of the wire.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(into);
        let read = match self {
            Wire::Tty(tty) => Pin::new(&mut tty.stream).poll_read(cx, &mut buffer),
            Wire::Raw(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
            Wire::Local(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
            Wire::Bridge(bridge) => return bridge.poll_read(cx, into),
        };
        ready!(read)?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Takes some of the bytes for the device.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Wire::Tty(tty) => Pin::new(&mut tty.stream).poll_write(cx, bytes),
            Wire::Raw(stream) => Pin::new(stream).poll_write(cx, bytes),
            Wire::Local(stream) => Pin::new(stream).poll_write(cx, bytes),
            Wire::Bridge(bridge) => bridge.poll_write(cx, bytes),
        }
    }

    /// Whether everything that was taken is in the kernel's hands.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Wire::Bridge(bridge) => bridge.poll_flush(cx),
            Wire::Tty(_) | Wire::Raw(_) | Wire::Local(_) => Poll::Ready(Ok(())),
        }
    }

    /// Begins or ends a BREAK. Call when flushed.
    pub fn set_break(&mut self, on: bool) -> Result<(), Failure> {
        match self {
            Wire::Tty(tty) => tty.set_break(on),
            Wire::Raw(_) | Wire::Local(_) => Err(Failure::new(ErrorKind::Unsupported, "a socket carries bytes only, no BREAK")),
            Wire::Bridge(bridge) => bridge.set_break(on),
        }
    }

    /// Drives a control line, or begins to: [`Wire::level`] tells when it is done. Call when flushed.
    pub fn set_line(&mut self, line: ControlLine, asserted: bool) -> Result<(), Failure> {
        match self {
            Wire::Tty(tty) => tty.set_line(line, asserted),
            Wire::Raw(_) | Wire::Local(_) => Err(Failure::new(ErrorKind::Unsupported, format!("a socket carries bytes only, no {line}"))),
            Wire::Bridge(bridge) => bridge.set_line(line, asserted),
        }
    }

    /// The level to which [`Wire::set_line`] brought the line, once that is known. A tty's is `asked` at once.
    pub fn level(&self, line: ControlLine, asked: bool) -> Option<bool> {
        match self {
            Wire::Bridge(bridge) => bridge.level(line),
            Wire::Tty(_) | Wire::Raw(_) | Wire::Local(_) => Some(asked),
        }
    }
}
