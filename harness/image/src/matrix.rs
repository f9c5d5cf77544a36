//! The image matrix: every mutation of a genuine image that a check offers to a device, as data.
//!
//! All variants are made from one genuine image and need no key of the maker. The base should be newer than what runs, so that a device that
//! takes a variant shows it by its version. Rows U02 to U09 of the update technique; rows that need a further image of the maker
//! (other model, older, same version, crashing) enter by [`supplied`].

mod fields;
mod flips;
mod lengths;
mod opaque;
mod signatures;

pub use fields::claim_version;

use crate::mcuboot::{Image, Malformed};

/// What a variant attacks, one family per check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// The maker's own file.
    Genuine,
    /// One bit flipped somewhere, nothing else touched.
    Flip,
    /// Content changed and the hash made to fit; the signature is the old one.
    Rehash,
    /// No signature, an empty one, or one of no algorithm.
    Unsigned,
    /// Signed by somebody else.
    OtherKey,
    /// Truncated, empty, too long, or lying about its lengths.
    Length,
    /// The version or the security counter in the file changed.
    Field,
    /// A genuine file that must not come now: older, of another model, of the same version.
    Supplied,
}

/// Which part of the file differs from the genuine one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// None.
    Nothing,
    /// The header's fields.
    Header,
    /// The padding between header and payload.
    HeaderPadding,
    /// The payload.
    Payload,
    /// The protected TLVs.
    Protected,
    /// The unprotected TLVs, signature apart.
    Unprotected,
    /// The signature.
    Signature,
    /// A place in a file that is not read.
    Somewhere,
    /// The length of the file.
    Length,
    /// All of it: another file of the maker.
    Whole,
}

/// What a conforming device does with a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expect {
    /// It refuses it, at any step before it would run, and keeps what it has.
    Refused,
    /// It installs and runs it.
    Installs,
    /// The declaration says which.
    DeclaredBy(Policy),
}

/// A statement of the maker that decides what is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Whether bytes after the signed part are declared not covered.
    UnsignedTail,
    /// Whether older versions may come back.
    Downgrade,
    /// Whether the same version may come again.
    SameVersion,
}

/// One offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Stable name, unique in a matrix: `flip-payload-last`.
    pub id: &'static str,
    /// What it is, in words of the report.
    pub title: &'static str,
    /// Family.
    pub family: Family,
    /// What differs from the genuine file.
    pub mutates: Part,
    /// What is right.
    pub expect: Expect,
    /// The file.
    pub bytes: Vec<u8>,
}

/// Every variant of one genuine image, in a fixed order. `slot_bytes` is the declared size of the slot that takes it.
pub fn all(genuine: &[u8], slot_bytes: usize) -> Result<Vec<Variant>, Malformed> {
    let image = Image::parse(genuine)?;
    let mut variants = flips::flips(&image);
    variants.extend(flips::rehashed(&image));
    variants.extend(signatures::unsigned(&image));
    variants.extend(signatures::other_key(&image));
    variants.extend(lengths::lengths(&image, slot_bytes));
    variants.extend(fields::fields(&image));
    // A mutation that changes nothing (an image without padding, say) is no offer.
    variants.retain(|v| v.bytes != genuine);
    Ok(variants)
}

/// The variants of one family.
pub fn family(genuine: &[u8], slot_bytes: usize, family: Family) -> Result<Vec<Variant>, Malformed> {
    let mut variants = all(genuine, slot_bytes)?;
    variants.retain(|v| v.family == family);
    Ok(variants)
}

/// The variants of one family of a file that is not read; see [`crate::Format::Opaque`].
pub(crate) fn opaque(genuine: &[u8], slot_bytes: usize, family: Family) -> Vec<Variant> {
    opaque::family(genuine, slot_bytes, family)
}

/// A further file of the maker, offered unchanged.
pub fn supplied(id: &'static str, title: &'static str, bytes: Vec<u8>, expect: Expect) -> Variant {
    Variant { id, title, family: Family::Supplied, mutates: Part::Whole, expect, bytes }
}

/// A variant that must be refused.
fn refused(id: &'static str, title: &'static str, family: Family, mutates: Part, bytes: Vec<u8>) -> Variant {
    Variant { id, title, family, mutates, expect: Expect::Refused, bytes }
}

/// The file with one bit turned over; unchanged if it has no such byte.
fn flipped(bytes: &[u8], at: usize, bit: u8) -> Vec<u8> {
    let mut b = bytes.to_vec();
    if let Some(byte) = b.get_mut(at) {
        *byte ^= 1 << (bit & 7);
    }
    b
}

/// The unprotected TLVs as a list that [`crate::write::with_trailer`] takes back.
fn trailer(image: &Image<'_>) -> Vec<(u16, Vec<u8>)> {
    image.unprotected.iter().map(|t| (t.kind, image.value(t).to_vec())).collect()
}

/// The image's trailer under other content, with the hash made to fit and everything else, signature included, left as it was.
fn rehash(image: &Image<'_>, hashed: &[u8]) -> Vec<u8> {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(hashed).to_vec();
    let mut tlvs = trailer(image);
    for (_, value) in tlvs.iter_mut().filter(|(k, _)| *k == crate::mcuboot::kind::SHA256) {
        *value = digest.clone();
    }
    crate::write::with_trailer(hashed, &tlvs)
}
