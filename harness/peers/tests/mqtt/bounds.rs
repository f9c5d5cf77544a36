//! What a hostile client can do to the broker: nothing but be told of.

use super::bench::{Bench, Ended};
use proofbench_peers::mqtt::{Limits, MqttError, QoS};
use rstest::rstest;

#[test]
fn connections_beyond_the_limit_are_closed_and_there_is_room_again_behind_them() {
    let bench = Bench::with(|s| s.limits.connections = 2);
    let (first, _second) = (bench.connected("a"), bench.connected("b"));
    let (rest, _) = bench.client().end();
    assert!(rest.is_empty());
    bench.sees("closed: there are 2 already");
    drop(first);
    bench.sees("ended by the client without DISCONNECT");
    bench.connected("c");
}

#[test]
fn a_packet_that_is_too_long_ends_the_connection_at_its_announcement() {
    let bench = Bench::with(|s| s.limits.packet = 100);
    let mut client = bench.connected("a");
    client.send(b"\x30\x64\x00\x01a");
    client.send(&[b'x'; 97]);
    client.send(b"\xc0\x00");
    assert_eq!(client.packet(), b"\xd0\x00", "a hundred bytes are taken");
    client.send(b"\x30\x65");
    assert_eq!(client.end(), (vec![], Ended::Closed));
    bench.sees("got what cannot be read: payload size limit exceeded: 101");
    assert!(matches!(bench.broker.publish("a", &[0; 100], QoS::AtMostOnce, false), Err(MqttError::TooLong { length: 101, most: 100 })));
    assert!(matches!(bench.broker.publish("a/#", b"", QoS::AtMostOnce, false), Err(MqttError::Topic(_))));
}

#[test]
fn subscriptions_beyond_the_limit_are_refused_and_the_old_ones_stay() {
    let bench = Bench::with(|s| s.limits.subscriptions = 1);
    let mut client = bench.connected("a");
    client.send(b"\x82\x0e\x00\x01\x00\x01a\x00\x00\x01b\x00\x00\x01a\x01");
    assert_eq!(client.packet(), b"\x90\x05\x00\x01\x00\x80\x01");
    assert_eq!(bench.broker.publish("b", b"", QoS::AtMostOnce, false).unwrap(), 0);
    assert_eq!(bench.broker.publish("a", b"", QoS::AtMostOnce, false).unwrap(), 1);
}

#[test]
fn messages_that_nobody_acknowledges_are_dropped_beyond_the_limit_and_told() {
    let bench = Bench::with(|s| s.limits.queue = 2);
    let mut client = bench.connected("a");
    client.send(b"\x82\x06\x00\x01\x00\x01a\x01");
    assert_eq!(client.packet(), b"\x90\x03\x00\x01\x01");
    for _ in 0..3 {
        bench.broker.publish("a", b"x", QoS::AtLeastOnce, false).unwrap();
    }
    bench.sees("connection 0: dropped, too many wait: PUBLISH to \"a\"");
    client.send(b"\xc0\x00");
    assert_eq!([client.packet()[0], client.packet()[0], client.packet()[0]], [0x32, 0x32, 0xd0]);
}

#[test]
fn retained_messages_beyond_the_limit_are_not_kept_and_told() {
    let bench = Bench::with(|s| s.limits = Limits { retained: 1, ..Limits::default() });
    bench.broker.publish("a", b"x", QoS::AtMostOnce, true).unwrap();
    bench.broker.publish("b", b"x", QoS::AtMostOnce, true).unwrap();
    bench.sees("not retained, there is no room: \"b\"");
    assert_eq!(bench.broker.retained(), [("a".to_owned(), "x".into())]);
}

#[test]
fn sessions_without_a_connection_are_forgotten_from_the_oldest_on() {
    let bench = Bench::with(|s| s.limits.connections = 2);
    let visit = |id: &str| {
        let mut client = bench.client();
        client.connect(id, |c| c.clean_session = false);
        let answer = client.packet();
        client.send(b"\xe0\x00");
        assert_eq!(client.end(), (vec![], Ended::Closed));
        answer[2] == 1
    };
    assert_eq!(["a", "b", "b", "c", "a", "c"].map(visit), [false, false, true, false, false, true]);
}

#[rstest]
#[case::tls_to_a_plain_port(b"\x16\x03\x01\x02\x00\x01\x00\x01", b"", "got what cannot be read")]
#[case::not_connect(b"\xc0\x00", b"", "closed: a packet before CONNECT")]
#[case::mqtt_5(b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x0a\x00\x00\x01x", b"\x20\x02\x00\x01", "another protocol than MQTT 3.1.1")]
#[case::nameless(b"\x10\x0c\x00\x04MQTT\x04\x00\x00\x0a\x00\x00", b"\x20\x02\x00\x02", "closed: refused")]
#[case::wild_will(b"\x10\x13\x00\x04MQTT\x04\x06\x00\x0a\x00\x01x\x00\x01#\x00\x01x", b"", "a will to a topic that is none")]
fn a_client_that_begins_wrongly_is_closed(#[case] sends: &[u8], #[case] answer: &[u8], #[case] told: &str) {
    let bench = Bench::start();
    let mut client = bench.client();
    client.send(sends);
    assert_eq!(client.end(), (answer.to_vec(), Ended::Closed));
    bench.sees(told);
    bench.connected("the next one");
}

#[rstest]
#[case::second_connect(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x0a\x00\x01x", "closed: a second CONNECT")]
#[case::connack(b"\x20\x02\x00\x00", "closed: a packet that only servers send")]
#[case::qos_3(b"\x36\x06\x00\x01a\x00\x01x", "got what cannot be read")]
#[case::wildcard(b"\x30\x04\x00\x01+x", "a topic that is none")]
fn a_client_that_goes_on_wrongly_is_closed(#[case] sends: &[u8], #[case] told: &str) {
    let bench = Bench::start();
    let mut client = bench.connected("a");
    client.send(sends);
    assert_eq!(client.end(), (vec![], Ended::Closed));
    bench.sees(told);
    bench.connected("the next one");
}

#[test]
fn a_part_of_a_packet_is_told_at_the_end() {
    let bench = Bench::start();
    let mut client = bench.connected("a");
    client.send(b"\x30\x20\x00\x05ab");
    drop(client);
    assert_eq!(bench.sees("no more than a part of a packet").bytes, b"\x30\x20\x00\x05ab"[..]);
    bench.sees("ended by the client without DISCONNECT");
}

#[test]
fn foreign_text_is_escaped() {
    let bench = Bench::start();
    bench.connected("a\nconnection 7: \u{1b}[0m");
    bench.sees(r#"got CONNECT client "a\nconnection 7: \u{1b}[0m""#);
}

#[test]
fn who_is_connected_is_known_and_all_ends_with_the_broker() {
    let bench = Bench::start();
    let (named, unnamed) = (bench.connected("lamp"), bench.client());
    bench.sees("connection 1: from");
    let clients: Vec<_> = bench.broker.clients().into_iter().map(|c| (c.connection, c.id)).collect();
    assert_eq!(clients, [(0, Some("lamp".to_owned())), (1, None)]);
    let address = bench.broker.address();
    drop(bench.broker);
    named.end();
    unnamed.end();
    // The port is free again once the listening task is gone, which is before or soon after its connections are.
    while std::net::TcpListener::bind(address).is_err() {
        std::thread::yield_now();
    }
}
