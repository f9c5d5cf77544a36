//! What a client looks at in a server's certificate: each thing for itself, as firmware wants it.
//!
//! | flag of [`Trust`] | what is asked | alert if not |
//! | --- | --- | --- |
//! | `chain` | signatures lead from the leaf to the maker's CA | unknown_ca |
//! | `authority` | each certificate in between is a CA and may sign | bad_certificate |
//! | `time` | all of them are valid now, by the clock of this machine | certificate_expired |
//! | `usage` | the leaf is for servers, or for everything | unsupported_certificate |
//! | `alternative_name` | the leaf has a name or address in subjectAltName | bad_certificate |
//! | `name` | one of them is the host's; without any, the subject's common name | bad_certificate |
//! | `strength` | no signature with SHA-1, no RSA key below 2048 bits | bad_certificate |
//!
//! That the server has the key to its leaf is looked at always. Revocation and name constraints are not.

use super::signature;
use proofbench_emulator::net::Trust;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved, SignatureScheme};
use std::net::IpAddr;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use x509_parser::public_key::PublicKey;

/// Longest chain, CA not counted.
const CHAIN_MOST: usize = 6;
/// Most certificates that are looked at for the next one.
const SENT_MOST: usize = 16;
/// Least bits of an RSA key.
const RSA_LEAST: usize = 2048;

/// A client's eyes.
#[derive(Debug)]
pub struct Verifier {
    trust: Trust,
    anchor: Option<CertificateDer<'static>>,
}

impl Verifier {
    /// Looks at what `trust` says, with this CA as the maker's; without one, no chain ends anywhere.
    pub fn new(trust: Trust, anchor: Option<CertificateDer<'static>>) -> Self {
        Self { trust, anchor }
    }

    fn look(&self, leaf: &[u8], sent: &[CertificateDer<'_>], host: &ServerName<'_>, now: i64) -> Result<(), CertificateError> {
        let trust = self.trust;
        let leaf = read(leaf).ok_or(CertificateError::BadEncoding)?;
        let sent: Vec<X509Certificate<'_>> = sent.iter().take(SENT_MOST).filter_map(|der| read(der)).collect();
        let anchor = self.anchor.as_ref().and_then(|der| read(der));
        let (path, anchored) = path(&leaf, &sent, anchor.as_ref());
        if trust.chain && !anchored {
            return Err(CertificateError::UnknownIssuer);
        }
        if trust.authority && !path[1..].iter().all(|c| may_sign(c)) {
            return Err(CertificateError::BadEncoding);
        }
        if trust.time {
            if path.iter().any(|c| c.validity().not_after.timestamp() < now) {
                return Err(CertificateError::Expired);
            }
            if path.iter().any(|c| c.validity().not_before.timestamp() > now) {
                return Err(CertificateError::NotValidYet);
            }
        }
        if trust.usage && !for_servers(&leaf) {
            return Err(CertificateError::InvalidPurpose);
        }
        let (alternative, named) = names(&leaf, host);
        if trust.alternative_name && !alternative || trust.name && !named {
            return Err(CertificateError::NotValidForName);
        }
        if trust.strength && path.iter().any(|c| is_weak(c)) {
            // The alert is bad_certificate, whatever the library calls it.
            return Err(CertificateError::BadEncoding);
        }
        Ok(())
    }

    fn signed(&self, message: &[u8], leaf: &CertificateDer<'_>, signed: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        if !self.supported_verify_schemes().contains(&signed.scheme) {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        let leaf = read(leaf).ok_or(CertificateError::BadEncoding)?;
        if signature::holds(leaf.public_key(), signed.scheme, message, signed.signature()) {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(CertificateError::BadSignature.into())
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        Ok(self.look(leaf, sent, host, now).map(|()| ServerCertVerified::assertion())?)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        use SignatureScheme as S;
        if matches!(signed.scheme, S::RSA_PKCS1_SHA1 | S::RSA_PKCS1_SHA256 | S::RSA_PKCS1_SHA384 | S::RSA_PKCS1_SHA512) {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        self.signed(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = ring::default_provider().signature_verification_algorithms.supported_schemes();
        if !self.trust.strength {
            schemes.push(SignatureScheme::RSA_PKCS1_SHA1);
        }
        schemes
    }
}

fn read(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der).ok().filter(|(rest, _)| rest.is_empty()).map(|(_, certificate)| certificate)
}

/// From the leaf as far as signatures lead, and whether that is to the maker's CA.
fn path<'a, 'b>(
    leaf: &'b X509Certificate<'a>,
    sent: &'b [X509Certificate<'a>],
    anchor: Option<&X509Certificate<'_>>,
) -> (Vec<&'b X509Certificate<'a>>, bool) {
    let mut path = vec![leaf];
    for _ in 0..CHAIN_MOST {
        let Some(&last) = path.last() else { break };
        if anchor.is_some_and(|ca| signs(ca, last)) {
            return (path, true);
        }
        match sent.iter().find(|c| signs(c, last) && !path.iter().any(|p| p.as_raw() == c.as_raw())) {
            Some(next) => path.push(next),
            None => break,
        }
    }
    (path, false)
}

fn signs(issuer: &X509Certificate<'_>, certificate: &X509Certificate<'_>) -> bool {
    let named = issuer.subject().as_raw() == certificate.issuer().as_raw();
    let scheme = signature::scheme(&certificate.signature_algorithm).filter(|_| named);
    let bytes: &[u8] = certificate.tbs_certificate.as_ref();
    scheme.is_some_and(|s| signature::holds(issuer.public_key(), s, bytes, &certificate.signature_value.data))
}

fn may_sign(certificate: &X509Certificate<'_>) -> bool {
    let usage = certificate.key_usage().map(|u| u.is_none_or(|u| u.value.key_cert_sign()));
    certificate.is_ca() && usage.unwrap_or(false)
}

fn for_servers(leaf: &X509Certificate<'_>) -> bool {
    leaf.extended_key_usage().is_ok_and(|u| u.is_none_or(|u| u.value.any || u.value.server_auth))
}

/// Whether there is a name in its place at all, and whether the host's is among those that count.
fn names(leaf: &X509Certificate<'_>, host: &ServerName<'_>) -> (bool, bool) {
    let extension = leaf.subject_alternative_name().ok().flatten();
    let names = extension.map(|e| e.value.general_names.as_slice()).unwrap_or_default();
    let alternative = names.iter().any(|n| matches!(n, GeneralName::DNSName(_) | GeneralName::IPAddress(_)));
    let named = match host {
        ServerName::IpAddress(address) => {
            let octets = match IpAddr::from(*address) {
                IpAddr::V4(v4) => v4.octets().to_vec(),
                IpAddr::V6(v6) => v6.octets().to_vec(),
            };
            names.iter().any(|n| matches!(n, GeneralName::IPAddress(a) if **a == octets))
        }
        ServerName::DnsName(host) if alternative => {
            names.iter().any(|n| matches!(n, GeneralName::DNSName(pattern) if matches(pattern, host.as_ref())))
        }
        ServerName::DnsName(host) => leaf.subject().iter_common_name().any(|cn| cn.as_str().is_ok_and(|pattern| matches(pattern, host.as_ref()))),
        _ => false,
    };
    (alternative, named)
}

/// Letters' case does not count; a star is one whole label, the first (RFC 9525, 6.3).
fn matches(pattern: &str, host: &str) -> bool {
    match (pattern.strip_prefix("*."), host.split_once('.')) {
        (Some(domain), Some((_, rest))) => domain.contains('.') && domain.eq_ignore_ascii_case(rest),
        (Some(_), None) => false,
        (None, _) => pattern.eq_ignore_ascii_case(host),
    }
}

fn is_weak(certificate: &X509Certificate<'_>) -> bool {
    let short = match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => key.key_size() < RSA_LEAST,
        Ok(_) => false,
        Err(_) => true,
    };
    short || signature::scheme(&certificate.signature_algorithm).is_none_or(|s| s == SignatureScheme::RSA_PKCS1_SHA1)
}
