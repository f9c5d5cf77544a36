//! Mutations of signed files whose format is not read: RAUC and SWUpdate bundles, a vendor's own container.
//!
//! Places are fractions of the file, and the end of it, where containers keep their signatures or the lengths of them. What a mutation hits is therefore
//! not known; that every byte of a signed file is covered, or harmless, is what the maker declares. Files of another key and files that nobody signed
//! cannot be made without reading the format: the dossier brings them ([`super::supplied`]).

use super::Family::{Flip, Length, Unsigned};
use super::{Expect, Part, Policy, Variant, flipped, refused};

/// End of the file that is taken for the signature and what belongs to it.
const TAIL: usize = 4096;
/// What stands after the file in those that are too long.
const FILL: u8 = 0xa5;

fn cut(id: &'static str, title: &'static str, bytes: &[u8], to: usize) -> Variant {
    refused(id, title, Length, Part::Length, bytes.get(..to).unwrap_or(bytes).to_vec())
}

fn grown(bytes: &[u8], to: usize) -> Vec<u8> {
    let mut b = bytes.to_vec();
    b.resize(to.max(bytes.len() + 1), FILL);
    b
}

/// Every variant of a family, in a fixed order; none for families that need the format to be read.
pub(super) fn family(bytes: &[u8], slot_bytes: usize, family: super::Family) -> Vec<Variant> {
    let len = bytes.len();
    let mut variants = match family {
        Flip => {
            let flip = |id, title, at, bit| refused(id, title, Flip, Part::Somewhere, flipped(bytes, at, bit));
            vec![
                flip("flip-first-byte", "bit flipped in the first byte", 0, 0),
                flip("flip-quarter", "bit flipped after a quarter of the file", len / 4, 3),
                flip("flip-half", "bit flipped in the middle of the file", len / 2, 7),
                flip("flip-three-quarters", "bit flipped after three quarters of the file", len / 4 * 3, 1),
                flip("flip-tail", "bit flipped shortly before the end of the file", len.saturating_sub(TAIL / 8), 5),
                flip("flip-last-byte", "bit flipped in the last byte", len.saturating_sub(1), 0),
            ]
        }
        Unsigned => {
            let mut blank = bytes.to_vec();
            let from = len.saturating_sub(TAIL);
            blank[from..].fill(0);
            vec![refused(
                "unsigned-tail-blank",
                "the end of the file, where signatures stand, overwritten with zeros",
                Unsigned,
                Part::Somewhere,
                blank,
            )]
        }
        Length => vec![
            cut("length-empty", "empty file", bytes, 0),
            cut("length-one-byte", "one byte", bytes, 1),
            cut("length-first-quarter", "cut after a quarter", bytes, len / 4),
            cut("length-half", "cut after half", bytes, len / 2),
            cut("length-without-tail", "the last 4096 bytes missing", bytes, len.saturating_sub(TAIL)),
            cut("length-last-byte", "last byte missing", bytes, len.saturating_sub(1)),
            refused("length-oversize", "longer than the slot", Length, Part::Length, grown(bytes, slot_bytes.saturating_add(TAIL))),
            Variant {
                id: "length-appended",
                title: "bytes appended to the file",
                family: Length,
                mutates: Part::Length,
                expect: Expect::DeclaredBy(Policy::UnsignedTail),
                bytes: grown(bytes, len.saturating_add(300)),
            },
        ],
        _ => Vec::new(),
    };
    variants.retain(|v| v.bytes != bytes);
    variants
}

#[cfg(test)]
mod tests {
    use crate::Format;
    use crate::matrix::Family;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const FAMILIES: [Family; 6] = [Family::Flip, Family::Rehash, Family::Unsigned, Family::OtherKey, Family::Length, Family::Field];

    #[test]
    fn a_bundle_has_every_family_that_needs_no_reading() {
        let file: Vec<u8> = (0..50_000u32).map(|i| (i % 251 + 1) as u8).collect();
        let count = |family| Format::Opaque.family(&file, 1 << 20, family).unwrap().len();
        assert_eq!(FAMILIES.map(count), [6, 0, 1, 0, 8, 0]);
    }

    proptest! {
        /// Whatever the file, nothing panics, every variant differs from it and from every other, and a flip is one bit.
        #[test]
        fn variants_differ(file in proptest::collection::vec(any::<u8>(), 0..9000), slot in 0usize..20_000) {
            let mut seen = BTreeSet::new();
            for family in FAMILIES {
                for v in Format::Opaque.family(&file, slot, family).unwrap() {
                    prop_assert_ne!(&v.bytes, &file);
                    prop_assert!(seen.insert(v.id), "{} twice", v.id);
                    if family == Family::Flip {
                        let bits: u32 = v.bytes.iter().zip(&file).map(|(a, b)| (a ^ b).count_ones()).sum();
                        prop_assert_eq!((v.bytes.len(), bits), (file.len(), 1));
                    }
                }
            }
        }
    }
}
