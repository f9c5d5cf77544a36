//! Tasmota over MQTT: what a broker may do, and who is let in.

use super::bench::{Broker, Entry, SHORT, Switched, conforms, fails_at_last, own_address, told, written};
use super::mqtt::setup;
use super::start::{LONG, supply, within};
use proofbench_channel::{ErrorKind, PowerAsk, PowerSeen};
use proofbench_drivers::Secret;
use proofbench_drivers::power::tasmota_mqtt::{TasmotaMqttSetup, open};
use proofbench_testkit::find;
use rcgen::{CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rstest::rstest;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_broker_that_was_killed_and_started_again_is_used_again() {
    let Some(mut broker) = Broker::start(&own_address(), &Entry::default()) else { return };
    let Some(_plug) = broker.plug(&[]) else { return };
    let setup = setup(&broker, 1);
    let mut power = open(setup.clone()).unwrap();
    power.set(PowerAsk::On, &within(&setup.supply, LONG)).unwrap();
    broker.kill();
    fails_at_last(ErrorKind::Disconnected, "", || power.set(PowerAsk::Off, &within(&setup.supply, SHORT)).unwrap_err());
    broker.restart();
    assert_eq!(power.state(&within(&setup.supply, LONG)).unwrap(), PowerSeen::On);
    power.set(PowerAsk::Off, &within(&setup.supply, LONG)).unwrap();
}

#[test]
fn a_broker_that_comes_up_during_the_call_is_in_time() {
    let Some(mut broker) = Broker::start(&own_address(), &Entry::default()) else { return };
    let Some(_plug) = broker.plug(&[]) else { return };
    let setup = setup(&broker, 1);
    broker.kill();
    let mut power = open(setup.clone()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| broker.restart());
        power.set(PowerAsk::On, &within(&setup.supply, LONG)).unwrap();
    });
}

#[test]
fn a_command_whose_answer_died_with_the_broker_is_repeated() {
    let Some(mut broker) = Broker::start(&own_address(), &Entry::default()) else { return };
    let switched = Switched::start();
    let Some(mut plug) = broker.plug(&["--on", "--slow", "500", "--switch", &switched.address()]) else { return };
    let setup = setup(&broker, 1);
    let mut power = open(setup.clone()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            plug.wait_for_line("asked POWER1 OFF");
            broker.restart();
        });
        power.set(PowerAsk::Off, &within(&setup.supply, LONG)).unwrap();
    });
    assert_eq!(switched.turns(), [false]);
    assert_eq!(power.state(&within(&setup.supply, LONG)).unwrap(), PowerSeen::Off);
}

#[test]
fn what_a_call_could_not_send_is_never_sent_later() {
    let Some(mut broker) = Broker::start(&own_address(), &Entry::default()) else { return };
    let Some(mut plug) = broker.plug(&[]) else { return };
    let setup = setup(&broker, 1);
    let mut power = open(setup.clone()).unwrap();
    assert_eq!(power.state(&within(&setup.supply, LONG)).unwrap(), PowerSeen::Off);
    broker.kill();
    // The second call begins when the loss is known for certain.
    for _ in 0..2 {
        assert!(power.set(PowerAsk::On, &within(&setup.supply, SHORT)).is_err());
    }
    broker.restart();
    plug.wait_for_line("ready");
    assert_eq!(power.state(&within(&setup.supply, LONG)).unwrap(), PowerSeen::Off);
    power.set(PowerAsk::Off, &within(&setup.supply, LONG)).unwrap();
    // Said in order, so whatever came before this line has been said.
    plug.wait_for_line("asked POWER1 OFF");
    assert!(!plug.output().iter().any(|line| line == "asked POWER1 ON"), "{:?}", plug.output());
}

#[test]
fn a_plug_whose_last_will_was_published_is_offline_until_it_is_back() {
    let Some(broker) = Broker::start("127.0.0.1", &Entry::default()) else { return };
    let Some(mut plug) = broker.plug(&[]) else { return };
    if find("mosquitto_sub").is_none() {
        return;
    }
    let setup = setup(&broker, 1);
    let mut power = open(setup.clone()).unwrap();
    power.set(PowerAsk::On, &within(&setup.supply, LONG)).unwrap();
    plug.kill();
    broker.wait_for("tele/plug1/LWT", "Offline");
    fails_at_last(ErrorKind::Disconnected, "the plug is offline", || power.set(PowerAsk::Off, &within(&setup.supply, SHORT)).unwrap_err());
    // Long gone: nobody waits for it.
    let error = power.set(PowerAsk::Off, &within(&setup.supply, LONG)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Disconnected);

    let mut back = None;
    std::thread::scope(|scope| {
        scope.spawn(|| back = broker.plug(&["--on"]));
        while let Err(error) = power.set(PowerAsk::Off, &within(&setup.supply, LONG)) {
            assert_eq!(error.kind, ErrorKind::Disconnected, "{}", told(&error));
        }
    });
    assert_eq!(power.state(&within(&setup.supply, LONG)).unwrap(), PowerSeen::Off);
}

#[test]
fn user_and_password_are_used_and_never_shown() {
    const PASSWORD: &str = "correct horse";
    let Some(broker) = Broker::start("127.0.0.1", &Entry { user: Some(("bench", PASSWORD)), ..Entry::default() }) else { return };
    let Some(_plug) = broker.plug(&["--user", "bench", "--password", PASSWORD]) else { return };
    let mut setup = setup(&broker, 1);
    setup.user = Some("bench".into());
    setup.password = Some(Secret::new(PASSWORD));
    let mut power = open(setup.clone()).unwrap();
    conforms(&mut *power, &setup.supply);
    assert!(!power.describe().contains(PASSWORD) && !format!("{setup:?}").contains(PASSWORD));

    for wrong in [Some(Secret::new("battery staple")), None] {
        setup.password = wrong;
        let error = open(setup.clone()).unwrap().set(PowerAsk::On, &within(&setup.supply, LONG)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused);
        let text = told(&error);
        assert!(text.contains("the broker does not authorize this user") && !text.contains("staple"), "{text}");
    }
}

/// Something that listens where a broker should be: each of `says` answers one packet of whoever connects; then it is silent.
fn fake_broker(says: &[&[u8]]) -> String {
    let says: Arc<[Vec<u8>]> = says.iter().map(|s| s.to_vec()).collect();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // Ends with the test's process.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let says = Arc::clone(&says);
            std::thread::spawn(move || {
                let mut packet = [0; 1024];
                for answer in says.iter() {
                    if !matches!(stream.read(&mut packet), Ok(n) if n > 0) || stream.write_all(answer).is_err() {
                        return;
                    }
                }
                while matches!(stream.read(&mut packet), Ok(n) if n > 0) {}
            });
        }
    });
    address
}

const WELCOME: &[u8] = b"\x20\x02\0\0";

#[rstest]
#[case::its_access_list(&[WELCOME, b"\x90\x08\0\x01\0\0\0\0\0\x80"], LONG, ErrorKind::Refused, "does not let this user listen")]
#[case::user_or_password(&[b"\x20\x02\0\x04".as_slice()], LONG, ErrorKind::Refused, "refuses user name or password")]
#[case::busy(&[b"\x20\x02\0\x03".as_slice()], SHORT, ErrorKind::Disconnected, "says that it is not available")]
#[case::no_mqtt(&[[b'x'; 4096].as_slice()], LONG, ErrorKind::Protocol, "")]
#[case::an_answer_that_was_not_asked_for(&[b"\x90\x03\0\x01\0".as_slice()], LONG, ErrorKind::Protocol, "")]
#[case::endless_packets(&[WELCOME, b"\x30\xff\xff\xff\x7f"], LONG, ErrorKind::Protocol, "268435455 bytes")]
#[case::silence(&[], SHORT, ErrorKind::Disconnected, "the broker has not answered yet")]
fn a_broker_that_does_not_let_one_in_gives_its_reason(#[case] says: &[&[u8]], #[case] time: Duration, #[case] kind: ErrorKind, #[case] what: &str) {
    let setup =
        TasmotaMqttSetup { broker: fake_broker(says), topic: "plug1".into(), relay: 1, user: None, password: None, ca: None, supply: supply() };
    let mut power = open(setup.clone()).unwrap();
    fails_at_last(kind, what, || power.state(&within(&setup.supply, time)).unwrap_err());
}

/// A certificate for this address, with its key; and the authority that signed it.
fn certified(address: &str) -> (String, String, String) {
    let authority = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "authority of the bench");
    let root = params.self_signed(&authority).unwrap().pem();
    let issuer = Issuer::new(params, authority);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "broker of the bench");
    params.subject_alt_names = vec![SanType::IpAddress(address.parse().unwrap())];
    let leaf = params.signed_by(&key, &issuer).unwrap();
    (leaf.pem(), key.serialize_pem(), root)
}

#[test]
fn a_broker_is_spoken_to_over_tls_if_its_authority_is_named() {
    let (certificate, key, root) = certified("127.0.0.1");
    let Some(broker) = Broker::start("127.0.0.1", &Entry { tls: Some((&certificate, &key)), ..Entry::default() }) else { return };
    let dir = tempfile::tempdir().unwrap();
    let ca = written(dir.path(), "ca.pem", &root);
    let Some(_plug) = broker.plug(&["--ca", &ca]) else { return };
    let mut setup = setup(&broker, 1);
    setup.ca = Some(ca.into());
    let mut power = open(setup.clone()).unwrap();
    conforms(&mut *power, &setup.supply);
    assert!(power.describe().contains("TLS"));

    setup.ca = None;
    assert!(open(setup.clone()).unwrap().state(&within(&setup.supply, SHORT)).is_err());
}

#[rstest]
#[case::for_another_host("127.0.0.2", true)]
#[case::by_another_authority("127.0.0.1", false)]
fn a_certificate_that_does_not_fit_is_refused(#[case] host: &str, #[case] right_authority: bool) {
    let (certificate, key, root) = certified(host);
    let (_, _, other) = certified(host);
    let Some(broker) = Broker::start("127.0.0.1", &Entry { tls: Some((&certificate, &key)), ..Entry::default() }) else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut setup = setup(&broker, 1);
    setup.ca = Some(written(dir.path(), "ca.pem", if right_authority { &root } else { &other }).into());
    let error = open(setup.clone()).unwrap().state(&within(&setup.supply, LONG)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(told(&error).contains("certificate is not accepted"), "{}", told(&error));
}

#[test]
fn a_ca_file_without_certificates_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let Some(broker) = Broker::start("127.0.0.1", &Entry::default()) else { return };
    for (name, text) in [("empty.pem", ""), ("text.pem", "no certificate here\n"), ("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n")] {
        let mut setup = setup(&broker, 1);
        setup.ca = Some(written(dir.path(), name, text).into());
        let error = open(setup).err().unwrap();
        assert_eq!(error.kind, ErrorKind::Driver);
        assert!(told(&error).contains(name), "{}", told(&error));
    }
}
