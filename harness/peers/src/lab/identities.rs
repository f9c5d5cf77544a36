//! The certificates that the lab's services show, made when they are first asked for.

use super::secure::AnyPeer;
use super::wiretap::Wiretap;
use crate::tls::certs::{Authority, CertError, Flaw};
use proofbench_channel::network::Certificate;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Certificates that are kept; the device chooses the names of a service for all names.
const KEPT_MOST: usize = 1000;
/// A certificate is made anew when the bench's clock has gone on, or back, by more than this: its dates are of the time at which it was made.
const FRESH: Duration = Duration::from_secs(24 * 3600);

type Made = BTreeMap<(Certificate, String), (SystemTime, Arc<ServerConfig>)>;

pub(super) struct Identities {
    pub(super) authority: Authority,
    made: Mutex<Made>,
    keys: Arc<Wiretap>,
}

impl Identities {
    pub(super) fn new(authority: Authority, keys: Arc<Wiretap>) -> Self {
        Self { authority, made: Mutex::default(), keys }
    }

    /// How a service of this host shows this certificate. The first one of some kinds takes seconds.
    pub(super) fn config(&self, certificate: Certificate, host: &str, now: SystemTime) -> Result<Arc<ServerConfig>, CertError> {
        let key = (certificate, host.to_owned());
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, config)) = made.get(&key) {
            let gone = now.duration_since(*at).unwrap_or_else(|e| e.duration());
            if gone < FRESH {
                return Ok(Arc::clone(config));
            }
        }
        let identity = self.authority.identity(flaw(certificate), host, now)?;
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions()?;
        let builder = builder.with_client_cert_verifier(Arc::new(AnyPeer::default()));
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified()?)));
        // A device that resumes does not look at the certificate again.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.key_log = Arc::clone(&self.keys) as _;
        let config = Arc::new(config);
        if made.len() >= KEPT_MOST {
            made.clear();
        }
        made.insert(key, (now, Arc::clone(&config)));
        Ok(config)
    }
}

fn flaw(certificate: Certificate) -> Flaw {
    match certificate {
        Certificate::Good => Flaw::None,
        Certificate::SelfSigned => Flaw::SelfSigned,
        Certificate::UnknownCa => Flaw::UnknownCa,
        Certificate::WrongName => Flaw::WrongName,
        Certificate::Expired => Flaw::Expired,
        Certificate::NotYetValid => Flaw::NotYetValid,
        Certificate::LeafAsCa => Flaw::LeafAsCa,
        Certificate::WrongUsage => Flaw::WrongUsage,
        Certificate::WeakKey => Flaw::WeakKey,
        Certificate::Sha1 => Flaw::Sha1,
        Certificate::NameOnlyInCn => Flaw::NameOnlyInCn,
    }
}
