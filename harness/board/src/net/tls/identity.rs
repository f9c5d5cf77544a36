//! The unit's own certificates: self-signed, P-256, from what firmware makes its keys from; equal seeds are equal certificates, byte for byte.

use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::EncodePrivateKey;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};

/// Why a unit has no certificate.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// No key comes of the seed.
    #[error("make a key")]
    Key,
    /// The certificate cannot be made.
    #[error("make a certificate")]
    Certificate(#[from] rcgen::Error),
}

/// The certificate of this subject and the key to it.
pub fn identity(subject: &str, seed: &[u8; 32]) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), IdentityError> {
    let key = Key::new(seed).ok_or(IdentityError::Key)?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, subject);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    // From before the first unit was made until after the last one is gone.
    params.not_before = rcgen::date_time_ymd(2025, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 12, 31);
    let certificate = params.self_signed(&key)?.der().clone();
    let private = key.signing.to_pkcs8_der().map_err(|_| IdentityError::Key)?;
    Ok((certificate, PrivateKeyDer::Pkcs8(private.as_bytes().to_vec().into())))
}

struct Key {
    signing: SigningKey,
    public: Vec<u8>,
}

impl Key {
    fn new(seed: &[u8; 32]) -> Option<Self> {
        // One digest in four thousand million is no key: then the next is taken.
        let signing = (0..8u8).find_map(|turn| {
            let digest = Sha256::new_with_prefix(b"proofbench network module").chain_update(seed).chain_update([turn]).finalize();
            SigningKey::from_slice(&digest).ok()
        })?;
        let public = signing.verifying_key().to_sec1_point(false).as_bytes().to_vec();
        Some(Self { signing, public })
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }
    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature: DerSignature = self.signing.sign(message);
        Ok(signature.as_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_are_equal_certificates_and_others_are_not() {
        let made = |subject, seed| identity(subject, &[seed; 32]).unwrap().0;
        assert_eq!(made("TH1-1", 1), made("TH1-1", 1));
        assert_ne!(made("TH1-1", 1), made("TH1-1", 2));
        assert_ne!(made("TH1-1", 1), made("TH1-2", 1));
    }
}
