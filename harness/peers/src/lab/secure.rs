//! TLS without trust: whatever the other side shows is taken, and told.

use crate::tls::hello::ClientHello;
use crate::tls::names;
use proofbench_channel::network::{Hello, Secured};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{AlertDescription, CertificateError, ClientConfig, CommonState, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use sha2::{Digest, Sha256};
use std::io;
use std::sync::Arc;

/// Takes every certificate. That the other side has its key is looked at as far as ring can: a signature that is wrong ends the handshake, one of a kind
/// that ring does not know is taken.
#[derive(Debug)]
pub(super) struct AnyPeer(Arc<CryptoProvider>);

impl Default for AnyPeer {
    fn default() -> Self {
        Self(Arc::new(default_provider()))
    }
}

impl AnyPeer {
    fn schemes(&self) -> Vec<SignatureScheme> {
        let mut all = self.0.signature_verification_algorithms.supported_schemes();
        // Old devices sign with nothing else; what they negotiate is evidence.
        all.extend([SignatureScheme::RSA_PKCS1_SHA1, SignatureScheme::ECDSA_SHA1_Legacy]);
        all
    }
}

fn unless_wrong(seen: Result<HandshakeSignatureValid, Error>) -> Result<HandshakeSignatureValid, Error> {
    match seen {
        Err(e @ Error::InvalidCertificate(CertificateError::BadSignature)) => Err(e),
        _ => Ok(HandshakeSignatureValid::assertion()),
    }
}

impl ServerCertVerifier for AnyPeer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(&self, m: &[u8], c: &CertificateDer<'_>, s: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        unless_wrong(verify_tls12_signature(m, c, s, &self.0.signature_verification_algorithms))
    }
    fn verify_tls13_signature(&self, m: &[u8], c: &CertificateDer<'_>, s: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        unless_wrong(verify_tls13_signature(m, c, s, &self.0.signature_verification_algorithms))
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl ClientCertVerifier for AnyPeer {
    fn client_auth_mandatory(&self) -> bool {
        false
    }
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }
    fn verify_client_cert(&self, _: &CertificateDer<'_>, _: &[CertificateDer<'_>], _: UnixTime) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }
    fn verify_tls12_signature(&self, m: &[u8], c: &CertificateDer<'_>, s: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        unless_wrong(verify_tls12_signature(m, c, s, &self.0.signature_verification_algorithms))
    }
    fn verify_tls13_signature(&self, m: &[u8], c: &CertificateDer<'_>, s: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        unless_wrong(verify_tls13_signature(m, c, s, &self.0.signature_verification_algorithms))
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

/// How the bench speaks TLS to the device.
pub(super) fn client() -> Result<Arc<ClientConfig>, Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions()?;
    let mut config = builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyPeer::default())).with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// Version and suite of a session whose handshake is done.
pub(super) fn negotiated(session: &CommonState) -> (String, String) {
    let version = session.protocol_version().map_or(0, u16::from);
    let suite = session.negotiated_cipher_suite().map_or(0, |s| s.suite().into());
    (names::version(version), names::suite(suite))
}

/// The other side's name in its certificate and the SHA-256 of its public key (SubjectPublicKeyInfo), hex.
pub(super) fn owner(session: &CommonState) -> Option<(String, String)> {
    let certificate = session.peer_certificates()?.first()?;
    Some(match x509_parser::parse_x509_certificate(certificate) {
        Ok((_, certificate)) => {
            let subject = certificate.subject();
            let name = subject.iter_common_name().next().and_then(|n| n.as_str().ok()).map_or_else(|| subject.to_string(), str::to_owned);
            (name.chars().take(256).collect(), hex(certificate.public_key().raw))
        }
        // No key can be told apart from what cannot be read: the whole certificate stands for it.
        Err(_) => ("unreadable".to_owned(), hex(certificate)),
    })
}

pub(super) fn secured(session: &CommonState) -> Secured {
    let (version, suite) = negotiated(session);
    let (subject, key) = owner(session).unwrap_or_default();
    Secured { version, suite, key, subject }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// What a device offers, as a check weighs it: without GREASE and without the two signals that stand among the suites.
pub(super) fn hello(read: &ClientHello) -> Hello {
    let mut versions: Vec<u16> = read.offered_versions().iter().copied().filter(|v| !names::is_grease(*v)).collect();
    versions.sort_unstable();
    let signal = |v: u16| names::is_grease(v) || v == names::RENEGOTIATION_SCSV || v == names::FALLBACK_SCSV;
    Hello {
        versions: versions.into_iter().map(names::version).collect(),
        suites: read.suites.iter().copied().filter(|s| !signal(*s)).map(names::suite).collect(),
        name: name(read),
    }
}

/// The server name that is asked for.
pub(super) fn name(read: &ClientHello) -> Option<String> {
    read.server_name.as_ref().map(|n| String::from_utf8_lossy(n).into_owned())
}

/// The alert by which the other side ended it, if it did.
pub(super) fn alert(e: &io::Error) -> Option<String> {
    match e.get_ref()?.downcast_ref::<Error>()? {
        Error::AlertReceived(AlertDescription::CloseNotify) => None,
        Error::AlertReceived(description) => Some(names::alert((*description).into())),
        _ => None,
    }
}

/// Whether it failed before the certificate was shown: nothing in common.
pub(super) fn is_too_early(e: &io::Error) -> bool {
    let library = e.get_ref().and_then(|e| e.downcast_ref::<Error>());
    matches!(library, Some(Error::PeerIncompatible(_) | Error::NoCertificatesPresented | Error::InvalidMessage(_)))
}
