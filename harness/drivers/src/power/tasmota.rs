//! What Tasmota firmware says, whether it says it over MQTT or over HTTP: relay states, measurements, complaints.
//!
//! Read from the firmware's sources (support_command.ino, xdrv_02_mqtt.ino) and its documentation; nothing is guessed: a state text that is neither
//! `ON` nor `OFF` (the setting StateText can change it) is an error and not a state.

use crate::text::shown;
use proofbench_channel::Milliamps;
use serde_json::{Map, Value};

/// Longest answer that is looked at. The firmware's own limit is 1 to 4 KiB.
pub(super) const ANSWER_MOST: usize = 64 * 1024;
/// Most relays of one Tasmota.
pub const RELAY_MOST: u8 = 32;

/// What an answer says of one relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// `true` is on.
    State(bool),
    /// It names the relay, and its state is no state.
    Odd(String),
    /// The plug refuses the command: no such command, no such relay, no password.
    Complaint(String),
    /// It is about something else.
    Nothing,
    /// It is no answer of a Tasmota at all.
    Nonsense(String),
}

/// Reads an answer in JSON.
pub(super) fn read(payload: &[u8], relay: u8) -> Said {
    let Some(object) = object(payload) else { return Said::Nonsense(shown(payload)) };
    if let Some(warning) = object.get("WARNING") {
        return Said::Complaint(words(warning));
    }
    let numbered = object.get(&format!("POWER{relay}"));
    // A plug with one relay leaves its number out unless SetOption26 tells it otherwise.
    let plain = || object.get("POWER").filter(|_| relay == 1);
    match (numbered.or_else(plain), object.get("Command")) {
        (Some(Value::String(text)), _) => state(text.as_bytes()),
        (Some(other), _) => Said::Odd(shown(other.to_string().as_bytes())),
        (None, Some(command)) => Said::Complaint(format!("Command {}", words(command))),
        (None, None) => Said::Nothing,
    }
}

/// Reads a bare state, as `stat/<topic>/POWER` carries it.
pub(super) fn state(text: &[u8]) -> Said {
    match text {
        b"ON" => Said::State(true),
        b"OFF" => Said::State(false),
        other => Said::Odd(shown(other)),
    }
}

/// The answer to `Status 10`: what the relay's meter says, `None` if there is none. Currents are rounded to whole milliamperes.
pub(super) fn current(payload: &[u8], relay: u8) -> Result<Option<Milliamps>, String> {
    let answer = object(payload).ok_or_else(|| shown(payload))?;
    if let Some(warning) = answer.get("WARNING") {
        return Err(words(warning));
    }
    let sensors = answer.get("StatusSNS").and_then(Value::as_object).ok_or_else(|| shown(payload))?;
    let Some(energy) = sensors.get("ENERGY") else { return Ok(None) };
    // A meter of several phases gives a list, the relays in their order.
    let amperes = match energy.get("Current") {
        Some(Value::Array(phases)) => phases.get(usize::from(relay.saturating_sub(1))),
        one => one,
    };
    let milliamps = amperes.and_then(Value::as_f64).map(|a| (a * 1000.0).round()).filter(|ma| (0.0..=f64::from(u32::MAX)).contains(ma));
    // Within the range of u32, as was just asked.
    milliamps.map(|ma| Some(Milliamps(ma as u32))).ok_or_else(|| shown(energy.to_string().as_bytes()))
}

fn object(payload: &[u8]) -> Option<Map<String, Value>> {
    payload.get(..ANSWER_MOST.min(payload.len())).filter(|head| head.len() == payload.len()).and_then(|all| serde_json::from_slice(all).ok())
}

fn words(value: &Value) -> String {
    match value {
        Value::String(text) => shown(text.as_bytes()),
        other => shown(other.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case::one_relay(r#"{"POWER":"ON"}"#, 1, Said::State(true))]
    #[case::numbered(r#"{"POWER1":"OFF"}"#, 1, Said::State(false))]
    #[case::among_others(r#"{"POWER1":"OFF","POWER2":"ON","Dimmer":3}"#, 2, Said::State(true))]
    #[case::another_relay(r#"{"POWER1":"ON"}"#, 2, Said::Nothing)]
    #[case::a_bare_power_is_the_first_relay(r#"{"POWER":"ON"}"#, 2, Said::Nothing)]
    #[case::another_answer(r#"{"TelePeriod":300}"#, 1, Said::Nothing)]
    #[case::blinking(r#"{"POWER":"Blink ON"}"#, 1, Said::Odd("Blink ON".into()))]
    #[case::renamed_state_text(r#"{"POWER":"AN"}"#, 1, Said::Odd("AN".into()))]
    #[case::not_a_text(r#"{"POWER":true}"#, 1, Said::Odd("true".into()))]
    #[case::no_such_relay(r#"{"Command":"Error"}"#, 9, Said::Complaint("Command Error".into()))]
    #[case::wrong_password(r#"{"WARNING":"Need user=<username>&password=<password>"}"#, 1,
        Said::Complaint("Need user=<username>&password=<password>".into()))]
    #[case::no_json("<html>", 1, Said::Nonsense("<html>".into()))]
    #[case::a_list(r#"["POWER","ON"]"#, 1, Said::Nonsense("[\\\"POWER\\\",\\\"ON\\\"]".into()))]
    fn answers_are_read_strictly(#[case] payload: &str, #[case] relay: u8, #[case] expected: Said) {
        assert_eq!(read(payload.as_bytes(), relay), expected);
    }

    #[rstest]
    #[case::a_meter(r#"{"StatusSNS":{"ENERGY":{"Power":4,"Voltage":231,"Current":0.0214}}}"#, 1, Ok(Some(Milliamps(21))))]
    #[case::two_phases(r#"{"StatusSNS":{"ENERGY":{"Current":[0.5,1.25]}}}"#, 2, Ok(Some(Milliamps(1250))))]
    #[case::no_meter(r#"{"StatusSNS":{"Time":"2026-11-23T10:00:00"}}"#, 1, Ok(None))]
    #[case::a_meter_without_current(r#"{"StatusSNS":{"ENERGY":{"Power":4}}}"#, 1, Err("{\\\"Power\\\":4}".into()))]
    #[case::a_negative_current(r#"{"StatusSNS":{"ENERGY":{"Current":-1}}}"#, 1, Err("{\\\"Current\\\":-1}".into()))]
    #[case::another_answer(r#"{"StatusSTS":{}}"#, 1, Err("{\\\"StatusSTS\\\":{}}".into()))]
    fn meters_are_read_strictly(#[case] payload: &str, #[case] relay: u8, #[case] expected: Result<Option<Milliamps>, String>) {
        assert_eq!(current(payload.as_bytes(), relay), expected);
    }

    proptest! {
        #[test]
        fn whatever_a_peer_sends_is_read_without_a_panic(payload: Vec<u8>, relay in 1..=RELAY_MOST) {
            read(&payload, relay);
            let _ = current(&payload, relay);
        }
    }

    #[test]
    fn an_endless_answer_is_nonsense_and_is_told_briefly() {
        let flood = vec![b' '; ANSWER_MOST + 1];
        assert!(matches!(read(&flood, 1), Said::Nonsense(text) if text.len() < 300));
    }
}
