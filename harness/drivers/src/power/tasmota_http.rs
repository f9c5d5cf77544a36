//! A plug with Tasmota firmware, by its web interface: `GET /cm?cmnd=Power<n>%20On`.
//!
//! The answer is the answer to this request, so what it says of the relay is fresh. `TOGGLE` is never used: a request whose answer got lost is repeated.
//! What the plug says is what it says; only the console or the rail is a witness.
//!
//! - Tasmota takes user name and password in the query, over plain HTTP: use a password that is used nowhere else, and a network of the bench's own.
//!   Neither is shown in a description, an error or a log; a plug that sends the password back in an error page finds it blotted out.
//! - A plug that answers with `WARNING` or status 401 (wrong password) or `{"Command":"Error"}` (there is no such relay) is `Refused`. Another status,
//!   anything but a JSON object, and more than 64 KiB are `Protocol`.
//! - `current` asks `Status 10`. It is what the plug's mains side draws, power supply included. The meter's mains voltage is not the device's rail, which
//!   stays behind a power supply that this plug does not see: `rail` is always `None`.
//!
//! A cancelled or late call may leave its request on the way; the next call waits for its end (at most 10 s). Read the state.
//!
//! Run against: a Tasmota-like peer by Python's http.server (`fixtures/peers`). Not run against a plug.

use super::http::{Http, Request, start_of};
use super::tasmota::{self, RELAY_MOST, Said};
use super::{Supply, word};
use crate::Secret;
use crate::text::shown;
use proofbench_channel::{ChannelError, ErrorKind, Milliamps, Millivolts, Power, PowerAsk, PowerSeen, Wait};
use std::time::Duration;

/// User of plugs whose rig file gives a password and no user: the only one that Tasmota knows.
const USER: &str = "admin";

/// The plug, and how to reach it.
#[derive(Debug, Clone)]
pub struct TasmotaHttpSetup {
    /// `http://host` or `http://host:port`.
    pub url: String,
    /// Which relay, from 1 to 32.
    pub relay: u8,
    /// User name; `admin` if there is only a password.
    pub user: Option<String>,
    /// Password of the web interface.
    pub password: Option<Secret>,
    /// What every supply has.
    pub supply: Supply,
}

/// A supply behind this plug. Nothing is sent here; a setup that can never work (URL, relay) is an error.
pub fn open(setup: TasmotaHttpSetup) -> Result<Box<dyn Power>, ChannelError> {
    let http = Http::new(&setup.url, setup.supply.time)?;
    if !(1..=RELAY_MOST).contains(&setup.relay) {
        return Err(ChannelError::caused(ErrorKind::Driver, format!("use the plug at {}", http.origin()), "relays are numbered from 1 to 32"));
    }
    Ok(Box::new(Plug { setup, http }))
}

struct Plug {
    setup: TasmotaHttpSetup,
    http: Http,
}

impl Plug {
    fn name(&self) -> String {
        format!("relay {} of {}", self.setup.relay, self.http.origin())
    }

    fn command(&self, command: &str, wait: &Wait, doing: &str) -> Result<Vec<u8>, ChannelError> {
        let mut path = format!("/cm?cmnd={}", encoded(command));
        if self.setup.user.is_some() || self.setup.password.is_some() {
            let password = self.setup.password.as_ref().map_or("", Secret::reveal);
            let user = self.setup.user.as_deref().unwrap_or(USER);
            path.push_str(&format!("&user={}&password={}", encoded(user), encoded(password)));
        }
        let answer = self.http.exchange(wait, doing, || Ok(Request { path: path.clone(), authorization: None, body: None }))?;
        match answer.status {
            200 => Ok(answer.body),
            401 => Err(self.failed(ErrorKind::Refused, doing, "the plug refuses user name or password", &answer.body)),
            status => Err(self.failed(ErrorKind::Protocol, doing, &format!("the plug answers with status {status}"), &answer.body)),
        }
    }

    fn failed(&self, kind: ErrorKind, doing: &str, what: &str, body: &[u8]) -> ChannelError {
        let text = format!("{what}: {}", start_of(body));
        // Blotted out before it is cut, or half of it could stay.
        let text = match self.setup.password.as_ref().map(Secret::reveal).filter(|p| !p.is_empty()) {
            None => text,
            Some(password) => {
                let whole = String::from_utf8_lossy(body).replace(password, "(password)").replace(&encoded(password), "(password)");
                format!("{what}: {}", start_of(whole.as_bytes()))
            }
        };
        ChannelError::caused(kind, doing, text)
    }

    fn ask_relay(&self, argument: &str, wait: &Wait, doing: &str) -> Result<bool, ChannelError> {
        let body = self.command(&format!("Power{}{argument}", self.setup.relay), wait, doing)?;
        let (kind, what) = match tasmota::read(&body, self.setup.relay) {
            Said::State(on) => return Ok(on),
            Said::Odd(_) => (ErrorKind::Protocol, "the relay's state is neither ON nor OFF"),
            Said::Complaint(_) => (ErrorKind::Refused, "the plug refuses"),
            Said::Nothing => (ErrorKind::Protocol, "the plug says nothing of this relay"),
            Said::Nonsense(_) => (ErrorKind::Protocol, "the plug answers as no Tasmota does"),
        };
        Err(self.failed(kind, doing, what, &body))
    }
}

/// Everything but letters, digits and `-._~` as `%XX`.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

impl Power for Plug {
    fn set(&mut self, ask: PowerAsk, wait: &Wait) -> Result<(), ChannelError> {
        let doing = format!("switch {} {}", word(ask), self.name());
        let argument = if ask == PowerAsk::On { " On" } else { " Off" };
        if self.ask_relay(argument, wait, &doing)? == (ask == PowerAsk::On) {
            return Ok(());
        }
        let supply = self.setup.supply;
        supply.taken(ask, wait, &doing, |wait| self.state(wait))
    }

    fn state(&mut self, wait: &Wait) -> Result<PowerSeen, ChannelError> {
        let on = self.ask_relay("", wait, &format!("read the state of {}", self.name()))?;
        Ok(if on { PowerSeen::On } else { PowerSeen::Off })
    }

    fn rail(&mut self, _: &Wait) -> Result<Option<Millivolts>, ChannelError> {
        Ok(None)
    }

    fn current(&mut self, wait: &Wait) -> Result<Option<Milliamps>, ChannelError> {
        let doing = format!("read the meter of {}", self.name());
        let body = self.command("Status 10", wait, &doing)?;
        if let Said::Complaint(_) = tasmota::read(&body, self.setup.relay) {
            return Err(self.failed(ErrorKind::Refused, &doing, "the plug refuses", &body));
        }
        tasmota::current(&body, self.setup.relay).map_err(|_| self.failed(ErrorKind::Protocol, &doing, "the plug answers as no meter does", &body))
    }

    fn off_min(&self) -> Duration {
        self.setup.supply.off_min
    }

    fn dip(&mut self, _: Millivolts, _: Duration, _: &Wait) -> Result<(), ChannelError> {
        Err(ChannelError::new(ErrorKind::Unsupported, format!("dip the supply behind {}", self.name())))
    }

    fn describe(&self) -> String {
        format!("Tasmota plug {} (HTTP), user {}", self.name(), self.setup.user.as_deref().map_or("unsaid".to_owned(), |u| shown(u.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_query_is_encoded() {
        assert_eq!(encoded("p&w=ö #1"), "p%26w%3D%C3%B6%20%231");
    }
}
