//! A flash content: pages that contents share, and a digest that a change of one page changes by that page alone.

use sha2::{Digest, Sha256};
use std::rc::Rc;

/// Bytes of a page.
pub(super) const PAGE: usize = 4096;

#[derive(Debug)]
struct Page {
    bytes: Vec<u8>,
    digest: u128,
}

impl Page {
    /// The digest holds the page's place, so that equal pages in different places count differently.
    fn new(place: usize, bytes: Vec<u8>) -> Rc<Self> {
        let whole = Sha256::new().chain_update((place as u64).to_le_bytes()).chain_update(&bytes).finalize();
        let digest = whole.iter().take(16).fold(0, |d: u128, b| d << 8 | u128::from(*b));
        Rc::new(Self { bytes, digest })
    }
}

/// The content of a whole flash.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pages: Vec<Rc<Page>>,
    len: u64,
    digest: u128,
}

impl Image {
    pub fn new(bytes: &[u8]) -> Self {
        let pages: Vec<_> = bytes.chunks(PAGE).enumerate().map(|(n, p)| Page::new(n, p.to_vec())).collect();
        let digest = pages.iter().fold(0, |d, p| d ^ p.digest);
        Self { pages, len: bytes.len() as u64, digest }
    }

    /// Equal digests mean equal contents.
    pub fn digest(&self) -> u128 {
        self.digest
    }

    /// False: not all of it is inside.
    pub fn copy_to(&self, offset: u64, into: &mut [u8]) -> bool {
        let fits = offset.checked_add(into.len() as u64).is_some_and(|end| end <= self.len);
        if fits {
            let offset = offset as usize;
            for (i, byte) in into.iter_mut().enumerate() {
                *byte = self.pages[(offset + i) / PAGE].bytes[(offset + i) % PAGE];
            }
        }
        fits
    }

    /// Changes bytes: `f` gets the place from `offset` on and the byte as it is. What lies outside is left out.
    pub fn change(&mut self, offset: u64, len: usize, f: impl Fn(usize, u8) -> u8) {
        let mut done = 0;
        while done < len && offset + (done as u64) < self.len {
            let at = offset as usize + done;
            let (place, from) = (at / PAGE, at % PAGE);
            let mut bytes = self.pages[place].bytes.clone();
            let n = (bytes.len() - from).min(len - done);
            for (i, byte) in bytes[from..from + n].iter_mut().enumerate() {
                *byte = f(done + i, *byte);
            }
            let page = Page::new(place, bytes);
            self.digest ^= self.pages[place].digest ^ page.digest;
            self.pages[place] = page;
            done += n;
        }
    }

    /// All of its bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        self.pages.iter().flat_map(|p| p.bytes.iter().copied()).collect()
    }
}
