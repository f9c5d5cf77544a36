//! NOR flash: a copy-on-write image, the physics of media, and the flash as the device sees it.

mod image;
mod medium;
#[cfg(test)]
mod tests;

pub use image::FlashImage;
pub use medium::{Medium, UnknownMedium};

use crate::layout::{PAGE, SECTOR, SIZE, WRITE_UNIT};
use proofbench_channel::{OpKind, OpSummary, Tear};
use std::rc::Rc;

/// The medium answered a read with an error (a word that its ECC cannot correct), or the range is not flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("flash at {offset:#x} cannot be read")]
pub struct Fault {
    /// First byte of the word that could not be read.
    pub offset: u32,
}

/// One operation of the medium: at most a page programmed, or one sector erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Program.
    Write {
        /// First byte.
        off: u32,
        /// Content; bits only clear.
        data: Rc<[u8]>,
    },
    /// Erase of one sector.
    Erase {
        /// First byte of the sector.
        off: u32,
    },
    /// Barrier of a medium with a write cache.
    Flush,
}

impl Op {
    /// Kind, place and size.
    pub fn summary(&self) -> OpSummary {
        match self {
            Op::Write { off, data } => OpSummary { kind: OpKind::Write, offset: *off, len: data.len() as u32 },
            Op::Erase { off } => OpSummary { kind: OpKind::Erase, offset: *off, len: SECTOR },
            Op::Flush => OpSummary { kind: OpKind::Flush, offset: 0, len: 0 },
        }
    }
    /// First byte that it touches; flushes touch none.
    pub(crate) fn offset(&self) -> Option<u32> {
        match self {
            Op::Write { off, .. } | Op::Erase { off } => Some(*off),
            Op::Flush => None,
        }
    }
}

/// An operation with its virtual time, for a process that keeps the flash in a file.
#[derive(Debug, Clone)]
pub struct TimedOp {
    /// When the medium began.
    pub start_ns: u64,
    /// When it was done.
    pub end_ns: u64,
    /// What it did.
    pub op: Op,
}

/// Whether an operation may be given to the medium at all: aligned, inside, one page or one sector.
pub(crate) fn well_formed(op: &Op) -> bool {
    match op {
        Op::Write { off, data } => {
            let len = data.len() as u32;
            let inside = *off < SIZE && len > 0 && off % PAGE + len <= PAGE;
            inside && off.is_multiple_of(WRITE_UNIT) && len.is_multiple_of(WRITE_UNIT)
        }
        Op::Erase { off } => *off < SIZE && off % SECTOR == 0,
        Op::Flush => true,
    }
}

/// The flash as the powered device sees it, with the write cache that some media have.
#[derive(Debug, Clone)]
pub struct Flash {
    image: FlashImage,
    medium: Medium,
    /// Write cache: what is safe already, and the writes since.
    stable: FlashImage,
    unflushed: Vec<Op>,
    /// Steers how unstable bits read during this power-on.
    salt: u64,
}

impl Flash {
    /// A flash with this content.
    pub fn new(image: FlashImage, medium: Medium) -> Self {
        Self { stable: image.clone(), image, medium, unflushed: Vec::new(), salt: 0 }
    }
    /// The content as the device sees it.
    pub fn image(&self) -> &FlashImage {
        &self.image
    }
    /// The profile.
    pub fn medium(&self) -> Medium {
        self.medium
    }
    /// Power comes on: unstable bits settle anew, as a function of the content.
    pub(crate) fn power_on(&mut self) {
        self.salt = self.image.digest() as u64 | 1;
    }
    /// Reads; unreadable words are an error.
    pub fn read(&self, off: u32, into: &mut [u8]) -> Result<(), Fault> {
        self.medium.read(&self.image, self.salt, off, into)
    }
    /// Names the content of a range as it reads during this power-on.
    pub(crate) fn view_key(&self, off: u32, len: u32) -> u128 {
        let key = self.image.range_digest(off, len);
        if self.medium == Medium::UnstableBits && self.image.has_torn(off, len) { key ^ u128::from(self.salt) } else { key }
    }
    /// Carries out a whole operation. Returns whether the medium took it (bits that cannot be set, words that may not be written again).
    pub(crate) fn apply(&mut self, op: &Op) -> bool {
        if !self.medium.accepts(&self.image, op) {
            return false;
        }
        self.medium.apply(&mut self.image, op);
        if self.medium.has_cache() {
            match op {
                Op::Write { .. } => self.unflushed.push(op.clone()),
                Op::Erase { .. } | Op::Flush => self.settle(),
            }
        }
        true
    }
    fn settle(&mut self) {
        self.stable = self.image.clone();
        self.unflushed.clear();
    }
    /// Power fails during (or, with [`Tear::Before`], before) `op`: what remains is the content from now on.
    pub(crate) fn lose_power(&mut self, op: Option<&Op>, tear: Tear) {
        if let Tear::DropUnflushed(seed) = tear {
            self.image = self.medium.drop_unflushed(&self.stable, &self.unflushed, seed);
        } else if let Some(op) = op
            && self.medium.accepts(&self.image, op)
        {
            self.medium.tear(&mut self.image, op, tear);
        }
        self.settle();
    }
    /// Power fails at a moment of virtual time: `through` is how far `op` had come, in parts of 256.
    pub(crate) fn lose_power_at(&mut self, op: Option<(&Op, u32)>, chance: u64) {
        if !self.unflushed.is_empty() && op.is_none() {
            return self.lose_power(None, Tear::DropUnflushed(16 + (chance % 64) as u32));
        }
        let Some((op, through)) = op else { return self.lose_power(None, Tear::Before) };
        let tear = match op {
            Op::Write { data, .. } => Tear::Prefix((data.len() as u32 * through / 256).max(1)),
            Op::Erase { .. } if through < 64 => Tear::EraseZero,
            Op::Erase { .. } if through < 128 => Tear::EraseFirstHalf,
            Op::Erase { .. } if through < 192 => Tear::Bits(chance as u32),
            Op::Erase { .. } => Tear::EraseLastHalf,
            Op::Flush => Tear::DropUnflushed(16 + (chance % 64) as u32),
        };
        let tear = if self.medium.tears(op).is_empty() { Tear::Before } else { tear };
        self.lose_power(Some(op), tear);
    }
}

/// Walks every cut of `ops` from `base`. See [`proofbench_channel::CrashSpace::rebuild`].
pub(crate) fn rebuild(
    medium: Medium,
    base: &FlashImage,
    ops: &[Op],
    torn: bool,
    visit: &mut dyn FnMut(u32, Tear, u128) -> bool,
    keep: &mut dyn FnMut(u32, Tear, FlashImage),
) {
    let mut flash = Flash::new(base.clone(), medium);
    for (at, op) in ops.iter().enumerate() {
        let at = at as u32;
        if visit(at, Tear::Before, flash.image.digest()) {
            keep(at, Tear::Before, flash.image.clone());
        }
        if torn && medium.accepts(&flash.image, op) {
            for tear in medium.tears(op) {
                flash.medium.with_tear(&mut flash.image, op, *tear, |image| {
                    if visit(at, *tear, image.digest()) {
                        keep(at, *tear, image.clone());
                    }
                });
            }
        }
        if torn && !flash.unflushed.is_empty() {
            for seed in medium::drop_seeds(flash.unflushed.len()) {
                let image = medium.drop_unflushed(&flash.stable, &flash.unflushed, seed);
                if visit(at, Tear::DropUnflushed(seed), image.digest()) {
                    keep(at, Tear::DropUnflushed(seed), image);
                }
            }
        }
        flash.apply(op);
    }
    let at = ops.len() as u32;
    if visit(at, Tear::Before, flash.image.digest()) {
        keep(at, Tear::Before, flash.image.clone());
    }
}
