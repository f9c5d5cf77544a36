//! Keys that sign images, read from PKCS#8 PEM as `imgtool keygen` writes them.

use crate::mcuboot::kind;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePublicKey as _};
use ed25519_dalek::{Signer as _, Verifier as _};
use p256::ecdsa::signature::hazmat::{PrehashSigner as _, PrehashVerifier as _};
use sha2::{Digest, Sha256};

/// A PEM text that holds no key of a kind that signs images.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("neither an Ed25519 nor a P-256 private key in PKCS#8 PEM (BEGIN PRIVATE KEY); make one with `imgtool keygen`")]
pub struct BadKey;

/// A private key.
#[derive(Clone)]
pub enum SigningKey {
    /// Ed25519: TLV 0x24.
    Ed25519(Box<ed25519_dalek::SigningKey>),
    /// ECDSA P-256: TLV 0x22.
    P256(Box<p256::ecdsa::SigningKey>),
}

/// A public key.
#[derive(Clone)]
pub enum VerifyingKey {
    /// Ed25519.
    Ed25519(Box<ed25519_dalek::VerifyingKey>),
    /// ECDSA P-256.
    P256(Box<p256::ecdsa::VerifyingKey>),
}

impl SigningKey {
    /// Reads a private key.
    pub fn from_pem(pem: &str) -> Result<Self, BadKey> {
        if let Ok(key) = ed25519_dalek::SigningKey::from_pkcs8_pem(pem) {
            return Ok(Self::Ed25519(Box::new(key)));
        }
        p256::ecdsa::SigningKey::from_pkcs8_pem(pem).map(|k| Self::P256(Box::new(k))).map_err(|_| BadKey)
    }

    /// The key that the image matrix signs with and that no device trusts. Fixed, so that every run offers the same bytes; it is public
    /// (`fixtures/keys/other-ed25519.pem`).
    pub fn other() -> Self {
        Self::from_pem(include_str!("../../../fixtures/keys/other-ed25519.pem")).expect("the fixture is a key: a test reads it")
    }

    /// A P-256 key that no device trusts.
    pub fn other_p256() -> Self {
        let key = p256::ecdsa::SigningKey::from_slice(&[0x42; 32]).expect("a scalar below the order of the curve");
        Self::P256(Box::new(key))
    }

    /// Its public half.
    pub fn public(&self) -> VerifyingKey {
        match self {
            Self::Ed25519(k) => VerifyingKey::Ed25519(Box::new(k.verifying_key())),
            Self::P256(k) => VerifyingKey::P256(Box::new(*k.verifying_key())),
        }
    }

    /// Signs the SHA-256 of an image as imgtool does: Ed25519 takes the digest as its message, ECDSA as its hash (deterministic, RFC 6979; DER).
    pub fn sign(&self, digest: &[u8; 32]) -> Vec<u8> {
        match self {
            Self::Ed25519(k) => k.sign(digest).to_bytes().to_vec(),
            Self::P256(k) => {
                let signature: p256::ecdsa::Signature = k.sign_prehash(digest).expect("a 32-byte hash fits the curve");
                signature.to_der().as_bytes().to_vec()
            }
        }
    }
}

impl VerifyingKey {
    /// Type of the TLV that holds this key's signatures.
    pub fn signature_kind(&self) -> u16 {
        match self {
            Self::Ed25519(_) => kind::ED25519,
            Self::P256(_) => kind::ECDSA,
        }
    }

    /// SubjectPublicKeyInfo, DER.
    pub fn to_der(&self) -> Vec<u8> {
        let der = match self {
            Self::Ed25519(k) => k.to_public_key_der().ok().map(|d| d.as_bytes().to_vec()),
            Self::P256(k) => p256::PublicKey::from(k.as_ref()).to_public_key_der().ok().map(|d| d.as_bytes().to_vec()),
        };
        der.expect("a public key of fixed size always encodes")
    }

    /// What the key-hash TLV holds: SHA-256 of [`VerifyingKey::to_der`].
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.to_der()).into()
    }

    /// Whether `signature` over the image digest is this key's.
    pub fn verifies(&self, digest: &[u8; 32], signature: &[u8]) -> bool {
        match self {
            Self::Ed25519(k) => ed25519_dalek::Signature::from_slice(signature).is_ok_and(|s| k.verify(digest, &s).is_ok()),
            Self::P256(k) => p256::ecdsa::Signature::from_der(signature).is_ok_and(|s| k.verify_prehash(digest, &s).is_ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const MAKER: &str = include_str!("../../../fixtures/keys/maker-ed25519.pem");
    const MAKER_P256: &str = include_str!("../../../fixtures/keys/maker-p256.pem");

    #[rstest]
    #[case::ed25519(SigningKey::from_pem(MAKER).unwrap(), 44)]
    #[case::p256(SigningKey::from_pem(MAKER_P256).unwrap(), 91)]
    #[case::other(SigningKey::other(), 44)]
    #[case::other_p256(SigningKey::other_p256(), 91)]
    fn a_signature_verifies_under_its_own_key_and_digest_only(#[case] key: SigningKey, #[case] der_len: usize) {
        let digest = [7; 32];
        let signature = key.sign(&digest);
        assert!(key.public().verifies(&digest, &signature));
        assert!(!key.public().verifies(&[8; 32], &signature));
        assert!(!key.public().verifies(&digest, &signature[1..]));
        let stranger = SigningKey::from_pem(MAKER).unwrap();
        assert_eq!(stranger.public().verifies(&digest, &signature), stranger.public().hash() == key.public().hash());
        assert_eq!(key.public().to_der().len(), der_len);
    }

    #[rstest]
    #[case("")]
    #[case("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")]
    #[case(include_str!("keys.rs"))]
    fn a_text_without_a_key_is_an_error(#[case] pem: &str) {
        assert!(matches!(SigningKey::from_pem(pem), Err(BadKey)));
    }
}
