//! The serial line of a transfer: one byte at a time, what is no protocol kept as the loader's words.

use crate::TimeBase;
use crate::text::shown;
use proofbench_channel::{ChannelError, Console, ConsoleRead, ErrorKind, Moment, Wait};
use std::collections::VecDeque;
use std::time::Duration;

/// Most of the loader's words that are kept: the latest, never less than half of it.
const WORDS_MOST: usize = 8 * 1024;
/// Most bytes from the loader in one transfer: an answer to every block of the longest image, and all that it may print.
const HEARD_MOST: usize = 16 * 1024 * 1024;
/// How long the last bytes of a transfer that was given up may take.
const FAREWELL: Duration = Duration::from_millis(200);

/// A line in use.
pub(super) struct Line<'a> {
    console: &'a mut dyn Console,
    pub time: TimeBase,
    pub wait: &'a Wait,
    queue: VecDeque<u8>,
    words: Vec<u8>,
    heard: usize,
}

impl<'a> Line<'a> {
    pub fn new(console: &'a mut dyn Console, time: TimeBase, wait: &'a Wait) -> Self {
        Self { console, time, wait, queue: VecDeque::new(), words: Vec::new(), heard: 0 }
    }

    /// The deadline of a part of the transfer.
    pub fn within(&self, time: Duration) -> Moment {
        (self.time.now() + time).min(self.wait.until)
    }

    /// The next byte; nothing if none came until the moment. A line that is gone may come back: until then it is silent.
    pub fn byte(&mut self, until: Moment) -> Result<Option<u8>, ChannelError> {
        if self.queue.is_empty() && self.time.now() < until {
            self.read(until)?;
        }
        Ok(self.queue.pop_front())
    }

    /// The next byte that has come already.
    pub fn pending(&mut self) -> Result<Option<u8>, ChannelError> {
        if self.queue.is_empty() {
            self.read(Moment(0))?;
        }
        Ok(self.queue.pop_front())
    }

    /// Waits for bytes that are no protocol and keeps them as words. False: none came until the moment.
    pub fn listen(&mut self, until: Moment) -> Result<bool, ChannelError> {
        let Some(first) = self.byte(until)? else { return Ok(false) };
        self.word(first);
        // Not more than fit: whoever looks for a pattern must have seen them all.
        for _ in 1..WORDS_MOST / 2 {
            match self.queue.pop_front() {
                Some(byte) => self.word(byte),
                None => break,
            }
        }
        Ok(true)
    }

    fn read(&mut self, until: Moment) -> Result<(), ChannelError> {
        let wait = Wait { until: until.min(self.wait.until), cancel: self.wait.cancel.clone() };
        let mut bytes = Vec::new();
        // Gone is as good as silent; who waits comes back here until the moment has come.
        while self.console.read(&mut bytes, &wait)? == ConsoleRead::Gone {}
        self.heard += bytes.len();
        if self.heard > HEARD_MOST {
            let doing = format!("listen to {}", self.console.describe());
            return Err(ChannelError::caused(ErrorKind::Protocol, doing, format!("more than {HEARD_MOST} bytes from the other side")));
        }
        self.queue.extend(bytes);
        Ok(())
    }

    /// Sends bytes. False: the line did not take them until the deadline.
    pub fn put(&mut self, bytes: &[u8]) -> Result<bool, ChannelError> {
        match self.console.write(bytes, self.wait) {
            Ok(()) => Ok(true),
            // A device without power is silent, and so is a line that went with it.
            Err(e) if matches!(e.kind, ErrorKind::Disconnected | ErrorKind::Timeout) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Sends bytes although the transfer has been given up.
    pub fn farewell(&mut self, bytes: &[u8]) {
        let wait = Wait { until: self.time.now() + FAREWELL.mul_f64(self.time.speed()), cancel: Default::default() };
        // Who does not take them runs into its own time limit.
        let _ = self.console.write(bytes, &wait);
    }

    /// Keeps a byte that is no part of the protocol.
    pub fn word(&mut self, byte: u8) {
        if self.words.len() >= WORDS_MOST {
            self.words.drain(..WORDS_MOST / 2);
        }
        self.words.push(byte);
    }

    /// The latest that the loader said since this was last emptied.
    pub fn words(&self) -> &[u8] {
        &self.words
    }

    /// Takes back what was no word after all: everything from this place on comes again as bytes.
    pub fn unread(&mut self, from: usize) {
        for byte in self.words.split_off(from.min(self.words.len())).into_iter().rev() {
            self.queue.push_front(byte);
        }
    }

    /// Takes back the last words that are this byte.
    pub fn unword(&mut self, byte: u8) {
        while self.words.last() == Some(&byte) {
            self.words.pop();
        }
    }

    /// Forgets what the loader said.
    pub fn forget(&mut self) {
        self.words.clear();
    }

    /// Its last words for a message; empty if there were none.
    pub fn last_words(&self) -> String {
        let words = self.words().trim_ascii();
        let tail = &words[words.len().saturating_sub(160)..];
        if tail.is_empty() { String::new() } else { format!(" \"{}\"", shown(tail)) }
    }
}
