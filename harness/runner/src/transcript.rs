//! Everything that went over the channels since a check started: the head kept whole, the tail kept whole, the middle counted.

use crate::text::escape_into;
use proofbench_channel::Moment;
use std::collections::VecDeque;
use std::fmt::Write;

const HEAD_BYTES: usize = 64 * 1024;
const TAIL_BYTES: usize = 192 * 1024;
/// What an entry costs beside its bytes.
const ENTRY: usize = 24;

/// One entry: bytes as they went, formatted only if somebody asks.
#[derive(Debug)]
struct Entry {
    at: Moment,
    channel: &'static str,
    /// `>` to the device, `<` from it, `!` about the bench.
    direction: char,
    bytes: Box<[u8]>,
}

/// The record. Adding is cheap: thousands of boots a second go through it.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    head: Vec<Entry>,
    head_bytes: usize,
    tail: VecDeque<Entry>,
    tail_bytes: usize,
    left_out: u64,
}

impl Transcript {
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    pub fn add(&mut self, at: Moment, channel: &'static str, direction: char, bytes: &[u8]) {
        // One entry cannot fill the whole record: the console hands over at most 64 KiB at a time.
        let bytes = &bytes[..bytes.len().min(HEAD_BYTES)];
        let cost = bytes.len() + ENTRY;
        let entry = Entry { at, channel, direction, bytes: bytes.into() };
        if self.tail.is_empty() && self.head_bytes + cost <= HEAD_BYTES {
            self.head_bytes += cost;
            self.head.push(entry);
            return;
        }
        self.tail_bytes += cost;
        self.tail.push_back(entry);
        while self.tail_bytes > TAIL_BYTES {
            let Some(old) = self.tail.pop_front() else { break };
            self.tail_bytes -= old.bytes.len() + ENTRY;
            self.left_out += 1;
        }
    }

    /// As text: one line an entry, device bytes escaped, console bytes broken at their line ends.
    pub fn text(&self) -> String {
        let mut out = String::with_capacity(self.head_bytes + self.tail_bytes);
        for e in &self.head {
            line(&mut out, e);
        }
        if self.left_out > 0 {
            let _ = writeln!(out, "... {} entries left out ...", self.left_out);
        }
        for e in &self.tail {
            line(&mut out, e);
        }
        out
    }
}

fn line(out: &mut String, e: &Entry) {
    for part in e.bytes.split_inclusive(|b| *b == b'\n') {
        let _ = write!(out, "[{:>6}.{:06}] {} {} ", e.at.0 / 1_000_000_000, e.at.0 / 1000 % 1_000_000, e.channel, e.direction);
        escape_into(part, out);
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_and_tail_survive_a_flood_and_the_gap_is_told() {
        let mut t = Transcript::default();
        t.add(Moment(0), "power", '!', b"first");
        for n in 0..100_000u32 {
            t.add(Moment(u64::from(n)), "console", '<', b"noise noise noise\r\n");
        }
        t.add(Moment(1_500_000_000), "console", '>', b"last");
        let text = t.text();
        assert!(text.starts_with("[     0.000000] power ! first\n"), "{}", &text[..80]);
        assert!(text.ends_with("[     1.500000] console > last\n"));
        assert!(text.contains("entries left out"));
        assert!(t.head_bytes + t.tail_bytes <= HEAD_BYTES + TAIL_BYTES);
    }
}
