//! Signatures on certificates and handshakes: the provider's, and those of short RSA keys and of SHA-1 that only a lax device takes.

use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::{Pkcs1v15Sign, Pss, PublicKey};
use rustls::SignatureScheme;
use rustls::crypto::ring;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_parser::oid_registry::{
    OID_PKCS1_SHA1WITHRSA, OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA256,
    OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ED25519,
};
use x509_parser::prelude::{AlgorithmIdentifier, SubjectPublicKeyInfo};

/// The scheme of a certificate's signature. On certificates, RSA means PKCS #1 v1.5 here.
pub fn scheme(algorithm: &AlgorithmIdentifier<'_>) -> Option<SignatureScheme> {
    let known = [
        (OID_SIG_ECDSA_WITH_SHA256, SignatureScheme::ECDSA_NISTP256_SHA256),
        (OID_SIG_ECDSA_WITH_SHA384, SignatureScheme::ECDSA_NISTP384_SHA384),
        (OID_SIG_ED25519, SignatureScheme::ED25519),
        (OID_PKCS1_SHA256WITHRSA, SignatureScheme::RSA_PKCS1_SHA256),
        (OID_PKCS1_SHA384WITHRSA, SignatureScheme::RSA_PKCS1_SHA384),
        (OID_PKCS1_SHA512WITHRSA, SignatureScheme::RSA_PKCS1_SHA512),
        (OID_PKCS1_SHA1WITHRSA, SignatureScheme::RSA_PKCS1_SHA1),
    ];
    known.into_iter().find(|(oid, _)| *oid == algorithm.algorithm).map(|(_, scheme)| scheme)
}

/// Whether this key made this signature, however weak both are.
pub fn holds(key: &SubjectPublicKeyInfo<'_>, scheme: SignatureScheme, message: &[u8], signature: &[u8]) -> bool {
    let bits: &[u8] = &key.subject_public_key.data;
    let known = ring::default_provider().signature_verification_algorithms.mapping;
    let strong = known.iter().filter(|(s, _)| *s == scheme).flat_map(|(_, algorithms)| algorithms.iter());
    strong.into_iter().any(|a| a.verify_signature(bits, message, signature).is_ok()) || holds_weakly(bits, scheme, message, signature)
}

fn holds_weakly(bits: &[u8], scheme: SignatureScheme, message: &[u8], signature: &[u8]) -> bool {
    let Ok(key) = PublicKey::from_pkcs1_der(bits) else { return false };
    match scheme {
        SignatureScheme::RSA_PKCS1_SHA1 => key.verify(Pkcs1v15Sign::new::<Sha1>(), &Sha1::digest(message), signature),
        SignatureScheme::RSA_PKCS1_SHA256 => key.verify(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message), signature),
        SignatureScheme::RSA_PKCS1_SHA384 => key.verify(Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(message), signature),
        SignatureScheme::RSA_PKCS1_SHA512 => key.verify(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(message), signature),
        SignatureScheme::RSA_PSS_SHA256 => key.verify(Pss::<Sha256>::new(), &Sha256::digest(message), signature),
        SignatureScheme::RSA_PSS_SHA384 => key.verify(Pss::<Sha384>::new(), &Sha384::digest(message), signature),
        SignatureScheme::RSA_PSS_SHA512 => key.verify(Pss::<Sha512>::new(), &Sha512::digest(message), signature),
        _ => return false,
    }
    .is_ok()
}
