//! U02 and U05: one bit, and one bit with the hash made to fit.

use super::Family::{Flip, Rehash};
use super::{Expect, Part, Policy, Variant, flipped, refused, rehash};
use crate::mcuboot::{HEADER_LEN, Image, field, kind};

/// A place inside what the signature covers.
struct Place {
    flip: &'static str,
    rehash: &'static str,
    what: &'static str,
    rehash_what: &'static str,
    part: Part,
    at: Option<usize>,
    bit: u8,
}

fn places(image: &Image<'_>) -> Vec<Place> {
    let payload = image.payload();
    let last = payload.end.checked_sub(1).filter(|&at| payload.contains(&at));
    let middle = Some(payload.start + payload.len() / 2).filter(|at| payload.contains(at));
    let first = Some(payload.start).filter(|at| payload.contains(at));
    let padding = Some(HEADER_LEN + (payload.start - HEADER_LEN) / 2).filter(|&at| at < payload.start);
    let protected = |kind| image.find_protected(kind).filter(|t| !t.value.is_empty()).map(|t| t.value.start);
    let place = |flip, rehash, what, rehash_what, part, at, bit| Place { flip, rehash, what, rehash_what, part, at, bit };
    vec![
        place(
            "flip-header-version",
            "rehash-header-version",
            "bit flipped in the version of the header",
            "version of the header changed, hash made to fit",
            Part::Header,
            Some(field::VERSION.start + 2),
            4,
        ),
        place(
            "flip-header-flags",
            "rehash-header-flags",
            "bit flipped in the flags of the header",
            "flags of the header changed, hash made to fit",
            Part::Header,
            // An undefined flag: a defined one would change how the image is to be read.
            Some(field::FLAGS.start + 3),
            7,
        ),
        place(
            "flip-header-reserved",
            "rehash-header-reserved",
            "bit flipped in the reserved word of the header",
            "reserved word of the header changed, hash made to fit",
            Part::Header,
            Some(field::RESERVED.start),
            0,
        ),
        place(
            "flip-header-padding",
            "rehash-header-padding",
            "bit flipped in the padding of the header",
            "padding of the header changed, hash made to fit",
            Part::HeaderPadding,
            padding,
            3,
        ),
        place(
            "flip-payload-first",
            "rehash-payload-first",
            "bit flipped in the first byte of the payload",
            "first byte of the payload changed, hash made to fit",
            Part::Payload,
            first,
            0,
        ),
        place(
            "flip-payload-middle",
            "rehash-payload-middle",
            "bit flipped in the middle of the payload",
            "middle of the payload changed, hash made to fit",
            Part::Payload,
            middle,
            5,
        ),
        place(
            "flip-payload-last",
            "rehash-payload-last",
            "bit flipped in the last byte of the payload",
            "last byte of the payload changed, hash made to fit",
            Part::Payload,
            last,
            7,
        ),
        place(
            "flip-counter",
            "rehash-counter",
            "bit flipped in the protected security counter",
            "protected security counter changed, hash made to fit",
            Part::Protected,
            protected(kind::SECURITY_COUNTER),
            6,
        ),
        place(
            "flip-model",
            "rehash-model",
            "bit flipped in the protected model",
            "protected model changed, hash made to fit",
            Part::Protected,
            protected(kind::MODEL),
            0,
        ),
    ]
}

/// One bit flipped, nothing else touched.
pub(super) fn flips(image: &Image<'_>) -> Vec<Variant> {
    let bytes = image.bytes();
    let mut variants =
        vec![refused("flip-header-magic", "bit flipped in the magic of the header", Flip, Part::Header, flipped(bytes, field::MAGIC.start, 0))];
    for p in places(image) {
        if let Some(at) = p.at {
            variants.push(refused(p.flip, p.what, Flip, p.part, flipped(bytes, at, p.bit)));
        }
    }
    let mut tlv = |id, what, part, at: Option<usize>, bit| {
        if let Some(at) = at {
            variants.push(refused(id, what, Flip, part, flipped(bytes, at, bit)));
        }
    };
    let unprotected = |kind| image.find(kind).filter(|t| !t.value.is_empty());
    tlv("flip-hash", "bit flipped in the hash", Part::Unprotected, unprotected(kind::SHA256).map(|t| t.value.start + t.value.len() / 2), 2);
    tlv("flip-key-hash", "bit flipped in the hash of the key", Part::Unprotected, unprotected(kind::KEY_HASH).map(|t| t.value.start), 1);
    tlv("flip-tlv-magic", "bit flipped in the head of the TLV area", Part::Unprotected, Some(image.trailer().start), 0);
    let signature = image.signature().filter(|t| !t.value.is_empty()).map(|t| t.value.clone());
    tlv("flip-signature-first", "bit flipped in the first byte of the signature", Part::Signature, signature.clone().map(|v| v.start), 0);
    tlv("flip-signature-middle", "bit flipped in the middle of the signature", Part::Signature, signature.clone().map(|v| v.start + v.len() / 2), 3);
    tlv("flip-signature-last", "bit flipped in the last byte of the signature", Part::Signature, signature.map(|v| v.end - 1), 1);
    // The key hash is a hint outside the signature: a device with one key may do without it, if its maker says that such bytes are not covered.
    if let Some(v) = variants.iter_mut().find(|v| v.id == "flip-key-hash") {
        v.expect = Expect::DeclaredBy(Policy::UnsignedTail);
    }
    variants
}

/// The same places, with the hash made to fit: a device that takes a checksum for a signature takes these.
pub(super) fn rehashed(image: &Image<'_>) -> Vec<Variant> {
    places(image)
        .into_iter()
        .filter_map(|p| Some(refused(p.rehash, p.rehash_what, Rehash, p.part, rehash(image, &flipped(image.hashed(), p.at?, p.bit)))))
        .collect()
}
