//! From what was seen to words: pure functions, so that every diagnosis can be tried without a bench.

pub(super) mod console;
pub(super) mod debug;
pub(super) mod parts;
pub(super) mod power;

use super::Outcome;
use crate::trouble::Trouble;
use proofbench_channel::conformance::Broken;
use proofbench_channel::{ChannelError, ErrorKind};
use std::time::Duration;

/// What one step comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub outcome: Outcome,
    /// What was seen.
    pub seen: String,
    /// What to try, likeliest first.
    pub advice: Vec<String>,
}

impl Finding {
    pub fn ok(seen: impl Into<String>) -> Self {
        Self { outcome: Outcome::Ok, seen: seen.into(), advice: Vec::new() }
    }
    pub fn wrong(seen: impl Into<String>, advice: &[&str]) -> Self {
        Self { outcome: Outcome::Wrong, seen: seen.into(), advice: owned(advice) }
    }
    pub fn untold(seen: impl Into<String>, advice: &[&str]) -> Self {
        Self { outcome: Outcome::Untold, seen: seen.into(), advice: owned(advice) }
    }
    pub fn not_done(seen: impl Into<String>) -> Self {
        Self { outcome: Outcome::NotDone, seen: seen.into(), advice: Vec::new() }
    }
    /// One more thing to try, before the others.
    pub fn first_try(mut self, advice: impl Into<String>) -> Self {
        self.advice.insert(0, advice.into());
        self
    }
}

fn owned(advice: &[&str]) -> Vec<String> {
    advice.iter().map(|a| (*a).to_owned()).collect()
}

/// A length of time as a person says it, rounded so that it is never told shorter than it was.
pub(super) fn span(d: Duration) -> String {
    let us = d.as_micros();
    match us {
        0..1_000 => "less than 1 ms".to_owned(),
        1_000..1_000_000 => format!("{} ms", us.div_ceil(1_000)),
        _ => format!("{:.1} s", (us.div_ceil(100_000) as f64) / 10.0),
    }
}

/// As [`span`], but never told longer than it was.
pub(super) fn at_least(d: Duration) -> String {
    match d.as_micros() {
        0..1_000 => "less than 1 ms".to_owned(),
        us @ 1_000..1_000_000 => format!("{} ms", us / 1_000),
        us => format!("{:.1} s", (us / 100_000) as f64 / 10.0),
    }
}

/// What a step comes to that ended in trouble.
pub(super) fn trouble(channel: &str, trouble: &Trouble) -> Finding {
    match trouble {
        Trouble::Channel(e) => adapter(channel, e),
        Trouble::Permission(p) => Finding::not_done(format!("the rig does not grant {p}")),
        Trouble::IxitMissing(what) => Finding::not_done(format!("the dossier does not say: {what}")),
        Trouble::Human(what) => Finding::not_done(format!("a person would have to do it: {what}")),
        Trouble::RigFault(_) | Trouble::Precondition(_) | Trouble::Unreachable(_) | Trouble::IxitAmbiguous(_) => {
            Finding::wrong(trouble.explain(), &[])
        }
        _ => Finding::untold(trouble.explain(), &[]),
    }
}

/// What an adapter's error comes to.
pub(super) fn adapter(channel: &str, e: &ChannelError) -> Finding {
    let seen = e.explain();
    let look = match channel {
        "console" | "update" => "`proofbench list ports` shows the serial ports that are there",
        "debug" => "`proofbench list probes` shows the probes that are there",
        _ => "compare the address in the rig file with the adapter's label",
    };
    match e.kind {
        ErrorKind::Disconnected => Finding::wrong(seen, &["the adapter is not there: plugged in, powered, named rightly?", look]),
        ErrorKind::Refused => Finding::wrong(
            seen,
            &[
                "another program holds it (a terminal, ModemManager, another run), or this user may not use it (udev rule, group dialout or plugdev, password)",
            ],
        ),
        ErrorKind::Protocol => Finding::wrong(seen, &["something else answers at this address, or with other settings", look]),
        ErrorKind::Timeout => Finding::wrong(seen, &["the adapter does not answer in time: is it the right address, does it have power?", look]),
        ErrorKind::Driver => Finding::wrong(seen, &[]),
        ErrorKind::Unsupported => Finding::not_done(seen),
        ErrorKind::Cancelled => Finding::untold(seen, &[]),
    }
}

/// The rule of the reset line's suite that wires alone can break.
const HOLDS: &str = "a device held in reset says nothing";

/// What was seen may be all that a device printed.
fn shortened(broken: &Broken) -> String {
    broken.to_string().chars().take(400).collect()
}

/// What a behaviour suite comes to.
pub(super) fn rules(outcome: Result<(), Broken>) -> Finding {
    match outcome {
        Ok(()) => Finding::ok("the adapter and its driver keep the rules"),
        Err(broken) if broken.rule == HOLDS => Finding::wrong(
            shortened(&broken),
            &[
                "pulses arrive and holding does not: a capacitor in the line (as behind DTR on many boards) lets only edges through",
                "something else pulls nRST up harder than the adapter pulls it down",
            ],
        ),
        Err(broken) => Finding::wrong(
            shortened(&broken),
            &["this is about the adapter or its driver rather than the wires to the device; the same twice is worth a report"],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(400, "less than 1 ms")]
    #[case(1_000, "1 ms")]
    #[case(339_001, "340 ms")]
    #[case(1_000_000, "1.0 s")]
    #[case(2_010_000, "2.1 s")]
    fn a_time_is_never_told_shorter_than_it_was(#[case] us: u64, #[case] text: &str) {
        assert_eq!(span(Duration::from_micros(us)), text);
    }

    #[rstest]
    #[case::gone(ErrorKind::Disconnected, "list ports")]
    #[case::held(ErrorKind::Refused, "group dialout")]
    #[case::another(ErrorKind::Protocol, "something else answers")]
    #[case::late(ErrorKind::Timeout, "right address")]
    fn an_adapters_error_comes_with_what_to_try(#[case] kind: ErrorKind, #[case] part: &str) {
        let finding = adapter("console", &ChannelError::caused(kind, "open /dev/ttyUSB7", "no such device"));
        assert_eq!(finding.outcome, Outcome::Wrong);
        assert!(finding.seen.contains("/dev/ttyUSB7") && finding.seen.ends_with("no such device"), "{finding:?}");
        assert!(finding.advice.iter().any(|a| a.contains(part)), "{finding:?}");
    }

    #[test]
    fn a_line_that_does_not_hold_is_told_from_a_driver_that_breaks_a_rule() {
        let broken = |rule| rules(Err(Broken { rule, saw: "x".repeat(10_000) }));
        assert!(broken(HOLDS).advice[0].contains("a capacitor"));
        assert!(broken("switching works, to the present state too").advice[0].contains("the adapter or its driver"));
        assert!(broken(HOLDS).seen.len() < 500);
    }

    #[test]
    fn what_is_not_granted_is_not_done_and_said() {
        let finding = trouble("storage", &Trouble::Permission(crate::check::Permission::FlashWrite));
        assert_eq!((finding.outcome, finding.seen.as_str()), (Outcome::NotDone, "the rig does not grant flash-write"));
    }
}
