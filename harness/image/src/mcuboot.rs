//! The MCUboot image format: header, payload, protected and unprotected TLVs.
//!
//! Source: mcuboot `docs/design.md` and `boot/bootutil/include/bootutil/image.h`; cross-checked with PyPI `imgtool` 2.5.0 by `.ci/imgtool-cross-check`.
//! Little-endian. The hash covers header, payload and protected TLVs. An Ed25519 signature (TLV 0x24) is over that SHA-256 as a message,
//! an ECDSA P-256 signature (TLV 0x22, DER) is over the same bytes with SHA-256.

use crate::version::Version;
use sha2::{Digest, Sha256};
use std::ops::Range;

/// First word of an image.
pub const MAGIC: u32 = 0x96f3_b83d;
/// Bytes of the header that have a meaning; the rest, up to the header size, is padding (and hashed).
pub const HEADER_LEN: usize = 32;
/// First half-word of the unprotected TLV area.
pub const TLV_MAGIC: u16 = 0x6907;
/// First half-word of the protected TLV area.
pub const PROTECTED_MAGIC: u16 = 0x6908;
/// Bytes of the head of a TLV area, and of the head of one TLV.
pub const TLV_HEAD: usize = 4;
/// An area with more entries than this is malformed: it bounds every walk over an image's TLVs.
pub const MAX_TLVS: usize = 64;

/// Types of TLVs.
pub mod kind {
    /// SHA-256 of the public key (SubjectPublicKeyInfo, DER).
    pub const KEY_HASH: u16 = 0x01;
    /// The public key itself.
    pub const PUBLIC_KEY: u16 = 0x02;
    /// SHA-256 over header, payload and protected TLVs.
    pub const SHA256: u16 = 0x10;
    /// RSA-2048 signature.
    pub const RSA2048: u16 = 0x20;
    /// ECDSA signature, DER.
    pub const ECDSA: u16 = 0x22;
    /// Ed25519 signature.
    pub const ED25519: u16 = 0x24;
    /// Security counter, four bytes.
    pub const SECURITY_COUNTER: u16 = 0x50;
    /// First of the vendor's own types; the fixtures keep the model there.
    pub const MODEL: u16 = 0xa0;
}

/// Why bytes are no image. Offsets are from the start of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The file ends too early.
    #[error("the file ends at byte {len}, but {what} reaches to byte {need}")]
    Short {
        /// Which part.
        what: &'static str,
        /// Its end.
        need: u64,
        /// Bytes of the file.
        len: usize,
    },
    /// Another first word.
    #[error("the file starts with {0:08x} and not with the magic {MAGIC:08x}")]
    Magic(u32),
    /// A header size below the header itself.
    #[error("header size {0} is below {HEADER_LEN}")]
    HeaderSize(u16),
    /// No TLV area where the header says that there is one.
    #[error("no TLV area at byte {at}: {found:04x}")]
    TlvMagic {
        /// Where.
        at: usize,
        /// What stands there.
        found: u16,
    },
    /// The header and the area disagree on the bytes of the protected TLVs.
    #[error("the header says {header} bytes of protected TLVs, the area says {area}")]
    ProtectedSize {
        /// Header's figure.
        header: u16,
        /// Area's figure.
        area: u16,
    },
    /// A TLV reaches beyond its area, or an area is smaller than its own head.
    #[error("the TLV at byte {at} reaches beyond its area")]
    TlvLength {
        /// Where.
        at: usize,
    },
    /// More TLVs than anybody needs.
    #[error("more than {MAX_TLVS} TLVs")]
    TooManyTlvs,
}

/// The first 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Address to load to; 0 for images that run from flash.
    pub load_addr: u32,
    /// Offset of the payload.
    pub header_size: u16,
    /// Bytes of the protected TLV area, head included; 0 for none.
    pub protected_size: u16,
    /// Bytes of the payload.
    pub payload_size: u32,
    /// Flags.
    pub flags: u32,
    /// Version.
    pub version: Version,
}

/// Offsets of header fields, for mutations.
pub mod field {
    use std::ops::Range;
    /// Magic.
    pub const MAGIC: Range<usize> = 0..4;
    /// Header size.
    pub const HEADER_SIZE: Range<usize> = 8..10;
    /// Bytes of protected TLVs.
    pub const PROTECTED_SIZE: Range<usize> = 10..12;
    /// Bytes of the payload.
    pub const PAYLOAD_SIZE: Range<usize> = 12..16;
    /// Flags.
    pub const FLAGS: Range<usize> = 16..20;
    /// Version: major, minor, revision (2), build (4).
    pub const VERSION: Range<usize> = 20..28;
    /// Reserved word, zero.
    pub const RESERVED: Range<usize> = 28..32;
}

impl Header {
    /// The 32 bytes.
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut b = [0; HEADER_LEN];
        b[field::MAGIC].copy_from_slice(&MAGIC.to_le_bytes());
        b[4..8].copy_from_slice(&self.load_addr.to_le_bytes());
        b[field::HEADER_SIZE].copy_from_slice(&self.header_size.to_le_bytes());
        b[field::PROTECTED_SIZE].copy_from_slice(&self.protected_size.to_le_bytes());
        b[field::PAYLOAD_SIZE].copy_from_slice(&self.payload_size.to_le_bytes());
        b[field::FLAGS].copy_from_slice(&self.flags.to_le_bytes());
        b[field::VERSION].copy_from_slice(&version_bytes(self.version));
        b
    }
}

/// A version as the header holds it.
pub fn version_bytes(v: Version) -> [u8; 8] {
    let (r, b) = (v.revision.to_le_bytes(), v.build.to_le_bytes());
    [v.major, v.minor, r[0], r[1], b[0], b[1], b[2], b[3]]
}

/// One TLV: its type, where its head stands and where its value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tlv {
    /// Type.
    pub kind: u16,
    /// Offset of its head in the file.
    pub at: usize,
    /// Its value in the file.
    pub value: Range<usize>,
}

/// An image that was parsed: every range lies inside the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image<'a> {
    bytes: &'a [u8],
    /// Header.
    pub header: Header,
    /// Protected TLVs in order.
    pub protected: Vec<Tlv>,
    /// Unprotected TLVs in order.
    pub unprotected: Vec<Tlv>,
    hashed: usize,
    end: usize,
}

fn u16_at(bytes: &[u8], at: usize, what: &'static str) -> Result<u16, Malformed> {
    let b = slice(bytes, at, 2, what)?;
    Ok(u16::from_le_bytes([b[0], b[1]]))
}

fn u32_at(bytes: &[u8], at: usize, what: &'static str) -> Result<u32, Malformed> {
    let b = slice(bytes, at, 4, what)?;
    Ok(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

fn slice<'a>(bytes: &'a [u8], at: usize, len: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
    let end = at.checked_add(len).filter(|&e| e <= bytes.len());
    end.map(|e| &bytes[at..e]).ok_or(Malformed::Short { what, need: at as u64 + len as u64, len: bytes.len() })
}

/// Reads one TLV area at `at`; returns its entries and its end.
fn area(bytes: &[u8], at: usize, magic: u16, what: &'static str) -> Result<(Vec<Tlv>, usize), Malformed> {
    let found = u16_at(bytes, at, what)?;
    if found != magic {
        return Err(Malformed::TlvMagic { at, found });
    }
    let total = usize::from(u16_at(bytes, at + 2, what)?);
    let whole = slice(bytes, at, total, what)?;
    let end = at + whole.len();
    let mut tlvs = Vec::new();
    let mut next = at + TLV_HEAD;
    if next > end {
        return Err(Malformed::TlvLength { at });
    }
    while next < end {
        if tlvs.len() == MAX_TLVS {
            return Err(Malformed::TooManyTlvs);
        }
        if next + TLV_HEAD > end {
            return Err(Malformed::TlvLength { at: next });
        }
        let kind = u16_at(bytes, next, what)?;
        let len = usize::from(u16_at(bytes, next + 2, what)?);
        let value = next + TLV_HEAD..next + TLV_HEAD + len;
        if value.end > end {
            return Err(Malformed::TlvLength { at: next });
        }
        tlvs.push(Tlv { kind, at: next, value: value.clone() });
        next = value.end;
    }
    Ok((tlvs, end))
}

impl<'a> Image<'a> {
    /// Reads an image. Bytes after the last TLV are allowed and reported by [`Image::tail`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let magic = u32_at(bytes, 0, "the header")?;
        if magic != MAGIC {
            return Err(Malformed::Magic(magic));
        }
        let b = slice(bytes, 0, HEADER_LEN, "the header")?;
        let header = Header {
            load_addr: u32_at(b, 4, "the header")?,
            header_size: u16_at(b, field::HEADER_SIZE.start, "the header")?,
            protected_size: u16_at(b, field::PROTECTED_SIZE.start, "the header")?,
            payload_size: u32_at(b, field::PAYLOAD_SIZE.start, "the header")?,
            flags: u32_at(b, field::FLAGS.start, "the header")?,
            version: Version { major: b[20], minor: b[21], revision: u16_at(b, 22, "the header")?, build: u32_at(b, 24, "the header")? },
        };
        if usize::from(header.header_size) < HEADER_LEN {
            return Err(Malformed::HeaderSize(header.header_size));
        }
        let tlv_at = u64::from(header.header_size) + u64::from(header.payload_size);
        let tlv_at = usize::try_from(tlv_at).ok().filter(|&at| at <= bytes.len()).ok_or(Malformed::Short {
            what: "the payload",
            need: tlv_at,
            len: bytes.len(),
        })?;
        let (protected, hashed) = if header.protected_size == 0 {
            (Vec::new(), tlv_at)
        } else {
            let (tlvs, end) = area(bytes, tlv_at, PROTECTED_MAGIC, "the protected TLVs")?;
            if end - tlv_at != usize::from(header.protected_size) {
                let area = u16_at(bytes, tlv_at + 2, "the protected TLVs")?;
                return Err(Malformed::ProtectedSize { header: header.protected_size, area });
            }
            (tlvs, end)
        };
        let (unprotected, end) = area(bytes, hashed, TLV_MAGIC, "the TLVs")?;
        Ok(Self { bytes, header, protected, unprotected, hashed, end })
    }

    /// The file.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
    /// Where the payload lies.
    pub fn payload(&self) -> Range<usize> {
        let start = usize::from(self.header.header_size);
        start..start + self.header.payload_size as usize
    }
    /// What hash and signature cover: header, payload, protected TLVs.
    pub fn hashed(&self) -> &'a [u8] {
        &self.bytes[..self.hashed]
    }
    /// Where the unprotected TLV area lies, its head included.
    pub fn trailer(&self) -> Range<usize> {
        self.hashed..self.end
    }
    /// Bytes after the last TLV.
    pub fn tail(&self) -> &'a [u8] {
        &self.bytes[self.end..]
    }
    /// SHA-256 over [`Image::hashed`], computed.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.hashed()).into()
    }
    /// The value of a TLV.
    pub fn value(&self, tlv: &Tlv) -> &'a [u8] {
        &self.bytes[tlv.value.clone()]
    }
    /// The first protected TLV of this type.
    pub fn find_protected(&self, kind: u16) -> Option<&Tlv> {
        self.protected.iter().find(|t| t.kind == kind)
    }
    /// The first unprotected TLV of this type.
    pub fn find(&self, kind: u16) -> Option<&Tlv> {
        self.unprotected.iter().find(|t| t.kind == kind)
    }
    /// The hash that the image claims.
    pub fn claimed_digest(&self) -> Option<&'a [u8]> {
        self.find(kind::SHA256).map(|t| self.value(t))
    }
    /// The first signature.
    pub fn signature(&self) -> Option<&Tlv> {
        self.unprotected.iter().find(|t| matches!(t.kind, kind::RSA2048 | kind::ECDSA | kind::ED25519))
    }
    /// The security counter, if there is a well-formed protected one.
    pub fn counter(&self) -> Option<u32> {
        let b = self.value(self.find_protected(kind::SECURITY_COUNTER)?);
        Some(u32::from_le_bytes(b.try_into().ok()?))
    }
    /// The model (vendor TLV 0x00a0, protected).
    pub fn model(&self) -> Option<&'a [u8]> {
        self.find_protected(kind::MODEL).map(|t| self.value(t))
    }
    /// Whether the claimed hash is the true one.
    pub fn intact(&self) -> bool {
        self.claimed_digest().is_some_and(|d| d == self.digest())
    }
    /// Whether hash and signature hold under this key, and the key hash names it.
    pub fn verified_by(&self, key: &crate::VerifyingKey) -> bool {
        let named = self.find(kind::KEY_HASH).is_some_and(|t| self.value(t) == key.hash());
        self.intact() && named && self.signature().is_some_and(|s| s.kind == key.signature_kind() && key.verifies(&self.digest(), self.value(s)))
    }
}
