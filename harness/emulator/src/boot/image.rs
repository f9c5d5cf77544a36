//! The MCUboot image format, read and verified by the device. The bench's own reader is another crate; they share no code.

use super::Slot;
use crate::defects::Defect;
use crate::hw::Hw;
use crate::keys::Keys;
use crate::layout::PAGE;
use ed25519_dalek::Verifier as _;
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use sha2::{Digest, Sha256};
use std::fmt;

const MAGIC: u32 = 0x96f3_b83d;
const HEADER: usize = 32;
const TLV_INFO: u16 = 0x6907;
const TLV_PROTECTED: u16 = 0x6908;
const TLV_KEY_HASH: u16 = 0x01;
const TLV_PUBLIC_KEY: u16 = 0x02;
const TLV_SHA256: u16 = 0x10;
const TLV_ECDSA: u16 = 0x22;
const TLV_ED25519: u16 = 0x24;
const TLV_COUNTER: u16 = 0x50;
const TLV_MODEL: u16 = 0xA0;
/// Bound on the walk over TLVs.
const MOST_TLVS: usize = 32;
const MODEL: &[u8] = b"TH-1";
/// First bytes of a payload; a flag byte follows.
const PAYLOAD: &[u8] = b"TH1A";

/// Version of an image: `1.2.0+0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version {
    /// Major.
    pub major: u8,
    /// Minor.
    pub minor: u8,
    /// Revision.
    pub revision: u16,
    /// Build.
    pub build: u32,
}

impl Version {
    /// Eight bytes, as in the header.
    pub(crate) fn from_bytes(b: [u8; 8]) -> Self {
        Self { major: b[0], minor: b[1], revision: u16::from_le_bytes([b[2], b[3]]), build: u32::from_le_bytes([b[4], b[5], b[6], b[7]]) }
    }
    pub(crate) fn to_bytes(self) -> [u8; 8] {
        let ([r0, r1], [b0, b1, b2, b3]) = (self.revision.to_le_bytes(), self.build.to_le_bytes());
        [self.major, self.minor, r0, r1, b0, b1, b2, b3]
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}+{}", self.major, self.minor, self.revision, self.build)
    }
}

/// What an image says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageInfo {
    /// Version.
    pub version: Version,
    /// SHA-256 that the image claims.
    pub hash: [u8; 32],
    /// Security counter; 0 if it has none.
    pub counter: u32,
    /// Model; empty if it names none.
    pub model: Vec<u8>,
    /// Flags of the payload: 1 crashes, 2 hangs when it starts.
    pub flags: u8,
    /// Bytes from the header to the last TLV.
    pub len: u32,
}

/// Why an image is refused; the text is what the loader prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Reject {
    /// No image there.
    #[error("empty")]
    Empty,
    /// No magic, or a header that makes no sense.
    #[error("header")]
    Header,
    /// It does not fit the slot, or is cut short.
    #[error("length")]
    Length,
    /// Something stands behind its end.
    #[error("trailing data")]
    Trailing,
    /// TLVs that cannot be read.
    #[error("tlv")]
    Tlv,
    /// Flash cannot be read.
    #[error("unreadable")]
    Unreadable,
    /// Content and hash differ.
    #[error("hash")]
    Hash,
    /// No valid signature by a known key.
    #[error("signature")]
    Signature,
    /// Made for another model.
    #[error("model")]
    Model,
    /// Older than what runs or has run.
    #[error("version")]
    Version,
    /// Below the anti-rollback counter.
    #[error("counter")]
    Counter,
    /// An earlier update is not finished.
    #[error("busy")]
    Busy,
}

struct Tlv<'a> {
    kind: u16,
    value: &'a [u8],
    at: usize,
}

struct Parsed<'a> {
    info: ImageInfo,
    /// What the hash covers.
    hashed: &'a [u8],
    header: usize,
    protected: Vec<Tlv<'a>>,
    open: Vec<Tlv<'a>>,
}

fn u16_at(b: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(b.get(at..at + 2)?.try_into().ok()?))
}
fn u32_at(b: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(b.get(at..at + 4)?.try_into().ok()?))
}

/// One TLV area: its entries and its end.
fn area(b: &[u8], at: usize, magic: u16) -> Result<(Vec<Tlv<'_>>, usize), Reject> {
    if u16_at(b, at).ok_or(Reject::Length)? != magic {
        return Err(Reject::Length);
    }
    let end = at + usize::from(u16_at(b, at + 2).ok_or(Reject::Length)?);
    let (mut tlvs, mut here) = (Vec::new(), at + 4);
    if end > b.len() {
        return Err(Reject::Length);
    }
    while here < end {
        let (Some(kind), Some(len)) = (u16_at(b, here), u16_at(b, here + 2)) else { return Err(Reject::Tlv) };
        let next = here + 4 + usize::from(len);
        if next > end || tlvs.len() == MOST_TLVS {
            return Err(Reject::Tlv);
        }
        tlvs.push(Tlv { kind, value: &b[here + 4..next], at: here + 4 });
        here = next;
    }
    if here == end { Ok((tlvs, end)) } else { Err(Reject::Tlv) }
}

fn parse(b: &[u8]) -> Result<Parsed<'_>, Reject> {
    let head = b.get(..HEADER).ok_or(Reject::Length)?;
    if head.iter().all(|x| *x == 0xFF) {
        return Err(Reject::Empty);
    }
    if u32_at(head, 0) != Some(MAGIC) {
        return Err(Reject::Header);
    }
    let size = |at| u16_at(head, at).map(usize::from).ok_or(Reject::Header);
    let (header, protected_size) = (size(8)?, size(10)?);
    let payload = u32_at(head, 12).ok_or(Reject::Header)? as usize;
    if header < HEADER {
        return Err(Reject::Header);
    }
    let body = header.checked_add(payload).filter(|e| *e <= b.len()).ok_or(Reject::Length)?;
    let (protected, hashed) = if protected_size > 0 { area(b, body, TLV_PROTECTED)? } else { (Vec::new(), body) };
    if hashed != body + protected_size {
        return Err(Reject::Tlv);
    }
    let (open, end) = area(b, hashed, TLV_INFO)?;
    let first = |kind| protected.iter().find(|t| t.kind == kind).map(|t| t.value);
    let counter = match first(TLV_COUNTER) {
        Some(v) => u32::from_le_bytes(v.try_into().map_err(|_| Reject::Tlv)?),
        None => 0,
    };
    let hash = open.iter().find(|t| t.kind == TLV_SHA256).and_then(|t| t.value.try_into().ok()).unwrap_or([0; 32]);
    let version = Version::from_bytes(head[20..28].try_into().map_err(|_| Reject::Header)?);
    let payload = &b[header..body];
    let flags = if payload.starts_with(PAYLOAD) { payload.get(PAYLOAD.len()).copied().unwrap_or(0) } else { 0 };
    let info = ImageInfo { version, hash, counter, model: first(TLV_MODEL).unwrap_or_default().to_vec(), flags, len: end as u32 };
    Ok(Parsed { info, hashed: &b[..hashed], header, protected, open })
}

/// Reads a slot; what cannot be read comes as erased, with a note.
fn slot_bytes(hw: &Hw, slot: Slot) -> (Vec<u8>, Option<u32>) {
    let region = slot.region();
    let mut bytes = vec![0xFF; region.len as usize];
    let mut bad = None;
    for (page, at) in bytes.chunks_mut(PAGE as usize).zip((region.offset..).step_by(PAGE as usize)) {
        if hw.read(at, page).is_err() {
            page.fill(0xFF);
            bad = bad.or(Some(at - region.offset));
        }
    }
    (bytes, bad)
}

pub(super) fn inspect(hw: &Hw, slot: Slot) -> Option<ImageInfo> {
    if let Ok(info) = verify(hw, slot) {
        return Some(info);
    }
    let (bytes, _) = slot_bytes(hw, slot);
    match parse(&bytes) {
        Ok(p) => Some(p.info),
        Err(Reject::Empty | Reject::Header) => None,
        // Enough to name it: the header is there, the rest is not (yet).
        Err(_) => header_only(&bytes),
    }
}

fn header_only(b: &[u8]) -> Option<ImageInfo> {
    let version = Version::from_bytes(b.get(20..28)?.try_into().ok()?);
    let header = usize::from(u16_at(b, 8)?);
    let payload = b.get(header..)?;
    let flags = if payload.starts_with(PAYLOAD) { *payload.get(PAYLOAD.len())? } else { 0 };
    let len = (header as u64 + u64::from(u32_at(b, 12)?)).min(b.len() as u64) as u32;
    Some(ImageInfo { version, hash: [0; 32], counter: 0, model: Vec::new(), flags, len })
}

pub(super) fn verify(hw: &Hw, slot: Slot) -> Result<ImageInfo, Reject> {
    let region = slot.region();
    let key = hw.view_key(region.offset, region.len);
    hw.verified().get_or(key, || {
        let (bytes, bad) = slot_bytes(hw, slot);
        check(hw, &bytes, bad)
    })
}

fn check(hw: &Hw, bytes: &[u8], bad: Option<u32>) -> Result<ImageInfo, Reject> {
    let parsed = match parse(bytes) {
        // Nobody looks whether the lengths of the header stay inside the slot.
        Err(Reject::Length | Reject::Tlv) if hw.defect(Defect::LengthTrusted) => return header_only(bytes).ok_or(Reject::Header),
        other => other?,
    };
    let end = parsed.info.len as usize;
    if bad.is_some_and(|at| (at as usize) < end) {
        return Err(Reject::Unreadable);
    }
    if bytes[end..].iter().any(|b| *b != 0xFF) && !hw.defect(Defect::LengthTrusted) {
        return Err(Reject::Trailing);
    }
    let claimed = parsed.open.iter().find(|t| t.kind == TLV_SHA256).ok_or(Reject::Tlv)?;
    let actual: [u8; 32] = Sha256::digest(parsed.hashed).into();
    if claimed.value != actual && !claimed_hash_will_do(hw, bytes, &parsed, claimed.value) {
        return Err(Reject::Hash);
    }
    if !signed(hw, &parsed, claimed.value) {
        return Err(Reject::Signature);
    }
    if parsed.info.model != MODEL && !hw.defect(Defect::ModelUnchecked) {
        return Err(Reject::Model);
    }
    Ok(parsed.info)
}

/// Defects that look at less than the whole image. The maker signs the hash of the whole, so these take a signed hash and try whether it fits what
/// they do look at.
fn claimed_hash_will_do(hw: &Hw, bytes: &[u8], parsed: &Parsed<'_>, claimed: &[u8]) -> bool {
    let fits = |hashed: &[u8]| Sha256::digest(hashed)[..] == *claimed;
    if hw.defect(Defect::HashFirstBlockOnly) {
        let tidy = bytes[4..8].iter().chain(&bytes[16..20]).chain(&bytes[28..32]).all(|b| *b == 0);
        return tidy && bytes[parsed.header..].starts_with(PAYLOAD);
    }
    if hw.defect(Defect::HeaderUnprotected) {
        // Whatever the header says: the maker's release plan knows these versions.
        let mut copy = parsed.hashed.to_vec();
        copy[4..8].fill(0);
        copy[16..20].fill(0);
        copy[28..32].fill(0);
        for (minor, revision) in (0..12u8).flat_map(|m| (0..3u16).map(move |r| (m, r))) {
            let version = Version { major: 1, minor, revision, build: 0 };
            copy[20..28].copy_from_slice(&version.to_bytes());
            if fits(&copy) {
                return true;
            }
        }
    }
    if hw.defect(Defect::ProtTlvUnprotected) {
        for tlv in &parsed.protected {
            let mut copy = parsed.hashed.to_vec();
            let value = &mut copy[tlv.at..tlv.at + tlv.value.len()];
            let Some(last) = value.len().checked_sub(1) else { continue };
            let at = if tlv.kind == TLV_COUNTER { 0 } else { last };
            if tlv.kind == TLV_COUNTER {
                value.fill(0);
            }
            for byte in 0..=127u8 {
                copy[tlv.at + at] = byte;
                if fits(&copy) {
                    return true;
                }
            }
        }
    }
    false
}

fn signed(hw: &Hw, parsed: &Parsed<'_>, hash: &[u8]) -> bool {
    if hw.defect(Defect::CrcNotSig) {
        return true;
    }
    let signatures = || parsed.open.iter().filter(|t| matches!(t.kind, TLV_ECDSA | TLV_ED25519));
    if hw.defect(Defect::SigUnchecked) {
        return signatures().next().is_some();
    }
    if hw.defect(Defect::SigAbsentOk) && signatures().next().is_none() {
        return true;
    }
    let keys = &hw.otp().keys;
    let brought = parsed.open.iter().chain(&parsed.protected).find(|t| t.kind == TLV_PUBLIC_KEY).map(|t| t.value);
    let named = parsed.open.iter().find(|t| t.kind == TLV_KEY_HASH).map(|t| t.value);
    signatures().any(|s| {
        if hw.defect(Defect::KeyFromImage)
            && let Some(key) = brought.and_then(read_key)
        {
            return key.verifies(hash, s.value);
        }
        known_keys(keys, hw.defect(Defect::AnyKey), s.kind)
            .into_iter()
            .any(|key| (named.is_none_or(|n| n == key.hash()) || hw.defect(Defect::AnyKey)) && key.verifies(hash, s.value))
    })
}

enum Key {
    Ed25519([u8; 32]),
    P256([u8; 65]),
}

/// DER up to the key's own bytes.
const ED25519_DER: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const P256_DER: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03,
    0x42, 0x00,
];

fn known_keys(keys: &Keys, development: bool, kind: u16) -> Vec<Key> {
    if kind == TLV_ECDSA {
        return keys.p256.map(Key::P256).into_iter().collect();
    }
    keys.ed25519.into_iter().chain(keys.development.filter(|_| development)).map(Key::Ed25519).collect()
}

fn read_key(der: &[u8]) -> Option<Key> {
    let ed = der.strip_prefix(ED25519_DER).and_then(|k| k.try_into().ok()).map(Key::Ed25519);
    ed.or_else(|| der.strip_prefix(P256_DER).and_then(|k| k.try_into().ok()).map(Key::P256))
}

impl Key {
    /// The hash by which an image names its key: SHA-256 of the DER form.
    fn hash(&self) -> [u8; 32] {
        match self {
            Key::Ed25519(k) => Sha256::new().chain_update(ED25519_DER).chain_update(k).finalize().into(),
            Key::P256(k) => Sha256::new().chain_update(P256_DER).chain_update(k).finalize().into(),
        }
    }
    fn verifies(&self, hash: &[u8], signature: &[u8]) -> bool {
        match self {
            Key::Ed25519(k) => {
                let key = ed25519_dalek::VerifyingKey::from_bytes(k);
                let signature = ed25519_dalek::Signature::from_slice(signature);
                matches!((key, signature), (Ok(k), Ok(s)) if k.verify(hash, &s).is_ok())
            }
            Key::P256(k) => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(k);
                let signature = p256::ecdsa::Signature::from_der(signature);
                matches!((key, signature), (Ok(k), Ok(s)) if k.verify_prehash(hash, &s).is_ok())
            }
        }
    }
}

/// What a factory programmer needs to know of the image that it writes: version and counter.
pub(super) fn describe(bytes: &[u8]) -> (Version, u32) {
    parse(bytes).map_or((Version::default(), 0), |p| (p.info.version, p.info.counter))
}
