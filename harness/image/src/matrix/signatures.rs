//! U03 and U04: no signature, and somebody else's.

use super::Family::{OtherKey, Unsigned};
use super::{Part, Variant, flipped, refused, trailer};
use crate::keys::SigningKey;
use crate::mcuboot::{Image, TLV_MAGIC, kind};
use crate::write::{Seal, seal, with_trailer};
use sha2::{Digest, Sha256};

fn is_signature(kind: u16) -> bool {
    matches!(kind, kind::RSA2048 | kind::ECDSA | kind::ED25519)
}

/// The trailer with each signature replaced; `None` takes it out.
fn with_signature(image: &Image<'_>, replace: impl Fn(u16, &[u8]) -> Option<(u16, Vec<u8>)>) -> Vec<u8> {
    let tlvs: Vec<_> = trailer(image).into_iter().filter_map(|(k, v)| if is_signature(k) { replace(k, &v) } else { Some((k, v)) }).collect();
    with_trailer(image.hashed(), &tlvs)
}

/// Signature removed, emptied, zeroed, of no algorithm.
pub(super) fn unsigned(image: &Image<'_>) -> Vec<Variant> {
    let tampered = flipped(image.hashed(), image.payload().start + image.payload().len() / 2, 5);
    let no_area = {
        let mut b = image.hashed().to_vec();
        b.extend_from_slice(&TLV_MAGIC.to_le_bytes());
        b.extend_from_slice(&4u16.to_le_bytes());
        b
    };
    vec![
        refused("unsigned-stripped", "signature removed", Unsigned, Part::Signature, with_signature(image, |_, _| None)),
        refused("unsigned-hash-only", "signature and key hash removed", Unsigned, Part::Signature, seal(image.hashed(), &Seal::HashOnly)),
        refused(
            "unsigned-tampered",
            "content changed, hash made to fit, signature and key hash removed",
            Unsigned,
            Part::Payload,
            seal(&tampered, &Seal::HashOnly),
        ),
        refused("unsigned-no-tlvs", "empty TLV area", Unsigned, Part::Unprotected, no_area),
        refused("unsigned-no-area", "TLV area cut off", Unsigned, Part::Unprotected, image.hashed().to_vec()),
        refused("unsigned-zeroed", "signature all zero", Unsigned, Part::Signature, with_signature(image, |k, v| Some((k, vec![0; v.len()])))),
        refused("unsigned-ones", "signature all ones", Unsigned, Part::Signature, with_signature(image, |k, v| Some((k, vec![0xff; v.len()])))),
        refused("unsigned-empty", "signature of length zero", Unsigned, Part::Signature, with_signature(image, |k, _| Some((k, Vec::new())))),
        refused(
            "unsigned-short",
            "signature one byte short",
            Unsigned,
            Part::Signature,
            with_signature(image, |k, v| Some((k, v[..v.len().saturating_sub(1)].to_vec()))),
        ),
        refused(
            "unsigned-algorithm-none",
            "signature of algorithm 0",
            Unsigned,
            Part::Signature,
            with_signature(image, |_, v| Some((0, v.to_vec()))),
        ),
        refused(
            "unsigned-algorithm-unknown",
            "signature of an unknown algorithm",
            Unsigned,
            Part::Signature,
            with_signature(image, |_, v| Some((0x2f, v.to_vec()))),
        ),
        refused(
            "unsigned-algorithm-other",
            "signature labelled as another algorithm",
            Unsigned,
            Part::Signature,
            with_signature(image, |k, v| Some((if k == kind::ED25519 { kind::ECDSA } else { kind::ED25519 }, v.to_vec()))),
        ),
    ]
}

/// Signed by the laboratory's own key, in every wrapping that might make a device believe it.
pub(super) fn other_key(image: &Image<'_>) -> Vec<Variant> {
    let other = SigningKey::other();
    let p256 = SigningKey::other_p256();
    let hashed = image.hashed();
    let digest: [u8; 32] = Sha256::digest(hashed).into();
    let tampered = flipped(hashed, image.payload().start + image.payload().len() / 2, 5);
    let tampered_digest: [u8; 32] = Sha256::digest(&tampered).into();
    let hash = (kind::SHA256, digest.to_vec());
    let own_hash = (kind::KEY_HASH, other.public().hash().to_vec());
    let own_key = (kind::PUBLIC_KEY, other.public().to_der());
    let own_signature = (other.public().signature_kind(), other.sign(&digest));
    let maker_hash = image.find(kind::KEY_HASH).map(|t| (kind::KEY_HASH, image.value(t).to_vec()));
    let maker_signature = image.signature().map(|t| (t.kind, image.value(t).to_vec()));
    let mut variants = vec![
        refused("other-key", "signed by another key", OtherKey, Part::Signature, seal(hashed, &Seal::Signed(&other))),
        refused("other-key-tampered", "content changed and signed by another key", OtherKey, Part::Payload, seal(&tampered, &Seal::Signed(&other))),
        refused("other-key-p256", "signed by another key of another algorithm", OtherKey, Part::Signature, seal(hashed, &Seal::Signed(&p256))),
        refused(
            "other-key-no-hash",
            "signed by another key, no key named",
            OtherKey,
            Part::Signature,
            with_trailer(hashed, &[hash.clone(), own_signature.clone()]),
        ),
        refused(
            "own-key-inside",
            "signed by another key, whose public half is in the image",
            OtherKey,
            Part::Signature,
            with_trailer(hashed, &[hash.clone(), own_key.clone(), own_signature.clone()]),
        ),
        refused(
            "own-key-inside-named",
            "signed by another key, whose public half and hash are in the image",
            OtherKey,
            Part::Signature,
            with_trailer(hashed, &[hash.clone(), own_hash.clone(), own_key.clone(), own_signature.clone()]),
        ),
    ];
    if let Some(maker_hash) = maker_hash {
        variants.push(refused(
            "other-key-maker-hash",
            "signed by another key under the maker's key hash",
            OtherKey,
            Part::Signature,
            with_trailer(hashed, &[hash.clone(), maker_hash.clone(), own_signature.clone()]),
        ));
        variants.push(refused(
            "own-key-inside-maker-hash",
            "signed by another key, whose public half is in the image under the maker's key hash",
            OtherKey,
            Part::Signature,
            with_trailer(hashed, &[hash, maker_hash.clone(), own_key, own_signature]),
        ));
        if let Some(maker_signature) = maker_signature {
            let tampered_signature = (other.public().signature_kind(), other.sign(&tampered_digest));
            let tlvs = [(kind::SHA256, tampered_digest.to_vec()), maker_hash, maker_signature, own_hash, tampered_signature];
            variants.push(refused(
                "other-key-second",
                "content changed; the maker's old signature and a good one by another key",
                OtherKey,
                Part::Payload,
                with_trailer(&tampered, &tlvs),
            ));
        }
    }
    variants
}
