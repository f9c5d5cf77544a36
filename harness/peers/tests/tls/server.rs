//! The server before real clients: OpenSSL's, and curl.

use crate::certs::{NAME, matrix};
use crate::{LONG, lab, long};
use bytes::Bytes;
use proofbench_peers::tls::certs::Flaw;
use proofbench_peers::tls::hello::ClientHello;
use proofbench_peers::tls::names;
use proofbench_peers::tls::server::{Behaviour, Handshake, Met, TlsServer, TlsSetup};
use proofbench_peers::{Lab, Seen};
use proofbench_testkit::find;
use rstest::rstest;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tokio::runtime::Runtime;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nyes";

struct Bench {
    // The server ends before its runtime does.
    server: TlsServer,
    folder: tempfile::TempDir,
    lab: Lab,
    _runtime: Runtime,
}

fn serve(flaw: Flaw) -> Behaviour {
    Behaviour::Serve(matrix().identity(flaw).unwrap().clone())
}

fn bench(behaviour: Behaviour, clients: bool) -> Bench {
    patient(behaviour, clients, LONG)
}

fn patient(behaviour: Behaviour, clients: bool, patience: Duration) -> Bench {
    let (runtime, lab) = lab();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), &matrix().ca_pem).unwrap();
    let setup = TlsSetup {
        peer: "web".into(),
        listen: "127.0.0.1:0".parse().unwrap(),
        behaviour,
        client_ca: clients.then(|| matrix().ca.clone()),
        answer: Bytes::from_static(ANSWER),
        patience,
    };
    let server = TlsServer::start(&lab, setup).unwrap();
    Bench { server, folder, lab, _runtime: runtime }
}

impl Bench {
    fn curl(&self, program: &Path, options: &[&str]) -> Output {
        let address = self.server.address();
        let mut command = Command::new(program);
        command.args([
            "--silent",
            "--show-error",
            "--max-time",
            "60",
            "--noproxy",
            "*",
            "--resolve",
            &format!("{NAME}:{}:127.0.0.1", address.port()),
        ]);
        command.arg("--cacert").arg(self.folder.path().join("ca.pem")).args(options);
        command.arg(format!("https://{NAME}:{}/state", address.port())).output().unwrap()
    }

    /// OpenSSL's client, which checks all and sends one line.
    fn client(&self, program: &Path, options: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).args(["s_client", "-connect", &self.server.address().to_string(), "-servername", NAME]);
        command.args(["-CAfile", "ca.pem", "-no-CApath", "-no-CAstore", "-verify_return_error", "-verify_hostname", NAME]).args(options);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A client that refused may be gone already.
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"secret\n");
        child.wait_with_output().unwrap()
    }

    /// The entry in which the connection ended, and all before it.
    fn entries(&self, number: u64) -> Vec<Seen> {
        let prefix = format!("connection {number}: ");
        let end = self.lab.timeline.wait(0, &long(&self.lab), |e| {
            e.what.strip_prefix(&prefix).is_some_and(|w| w.starts_with("ended: ") || w.starts_with("handshake failed"))
        });
        end.unwrap().unwrap();
        self.lab.timeline.take().0.into_iter().filter(|e| e.what.starts_with(&prefix)).collect()
    }

    fn met(&self) -> Met {
        self.server.met().pop().unwrap()
    }
}

fn with<'a>(entries: &'a [Seen], part: &str) -> &'a Seen {
    entries.iter().find(|e| e.what.contains(part)).unwrap_or_else(|| panic!("no {part} in {entries:#?}"))
}

#[test]
fn curl_is_served_with_the_good_certificate_and_all_is_told() {
    let Some(curl) = find("curl") else { return };
    let bench = bench(serve(Flaw::None), false);
    let said = bench.curl(&curl, &[]);
    assert_eq!(said.stdout, b"yes", "{said:?}");
    let entries = bench.entries(1);
    let hello = with(&entries, "ClientHello");
    assert!(
        hello.what.contains("versions: TLS1.3 TLS1.2") && hello.what.contains("SNI: \"device.test\"") && hello.what.contains("\"h2\" \"http/1.1\""),
        "{hello:?}"
    );
    let read = ClientHello::parse(&hello.bytes).unwrap();
    assert_eq!((read.server_name.as_deref(), read.unreadable.as_slice()), (Some(NAME.as_bytes()), &[][..]));
    assert!(with(&entries, "handshake done").what.contains("with certificate control: TLS 1.3 TLS_"));
    assert!(with(&entries, "application data came").bytes.starts_with(b"GET /state HTTP/1.1\r\n"));
    let met = bench.met();
    assert!(matches!(met.handshake, Handshake::Done { version: 0x0304, certificates: 0, .. }) && met.data > 20, "{met:?}");
}

#[rstest]
#[case::self_signed(Flaw::SelfSigned, 48)]
#[case::unknown_ca(Flaw::UnknownCa, 48)]
#[case::wrong_name(Flaw::WrongName, 42)]
#[case::expired(Flaw::Expired, 45)]
#[case::not_yet_valid(Flaw::NotYetValid, 42)]
#[case::leaf_as_ca(Flaw::LeafAsCa, 48)]
#[case::wrong_usage(Flaw::WrongUsage, 43)]
#[case::weak_key(Flaw::WeakKey, 42)]
#[case::sha1(Flaw::Sha1, 42)]
fn a_client_that_checks_refuses_each_bad_certificate_and_sends_nothing(#[case] flaw: Flaw, #[case] alert: u8) {
    let Some(openssl) = find("openssl") else { return };
    let bench = bench(serve(Flaw::None), false);
    for (n, version) in [(1, "-tls1_2"), (3, "-tls1_3")] {
        bench.server.behave(&serve(Flaw::None)).unwrap();
        let options = [version, "-auth_level", "2"];
        bench.client(&openssl, &options);
        let entries = bench.entries(n);
        assert_eq!(&with(&entries, "application data came").bytes[..], b"secret\n", "the control");
        bench.server.behave(&serve(flaw)).unwrap();
        bench.client(&openssl, &options);
        let entries = bench.entries(n + 1);
        assert!(
            with(&entries, "handshake failed").what.contains(&format!("certificate {}: the device sent alert {}", flaw.id(), names::alert(alert))),
            "{entries:#?}"
        );
        let met = bench.met();
        assert_eq!((met.flaw, met.handshake, met.data), (Some(flaw), Handshake::Alert(alert), 0));
    }
}

#[test]
fn a_client_that_checks_nothing_gives_its_data_to_every_certificate() {
    let Some(curl) = find("curl") else { return };
    let bench = bench(serve(Flaw::None), false);
    for (n, flaw) in Flaw::ALL.into_iter().enumerate() {
        bench.server.behave(&serve(flaw)).unwrap();
        let said = bench.curl(&curl, &["--insecure", "--ciphers", "DEFAULT@SECLEVEL=0"]);
        assert_eq!(said.stdout, b"yes", "{flaw:?}: {said:?}");
        bench.entries(n as u64 + 1);
        let met = bench.met();
        assert!(met.flaw == Some(flaw) && met.data > 20, "{met:?}");
    }
}

#[test]
fn a_device_without_a_certificate_is_not_served_where_one_is_required() {
    let Some(openssl) = find("openssl") else { return };
    let bench = bench(serve(Flaw::None), true);
    bench.client(&openssl, &["-tls1_2"]);
    bench.entries(1);
    assert!(matches!(bench.met().handshake, Handshake::Failed(_)), "{:?}", bench.met());
    // The certificate for clients of the matrix is one.
    let identity = matrix().identity(Flaw::WrongUsage).unwrap();
    std::fs::write(bench.folder.path().join("own.der"), &identity.chain[0]).unwrap();
    std::fs::write(bench.folder.path().join("own.key"), identity.key_der().unwrap()).unwrap();
    bench.client(&openssl, &["-tls1_2", "-cert", "own.der", "-certform", "DER", "-key", "own.key", "-keyform", "DER"]);
    let entries = bench.entries(2);
    assert_eq!(&with(&entries, "handshake done").bytes[..], &identity.chain[0][..]);
    assert!(matches!(bench.met().handshake, Handshake::Done { certificates: 1.., .. }), "{:?}", bench.met());
}

#[test]
fn a_server_that_misbehaves_does_what_it_was_told() {
    let (Some(openssl), Some(curl)) = (find("openssl"), find("curl")) else { return };
    let bench = bench(Behaviour::Alert(112), false);
    let said = bench.client(&openssl, &[]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("alert number 112"), "{said:?}");
    with(&bench.entries(1), "ClientHello");
    bench.server.behave(&Behaviour::Close).unwrap();
    let said = bench.client(&openssl, &[]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("unexpected eof"), "{said:?}");
    with(&bench.entries(2), "ClientHello");
    bench.server.behave(&Behaviour::Plain(Bytes::from_static(b"HTTP/1.1 400 no\r\n\r\n"))).unwrap();
    let said = bench.client(&openssl, &[]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("wrong version number"), "{said:?}");
    with(&bench.entries(3), "answered in the clear");
    bench.server.behave(&Behaviour::Stall).unwrap();
    let said = bench.curl(&curl, &["--max-time", "1"]);
    assert_eq!(said.status.code(), Some(28), "{said:?}");
    let entries = bench.entries(4);
    assert!(with(&entries, "ended: the device ended it").at > with(&entries, "no answer is given").at);
    assert!(bench.server.met().iter().all(|m| m.handshake == Handshake::NotServed && m.data == 0 && m.flaw.is_none()));
}

#[test]
fn a_device_that_speaks_in_the_clear_is_told_with_what_it_said() {
    let Some(curl) = find("curl") else { return };
    let bench = bench(serve(Flaw::None), false);
    let url = format!("http://{}/secret", bench.server.address());
    let said = Command::new(curl).args(["--silent", "--max-time", "60", "--noproxy", "*", &url]).output().unwrap();
    assert_eq!(said.status.code(), Some(52), "{said:?}");
    let entries = bench.entries(1);
    assert!(with(&entries, "no ClientHello").bytes.starts_with(b"GET /secret"));
    assert!(matches!(bench.met().handshake, Handshake::NoHello(_)));
}

#[test]
fn a_device_that_would_resume_a_session_gets_the_certificate_again() {
    let Some(openssl) = find("openssl") else { return };
    let bench = bench(serve(Flaw::None), false);
    for version in ["-tls1_2", "-tls1_3"] {
        bench.client(&openssl, &[version, "-sess_out", version]);
        bench.entries(bench.met().number);
        // OpenSSL saves a session if there is one to be resumed, and then it must not be.
        if bench.folder.path().join(version).is_file() {
            bench.client(&openssl, &[version, "-sess_in", version]);
            bench.entries(bench.met().number);
        }
    }
    for met in bench.server.met() {
        assert!(matches!(met.handshake, Handshake::Done { resumed: false, .. }), "{met:?}");
    }
    assert!(bench.server.met().len() >= 2);
}

#[test]
fn a_hello_of_openssl_is_told_in_the_names_that_openssl_was_given() {
    let Some(openssl) = find("openssl") else { return };
    let bench = bench(Behaviour::Close, false);
    let options =
        ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256", "-sigalgs", "rsa_pkcs1_sha256:ed25519", "-groups", "P-256:X448", "-alpn", "mqtt"];
    bench.client(&openssl, &options);
    let entries = bench.entries(1);
    let told = &with(&entries, "ClientHello").what;
    let expected = "ClientHello TLS 1.2 in a TLS 1.0 record; suites: TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 TLS_EMPTY_RENEGOTIATION_INFO_SCSV; \
         groups: secp256r1 x448; signatures: rsa_pkcs1_sha256 ed25519; SNI: \"device.test\"; ALPN: \"mqtt\"";
    assert!(told.ends_with(expected), "{told}");
    // An old client has neither groups of TLS 1.3 nor signature algorithms.
    bench.client(&openssl, &["-tls1", "-cipher", "AES128-SHA@SECLEVEL=0"]);
    let entries = bench.entries(2);
    let hello = ClientHello::parse(&with(&entries, "ClientHello TLS 1.0").bytes).unwrap();
    assert_eq!((hello.suites.as_slice(), hello.signatures.as_slice(), hello.offered_versions()), (&[0x002f, 0x00ff][..], &[][..], &[0x0301][..]));
}

#[test]
fn the_end_of_the_server_ends_its_connections() {
    let bench = bench(Behaviour::Stall, false);
    let mut device = std::net::TcpStream::connect(bench.server.address()).unwrap();
    bench.lab.timeline.wait(0, &long(&bench.lab), |e| e.what.contains("from ")).unwrap().unwrap();
    let Bench { server, _runtime, .. } = bench;
    drop(server);
    // Either is an end; a server that goes on would let this wait for its patience.
    device.set_read_timeout(Some(LONG / 2)).unwrap();
    match std::io::Read::read(&mut device, &mut [0; 16]) {
        Ok(n) => assert_eq!(n, 0),
        Err(e) => assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset),
    }
}

#[test]
fn a_device_that_connects_and_says_nothing_is_let_go_when_the_patience_is_over() {
    let bench = patient(serve(Flaw::None), false, Duration::from_millis(100));
    let mut device = std::net::TcpStream::connect(bench.server.address()).unwrap();
    let entries = bench.entries(1);
    with(&entries, "no ClientHello: the patience is over");
    assert_eq!(std::io::Read::read(&mut device, &mut [0; 16]).unwrap(), 0);
    assert_eq!(bench.met().handshake, Handshake::NoHello("the patience is over".to_owned()));
}
