//! From what firmware offers or takes of TLS to a provider and versions of rustls.
//!
//! rustls knows neither versions below 1.2 nor suites without forward secrecy or with CBC. What is shown of those all the same stands in [`super::old`].

use super::old;
use proofbench_emulator::net::{TlsTerms, TlsVersion};
use rustls::crypto::{CryptoProvider, ring};
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};
use std::sync::Arc;

/// What of the terms can be done, the newest version first and suites in their order. `None`: nothing.
pub fn usable(terms: &TlsTerms) -> Option<(Arc<CryptoProvider>, Vec<&'static SupportedProtocolVersion>)> {
    let (mut suites, mut versions) = (Vec::new(), Vec::new());
    for (version, names) in terms.iter().rev() {
        let known: Vec<SupportedCipherSuite> = names.iter().filter_map(|name| suite(*version, name)).collect();
        if let Some(first) = known.first() {
            versions.push(if first.tls13().is_some() { &TLS13 } else { &TLS12 });
            suites.extend(known);
        }
    }
    let provider = CryptoProvider { cipher_suites: suites, ..ring::default_provider() };
    (!versions.is_empty()).then(|| (Arc::new(provider), versions))
}

/// Numbers of the suites that can be done, as [`usable`] has them.
pub fn numbers(terms: &TlsTerms) -> Vec<u16> {
    usable(terms).map(|(provider, _)| provider.cipher_suites.iter().map(|s| s.suite().into()).collect()).unwrap_or_default()
}

/// The suite of this version with this IANA name.
fn suite(version: TlsVersion, name: &str) -> Option<SupportedCipherSuite> {
    let new = match version {
        TlsVersion::Tls12 => false,
        TlsVersion::Tls13 => true,
        TlsVersion::Ssl30 | TlsVersion::Tls10 | TlsVersion::Tls11 => return None,
    };
    // The suites of TLS 1.3 bear its number in rustls alone.
    let named = |s: &SupportedCipherSuite| s.suite().as_str().is_some_and(|n| n.replace("TLS13_", "TLS_") == name);
    let known = ring::ALL_CIPHER_SUITES.iter().find(|s| s.tls13().is_some() == new && named(s)).copied();
    known.or_else(|| old::name_only(name).filter(|_| !new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_keeps_its_order_and_the_rest_is_left_out() {
        let terms = vec![
            (TlsVersion::Tls10, vec!["TLS_RSA_WITH_AES_128_CBC_SHA"]),
            (TlsVersion::Tls12, vec!["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "TLS_DHE_RSA_WITH_AES_128_CBC_SHA"]),
            (TlsVersion::Tls13, vec!["TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"]),
        ];
        let (provider, versions) = usable(&terms).unwrap();
        assert_eq!(versions, [&TLS13, &TLS12]);
        let suites: Vec<_> = provider.cipher_suites.iter().filter_map(|s| s.suite().as_str()).collect();
        assert_eq!(suites, ["TLS13_CHACHA20_POLY1305_SHA256", "TLS13_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"]);
        assert!(usable(&terms[..1].to_vec()).is_none());
    }
}
