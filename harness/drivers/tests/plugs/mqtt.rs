//! Tasmota over MQTT: what a plug may answer, and what it may not be believed.

use super::bench::{Broker, Entry, SHORT, Switched, conforms, fails_at_last, told};
use super::start::{LONG, supply, within};
use proofbench_channel::{ErrorKind, Milliamps, PowerAsk, PowerSeen};
use proofbench_drivers::power::tasmota_mqtt::{TasmotaMqttSetup, open};
use proofbench_testkit::{Peer, find};
use rstest::rstest;
use std::time::Duration;

/// A broker and a driver that uses it.
pub fn bench(arguments: &[&str], relay: u8) -> Option<(Broker, Peer, TasmotaMqttSetup)> {
    let broker = Broker::start("127.0.0.1", &Entry::default())?;
    let plug = broker.plug(arguments)?;
    let setup = setup(&broker, relay);
    Some((broker, plug, setup))
}

pub fn setup(broker: &Broker, relay: u8) -> TasmotaMqttSetup {
    TasmotaMqttSetup { broker: broker.address(), topic: "plug1".into(), relay, user: None, password: None, ca: None, supply: supply() }
}

#[rstest]
#[case::one_relay(&[], 1)]
#[case::second_relay_of_two(&["--relays", "2"], 2)]
#[case::json_only(&["--only", "json"], 1)]
#[case::bare_states_only(&["--only", "bare"], 1)]
#[case::retained_states(&["--retain"], 1)]
#[case::no_meter(&["--no-meter"], 1)]
#[case::chatty(&["--telemetry", "0.01"], 1)]
#[case::slow(&["--slow", "50"], 1)]
fn behaves_as_a_supply(#[case] arguments: &[&str], #[case] relay: u8) {
    let Some((_broker, _plug, setup)) = bench(arguments, relay) else { return };
    conforms(&mut *open(setup.clone()).unwrap(), &setup.supply);
}

#[test]
fn switches_what_hangs_on_the_plug_and_reads_its_meter() {
    let switched = Switched::start();
    let Some((_broker, _plug, setup)) = bench(&["--switch", &switched.address()], 1) else { return };
    let mut power = open(setup.clone()).unwrap();
    let wait = within(&setup.supply, LONG);
    power.set(PowerAsk::On, &wait).unwrap();
    // The plug answers after its relay has moved.
    assert_eq!(switched.turns(), [true]);
    assert_eq!(power.current(&wait).unwrap(), Some(Milliamps(42)));
    power.set(PowerAsk::Off, &wait).unwrap();
    assert_eq!(switched.turns(), [true, false]);
    assert_eq!(power.current(&wait).unwrap(), Some(Milliamps(0)));
    // The mains voltage of the plug's meter is nobody's rail.
    assert_eq!(power.rail(&wait).unwrap(), None);
    assert_eq!(power.dip(proofbench_channel::Millivolts(3000), SHORT, &wait).unwrap_err().kind, ErrorKind::Unsupported);
}

#[test]
fn a_plug_that_lies_is_quoted_and_its_meter_contradicts_it() {
    let switched = Switched::start();
    let Some((_broker, _plug, setup)) = bench(&["--on", "--lie", "--switch", &switched.address()], 1) else { return };
    let mut power = open(setup.clone()).unwrap();
    let wait = within(&setup.supply, LONG);
    power.set(PowerAsk::Off, &wait).unwrap();
    assert_eq!(power.state(&wait).unwrap(), PowerSeen::Off);
    assert!(switched.turns().is_empty());
    assert_eq!(power.current(&wait).unwrap(), Some(Milliamps(42)));
}

#[test]
fn a_plug_that_says_the_contrary_has_not_switched() {
    let Some((_broker, _plug, setup)) = bench(&["--on", "--stuck"], 1) else { return };
    let mut power = open(setup.clone()).unwrap();
    let error = power.set(PowerAsk::Off, &within(&setup.supply, LONG)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(told(&error).contains("told OFF and answers ON"), "{}", told(&error));
    assert_eq!(power.state(&within(&setup.supply, LONG)).unwrap(), PowerSeen::On);
}

/// Three commands of which the first two are given up before the plug, which is slow, has carried them out. The first late answer says what the third
/// call wants to hear.
#[test]
fn an_answer_to_an_older_command_confirms_nothing() {
    let switched = Switched::start();
    let Some((_broker, _plug, setup)) = bench(&["--on", "--slow", "700", "--switch", &switched.address()], 1) else { return };
    let mut power = open(setup.clone()).unwrap();
    // Connected from here on, so that the short calls do send their commands.
    assert_eq!(power.state(&within(&setup.supply, LONG)).unwrap(), PowerSeen::On);
    for ask in [PowerAsk::Off, PowerAsk::On] {
        if let Err(error) = power.set(ask, &within(&setup.supply, Duration::from_millis(50))) {
            assert_eq!(error.kind, ErrorKind::Timeout, "{}", told(&error));
        }
    }
    power.set(PowerAsk::Off, &within(&setup.supply, LONG)).unwrap();
    assert_eq!(switched.turns(), [false, true, false]);
}

#[test]
fn a_retained_state_confirms_nothing() {
    let Some((broker, _plug, setup)) = bench(&["--on", "--mute"], 1) else { return };
    if find("mosquitto_pub").is_none() {
        return;
    }
    broker.publish("stat/plug1/RESULT", r#"{"POWER":"OFF"}"#, &["-r"]);
    broker.publish("stat/plug1/POWER", "OFF", &["-r"]);
    broker.publish("stat/plug1/STATUS10", r#"{"StatusSNS":{"ENERGY":{"Current":0.0}}}"#, &["-r"]);
    let mut power = open(setup.clone()).unwrap();
    // Connected, and asked in vain.
    fails_at_last(ErrorKind::Timeout, "does not answer", || power.set(PowerAsk::Off, &within(&setup.supply, Duration::from_secs(1))).unwrap_err());
    assert!(power.set(PowerAsk::Off, &within(&setup.supply, SHORT)).is_err());
    assert!(power.state(&within(&setup.supply, SHORT)).is_err());
    assert!(power.current(&within(&setup.supply, SHORT)).is_err());
}

#[rstest]
#[case::words(&["--nonsense", "text"], ErrorKind::Protocol, "what?\\u{1b}[31m")]
#[case::a_page(&["--nonsense", "html"], ErrorKind::Protocol, "<html>")]
#[case::no_text(&["--nonsense", "raw"], ErrorKind::Protocol, "\\0")]
#[case::ten_megabytes(&["--nonsense", "flood"], ErrorKind::Protocol, "at most 65536")]
#[case::other_words_for_the_states(&["--state-text", "AN"], ErrorKind::Protocol, "`AN`")]
fn a_plug_that_answers_as_none_does_is_told_so(#[case] arguments: &[&str], #[case] kind: ErrorKind, #[case] what: &str) {
    let Some((_broker, _plug, setup)) = bench(arguments, 1) else { return };
    let mut power = open(setup.clone()).unwrap();
    for error in [power.state(&within(&setup.supply, LONG)).unwrap_err(), power.set(PowerAsk::Off, &within(&setup.supply, LONG)).unwrap_err()] {
        assert_eq!(error.kind, kind, "{}", told(&error));
        assert!(told(&error).contains(what), "{}", told(&error));
    }
}

#[test]
fn a_relay_that_the_plug_does_not_have_is_refused() {
    let Some((_broker, _plug, setup)) = bench(&["--relays", "2"], 3) else { return };
    let error = open(setup.clone()).unwrap().set(PowerAsk::On, &within(&setup.supply, LONG)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(told(&error).contains("Command Error"), "{}", told(&error));
}

#[test]
fn a_cancel_ends_a_call_that_waits_for_a_mute_plug() {
    let Some((_broker, mut plug, setup)) = bench(&["--mute"], 1) else { return };
    let mut power = open(setup.clone()).unwrap();
    let wait = within(&setup.supply, Duration::from_secs(3600));
    let cancel = wait.cancel.clone();
    let canceller = std::thread::spawn(move || {
        plug.wait_for_line("asked POWER1 ON");
        cancel.cancel();
        plug
    });
    assert_eq!(power.set(PowerAsk::On, &wait).unwrap_err().kind, ErrorKind::Cancelled);
    canceller.join().unwrap();
}

#[rstest]
#[case::wildcard("plug/+")]
#[case::empty("")]
#[case::empty_level("/plug")]
fn a_topic_that_is_none_is_refused_at_once(#[case] topic: &str) {
    let setup =
        TasmotaMqttSetup { broker: "127.0.0.1:1".into(), topic: topic.into(), relay: 1, user: None, password: None, ca: None, supply: supply() };
    assert!(open(setup).is_err_and(|e| e.kind == ErrorKind::Driver));
}
