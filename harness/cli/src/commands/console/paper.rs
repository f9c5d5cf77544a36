//! Where the device's bytes go: standard output, and a file, with or without the time before each line.

use std::fs::File;
use std::io::{Result, Stdout, Write};
use std::time::Duration;

/// Both places. An error of either is kept and told at the end; standard output that went away ends the talk.
pub struct Paper {
    out: Stdout,
    log: Option<File>,
    stamps: Option<Stamps>,
    out_closed: bool,
    failed: Option<std::io::Error>,
}

impl Paper {
    /// `stamp`: the time stands before each line.
    pub fn new(out: Stdout, log: Option<File>, stamp: bool) -> Self {
        Self { out, log, stamps: stamp.then(Stamps::default), out_closed: false, failed: None }
    }

    /// Writes what came by `at`, counted from the start.
    pub fn write(&mut self, at: Duration, bytes: &[u8]) {
        let stamped = self.stamps.as_mut().map(|s| s.stamp(at, bytes));
        let bytes = stamped.as_deref().unwrap_or(bytes);
        if !self.out_closed && self.out.write_all(bytes).and_then(|()| self.out.flush()).is_err() {
            self.out_closed = true;
        }
        if let Some(log) = &mut self.log
            && let Err(e) = log.write_all(bytes)
        {
            self.failed.get_or_insert(e);
            self.log = None;
        }
    }

    /// Whether nobody reads any more.
    pub fn closed(&self) -> bool {
        self.out_closed
    }

    /// The log is on disk when this returns.
    pub fn finish(self) -> Result<()> {
        match (self.failed, self.log) {
            (Some(e), _) => Err(e),
            (None, Some(log)) => log.sync_all(),
            (None, None) => Ok(()),
        }
    }
}

/// Puts the time before each line.
#[derive(Debug, Default)]
struct Stamps {
    /// The line has begun: its time stands there.
    inside: bool,
}

impl Stamps {
    fn stamp(&mut self, at: Duration, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() + 32);
        for byte in bytes {
            if !self.inside && *byte != b'\r' {
                out.extend_from_slice(format!("[{:>10.3}] ", at.as_secs_f64()).as_bytes());
                self.inside = true;
            }
            out.push(*byte);
            if *byte == b'\n' {
                self.inside = false;
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_the_time_at_which_it_began() {
        let mut stamps = Stamps::default();
        let mut out = stamps.stamp(Duration::from_millis(12), b"one\r\ntw");
        out.extend(stamps.stamp(Duration::from_millis(1500), b"o\r\nlogin: "));
        let expected = "[     0.012] one\r\n[     0.012] two\r\n[     1.500] login: ";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
