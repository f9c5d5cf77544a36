//! Making images: from a description with a key at hand, or by putting a new trailer under bytes that somebody else made.

use crate::keys::SigningKey;
use crate::mcuboot::{HEADER_LEN, Header, PROTECTED_MAGIC, TLV_HEAD, TLV_MAGIC, kind};
use crate::version::Version;
use sha2::{Digest, Sha256};

/// What an image is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSpec {
    /// Version.
    pub version: Version,
    /// Security counter; none leaves the TLV out.
    pub counter: Option<u32>,
    /// Model; none leaves the TLV out.
    pub model: Option<Vec<u8>>,
    /// Offset of the payload, at least 32.
    pub header_size: u16,
    /// The code.
    pub payload: Vec<u8>,
}

/// Which unprotected TLVs go under an image.
pub enum Seal<'k> {
    /// Hash, key hash, signature, as imgtool writes them.
    Signed(&'k SigningKey),
    /// The hash alone.
    HashOnly,
}

impl ImageSpec {
    /// Header, payload and protected TLVs: what hash and signature cover. None if a part is too long for its length field.
    pub fn hashed(&self) -> Option<Vec<u8>> {
        let mut protected = Vec::new();
        if let Some(counter) = self.counter {
            push_tlv(&mut protected, kind::SECURITY_COUNTER, &counter.to_le_bytes())?;
        }
        if let Some(model) = &self.model {
            push_tlv(&mut protected, kind::MODEL, model)?;
        }
        let protected = if protected.is_empty() { Vec::new() } else { area(PROTECTED_MAGIC, &protected)? };
        let header = Header {
            load_addr: 0,
            header_size: self.header_size,
            protected_size: u16::try_from(protected.len()).ok()?,
            payload_size: u32::try_from(self.payload.len()).ok()?,
            flags: 0,
            version: self.version,
        };
        let padding = usize::from(self.header_size).checked_sub(HEADER_LEN)?;
        let mut bytes = header.to_bytes().to_vec();
        // imgtool pads with the erased value, so that a programmer skips it.
        bytes.resize(HEADER_LEN + padding, 0xff);
        bytes.extend_from_slice(&self.payload);
        bytes.extend_from_slice(&protected);
        Some(bytes)
    }

    /// The finished file. None if a part is too long for its length field.
    pub fn build(&self, how: &Seal<'_>) -> Option<Vec<u8>> {
        Some(seal(&self.hashed()?, how))
    }
}

/// Puts hash (and signature) under `hashed`, whatever it holds.
pub fn seal(hashed: &[u8], how: &Seal<'_>) -> Vec<u8> {
    let digest: [u8; 32] = Sha256::digest(hashed).into();
    let mut tlvs = vec![(kind::SHA256, digest.to_vec())];
    if let Seal::Signed(key) = how {
        tlvs.push((kind::KEY_HASH, key.public().hash().to_vec()));
        tlvs.push((key.public().signature_kind(), key.sign(&digest)));
    }
    with_trailer(hashed, &tlvs)
}

/// Puts exactly these unprotected TLVs under `hashed`. Values are at most a few hundred bytes: the callers are in this crate.
pub(crate) fn with_trailer(hashed: &[u8], tlvs: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut entries = Vec::new();
    for (kind, value) in tlvs {
        push_tlv(&mut entries, *kind, value).expect("values of a trailer are short");
    }
    let mut bytes = hashed.to_vec();
    bytes.extend(area(TLV_MAGIC, &entries).expect("trailers are short"));
    bytes
}

fn push_tlv(into: &mut Vec<u8>, kind: u16, value: &[u8]) -> Option<()> {
    into.extend_from_slice(&kind.to_le_bytes());
    into.extend_from_slice(&u16::try_from(value.len()).ok()?.to_le_bytes());
    into.extend_from_slice(value);
    Some(())
}

fn area(magic: u16, entries: &[u8]) -> Option<Vec<u8>> {
    let total = u16::try_from(entries.len() + TLV_HEAD).ok()?;
    let mut bytes = magic.to_le_bytes().to_vec();
    bytes.extend_from_slice(&total.to_le_bytes());
    bytes.extend_from_slice(entries);
    Some(bytes)
}
