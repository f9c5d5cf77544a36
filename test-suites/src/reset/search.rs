//! The offline flash search: a canary in every encoding that real products were caught with, over a whole dump, in one pass.

pub(super) use crate::forms::Encoding;
use crate::forms::{PIECE_MIN, forms};
use regex::bytes::RegexBuilder;
use std::collections::BTreeMap;

/// Places of one needle that are kept; a report needs no more.
const HITS_MOST: usize = 16;

/// Something to look for: what it is called in reports, and its bytes.
#[derive(Debug, Clone)]
pub(super) struct Needle {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// A place where a needle stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hit {
    pub needle: String,
    pub encoding: Encoding,
    pub offset: usize,
    /// Whether all of it stands there, or only a half.
    pub whole: bool,
}

impl std::fmt::Display for Hit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let part = if self.whole { "" } else { "half of " };
        write!(f, "{part}{} at {:#x} ({})", self.needle, self.offset, self.encoding.name())
    }
}

/// The whole and its two halves, as far as they are long enough.
fn pieces(bytes: &[u8]) -> Vec<(&[u8], bool)> {
    let mut all = vec![(bytes, true)];
    let half = bytes.len() / 2;
    if half >= PIECE_MIN {
        all.push((&bytes[..half], false));
        all.push((&bytes[half..], false));
    }
    all
}

/// Looks for all needles in all encodings. Whole hits come before halves; a half inside a whole hit is not told again.
pub(super) fn search(dump: &[u8], needles: &[Needle]) -> Vec<Hit> {
    let mut known: BTreeMap<Vec<u8>, (usize, Encoding, bool)> = BTreeMap::new();
    for (n, needle) in needles.iter().enumerate() {
        for (piece, whole) in pieces(&needle.bytes) {
            for (encoding, form) in forms(piece) {
                known.entry(form).or_insert((n, encoding, whole));
            }
        }
    }
    known.retain(|form, _| form.len() >= PIECE_MIN);
    if known.is_empty() {
        return Vec::new();
    }
    // The longest first: at one place the alternation prefers what stands first.
    let mut order: Vec<&Vec<u8>> = known.keys().collect();
    order.sort_by_key(|form| std::cmp::Reverse(form.len()));
    let pattern: Vec<String> = order.iter().map(|form| form.iter().map(|b| format!("\\x{b:02x}")).collect()).collect();
    let finder = RegexBuilder::new(&pattern.join("|")).unicode(false).size_limit(64 << 20).build();
    let Ok(finder) = finder else { return Vec::new() };
    let mut hits: Vec<Hit> = Vec::new();
    let mut told: BTreeMap<usize, usize> = BTreeMap::new();
    for found in finder.find_iter(dump) {
        let Some(&(n, encoding, whole)) = known.get(found.as_bytes()) else { continue };
        let count = told.entry(n).or_default();
        *count += 1;
        if *count <= HITS_MOST {
            hits.push(Hit { needle: needles[n].name.clone(), encoding, offset: found.start(), whole });
        }
    }
    hits.sort_by_key(|h| (!h.whole, h.offset));
    hits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forms::{hex, swapped};
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    use rstest::rstest;

    const CANARY: &[u8] = b"Kq7TzW2mXc9RbL4vHd8P";

    fn needle() -> Vec<Needle> {
        vec![Needle { name: "name".to_owned(), bytes: CANARY.to_vec() }]
    }

    fn dump(with: &[u8], at: usize) -> Vec<u8> {
        let mut d: Vec<u8> = (0..4096u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        d[at..at + with.len()].copy_from_slice(with);
        d
    }

    #[rstest]
    #[case(CANARY.to_vec(), Encoding::Raw)]
    #[case(hex(CANARY, false), Encoding::HexLower)]
    #[case(hex(CANARY, true), Encoding::HexUpper)]
    #[case(CANARY.iter().flat_map(|b| [*b, 0]).collect(), Encoding::Utf16Le)]
    #[case(CANARY.iter().flat_map(|b| [0, *b]).collect(), Encoding::Utf16Be)]
    #[case(CANARY.iter().rev().copied().collect(), Encoding::Reversed)]
    #[case(swapped(CANARY, 0), Encoding::WordSwapped)]
    fn a_canary_is_found_in_every_encoding(#[case] stands: Vec<u8>, #[case] encoding: Encoding) {
        for at in [0, 1001, 4096 - stands.len()] {
            let hits = search(&dump(&stands, at), &needle());
            assert!(hits.iter().any(|h| h.encoding == encoding && h.offset.abs_diff(at) <= 1 && h.whole), "{hits:?}");
        }
    }

    #[test]
    fn base64_is_found_whatever_stands_around_it() {
        for before in ["", "x", "key=", "{\"k\":\"", "ab"] {
            let text = [before.as_bytes(), CANARY, b"\"}"].concat();
            let stands = STANDARD_NO_PAD.encode(text).into_bytes();
            let hits = search(&dump(&stands, 77), &needle());
            assert!(hits.iter().any(|h| h.encoding == Encoding::Base64 && h.whole), "{before}: {hits:?}");
        }
    }

    #[test]
    fn half_a_canary_is_told_as_half() {
        let hits = search(&dump(&CANARY[10..], 500), &needle());
        assert_eq!(hits.len(), 1);
        assert!(!hits[0].whole && hits[0].offset == 500 && hits[0].encoding == Encoding::Raw);
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        assert_eq!(search(&dump(b"", 0), &needle()), []);
        assert_eq!(search(&[0xff; 65536], &needle()), []);
        assert_eq!(search(CANARY, &[]), []);
    }

    #[test]
    fn a_dump_full_of_canaries_ends_in_a_short_list() {
        assert_eq!(search(&CANARY.repeat(5000), &needle()).len(), HITS_MOST);
    }
}
