//! TLS, with and without client certificates.

use super::bench::{Bench, content, failed};
use proofbench_peers::mqtt::Access;
use proofbench_testkit::find;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// An authority, a server of it, a device of it, and a device that made its own certificate.
struct Certificates {
    folder: TempDir,
    server: (CertificateDer<'static>, PrivateKeyDer<'static>),
    root: CertificateDer<'static>,
    device: CertificateDer<'static>,
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Certificates {
    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        let authority = KeyPair::generate().unwrap();
        let mut params = named("authority of the lab");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&authority).unwrap();
        write("root.pem", root.pem());
        let issuer = Issuer::new(params, authority);
        let key = KeyPair::generate().unwrap();
        let mut params = named("broker of the lab");
        params.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into())];
        let server = params.signed_by(&key, &issuer).unwrap();
        let server = (server.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap());
        let key = KeyPair::generate().unwrap();
        let device = named("lamp \n7").signed_by(&key, &issuer).unwrap();
        write("device.pem", device.pem());
        write("device.key", key.serialize_pem());
        let key = KeyPair::generate().unwrap();
        write("own.pem", named("lamp 7").self_signed(&key).unwrap().pem());
        write("own.key", key.serialize_pem());
        Self { folder, server, root: root.der().clone(), device: device.der().clone() }
    }

    /// A server that asks for client certificates and takes those of the authority, and none.
    fn config(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).allow_unauthenticated().build().unwrap();
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let (certificate, key) = (self.server.0.clone(), self.server.1.clone_key());
        Arc::new(builder.with_client_cert_verifier(verifier).with_single_cert(vec![certificate], key).unwrap())
    }

    fn path(&self, name: &str) -> String {
        Path::new(self.folder.path()).join(name).to_str().unwrap().to_owned()
    }

    fn args(&self, client: Option<&str>) -> Vec<String> {
        let mut args = vec!["--cafile".to_owned(), self.path("root.pem")];
        if let Some(client) = client {
            args.extend(["--cert".to_owned(), self.path(&format!("{client}.pem")), "--key".to_owned(), self.path(&format!("{client}.key"))]);
        }
        args
    }
}

fn run(bench: &Bench, program: &str, certificates: &Certificates, client: Option<&str>, more: &[&str]) -> Option<proofbench_testkit::Peer> {
    let args = certificates.args(client);
    let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
    bench.mosquitto(program, &args)
}

#[test]
fn a_device_with_a_certificate_comes_in_and_the_certificate_is_told() {
    let certificates = Certificates::make();
    let bench = Bench::with(|s| (s.tls, s.access) = (Some(certificates.config()), Access::Certificate));
    let Some(sub) = run(&bench, "mosquitto_sub", &certificates, Some("device"), &["-t", "lab/#", "-q", "1", "-C", "1"]) else { return };
    bench.sees("sent SUBACK");
    content(run(&bench, "mosquitto_pub", &certificates, Some("device"), &["-t", "lab/a", "-q", "1", "-m", "hello"]).unwrap());
    assert_eq!(content(sub), ["hello"]);
    let seen = bench.sees("client certificate with SHA-256 ");
    assert_eq!(seen.bytes, certificates.device.as_ref());
    assert!(seen.what.contains("TLSv1_3 TLS13_AES_256_GCM_SHA384") && seen.what.contains(r#"subject "CN=lamp \n7""#), "{}", seen.what);
    let pem = certificates.path("device.pem");
    if let Some(openssl) = find("openssl") {
        let said = std::process::Command::new(openssl).args(["x509", "-in", &pem, "-noout", "-fingerprint", "-sha256"]).output().unwrap();
        let print = String::from_utf8(said.stdout).unwrap().trim().rsplit('=').next().unwrap().replace(':', "").to_lowercase();
        assert!(print.len() == 64 && seen.what.contains(&print), "{print}: {}", seen.what);
    }
}

#[test]
fn a_device_without_a_certificate_is_refused_where_one_is_the_account() {
    let certificates = Certificates::make();
    let bench = Bench::with(|s| (s.tls, s.access) = (Some(certificates.config()), Access::Certificate));
    let Some(publish) = run(&bench, "mosquitto_pub", &certificates, None, &["-t", "a", "-m", "x"]) else { return };
    let (exit, said) = failed(publish);
    assert!(exit == 5 && said.contains("not authorised"), "{exit}: {said}");
    bench.sees("no client certificate");
    bench.sees("sent CONNACK 5");
}

#[test]
fn a_certificate_of_another_authority_ends_the_handshake() {
    let certificates = Certificates::make();
    let bench = Bench::with(|s| s.tls = Some(certificates.config()));
    let Some(publish) = run(&bench, "mosquitto_pub", &certificates, Some("own"), &["-t", "a", "-m", "x"]) else { return };
    failed(publish);
    bench.sees("TLS handshake failed: \"invalid peer certificate");
    assert!(!bench.told().contains("CONNECT"));
}

#[test]
fn without_tls_nobody_has_a_certificate_and_without_tls_nobody_reaches_tls() {
    let bench = Bench::with(|s| s.access = Access::Certificate);
    let mut client = bench.client();
    client.connect("lamp", |_| {});
    assert_eq!(client.packet(), b"\x20\x02\x00\x05");
    let certificates = Certificates::make();
    let bench = Bench::with(|s| s.tls = Some(certificates.config()));
    let mut client = bench.client();
    client.connect("lamp", |_| {});
    client.end();
    bench.sees("TLS handshake failed");
}
