//! The certificates before clients that look at them, and those who come with one of their own.

use crate::bench::{Bench, text};
use proofbench_channel::network::{Certificate, Front, Network, Page, Sight, Trade};
use proofbench_peers::tls::certs::Authority;
use proofbench_testkit::find;
use rcgen::{CertificateParams, DnType, IsCa, KeyPair};
use rstest::rstest;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

const HOST: &str = "cloud.example";

fn shows(bench: &mut Bench, certificate: Certificate) {
    bench.serve(HOST, 443, Front::Tls(certificate), Trade::Web(vec![Page::new("/", "yes")]));
}

/// OpenSSL's client, which checks all and sends one line.
fn client(bench: &Bench, openssl: &Path, options: &[&str]) -> Output {
    let trust = bench.trust();
    let mut command = Command::new(openssl);
    command.args(["s_client", "-connect", &bench.place(HOST, 443).to_string(), "-servername", HOST, "-auth_level", "2"]);
    command.arg("-CAfile").arg(trust.path());
    command.args(["-no-CApath", "-no-CAstore", "-verify_return_error", "-verify_hostname", HOST]).args(options);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A client that refused may be gone already.
    let _ = child.stdin.take().unwrap().write_all(b"GET / HTTP/1.0\r\n\r\n");
    child.wait_with_output().unwrap()
}

#[rstest]
#[case::self_signed(Certificate::SelfSigned, "unknown_ca")]
#[case::unknown_ca(Certificate::UnknownCa, "unknown_ca")]
#[case::wrong_name(Certificate::WrongName, "bad_certificate")]
#[case::expired(Certificate::Expired, "certificate_expired")]
#[case::not_yet_valid(Certificate::NotYetValid, "bad_certificate")]
#[case::leaf_as_ca(Certificate::LeafAsCa, "unknown_ca")]
#[case::wrong_usage(Certificate::WrongUsage, "unsupported_certificate")]
#[case::weak_key(Certificate::WeakKey, "bad_certificate")]
#[case::sha1(Certificate::Sha1, "bad_certificate")]
fn a_client_that_checks_takes_the_good_one_and_refuses_the_bad_one(#[case] bad: Certificate, #[case] alert: &str) {
    let Some(openssl) = find("openssl") else { return };
    let mut bench = Bench::new();
    for version in ["-tls1_2", "-tls1_3"] {
        bench.forget();
        shows(&mut bench, Certificate::Good);
        client(&bench, &openssl, &[version, "-quiet"]);
        let taken = bench.sees("handshake", |s| matches!(s.sight, Sight::Secured { .. } | Sight::Declined { .. }));
        let Sight::Secured { shown: Certificate::Good, client: None, version: told, suite } = &taken.sight else { panic!("{taken:?}") };
        assert!(told.replace(' ', "").to_lowercase().replace('.', "_") == version[1..] && suite.starts_with("TLS_"), "{taken:?}");
        bench.sees("request", |s| s.conn == taken.conn && matches!(&s.sight, Sight::Request { .. }));

        shows(&mut bench, bad);
        client(&bench, &openssl, &[version, "-quiet"]);
        let refused = bench.sees("refusal", |s| matches!(s.sight, Sight::Declined { .. }));
        assert_eq!(refused.sight, Sight::Declined { shown: Some(bad), why: format!("alert {alert}") });
        assert_eq!((refused.host.as_str(), refused.port), (HOST, 443));
        let sights = bench.of(refused.conn);
        let Some(Sight::Dialled { hello: Some(hello) }) = sights.first() else { panic!("{sights:?}") };
        assert_eq!((hello.name.as_deref(), sights.len()), (Some(HOST), 2), "{sights:?}");
        assert_eq!(hello.versions.last().map(|v| v.replace(' ', "").to_lowercase().replace('.', "_")).as_deref(), Some(&version[1..]));
    }
}

#[test]
fn a_client_that_checks_nothing_takes_them_all() {
    let Some(curl) = find("curl") else { return };
    let mut bench = Bench::new();
    for certificate in [Certificate::Good].into_iter().chain(Certificate::BAD) {
        shows(&mut bench, certificate);
        let said = bench.curl(&curl, HOST, 443, "/", &["--insecure", "--ciphers", "DEFAULT@SECLEVEL=0"]);
        assert_eq!(text(&said.stdout), "yes", "{certificate:?}: {said:?}");
        bench.sees("handshake", |s| matches!(&s.sight, Sight::Secured { shown, .. } if *shown == certificate));
    }
}

#[test]
fn the_devices_own_certificate_is_taken_whatever_it_says_and_told() {
    let Some(curl) = find("curl") else { return };
    let mut bench = Bench::new();
    shows(&mut bench, Certificate::Good);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "thermostat-4711");
    params.is_ca = IsCa::ExplicitNoCa;
    let own = params.self_signed(&key).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("own.pem"), own.pem()).unwrap();
    std::fs::write(path("own.key"), key.serialize_pem()).unwrap();
    let trust = bench.trust();
    for version in ["1.2", "1.3"] {
        bench.forget();
        let options = ["--cacert", trust.path().to_str().unwrap(), "--cert", &path("own.pem"), "--key", &path("own.key"), "--tls-max", version];
        let said = bench.curl(&curl, HOST, 443, "/", &options);
        assert_eq!(text(&said.stdout), "yes", "{said:?}");
        let seen = bench.sees("handshake", |s| matches!(s.sight, Sight::Secured { .. }));
        let Sight::Secured { client: Some((subject, digest)), .. } = seen.sight else { panic!("{seen:?}") };
        assert_eq!((subject.as_str(), digest.len()), ("thermostat-4711", 64));
    }
}

#[test]
fn who_speaks_in_the_clear_is_seen_and_not_served() {
    let mut bench = Bench::new();
    shows(&mut bench, Certificate::Good);
    let mut stream = std::net::TcpStream::connect(bench.place(HOST, 443)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(std::io::Read::read(&mut stream, &mut [0; 10]).unwrap(), 0);
    let bytes = bench.sees("bytes", |s| matches!(s.sight, Sight::Bytes(_)));
    assert_eq!(bench.of(bytes.conn), [Sight::Dialled { hello: None }, Sight::Bytes(b"GET / HTTP/1.1\r\n\r\n".to_vec())]);
}

#[test]
fn who_has_no_version_in_common_was_shown_nothing() {
    let Some(openssl) = find("openssl") else { return };
    let mut bench = Bench::new();
    shows(&mut bench, Certificate::Good);
    client(&bench, &openssl, &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]);
    let refused = bench.sees("refusal", |s| matches!(s.sight, Sight::Declined { .. }));
    assert!(matches!(refused.sight, Sight::Declined { shown: None, .. }), "{refused:?}");
}

#[test]
fn a_laboratorys_own_ca_signs_and_is_the_one_to_trust() {
    let Some(curl) = find("curl") else { return };
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "CA of a laboratory");
    params.distinguished_name.push(DnType::OrganizationName, "Laboratory");
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).unwrap().pem();
    let authority = Authority::from_pem(&ca, &key.serialize_pem(), SystemTime::now()).unwrap();
    let mut bench = Bench::with(|setup| setup.authority = Some(authority));
    assert_eq!(bench.lab.trust_pem(), ca);
    let wait = bench.long();
    bench.lab.link(true, &wait).unwrap();
    bench.serve("resolver", 53, Front::Plain, Trade::Names { alive: true });
    let trust = bench.trust();
    for (certificate, code) in [(Certificate::Good, 0), (Certificate::UnknownCa, 60), (Certificate::SelfSigned, 60)] {
        shows(&mut bench, certificate);
        let said = bench.curl(&curl, HOST, 443, "/", &["--cacert", trust.path().to_str().unwrap()]);
        assert_eq!(said.status.code(), Some(code), "{certificate:?} {said:?}");
    }
}
