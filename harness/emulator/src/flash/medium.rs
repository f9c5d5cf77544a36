//! Profiles of storage media: what they accept, what an interrupted operation leaves, what they refuse to read.

use super::image::{FlashImage, WORD};
use super::{Fault, Op};
use crate::layout::{PAGE, SECTOR, SIZE};
use proofbench_channel::Tear;
use std::fmt;
use std::str::FromStr;

/// A medium profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Medium {
    /// Operations are atomic: clean cuts only.
    Ideal,
    /// Bits only clear, writes and erases tear anywhere.
    #[default]
    SpiNor,
    /// Words of 4 bytes are atomic, a double word takes two writes between erases.
    Nrf52,
    /// ECC over 8 bytes: written once per erase (zero may always be written), a torn word cannot be read.
    Ecc64,
    /// ECC over 32 bytes.
    Ecc256,
    /// A word that is not erased refuses every write.
    WriteOnce,
    /// Torn words read differently from power-on to power-on until they are written or erased anew.
    UnstableBits,
    /// A write cache: what was not flushed may be lost in any subset.
    WriteBack,
}

/// A name that is no profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no medium profile; there are ideal, spi-nor, nrf52, ecc-64, ecc-256, write-once, unstable-bits, write-back")]
pub struct UnknownMedium(pub String);

const WRITE_16: &[Tear] = &[Tear::Prefix(1), Tear::Prefix(8), Tear::Prefix(15), Tear::HalfBits, Tear::Bits(1)];
const WRITE_32: &[Tear] = &[Tear::Prefix(1), Tear::Prefix(16), Tear::Prefix(31), Tear::HalfBits, Tear::Bits(1)];
const WRITE_N: &[Tear] = &[Tear::Prefix(1), Tear::Prefix(32), Tear::Prefix(100), Tear::HalfBits, Tear::Bits(1)];
const WRITE_256: &[Tear] = &[Tear::Prefix(1), Tear::Prefix(128), Tear::Prefix(255), Tear::HalfBits, Tear::Bits(1)];
const WRITE_WORDS: &[Tear] = &[Tear::Prefix(4), Tear::Prefix(8), Tear::Prefix(12), Tear::Bits(1)];
const ERASE: &[Tear] = &[Tear::EraseFirstHalf, Tear::EraseLastHalf, Tear::EraseZero, Tear::Bits(1), Tear::Bits(77)];

/// Which losses of unflushed writes are tried: each of the first eight alone, then two random subsets.
pub(super) fn drop_seeds(unflushed: usize) -> impl Iterator<Item = u32> {
    (0..unflushed.min(8) as u32).chain((unflushed > 1).then_some([16, 17]).into_iter().flatten())
}

/// A generator for tears; small and fixed for all time, because states are named by seed.
fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

fn random_byte(seed: u64, at: u32) -> u8 {
    (mix(seed ^ u64::from(at / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15)) >> (at % 8 * 8)) as u8
}

impl Medium {
    /// Every profile.
    pub const ALL: [Medium; 8] =
        [Medium::Ideal, Medium::SpiNor, Medium::Nrf52, Medium::Ecc64, Medium::Ecc256, Medium::WriteOnce, Medium::UnstableBits, Medium::WriteBack];
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Medium::Ideal => "ideal",
            Medium::SpiNor => "spi-nor",
            Medium::Nrf52 => "nrf52",
            Medium::Ecc64 => "ecc-64",
            Medium::Ecc256 => "ecc-256",
            Medium::WriteOnce => "write-once",
            Medium::UnstableBits => "unstable-bits",
            Medium::WriteBack => "write-back",
        }
    }
    pub(crate) fn has_cache(self) -> bool {
        self == Medium::WriteBack
    }
    pub(crate) fn rewritable(self) -> bool {
        matches!(self, Medium::Ideal | Medium::SpiNor | Medium::UnstableBits | Medium::WriteBack)
    }
    /// Bytes that share one memory of having been written; 0 where cells remember nothing.
    fn unit(self) -> u32 {
        match self {
            Medium::Ideal | Medium::SpiNor | Medium::WriteBack => 0,
            Medium::Nrf52 | Medium::Ecc64 | Medium::WriteOnce | Medium::UnstableBits => WORD,
            Medium::Ecc256 => 32,
        }
    }
    /// Mark bits of the words that `off..off + len` (inside one page) touches, widened to whole units.
    fn words(self, off: u32, len: u32) -> u64 {
        let unit = self.unit().max(WORD);
        let first = off % PAGE / unit * unit / WORD;
        let last = (off % PAGE + len).div_ceil(unit) * unit / WORD;
        ((1u64 << last) - 1) & !((1u64 << first) - 1)
    }
    /// Makes content that a programmer wrote look programmed, where cells remember it.
    pub fn adopt(self, image: &mut FlashImage) {
        if matches!(self, Medium::Nrf52 | Medium::Ecc64 | Medium::Ecc256 | Medium::WriteOnce) {
            image.mark_programmed();
        }
    }
    pub(super) fn read(self, image: &FlashImage, salt: u64, off: u32, into: &mut [u8]) -> Result<(), Fault> {
        let len = u32::try_from(into.len()).map_err(|_| Fault { offset: off })?;
        if off.checked_add(len).is_none_or(|end| end > SIZE) {
            return Err(Fault { offset: off });
        }
        image.copy_to(off, into);
        if matches!(self, Medium::Ecc64 | Medium::Ecc256 | Medium::UnstableBits) && len > 0 {
            for page in off / PAGE..=(off + len - 1) / PAGE {
                let torn = image.page(page as usize).marks >> 32;
                if torn == 0 {
                    continue;
                }
                let (from, to) = (off.max(page * PAGE), (off + len).min((page + 1) * PAGE));
                let hit = torn & self.words(from, to - from);
                if hit == 0 {
                    continue;
                }
                if self != Medium::UnstableBits {
                    return Err(Fault { offset: page * PAGE + hit.trailing_zeros() * WORD });
                }
                for at in (from..to).filter(|at| hit >> (at % PAGE / WORD) & 1 == 1) {
                    into[(at - off) as usize] |= random_byte(salt, at) & random_byte(!salt, at);
                }
            }
        }
        Ok(())
    }
    /// Whether the medium takes the operation.
    pub(super) fn accepts(self, image: &FlashImage, op: &Op) -> bool {
        let Op::Write { off, data } = op else { return true };
        let page = image.page((*off / PAGE) as usize);
        let words = self.words(*off, data.len() as u32);
        let (programmed, spent) = (page.marks as u32 as u64 & words, page.marks >> 32 & words);
        match self {
            Medium::Ideal | Medium::SpiNor | Medium::WriteBack | Medium::UnstableBits => true,
            Medium::Nrf52 => spent == 0,
            Medium::Ecc64 | Medium::Ecc256 => programmed == 0 || (spent == 0 && data.iter().all(|b| *b == 0)),
            Medium::WriteOnce => programmed == 0,
        }
    }
    pub(super) fn apply(self, image: &mut FlashImage, op: &Op) {
        match op {
            Op::Write { off, data } => self.program(image, *off, data, data.len() as u32),
            Op::Erase { off } => image.blank_pages((*off / PAGE) as usize, ((*off + SECTOR) / PAGE) as usize),
            Op::Flush => {}
        }
    }
    /// Programs the first `done` bytes of `data`; the unit that `done` ends inside is torn.
    fn program(self, image: &mut FlashImage, off: u32, data: &[u8], done: u32) {
        let unit = self.unit();
        let touched = if unit == 0 || done == 0 { 0 } else { self.words(off, done) };
        image.modify((off / PAGE) as usize, |page| {
            let within = (off % PAGE) as usize;
            for (cell, byte) in page.data[within..].iter_mut().zip(&data[..done as usize]) {
                *cell &= byte;
            }
            match self {
                Medium::Nrf52 => page.marks |= (page.marks & touched) << 32 | touched,
                Medium::UnstableBits => page.marks &= !(touched << 32),
                _ => page.marks |= touched,
            }
        });
        if done < data.len() as u32 && (!done.is_multiple_of(unit.max(1)) || done == 0) {
            let from = (off + done) / unit.max(1) * unit.max(1);
            self.mark_torn(image, from, unit.max(1));
        }
    }
    fn mark_torn(self, image: &mut FlashImage, off: u32, len: u32) {
        if !matches!(self, Medium::Ecc64 | Medium::Ecc256 | Medium::UnstableBits) {
            return;
        }
        let words = self.words(off, len);
        image.modify((off / PAGE) as usize, |page| {
            page.marks |= words << 32;
            if self != Medium::UnstableBits {
                page.marks |= words;
            }
        });
    }
    /// What an interrupted operation can leave on this medium, besides nothing.
    pub(super) fn tears(self, op: &Op) -> &'static [Tear] {
        match (self, op) {
            (Medium::Ideal, _) | (_, Op::Flush) => &[],
            (Medium::Nrf52, Op::Write { .. }) => WRITE_WORDS,
            (_, Op::Write { data, .. }) => match data.len() {
                16 => WRITE_16,
                32 => WRITE_32,
                256 => WRITE_256,
                _ => WRITE_N,
            },
            (_, Op::Erase { .. }) => ERASE,
        }
    }
    /// Applies an interrupted operation.
    pub(super) fn tear(self, image: &mut FlashImage, op: &Op, tear: Tear) {
        match op {
            Op::Write { off, data } => self.tear_write(image, *off, data, tear),
            Op::Erase { off } => self.tear_erase(image, *off, tear),
            Op::Flush => {}
        }
    }
    /// Runs `with` on the torn image and puts it back.
    pub(super) fn with_tear(self, image: &mut FlashImage, op: &Op, tear: Tear, with: impl FnOnce(&FlashImage)) {
        if let Some(off) = op.offset() {
            image.transient(off, |i| self.tear(i, op, tear), with);
        }
    }
    fn tear_write(self, image: &mut FlashImage, off: u32, data: &[u8], tear: Tear) {
        let len = data.len() as u32;
        let partial: Vec<u8> = match tear {
            Tear::Prefix(n) => {
                let n = n.min(len);
                return self.program(image, off, data, if self == Medium::Nrf52 { n / 4 * 4 } else { n });
            }
            Tear::HalfBits => data.iter().map(|b| b | 0x55).collect(),
            Tear::Bits(seed) => (off..).zip(data).map(|(at, b)| b | random_byte(mix(u64::from(seed)), at)).collect(),
            _ => return,
        };
        self.program(image, off, &partial, len);
        self.mark_torn(image, off, len);
    }
    fn tear_erase(self, image: &mut FlashImage, off: u32, tear: Tear) {
        let first = (off / PAGE) as usize;
        let (half, end) = (first + (SECTOR / PAGE / 2) as usize, first + (SECTOR / PAGE) as usize);
        let suspect = match tear {
            Tear::EraseFirstHalf => {
                image.blank_pages(first, half);
                half..end
            }
            Tear::EraseLastHalf => {
                image.blank_pages(half, end);
                first..half
            }
            Tear::EraseZero => {
                image.zero_pages(first, end);
                first..end
            }
            Tear::Bits(seed) => {
                for page in first..end {
                    image.modify(page, |p| {
                        let base = page as u32 * PAGE;
                        for (at, cell) in (base..).zip(p.data.iter_mut()) {
                            *cell |= random_byte(mix(u64::from(seed) << 32), at);
                        }
                    });
                }
                first..end
            }
            _ => return,
        };
        for page in suspect {
            self.mark_torn(image, page as u32 * PAGE, PAGE);
            if self == Medium::WriteOnce {
                image.modify(page, |p| p.marks |= u64::from(u32::MAX));
            }
        }
    }
    /// What remains of a write cache: the unflushed write number `seed` alone is lost (below 16), or a random subset.
    pub(super) fn drop_unflushed(self, stable: &FlashImage, unflushed: &[Op], seed: u32) -> FlashImage {
        let mut image = stable.clone();
        for (i, op) in unflushed.iter().enumerate() {
            let lost = if seed < 16 { i as u32 == seed } else { mix(u64::from(seed) << 32 | i as u64) & 1 == 1 };
            if !lost {
                self.apply(&mut image, op);
            }
        }
        image
    }
}

impl fmt::Display for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Medium {
    type Err = UnknownMedium;
    fn from_str(s: &str) -> Result<Self, UnknownMedium> {
        Medium::ALL.into_iter().find(|m| m.name() == s).ok_or_else(|| UnknownMedium(s.to_owned()))
    }
}
