//! Every misbehaviour, seen by a client.

use super::bench::{Bench, Ended, content, failed};
use bytes::Bytes;
use proofbench_peers::mqtt::{Conduct, Malformed, MqttError, PacketType, QoS};
use rstest::rstest;

#[rstest]
#[case(1, "unacceptable protocol version")]
#[case(2, "identifier rejected")]
#[case(3, "broker unavailable")]
#[case(4, "bad user name or password")]
#[case(5, "not authorised")]
#[case(0x7f, "unknown reason")]
fn a_connection_is_refused_with_every_code(#[case] code: u8, #[case] says: &str) {
    let bench = Bench::start();
    bench.broker.conduct(Conduct::Refuse(code));
    let Some(publish) = bench.mosquitto("mosquitto_pub", &["-t", "a", "-m", "x"]) else { return };
    let (exit, said) = failed(publish);
    assert!(exit == i32::from(code) && said.contains(says), "{exit}: {said}");
    bench.sees("closed: refused as told");
    bench.broker.conduct(Conduct::Proper);
    content(bench.mosquitto("mosquitto_pub", &["-t", "a", "-m", "x"]).unwrap());
}

#[test]
fn a_connect_is_never_answered() {
    let bench = Bench::start();
    bench.broker.conduct(Conduct::NoConnack);
    if let Some(sub) = bench.mosquitto("mosquitto_sub", &["-d", "-t", "a", "-W", "1"]) {
        let (_, said) = failed(sub);
        assert!(said.contains("sending CONNECT") && !said.contains("received CONNACK"), "{said}");
    }
    let since = bench.lab.timeline.next();
    let mut client = bench.client();
    client.connect("lamp", |_| {});
    client.send(b"\xc0\x00");
    // What would have been sent was sent before the next packet is read.
    bench.sees_from(since, "got PINGREQ");
    let number = bench.broker.clients().last().unwrap().connection;
    bench.broker.reset(number).unwrap();
    assert_eq!(client.end(), (vec![], Ended::Reset));
    assert!(!bench.told().contains("sent"));
}

#[test]
fn nothing_is_sent_after_connect() {
    let bench = Bench::start();
    let mut client = bench.client();
    bench.broker.conduct(Conduct::SilentAfterConnect);
    client.connect("lamp", |_| {});
    assert_eq!(client.packet(), b"\x20\x02\x00\x00");
    client.send(b"\x82\x06\x00\x01\x00\x01a\x01\x32\x06\x00\x01a\x00\x01x\xc0\x00");
    bench.sees("got PINGREQ");
    bench.broker.reset(0).unwrap();
    assert_eq!(client.end(), (vec![], Ended::Reset));
    if let Some(sub) = bench.mosquitto("mosquitto_sub", &["-d", "-t", "a", "-W", "1"]) {
        let (exit, said) = failed(sub);
        assert!(exit == 27 && said.contains("received CONNACK (0)") && !said.contains("received SUBACK"), "{exit}: {said}");
    }
}

#[test]
fn a_client_that_had_subscribed_hears_nothing_while_the_broker_is_silent_and_everything_afterwards() {
    let bench = Bench::start();
    let mut client = bench.connected("lamp");
    client.send(b"\x82\x06\x00\x01\x00\x01a\x00");
    assert_eq!(client.packet(), b"\x90\x03\x00\x01\x00");
    bench.broker.conduct(Conduct::SilentAfterConnect);
    bench.broker.publish("a", b"x", QoS::AtMostOnce, false).unwrap();
    bench.broker.conduct(Conduct::Proper);
    bench.broker.publish("a", b"y", QoS::AtMostOnce, false).unwrap();
    assert_eq!(client.packet(), b"\x30\x04\x00\x01ay");
}

#[test]
fn a_publish_is_passed_on_and_never_acknowledged() {
    let bench = Bench::start();
    let mut listener = bench.connected("listener");
    listener.send(b"\x82\x06\x00\x01\x00\x01a\x00");
    listener.packet();
    bench.broker.conduct(Conduct::NoPublishAck);
    let mut client = bench.connected("lamp");
    let exchange = b"\x32\x06\x00\x01a\x00\x01x\x34\x06\x00\x01a\x00\x02y\x62\x02\x00\x02\xc0\x00";
    client.send(exchange);
    assert_eq!(client.packet(), b"\xd0\x00");
    assert_eq!([listener.packet(), listener.packet()], [b"\x30\x04\x00\x01ax".to_vec(), b"\x30\x04\x00\x01ay".to_vec()]);
    bench.broker.conduct(Conduct::Proper);
    client.send(exchange);
    assert_eq!([(); 4].map(|()| client.packet()[0]), [0x40, 0x50, 0x70, 0xd0]);
}

#[test]
fn a_subscribe_is_never_acknowledged() {
    let bench = Bench::start();
    bench.broker.conduct(Conduct::NoSubscribeAck);
    let mut client = bench.connected("lamp");
    client.send(b"\x82\x06\x00\x01\x00\x01a\x01\xc0\x00");
    assert_eq!(client.packet(), b"\xd0\x00");
    assert_eq!(bench.broker.publish("a", b"x", QoS::AtMostOnce, false).unwrap(), 1);
    assert_eq!(client.packet(), b"\x30\x04\x00\x01ax");
    if let Some(sub) = bench.mosquitto("mosquitto_sub", &["-d", "-t", "b", "-W", "1"]) {
        let (exit, said) = failed(sub);
        assert!(exit == 27 && said.contains("sending SUBSCRIBE") && !said.contains("received SUBACK"), "{exit}: {said}");
    }
}

#[rstest]
#[case(PacketType::Connect, b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01x", false)]
#[case(PacketType::Publish, b"\x32\x06\x00\x01a\x00\x01x", true)]
#[case(PacketType::PubRel, b"\x62\x02\x00\x01", true)]
#[case(PacketType::Subscribe, b"\x82\x06\x00\x01\x00\x01a\x01", true)]
#[case(PacketType::PingReq, b"\xc0\x00", true)]
#[case(PacketType::Disconnect, b"\xe0\x00", true)]
fn a_connection_is_reset_at_a_packet(#[case] at: PacketType, #[case] packet: &[u8], #[case] connects: bool) {
    let bench = Bench::start();
    bench.broker.conduct(Conduct::ResetAt(at));
    let mut client = if connects { bench.connected("lamp") } else { bench.client() };
    client.send(packet);
    assert_eq!(client.end(), (vec![], Ended::Reset));
    bench.sees("reset as told");
}

#[test]
fn a_real_client_sees_the_reset() {
    let bench = Bench::start();
    bench.broker.conduct(Conduct::ResetAt(PacketType::Connect));
    let Some(publish) = bench.mosquitto("mosquitto_pub", &["-t", "a", "-m", "x"]) else { return };
    let (exit, said) = failed(publish);
    assert!(exit == 7 && said.contains("The connection was lost"), "{exit}: {said}");
}

#[test]
fn a_client_is_flooded() {
    let bench = Bench::start();
    bench.broker.conduct(Conduct::Flood { topic: "flood".into(), count: 1500, size: 300 });
    let Some(sub) = bench.mosquitto("mosquitto_sub", &["-t", "unrelated", "-C", "1500", "-F", "%t %l"]) else { return };
    let said = content(sub);
    assert_eq!(said.len(), 1500);
    assert!(said.iter().all(|line| line == "flood 300"));
    bench.sees("sent 1500 PUBLISHes of 300 bytes");
}

#[test]
fn a_client_is_heard_in_the_middle_of_a_flood() {
    let bench = Bench::start();
    let mut client = bench.connected("lamp");
    bench.broker.conduct_of(0, Conduct::Flood { topic: "f".into(), count: u32::MAX, size: 0 }).unwrap();
    client.send(b"\xc0\x00");
    while client.packet() != b"\xd0\x00" {}
    bench.broker.reset(0).unwrap();
    assert_eq!(client.end().1, Ended::Reset);
}

#[rstest]
fn malformed_packets_come_behind_the_connack(#[values(false, true)] later: bool) {
    for malformed in Malformed::ALL {
        let bench = Bench::start();
        let mut client;
        if later {
            client = bench.connected("lamp");
            bench.broker.conduct_of(0, Conduct::Malformed(malformed)).unwrap();
        } else {
            bench.broker.conduct(Conduct::Malformed(malformed));
            client = bench.connected("lamp");
        }
        assert_eq!(client.bytes(malformed.bytes().len()), malformed.bytes());
        let told = bench.sees(&format!("sent malformed {malformed:?}"));
        assert_eq!(told.bytes, malformed.bytes());
        client.send(b"\xc0\x00\xe0\x00");
        // Behind a packet that announces more than is sent nothing may come.
        let unfinished = matches!(malformed, Malformed::LongerThanSent | Malformed::Oversize);
        assert_eq!(client.end(), (if unfinished { vec![] } else { b"\xd0\x00".to_vec() }, Ended::Closed), "{malformed:?}");
    }
}

#[rstest]
#[case(Malformed::FiveByteLength, "A network protocol error occurred")]
#[case(Malformed::EmptyTopic, "A network protocol error occurred")]
#[case(Malformed::TypeZero, "Unrecognised command 0")]
#[case(Malformed::TypeFifteen, "received AUTH")]
#[case(Malformed::QosThree, "received PUBLISH (d0, q3")]
#[case(Malformed::IdZero, "A network protocol error occurred")]
fn a_real_client_gives_up_at_what_is_malformed(#[case] malformed: Malformed, #[case] says: &str) {
    let bench = Bench::start();
    bench.broker.conduct(Conduct::Malformed(malformed));
    let Some(sub) = bench.mosquitto("mosquitto_sub", &["-d", "-t", "b"]) else { return };
    let (exit, said) = failed(sub);
    assert!(exit == 2 && said.contains("received CONNACK (0)") && said.contains(says), "{exit}: {said}");
}

#[rstest]
#[case(Malformed::WrongFlags, "received PINGRESP")]
#[case(Malformed::UnaskedSuback, "Subscribed (mid: 4660)")]
#[case(Malformed::SecondConnack, "received CONNACK (0)\nClient (null) sending SUBSCRIBE (Mid: 2")]
fn a_real_client_swallows_what_is_malformed(#[case] malformed: Malformed, #[case] says: &str) {
    let bench = Bench::start();
    bench.broker.conduct(Conduct::Malformed(malformed));
    let Some(sub) = bench.mosquitto("mosquitto_sub", &["-d", "-t", "b", "-C", "1"]) else { return };
    bench.sees("sent malformed");
    bench.sees("sent SUBACK");
    bench.broker.publish("b", b"", QoS::AtMostOnce, false).unwrap();
    let said = content(sub).join("\n");
    assert!(said.contains(says), "{said}");
}

#[rstest]
#[case(Malformed::LongerThanSent)]
#[case(Malformed::Oversize)]
fn a_real_client_waits_for_what_was_announced(#[case] malformed: Malformed) {
    let bench = Bench::start();
    bench.broker.conduct(Conduct::Malformed(malformed));
    let Some(sub) = bench.mosquitto("mosquitto_sub", &["-d", "-t", "b", "-W", "1"]) else { return };
    let (exit, said) = failed(sub);
    assert!(exit == 27 && !said.contains("received PUBLISH") && !said.contains("received SUBACK"), "{exit}: {said}");
    bench.sees(&format!("sent malformed {malformed:?}"));
    bench.sees("got SUBSCRIBE");
}

#[test]
fn a_real_client_comes_again_after_a_topic_that_is_no_text() {
    let bench = Bench::start();
    bench.broker.conduct(Conduct::Malformed(Malformed::TopicNotUtf8));
    let Some(_sub) = bench.mosquitto("mosquitto_sub", &["-t", "b"]) else { return };
    bench.sees("connection 0: sent malformed");
    bench.sees("connection 1: got CONNECT");
}

#[test]
fn any_bytes_are_sent_to_one_connection_and_not_to_the_other() {
    let bench = Bench::start();
    let (mut one, mut other) = (bench.connected("one"), bench.connected("other"));
    bench.broker.conduct_of(0, Conduct::Bytes(Bytes::from_static(b"\x30\x04\x00\x01a?"))).unwrap();
    assert_eq!(one.packet(), b"\x30\x04\x00\x01a?");
    other.send(b"\xc0\x00");
    assert_eq!(other.packet(), b"\xd0\x00");
    bench.sees("sent 6 bytes as told");
    assert!(matches!(bench.broker.conduct_of(7, Conduct::Proper), Err(MqttError::NoConnection(7))));
    assert!(matches!(bench.broker.reset(7), Err(MqttError::NoConnection(7))));
}
