//! The section `[power]` of benches with network plugs: what is written arrives, mistakes are told with their place, secrets are nowhere shown.
#![allow(clippy::unwrap_used)] // the lint knows test functions, not their helpers

use proofbench_channel::{Cancel, Moment, PowerAsk, PowerSeen, Wait};
use proofbench_rig::settings::SecretRef;
use proofbench_rig::settings::power::{PowerDriver, shelly, tasmota_http, tasmota_mqtt};
use proofbench_rig::{Device, ResolvedRig, load_dossier};
use proofbench_testkit::{Peer, fixture, python};
use rstest::rstest;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

fn resolve(rest: &str) -> Result<ResolvedRig, String> {
    let text = format!("format = 1\ndossier = \"d\"\n[power]\n{rest}");
    ResolvedRig::from_text(Path::new("rigs/bench.toml"), &text).map_err(|e| e.to_string())
}

fn power(rest: &str) -> PowerDriver {
    let rig = resolve(rest).unwrap_or_else(|e| panic!("{e}"));
    assert!(matches!(rig.device, Device::Real) && rig.lease.is_some());
    rig.drivers.power.unwrap()
}

const SAID: Duration = Duration::from_millis(1500);
const UNSAID: Duration = Duration::from_secs(5);

#[test]
fn what_is_written_of_a_plug_behind_a_broker_arrives() {
    let text = "driver = \"tasmota-mqtt\"\nbroker = \"broker.lab:1883\"\ntopic = \"bench/plug1\"\n";
    let mut made = tasmota_mqtt::TasmotaMqtt {
        broker: "broker.lab:1883".to_owned(),
        topic: "bench/plug1".to_owned(),
        relay: 1,
        user: None,
        password: None,
        ca: None,
        off_min: UNSAID,
    };
    assert_eq!(power(text), PowerDriver::TasmotaMqtt(made.clone()));
    made.relay = 2;
    made.user = Some("bench".to_owned());
    made.password = Some(SecretRef::Env("PLUG".to_owned()));
    made.ca = Some("ca.pem".to_owned());
    made.off_min = SAID;
    let more = "relay = 2\nuser = \"bench\"\npassword = { env = \"PLUG\" }\nca = \"ca.pem\"\noff-min = \"1500ms\"\n";
    assert_eq!(power(&format!("{text}{more}")), PowerDriver::TasmotaMqtt(made));
}

#[test]
fn what_is_written_of_a_plug_with_a_web_interface_arrives() {
    let text = "driver = \"tasmota-http\"\nurl = \"http://plug.lab:8080\"\n";
    let mut made = tasmota_http::TasmotaHttp { url: "http://plug.lab:8080".to_owned(), relay: 1, user: None, password: None, off_min: UNSAID };
    assert_eq!(power(text), PowerDriver::TasmotaHttp(made.clone()));
    made.relay = 4;
    made.user = Some("admin".to_owned());
    made.password = Some(SecretRef::File("plug.secret".to_owned()));
    made.off_min = SAID;
    let more = "relay = 4\nuser = \"admin\"\npassword = { file = \"plug.secret\" }\noff-min = \"1500ms\"\n";
    assert_eq!(power(&format!("{text}{more}")), PowerDriver::TasmotaHttp(made));
}

#[test]
fn what_is_written_of_a_shelly_arrives() {
    let text = "driver = \"shelly\"\nurl = \"http://192.0.2.7\"\n";
    let mut made = shelly::Shelly { url: "http://192.0.2.7".to_owned(), switch: 0, password: None, off_min: UNSAID };
    assert_eq!(power(text), PowerDriver::Shelly(made.clone()));
    made.switch = 3;
    made.password = Some(SecretRef::Env("SHELLY".to_owned()));
    made.off_min = SAID;
    let more = "switch = 3\npassword = { env = \"SHELLY\" }\noff-min = \"1500ms\"\n";
    assert_eq!(power(&format!("{text}{more}")), PowerDriver::Shelly(made));
}

#[test]
fn what_a_driver_gives_as_an_example_is_right() {
    for driver in ["tasmota-mqtt", "tasmota-http", "shelly"] {
        let error = resolve(&format!("driver = \"{driver}\"\n")).unwrap_err();
        let example = error.split_once("; valid: ").unwrap_or_else(|| panic!("{error}")).1;
        resolve(&format!("driver = \"{driver}\"\n{example}\n")).unwrap_or_else(|e| panic!("{e}"));
    }
}

#[rstest]
#[case::driver(
    "driver = \"tasmota\"\n",
    "4:10: `tasmota`: no driver of this channel; valid: emulator, board, qemu, usb-hub, tasmota-mqtt, tasmota-http, "
)]
#[case::broker("driver = \"tasmota-mqtt\"\nbroker = \"broker\"\ntopic = \"p\"\n", "5:10: `broker`: no address; valid: host:port")]
#[case::topic(
    "driver = \"tasmota-mqtt\"\nbroker = \"b:1883\"\ntopic = \"plug/#\"\n",
    "6:9: `plug/#`: no topic of a plug: `+`, `#` and NUL are not for topics; valid: what its setting Topic says, such as plug1"
)]
#[case::relay("driver = \"tasmota-mqtt\"\nbroker = \"b:1883\"\ntopic = \"p\"\nrelay = 0\n", "7:9: `0`: no relay of a Tasmota; valid: 1 to 32")]
#[case::password_alone(
    "driver = \"tasmota-mqtt\"\nbroker = \"b:1883\"\ntopic = \"p\"\npassword = { env = \"P\" }\n",
    "7:12: `{ env = \"P\" }`: MQTT knows no password without a `user`; valid: user = \"bench\""
)]
#[case::password_in_the_file(
    "driver = \"shelly\"\nurl = \"http://p\"\npassword = \"hunter2\"\n",
    "4:10: `shelly`: a secret does not stand in the rig file itself; valid: { env = \"NAME\" }, { file = \"path\" }"
)]
#[case::password_from_elsewhere(
    "driver = \"shelly\"\nurl = \"http://p\"\npassword = { vault = \"x\" }\n",
    "6:14: `vault`: unknown variant `vault`, expected `env` or `file`"
)]
#[case::https(
    "driver = \"shelly\"\nurl = \"https://p\"\n",
    "5:7: `https://p`: no URL of a plug: plugs are spoken to in plain HTTP; valid: http://192.0.2.7"
)]
#[case::page("driver = \"tasmota-http\"\nurl = \"http://p/cm\"\n", "5:7: `http://p/cm`: no URL of a plug: it is to name a host")]
#[case::password_in_the_url(
    "driver = \"tasmota-http\"\nurl = \"http://admin:hunter2@p\"\n",
    "4:10: `tasmota-http`: no `url` of a plug: user and password have keys of their own; valid: http://192.0.2.7"
)]
#[case::relay_of_a_shelly(
    "driver = \"shelly\"\nurl = \"http://p\"\nrelay = 1\n",
    "6:1: `relay`: unknown field `relay`, expected one of `url`, `switch`"
)]
#[case::switch("driver = \"shelly\"\nurl = \"http://p\"\nswitch = -1\n", "6:10: `-1`: ")]
#[case::off_min("driver = \"shelly\"\nurl = \"http://p\"\noff-min = \"2\"\n", "6:11: `2`: no span of time, such as")]
fn a_mistake_is_told_with_its_place(#[case] rest: &str, #[case] message: &str) {
    let error = resolve(rest).expect_err("this section is wrong");
    let place = error.strip_prefix("rigs/bench.toml:").unwrap_or_else(|| panic!("{error}"));
    assert!(place.starts_with(message), "{error}\nshould begin with\n{message}");
}

/// A rig file in a folder of its own, with a secret beside it.
fn opened(rest: &str) -> (tempfile::TempDir, Result<proofbench_rig::Rig, String>) {
    let dir = tempfile::TempDir::new().unwrap();
    let dossier = fixture("fixtures/devices/thermostat");
    let file = dir.path().join("bench.toml");
    std::fs::write(dir.path().join("plug.secret"), "hunter2\n").unwrap();
    std::fs::write(&file, format!("format = 1\ndossier = \"{}\"\n[power]\n{rest}", dossier.display())).unwrap();
    let rig = ResolvedRig::load(&file).unwrap();
    let opened = rig.open(Arc::new(load_dossier(&dossier).unwrap()), 1, "a test").map_err(|e| e.to_string());
    (dir, opened)
}

#[test]
fn plugs_are_opened_without_a_word_and_described_without_their_secrets() {
    // Nothing listens there: a bench whose plug is away can be opened, and is told by the first call.
    let secret = "password = { file = \"plug.secret\" }\n";
    for (rest, says) in [
        (
            "driver = \"tasmota-mqtt\"\nbroker = \"127.0.0.1:1\"\ntopic = \"plug1\"\nuser = \"bench\"\n",
            "Tasmota plug plug1 relay 1 behind 127.0.0.1:1",
        ),
        ("driver = \"tasmota-http\"\nurl = \"http://127.0.0.1:1\"\n", "Tasmota plug relay 1 of http://127.0.0.1:1"),
        ("driver = \"shelly\"\nurl = \"http://127.0.0.1:1\"\n", "Shelly plug switch 0 of http://127.0.0.1:1"),
    ] {
        let rig = opened(&format!("{rest}{secret}")).1.unwrap_or_else(|e| panic!("{e}"));
        let described = format!("{:?}", rig.channels.describe());
        assert!(described.contains(says) && !described.contains("hunter2"), "{described}");
    }
}

#[test]
fn a_secret_or_a_certificate_that_is_not_there_is_named() {
    let mqtt = "driver = \"tasmota-mqtt\"\nbroker = \"127.0.0.1:1\"\ntopic = \"p\"\nca = \"no-ca.pem\"\n";
    let shelly = "driver = \"shelly\"\nurl = \"http://127.0.0.1:1\"\npassword = { file = \"no.secret\" }\n";
    for (rest, says) in [(mqtt, "no-ca.pem"), (shelly, "no.secret")] {
        let error = opened(rest).1.err().unwrap();
        assert!(error.contains("open [power]: ") && error.contains(says), "{error}");
    }
}

#[rstest]
#[case::tasmota("tasmota_http.py", "tasmota-http")]
#[case::shelly("shelly_gen2.py", "shelly")]
fn a_rig_file_switches_a_plug_with_the_secret_beside_it(#[case] script: &str, #[case] driver: &str) {
    let Some(python) = python(&["json"]) else { return };
    let script = fixture("fixtures/peers").join(script);
    let mut plug = Peer::start(Command::new(python).arg(script).args(["--password", "hunter2"]).env("PYTHONDONTWRITEBYTECODE", "1"));
    let port = plug.ready();
    let (_dir, rig) = opened(&format!("driver = \"{driver}\"\nurl = \"http://127.0.0.1:{port}\"\npassword = {{ file = \"plug.secret\" }}\n"));
    let mut channels = rig.unwrap_or_else(|e| panic!("{e}")).channels;
    let power = channels.power.as_mut().unwrap();
    let wait = Wait::until(Moment(u64::MAX), &Cancel::new());
    power.set(PowerAsk::On, &wait).unwrap();
    assert_eq!(power.state(&wait).unwrap(), PowerSeen::On);
    plug.wait_for_line("relay 1 on");
}
