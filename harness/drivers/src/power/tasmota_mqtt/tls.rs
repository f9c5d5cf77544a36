//! Which brokers are trusted.

use proofbench_channel::{ChannelError, ErrorKind};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// Trusts what the authorities of this PEM file have signed, and nothing else. A file that is not there or holds no certificate is an error.
pub(super) fn trusting(ca: &Path) -> Result<ClientConfig, ChannelError> {
    let doing = || format!("read the certificates in {}", ca.display());
    let failed = |why: String| ChannelError::caused(ErrorKind::Driver, doing(), why);
    let pem = std::fs::read(ca).map_err(|e| failed(e.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|e| failed(format!("it is no PEM file: {e}")))?;
        roots.add(certificate).map_err(|e| failed(format!("a certificate in it cannot be used: {e}")))?;
    }
    if roots.is_empty() {
        return Err(failed("it holds no certificate".to_owned()));
    }
    // Named here, since nobody has named a provider for the whole process.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(config.map_err(|e| failed(e.to_string()))?.with_root_certificates(roots).with_no_client_auth())
}
