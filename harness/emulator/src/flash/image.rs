//! A copy-on-write flash image with an incremental digest.

use crate::layout::{PAGE, SECTOR, SIZE};
use std::fmt;
use std::rc::Rc;
use std::sync::OnceLock;

const PAGE_BYTES: usize = PAGE as usize;
const PAGES_PER_SECTOR: usize = (SECTOR / PAGE) as usize;
const SECTORS: usize = (SIZE / SECTOR) as usize;

/// Words of 8 bytes, the granularity at which media remember things about their cells.
pub(super) const WORD: u32 = 8;

#[derive(Clone)]
pub(super) struct Page {
    pub(super) data: [u8; PAGE_BYTES],
    /// Per word: bit n programmed since the last erase; bit 32+n torn (unreadable, unstable or written twice, as the medium says).
    pub(super) marks: u64,
    hash: u128,
}

impl Page {
    fn filled(byte: u8, marks: u64) -> Page {
        let data = [byte; PAGE_BYTES];
        Page { data, marks, hash: content_hash(&data, marks) }
    }
}

#[derive(Clone)]
struct Sector {
    pages: [Rc<Page>; PAGES_PER_SECTOR],
    digest: u128,
}

/// The content of the whole flash. Cloning costs 64 reference counts; a change costs one page and its digest.
#[derive(Clone)]
pub struct FlashImage {
    sectors: Vec<Rc<Sector>>,
    digest: u128,
}

fn fold(a: u64, b: u64) -> u64 {
    let m = u128::from(a) * u128::from(b);
    m as u64 ^ (m >> 64) as u64
}

const K: [u64; 4] = [0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db, 0x8ebc_6af0_9c88_c6e3, 0x5899_65cc_7537_4cc3];

fn content_hash(data: &[u8; PAGE_BYTES], marks: u64) -> u128 {
    let (mut a, mut b) = (K[0] ^ marks, K[1] ^ marks.rotate_left(32));
    for pair in data.chunks_exact(16) {
        let (x, y) = pair.split_at(8);
        let x = u64::from_le_bytes(x.try_into().expect("eight bytes"));
        let y = u64::from_le_bytes(y.try_into().expect("eight bytes"));
        a = fold(x ^ K[2], y ^ a) ^ x;
        b = fold(y ^ K[3], x ^ b) ^ y;
    }
    u128::from(fold(a, K[1])) << 64 | u128::from(fold(b, K[0]))
}

/// The page's share of the digest: its content hash keyed by its place, so that equal pages in different places count differently.
fn keyed(hash: u128, page: usize) -> u128 {
    let k = (page as u64 + 1).wrapping_mul(K[2]);
    let (hi, lo) = ((hash >> 64) as u64, hash as u64);
    u128::from(fold(hi ^ k, lo ^ K[3])) << 64 | u128::from(fold(lo ^ k.rotate_left(17), hi ^ K[0]))
}

struct Shared {
    blank: u128,
    zero: u128,
}

fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| Shared { blank: Page::filled(0xFF, 0).hash, zero: Page::filled(0, 0).hash })
}

thread_local! {
    static BLANK: Rc<Page> = Rc::new(Page { data: [0xFF; PAGE_BYTES], marks: 0, hash: shared().blank });
    static ZERO: Rc<Page> = Rc::new(Page { data: [0; PAGE_BYTES], marks: 0, hash: shared().zero });
}

impl FlashImage {
    /// An erased flash.
    pub fn blank() -> Self {
        let page = BLANK.with(Rc::clone);
        let mut digest = 0;
        let sectors = (0..SECTORS)
            .map(|s| {
                let pages = std::array::from_fn(|_| Rc::clone(&page));
                let d = (0..PAGES_PER_SECTOR).fold(0, |d, p| d ^ keyed(page.hash, s * PAGES_PER_SECTOR + p));
                digest ^= d;
                Rc::new(Sector { pages, digest: d })
            })
            .collect();
        Self { sectors, digest }
    }
    /// A flash with these bytes from its beginning, the rest erased. Bytes past the end of the flash are ignored.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut image = Self::blank();
        image.put(0, bytes);
        image
    }
    /// Bytes of the medium.
    pub fn len(&self) -> u32 {
        SIZE
    }
    /// Never.
    pub fn is_empty(&self) -> bool {
        false
    }
    /// Digest of the whole content, memory of the cells included. Equal digests mean equal contents.
    pub fn digest(&self) -> u128 {
        self.digest
    }
    /// Digest of the sectors of `offset..offset + len`.
    pub fn range_digest(&self, offset: u32, len: u32) -> u128 {
        let (from, to) = ((offset / SECTOR) as usize, (offset + len).div_ceil(SECTOR) as usize);
        self.sectors[from.min(SECTORS)..to.min(SECTORS)].iter().fold(0, |d, s| d ^ s.digest)
    }
    /// Whether a word of the sectors of `offset..offset + len` tore.
    pub(super) fn has_torn(&self, offset: u32, len: u32) -> bool {
        let (from, to) = ((offset / PAGE) as usize, (offset + len).div_ceil(PAGE) as usize);
        (from..to.min(SECTORS * PAGES_PER_SECTOR)).any(|p| self.page(p).marks >> 32 != 0)
    }
    /// The bytes as a flash reader would see them, without regard to the medium's ECC. What lies past the end is not filled.
    pub fn copy_to(&self, offset: u32, into: &mut [u8]) {
        let (mut at, mut done) = (offset as usize, 0);
        while done < into.len() && at < SIZE as usize {
            let within = at % PAGE_BYTES;
            let n = (PAGE_BYTES - within).min(into.len() - done);
            into[done..done + n].copy_from_slice(&self.page(at / PAGE_BYTES).data[within..within + n]);
            (at, done) = (at + n, done + n);
        }
    }
    /// All bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; SIZE as usize];
        self.copy_to(0, &mut bytes);
        bytes
    }
    /// One little-endian word; `None` past the end.
    pub fn word(&self, offset: u32) -> Option<u32> {
        let mut w = [0; 4];
        (offset <= SIZE - 4).then(|| self.copy_to(offset, &mut w))?;
        Some(u32::from_le_bytes(w))
    }
    /// An external flash writer replaces bytes, erasing as needed: cells come out sound. Past the end nothing happens.
    pub fn put(&mut self, offset: u32, bytes: &[u8]) {
        let (mut at, mut done) = (offset as usize, 0);
        while done < bytes.len() && at < SIZE as usize {
            let within = at % PAGE_BYTES;
            let n = (PAGE_BYTES - within).min(bytes.len() - done);
            let part = &bytes[done..done + n];
            self.modify(at / PAGE_BYTES, |p| {
                p.data[within..within + n].copy_from_slice(part);
                p.marks = 0;
            });
            (at, done) = (at + n, done + n);
        }
    }
    /// Remembers all words that are not blank as programmed, for media that care.
    pub(super) fn mark_programmed(&mut self) {
        for page in 0..SECTORS * PAGES_PER_SECTOR {
            if self.page(page).data.iter().all(|b| *b == 0xFF) {
                continue;
            }
            self.modify(page, |p| {
                for (w, word) in p.data.chunks_exact(WORD as usize).enumerate() {
                    if word.iter().any(|b| *b != 0xFF) {
                        p.marks |= 1 << w;
                    }
                }
            });
        }
    }
    pub(super) fn page(&self, page: usize) -> &Page {
        &self.sectors[page / PAGES_PER_SECTOR].pages[page % PAGES_PER_SECTOR]
    }
    pub(super) fn modify(&mut self, page: usize, change: impl FnOnce(&mut Page)) {
        let sector = Rc::make_mut(&mut self.sectors[page / PAGES_PER_SECTOR]);
        let p = Rc::make_mut(&mut sector.pages[page % PAGES_PER_SECTOR]);
        let old = keyed(p.hash, page);
        change(p);
        p.hash = content_hash(&p.data, p.marks);
        let change = old ^ keyed(p.hash, page);
        sector.digest ^= change;
        self.digest ^= change;
    }
    fn replace(&mut self, page: usize, with: &Rc<Page>) {
        let sector = Rc::make_mut(&mut self.sectors[page / PAGES_PER_SECTOR]);
        let p = &mut sector.pages[page % PAGES_PER_SECTOR];
        let change = keyed(p.hash, page) ^ keyed(with.hash, page);
        *p = Rc::clone(with);
        sector.digest ^= change;
        self.digest ^= change;
    }
    /// Pages `from..to` of the flash become erased.
    pub(super) fn blank_pages(&mut self, from: usize, to: usize) {
        BLANK.with(|b| (from..to).for_each(|p| self.replace(p, b)));
    }
    /// Pages `from..to` of the flash become zero.
    pub(super) fn zero_pages(&mut self, from: usize, to: usize) {
        ZERO.with(|z| (from..to).for_each(|p| self.replace(p, z)));
    }
    /// Runs `with` on a changed sector and puts the sector back as it was.
    pub(super) fn transient(&mut self, offset: u32, change: impl FnOnce(&mut Self), with: impl FnOnce(&Self)) {
        let s = (offset / SECTOR) as usize;
        let (saved, digest) = (Rc::clone(&self.sectors[s]), self.digest);
        change(self);
        with(self);
        self.sectors[s] = saved;
        self.digest = digest;
    }
}

impl PartialEq for FlashImage {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}
impl Eq for FlashImage {}

impl fmt::Debug for FlashImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FlashImage({:032x})", self.digest)
    }
}
