//! The certificate matrix: one certificate that a device should accept, and others that differ from it in one thing and that it should refuse.
//!
//! Keys are made anew for each authority and guard nothing, unless the laboratory gives the CA itself ([`Authority::from_pem`]). The CA is to be installed
//! on the device as its only trust anchor; the control shows that it is. One authority makes matrices for any number of hosts.
//!
//! | flaw | what is served |
//! | --- | --- |
//! | none | the control: P-256 leaf with the name, signed by the CA |
//! | self-signed | a leaf signed by itself |
//! | unknown CA | signed by a CA of the same name that the device does not know, which is sent along |
//! | wrong name | signed by the CA, for `other.invalid` |
//! | expired, not yet valid | valid until 30 days ago, from 30 days hence on |
//! | leaf as CA | signed by a leaf of the CA, which is sent along and is no CA |
//! | wrong usage | extended key usage clientAuth alone |
//! | weak key | RSA 1024 |
//! | SHA-1 | signed with SHA-1 by an intermediate CA (RSA 2048), which is sent along |
//! | name only in CN | no subjectAltName, the name stands in the subject |
//!
//! A device without a clock cannot tell the two of time; whether it has one is for the caller to know. Some stacks still take the name from the subject
//! when there is no other (OpenSSL does by default); RFC 9525 no longer allows it.
//!
//! Run against: Debian's OpenSSL 3.0 (`openssl verify`; `openssl s_client` and curl 7.88.1 by way of the server), rustls 0.23 for the name in CN.

mod authority;
mod rsa_key;

pub use authority::Authority;

use authority::{authority_params, common_name};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rsa_key::{RsaKey, Sha1Signer};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Clocks that show more than this since 1970 are wrong; certificates of all years below can be written.
const CLOCK_MOST: Duration = Duration::from_secs(400 * 365 * 24 * 3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// A name that nobody can have (RFC 6761).
const OTHER_NAME: &str = "other.invalid";

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CertError {
    /// The name is no host name and no address, or signing failed.
    #[error("make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// An RSA key could not be made.
    #[error("make an RSA key")]
    Rsa(#[from] rsa::Error),
    /// A key could not be used for serving.
    #[error("take a key for serving")]
    Serving(#[from] rustls::Error),
    /// The given CA is no certificate, or its subject cannot be read.
    #[error("read the CA's certificate")]
    Authority,
    /// A key could not be encoded.
    #[error("encode a key")]
    Encoding,
    /// The clock of the bench is not between 1970 and 2370.
    #[error("take {0:?} for the present time: set the clock")]
    Clock(SystemTime),
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Flaw {
    /// Nothing: the control.
    None,
    /// Signed by itself.
    SelfSigned,
    /// Signed by a CA that is not trusted.
    UnknownCa,
    /// For another host.
    WrongName,
    /// No longer valid.
    Expired,
    /// Not valid yet.
    NotYetValid,
    /// Signed by a certificate that is no CA.
    LeafAsCa,
    /// Not for servers.
    WrongUsage,
    /// RSA with 1024 bits.
    WeakKey,
    /// Signed with SHA-1.
    Sha1,
    /// The host name stands in the subject only.
    NameOnlyInCn,
}

impl Flaw {
    /// All of them, the control first.
    pub const ALL: [Self; 11] = [
        Self::None,
        Self::SelfSigned,
        Self::UnknownCa,
        Self::WrongName,
        Self::Expired,
        Self::NotYetValid,
        Self::LeafAsCa,
        Self::WrongUsage,
        Self::WeakKey,
        Self::Sha1,
        Self::NameOnlyInCn,
    ];

    /// Short name, for files and reports.
    pub fn id(self) -> &'static str {
        match self {
            Self::None => "control",
            Self::SelfSigned => "self-signed",
            Self::UnknownCa => "unknown-ca",
            Self::WrongName => "wrong-name",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::LeafAsCa => "leaf-as-ca",
            Self::WrongUsage => "wrong-usage",
            Self::WeakKey => "weak-key",
            Self::Sha1 => "sha1",
            Self::NameOnlyInCn => "name-only-in-cn",
        }
    }

    /// One line for people: why a device should refuse it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::None => "valid: it is to be accepted",
            Self::SelfSigned => "anybody can sign a certificate by itself",
            Self::UnknownCa => "its CA is none that the device trusts, and sending it along changes nothing",
            Self::WrongName => "it belongs to another host",
            Self::Expired => "it is no longer valid",
            Self::NotYetValid => "it is not valid yet",
            Self::LeafAsCa => "the certificate that signed it is no CA's (basicConstraints)",
            Self::WrongUsage => "it is for clients, not for servers (extendedKeyUsage)",
            Self::WeakKey => "RSA with 1024 bits can be broken",
            Self::Sha1 => "signatures with SHA-1 can be forged",
            Self::NameOnlyInCn => "a name in the subject is no host name any more (RFC 9525)",
        }
    }
}

/// A certificate to serve: its chain and its key.
#[derive(Clone)]
pub struct Identity {
    /// What is wrong with it.
    pub flaw: Flaw,
    /// The leaf and what is sent along, in the order of sending.
    pub chain: Vec<CertificateDer<'static>>,
    key: Key,
}

#[derive(Clone)]
enum Key {
    Usual(Arc<KeyPair>),
    Short(RsaKey),
}

impl Identity {
    /// The private key, PKCS #8 in DER. It guards nothing.
    pub fn key_der(&self) -> Result<Vec<u8>, CertError> {
        use rsa::pkcs8::EncodePrivateKey;
        match &self.key {
            Key::Usual(pair) => Ok(pair.serialize_der()),
            Key::Short(key) => Ok(key.private.to_pkcs8_der().map_err(|_| CertError::Encoding)?.as_bytes().to_vec()),
        }
    }

    /// Chain and key as rustls serves them.
    pub fn certified(&self) -> Result<CertifiedKey, CertError> {
        let key: Arc<dyn SigningKey> = match &self.key {
            Key::Usual(pair) => any_supported_type(&PrivateKeyDer::Pkcs8(pair.serialize_der().into()))?,
            // The provider takes no key as short as this.
            Key::Short(key) => Arc::new(key.clone()),
        };
        Ok(CertifiedKey::new(self.chain.clone(), key))
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("flaw", &self.flaw).field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

/// A CA and every certificate of the matrix.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// The CA's certificate, DER.
    pub ca: CertificateDer<'static>,
    /// The CA's certificate, PEM, to be installed on the device.
    pub ca_pem: String,
    identities: Vec<Identity>,
}

impl Matrix {
    /// A new CA and certificates for this host name or address, as seen at `now` by the wall clock. Takes some seconds: two RSA keys are made.
    pub fn new(name: &str, now: SystemTime) -> Result<Self, CertError> {
        let root = Authority::new(now)?;
        let identities = Flaw::ALL.into_iter().map(|flaw| root.identity(flaw, name, now)).collect::<Result<_, _>>()?;
        Ok(Self { ca: root.certificate().clone(), ca_pem: root.pem().to_owned(), identities })
    }

    /// The certificate with this flaw.
    pub fn identity(&self, flaw: Flaw) -> Option<&Identity> {
        self.identities.iter().find(|i| i.flaw == flaw)
    }

    /// All certificates, in the order of [`Flaw::ALL`].
    pub fn identities(&self) -> &[Identity] {
        &self.identities
    }
}

/// The clock of the bench is one that can be right.
fn sane(now: SystemTime) -> Result<(), CertError> {
    now.duration_since(SystemTime::UNIX_EPOCH).ok().filter(|d| *d < CLOCK_MOST).map(|_| ()).ok_or(CertError::Clock(now))
}

/// What the control is made from.
fn leaf_params(name: &str, now: SystemTime) -> Result<CertificateParams, CertError> {
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    // Not the host name: what takes it from here would hide a wrong one there.
    params.distinguished_name.push(DnType::CommonName, "proofbench peer");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = (now - 30 * DAY).into();
    params.not_after = (now + 180 * DAY).into();
    Ok(params)
}

fn make(flaw: Flaw, name: &str, now: SystemTime, root: &Authority) -> Result<Identity, CertError> {
    sane(now)?;
    let mut params = leaf_params(name, now)?;
    match flaw {
        Flaw::WrongName => params = leaf_params(OTHER_NAME, now)?,
        Flaw::Expired => {
            params.not_before = (now - 210 * DAY).into();
            params.not_after = (now - 30 * DAY).into();
        }
        Flaw::NotYetValid => {
            params.not_before = (now + 30 * DAY).into();
            params.not_after = (now + 210 * DAY).into();
        }
        Flaw::WrongUsage => params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
        Flaw::NameOnlyInCn => {
            params.subject_alt_names.clear();
            params.distinguished_name.push(DnType::CommonName, name);
        }
        Flaw::None | Flaw::SelfSigned | Flaw::UnknownCa | Flaw::LeafAsCa | Flaw::WeakKey | Flaw::Sha1 => {}
    }
    if flaw == Flaw::WeakKey {
        let key = root.weak_key()?;
        let leaf = params.signed_by(&key, root.issuer())?;
        return Ok(Identity { flaw, chain: vec![leaf.der().clone()], key: Key::Short(key) });
    }
    let key = KeyPair::generate()?;
    let chain = match flaw {
        Flaw::SelfSigned => {
            params.use_authority_key_identifier_extension = false;
            vec![params.self_signed(&key)?.der().clone()]
        }
        Flaw::UnknownCa => {
            let (stranger, certificate) = root.stranger();
            vec![params.signed_by(&key, stranger)?.der().clone(), certificate.clone()]
        }
        Flaw::LeafAsCa => {
            let signer = KeyPair::generate()?;
            let mut between = leaf_params(name, now)?;
            between.distinguished_name.push(DnType::CommonName, "proofbench peer that signs");
            let leaf = params.signed_by(&key, &Issuer::from_params(&between, &signer))?;
            vec![leaf.der().clone(), between.signed_by(&signer, root.issuer())?.der().clone()]
        }
        Flaw::Sha1 => {
            let signer = Sha1Signer(root.sha1_key()?);
            let between = authority_params(common_name("proofbench SHA-1 CA"), now)?;
            let certificate = between.signed_by(&signer, root.issuer())?;
            let leaf = params.signed_by(&key, &Issuer::from_params(&between, &signer))?;
            vec![Sha1Signer::finish(leaf.der()).into(), certificate.der().clone()]
        }
        _ => vec![params.signed_by(&key, root.issuer())?.der().clone()],
    };
    Ok(Identity { flaw, chain, key: Key::Usual(Arc::new(key)) })
}
