//! TLS of the module, on both sides, as firmware wants it.

pub mod identity;
pub mod old;
pub mod signature;
pub mod terms;
pub mod verify;

use identity::{IdentityError, identity};
use proofbench_emulator::net::{ClientTls, ServerTls};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, ClientConnection, ServerConfig};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use verify::Verifier;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Nothing of what is offered can be done.
    #[error("find a version and a suite that this program can do")]
    Terms,
    /// The unit's certificate.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The library refuses its settings.
    #[error("set up TLS")]
    Settings(#[from] rustls::Error),
    /// Neither a name nor an address.
    #[error("take {0:?} for the name of a host")]
    Name(String),
    /// The maker's CA cannot be read.
    #[error("read the maker's CA from {0}")]
    Trust(String, #[source] rustls::pki_types::pem::Error),
}

/// The maker's CA. A file that is not there is none.
pub fn anchor(file: &Path) -> Result<Option<CertificateDer<'static>>, TlsError> {
    match CertificateDer::from_pem_file(file) {
        Ok(ca) => Ok(Some(ca)),
        Err(rustls::pki_types::pem::Error::Io(e)) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(TlsError::Trust(file.display().to_string(), e)),
    }
}

/// A port's side. Sessions are not resumed: a module forgets them with every restart, and nobody is to rely on one.
pub fn server(tls: &ServerTls) -> Result<Arc<ServerConfig>, TlsError> {
    let (provider, versions) = terms::usable(&tls.terms).ok_or(TlsError::Terms)?;
    let (certificate, key) = identity(&tls.subject, &tls.key)?;
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&versions)?;
    let mut config = builder.with_no_client_auth().with_single_cert(vec![certificate], key)?;
    // The unit has an order of its own.
    config.ignore_client_order = true;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// A client's side. Every handshake looks at the certificate: nothing is resumed.
pub fn client(tls: &ClientTls, host: &str, anchor: Option<CertificateDer<'static>>) -> Result<ClientConnection, TlsError> {
    let (provider, versions) = terms::usable(&tls.terms).ok_or(TlsError::Terms)?;
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&versions)?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Verifier::new(tls.trust, anchor)));
    let mut config = match &tls.identity {
        Some((subject, seed)) => {
            let (certificate, key) = identity(subject, seed)?;
            builder.with_client_auth_cert(vec![certificate], key)?
        }
        None => builder.with_no_client_auth(),
    };
    config.enable_sni = tls.named;
    config.resumption = Resumption::disabled();
    let name = ServerName::try_from(host.to_owned()).map_err(|_| TlsError::Name(host.to_owned()))?;
    Ok(ClientConnection::new(Arc::new(config), name)?)
}
