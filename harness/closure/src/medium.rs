//! What a kind of flash allows, and what it leaves when power goes within an operation.

use std::fmt;
use std::str::FromStr;

/// The rules of a kind of flash. On all of them a write only clears bits, and an erase sets all bits of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Medium {
    /// Its name in replay lines.
    pub name: &'static str,
    /// How often a word may be written between two erases; one write more is refused and changes nothing.
    pub writes_per_word: Option<u8>,
    /// Words carry a checksum: an interrupted one cannot be read until it is erased, and a written one takes only zeros.
    pub ecc: bool,
}

/// Any word may be written any number of times.
pub const NOR: Medium = Medium { name: "nor", writes_per_word: None, ecc: false };
/// nRF52840: a word takes two writes between erases (product specification, n_WRITE = 2).
pub const NRF52: Medium = Medium { name: "nrf52", writes_per_word: Some(2), ecc: false };
/// The strictest reading of "write once": what embassy-boot's own memory flash asserts in its tests.
pub const ONCE: Medium = Medium { name: "once", writes_per_word: Some(1), ecc: false };
/// STM32 with ECC (L4, G4, H5, ...): one write, then only zeros; a torn word is an uncorrectable error.
pub const ECC: Medium = Medium { name: "ecc", writes_per_word: None, ecc: true };

/// Every medium, by name.
pub const MEDIA: [Medium; 4] = [NOR, NRF52, ONCE, ECC];

impl Medium {
    /// Whether something has to be remembered per word beside its data.
    pub fn remembers(&self) -> bool {
        self.writes_per_word.is_some() || self.ecc
    }
}

/// What an interrupted operation leaves: a subset of the bits that differ before and after, as named patterns and seeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tear {
    /// A clean cut: the operation did nothing.
    Before,
    /// A write stopped after its first `n` bytes.
    Prefix(u32),
    /// Of each byte the bits 0xaa reached their new value.
    HalfBits,
    /// A random subset of the differing bits, by seed.
    Bits(u32),
    /// Erase reached the first half of the page.
    EraseFirstHalf,
    /// Erase reached the last half of the page.
    EraseLastHalf,
    /// Erase stopped after its pre-program phase: everything zero.
    EraseZero,
    /// The write reads as done until power goes once more, and then as if it never was ("unstable bits").
    Weak,
}

impl Tear {
    /// Whether it is a cut between two operations.
    pub fn is_clean(self) -> bool {
        self == Tear::Before
    }
}

impl fmt::Display for Tear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tear::Before => f.write_str("before"),
            Tear::Prefix(n) => write!(f, "prefix-{n}"),
            Tear::HalfBits => f.write_str("half-bits"),
            Tear::Bits(seed) => write!(f, "bits-{seed}"),
            Tear::EraseFirstHalf => f.write_str("erase-first-half"),
            Tear::EraseLastHalf => f.write_str("erase-last-half"),
            Tear::EraseZero => f.write_str("erase-zero"),
            Tear::Weak => f.write_str("weak"),
        }
    }
}

impl FromStr for Tear {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let number = |n: &str| n.parse().map_err(|_| format!("`{n}` in tear `{s}` is not a number"));
        Ok(match s {
            "before" => Tear::Before,
            "half-bits" => Tear::HalfBits,
            "erase-first-half" => Tear::EraseFirstHalf,
            "erase-last-half" => Tear::EraseLastHalf,
            "erase-zero" => Tear::EraseZero,
            "weak" => Tear::Weak,
            _ => match s.rsplit_once('-') {
                Some(("prefix", n)) => Tear::Prefix(number(n)?),
                Some(("bits", n)) => Tear::Bits(number(n)?),
                _ => return Err(format!("`{s}` is no tear")),
            },
        })
    }
}

/// Which tears are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tears {
    /// Interrupted writes: every named pattern and two seeds.
    pub writes: bool,
    /// Interrupted erases: every named pattern and two seeds.
    pub erases: bool,
    /// Writes that leave weak cells.
    pub weak: bool,
}

impl Tears {
    /// Clean cuts only.
    pub const NONE: Tears = Tears { writes: false, erases: false, weak: false };
    /// All that an operation interrupted once can leave.
    pub const ALL: Tears = Tears { writes: true, erases: true, weak: false };
}

/// Writes up to this length are torn after each of their bytes; longer ones at their first, middle and last word and byte.
const EACH_BYTE: usize = 16;

/// The tears of a write of `len` bytes, the clean cut first.
pub fn write_tears(tears: Tears, len: usize, word: usize) -> Vec<Tear> {
    let mut out = vec![Tear::Before];
    if tears.weak {
        out.push(Tear::Weak);
    }
    if !tears.writes {
        return out;
    }
    let stops: Vec<usize> = if len <= EACH_BYTE { (1..len).collect() } else { vec![1, word, len / 2, len - word, len - 1] };
    for stop in stops {
        let tear = Tear::Prefix(u32::try_from(stop).unwrap_or(u32::MAX));
        if stop > 0 && stop < len && !out.contains(&tear) {
            out.push(tear);
        }
    }
    out.extend([Tear::HalfBits, Tear::Bits(1), Tear::Bits(2)]);
    out
}

/// The tears of an erase, the clean cut first.
pub fn erase_tears(tears: Tears) -> &'static [Tear] {
    const ALL: [Tear; 6] = [Tear::Before, Tear::EraseFirstHalf, Tear::EraseLastHalf, Tear::EraseZero, Tear::Bits(1), Tear::Bits(2)];
    if tears.erases { &ALL } else { &ALL[..1] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tear_reads_back_from_what_it_prints() {
        let mut all = write_tears(Tears { weak: true, ..Tears::ALL }, 40, 4);
        all.extend_from_slice(erase_tears(Tears::ALL));
        for tear in all {
            assert_eq!(tear.to_string().parse(), Ok(tear));
        }
        assert!("prefix-x".parse::<Tear>().is_err());
        assert!("sideways".parse::<Tear>().is_err());
    }

    #[test]
    fn a_short_write_tears_after_each_of_its_bytes() {
        let tears = write_tears(Tears::ALL, 8, 1);
        assert!((1..8).all(|n| tears.contains(&Tear::Prefix(n))));
        assert!(!tears.contains(&Tear::Prefix(8)));
    }
}
