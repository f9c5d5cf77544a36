//! What comes of an attempt to connect; and what the module looks at in a certificate, against the whole matrix: each thing that firmware does not want looked at lets through exactly the
//! certificates that differ in it.

use crate::bench::{CLOUD, LOW, PATIENCE, Side, matrix, serving};
use proofbench_board::net::dial::{Dial, EXPECTED, Ground, Step};
use proofbench_board::net::setup::NetSetup;
use proofbench_board::net::stream::Stream;
use proofbench_board::net::tls::identity::identity;
use proofbench_channel::network::Certificate;
use proofbench_emulator::net::{ClientTls, OpenFailed, TlsTerms, TlsVersion, Trust};
use proofbench_peers::dns::Conduct;
use proofbench_peers::tls::certs::Flaw;
use proofbench_peers::tls::server::{Behaviour, Handshake};
use rstest::rstest;
use rustls::pki_types::CertificateDer;
use std::cell::Cell;
use std::time::Instant;

fn shown(flaw: Flaw) -> Certificate {
    match flaw {
        Flaw::None => Certificate::Good,
        Flaw::SelfSigned => Certificate::SelfSigned,
        Flaw::UnknownCa => Certificate::UnknownCa,
        Flaw::WrongName => Certificate::WrongName,
        Flaw::Expired => Certificate::Expired,
        Flaw::NotYetValid => Certificate::NotYetValid,
        Flaw::LeafAsCa => Certificate::LeafAsCa,
        Flaw::WrongUsage => Certificate::WrongUsage,
        Flaw::WeakKey => Certificate::WeakKey,
        Flaw::Sha1 => Certificate::Sha1,
        Flaw::NameOnlyInCn => Certificate::NameOnlyInCn,
    }
}

fn terms() -> TlsTerms {
    vec![
        (TlsVersion::Tls12, vec!["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]),
        (TlsVersion::Tls13, vec!["TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"]),
    ]
}

fn tls(trust: Trust) -> ClientTls {
    ClientTls { terms: terms(), named: true, trust, identity: Some(("TH1-0001".to_owned(), [7; 32])) }
}

fn setup(side: &Side) -> NetSetup {
    NetSetup { address: side.place.device, gateway: side.place.gateway, low_ports: LOW, trust: None, link_up: true }
}

/// Dials the cloud until something has come of it.
fn dial(side: &Side, tls: ClientTls, anchor: Option<&CertificateDer<'static>>) -> Result<Stream, OpenFailed> {
    let setup = setup(side);
    let start = Instant::now();
    let ground = || Ground { setup: &setup, anchor, now: u64::try_from(start.elapsed().as_nanos()).unwrap() };
    let mut step = Dial::begin(&ground(), CLOUD.0.to_owned(), CLOUD.1, Some(tls), 1);
    loop {
        match step {
            Step::Up(mut stream, _) => {
                stream.end();
                assert!(stream.write());
                return Ok(stream);
            }
            Step::Failed(why, last) => {
                if let Some(mut stream) = last {
                    stream.end();
                    stream.write();
                }
                return Err(why);
            }
            Step::Waits(dial) => {
                assert!(start.elapsed() < PATIENCE, "nothing comes of it");
                std::thread::yield_now();
                step = match dial.turn(&ground()) {
                    Step::Waits(dial) => dial.serve(&ground()),
                    done => done,
                };
            }
        }
    }
}

/// What comes of an attempt, with device time told by `now`.
fn come_of(side: &Side, host: &str, port: u16, now: impl Fn() -> u64) -> Result<(), OpenFailed> {
    let setup = setup(side);
    let ground = || Ground { setup: &setup, anchor: None, now: now() };
    let mut step = Dial::begin(&ground(), host.to_owned(), port, None, 1);
    let start = Instant::now();
    loop {
        match step {
            Step::Up(..) => return Ok(()),
            Step::Failed(why, _) => return Err(why),
            Step::Waits(dial) => {
                assert!(start.elapsed() < PATIENCE, "nothing comes of it");
                assert!(dial.owed(1) || start.elapsed() > EXPECTED, "nobody would wait for it");
                std::thread::yield_now();
                step = match dial.turn(&ground()) {
                    Step::Waits(dial) => dial.serve(&ground()),
                    done => done,
                };
            }
        }
    }
}

#[test]
fn a_name_that_does_not_exist_is_known_at_once_and_one_that_nobody_answers_after_five_seconds() {
    let mut side = Side::new();
    // Device time stands still: only an answer can end it.
    let _server = side.shows(CLOUD.1, Flaw::None);
    assert_eq!(come_of(&side, CLOUD.0, CLOUD.1, || 0), Ok(()));
    side.resolve(false);
    assert_eq!(come_of(&side, CLOUD.0, CLOUD.1, || 0), Err(OpenFailed::NoName));
    side.names().set_conduct(Conduct::WrongId);
    let asked = Cell::new(0u64);
    let second = || {
        asked.set(asked.get() + 1);
        asked.get() * 500_000_000
    };
    assert_eq!(come_of(&side, CLOUD.0, CLOUD.1, second), Err(OpenFailed::NoName));
    assert!((10..=12).contains(&asked.get()), "given up at {}", asked.get());
    // The same without anybody there: the kernel's refusal is no answer of a resolver.
    let empty = Side::empty();
    asked.set(0);
    assert_eq!(come_of(&empty, CLOUD.0, CLOUD.1, second), Err(OpenFailed::NoName));
    assert!((10..=12).contains(&asked.get()), "given up at {}", asked.get());
}

#[test]
fn a_port_where_nobody_listens_refuses() {
    let side = Side::new();
    assert_eq!(come_of(&side, CLOUD.0, CLOUD.1, || 0), Err(OpenFailed::Refused));
}

#[rstest]
#[case::conforming(Trust::FULL)]
#[case::unverified(Trust::NONE)]
#[case::chain(Trust { chain: false, ..Trust::FULL })]
#[case::authority(Trust { authority: false, ..Trust::FULL })]
#[case::name(Trust { name: false, ..Trust::FULL })]
#[case::alternative_name(Trust { alternative_name: false, ..Trust::FULL })]
#[case::time(Trust { time: false, ..Trust::FULL })]
#[case::usage(Trust { usage: false, ..Trust::FULL })]
#[case::strength(Trust { strength: false, ..Trust::FULL })]
fn exactly_the_certificates_that_differ_in_what_is_not_looked_at_are_taken(#[case] trust: Trust) {
    let side = Side::new();
    let server = side.shows(CLOUD.1, Flaw::None);
    for flaw in Flaw::ALL {
        server.behave(&serving(flaw)).unwrap();
        let came = dial(&side, tls(trust), Some(&matrix().ca)).map(|_| ());
        let due = trust.takes(shown(flaw)).map_err(|_| OpenFailed::Untrusted);
        assert_eq!(came, due, "{} with {trust:?}", flaw.id());
    }
}

/// Numbers of alerts: RFC 8446, 6.
#[test]
fn a_certificate_is_refused_with_its_reason() {
    let side = Side::new();
    let server = side.shows(CLOUD.1, Flaw::None);
    let alerts = [
        (Flaw::SelfSigned, 48),
        (Flaw::UnknownCa, 48),
        (Flaw::WrongName, 42),
        (Flaw::Expired, 45),
        (Flaw::NotYetValid, 45),
        (Flaw::LeafAsCa, 42),
        (Flaw::WrongUsage, 43),
        (Flaw::WeakKey, 42),
        (Flaw::Sha1, 42),
        (Flaw::NameOnlyInCn, 42),
    ];
    for (flaw, alert) in alerts {
        server.behave(&serving(flaw)).unwrap();
        assert_eq!(dial(&side, tls(Trust::FULL), Some(&matrix().ca)).err(), Some(OpenFailed::Untrusted));
        side.sees_met(&server, |met| met.flaw == Some(flaw) && met.handshake == Handshake::Alert(alert));
    }
}

#[test]
fn a_server_that_does_not_do_tls_is_told_from_one_that_hangs_up() {
    let side = Side::new();
    let server = side.shows(CLOUD.1, Flaw::None);
    for (behaviour, why) in [
        (Behaviour::Close, OpenFailed::Refused),
        (Behaviour::Plain(bytes::Bytes::from_static(b"HTTP/1.1 400 Bad Request\r\n\r\n")), OpenFailed::Untrusted),
        // handshake_failure: nothing in common; internal_error is the server's own affair.
        (Behaviour::Alert(40), OpenFailed::Untrusted),
        (Behaviour::Alert(80), OpenFailed::Refused),
    ] {
        server.behave(&behaviour).unwrap();
        assert_eq!(dial(&side, tls(Trust::FULL), Some(&matrix().ca)).err(), Some(why), "{behaviour:?}");
    }
}

#[test]
fn without_the_makers_ca_nobody_is_trusted() {
    let side = Side::new();
    let _server = side.shows(CLOUD.1, Flaw::None);
    assert_eq!(dial(&side, tls(Trust::FULL), None).err(), Some(OpenFailed::Untrusted));
}

#[test]
fn the_units_certificate_is_shown_to_who_asks_and_its_key_is_there() {
    let side = Side::new();
    let (own, _) = identity("TH1-0001", &[7; 32]).unwrap();
    // Signed by itself, and so its own CA.
    let server = side.asks_for(CLOUD.1, Flaw::None, Some(own));
    dial(&side, tls(Trust::FULL), Some(&matrix().ca)).unwrap();
    side.sees_met(&server, |met| matches!(met.handshake, Handshake::Done { certificates: 1, .. }));
}

#[test]
fn only_what_is_offered_is_spoken() {
    let side = Side::new();
    let server = side.shows(CLOUD.1, Flaw::None);
    let old = ClientTls { terms: terms()[..1].to_vec(), named: false, ..tls(Trust::FULL) };
    dial(&side, old, Some(&matrix().ca)).unwrap();
    side.sees_met(&server, |met| matches!(met.handshake, Handshake::Done { version: 0x0303, suite: 0xC02B, .. }));
    // Nothing of this can be spoken, and all of it is seen.
    let nothing = ClientTls { terms: vec![(TlsVersion::Tls10, vec!["TLS_RSA_WITH_AES_128_CBC_SHA"])], ..tls(Trust::FULL) };
    assert_eq!(dial(&side, nothing, Some(&matrix().ca)).err(), Some(OpenFailed::Untrusted));
    side.sees("TLS_RSA_WITH_AES_128_CBC_SHA");
    let named = ClientTls { terms: vec![(TlsVersion::Tls12, vec!["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", UNDECLARED])], ..tls(Trust::FULL) };
    dial(&side, named, Some(&matrix().ca)).unwrap();
    side.sees(UNDECLARED);
}

#[test]
fn old_versions_beside_new_ones_are_offered_and_the_new_ones_are_spoken() {
    let side = Side::new();
    let server = side.shows(CLOUD.1, Flaw::None);
    let both = ClientTls { terms: [&[(TlsVersion::Tls10, vec!["TLS_RSA_WITH_AES_128_CBC_SHA"])][..], &terms()].concat(), ..tls(Trust::FULL) };
    dial(&side, both, Some(&matrix().ca)).unwrap();
    side.sees("versions: TLS1.3 TLS1.2 TLS1.0");
    side.sees("TLS_RSA_WITH_AES_128_CBC_SHA");
    side.sees_met(&server, |met| matches!(met.handshake, Handshake::Done { version: 0x0304, .. }));
}

/// Offered by a unit with a defect, and not spoken.
const UNDECLARED: &str = "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256";
