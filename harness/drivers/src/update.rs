//! Update paths beside SMP. Each of them takes whole images only, and says `Unsupported` of all that it cannot ask a device.

pub mod command;
pub mod modem;
pub mod pull;
pub mod push;
pub mod ssh;

use crate::TimeBase;
use proofbench_channel::{ChannelError, Chunk, ErrorKind, Moment};
use regex::bytes::{Regex, RegexBuilder};

/// Most remarks that are kept until somebody asks for them.
const REMARKS_MOST: usize = 200;

/// The bytes of a piece that is a whole image. `Unsupported` for every other piece: nothing is kept for later, so nothing can be mixed up.
fn whole<'a>(chunk: &Chunk<'a>, path: &str) -> Result<&'a [u8], ChannelError> {
    if chunk.offset == 0 && chunk.total.map(|n| n as usize) == Some(chunk.data.len()) {
        return Ok(chunk.data);
    }
    let total = chunk.total.map_or(String::new(), |n| format!(" of {n}"));
    let piece = format!("send bytes {}+{}{total} by {path}, which takes whole images only", chunk.offset, chunk.data.len());
    Err(ChannelError::new(ErrorKind::Unsupported, piece))
}

/// The error of what a path has no request for.
fn cannot<T>(what: &str, path: &str) -> Result<T, ChannelError> {
    Err(ChannelError::new(ErrorKind::Unsupported, format!("{what} by {path}")))
}

/// A pattern over a device's bytes, or why it is none.
pub fn pattern(text: &str) -> Result<Regex, ChannelError> {
    let built = RegexBuilder::new(text).multi_line(true).size_limit(1 << 20).build();
    built.map_err(|e| ChannelError::caused(ErrorKind::Driver, format!("read the pattern `{text}`"), e))
}

/// The offset after the last byte of an image.
fn end_of(image: &[u8]) -> u32 {
    u32::try_from(image.len()).unwrap_or(u32::MAX)
}

/// Bytes from hexadecimal digits.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    // A lone digit is no byte, and `from_str_radix` would take a sign for one.
    pairs.map(|p| std::str::from_utf8(p).ok().filter(|t| t.len() == 2 && !t.starts_with('+')).and_then(|t| u8::from_str_radix(t, 16).ok())).collect()
}

/// What a path saw on its own account.
struct Remarks {
    time: TimeBase,
    kept: Vec<(Moment, String)>,
}

impl Remarks {
    fn new(time: TimeBase) -> Self {
        Self { time, kept: Vec::new() }
    }

    fn add(&mut self, text: impl Into<String>) {
        if self.kept.len() < REMARKS_MOST {
            self.kept.push((self.time.now(), text.into()));
        }
    }

    fn take(&mut self) -> Vec<(Moment, String)> {
        std::mem::take(&mut self.kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_image_is_one() {
        let piece = Chunk { offset: 0, data: &[1, 2, 3], total: Some(3), sha: None };
        assert_eq!(whole(&piece, "x").unwrap(), [1, 2, 3]);
        assert_eq!(whole(&Chunk { data: &[], total: Some(0), ..piece }, "x").unwrap(), [0; 0]);
        for other in [Chunk { total: Some(4), ..piece }, Chunk { total: None, ..piece }, Chunk { offset: 3, total: Some(3), ..piece }] {
            assert_eq!(whole(&other, "x").unwrap_err().kind, ErrorKind::Unsupported);
        }
    }
}
