//! Messages between mosquitto's clients and the harness through the broker.

use super::bench::{Bench, Ended, content, failed};
use proofbench_peers::mqtt::{Access, Account, QoS};
use rstest::rstest;
use rumqttc::mqttbytes::v4::LastWill;

#[rstest]
#[case("0", QoS::AtMostOnce)]
#[case("1", QoS::AtLeastOnce)]
#[case("2", QoS::ExactlyOnce)]
fn a_message_goes_from_one_client_to_the_other_and_from_the_harness(#[case] qos: &str, #[case] as_qos: QoS) {
    let bench = Bench::start();
    let Some(sub) = bench.mosquitto("mosquitto_sub", &["-i", "sub", "-q", qos, "-t", "lab/+", "-C", "2", "-F", "%t %q %r %p"]) else { return };
    bench.sees("sent SUBACK");
    content(bench.mosquitto("mosquitto_pub", &["-i", "pub", "-q", qos, "-t", "lab/lamp", "-m", "on"]).unwrap());
    let got = bench.sees(&format!("got PUBLISH to \"lab/lamp\" QoS {qos}"));
    assert!(got.bytes.starts_with(&[0x30 | (as_qos as u8) << 1]) && got.bytes.ends_with(b"on"));
    bench.sees("connection 0: sent PUBLISH to \"lab/lamp\"");
    assert_eq!(bench.broker.publish("lab/door", b"open", as_qos, false).unwrap(), 1);
    assert_eq!(bench.broker.publish("other", b"nobody", as_qos, false).unwrap(), 0);
    assert_eq!(content(sub), [format!("lab/lamp {qos} 0 on"), format!("lab/door {qos} 0 open")]);
    bench.sees("connection 0: ended by DISCONNECT");
    bench.sees("connection 1: ended by DISCONNECT");
    let told = bench.told();
    let handshakes = |packet: &str| told.matches(packet).count();
    // In from the one client, out to the other, out from the harness; the last ones may fall to the end of the client that has what it wants.
    match qos {
        "1" => assert!(handshakes("sent PUBACK") == 1 && handshakes("got PUBACK") >= 1, "{told}"),
        "2" => assert!(["sent PUBREC", "got PUBREL", "sent PUBCOMP", "got PUBREC", "sent PUBREL"].iter().all(|p| handshakes(p) >= 1), "{told}"),
        _ => assert_eq!(handshakes("PUBACK"), 0),
    }
}

#[test]
fn a_retained_message_waits_for_who_comes_later_until_it_is_taken_away() {
    let bench = Bench::start();
    let Some(publish) = bench.mosquitto("mosquitto_pub", &["-r", "-q", "1", "-t", "lab/state", "-m", "armed"]) else { return };
    content(publish);
    assert_eq!(bench.broker.retained(), [("lab/state".to_owned(), "armed".into())]);
    let sub = bench.mosquitto("mosquitto_sub", &["-t", "lab/#", "-C", "1", "-F", "%t %r %p"]).unwrap();
    assert_eq!(content(sub), ["lab/state 1 armed"]);
    content(bench.mosquitto("mosquitto_pub", &["-r", "-q", "1", "-t", "lab/state", "-n"]).unwrap());
    assert_eq!(bench.broker.retained(), []);
}

#[test]
fn a_connect_is_told_with_everything_but_the_password() {
    let accounts = vec![Account { user: "lamp".into(), password: "hunter2".into() }];
    let bench = Bench::with(|s| s.access = Access::Passwords(accounts));
    let args = ["-i", "id-1", "-u", "lamp", "-k", "33", "-c", "--will-topic", "gone", "--will-payload", "w", "--will-qos", "1", "--will-retain"];
    let Some(publish) = bench.mosquitto("mosquitto_pub", &[&args[..], &["-P", "hunter2", "-t", "a", "-m", "x"]].concat()) else { return };
    content(publish);
    let words = "got CONNECT client \"id-1\", keep alive 33 s, session to keep, user \"lamp\", password with SHA-256 \
                 f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7, will to \"gone\" QoS 1, retained, 1 bytes";
    let seen = bench.sees(words);
    assert!(seen.bytes.starts_with(b"\x10") && seen.bytes.ends_with(b"\x00\x07*******"), "{:?}", seen.bytes);
    bench.sees("ended by DISCONNECT");
    let (entries, _) = bench.lab.timeline.take();
    assert!(entries.iter().all(|e| !e.what.contains("hunter2") && !e.bytes.windows(7).any(|w| w == b"hunter2")));
    assert!(entries.iter().all(|e| !e.what.contains("publishes its will")), "who says DISCONNECT leaves no will");
}

#[rstest]
#[case::wrong(&["-u", "lamp", "-P", "hunter3"], 4, "bad user name or password")]
#[case::no_password(&["-u", "lamp"], 5, "not authorised")]
#[case::nobody(&[], 5, "not authorised")]
fn who_has_no_account_does_not_come_in(#[case] login: &[&str], #[case] code: i32, #[case] says: &str) {
    let accounts = vec![Account { user: "lamp".into(), password: "hunter2".into() }];
    let bench = Bench::with(|s| s.access = Access::Passwords(accounts));
    let Some(publish) = bench.mosquitto("mosquitto_pub", &[login, &["-t", "a", "-m", "x"]].concat()) else { return };
    let (exit, said) = failed(publish);
    assert!(exit == code && said.contains(says), "{exit}: {said}");
    bench.sees(&format!("sent CONNACK {code}"));
    bench.sees("closed: refused");
    assert!(!bench.told().contains("got PUBLISH"));
}

#[test]
fn a_client_that_is_killed_leaves_its_will() {
    let bench = Bench::start();
    let args = ["-i", "doomed", "-t", "x", "--will-topic", "lab/will", "--will-payload", "dead", "--will-qos", "1", "--will-retain"];
    let Some(mut doomed) = bench.mosquitto("mosquitto_sub", &args) else { return };
    let heir = bench.mosquitto("mosquitto_sub", &["-i", "heir", "-t", "lab/will", "-C", "1"]).unwrap();
    bench.sees("sent SUBACK");
    let first = bench.sees("sent SUBACK").number;
    bench.sees_from(first + 1, "sent SUBACK");
    doomed.kill();
    assert_eq!(content(heir), ["dead"]);
    // With an end or with a reset: an answer that it had not read yet makes it a reset.
    bench.sees("by the client");
    let will = bench.sees("publishes its will to \"lab/will\" QoS 1, retained, 4 bytes");
    assert_eq!(will.bytes, "dead");
    assert_eq!(bench.broker.retained(), [("lab/will".to_owned(), "dead".into())]);
}

#[test]
fn what_comes_while_a_client_is_away_waits_in_the_session_it_keeps() {
    let bench = Bench::start();
    let args = ["-i", "lamp", "-c", "-q", "1", "-t", "lab/#", "-C", "1"];
    let Some(sub) = bench.mosquitto("mosquitto_sub", &args) else { return };
    bench.sees("sent SUBACK");
    bench.broker.publish("lab/a", b"first", QoS::AtLeastOnce, false).unwrap();
    assert_eq!(content(sub), ["first"]);
    bench.sees("ended by");
    let since = bench.lab.timeline.next();
    assert_eq!(bench.broker.publish("lab/a", b"second", QoS::AtLeastOnce, false).unwrap(), 1);
    // At QoS 0 nothing waits.
    bench.broker.publish("lab/a", b"lost", QoS::AtMostOnce, false).unwrap();
    assert_eq!(content(bench.mosquitto("mosquitto_sub", &args).unwrap()), ["second"]);
    bench.sees_from(since, "sent CONNACK 0, session present");
    // Its end may be a reset, if it went before it had read its SUBACK.
    bench.sees_from(since, "got PUBACK id 2");
    let mut clean = bench.connected("lamp");
    clean.send(b"\xc0\x00");
    assert_eq!(clean.packet(), b"\xd0\x00", "a clean session has nothing left");
}

#[test]
fn a_message_that_was_not_acknowledged_comes_again_on_the_next_connection() {
    let bench = Bench::start();
    let connect = |id: &str| {
        let mut client = bench.client();
        client.connect(id, |c| c.clean_session = false);
        client
    };
    let mut client = connect("lamp");
    assert_eq!(client.packet(), b"\x20\x02\x00\x00");
    client.send(b"\x82\x06\x00\x01\x00\x01a\x02");
    assert_eq!(client.packet(), b"\x90\x03\x00\x01\x02");
    bench.broker.publish("a", b"x", QoS::AtLeastOnce, false).unwrap();
    bench.broker.publish("a", b"y", QoS::ExactlyOnce, false).unwrap();
    assert_eq!(client.packet(), b"\x32\x06\x00\x01a\x00\x01x");
    assert_eq!(client.packet(), b"\x34\x06\x00\x01a\x00\x02y");
    client.send(b"\x50\x02\x00\x02");
    assert_eq!(client.packet(), b"\x62\x02\x00\x02");
    // The second connection takes the session over while the first one is still there.
    let mut second = connect("lamp");
    assert_eq!(client.end(), (vec![], Ended::Closed));
    bench.sees("closed: another connection has come with its client identifier");
    assert_eq!(second.packet(), b"\x20\x02\x01\x00");
    assert_eq!(second.packet(), b"\x3a\x06\x00\x01a\x00\x01x");
    assert_eq!(second.packet(), b"\x62\x02\x00\x02");
    second.send(b"\x40\x02\x00\x01\x70\x02\x00\x02\xe0\x00");
    assert_eq!(second.end(), (vec![], Ended::Closed));
    let mut third = connect("lamp");
    third.send(b"\xc0\x00");
    assert_eq!([third.packet(), third.packet()], [b"\x20\x02\x01\x00".to_vec(), b"\xd0\x00".to_vec()]);
}

#[test]
fn a_message_of_qos_2_that_is_sent_twice_is_passed_on_once() {
    let bench = Bench::start();
    let mut client = bench.connected("lamp");
    client.send(b"\x82\x06\x00\x01\x00\x01a\x00");
    assert_eq!(client.packet(), b"\x90\x03\x00\x01\x00");
    client.send(b"\x34\x06\x00\x01a\x00\x07x\x3c\x06\x00\x01a\x00\x07x\x62\x02\x00\x07\x34\x06\x00\x01a\x00\x07y\xc0\x00");
    let packets: Vec<_> = std::iter::from_fn(|| Some(client.packet()).filter(|p| p[0] != 0xd0)).collect();
    let of = |kind: u8| packets.iter().filter(|p| p[0] >> 4 == kind).count();
    assert_eq!((of(3), of(5), of(7)), (2, 3, 1), "{packets:?}");
    assert!(packets.contains(&b"\x30\x04\x00\x01ay".to_vec()));
}

#[test]
fn a_client_that_is_silent_longer_than_its_keep_alive_is_closed_and_leaves_its_will() {
    let bench = Bench::start();
    let mut client = bench.client();
    client.connect("sleeper", |c| {
        c.keep_alive = 1;
        c.last_will = Some(LastWill::new("gone", "w", QoS::AtMostOnce, false));
    });
    assert_eq!(client.packet(), b"\x20\x02\x00\x00");
    assert_eq!(client.end(), (vec![], Ended::Closed));
    bench.sees("closed: its keep alive ran out");
    bench.sees("publishes its will to \"gone\"");
}

#[test]
fn what_is_unsubscribed_does_not_come_any_more() {
    let bench = Bench::start();
    let mut client = bench.connected("lamp");
    client.send(b"\x82\x0a\x00\x01\x00\x01a\x00\x00\x01b\x00");
    assert_eq!(client.packet(), b"\x90\x04\x00\x01\x00\x00");
    client.send(b"\xa2\x05\x00\x02\x00\x01a");
    assert_eq!(client.packet(), b"\xb0\x02\x00\x02");
    assert_eq!(bench.broker.publish("a", b"x", QoS::AtMostOnce, false).unwrap(), 0);
    assert_eq!(bench.broker.publish("b", b"x", QoS::AtMostOnce, false).unwrap(), 1);
    assert_eq!(client.packet(), b"\x30\x04\x00\x01bx");
    bench.sees("got UNSUBSCRIBE id 2 from \"a\"");
}

#[test]
fn subscriptions_that_overlap_bring_a_message_once_at_the_highest_qos() {
    let bench = Bench::start();
    let mut client = bench.connected("lamp");
    client.send(b"\x82\x0a\x00\x01\x00\x01#\x00\x00\x01a\x01");
    assert_eq!(client.packet(), b"\x90\x04\x00\x01\x00\x01");
    bench.broker.publish("a", b"x", QoS::ExactlyOnce, false).unwrap();
    client.send(b"\xc0\x00");
    assert_eq!([client.packet(), client.packet()], [b"\x32\x06\x00\x01a\x00\x01x".to_vec(), b"\xd0\x00".to_vec()]);
}
