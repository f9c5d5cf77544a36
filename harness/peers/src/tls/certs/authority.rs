//! The CA of the lab, and what else it takes to make bad certificates: a stranger of the same name, and keys that are slow to make.

use super::rsa_key::RsaKey;
use super::{CertError, DAY, Flaw, Identity, make, sane};
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// A CA that makes certificates for any host, good and bad.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
    stranger: (Issuer<'static, KeyPair>, CertificateDer<'static>),
    /// Made when they are first needed: they take seconds, and guard nothing.
    weak: Mutex<Option<RsaKey>>,
    sha1: Mutex<Option<RsaKey>>,
}

impl Authority {
    /// A new CA, valid for ten years from a year ago on.
    pub fn new(now: SystemTime) -> Result<Self, CertError> {
        sane(now)?;
        let name = common_name("proofbench lab CA");
        let (issuer, certificate, pem) = own(name.clone(), now)?;
        Self::with(issuer, certificate, pem, name, now)
    }

    /// The CA that the laboratory gives, certificate and private key (PKCS #8) in PEM: for devices on which it is installed already.
    pub fn from_pem(certificate: &str, key: &str, now: SystemTime) -> Result<Self, CertError> {
        sane(now)?;
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|_| CertError::Authority)?;
        let name = subject(&der).ok_or(CertError::Authority)?;
        let issuer = Issuer::from_ca_cert_der(&der, KeyPair::from_pem(key)?)?;
        Self::with(issuer, der, certificate.to_owned(), name, now)
    }

    fn with(
        issuer: Issuer<'static, KeyPair>,
        certificate: CertificateDer<'static>,
        pem: String,
        name: DistinguishedName,
        now: SystemTime,
    ) -> Result<Self, CertError> {
        // Of the same name: who looks at names alone takes it for the CA.
        let (other, other_certificate, _) = own(name, now)?;
        Ok(Self { issuer, certificate, pem, stranger: (other, other_certificate), weak: Mutex::default(), sha1: Mutex::default() })
    }

    /// The CA's certificate, to be installed on the device.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The CA's certificate in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for this host name or address, with this flaw, as seen at `now` by the device's clock. The first ones that need an RSA key take
    /// seconds.
    pub fn identity(&self, flaw: Flaw, name: &str, now: SystemTime) -> Result<Identity, CertError> {
        make(flaw, name, now, self)
    }

    pub(super) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }

    pub(super) fn stranger(&self) -> (&Issuer<'static, KeyPair>, &CertificateDer<'static>) {
        (&self.stranger.0, &self.stranger.1)
    }

    pub(super) fn weak_key(&self) -> Result<RsaKey, CertError> {
        kept(&self.weak, 1024)
    }

    pub(super) fn sha1_key(&self) -> Result<RsaKey, CertError> {
        kept(&self.sha1, 2048)
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("certificate", &self.pem).finish_non_exhaustive()
    }
}

fn kept(place: &Mutex<Option<RsaKey>>, bits: usize) -> Result<RsaKey, CertError> {
    let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(key) = &*place {
        return Ok(key.clone());
    }
    Ok(place.insert(RsaKey::generate(bits)?).clone())
}

fn own(name: DistinguishedName, now: SystemTime) -> Result<(Issuer<'static, KeyPair>, CertificateDer<'static>, String), CertError> {
    let params = authority_params(name, now)?;
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((Issuer::new(params, key), certificate.der().clone(), certificate.pem()))
}

pub(super) fn common_name(name: &str) -> DistinguishedName {
    let mut all = DistinguishedName::new();
    all.push(DnType::CommonName, name);
    all
}

pub(super) fn authority_params(name: DistinguishedName, now: SystemTime) -> Result<CertificateParams, CertError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = name;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = (now - 365 * DAY).into();
    params.not_after = (now + 3650 * DAY).into();
    Ok(params)
}

/// The subject of a certificate, as far as it is text.
fn subject(certificate: &[u8]) -> Option<DistinguishedName> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let mut name = DistinguishedName::new();
    for attribute in certificate.subject().iter_attributes() {
        let kind: Vec<u64> = attribute.attr_type().iter()?.collect();
        name.push(DnType::from_oid(&kind), attribute.as_str().ok()?);
    }
    Some(name)
}
