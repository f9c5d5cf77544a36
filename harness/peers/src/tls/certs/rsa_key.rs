//! RSA keys that ring does not want: too short to serve with, or signing with SHA-1. They guard nothing.

use super::CertError;
use rcgen::{PKCS_RSA_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey};
use rsa::pkcs1::EncodeRsaPublicKey;
use rsa::rand_core::{TryCryptoRng, TryRng};
use rsa::{Pkcs1v15Sign, PrivateKey, Pss};
use rustls::SignatureScheme;
use rustls::crypto::ring;
use rustls::sign::Signer;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::io;
use std::sync::Arc;

/// `AlgorithmIdentifier` of sha256WithRSAEncryption and of sha1WithRSAEncryption (RFC 8017, A.2.4), which are of one length.
const SHA256_RSA: [u8; 15] = [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00];
const SHA1_RSA: [u8; 15] = [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05, 0x05, 0x00];

/// Chance from the provider that the house has already.
struct Chance;

impl TryRng for Chance {
    type Error = io::Error;

    fn try_next_u32(&mut self) -> Result<u32, io::Error> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes).map(|()| u32::from_ne_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, io::Error> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes).map(|()| u64::from_ne_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), io::Error> {
        ring::default_provider().secure_random.fill(bytes).map_err(|_| io::Error::other("no random bytes"))
    }
}

impl TryCryptoRng for Chance {}

/// An RSA key. Clones are the same key.
#[derive(Debug, Clone)]
pub(super) struct RsaKey {
    pub private: Arc<PrivateKey>,
    public: Vec<u8>,
}

impl RsaKey {
    /// A new key of this length in bits.
    pub fn generate(bits: usize) -> Result<Self, CertError> {
        let private = PrivateKey::new(&mut Chance, bits)?;
        let public = private.to_public_key().to_pkcs1_der().map_err(|_| CertError::Encoding)?.into_vec();
        Ok(Self { private: Arc::new(private), public })
    }
}

impl PublicKeyData for RsaKey {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_RSA_SHA256
    }
}

/// A CA's key that signs with SHA-1. The certificate that comes of it still says SHA-256: see [`Sha1Signer::finish`].
pub(super) struct Sha1Signer(pub RsaKey);

impl Sha1Signer {
    /// The certificate with the algorithm that it is really signed with.
    pub fn finish(certificate: &[u8]) -> Vec<u8> {
        let mut all = certificate.to_vec();
        for at in 0..all.len().saturating_sub(SHA256_RSA.len() - 1) {
            if let Some(part) = all.get_mut(at..at + SHA256_RSA.len())
                && *part == SHA256_RSA
            {
                part.copy_from_slice(&SHA1_RSA);
            }
        }
        all
    }
}

impl PublicKeyData for Sha1Signer {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.0.algorithm()
    }
}

impl SigningKey for Sha1Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let digest = Sha1::digest(Self::finish(message));
        self.0.private.sign(Pkcs1v15Sign::new::<Sha1>(), &digest).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

/// A short key in the hands of a TLS server.
impl rustls::sign::SigningKey for RsaKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = [SignatureScheme::RSA_PSS_SHA256, SignatureScheme::RSA_PKCS1_SHA256].into_iter().find(|s| offered.contains(s))?;
        Some(Box::new(RsaSigner { key: Arc::clone(&self.private), scheme }))
    }

    fn algorithm(&self) -> rustls::SignatureAlgorithm {
        rustls::SignatureAlgorithm::RSA
    }
}

#[derive(Debug)]
struct RsaSigner {
    key: Arc<PrivateKey>,
    scheme: SignatureScheme,
}

impl Signer for RsaSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let digest = Sha256::digest(message);
        let signed = match self.scheme {
            SignatureScheme::RSA_PSS_SHA256 => self.key.sign(Pss::<Sha256>::new(), &digest),
            _ => self.key.sign(Pkcs1v15Sign::new::<Sha256>(), &digest),
        };
        signed.map_err(|e| rustls::Error::General(e.to_string()))
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}
