//! An RFC 2217 server: a serial port behind Telnet, with its settings and control lines.
//!
//! The protocol is crate `rfc2217`'s, without its allocating layer: half a kilobyte a connection whatever the server sends, input that stops while
//! an answer to it waits to be sent. What it leaves to its user is bounded here: how long the negotiation may take, how much may arrive meanwhile, and
//! how much of an answer a server may provoke.
//!
//! A server's confirmation is its word: ser2net 4.3.11 confirms every setting that it was asked for, also those that the port behind it does not take.

use super::wire::{Failure, Levels};
use super::{ControlLine, Flow, LineSettings, NetAddress, Parity, tcp};
use proofbench_channel::{ChannelError, ErrorKind};
use rfc2217::{Client, CommandError, DataBits, Event, FlowControl, NotReady, PartialSettings, PortSettings, Setting, SettingSet, StopBits};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How long a server may take to take all settings.
const NEGOTIATION: Duration = Duration::from_secs(5);
/// Most bytes of the device that may come while settings are negotiated.
const EARLY_MOST: usize = 1024 * 1024;
/// Most bytes that a server may make us answer on one connection. Honest ones cause less than a hundred.
const ANSWERS_MOST: usize = 4096;
/// Most bytes of a server's farewell that an error repeats.
const WORDS_MOST: usize = 120;
/// Bytes taken from the socket at a time.
const PIECE: usize = 16 * 1024;

/// A connection on which the server has taken every setting.
pub(super) struct Bridge {
    stream: TcpStream,
    client: Client,
    /// Bytes of the socket not looked at yet: those from `at` to `end`.
    raw: Box<[u8]>,
    at: usize,
    end: usize,
    /// Bytes of the device that came before the settings were agreed.
    early: Vec<u8>,
    /// Bytes that the server made us answer.
    answers: usize,
    /// What the server said of its lines since they were asked for.
    said: Levels,
    /// Whether the settings are agreed.
    agreed: bool,
    /// How the server has broken the rules: the connection's end, once what came before is delivered.
    bad: Option<io::Error>,
}

impl Bridge {
    /// Connects and negotiates. An option that the server refuses, changes or ignores is an error that names it.
    pub async fn open(server: &NetAddress, settings: &LineSettings, levels: Levels, doing: &str) -> Result<Bridge, ChannelError> {
        let stream = tcp::connect(server, doing).await?;
        let mut bridge = Bridge::on(stream, settings);
        bridge.agree(levels).await.map_err(|f| ChannelError::caused(f.kind, doing, f.why))?;
        Ok(bridge)
    }

    fn on(stream: TcpStream, settings: &LineSettings) -> Bridge {
        let client = Client::new(port_settings(settings));
        let raw = vec![0; PIECE].into_boxed_slice();
        Bridge { stream, client, raw, at: 0, end: 0, early: Vec::new(), answers: 0, said: Levels::default(), agreed: false, bad: None }
    }

    /// Negotiates the settings, then the levels.
    async fn agree(&mut self, levels: Levels) -> Result<(), Failure> {
        let all = async {
            self.until(|b| match b.client.readiness() {
                Ok(()) => Some(Ok(())),
                Err(NotReady::Refused) => Some(Err(Failure::new(ErrorKind::Refused, NotReady::Refused))),
                Err(NotReady::Mismatched(which)) => Some(Err(b.mismatch(which))),
                Err(_) => None,
            })
            .await?;
            self.agreed = true;
            for line in ControlLine::ALL {
                let Some(asserted) = levels.of(line) else { continue };
                poll_fn(|cx| self.poll_flush(cx)).await.map_err(|e| Failure::new(ErrorKind::Disconnected, e))?;
                self.set_line(line, asserted)?;
                self.until(|b| b.level(line).map(|is| confirmed(line, asserted, is))).await?;
            }
            Ok(())
        };
        if let Ok(done) = tokio::time::timeout(NEGOTIATION, all).await {
            return done;
        }
        Err(match self.client.readiness() {
            Err(why) => Failure::new(ErrorKind::Protocol, why),
            Ok(()) => match ControlLine::ALL.into_iter().find(|l| levels.of(*l).is_some() && self.said.of(*l).is_none()) {
                Some(line) => unconfirmed(line),
                None => Failure::new(ErrorKind::Protocol, "the server answers too late"),
            },
        })
    }

    /// Reads, and keeps what the device says, until `done` has something to say.
    async fn until<T>(&mut self, mut done: impl FnMut(&Bridge) -> Option<Result<T, Failure>>) -> Result<T, Failure> {
        let mut piece = vec![0; 1024];
        loop {
            if let Some(result) = done(self) {
                return result;
            }
            let read = poll_fn(|cx| match self.poll_socket(cx, &mut piece) {
                // What was asked may have been answered without a byte of the device.
                Poll::Pending if done(self).is_some() => Poll::Ready(Ok(None)),
                other => other.map_ok(Some),
            });
            match read.await {
                Ok(None) => {}
                Ok(Some(0)) => return Err(self.hung_up(None)),
                Ok(Some(n)) => self.early.extend_from_slice(&piece[..n]),
                Err(e) if e.kind() == io::ErrorKind::InvalidData => return Err(Failure::new(ErrorKind::Protocol, e)),
                Err(e) => return Err(self.hung_up(Some(e))),
            }
            if self.early.len() > EARLY_MOST {
                let why = self.client.readiness().err().map_or("the server is silent about its lines".to_owned(), |e| e.to_string());
                return Err(Failure::new(ErrorKind::Protocol, format!("{why}; only bytes of the device come")));
            }
        }
    }

    /// The server ended the connection; one that is busy says so in words first.
    fn hung_up(&self, e: Option<io::Error>) -> Failure {
        let said = String::from_utf8_lossy(&self.early[..self.early.len().min(WORDS_MOST)]);
        let words: String = said.trim().chars().flat_map(char::escape_debug).collect();
        match e {
            Some(e) if words.is_empty() => Failure::new(ErrorKind::Disconnected, e),
            None if words.is_empty() => Failure::new(ErrorKind::Disconnected, "the server hung up"),
            _ => Failure::new(ErrorKind::Disconnected, format!("the server hung up: \"{words}\"")),
        }
    }

    /// What the server takes instead of what was asked.
    fn mismatch(&self, which: SettingSet) -> Failure {
        let (asked, says) = (self.client.requested_settings(), self.client.reported_settings());
        let each = which.iter().map(|s| format!("{s}: asked for {}, the server says {}", asked_value(&asked, s), said_value(&says, s)));
        Failure::new(ErrorKind::Refused, each.collect::<Vec<_>>().join("; "))
    }

    /// Sends what waits to be sent.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.client.has_output() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, self.client.output()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.client.consume_output(n),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Bytes of the device; none is the end of the connection.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.early.is_empty() {
            return self.poll_socket(cx, into);
        }
        let n = self.early.len().min(into.len());
        into[..n].copy_from_slice(&self.early[..n]);
        self.early.drain(..n);
        Poll::Ready(Ok(n))
    }

    fn poll_socket(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            if let Some(e) = self.bad.take() {
                return Poll::Ready(Err(e));
            }
            // Input is only taken while its answers can leave: a failed or stuck write must not hide bytes that arrived before.
            let flushed = self.poll_flush(cx);
            if self.at < self.end {
                let waiting = self.client.output().len();
                let progress = self.client.receive_into(&self.raw[self.at..self.end], into);
                self.at += progress.consumed;
                self.answers += self.client.output().len().saturating_sub(waiting);
                while let Some(event) = self.client.poll_event() {
                    if let Err(e) = self.heard(&event) {
                        self.bad = Some(e);
                    }
                }
                if self.answers > ANSWERS_MOST {
                    self.bad = Some(misbehaves("the server negotiates without end"));
                }
                // What the device said before is delivered first.
                if progress.payload_len > 0 {
                    return Poll::Ready(Ok(progress.payload_len));
                }
                if progress.consumed == 0 {
                    ready!(flushed)?;
                }
                continue;
            }
            let mut buffer = ReadBuf::new(&mut self.raw);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            (self.at, self.end) = (0, buffer.filled().len());
            if self.end == 0 {
                return Poll::Ready(Ok(0));
            }
        }
    }

    fn heard(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Dtr(level) => self.said.dtr = Some(*level),
            Event::Rts(level) => self.said.rts = Some(*level),
            Event::ComPortRefused if self.agreed => return Err(misbehaves("the server withdrew RFC 2217")),
            // Somebody else changed the port: what comes from now on would be noise. Connecting again sets it right.
            Event::BaudRate(_) | Event::DataBits(_) | Event::Parity(_) | Event::StopBits(_) if self.agreed => {
                let which: SettingSet = self.client.mismatched_settings().iter().filter(|s| *s != Setting::FlowControl).collect();
                if !which.is_empty() {
                    return Err(misbehaves(self.mismatch(which).why));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes some of the bytes for the device. Waits while the server asks for a pause.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_flush(cx))?;
        if self.client.flow_suspended() {
            // Reading goes on in the same task, and is what hears that the pause is over.
            return Poll::Pending;
        }
        let taken = self.client.try_write_data(bytes).map_err(io::Error::other)?;
        if let Poll::Ready(Err(e)) = self.poll_flush(cx) {
            return Poll::Ready(Err(e));
        }
        Poll::Ready(Ok(taken))
    }

    pub fn set_break(&mut self, on: bool) -> Result<(), Failure> {
        // Not confirmed: the servers in the field answer the end of a BREAK with its begin, or nothing at all.
        self.client.try_set_break(on).map_err(command)
    }

    pub fn set_line(&mut self, line: ControlLine, asserted: bool) -> Result<(), Failure> {
        self.said.set(line, None);
        match line {
            ControlLine::Dtr => self.client.try_set_dtr(asserted),
            ControlLine::Rts => self.client.try_set_rts(asserted),
        }
        .map_err(command)
    }

    /// The level that the server has confirmed since it was asked.
    pub fn level(&self, line: ControlLine) -> Option<bool> {
        self.said.of(line)
    }
}

/// The error of a server that breaks the rules, as against one that is lost.
fn misbehaves(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn command(e: CommandError) -> Failure {
    Failure::new(ErrorKind::Driver, e)
}

/// The server's word on a line against what was asked.
pub(super) fn confirmed(line: ControlLine, asked: bool, is: bool) -> Result<(), Failure> {
    let word = |asserted| if asserted { "asserted" } else { "cleared" };
    if asked == is {
        return Ok(());
    }
    Err(Failure::new(ErrorKind::Refused, format!("{line}: asked for {}, the server says {}", word(asked), word(is))))
}

/// The server's silence on a line.
pub(super) fn unconfirmed(line: ControlLine) -> Failure {
    Failure::new(ErrorKind::Protocol, format!("the server does not confirm {line}: the port behind it may have none"))
}

fn port_settings(settings: &LineSettings) -> PortSettings {
    PortSettings {
        baud_rate: settings.baud,
        data_bits: match settings.data_bits {
            5 => DataBits::Five,
            6 => DataBits::Six,
            7 => DataBits::Seven,
            _ => DataBits::Eight,
        },
        parity: match settings.parity {
            Parity::None => rfc2217::Parity::None,
            Parity::Even => rfc2217::Parity::Even,
            Parity::Odd => rfc2217::Parity::Odd,
        },
        stop_bits: if settings.stop_bits == 2 { StopBits::Two } else { StopBits::One },
        flow_control: match settings.flow {
            Flow::None => FlowControl::None,
            Flow::Hardware => FlowControl::RtsCts,
            Flow::Software => FlowControl::XonXoff,
        },
    }
}

fn asked_value(asked: &PortSettings, setting: Setting) -> String {
    let all = PartialSettings {
        baud_rate: Some(asked.baud_rate),
        data_bits: Some(asked.data_bits),
        parity: Some(asked.parity),
        stop_bits: Some(asked.stop_bits),
        flow_control: Some(asked.flow_control),
    };
    said_value(&all, setting)
}

fn said_value(says: &PartialSettings, setting: Setting) -> String {
    let word = match setting {
        Setting::BaudRate => says.baud_rate.map(|b| b.to_string()),
        Setting::DataBits => says.data_bits.map(|b| format!("{b:?}")),
        Setting::Parity => says.parity.map(|p| format!("{p:?}")),
        Setting::StopBits => says.stop_bits.map(|s| format!("{s:?}")),
        Setting::FlowControl => says.flow_control.map(|f| format!("{f:?}")),
    };
    word.map_or_else(|| "something else".to_owned(), |w| w.to_lowercase())
}
