//! Eclipse Paho for Python: a second client, and an oracle of topic filters.

use super::bench::{Bench, content};
use proofbench_peers::mqtt::{Conduct, QoS};
use proofbench_testkit::{Peer, python};
use std::process::Command;

const CLIENT: &str = r#"
import sys, threading
import paho.mqtt.client as mqtt
port, acknowledged = int(sys.argv[1]), sys.argv[2] == "acknowledged"
came = threading.Semaphore(0)
subscribed, connected = threading.Event(), threading.Event()
got = []
def on_message(client, userdata, message):
    got.append(f"{message.topic} {message.qos} {message.payload.decode()}")
    came.release()
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="paho")
client.on_connect = lambda c, u, f, rc, p: connected.set()
client.on_subscribe = lambda c, u, mid, rcs, p: subscribed.set()
client.on_message = on_message
client.connect("127.0.0.1", port)
client.loop_start()
assert connected.wait(30)
if acknowledged:
    client.subscribe([("lab/+", 2), ("harness", 1)])
    assert subscribed.wait(30)
    for qos in 0, 1, 2:
        client.publish("lab/a", f"m{qos}", qos).wait_for_publish(30)
    client.publish("ready", "")
    for _ in range(4):
        assert came.acquire(timeout=30)
    print("\n".join(got))
else:
    for qos in 1, 2:
        sent = client.publish("lab/a", f"m{qos}", qos)
        sent.wait_for_publish(1)
        print(qos, sent.is_published())
client.disconnect()
client.loop_stop()
"#;

fn paho(bench: &Bench, how: &str) -> Option<Peer> {
    let port = bench.broker.address().port().to_string();
    Some(Peer::start(Command::new(python(&["paho.mqtt.client"])?).args(["-c", CLIENT, &port, how])))
}

#[test]
fn messages_of_every_qos_go_out_and_come_back() {
    let bench = Bench::start();
    let Some(client) = paho(&bench, "acknowledged") else { return };
    bench.sees("got PUBLISH to \"ready\"");
    assert_eq!(bench.broker.publish("harness", b"hello", QoS::ExactlyOnce, false).unwrap(), 1);
    let mut lines = content(client);
    lines.sort();
    assert_eq!(lines, ["harness 1 hello", "lab/a 0 m0", "lab/a 1 m1", "lab/a 2 m2"]);
}

#[test]
fn a_publish_that_is_never_acknowledged_is_never_done() {
    let bench = Bench::start();
    bench.broker.conduct(Conduct::NoPublishAck);
    let Some(client) = paho(&bench, "never") else { return };
    assert_eq!(content(client), ["1 False", "2 False"]);
    bench.sees("got PUBLISH to \"lab/a\" QoS 2");
}

/// What the broker delivers is what Paho says a filter picks.
#[test]
fn filters_pick_what_paho_says_they_pick() {
    let Some(python) = python(&["paho.mqtt.client"]) else { return };
    let levels = ["", "a", "b", "$a", "ü"];
    let names: Vec<String> =
        levels.iter().flat_map(|x| levels.iter().flat_map(move |y| [(*x).to_owned(), format!("{x}/{y}"), format!("{x}/{y}/a")])).collect();
    let names: Vec<String> = names.into_iter().filter(|n| !n.is_empty()).collect();
    let filters =
        ["#", "+", "+/+", "/+", "+/#", "a", "a/#", "a/+", "a/+/#", "+/a", "+/b/a", "a//a", "$a/#", "$a/+", "+/$a", "ü/+/a", "/", "/#", "+/+/+"];
    let script = "import sys\nfrom paho.mqtt.client import topic_matches_sub as m\n\
                  names, filters = (a.split('\\n') for a in sys.argv[1:3])\n\
                  print(''.join('01'[m(f, n)] for f in filters for n in names))";
    let said = Command::new(python).args(["-c", script, &names.join("\n"), &filters.join("\n")]).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let said = String::from_utf8(said.stdout).unwrap();
    let mut expected = said.trim().chars();
    for filter in filters {
        let bench = Bench::start();
        let mut client = bench.connected("lamp");
        let length = filter.len() as u8;
        client.send(&[&[0x82, 5 + length, 0, 1, 0, length], filter.as_bytes(), &[0]].concat());
        assert_eq!(client.packet(), b"\x90\x03\x00\x01\x00", "{filter}");
        for name in &names {
            let picked = bench.broker.publish(name, b"", QoS::AtMostOnce, false).unwrap();
            assert_eq!(Some(picked == 1), expected.next().map(|c| c == '1'), "{filter} {name}");
        }
    }
    assert_eq!(expected.next(), None);
}
