//! A flash that loses power: counts operations, cuts at one of them, or shows every content that a cut could leave.
//!
//! An erase of several pages is one operation for each page, as in a part. An operation that the medium refuses changes nothing and is no
//! operation: only its error is seen. After a cut every call fails, so that `?` unwinds the code under test and its memory is dropped.

use crate::image::{Image, Span, mix};
use crate::medium::{Medium, Tear, Tears, erase_tears, write_tears};
use crate::trace::Cut;
use embedded_storage::nor_flash::{NorFlashError, NorFlashErrorKind};
use std::cell::RefCell;
use std::rc::Rc;

/// Kind and size of a flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chip {
    /// Its rules.
    pub medium: Medium,
    /// Bytes of the smallest write.
    pub word: usize,
    /// Bytes of the smallest erase.
    pub page: usize,
    /// Bytes in all.
    pub size: usize,
}

impl Chip {
    /// An erased content.
    pub fn erased(&self) -> Image {
        let beside = if self.medium.remembers() { self.size / self.word } else { 0 };
        Image::new(self.size + beside, self.size)
    }
}

/// Why a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlashError {
    /// Power went in this operation or in one before.
    PowerLost,
    /// Offset or length is not a multiple of the smallest unit: a mistake of the caller.
    NotAligned,
    /// Past the end: a mistake of the caller.
    OutOfBounds,
    /// The medium takes no such write there before an erase.
    Refused,
    /// The word was torn and has no valid checksum.
    Unreadable,
    /// More calls in one power-on than any code that ends makes.
    Endless,
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            FlashError::NotAligned => NorFlashErrorKind::NotAligned,
            FlashError::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            _ => NorFlashErrorKind::Other,
        }
    }
}

/// Is shown every content that a cut could leave.
pub trait Watch {
    /// A cut and the digest of what it leaves. Returns whether the content itself is wanted.
    fn met(&mut self, cut: Cut, digest: u128) -> bool;
}

/// Calls that one power-on may make.
const CALLS: u64 = 4_000_000;
/// A word that was torn on a medium with checksums.
const TORN: u8 = 0x80;

struct Device {
    image: Image,
    chip: Chip,
    ops: u32,
    calls: u64,
    dead: bool,
    armed: Option<Cut>,
    watch: Option<Rc<RefCell<dyn Watch>>>,
    tears: Tears,
    wanted: Vec<Image>,
    last_error: Option<FlashError>,
}

/// A handle on the flash; clones are the same flash.
#[derive(Clone)]
pub struct Flash(Rc<RefCell<Device>>);

enum Op<'a> {
    Write(usize, &'a [u8]),
    Erase(usize),
}

impl Flash {
    /// A flash that has just got power.
    pub fn new(chip: Chip, image: Image) -> Self {
        let (tears, wanted) = (Tears::NONE, Vec::new());
        Self(Rc::new(RefCell::new(Device { image, chip, ops: 0, calls: 0, dead: false, armed: None, watch: None, tears, wanted, last_error: None })))
    }

    /// Another flash with the same content, which nobody watches and no cut threatens.
    pub fn fork(&self) -> Flash {
        let device = self.0.borrow();
        Flash::new(device.chip, device.image.clone())
    }

    /// Kind and size.
    pub fn chip(&self) -> Chip {
        self.0.borrow().chip
    }

    /// The content at this moment.
    pub fn image(&self) -> Image {
        self.0.borrow().image.clone()
    }

    /// What is there after power was taken now.
    pub fn settled(&self) -> Image {
        let mut image = self.image();
        image.settle();
        image
    }

    /// What is there after this power-on: as a cut left it, or settled if power goes now.
    pub fn settled_unless_dead(&self) -> Image {
        if self.is_dead() { self.image() } else { self.settled() }
    }

    /// Operations done since power came, the interrupted one not counted.
    pub fn ops(&self) -> u32 {
        self.0.borrow().ops
    }

    /// Whether an armed cut has fired.
    pub fn is_dead(&self) -> bool {
        self.0.borrow().dead
    }

    /// The last call that failed, for the report.
    pub fn last_error(&self) -> Option<FlashError> {
        self.0.borrow().last_error
    }

    /// Makes power go at one operation.
    pub fn arm(&self, cut: Cut) {
        self.0.borrow_mut().armed = Some(cut);
    }

    /// Shows each further cut to `watch`, until [`Flash::unwatch`].
    pub fn watch(&self, watch: Rc<RefCell<dyn Watch>>, tears: Tears) {
        let mut device = self.0.borrow_mut();
        device.watch = Some(watch);
        device.tears = tears;
    }

    /// Ends watching and hands over the contents that the watcher wanted, in order.
    pub fn unwatch(&self) -> Vec<Image> {
        let mut device = self.0.borrow_mut();
        device.watch = None;
        std::mem::take(&mut device.wanted)
    }

    /// Reads; any offset and length inside.
    pub fn read(&self, at: usize, into: &mut [u8]) -> Result<(), FlashError> {
        let mut device = self.0.borrow_mut();
        let done = device.read(at, into);
        device.note(done)
    }

    /// Writes whole words inside one page or across pages: one operation.
    pub fn write(&self, at: usize, bytes: &[u8]) -> Result<(), FlashError> {
        let mut device = self.0.borrow_mut();
        let done = device.write(at, bytes);
        device.note(done)
    }

    /// Erases whole pages, one operation each.
    pub fn erase(&self, from: usize, to: usize) -> Result<(), FlashError> {
        let mut device = self.0.borrow_mut();
        let done = device.erase(from, to);
        device.note(done)
    }
}

impl Device {
    fn note(&mut self, done: Result<(), FlashError>) -> Result<(), FlashError> {
        self.last_error = done.err().or(self.last_error);
        done
    }

    fn call(&mut self, at: usize, len: usize) -> Result<(), FlashError> {
        self.calls += 1;
        if self.dead {
            return Err(FlashError::PowerLost);
        }
        if self.calls > CALLS {
            return Err(FlashError::Endless);
        }
        if at.checked_add(len).is_none_or(|end| end > self.chip.size) { Err(FlashError::OutOfBounds) } else { Ok(()) }
    }

    /// Where the medium remembers about the words of an area, if it does.
    fn beside(&self, at: usize, len: usize) -> std::ops::Range<usize> {
        if self.chip.medium.remembers() {
            let word = self.chip.word;
            self.chip.size + at / word..self.chip.size + (at + len).div_ceil(word)
        } else {
            0..0
        }
    }

    fn read(&mut self, at: usize, into: &mut [u8]) -> Result<(), FlashError> {
        self.call(at, into.len())?;
        if self.chip.medium.ecc && self.beside(at, into.len()).any(|tag| self.image.byte(tag) & TORN != 0) {
            return Err(FlashError::Unreadable);
        }
        self.image.read(at, into);
        Ok(())
    }

    fn write(&mut self, at: usize, bytes: &[u8]) -> Result<(), FlashError> {
        self.call(at, bytes.len())?;
        if !at.is_multiple_of(self.chip.word) || !bytes.len().is_multiple_of(self.chip.word) {
            return Err(FlashError::NotAligned);
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let medium = self.chip.medium;
        for (tag, word) in self.beside(at, bytes.len()).zip(bytes.chunks(self.chip.word)) {
            let written = self.image.byte(tag);
            let worn = medium.writes_per_word.is_some_and(|most| written >= most);
            let checksum = medium.ecc && written != 0 && (written & TORN != 0 || word.iter().any(|b| *b != 0));
            if worn || checksum {
                return Err(FlashError::Refused);
            }
        }
        self.operate(&Op::Write(at, bytes))
    }

    fn erase(&mut self, from: usize, to: usize) -> Result<(), FlashError> {
        self.call(from, to.saturating_sub(from))?;
        if from > to || !from.is_multiple_of(self.chip.page) || !to.is_multiple_of(self.chip.page) {
            return Err(FlashError::NotAligned);
        }
        (from..to).step_by(self.chip.page).try_for_each(|page| self.operate(&Op::Erase(page)))
    }

    fn operate(&mut self, op: &Op<'_>) -> Result<(), FlashError> {
        if self.dead {
            return Err(FlashError::PowerLost);
        }
        let at = self.ops;
        if let Some(cut) = self.armed.filter(|cut| cut.at == at) {
            self.image.settle();
            let image = self.torn(op, cut.tear, self.image.clone());
            self.image = image;
            self.dead = true;
            return Err(FlashError::PowerLost);
        }
        if let Some(watch) = self.watch.clone() {
            self.show(op, at, &watch);
        }
        self.ops += 1;
        let (place, len) = self.area(op);
        self.image.strengthen(place, len);
        for span in self.spans(op, None, &self.image) {
            self.image.put(&span);
        }
        Ok(())
    }

    fn area(&self, op: &Op<'_>) -> (usize, usize) {
        match op {
            Op::Write(at, bytes) => (*at, bytes.len()),
            Op::Erase(page) => (*page, self.chip.page),
        }
    }

    /// Shows each content that a cut at this operation could leave.
    fn show(&mut self, op: &Op<'_>, at: u32, watch: &Rc<RefCell<dyn Watch>>) {
        let tears = match op {
            Op::Write(_, bytes) => write_tears(self.tears, bytes.len(), self.chip.word),
            Op::Erase(_) => erase_tears(self.tears).to_vec(),
        };
        let mut base = self.image.clone();
        base.settle();
        for tear in tears {
            let cut = Cut { at, tear };
            if tear == Tear::Weak {
                let image = self.torn(op, tear, base.clone());
                if watch.borrow_mut().met(cut, image.digest()) {
                    self.wanted.push(image);
                }
                continue;
            }
            let spans = if tear.is_clean() { Vec::new() } else { self.spans(op, Some(tear), &base) };
            if watch.borrow_mut().met(cut, base.digest_with(&spans)) {
                let mut image = base.clone();
                spans.iter().for_each(|span| image.put(span));
                self.wanted.push(image);
            }
        }
    }

    fn torn(&self, op: &Op<'_>, tear: Tear, mut image: Image) -> Image {
        if tear.is_clean() {
            return image;
        }
        if tear == Tear::Weak {
            let (at, len) = self.area(op);
            let before = image.bytes(at, len);
            self.spans(op, None, &image).iter().for_each(|span| image.put(span));
            image.weaken(Span { at, bytes: before });
            return image;
        }
        self.spans(op, Some(tear), &image).iter().for_each(|span| image.put(span));
        image
    }

    /// The bytes that the operation leaves, whole or torn, over `image`.
    fn spans(&self, op: &Op<'_>, tear: Option<Tear>, image: &Image) -> Vec<Span> {
        let (at, len) = self.area(op);
        let old = image.bytes(at, len);
        let whole: Vec<u8> = match op {
            Op::Write(_, bytes) => old.iter().zip(*bytes).map(|(o, b)| o & b).collect(),
            Op::Erase(_) => vec![0xff; len],
        };
        let mut out = Vec::with_capacity(2);
        let new = match tear {
            None => whole,
            Some(tear) => old.iter().zip(&whole).enumerate().map(|(i, (o, w))| torn_byte(tear, i, len, *o, *w)).collect(),
        };
        let tags = self.beside(at, len);
        if !tags.is_empty() {
            let start = tags.start;
            let bytes = tags.map(|tag| self.tag(op, tear, image.byte(tag), tag - start)).collect();
            out.push(Span { at: start, bytes });
        }
        out.push(Span { at, bytes: new });
        out
    }

    /// What the medium remembers of word `index` of the area after the operation.
    fn tag(&self, op: &Op<'_>, tear: Option<Tear>, written: u8, index: usize) -> u8 {
        // A torn word needs no count, and a count above one says nothing where zeros may be written for ever: such contents would differ in vain.
        let ecc = self.chip.medium.ecc;
        let words = self.chip.page / self.chip.word;
        let (more, torn) = if ecc { (1, TORN) } else { (written.saturating_add(1), written.saturating_add(1)) };
        match (op, tear) {
            (Op::Erase(_), None) => 0,
            // Words that the erase had reached are as good as erased, but for their checksums.
            (Op::Erase(_), Some(Tear::EraseFirstHalf)) if !ecc && index < words / 2 => 0,
            (Op::Erase(_), Some(Tear::EraseLastHalf)) if !ecc && index >= words / 2 => 0,
            (Op::Erase(_), Some(_)) => {
                if ecc {
                    TORN
                } else {
                    written
                }
            }
            (Op::Write(..), None) => more,
            (Op::Write(..), Some(Tear::Prefix(n))) => match (n as usize).saturating_sub(index * self.chip.word) {
                0 => written,
                n if n < self.chip.word => torn,
                _ => more,
            },
            (Op::Write(..), Some(_)) => torn,
        }
    }
}

/// One byte of an interrupted operation that would have turned `old` into `whole`.
fn torn_byte(tear: Tear, index: usize, len: usize, old: u8, whole: u8) -> u8 {
    let taken = match tear {
        Tear::Before => 0,
        Tear::Weak => 0xff,
        Tear::Prefix(n) => {
            if index < n as usize {
                0xff
            } else {
                0
            }
        }
        Tear::HalfBits => 0xaa,
        Tear::Bits(seed) => mix((u64::from(seed) << 32) ^ index as u64) as u8,
        Tear::EraseFirstHalf => {
            if index < len / 2 {
                0xff
            } else {
                0
            }
        }
        Tear::EraseLastHalf => {
            if index >= len / 2 {
                0xff
            } else {
                0
            }
        }
        Tear::EraseZero => return 0,
    };
    old ^ ((old ^ whole) & taken)
}

#[cfg(test)]
#[path = "flash_tests.rs"]
mod tests;
