//! The certificate matrix before OpenSSL's verifier, with the flaw looked for and, as a control, not looked for.

use proofbench_peers::tls::certs::{CertError, Flaw, Matrix};
use proofbench_testkit::find;
use rstest::rstest;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{CertificateError, RootCertStore};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

pub const NAME: &str = "device.test";

/// One matrix for all tests: its RSA keys take a while.
pub fn matrix() -> &'static Matrix {
    static MATRIX: OnceLock<Matrix> = OnceLock::new();
    MATRIX.get_or_init(|| Matrix::new(NAME, SystemTime::now()).unwrap())
}

/// What `openssl verify` says of a chain; empty: it is content.
fn verdict(openssl: &Path, flaw: Flaw, options: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let identity = matrix().identity(flaw).unwrap();
    let pem = |der: &[u8], file: &str| {
        let path = folder.path().join(file);
        std::fs::write(path.with_extension("der"), der).unwrap();
        let made = Command::new(openssl).args(["x509", "-inform", "DER", "-in"]).arg(path.with_extension("der")).arg("-out").arg(&path).status();
        assert!(made.unwrap().success());
        path
    };
    std::fs::write(folder.path().join("ca.pem"), &matrix().ca_pem).unwrap();
    let mut command = Command::new(openssl);
    command.args(["verify", "-no-CApath", "-no-CAstore", "-purpose", "sslserver"]).args(options);
    command.arg("-CAfile").arg(folder.path().join("ca.pem"));
    if let Some(between) = identity.chain.get(1) {
        command.arg("-untrusted").arg(pem(between, "between.pem"));
    }
    let said = command.arg(pem(&identity.chain[0], "leaf.pem")).output().unwrap();
    if said.status.success() { String::new() } else { String::from_utf8(said.stderr).unwrap() }
}

#[rstest]
#[case::self_signed(Flaw::SelfSigned, &["error 18 at 0 depth"])]
#[case::unknown_ca(Flaw::UnknownCa, &["error 19 at 1 depth"])]
#[case::wrong_name(Flaw::WrongName, &["error 62 at 0 depth"])]
#[case::expired(Flaw::Expired, &["error 10 at 0 depth"])]
#[case::not_yet_valid(Flaw::NotYetValid, &["error 9 at 0 depth"])]
#[case::leaf_as_ca(Flaw::LeafAsCa, &["error 79 at 1 depth", "error 26 at 1 depth", "error 32 at 1 depth"])]
#[case::wrong_usage(Flaw::WrongUsage, &["error 26 at 0 depth"])]
#[case::weak_key(Flaw::WeakKey, &["error 66 at 0 depth"])]
#[case::sha1(Flaw::Sha1, &["error 68 at 0 depth"])]
fn openssl_refuses_each_bad_one_for_its_own_reason(#[case] flaw: Flaw, #[case] errors: &[&str]) {
    let Some(openssl) = find("openssl") else { return };
    let strict = ["-auth_level", "2", "-verify_hostname", NAME];
    assert_eq!(verdict(&openssl, Flaw::None, &strict), "");
    let said = verdict(&openssl, flaw, &strict);
    let codes: Vec<&str> = said.lines().filter(|l| l.contains(" depth lookup")).filter_map(|l| l.split(" lookup").next()).collect();
    assert_eq!(codes, errors, "{said}");
}

/// Where the verifier can be told to pass over the flaw, nothing else is wrong.
#[rstest]
#[case::wrong_name(Flaw::WrongName, &["-auth_level", "2", "-verify_hostname", "other.invalid"])]
#[case::times(Flaw::Expired, &["-auth_level", "2", "-verify_hostname", NAME, "-no_check_time"])]
#[case::times(Flaw::NotYetValid, &["-auth_level", "2", "-verify_hostname", NAME, "-no_check_time"])]
#[case::wrong_usage(Flaw::WrongUsage, &["-auth_level", "2", "-verify_hostname", NAME, "-purpose", "sslclient"])]
#[case::weak_key(Flaw::WeakKey, &["-auth_level", "1", "-verify_hostname", NAME])]
#[case::sha1(Flaw::Sha1, &["-auth_level", "0", "-verify_hostname", NAME])]
#[case::name_in_the_subject_as_openssl_still_reads_it(Flaw::NameOnlyInCn, &["-auth_level", "2", "-verify_hostname", NAME])]
fn a_bad_one_has_no_other_flaw(#[case] flaw: Flaw, #[case] lenient: &[&str]) {
    let Some(openssl) = find("openssl") else { return };
    assert_eq!(verdict(&openssl, flaw, lenient), "");
}

#[test]
fn every_flaw_has_its_certificate_its_key_and_its_reason() {
    let all = matrix().identities();
    assert_eq!(all.iter().map(|i| i.flaw).collect::<Vec<_>>(), Flaw::ALL);
    for identity in all {
        assert!(!identity.flaw.reason().is_empty() && !identity.chain.is_empty());
        assert!(!identity.key_der().unwrap().is_empty());
        identity.certified().unwrap();
    }
}

/// OpenSSL takes a name from the subject; webpki, as RFC 9525 has it, does not.
#[test]
fn a_name_only_in_the_subject_is_refused_by_webpki_and_the_control_is_not() {
    let mut roots = RootCertStore::empty();
    roots.add(matrix().ca.clone()).unwrap();
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider())).build().unwrap();
    let verdict = |flaw| {
        let chain = &matrix().identity(flaw).unwrap().chain;
        verifier.verify_server_cert(&chain[0], &chain[1..], &ServerName::try_from(NAME).unwrap(), &[], UnixTime::now())
    };
    verdict(Flaw::None).unwrap();
    let e = verdict(Flaw::NameOnlyInCn).unwrap_err();
    assert!(matches!(e, rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })), "{e:?}");
}

#[test]
fn a_clock_that_cannot_be_right_makes_no_certificates() {
    let (past, future) = (SystemTime::UNIX_EPOCH - Duration::from_secs(1), SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40));
    assert!(matches!(Matrix::new(NAME, past), Err(CertError::Clock(_))));
    assert!(matches!(Matrix::new(NAME, future), Err(CertError::Clock(_))));
}
