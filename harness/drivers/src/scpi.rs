//! SCPI over TCP: lines and blocks, each command followed by a look at the instrument's error queue.
//!
//! The instrument is a stranger: an answer has a longest length, the error queue is drained a bounded number of times, and after anything that did not
//! go as it should the connection is dropped, so that a late answer cannot be taken for the next one.

use crate::text::shown;
use crate::{TimeBase, runtime};
use proofbench_channel::{ChannelError, ErrorKind, Wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest line that is taken for an answer.
const LINE_MOST: usize = 4096;
/// Longest block.
const BLOCK_MOST: usize = 1 << 20;
/// Most errors that are taken from the queue after one command.
const ERRORS_MOST: usize = 16;

/// An instrument. Connected when it is first asked, and again after each failure.
pub(crate) struct Instrument {
    address: String,
    time: TimeBase,
    open: Option<Link>,
}

struct Link {
    stream: TcpStream,
    /// What came and was not asked for yet.
    ahead: Vec<u8>,
}

/// What went wrong, without the part that only the caller knows.
struct Trouble(ErrorKind, String);

impl From<std::io::Error> for Trouble {
    fn from(e: std::io::Error) -> Self {
        Self(ErrorKind::Disconnected, e.to_string())
    }
}

impl Instrument {
    pub fn new(address: String, time: TimeBase) -> Self {
        Self { address, time, open: None }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends these commands in order and returns the answers of those that ask. An error that the instrument then has in its queue is `Refused`, and
    /// what comes after it is not sent.
    pub fn ask(&mut self, commands: &[String], doing: &str, wait: &Wait) -> Result<Vec<String>, ChannelError> {
        let open = self.open.take();
        let address = self.address.clone();
        let (answers, link) = runtime::run(self.time, wait, doing, async move {
            let work = async {
                let mut link = match open {
                    Some(link) => link,
                    None => Link::connect(&address).await?,
                };
                let mut answers = Vec::new();
                for command in commands {
                    answers.extend(link.command(command).await?);
                    link.no_errors(command).await?;
                }
                Ok((answers, link))
            };
            work.await.map_err(|Trouble(kind, why)| ChannelError::caused(kind, doing, format!("{address}: {why}")))
        })
        // The deadline has no words of its own.
        .map_err(|e| match e.kind {
            ErrorKind::Timeout if e.source.is_none() => ChannelError::caused(e.kind, doing, format!("{} does not answer", self.address)),
            _ => e,
        })?;
        self.open = Some(link);
        Ok(answers)
    }
}

impl Link {
    /// Connects, sees that an instrument is there, and forgets the errors of whoever was there before.
    async fn connect(address: &str) -> Result<Self, Trouble> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut link = Self { stream, ahead: Vec::new() };
        let identity = link.command("*IDN?").await?.unwrap_or_default();
        if identity.matches(',').count() < 2 {
            return Err(Trouble(ErrorKind::Protocol, format!("it calls itself `{}`, which no instrument does", shown(identity.as_bytes()))));
        }
        link.command("*CLS").await?;
        Ok(link)
    }

    /// Sends one command; an answer is read if it asks for one.
    async fn command(&mut self, command: &str) -> Result<Option<String>, Trouble> {
        self.stream.write_all(format!("{command}\n").as_bytes()).await?;
        if !command.contains('?') {
            return Ok(None);
        }
        let answer = self.answer().await?;
        match String::from_utf8(answer) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(e) => Err(Trouble(ErrorKind::Protocol, format!("it answers `{}` to {command}", shown(e.as_bytes())))),
        }
    }

    /// Takes the error queue to its end. The first error counts.
    async fn no_errors(&mut self, command: &str) -> Result<(), Trouble> {
        let mut first = None;
        for _ in 0..ERRORS_MOST {
            let said = self.command("SYST:ERR?").await?.unwrap_or_default();
            let number = said.split([',', ' ']).next().and_then(|n| n.trim_start_matches('+').parse::<i32>().ok());
            match (number, first) {
                (Some(0), None) => return Ok(()),
                (Some(0), Some(error)) => return Err(Trouble(ErrorKind::Refused, format!("it answers {error} to {command}"))),
                (Some(_), before) => first = before.or(Some(shown(said.as_bytes()))),
                (None, _) => return Err(Trouble(ErrorKind::Protocol, format!("it answers `{}` to SYST:ERR?", shown(said.as_bytes())))),
            }
        }
        Err(Trouble(ErrorKind::Protocol, format!("its error queue has no end; the first after {command}: {}", first.unwrap_or_default())))
    }

    /// A line without its end, or the content of a block: `#`, one digit n, n digits of length, that many bytes, and a line end.
    async fn answer(&mut self) -> Result<Vec<u8>, Trouble> {
        if self.peek(0).await? != b'#' || !self.peek(1).await?.is_ascii_digit() || self.peek(1).await? == b'0' {
            return self.line().await;
        }
        let digits = usize::from(self.peek(1).await? - b'0');
        let mut length = 0;
        for n in 0..digits {
            let digit = self.peek(2 + n).await?;
            if !digit.is_ascii_digit() {
                return self.line().await;
            }
            // At most nine digits.
            length = length * 10 + usize::from(digit - b'0');
        }
        if length > BLOCK_MOST {
            return Err(Trouble(ErrorKind::Protocol, format!("it announces a block of {length} bytes; at most {BLOCK_MOST} are taken")));
        }
        let start = 2 + digits;
        self.peek(start + length).await?;
        let mut taken: Vec<u8> = self.ahead.drain(..start + length).skip(start).collect();
        let rest = self.line().await?;
        if !rest.is_empty() {
            taken.clear();
            return Err(Trouble(ErrorKind::Protocol, "a block does not end where it says".to_owned()));
        }
        Ok(taken)
    }

    async fn line(&mut self) -> Result<Vec<u8>, Trouble> {
        let mut at = 0;
        while self.peek(at).await? != b'\n' {
            at += 1;
            if at > LINE_MOST {
                return Err(Trouble(ErrorKind::Protocol, format!("an answer has no end: `{}`", shown(&self.ahead))));
            }
        }
        let mut line: Vec<u8> = self.ahead.drain(..=at).collect();
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(line)
    }

    /// The byte at this place of what has not been taken yet.
    async fn peek(&mut self, at: usize) -> Result<u8, Trouble> {
        while self.ahead.len() <= at {
            let mut some = [0; 4096];
            let n = self.stream.read(&mut some).await?;
            if n == 0 {
                return Err(Trouble(ErrorKind::Disconnected, "it hung up".to_owned()));
            }
            self.ahead.extend_from_slice(&some[..n]);
        }
        Ok(self.ahead[at])
    }
}
