//! Bits that flip, at places that are named or chosen by a seed, and never by how the bytes were cut into pieces.

use super::Way;

/// Which bits flip in which direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corrupt {
    /// The direction.
    pub way: Way,
    /// The bits.
    pub flips: Flips,
}

/// Which bits flip. Places are counted in bytes from the first byte of a connection's direction (TCP), or of each datagram (UDP).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flips {
    /// These places, each with the mask of bits that flip.
    At(Vec<(u64, u8)>),
    /// One bit of about one byte in `one_in`, chosen by the seed, the number of the connection or datagram, the direction and the place. 0 counts as 1.
    Seeded {
        /// The seed.
        seed: u64,
        /// One byte in so many.
        one_in: u64,
    },
}

impl Corrupt {
    /// Flips bits of `bytes`, of which the first has the place `from`, and says how many bytes were changed. `way` is not `Both`.
    pub(crate) fn apply(&self, bytes: &mut [u8], from: u64, stream: u64, way: Way) -> usize {
        if !self.way.has(way) {
            return 0;
        }
        let mut changed = 0;
        for (place, byte) in (from..).zip(bytes) {
            let mask = match &self.flips {
                Flips::At(places) => places.iter().filter(|(p, _)| *p == place).fold(0, |all, (_, mask)| all ^ mask),
                Flips::Seeded { seed, one_in } => {
                    let chance = mixed(mixed(mixed(*seed ^ way as u64) ^ stream) ^ place);
                    // The lower bits say whether, the upper ones which.
                    if (chance & 0xffff_ffff).is_multiple_of((*one_in).max(1)) { 1 << (chance >> 61) } else { 0 }
                }
            };
            *byte ^= mask;
            changed += usize::from(mask != 0);
        }
        changed
    }
}

/// A step of SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere.
pub(super) fn mixed(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_same_bits_flip_however_the_bytes_are_cut(seed: u64, one_in in 1_u64..50, cut in 0_usize..=500) {
            let corrupt = Corrupt { way: Way::Both, flips: Flips::Seeded { seed, one_in } };
            let (mut whole, mut parts) = ([0; 500], [0; 500]);
            let changed = corrupt.apply(&mut whole, 7, 3, Way::ToDevice);
            let (head, tail) = parts.split_at_mut(cut);
            let in_parts = corrupt.apply(head, 7, 3, Way::ToDevice) + corrupt.apply(tail, 7 + cut as u64, 3, Way::ToDevice);
            prop_assert_eq!(changed, in_parts);
            prop_assert_eq!(whole, parts);
            prop_assert_eq!(whole.iter().map(|b| b.count_ones() as usize).sum::<usize>(), changed, "one bit of a byte");
        }
    }

    #[test]
    fn about_one_byte_in_so_many_is_changed() {
        let corrupt = Corrupt { way: Way::ToDevice, flips: Flips::Seeded { seed: 1, one_in: 100 } };
        let changed = corrupt.apply(&mut vec![0; 100_000], 0, 1, Way::ToDevice);
        assert!((800..1_200).contains(&changed), "{changed}");
        assert_eq!(corrupt.apply(&mut [0; 1_000], 0, 1, Way::ToService), 0, "the other direction");
    }
}
