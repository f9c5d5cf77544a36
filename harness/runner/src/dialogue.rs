//! Console bytes as lines: bounded memory, every byte looked at once, partial lines kept for prompts.

use proofbench_channel::Moment;
use std::collections::VecDeque;

/// Bytes kept that nobody has asked for yet; older lines are dropped, and counted.
pub(crate) const KEPT_BYTES: usize = 256 * 1024;
/// A line without an end is cut here.
pub(crate) const LINE_BYTES: usize = 4 * 1024;

/// One line without its end.
#[derive(Debug)]
pub(crate) struct Line {
    pub bytes: Box<[u8]>,
    pub at: Moment,
    /// Matches one of the device's tripwires.
    pub trip: bool,
}

/// Lines that arrived and were not consumed, and the beginning of the next one.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pub whole: VecDeque<Line>,
    bytes: usize,
    pub partial: Vec<u8>,
    pub partial_at: Moment,
    /// Lines dropped because nobody read them.
    pub dropped: u64,
}

impl Lines {
    /// Takes bytes; `look` sees each whole line once and says whether it is a tripwire.
    pub fn push(&mut self, mut bytes: &[u8], at: Moment, look: &mut dyn FnMut(&[u8], Moment) -> bool) {
        while !bytes.is_empty() {
            let (part, end) = match bytes.iter().position(|b| *b == b'\n') {
                Some(n) => (&bytes[..n], true),
                None => (bytes, false),
            };
            let room = LINE_BYTES - self.partial.len();
            if part.len() > room {
                self.partial.extend_from_slice(&part[..room]);
                bytes = &bytes[room..];
                self.finish_line(at, look);
                continue;
            }
            self.partial.extend_from_slice(part);
            self.partial_at = at;
            bytes = &bytes[part.len() + usize::from(end)..];
            if end {
                self.finish_line(at, look);
            }
        }
    }

    fn finish_line(&mut self, at: Moment, look: &mut dyn FnMut(&[u8], Moment) -> bool) {
        let trip = look(trim(&self.partial), at);
        let bytes: Box<[u8]> = trim(&self.partial).into();
        self.partial.clear();
        self.bytes += bytes.len() + 1;
        self.whole.push_back(Line { bytes, at, trip });
        while self.bytes > KEPT_BYTES {
            let Some(old) = self.whole.pop_front() else { break };
            self.bytes -= old.bytes.len() + 1;
            self.dropped += 1;
        }
    }

    /// Forgets the first `n` whole lines and gives them back.
    pub fn consume(&mut self, n: usize) -> Vec<Line> {
        let n = n.min(self.whole.len());
        let lines: Vec<Line> = self.whole.drain(..n).collect();
        self.bytes -= lines.iter().map(|l| l.bytes.len() + 1).sum::<usize>();
        lines
    }

    /// The line that has no end yet, without carriage returns around it.
    pub fn partial(&self) -> &[u8] {
        trim(&self.partial)
    }

    /// Forgets everything; gives back the bytes.
    pub fn clear(&mut self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.bytes + self.partial.len());
        for line in self.whole.drain(..) {
            all.extend_from_slice(&line.bytes);
            all.push(b'\n');
        }
        all.append(&mut self.partial);
        self.bytes = 0;
        all
    }
}

fn trim(mut line: &[u8]) -> &[u8] {
    while let [b'\r', rest @ ..] = line {
        line = rest;
    }
    while let [rest @ .., b'\r'] = line {
        line = rest;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(lines: &mut Lines, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut seen = Vec::new();
        lines.push(bytes, Moment(1), &mut |l, _| {
            seen.push(l.to_vec());
            false
        });
        seen
    }

    #[test]
    fn lines_are_seen_once_however_the_bytes_are_cut() {
        let text = b"one\r\ntwo\r\n\rthree\nlogin: ";
        for step in 1..text.len() {
            let mut lines = Lines::default();
            let mut seen = Vec::new();
            for part in text.chunks(step) {
                seen.extend(push(&mut lines, part));
            }
            assert_eq!(seen, [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()], "step {step}");
            assert_eq!(lines.partial(), b"login: ");
        }
    }

    #[test]
    fn memory_is_bounded_whatever_arrives() {
        let mut lines = Lines::default();
        for _ in 0..200 {
            push(&mut lines, &[b'x'; 10_000]);
            push(&mut lines, &b"y\n".repeat(1000));
        }
        let kept: usize = lines.whole.iter().map(|l| l.bytes.len() + 1).sum();
        assert!(kept <= KEPT_BYTES && lines.partial.len() <= LINE_BYTES);
        assert!(lines.whole.iter().all(|l| l.bytes.len() <= LINE_BYTES));
        assert!(lines.dropped > 0);
    }

    #[test]
    fn consuming_keeps_the_account() {
        let mut lines = Lines::default();
        push(&mut lines, b"a\nb\nc\nrest");
        assert_eq!(lines.consume(2).len(), 2);
        assert_eq!(lines.clear(), b"c\nrest");
        assert_eq!(lines.bytes, 0);
    }
}
