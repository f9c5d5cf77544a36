//! Plugs among the peers, started; and waits.

use proofbench_channel::{Cancel, Wait};
use proofbench_drivers::TimeBase;
use proofbench_drivers::power::Supply;
use proofbench_testkit::{Peer, fixture, python};
use std::process::Command;
use std::time::Duration;

/// Longer than anything here takes.
pub const LONG: Duration = Duration::from_secs(60);
/// What every supply of these tests has.
pub fn supply() -> Supply {
    Supply { time: TimeBase::real(), off_min: Duration::from_millis(10) }
}

pub fn within(supply: &Supply, time: Duration) -> Wait {
    Wait::until(supply.time.now() + time, &Cancel::new())
}

/// A plug among the peers, by the name of its script.
pub fn plug(script: &str, arguments: &[&str]) -> Option<Peer> {
    let modules: &[&str] = if script.contains("mqtt") { &["paho.mqtt.client"] } else { &["json"] };
    let python = python(modules)?;
    let mut command = Command::new(python);
    command.arg(fixture("fixtures/peers").join(script)).args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
    Some(Peer::start(&mut command))
}
