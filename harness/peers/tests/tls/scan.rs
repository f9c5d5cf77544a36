//! The scanner on OpenSSL's server, and its lists beside those of sslscan.

use crate::{LONG, lab, long};
use proofbench_peers::tls::names;
use proofbench_peers::tls::scan::{Reply, Scan, Target, VERSIONS, scan};
use proofbench_testkit::{Peer, find, free_port};
use rstest::rstest;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// OpenSSL's server with an RSA and an ECDSA certificate, and these options. It listens.
fn server(openssl: &Path, folder: &Path, options: &[&str]) -> (Peer, SocketAddr) {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    for (key, kind) in [("rsa", &["rsa:2048"][..]), ("ec", &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"])] {
        let mut make = Command::new(openssl);
        make.args(["req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=device.test", "-newkey"]).args(kind);
        make.arg("-keyout").arg(folder.join(format!("{key}.key"))).arg("-out").arg(folder.join(format!("{key}.pem")));
        assert!(Peer::start(&mut make).end().success());
    }
    let mut command = Command::new(openssl);
    command.current_dir(folder).args(["s_server", "-key", "rsa.key", "-cert", "rsa.pem", "-dkey", "ec.key", "-dcert", "ec.pem", "-quiet"]);
    let mut peer = Peer::start(command.args(["-accept", &address.to_string()]).args(options));
    peer.wait_for_port(address.port());
    (peer, address)
}

fn scanned(address: SocketAddr) -> Scan {
    let (_runtime, lab) = lab();
    let target = Target {
        peer: "scanner".into(),
        address,
        name: Some("device.test".to_owned()),
        versions: VERSIONS.to_vec(),
        patience: LONG,
        pause: Duration::ZERO,
        tries: 1,
    };
    let found = scan(&lab, &target, &long(&lab)).unwrap();
    assert!(found.is_controlled(), "{found:?}");
    found
}

/// Version and suite of all that was accepted.
fn accepted(found: &Scan) -> BTreeSet<(u16, u16)> {
    found.versions.iter().flat_map(|v| v.suites.iter().map(|s| (v.version, *s))).collect()
}

/// The same, as sslscan finds it.
fn oracle(sslscan: &Path, address: SocketAddr) -> BTreeSet<(u16, u16)> {
    let options =
        ["--no-colour", "--show-cipher-ids", "--no-heartbleed", "--no-groups", "--no-check-certificate", "--xml=-", "--sni-name=device.test"];
    let said = Command::new(sslscan).args(options).arg(address.to_string()).output().unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    let value = |line: &str, name: &str| line.split(&format!("{name}=\"")).nth(1).and_then(|r| r.split('"').next()).unwrap_or_default().to_owned();
    let lines = text.lines().filter(|l| l.trim_start().starts_with("<cipher "));
    lines
        .map(|line| {
            let version = match value(line, "sslversion").as_str() {
                "SSLv3" => names::SSL_3_0,
                "TLSv1.0" => names::TLS_1_0,
                "TLSv1.1" => names::TLS_1_1,
                "TLSv1.2" => names::TLS_1_2,
                "TLSv1.3" => names::TLS_1_3,
                other => panic!("{other} in {line}"),
            };
            (version, u16::from_str_radix(value(line, "id").trim_start_matches("0x"), 16).unwrap())
        })
        .collect()
}

#[rstest]
#[case::everything_that_it_has(&["-cipher", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"], &[0x0301, 0x0302, 0x0303, 0x0304])]
#[case::its_defaults(&[], &[0x0303, 0x0304])]
#[case::one_old_version(&["-tls1", "-cipher", "ALL:@SECLEVEL=0"], &[0x0301])]
#[case::two_suites_by_the_servers_order(&["-tls1_2", "-cipher", "AES128-SHA:ECDHE-ECDSA-AES128-GCM-SHA256", "-serverpref"], &[0x0303])]
#[case::one_suite_of_the_last_version(&["-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_8_SHA256"], &[0x0304])]
#[case::a_group_that_must_be_asked_for_again(&["-tls1_3", "-groups", "P-521"], &[0x0304])]
fn the_lists_are_those_of_sslscan(#[case] options: &[&str], #[case] versions: &[u16]) {
    let (Some(openssl), Some(sslscan)) = (find("openssl"), find("sslscan")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (_server, address) = server(&openssl, folder.path(), options);
    let found = scanned(address);
    let ours = accepted(&found);
    assert_eq!(ours, oracle(&sslscan, address));
    assert_eq!(ours.iter().map(|(v, _)| *v).collect::<BTreeSet<_>>(), versions.iter().copied().collect());
    assert!(found.versions.iter().all(|v| v.is_whole()), "{found:?}");
}

#[test]
fn a_restricted_server_has_what_it_was_given_and_refuses_the_rest_by_alert() {
    let Some(openssl) = find("openssl") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (_server, address) = server(&openssl, folder.path(), &["-tls1_2", "-cipher", "AES256-GCM-SHA384:AES128-SHA256:AES128-SHA", "-serverpref"]);
    let found = scanned(address);
    let of = |version| found.versions.iter().find(|v| v.version == version).unwrap();
    // The server's order within one part of the list, and the list's order between two.
    let names: Vec<String> = of(names::TLS_1_2).suites.iter().map(|s| names::suite(*s)).collect();
    assert_eq!(names, ["TLS_RSA_WITH_AES_128_CBC_SHA256", "TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_AES_256_GCM_SHA384"].map(String::from));
    // OpenSSL was built without SSL 3.0, and says handshake_failure there; protocol_version elsewhere.
    for (old, alert) in [(names::SSL_3_0, 40), (names::TLS_1_0, 70), (names::TLS_1_1, 70), (names::TLS_1_3, 70)] {
        let seen = of(old);
        assert!(seen.suites.is_empty(), "{seen:?}");
        assert!(seen.rest.iter().all(|(_, r)| *r == Reply::Alert { level: 2, description: alert }), "{seen:?}");
    }
}
