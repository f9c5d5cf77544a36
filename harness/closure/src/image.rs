//! A flash content: pieces shared between copies, and a digest that follows each change at the cost of that change.

use std::rc::Rc;

/// Bytes of one shared piece. Small, for a torn word must not cost a copy of an erase page.
const PIECE: usize = 256;

/// Bytes that take the place of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Where.
    pub at: usize,
    /// What.
    pub bytes: Vec<u8>,
}

/// A flash content with what the medium remembers beside the data (how often each word was written).
#[derive(Debug, Clone)]
pub struct Image {
    pieces: Vec<Rc<[u8; PIECE]>>,
    len: usize,
    digest: u128,
    /// A cell that was programmed too weakly: it reads as programmed until power goes, and then as it was before.
    weak: Option<Span>,
}

/// The finaliser of splitmix64.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What the eight bytes at `index` add to the digest. XOR joins them, so that a change costs only the words it touches.
fn share(index: usize, word: u64) -> u128 {
    let place = mix(index as u64);
    let low = mix(word ^ place);
    let high = mix(word.rotate_left(29) ^ place.wrapping_mul(0x9fb2_1c65_1e98_df25));
    (u128::from(high) << 64) | u128::from(low)
}

impl Image {
    /// A content of `len` bytes, the first `erased` of them 0xff and the others zero.
    pub fn new(len: usize, erased: usize) -> Self {
        let whole = len.next_multiple_of(PIECE);
        // One piece for all to begin with: whoever writes first gets its own.
        let pieces = std::iter::repeat_n(Rc::new([0; PIECE]), whole / PIECE).collect();
        let mut image = Self { pieces, len, digest: 0, weak: None };
        image.digest = (0..whole / 8).fold(0, |sum, index| sum ^ share(index, 0));
        image.put(&Span { at: 0, bytes: vec![0xff; erased] });
        image
    }

    /// Equal digests mean equal contents, but for chance of 2^-64 in a campaign of billions.
    pub fn digest(&self) -> u128 {
        self.weak.as_ref().map_or(self.digest, |weak| weak.bytes.iter().fold(self.digest ^ share(usize::MAX, weak.at as u64), fold_weak))
    }

    /// The byte at `at`, which must be inside.
    pub fn byte(&self, at: usize) -> u8 {
        self.pieces[at / PIECE][at % PIECE]
    }

    /// Copies from `at` on; the area must be inside.
    pub fn read(&self, at: usize, into: &mut [u8]) {
        debug_assert!(at + into.len() <= self.len);
        let mut done = 0;
        while done < into.len() {
            let from = (at + done) % PIECE;
            let n = (PIECE - from).min(into.len() - done);
            into[done..done + n].copy_from_slice(&self.pieces[(at + done) / PIECE][from..from + n]);
            done += n;
        }
    }

    /// The bytes of an area as a vector.
    pub fn bytes(&self, at: usize, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        self.read(at, &mut out);
        out
    }

    fn word(&self, index: usize) -> [u8; 8] {
        let mut out = [0; 8];
        let at = index * 8;
        out.copy_from_slice(&self.pieces[at / PIECE][at % PIECE..at % PIECE + 8]);
        out
    }

    /// How the digest changes when `span` is put; the content stays.
    fn change(&self, span: &Span) -> u128 {
        let mut change = 0;
        let end = span.at + span.bytes.len();
        for index in span.at / 8..end.div_ceil(8) {
            let old = self.word(index);
            let mut new = old;
            for (i, byte) in new.iter_mut().enumerate() {
                if let Some(place) = (index * 8 + i).checked_sub(span.at)
                    && let Some(b) = span.bytes.get(place)
                {
                    *byte = *b;
                }
            }
            if new != old {
                change ^= share(index, u64::from_le_bytes(old)) ^ share(index, u64::from_le_bytes(new));
            }
        }
        change
    }

    /// The digest that this content would have with the spans put. Spans must not share an aligned group of eight bytes.
    pub fn digest_with(&self, spans: &[Span]) -> u128 {
        spans.iter().fold(self.digest, |sum, span| sum ^ self.change(span))
    }

    /// Puts the bytes.
    pub fn put(&mut self, span: &Span) {
        self.digest ^= self.change(span);
        let mut done = 0;
        while done < span.bytes.len() {
            let at = span.at + done;
            let n = (PIECE - at % PIECE).min(span.bytes.len() - done);
            Rc::make_mut(&mut self.pieces[at / PIECE])[at % PIECE..at % PIECE + n].copy_from_slice(&span.bytes[done..done + n]);
            done += n;
        }
    }

    /// Marks a cell as weak: `before` comes back when power goes.
    pub fn weaken(&mut self, before: Span) {
        self.weak = Some(before);
    }

    /// A weak cell inside this area is programmed or erased anew, and weak no more.
    pub fn strengthen(&mut self, at: usize, len: usize) {
        if self.weak.as_ref().is_some_and(|weak| weak.at < at + len && at < weak.at + weak.bytes.len()) {
            self.weak = None;
        }
    }

    /// Whether a weak cell is in this content.
    pub fn is_weak(&self) -> bool {
        self.weak.is_some()
    }

    /// What is left when power goes: a weak cell falls back.
    pub fn settle(&mut self) {
        if let Some(before) = self.weak.take() {
            self.put(&before);
        }
    }
}

fn fold_weak(sum: u128, byte: &u8) -> u128 {
    sum.rotate_left(7) ^ share(usize::MAX - 1, u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_follows_the_content_and_not_the_way_to_it() {
        let mut a = Image::new(1024, 1024);
        let b = a.clone();
        let span = Span { at: 253, bytes: vec![1, 2, 3, 4, 5, 6, 7] };
        let foretold = a.digest_with(std::slice::from_ref(&span));
        a.put(&span);
        assert_eq!(a.digest(), foretold);
        assert_ne!(a.digest(), b.digest());
        a.put(&Span { at: 253, bytes: vec![0xff; 7] });
        assert_eq!(a.digest(), b.digest());
        assert_eq!(a.bytes(0, 1024), b.bytes(0, 1024));
    }

    #[test]
    fn a_copy_keeps_its_content_when_the_original_changes() {
        let mut a = Image::new(64, 64);
        let b = a.clone();
        a.put(&Span { at: 5, bytes: vec![0] });
        assert_eq!((a.byte(5), b.byte(5)), (0, 0xff));
    }

    #[test]
    fn a_weak_cell_falls_back_when_power_goes_unless_it_was_written_anew() {
        let mut a = Image::new(64, 64);
        let whole = a.clone();
        a.put(&Span { at: 8, bytes: vec![0; 4] });
        a.weaken(Span { at: 8, bytes: vec![0xff; 4] });
        let mut anew = a.clone();
        a.settle();
        assert_eq!(a.digest(), whole.digest());
        anew.strengthen(8, 4);
        anew.settle();
        assert_eq!(anew.byte(8), 0);
    }
}
