//! What can be said to the power switch of a switched board: one command a line, one line of answer.
//!
//! `on`, `off`: `ok`. `state`: `on` or `off`, as the switch says it stands. `rail`: millivolts at the device. `pid`: the device's process, or `none`.
//! `breaks`: BREAKs that the firmware has taken from its console since it was switched on. `ports`: the board's ready line. Then the ways in which
//! switches and boards misbehave: `slow-rail MS` (large capacitors: the rail takes so long to the brown-out level once it is let go, the device runs
//! on until then, and five and a half times as long to nothing), `backfeed on|off|MV` (the device is fed past the switch once it runs: 2900 mV, or as
//! many as said), `lie on|off` (the switch says yes and does nothing). And `link up|down`, the network's cable, which stays as it is put whatever the
//! power does; one that is moved by the fixture is back in this place after the next off and on. What is not understood is answered with `error: ` and what would be.

use std::str::FromStr;
use std::time::Duration;

/// What a probe's pins lift the rail to, less a diode: enough to run on.
pub const BACK_FEED_MV: u32 = 2900;
/// Most millivolts of a rail.
const RAIL_MV: u32 = 3300;
/// Slowest rail.
const SLOW_MOST_MS: u64 = 600_000;

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Supply on.
    On,
    /// Supply off.
    Off,
    /// How does the switch stand?
    State,
    /// What does the rail measure?
    Rail,
    /// Which process is the device?
    Pid,
    /// How many BREAKs has the firmware taken?
    Breaks,
    /// Which ports are there?
    Ports,
    /// From letting go to the brown-out level.
    SlowRail(Duration),
    /// What stays of the rail when the supply is off; 0 is nothing.
    BackFeed(u32),
    /// Whether the switch lies from now on.
    Lie(bool),
    /// Whether the network's cable is in.
    Link(bool),
}

/// What is understood.
const KNOWN: &str = "on, off, state, rail, pid, breaks, ports, slow-rail MS, backfeed on|off|MV, lie on|off, link up|down";

impl FromStr for Command {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        Ok(match words[..] {
            ["on"] => Self::On,
            ["off"] => Self::Off,
            ["state"] => Self::State,
            ["rail"] => Self::Rail,
            ["pid"] => Self::Pid,
            ["breaks"] => Self::Breaks,
            ["ports"] => Self::Ports,
            ["slow-rail", ms] => match ms.parse() {
                Ok(ms) if ms <= SLOW_MOST_MS => Self::SlowRail(Duration::from_millis(ms)),
                _ => return Err(format!("slow-rail takes 0 to {SLOW_MOST_MS} milliseconds")),
            },
            ["backfeed", "on"] => Self::BackFeed(BACK_FEED_MV),
            ["backfeed", "off"] => Self::BackFeed(0),
            ["backfeed", mv] => match mv.parse() {
                Ok(mv) if mv <= RAIL_MV => Self::BackFeed(mv),
                _ => return Err(format!("backfeed takes on, off, or 0 to {RAIL_MV} millivolts")),
            },
            ["lie", "on"] => Self::Lie(true),
            ["lie", "off"] => Self::Lie(false),
            ["link", "up"] => Self::Link(true),
            ["link", "down"] => Self::Link(false),
            _ => return Err(format!("not known; there are {KNOWN}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_understood_and_nonsense_is_told_what_would_be() {
        assert_eq!("  slow-rail   250 ".parse(), Ok(Command::SlowRail(Duration::from_millis(250))));
        assert_eq!("backfeed 1800".parse(), Ok(Command::BackFeed(1800)));
        assert_eq!("backfeed on".parse(), Ok(Command::BackFeed(BACK_FEED_MV)));
        assert_eq!("lie off".parse(), Ok(Command::Lie(false)));
        for nonsense in ["", "ON", "on off", "slow-rail", "slow-rail -1", "slow-rail 600001", "backfeed 3301", "lie perhaps", "\u{0}"] {
            let why = nonsense.parse::<Command>().unwrap_err();
            assert!(why.contains("there are on, off") || why.contains("takes"), "{why}");
        }
    }
}
