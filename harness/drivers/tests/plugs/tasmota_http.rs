//! Tasmota over HTTP.

use super::bench::{SHORT, Switched, conforms, fails_at_last, own_address, told};
use super::start::{LONG, plug, supply, within};
use proofbench_channel::{ErrorKind, Milliamps, PowerAsk, PowerSeen};
use proofbench_drivers::Secret;
use proofbench_drivers::power::tasmota_http::{TasmotaHttpSetup, open};
use proofbench_testkit::{Peer, free_port};
use rstest::rstest;

const PASSWORD: &str = "p&ss w=rd#1";

fn bench(arguments: &[&str], relay: u8, password: Option<&str>) -> Option<(Peer, TasmotaHttpSetup)> {
    let mut peer = plug("tasmota_http.py", arguments)?;
    let url = format!("http://127.0.0.1:{}", peer.ready());
    Some((peer, TasmotaHttpSetup { url, relay, user: None, password: password.map(Secret::new), supply: supply() }))
}

#[rstest]
#[case::open(&[], 1, None)]
#[case::with_password(&["--password", PASSWORD], 1, Some(PASSWORD))]
#[case::password_not_wanted(&[], 1, Some(PASSWORD))]
#[case::second_relay_of_two(&["--relays", "2"], 2, None)]
#[case::no_meter(&["--no-meter"], 1, None)]
#[case::slow(&["--slow", "50"], 1, None)]
fn behaves_as_a_supply(#[case] arguments: &[&str], #[case] relay: u8, #[case] password: Option<&str>) {
    let Some((_plug, setup)) = bench(arguments, relay, password) else { return };
    conforms(&mut *open(setup.clone()).unwrap(), &setup.supply);
}

#[test]
fn switches_what_hangs_on_the_plug_and_reads_its_meter() {
    let switched = Switched::start();
    let Some((_plug, setup)) = bench(&["--switch", &switched.address()], 1, None) else { return };
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
fn a_plug_that_lies_is_quoted_and_its_meter_contradicts_it() {
    let switched = Switched::start();
    let Some((_plug, setup)) = bench(&["--on", "--lie", "--switch", &switched.address()], 1, None) else { return };
    let mut power = open(setup.clone()).unwrap();
    let wait = within(&setup.supply, LONG);
    power.set(PowerAsk::Off, &wait).unwrap();
    assert_eq!(power.state(&wait).unwrap(), PowerSeen::Off);
    assert!(switched.turns().is_empty());
    assert_eq!(power.current(&wait).unwrap(), Some(Milliamps(42)));
}

#[test]
fn a_plug_that_says_the_contrary_has_not_switched() {
    let Some((_plug, setup)) = bench(&["--on", "--stuck"], 1, None) else { return };
    let mut power = open(setup.clone()).unwrap();
    let error = power.set(PowerAsk::Off, &within(&setup.supply, LONG)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(told(&error).contains("still reports on"), "{}", told(&error));
}

#[rstest]
#[case::newer_firmware(&["--password", PASSWORD])]
#[case::older_firmware(&["--password", PASSWORD, "--old"])]
fn a_wrong_password_is_refused_and_no_password_is_shown(#[case] arguments: &[&str]) {
    for wrong in [None, Some("hunter2")] {
        let Some((_plug, setup)) = bench(arguments, 1, wrong) else { return };
        let mut power = open(setup.clone()).unwrap();
        let wait = within(&setup.supply, LONG);
        for error in [power.set(PowerAsk::On, &wait).unwrap_err(), power.state(&wait).unwrap_err(), power.current(&wait).unwrap_err()] {
            assert_eq!(error.kind, ErrorKind::Refused);
            let text = format!("{} {error:?} {} {setup:?}", told(&error), power.describe());
            assert!(text.contains("Need user=") && !text.contains("hunter2"), "{text}");
        }
    }
}

#[test]
fn a_page_that_sends_the_request_back_shows_no_password() {
    let Some((_plug, setup)) = bench(&["--nonsense", "html"], 1, Some(PASSWORD)) else { return };
    let error = open(setup.clone()).unwrap().state(&within(&setup.supply, LONG)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Protocol);
    let text = told(&error);
    assert!(text.contains("status 500") && text.contains("(password)"), "{text}");
    assert!(!text.contains("ss w") && !text.contains("ss%20w"), "{text}");
}

#[rstest]
#[case::words("text", "what?\\u{1b}[31m")]
#[case::no_http("raw", "no HTTP")]
#[case::ten_megabytes("flood", "longer than 65536")]
#[case::endless_head("head", "")]
fn a_plug_that_answers_as_none_does_is_told_so(#[case] nonsense: &str, #[case] what: &str) {
    let Some((_plug, setup)) = bench(&["--nonsense", nonsense], 1, None) else { return };
    let mut power = open(setup.clone()).unwrap();
    for error in [power.state(&within(&setup.supply, LONG)).unwrap_err(), power.set(PowerAsk::Off, &within(&setup.supply, LONG)).unwrap_err()] {
        assert_eq!(error.kind, ErrorKind::Protocol, "{}", told(&error));
        assert!(told(&error).contains(what) && told(&error).len() < 600, "{}", told(&error));
    }
}

#[test]
fn a_plug_that_does_not_answer_is_told_so() {
    let Some((_plug, setup)) = bench(&["--mute"], 1, None) else { return };
    let mut power = open(setup.clone()).unwrap();
    let error = power.set(PowerAsk::On, &within(&setup.supply, SHORT)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Timeout);
    assert!(told(&error).contains("answer"), "{}", told(&error));
}

#[test]
fn a_relay_that_the_plug_does_not_have_is_refused() {
    let Some((_plug, setup)) = bench(&[], 4, None) else { return };
    let error = open(setup.clone()).unwrap().set(PowerAsk::On, &within(&setup.supply, LONG)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(told(&error).contains("Error"), "{}", told(&error));
}

#[test]
fn a_plug_that_comes_up_during_the_call_is_in_time() {
    let (host, port) = (own_address(), free_port());
    let url = format!("http://{host}:{port}");
    let setup = TasmotaHttpSetup { url, relay: 1, user: None, password: None, supply: supply() };
    let mut power = open(setup.clone()).unwrap();
    fails_at_last(ErrorKind::Disconnected, "", || power.state(&within(&setup.supply, SHORT)).unwrap_err());

    let Some(mut peer) = plug("tasmota_http.py", &["--host", &host, "--port", &port.to_string()]) else { return };
    // As long as it takes: a plug that is away for longer than a call is patient is told so, and may be asked again.
    while let Err(error) = power.set(PowerAsk::On, &within(&setup.supply, LONG)) {
        assert_eq!(error.kind, ErrorKind::Disconnected, "{}", told(&error));
    }
    peer.wait_for_line("relay 1 on");
}

#[test]
fn a_cancel_ends_a_call_that_waits_for_a_mute_plug() {
    let Some((mut plug, setup)) = bench(&["--mute"], 1, None) else { return };
    let mut power = open(setup.clone()).unwrap();
    let wait = within(&setup.supply, std::time::Duration::from_secs(3600));
    let cancel = wait.cancel.clone();
    let canceller = std::thread::spawn(move || {
        plug.wait_for_line("relay 1 on");
        cancel.cancel();
        plug
    });
    assert_eq!(power.set(PowerAsk::On, &wait).unwrap_err().kind, ErrorKind::Cancelled);
    canceller.join().unwrap();
}
