//! The broker before mosquitto's clients, and before packets by hand.

use crate::bench::{Bench, LONG};
use proofbench_channel::network::{BrokerConduct, Certificate, Front, Network, Sight, Trade};
use proofbench_testkit::{Peer, find};
use rstest::rstest;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

const HOST: &str = "broker.example";

fn bench(front: Front, conduct: BrokerConduct) -> Bench {
    let mut bench = Bench::new();
    bench.serve(HOST, 8883, front, Trade::Broker(conduct));
    bench
}

/// CONNECT of client `d`, user `u`, password `p`.
const CONNECT: &[u8] = b"\x10\x13\x00\x04MQTT\x04\xc2\x00\x3c\x00\x01d\x00\x01u\x00\x01p";
const CONNACK: &[u8] = b"\x20\x02\x00\x00";

fn client(bench: &Bench) -> TcpStream {
    let stream = TcpStream::connect(bench.place(HOST, 8883)).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

fn expect(stream: &mut TcpStream, bytes: &[u8]) {
    let mut read = vec![0; bytes.len()];
    stream.read_exact(&mut read).unwrap();
    assert_eq!(read, bytes);
}

#[test]
fn a_client_comes_subscribes_publishes_and_is_published_to() {
    let mut bench = bench(Front::Plain, BrokerConduct::Proper);
    let mut stream = client(&bench);
    stream.write_all(CONNECT).unwrap();
    expect(&mut stream, CONNACK);
    stream.write_all(b"\x82\x08\x00\x01\x00\x03a/#\x00").unwrap();
    expect(&mut stream, b"\x90\x03\x00\x01\x00");
    let wait = bench.long();
    assert_eq!(bench.lab.publish("a/b", b"on", false, &wait).unwrap(), 1);
    assert_eq!(bench.lab.publish("b", b"on", false, &wait).unwrap(), 0);
    expect(&mut stream, b"\x30\x07\x00\x03a/bon");
    stream.write_all(b"\x33\x09\x00\x01t\x00\x0721.5\xe0\x00").unwrap();
    expect(&mut stream, b"\x40\x02\x00\x07");
    drop(stream);
    let conn = bench.sees("connect", |s| matches!(s.sight, Sight::Connect { .. })).conn;
    let sights = bench.until_end(conn);
    let told = [
        Sight::Dialled { hello: None },
        Sight::Connect { client: "d".to_owned(), user: Some("u".to_owned()), secret: true },
        Sight::Subscribed { filter: "a/#".to_owned() },
        Sight::Published { topic: "t".to_owned(), payload: b"21.5".to_vec(), retain: true },
        Sight::Ended(proofbench_channel::network::End::Fin),
    ];
    assert_eq!(sights, told);
    assert!(!format!("{sights:?}").contains("\"p\""), "the password is not kept");
}

#[rstest]
#[case::refused(BrokerConduct::Refuse(5), b"\x20\x02\x00\x05")]
#[case::bytes(BrokerConduct::Bytes(b"junk".to_vec()), b"\x20\x02\x00\x00junk")]
#[case::no_acknowledgement(BrokerConduct::NoPublishAck, b"\x20\x02\x00\x00\xd0\x00")]
#[case::no_connack(BrokerConduct::NoConnack, b"")]
fn a_broker_does_what_it_was_told(#[case] conduct: BrokerConduct, #[case] said: &[u8]) {
    let mut bench = bench(Front::Plain, conduct);
    let mut stream = client(&bench);
    stream.write_all(CONNECT).unwrap();
    // PUBLISH of QoS 1, and a ping, which is answered behind what is answered to that.
    let _ = stream.write_all(b"\x32\x06\x00\x01t\x00\x07x\xc0\x00");
    expect(&mut stream, said);
    bench.sees("connect", |s| matches!(s.sight, Sight::Connect { .. }));
}

#[test]
fn mosquittos_clients_are_content_over_tls() {
    let (Some(publisher), Some(subscriber)) = (find("mosquitto_pub"), find("mosquitto_sub")) else { return };
    let mut bench = bench(Front::Tls(Certificate::Good), BrokerConduct::Proper);
    let trust = bench.trust();
    let place = bench.place(HOST, 8883);
    let command = |program: &std::path::Path, options: &[&str]| {
        let mut command = Command::new(program);
        command.args(["-h", &place.ip().to_string(), "-p", &place.port().to_string(), "--insecure", "--cafile"]).arg(trust.path()).args(options);
        command
    };
    let mut sub = Peer::start(&mut command(&subscriber, &["-t", "lab/#", "-q", "1", "-C", "2"]));
    bench.sees("subscription", |s| s.sight == Sight::Subscribed { filter: "lab/#".to_owned() });
    assert!(Peer::start(&mut command(&publisher, &["-t", "lab/a", "-q", "2", "-m", "hello"])).end().success());
    let wait = bench.long();
    assert_eq!(bench.lab.publish("lab/b", b"there", false, &wait).unwrap(), 1);
    assert!(sub.end().success());
    assert_eq!(sub.output(), ["hello", "there"]);
    let published = Sight::Published { topic: "lab/a".to_owned(), payload: b"hello".to_vec(), retain: false };
    bench.sees("publication", |s| s.sight == published);
}
