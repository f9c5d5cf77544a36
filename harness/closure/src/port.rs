//! The flash as `embedded-storage` code sees it, blocking and asynchronous, whole or a part of it.

use crate::flash::{Flash, FlashError};
use embedded_storage::nor_flash::{ErrorType, MultiwriteNorFlash, NorFlash, ReadNorFlash};
use embedded_storage_async::nor_flash as later;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// An area of a flash with words of `WORD` bytes and pages of `PAGE` bytes, which must be those of the chip.
pub struct Port<const WORD: usize, const PAGE: usize> {
    flash: Flash,
    base: usize,
    len: usize,
}

impl<const WORD: usize, const PAGE: usize> Port<WORD, PAGE> {
    /// The whole flash.
    pub fn whole(flash: &Flash) -> Self {
        let len = flash.chip().size;
        Self::part(flash, 0, len)
    }

    /// `len` bytes from `base` on, whole pages.
    pub fn part(flash: &Flash, base: usize, len: usize) -> Self {
        debug_assert_eq!((flash.chip().word, flash.chip().page), (WORD, PAGE), "the port's geometry is not the chip's");
        Self { flash: flash.clone(), base, len }
    }

    fn place(&self, offset: u32, len: usize) -> Result<usize, FlashError> {
        let offset = offset as usize;
        if offset.checked_add(len).is_none_or(|end| end > self.len) { Err(FlashError::OutOfBounds) } else { Ok(self.base + offset) }
    }
}

impl<const WORD: usize, const PAGE: usize> ErrorType for Port<WORD, PAGE> {
    type Error = FlashError;
}

impl<const WORD: usize, const PAGE: usize> ReadNorFlash for Port<WORD, PAGE> {
    const READ_SIZE: usize = 1;
    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        self.flash.read(self.place(offset, bytes.len())?, bytes)
    }
    fn capacity(&self) -> usize {
        self.len
    }
}

impl<const WORD: usize, const PAGE: usize> NorFlash for Port<WORD, PAGE> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;
    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        let len = to.checked_sub(from).ok_or(FlashError::NotAligned)? as usize;
        let at = self.place(from, len)?;
        self.flash.erase(at, at + len)
    }
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.flash.write(self.place(offset, bytes.len())?, bytes)
    }
}

/// Whether a word may be written more than once is the medium's to say: the one that forbids it refuses.
impl<const WORD: usize, const PAGE: usize> MultiwriteNorFlash for Port<WORD, PAGE> {}

impl<const WORD: usize, const PAGE: usize> later::ReadNorFlash for Port<WORD, PAGE> {
    const READ_SIZE: usize = 1;
    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        ReadNorFlash::read(self, offset, bytes)
    }
    fn capacity(&self) -> usize {
        self.len
    }
}

impl<const WORD: usize, const PAGE: usize> later::NorFlash for Port<WORD, PAGE> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;
    async fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        NorFlash::erase(self, from, to)
    }
    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        NorFlash::write(self, offset, bytes)
    }
}

impl<const WORD: usize, const PAGE: usize> later::MultiwriteNorFlash for Port<WORD, PAGE> {}

/// Runs storage code whose only waiting is for this flash, which never makes it wait; anything that waits for something else is refused.
pub fn at_once<T>(work: impl Future<Output = T>) -> Result<T, String> {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(out) => Ok(out),
        Poll::Pending => Err("it waits for something that is not the flash".to_owned()),
    }
}
