//! An image on its way into slot 1: chunks in order, page by page. Nothing here decides whether the image is any good.

use super::update::code;
use crate::defects::Defect;
use crate::hw::{Hw, Stop};
use crate::layout::{CELL, PAGE, SECTOR, SLOT0, SLOT1};
use sha2::{Digest, Sha256};

/// The transfer that is under way, if any. RAM only: after a restart it begins anew.
#[derive(Debug, Clone, Default)]
pub struct Upload(Option<Transfer>);

#[derive(Debug, Clone)]
struct Transfer {
    len: u64,
    sha: Option<[u8; 32]>,
    next: u32,
    /// Bytes that stand in the slot.
    written: u32,
    /// What has come in and does not fill a page yet.
    page: Vec<u8>,
    hasher: Sha256,
}

/// One request of the upload command.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    /// Where it belongs.
    pub off: u64,
    /// The bytes.
    pub data: &'a [u8],
    /// Announced length of the whole; must come with offset 0.
    pub len: Option<u64>,
    /// Announced SHA-256 of the whole.
    pub sha: Option<[u8; 32]>,
}

/// What became of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Offset that the device wants next.
    pub next: u32,
    /// With the last chunk, if a SHA-256 was announced: whether it is right.
    pub matches: Option<bool>,
}

impl Taken {
    fn next(next: u32) -> Result<Taken, u16> {
        Ok(Taken { next, matches: None })
    }
}

impl Upload {
    /// Whether a chunk belongs to a transfer that has begun.
    pub fn goes_on(&self, chunk: &Chunk<'_>) -> bool {
        self.0.as_ref().is_some_and(|t| chunk.off > 0 || (t.sha.is_some() && t.sha == chunk.sha && Some(t.len) == chunk.len))
    }

    /// Forgets the transfer.
    pub fn abort(&mut self) {
        self.0 = None;
    }

    /// First chunk of a transfer: erases slot 1 and takes the chunk.
    pub fn begin(&mut self, hw: &mut Hw, chunk: &Chunk<'_>) -> Result<Result<Taken, u16>, Stop> {
        let Some(len) = chunk.len else { return Ok(Err(code::INVALID_LENGTH)) };
        if len == 0 {
            if hw.defect(Defect::EmptyUploadBricks) {
                // defect empty-upload-bricks: "nothing to write" goes to the slot that happens to be selected.
                for sector in SLOT0.sectors() {
                    hw.feed();
                    hw.erase(sector)?;
                }
                return Ok(Taken::next(0));
            }
            return Ok(Err(code::INVALID_LENGTH));
        }
        // twin size-refused-early. The other way is as good: the first byte that does not fit is refused.
        if len > u64::from(SLOT1.len) && hw.defect(Defect::SizeRefusedEarly) {
            return Ok(Err(code::TOO_LARGE));
        }
        let started = self.0.take();
        let fresh = Transfer { len, sha: chunk.sha, next: 0, written: 0, page: Vec::new(), hasher: Sha256::new() };
        match started {
            Some(old) if hw.defect(Defect::SecondUploadMixes) => {
                // defect second-upload-mixes: length and digest are replaced, position and flash content are not.
                self.0 = Some(Transfer { len, sha: chunk.sha, ..old });
            }
            _ => {
                crate::boot::erase_secondary(hw)?;
                self.0 = Some(fresh);
            }
        }
        self.append(hw, chunk.data)
    }

    /// A later chunk. One that is not the next is passed over, and the answer says which one is.
    pub fn go_on(&mut self, hw: &mut Hw, chunk: &Chunk<'_>) -> Result<Result<Taken, u16>, Stop> {
        let Some(transfer) = &self.0 else { return Ok(Taken::next(0)) };
        let next = u64::from(transfer.next);
        // defect repeat-chunk-appends: whatever was sent before goes to the end.
        let appends = chunk.off < next && chunk.off > 0 && hw.defect(Defect::RepeatChunkAppends);
        if chunk.off != next && !appends {
            return Ok(Taken::next(transfer.next));
        }
        self.append(hw, chunk.data)
    }

    fn append(&mut self, hw: &mut Hw, data: &[u8]) -> Result<Result<Taken, u16>, Stop> {
        let Some(mut t) = self.0.take() else { return Ok(Taken::next(0)) };
        let end = u64::from(t.next) + data.len() as u64;
        let appends = hw.defect(Defect::RepeatChunkAppends);
        if end > t.len && !appends {
            return Ok(Err(code::DATA_OVERRUN));
        }
        if end > u64::from(SLOT1.len) && !hw.defect(Defect::OversizeOverruns) {
            return Ok(Err(code::TOO_LARGE));
        }
        t.hasher.update(data);
        t.page.extend(data);
        t.next += data.len() as u32;
        let whole = end >= t.len;
        if whole {
            t.page.resize(t.page.len().div_ceil(CELL as usize) * CELL as usize, 0xFF);
        }
        let kept = if whole { 0 } else { t.page.len() % PAGE as usize };
        let ready: Vec<u8> = t.page.drain(..t.page.len() - kept).collect();
        for page in ready.chunks(PAGE as usize) {
            let at = SLOT1.offset + t.written;
            hw.feed();
            // defect oversize-overruns: on through the end of the slot; nobody compares with its size.
            if at >= crate::layout::SIZE {
                return Ok(Err(code::WRITE_FAILED));
            }
            if at.is_multiple_of(SECTOR) && at >= SLOT1.end() {
                hw.erase(at)?;
            }
            if !program(hw, at, page)? {
                return Ok(Err(code::WRITE_FAILED));
            }
            t.written += page.len() as u32;
        }
        if whole {
            hw.flush()?;
            let digest: [u8; 32] = t.hasher.finalize().into();
            return Ok(Ok(Taken { next: t.next, matches: t.sha.map(|sha| sha == digest) }));
        }
        let next = t.next;
        self.0 = Some(t);
        Ok(Taken::next(next))
    }
}

/// Programs a page. A sector that only looked blank when it was spared is erased now, and what stood in it is written again.
fn program(hw: &mut Hw, at: u32, page: &[u8]) -> Result<bool, Stop> {
    if hw.program(at, page)? {
        return Ok(true);
    }
    let sector = at / SECTOR * SECTOR;
    let mut before = vec![0; (at - sector) as usize];
    if hw.read(sector, &mut before).is_err() {
        return Ok(false);
    }
    hw.feed();
    hw.erase(sector)?;
    Ok(hw.program(sector, &before)? && hw.program(at, page)?)
}
