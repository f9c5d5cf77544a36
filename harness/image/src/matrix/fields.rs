//! U09: version and security counter that the file claims without the maker's word for it.

use super::Family::Field;
use super::{Part, Variant, refused, rehash};
use crate::mcuboot::{Image, Malformed, PROTECTED_MAGIC, TLV_HEAD, field, kind, version_bytes};
use crate::version::Version;

/// The file with another version in its header, hash made to fit if `fit`: what somebody does who has an old image and wants it back.
pub fn claim_version(bytes: &[u8], version: Version, fit: bool) -> Result<Vec<u8>, Malformed> {
    let image = Image::parse(bytes)?;
    let put = |b: &mut [u8]| b[field::VERSION].copy_from_slice(&version_bytes(version));
    Ok(if fit {
        let mut hashed = image.hashed().to_vec();
        put(&mut hashed);
        rehash(&image, &hashed)
    } else {
        let mut whole = bytes.to_vec();
        put(&mut whole);
        whole
    })
}

/// Header, payload and other protected TLVs: the same content with its protected area written anew.
fn with_protected(image: &Image<'_>, tlvs: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let len = TLV_HEAD + tlvs.iter().map(|(_, v)| TLV_HEAD + v.len()).sum::<usize>();
    let len = if tlvs.is_empty() { 0 } else { u16::try_from(len).unwrap_or(u16::MAX) };
    let mut hashed = image.bytes()[..image.payload().end].to_vec();
    hashed[field::PROTECTED_SIZE].copy_from_slice(&len.to_le_bytes());
    if len > 0 {
        hashed.extend_from_slice(&PROTECTED_MAGIC.to_le_bytes());
        hashed.extend_from_slice(&len.to_le_bytes());
    }
    for (kind, value) in tlvs {
        hashed.extend_from_slice(&kind.to_le_bytes());
        hashed.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
        hashed.extend_from_slice(value);
    }
    rehash(image, &hashed)
}

pub(super) fn fields(image: &Image<'_>) -> Vec<Variant> {
    let own = image.header.version;
    let huge = Version { major: u8::MAX, minor: u8::MAX, revision: u16::MAX, build: u32::MAX };
    let mut variants = Vec::new();
    let mut version = |id, title, v: Version, fit| {
        // The image was parsed already, so claiming another version in it cannot fail; an empty file is no offer and is dropped by `all`.
        let bytes = claim_version(image.bytes(), v, fit).unwrap_or_else(|_| image.bytes().to_vec());
        variants.push(refused(id, title, Field, Part::Header, bytes));
    };
    version("version-huge", "largest possible version in the header", huge, false);
    version("version-huge-rehash", "largest possible version in the header, hash made to fit", huge, true);
    version("version-zero-rehash", "version 0.0.0 in the header, hash made to fit", Version::default(), true);
    version(
        "version-next-rehash",
        "version raised by one in the header, hash made to fit",
        Version { minor: own.minor.saturating_add(1), ..own },
        true,
    );
    version(
        "version-build-rehash",
        "build number raised in the header, hash made to fit",
        Version { build: own.build.saturating_add(1), ..own },
        true,
    );

    let tlvs: Vec<(u16, Vec<u8>)> = image.protected.iter().map(|t| (t.kind, image.value(t).to_vec())).collect();
    let Some(counter) = image.counter() else { return variants };
    let others: Vec<_> = tlvs.iter().filter(|(k, _)| *k != kind::SECURITY_COUNTER).cloned().collect();
    let with = |value: Vec<Vec<u8>>| {
        let mut all: Vec<(u16, Vec<u8>)> = value.into_iter().map(|v| (kind::SECURITY_COUNTER, v)).collect();
        all.extend(others.iter().cloned());
        with_protected(image, &all)
    };
    let le = |c: u32| c.to_le_bytes().to_vec();
    let mut counter_variant = |id, title, bytes| variants.push(refused(id, title, Field, Part::Protected, bytes));
    counter_variant("counter-raised", "security counter raised, hash made to fit", with(vec![le(counter.saturating_add(1))]));
    counter_variant("counter-huge", "largest possible security counter, hash made to fit", with(vec![le(u32::MAX)]));
    counter_variant("counter-removed", "security counter removed, hash made to fit", with(vec![]));
    counter_variant("counter-twice", "two security counters, hash made to fit", with(vec![le(u32::MAX), le(counter)]));
    counter_variant("counter-short", "security counter of one byte, hash made to fit", with(vec![vec![0xff]]));
    variants
}
