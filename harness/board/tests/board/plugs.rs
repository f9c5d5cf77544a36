//! The board's power behind network plugs: the drivers of real plugs, their peers, and a device that dies and starts as it is told, or does not.

use crate::switched::Switched;
use proofbench_channel::{Cancel, Power, PowerAsk, PowerSeen, Wait};
use proofbench_drivers::TimeBase;
use proofbench_drivers::power::shelly::{self, ShellySetup};
use proofbench_drivers::power::tasmota_http::{self, TasmotaHttpSetup};
use proofbench_drivers::power::tasmota_mqtt::{self, TasmotaMqttSetup};
use proofbench_drivers::power::{OFF_MIN_UNSAID, Supply};
use proofbench_testkit::{Peer, find, fixture, free_port, python};
use std::process::Command;
use std::time::Duration;

fn supply() -> Supply {
    Supply { time: TimeBase::real(), off_min: OFF_MIN_UNSAID }
}

fn wait(supply: &Supply) -> Wait {
    Wait::until(supply.time.now() + Duration::from_secs(60), &Cancel::new())
}

/// A peer whose first relay is the board's switch.
fn plug(script: &str, board: &Switched, more: &[&str]) -> Option<Peer> {
    let python = python(&[if script.contains("mqtt") { "paho.mqtt.client" } else { "json" }])?;
    let mut command = Command::new(python);
    command.arg(fixture("fixtures/peers").join(script)).args(["--switch", &format!("127.0.0.1:{}", board.port("switch"))]).args(more);
    Some(Peer::start(command.env("PYTHONDONTWRITEBYTECODE", "1")))
}

/// On, off and on again: the device lives and dies with it. The plug answers when the board has been told, so nothing is waited for but the boot.
fn cuts(power: &mut dyn Power, board: &mut Switched, supply: &Supply) {
    assert_eq!(board.ask("state"), "off");
    for _ in 0..2 {
        power.set(PowerAsk::On, &wait(supply)).unwrap();
        assert_eq!(board.ask("state"), "on");
        let boot = board.raw().expect("login: ");
        assert!(boot.contains("cause=power-on") && boot.contains("ram=lost"), "{boot}");
        assert!(power.current(&wait(supply)).unwrap().unwrap().0 > 0);
        power.set(PowerAsk::Off, &wait(supply)).unwrap();
        assert_eq!([board.ask("state"), board.ask("pid")], ["off", "none"]);
        assert_eq!(power.state(&wait(supply)).unwrap(), PowerSeen::Off);
    }
}

#[test]
fn a_tasmota_plug_by_http_cuts_the_boards_power() {
    let (mut board, supply) = (Switched::new(&[]), supply());
    let Some(mut peer) = plug("tasmota_http.py", &board, &[]) else { return };
    let url = format!("http://127.0.0.1:{}", peer.ready());
    let mut power = tasmota_http::open(TasmotaHttpSetup { url, relay: 1, user: None, password: None, supply }).unwrap();
    cuts(&mut *power, &mut board, &supply);
}

#[test]
fn a_shelly_plug_cuts_the_boards_power() {
    let (mut board, supply) = (Switched::new(&[]), supply());
    let Some(mut peer) = plug("shelly_gen2.py", &board, &[]) else { return };
    let url = format!("http://127.0.0.1:{}", peer.ready());
    let mut power = shelly::open(ShellySetup { url, switch: 0, password: None, supply }).unwrap();
    cuts(&mut *power, &mut board, &supply);
}

#[test]
fn a_tasmota_plug_behind_a_broker_cuts_the_boards_power() {
    let Some(mosquitto) = find("mosquitto") else { return };
    let (mut board, supply) = (Switched::new(&[]), supply());
    let port = free_port().to_string();
    let config = board.dir.path().join("mosquitto.conf");
    std::fs::write(&config, format!("listener {port} 127.0.0.1\nuser root\nallow_anonymous true\nlog_dest stderr\n")).unwrap();
    let mut broker = Peer::start(Command::new(mosquitto).arg("-c").arg(&config));
    broker.wait_for_line(" running");
    let Some(mut peer) = plug("tasmota_mqtt.py", &board, &["--port", &port]) else { return };
    peer.ready();
    let broker = format!("127.0.0.1:{port}");
    let setup = TasmotaMqttSetup { broker, topic: "plug1".into(), relay: 1, user: None, password: None, ca: None, supply };
    cuts(&mut *tasmota_mqtt::open(setup).unwrap(), &mut board, &supply);
}

/// What a plug says is no witness: the device goes on talking.
#[test]
fn a_plug_that_lies_leaves_the_device_alive_on_its_console() {
    let (mut board, supply) = (Switched::new(&[]), supply());
    let mut terminal = board.power_on();
    let Some(mut peer) = plug("tasmota_http.py", &board, &["--on", "--lie"]) else { return };
    let url = format!("http://127.0.0.1:{}", peer.ready());
    let mut power = tasmota_http::open(TasmotaHttpSetup { url, relay: 1, user: None, password: None, supply }).unwrap();
    power.set(PowerAsk::Off, &wait(&supply)).unwrap();
    assert_eq!(power.state(&wait(&supply)).unwrap(), PowerSeen::Off);
    assert_eq!(board.ask("state"), "on");
    terminal.say("nobody\r");
    terminal.expect("password: ");
}
