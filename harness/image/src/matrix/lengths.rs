//! U06: files that end too early, too late, or lie about their lengths.

use super::Family::Length;
use super::{Expect, Part, Policy, Variant, refused, rehash};
use crate::mcuboot::{HEADER_LEN, Image, field};

/// What stands after the image in files that are too long: never FF, so that erased flash does not hide it.
const FILL: u8 = 0xa5;

/// The file with these bytes written over it at `at`.
fn overwritten(bytes: &[u8], at: usize, with: &[u8]) -> Vec<u8> {
    let mut b = bytes.to_vec();
    if let Some(place) = b.get_mut(at..at + with.len()) {
        place.copy_from_slice(with);
    }
    b
}

pub(super) fn lengths(image: &Image<'_>, slot_bytes: usize) -> Vec<Variant> {
    let bytes = image.bytes();
    let payload = image.payload();
    let trailer = image.trailer();
    let cut = |id, title, at: usize| refused(id, title, Length, Part::Length, bytes[..at.min(bytes.len())].to_vec());
    let header = |id, title, field: std::ops::Range<usize>, value: &[u8]| {
        refused(id, title, Length, Part::Header, rehash(image, &overwritten(image.hashed(), field.start, value)))
    };
    let grown = |to: usize| {
        let mut b = bytes.to_vec();
        b.resize(to.max(bytes.len() + 1), FILL);
        b
    };
    let trailer_len = |len: u16| overwritten(bytes, trailer.start + 2, &len.to_le_bytes());
    let payload_len = image.header.payload_size;
    let mut variants = vec![
        cut("length-empty", "empty file", 0),
        cut("length-one-byte", "one byte", 1),
        cut("length-in-header", "cut in the header", HEADER_LEN / 2),
        cut("length-header-only", "cut after the header", payload.start),
        cut("length-first-quarter", "cut after a quarter of the payload", payload.start + payload.len() / 4),
        cut("length-half", "cut after half of the payload", payload.start + payload.len() / 2),
        cut("length-before-tlvs", "cut before the TLVs", payload.end),
        cut("length-in-signature", "cut in the signature", image.signature().map_or(trailer.end - 1, |t| t.value.start + t.value.len() / 2)),
        cut("length-last-byte", "last byte missing", trailer.end.saturating_sub(1)),
        refused("length-oversize", "longer than the slot", Length, Part::Length, grown(slot_bytes + 4096)),
        header("length-payload-huge", "header says that the payload has 4 GiB", field::PAYLOAD_SIZE, &u32::MAX.to_le_bytes()),
        header(
            "length-payload-slot",
            "header says that the payload is longer than the slot",
            field::PAYLOAD_SIZE,
            &u32::try_from(slot_bytes).unwrap_or(u32::MAX).to_le_bytes(),
        ),
        header(
            "length-payload-longer",
            "header says that the payload ends later than it does",
            field::PAYLOAD_SIZE,
            &payload_len.saturating_add(256).to_le_bytes(),
        ),
        header(
            "length-payload-shorter",
            "header says that the payload ends earlier than it does",
            field::PAYLOAD_SIZE,
            &payload_len.saturating_sub(256).to_le_bytes(),
        ),
        header("length-payload-zero", "header says that there is no payload", field::PAYLOAD_SIZE, &[0; 4]),
        // Header size plus payload size is 32 modulo 2^32: a sum in 32 bits looks for the TLVs right after the fields of the header.
        header(
            "length-payload-wraps",
            "header size and payload size add up to more than 32 bits hold",
            field::PAYLOAD_SIZE,
            &(HEADER_LEN as u32).wrapping_sub(u32::from(image.header.header_size)).to_le_bytes(),
        ),
        header("length-header-huge", "header says that it has 65535 bytes itself", field::HEADER_SIZE, &u16::MAX.to_le_bytes()),
        header("length-header-zero", "header says that it has no bytes itself", field::HEADER_SIZE, &[0; 2]),
        header("length-protected-huge", "header says that the protected TLVs have 65535 bytes", field::PROTECTED_SIZE, &u16::MAX.to_le_bytes()),
        refused("length-tlvs-huge", "TLV area says that it has 65535 bytes", Length, Part::Unprotected, trailer_len(u16::MAX)),
        refused("length-tlvs-zero", "TLV area says that it has no bytes", Length, Part::Unprotected, trailer_len(0)),
    ];
    if let Some(first) = image.unprotected.first() {
        let longer = overwritten(bytes, first.at + 2, &u16::MAX.to_le_bytes());
        variants.push(refused("length-tlv-huge", "first TLV says that it has 65535 bytes", Length, Part::Unprotected, longer));
    }
    variants.push(Variant {
        id: "length-appended",
        title: "bytes appended after the image",
        family: Length,
        mutates: Part::Length,
        expect: Expect::DeclaredBy(Policy::UnsignedTail),
        bytes: grown(bytes.len() + 300),
    });
    variants
}
