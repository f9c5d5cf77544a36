//! A Shelly plug of the second generation or later: JSON RPC over `POST /rpc`, with HTTP digest authentication by SHA-256 (RFC 7616).
//!
//! `Switch.Set` says only that the command was taken, so `set` reads `Switch.GetStatus` until the output is as it was told. What the plug says is what it
//! says; only the console or the rail is a witness. A plug whose protection has switched off (`errors` with the output off) is `Tripped`, and telling it
//! to switch on is no error: the state says what became of it.
//!
//! - The user is always `admin`. The password itself is never sent. Only SHA-256 with `qop="auth"` is answered: a challenge by MD5 or Basic could not
//!   come from such a plug. A nonce is used again until the plug refuses it; a password that a fresh nonce does not help is `Refused`.
//! - An RPC error is `Refused` with its number and message. What is no JSON object, or not the answer to this request, and more than 64 KiB are
//!   `Protocol`.
//! - `current` is the meter's, where the plug has one: what its mains side draws, power supply included. Its `voltage` is the mains', not the device's
//!   rail, which stays behind a power supply that this plug does not see: `rail` is always `None`.
//!
//! A cancelled or late call may leave its request on the way; the next call waits for its end (at most 10 s). Read the state.
//!
//! Run against: a Shelly-like peer by Python's http.server, its digest written from the RFC (`fixtures/peers`). Not run against a plug.

use super::http::{Answer, Http, Request, start_of};
use super::{Supply, word};
use crate::Secret;
use crate::text::shown;
use digest_auth::{Algorithm, AlgorithmType, AuthContext, HttpMethod, Qop, WwwAuthenticateHeader};
use proofbench_channel::{ChannelError, ErrorKind, Milliamps, Millivolts, Power, PowerAsk, PowerSeen, Wait};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The one user of such plugs.
const USER: &str = "admin";
/// Where requests go.
const PATH: &str = "/rpc";
/// Challenges that are answered for one request: an old nonce, a fresh one, and one that went stale in between.
const ROUNDS: u32 = 3;
/// Longest list of protections that is told.
const ERRORS_MOST: usize = 8;

/// The plug, and how to reach it.
#[derive(Debug, Clone)]
pub struct ShellySetup {
    /// `http://host` or `http://host:port`.
    pub url: String,
    /// Which switch, from 0.
    pub switch: u8,
    /// Password of `admin`, where authentication is on.
    pub password: Option<Secret>,
    /// What every supply has.
    pub supply: Supply,
}

/// A supply behind this plug. Nothing is sent here; a URL that is none of a plug is an error.
pub fn open(setup: ShellySetup) -> Result<Box<dyn Power>, ChannelError> {
    let http = Http::new(&setup.url, setup.supply.time)?;
    Ok(Box::new(Plug { setup, http, challenge: None, requests: 0 }))
}

struct Plug {
    setup: ShellySetup,
    http: Http,
    /// The last one, used until it is refused.
    challenge: Option<WwwAuthenticateHeader>,
    requests: u64,
}

impl Plug {
    fn name(&self) -> String {
        format!("switch {} of {}", self.setup.switch, self.http.origin())
    }

    /// One RPC; its `result`.
    fn call(&mut self, method: &str, mut params: Value, wait: &Wait, doing: &str) -> Result<Map<String, Value>, ChannelError> {
        let failed = |kind, why: String| Err(ChannelError::caused(kind, doing, why));
        self.requests += 1;
        params["id"] = self.setup.switch.into();
        let body = json!({ "id": self.requests, "src": "proofbench", "method": method, "params": params }).to_string();
        let answer = self.authorized(&body, wait, doing)?;
        let not_rpc = || failed(ErrorKind::Protocol, format!("the plug answers with status {}: {}", answer.status, start_of(&answer.body)));
        let Ok(mut reply) = serde_json::from_slice::<Map<String, Value>>(&answer.body) else { return not_rpc() };
        if reply.get("id").and_then(Value::as_u64) != Some(self.requests) {
            return not_rpc();
        }
        if let Some(error) = reply.get("error") {
            let message = error.get("message").map(|m| shown(m.to_string().as_bytes())).unwrap_or_default();
            let code = error.get("code").and_then(Value::as_i64).unwrap_or_default();
            return failed(ErrorKind::Refused, format!("the plug refuses {method}: {code} {message}"));
        }
        match (answer.status, reply.remove("result")) {
            (200, Some(Value::Object(result))) => Ok(result),
            _ => not_rpc(),
        }
    }

    /// Sends the request, answering challenges.
    fn authorized(&mut self, body: &str, wait: &Wait, doing: &str) -> Result<Answer, ChannelError> {
        let refused = |why: &str| Err(ChannelError::caused(ErrorKind::Refused, doing, why.to_owned()));
        // Whether the challenge at hand was given for this very request.
        let mut fresh = false;
        for _ in 0..=ROUNDS {
            let (challenge, password) = (&mut self.challenge, self.setup.password.as_ref());
            // Each attempt counts on: a plug may take each count of a nonce only once.
            let request = || {
                let authorization =
                    authorization(challenge.as_mut(), password, body).map_err(|why| ChannelError::caused(ErrorKind::Protocol, doing, why))?;
                Ok(Request { path: PATH.to_owned(), authorization, body: Some(body.to_owned()) })
            };
            let answer = self.http.exchange(wait, doing, request)?;
            if answer.status != 401 {
                return Ok(answer);
            }
            let answered = self.challenge.take().is_some();
            if self.setup.password.is_none() {
                return refused("the plug wants a password, and none is given");
            }
            let Some(challenge) = answer.challenges.iter().find_map(|c| usable(c)) else {
                return refused("the plug wants a password, but not by digest with SHA-256");
            };
            if answered && fresh && !challenge.stale {
                return refused("the plug refuses the password");
            }
            (self.challenge, fresh) = (Some(challenge), true);
        }
        self.challenge = None;
        refused("the plug gives a new challenge each time it is answered")
    }

    fn status(&mut self, wait: &Wait, doing: &str) -> Result<Status, ChannelError> {
        let result = self.call("Switch.GetStatus", json!({}), wait, doing)?;
        Status::read(&result, self.setup.switch).ok_or_else(|| {
            let text = Value::Object(result).to_string();
            ChannelError::caused(ErrorKind::Protocol, doing, format!("this is no switch's status: {}", start_of(text.as_bytes())))
        })
    }
}

fn authorization(challenge: Option<&mut WwwAuthenticateHeader>, password: Option<&Secret>, body: &str) -> Result<Option<String>, String> {
    let (Some(challenge), Some(password)) = (challenge, password) else { return Ok(None) };
    let context = AuthContext::new_with_method(USER, password.reveal(), PATH, Some(body.as_bytes()), HttpMethod::POST);
    challenge.respond(&context).map(|header| Some(header.to_string())).map_err(|e| shown(e.to_string().as_bytes()))
}

/// A challenge that may be answered. Printable ASCII only, as the caller has made sure: the parser counts characters as bytes.
fn usable(header: &str) -> Option<WwwAuthenticateHeader> {
    let (scheme, challenge) = header.trim_start().split_at_checked(7)?;
    let mut challenge = WwwAuthenticateHeader::parse(challenge).ok().filter(|_| scheme.eq_ignore_ascii_case("Digest "))?;
    let offered = challenge.algorithm == Algorithm::new(AlgorithmType::SHA2_256, false) && challenge.qop.as_ref()?.contains(&Qop::AUTH);
    challenge.qop = Some(vec![Qop::AUTH]);
    offered.then_some(challenge)
}

/// What `Switch.GetStatus` says.
#[derive(Debug, PartialEq)]
struct Status {
    on: bool,
    errors: Vec<String>,
    current: Option<Milliamps>,
}

impl Status {
    fn read(result: &Map<String, Value>, switch: u8) -> Option<Self> {
        if result.get("id")?.as_u64()? != u64::from(switch) {
            return None;
        }
        let errors = match result.get("errors") {
            None => Vec::new(),
            Some(list) => list.as_array()?.iter().take(ERRORS_MOST).map(|e| e.as_str().map(|e| shown(e.as_bytes()))).collect::<Option<_>>()?,
        };
        let current = match result.get("current") {
            None => None,
            Some(amperes) => {
                let milliamps = (amperes.as_f64()? * 1000.0).round();
                // Within the range of u32, as is asked first.
                Some(Milliamps(if (0.0..=f64::from(u32::MAX)).contains(&milliamps) { milliamps as u32 } else { return None }))
            }
        };
        Some(Self { on: result.get("output")?.as_bool()?, errors, current })
    }

    fn seen(self) -> PowerSeen {
        match (self.on, self.errors.is_empty()) {
            (true, _) => PowerSeen::On,
            (false, true) => PowerSeen::Off,
            (false, false) => PowerSeen::Tripped(self.errors.join(", ")),
        }
    }
}

impl Power for Plug {
    fn set(&mut self, ask: PowerAsk, wait: &Wait) -> Result<(), ChannelError> {
        let doing = format!("switch {} {}", word(ask), self.name());
        let result = self.call("Switch.Set", json!({ "on": ask == PowerAsk::On }), wait, &doing)?;
        if !matches!(result.get("was_on"), Some(Value::Bool(_))) {
            let text = Value::Object(result).to_string();
            return Err(ChannelError::caused(ErrorKind::Protocol, doing, format!("this is no switch's answer: {}", start_of(text.as_bytes()))));
        }
        let supply = self.setup.supply;
        supply.taken(ask, wait, &doing, |wait| Ok(self.status(wait, &doing)?.seen()))
    }

    fn state(&mut self, wait: &Wait) -> Result<PowerSeen, ChannelError> {
        let doing = format!("read the state of {}", self.name());
        Ok(self.status(wait, &doing)?.seen())
    }

    fn rail(&mut self, _: &Wait) -> Result<Option<Millivolts>, ChannelError> {
        Ok(None)
    }

    fn current(&mut self, wait: &Wait) -> Result<Option<Milliamps>, ChannelError> {
        let doing = format!("read the meter of {}", self.name());
        Ok(self.status(wait, &doing)?.current)
    }

    fn off_min(&self) -> Duration {
        self.setup.supply.off_min
    }

    fn dip(&mut self, _: Millivolts, _: Duration, _: &Wait) -> Result<(), ChannelError> {
        Err(ChannelError::new(ErrorKind::Unsupported, format!("dip the supply behind {}", self.name())))
    }

    fn describe(&self) -> String {
        let how = if self.setup.password.is_some() { "digest SHA-256" } else { "no password" };
        format!("Shelly plug {} ({how})", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const GOOD: &str = r#"Digest qop="auth", realm="shellyplus1pm-a8032ab1", nonce="60dc59c6", algorithm=SHA-256"#;

    #[rstest]
    #[case::as_plugs_send_it(GOOD, true)]
    #[case::auth_int_beside(r#"digest qop="auth,auth-int", realm="r", nonce="n", algorithm=SHA-256"#, true)]
    #[case::weaker_hash(r#"Digest qop="auth", realm="r", nonce="n", algorithm=MD5"#, false)]
    #[case::unsaid_hash_is_md5(r#"Digest qop="auth", realm="r", nonce="n""#, false)]
    #[case::no_qop(r#"Digest realm="r", nonce="n", algorithm=SHA-256"#, false)]
    #[case::password_in_the_clear(r#"Basic realm="r", nonce="n", qop="auth", algorithm=SHA-256"#, false)]
    #[case::broken(r#"Digest realm="r"#, false)]
    fn only_sha_256_with_qop_auth_is_answered(#[case] header: &str, #[case] answered: bool) {
        assert_eq!(usable(header).is_some(), answered);
    }

    proptest! {
        #[test]
        fn whatever_header_a_peer_sends_is_read_without_a_panic(header in "[ -~]{0,200}") {
            let _ = usable(&header);
            let _ = usable(&format!("Digest {header}"));
        }
    }

    #[rstest]
    #[case::on(json!({"id": 0, "output": true, "apower": 8.9, "voltage": 237.5, "current": 0.0421}), PowerSeen::On, Some(42))]
    #[case::no_meter(json!({"id": 0, "output": false}), PowerSeen::Off, None)]
    #[case::tripped(json!({"id": 0, "output": false, "errors": ["overpower", "overtemp"]}), PowerSeen::Tripped("overpower, overtemp".into()), None)]
    #[case::on_with_a_complaint(json!({"id": 0, "output": true, "errors": ["undervoltage"]}), PowerSeen::On, None)]
    fn a_status_is_what_the_plug_says(#[case] status: Value, #[case] seen: PowerSeen, #[case] current: Option<u32>) {
        let status = Status::read(status.as_object().unwrap(), 0).unwrap();
        assert_eq!((status.current, status.seen()), (current.map(Milliamps), seen));
    }

    #[rstest]
    #[case::of_another_switch(json!({"id": 1, "output": true}))]
    #[case::output_is_no_boolean(json!({"id": 0, "output": "on"}))]
    #[case::no_output(json!({"id": 0}))]
    #[case::errors_are_no_list(json!({"id": 0, "output": false, "errors": "overpower"}))]
    #[case::a_negative_current(json!({"id": 0, "output": true, "current": -3}))]
    fn a_status_that_is_none_is_not_guessed_at(#[case] status: Value) {
        assert_eq!(Status::read(status.as_object().unwrap(), 0), None);
    }
}
