//! Shelly plugs of the second generation.

use super::bench::{SHORT, Switched, conforms, told};
use super::start::{LONG, plug, supply, within};
use proofbench_channel::{ErrorKind, Milliamps, PowerAsk, PowerSeen};
use proofbench_drivers::Secret;
use proofbench_drivers::power::shelly::{ShellySetup, open};
use proofbench_testkit::Peer;
use rstest::rstest;

fn bench(arguments: &[&str], switch: u8, password: Option<&str>) -> Option<(Peer, ShellySetup)> {
    let mut peer = plug("shelly_gen2.py", arguments)?;
    let url = format!("http://127.0.0.1:{}/", peer.ready());
    Some((peer, ShellySetup { url, switch, password: password.map(Secret::new), supply: supply() }))
}

#[rstest]
#[case::open(&[], 0, None)]
#[case::with_password(&["--password", "hunter2"], 0, Some("hunter2"))]
#[case::password_not_wanted(&[], 0, Some("hunter2"))]
#[case::second_switch_of_two(&["--relays", "2"], 1, None)]
#[case::no_meter(&["--no-meter"], 0, None)]
#[case::each_nonce_once(&["--password", "hunter2", "--uses", "1"], 0, Some("hunter2"))]
#[case::each_nonce_once_and_it_does_not_say_why(&["--password", "hunter2", "--uses", "1", "--quiet"], 0, Some("hunter2"))]
#[case::slow(&["--slow", "50"], 0, None)]
fn behaves_as_a_supply(#[case] arguments: &[&str], #[case] switch: u8, #[case] password: Option<&str>) {
    let Some((_plug, setup)) = bench(arguments, switch, password) else { return };
    conforms(&mut *open(setup.clone()).unwrap(), &setup.supply);
}

#[test]
fn a_nonce_is_used_until_it_is_stale() {
    let Some((mut plug, setup)) = bench(&["--password", "hunter2", "--uses", "3"], 0, Some("hunter2")) else { return };
    let mut power = open(setup.clone()).unwrap();
    for _ in 0..4 {
        assert_eq!(power.state(&within(&setup.supply, LONG)).unwrap(), PowerSeen::Off);
    }
    plug.wait_for_line("stale nonce");
    assert_eq!(plug.output().iter().filter(|line| *line == "stale nonce").count(), 1);
}

#[test]
fn switches_what_hangs_on_the_plug_and_reads_its_meter() {
    let switched = Switched::start();
    let Some((_plug, setup)) = bench(&["--switch", &switched.address()], 0, None) else { return };
    let mut power = open(setup.clone()).unwrap();
    let wait = within(&setup.supply, LONG);
    power.set(PowerAsk::On, &wait).unwrap();
    assert_eq!(power.current(&wait).unwrap(), Some(Milliamps(42)));
    power.set(PowerAsk::Off, &wait).unwrap();
    assert_eq!(power.current(&wait).unwrap(), Some(Milliamps(0)));
    assert_eq!(switched.turns(), [true, false]);
    assert_eq!(power.rail(&wait).unwrap(), None);
}

#[test]
fn a_plug_that_trips_says_so() {
    let Some((_plug, setup)) = bench(&["--trip"], 0, None) else { return };
    let mut power = open(setup.clone()).unwrap();
    let wait = within(&setup.supply, LONG);
    assert_eq!(power.state(&wait).unwrap(), PowerSeen::Off);
    power.set(PowerAsk::On, &wait).unwrap();
    assert_eq!(power.state(&wait).unwrap(), PowerSeen::Tripped("overpower".into()));
    power.set(PowerAsk::Off, &wait).unwrap();
    assert_eq!(power.state(&wait).unwrap(), PowerSeen::Off);
}

#[test]
fn a_plug_that_lies_is_quoted_and_its_meter_contradicts_it() {
    let switched = Switched::start();
    let Some((_plug, setup)) = bench(&["--on", "--lie", "--switch", &switched.address()], 0, None) else { return };
    let mut power = open(setup.clone()).unwrap();
    let wait = within(&setup.supply, LONG);
    power.set(PowerAsk::Off, &wait).unwrap();
    assert_eq!(power.state(&wait).unwrap(), PowerSeen::Off);
    assert!(switched.turns().is_empty());
    assert_eq!(power.current(&wait).unwrap(), Some(Milliamps(42)));
}

#[test]
fn a_plug_that_takes_the_command_and_stays_as_it_is_has_not_switched() {
    let Some((_plug, setup)) = bench(&["--on", "--stuck"], 0, None) else { return };
    let mut power = open(setup.clone()).unwrap();
    let error = power.set(PowerAsk::Off, &within(&setup.supply, LONG)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(told(&error).contains("still reports on"), "{}", told(&error));
}

#[rstest]
#[case::wrong(Some("battery staple"), "refuses the password")]
#[case::none(None, "wants a password")]
fn a_wrong_password_is_refused_and_not_shown(#[case] password: Option<&str>, #[case] what: &str) {
    let Some((_plug, setup)) = bench(&["--password", "hunter2"], 0, password) else { return };
    let mut power = open(setup.clone()).unwrap();
    for _ in 0..2 {
        let error = power.set(PowerAsk::On, &within(&setup.supply, LONG)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused);
        let text = format!("{} {error:?} {} {setup:?}", told(&error), power.describe());
        assert!(text.contains(what) && !text.contains("staple"), "{text}");
    }
}

#[test]
fn a_plug_that_calls_every_nonce_stale_is_not_answered_for_ever() {
    let Some((_plug, setup)) = bench(&["--password", "hunter2", "--uses", "0"], 0, Some("hunter2")) else { return };
    let error = open(setup.clone()).unwrap().state(&within(&setup.supply, LONG)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(told(&error).contains("new challenge each time"), "{}", told(&error));
}

#[test]
fn a_switch_that_the_plug_does_not_have_is_refused() {
    let Some((_plug, setup)) = bench(&[], 9, None) else { return };
    let error = open(setup.clone()).unwrap().set(PowerAsk::On, &within(&setup.supply, LONG)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(told(&error).contains("-105") && told(&error).contains("value 9 not found"), "{}", told(&error));
}

#[rstest]
#[case::words("text", "what?\\u{1b}[31m")]
#[case::a_page("html", "status 500")]
#[case::no_http("raw", "no HTTP")]
#[case::ten_megabytes("flood", "longer than 65536")]
#[case::endless_head("head", "")]
fn a_plug_that_answers_as_none_does_is_told_so(#[case] nonsense: &str, #[case] what: &str) {
    let Some((_plug, setup)) = bench(&["--nonsense", nonsense], 0, None) else { return };
    let error = open(setup.clone()).unwrap().set(PowerAsk::Off, &within(&setup.supply, LONG)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Protocol, "{}", told(&error));
    assert!(told(&error).contains(what) && told(&error).len() < 600, "{}", told(&error));
}

#[test]
fn a_plug_that_does_not_answer_is_told_so() {
    let Some((_plug, setup)) = bench(&["--mute"], 0, None) else { return };
    let error = open(setup.clone()).unwrap().state(&within(&setup.supply, SHORT)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Timeout);
}
