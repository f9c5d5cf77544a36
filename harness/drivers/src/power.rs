//! Supplies that switch real things, with one meaning of what was asked, what was observed, and how long off must last.
//!
//! - *Asked*: [`Power::set`](proofbench_channel::Power::set) returns when the switch reads as it was told, where it can be read; a switch that takes
//!   a command and goes on reporting the contrary is `Refused`, with what it reports. That is a faulty bench, never a power cut.
//! - *Observed*: [`Power::state`](proofbench_channel::Power::state) asks the switch each time and never answers from memory. A driver that cannot ask
//!   says `Unknown`. A switch can lie; only the console or the rail is a witness.
//! - *Off*: a supply is off when it has been off for `off_min`, which belongs to the board and its discharge and so is in the rig file. A cancelled or
//!   late call leaves the switch as the command left it: read the state.

pub mod command;
pub mod gpio;
mod http;
pub mod scpi;
pub mod shelly;
pub mod snmp;
mod tasmota;
pub mod tasmota_http;
pub mod tasmota_mqtt;
pub mod usb_hub;

pub use http::{URL_EXAMPLE, url_trouble};
pub use tasmota::RELAY_MOST;

use crate::TimeBase;
use proofbench_channel::{ChannelError, ErrorKind, PowerAsk, PowerSeen, Wait};
use std::time::Duration;

/// What every supply is told besides its own settings.
#[derive(Debug, Clone, Copy)]
pub struct Supply {
    /// The rig's time line.
    pub time: TimeBase,
    /// How long the supply must stay off until the rail is surely below the reset threshold.
    pub off_min: Duration,
}

/// Off time of a rig whose file does not say one: longer than the capacitors of common boards need.
pub const OFF_MIN_UNSAID: Duration = Duration::from_secs(5);

/// How long a switch that has taken a command may go on reporting the contrary, in real time. Switches with a cache of their state need some.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);
/// How often it is asked meanwhile.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// What a switch says when it is asked whether it has taken a command.
#[derive(Debug)]
pub(crate) enum Report {
    /// It has come to rest.
    Says(PowerSeen),
    /// It is still at it.
    Busy,
}

impl From<PowerSeen> for Report {
    fn from(seen: PowerSeen) -> Self {
        Self::Says(seen)
    }
}

impl Supply {
    /// Asks `state` until it reads as was asked, is `Unknown` (nobody can say more) or `Tripped` (the command was taken, protection answered).
    /// `Refused` if it reports the contrary for 10 s, `Timeout` if the wait ends before.
    pub(crate) fn taken<R: Into<Report>>(
        &self,
        ask: PowerAsk,
        wait: &Wait,
        doing: &str,
        mut state: impl FnMut(&Wait) -> Result<R, ChannelError>,
    ) -> Result<(), ChannelError> {
        let patience = self.time.now() + TAKEN_WITHIN.mul_f64(self.time.speed());
        let mut last = None;
        loop {
            let report = match (state(wait), last) {
                // The deadline passed in the middle of asking once more: what it said last is what there is to tell.
                (Err(e), Some(why)) if e.kind == ErrorKind::Timeout => return Err(ChannelError::caused(ErrorKind::Refused, doing, why)),
                (report, _) => report?.into(),
            };
            let why = match (ask, report) {
                (PowerAsk::On, Report::Says(PowerSeen::Off)) => "it took the command and still reports off",
                (PowerAsk::Off, Report::Says(PowerSeen::On)) => "it took the command and still reports on",
                (_, Report::Busy) => "it took the command and is still busy with it",
                _ => return Ok(()),
            };
            if self.time.now() >= patience {
                return Err(ChannelError::caused(ErrorKind::Refused, doing, why));
            }
            last = Some(why);
            let slice = self.time.slice(wait, doing).map_err(|e| ChannelError::caused(e.kind, doing, why))?;
            std::thread::sleep(slice.min(ASK_AGAIN));
        }
    }
}

/// In words, for errors and descriptions.
pub(crate) fn word(ask: PowerAsk) -> &'static str {
    match ask {
        PowerAsk::On => "on",
        PowerAsk::Off => "off",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proofbench_channel::Cancel;

    fn supply(speed: f64) -> (Supply, Wait) {
        let time = TimeBase::scaled(speed);
        (Supply { time, off_min: OFF_MIN_UNSAID }, Wait::until(time.now() + Duration::from_secs(3600), &Cancel::new()))
    }

    #[test]
    fn a_switch_that_needs_a_moment_is_waited_for() {
        let (supply, wait) = supply(1.0);
        let mut answers = [PowerSeen::On, PowerSeen::On, PowerSeen::Off].into_iter();
        supply.taken(PowerAsk::Off, &wait, "switch", |_| Ok(answers.next().unwrap())).unwrap();
        assert!(answers.next().is_none());
    }

    #[test]
    fn a_switch_that_cannot_be_read_and_one_that_trips_have_taken_the_command() {
        let (supply, wait) = supply(1.0);
        supply.taken(PowerAsk::Off, &wait, "switch", |_| Ok(PowerSeen::Unknown)).unwrap();
        supply.taken(PowerAsk::On, &wait, "switch", |_| Ok(PowerSeen::Tripped("short".to_owned()))).unwrap();
    }

    #[test]
    fn a_switch_that_reports_the_contrary_until_the_deadline_is_told_so() {
        let (supply, mut wait) = supply(1.0);
        wait.until = supply.time.now() + Duration::from_millis(50);
        let error = supply.taken(PowerAsk::Off, &wait, "switch", |_| Ok(PowerSeen::On)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Timeout);
        assert!(error.source.unwrap().to_string().contains("still reports on"));
    }
}
