//! What a console says about its wires.

use super::{Finding, span};
use std::time::Duration;

/// Above this share of bytes that are no text, the baud rate is another one: a wrong rate turns most bytes into something else.
const WRONG_RATE: f64 = 0.25;
/// Above this share, single bytes are disturbed on the way.
const DISTURBED: f64 = 0.03;
/// A rail below this many millivolts feeds nothing.
const NO_POWER: u32 = 300;

/// What the console brought since the device was told to start.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::doctor) struct Heard {
    pub bytes: usize,
    /// Bytes that are no text.
    pub odd: usize,
    /// The beginning of it, escaped.
    pub first: String,
    pub boots: u32,
    pub booted: Option<Duration>,
    pub ready: Option<Duration>,
    pub tripwire: Option<String>,
    /// Last line, escaped.
    pub last: String,
    /// Reset cause of the first boot.
    pub cause: String,
    /// The device's word on its RAM in the first boot.
    pub ram_lost: Option<bool>,
    pub port_gone: bool,
    pub waited: Duration,
}

impl Heard {
    fn odd_share(&self) -> f64 {
        if self.bytes == 0 { 0.0 } else { self.odd as f64 / self.bytes as f64 }
    }
    fn percent(&self) -> u32 {
        (self.odd_share() * 100.0).round() as u32
    }
}

/// What the other channels show of a device that the console does not.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::doctor) struct Around {
    /// Millivolts, asked on.
    pub rail_on: Option<u32>,
    /// Milliamperes, asked on.
    pub draws: Option<u32>,
    /// Millivolts, asked off.
    pub rail_off: Option<u32>,
    /// What the switch says of itself after it was asked on, if that is not "on".
    pub switch: Option<String>,
    /// Channels on which the device answered: "the debug port".
    pub runs_by: Vec<&'static str>,
    /// It answers an empty line.
    pub knock: Option<String>,
    /// It starts when the reset line is asserted.
    pub starts_when_held: bool,
    /// It starts when the supply is asked off.
    pub starts_when_off: bool,
    /// What came while the supply was off.
    pub talks_when_off: Option<String>,
}

/// A garbled line or a device that is another one.
fn strange(h: &Heard, around: &Around) -> Option<Finding> {
    if h.odd_share() >= WRONG_RATE {
        let seen = format!("{} bytes came, {} % of them no text: `{}`", h.bytes, h.percent(), h.first);
        return Some(Finding::wrong(
            seen,
            &[
                "wrong baud rate, data bits or parity: compare `baud` with the device's; 9600, 115200, 460800, 921600 and 1500000 are common",
                "a line that is inverted, or RS-232 levels on a 3.3 V adapter",
            ],
        ));
    }
    if h.odd_share() >= DISTURBED {
        let seen = format!("{} bytes came, {} % of them disturbed: `{}`", h.bytes, h.percent(), h.first);
        let advice = ["no common ground, or a loose wire", "a baud rate that is a few percent off", "long wires beside a supply's"];
        return Some(Finding::wrong(seen, &advice));
    }
    if h.boots > 0 || h.bytes == 0 {
        return None;
    }
    let seen = format!("text came, and no line is the dossier's boot line: `{}`", h.first);
    let mut finding = Finding::wrong(
        seen,
        &[
            "another device talks on this port: is it the right one?",
            "other firmware than the dossier's: `boot-id` in device.toml has to match the first line of every boot",
        ],
    );
    if let Some(said) = &around.talks_when_off {
        finding = finding
            .first_try(format!("it talks while the supply is off as well (`{said}`): not the device behind this switch, or the switch does nothing"));
    }
    Some(finding)
}

/// The device was told to start: by `stimulus`, such as "power-on".
/// `declared`: the dossier's longest time to ready.
pub(in crate::doctor) fn boot(h: &Heard, declared: Duration, around: &Around, stimulus: &str) -> Finding {
    if h.bytes == 0 {
        return silent(h, around, stimulus);
    }
    if let Some(finding) = strange(h, around)
        && (h.ready.is_none() || h.boots == 0)
    {
        return finding;
    }
    if let Some(line) = &h.tripwire {
        return Finding::wrong(
            format!("the device starts and stops with `{line}`"),
            &["this is the device's own word: its firmware or its flash, not the wires"],
        );
    }
    let Some(ready) = h.ready else {
        let seen = format!("{} boot line(s), not ready within {}, last line `{}`", h.boots, span(h.waited), h.last);
        return if h.boots > 1 {
            let cause = if h.cause.is_empty() { String::new() } else { format!(", first cause `{}`", h.cause) };
            Finding::wrong(
                format!("the device starts again and again: {seen}{cause}"),
                &["the supply is too weak or its current limit too low: the rail breaks down when the device starts", "reset line with noise on it"],
            )
        } else {
            Finding::wrong(
                seen,
                &[
                    "`ready` in device.toml has to match the line that says the device is up",
                    "the device waits for something the bench does not give",
                ],
            )
        };
    };
    if ready > declared {
        let seen = format!("ready {} after {stimulus}; the dossier declares {}", span(ready), span(declared));
        let fits = format!("the device needs longer: `ready-within-ms = {}` in device.toml", rounded_ms(ready));
        return Finding::wrong(seen, &["an update or a repair of its flash was unfinished: run it again"]).first_try(fits);
    }
    if h.odd_share() >= DISTURBED {
        return strange(h, around).unwrap_or_else(|| Finding::ok(""));
    }
    let cause = if h.cause.is_empty() { String::new() } else { format!(", cause `{}`", h.cause) };
    Finding::ok(format!("boot line {} after {stimulus}, ready after {}{cause}", span(h.booted.unwrap_or_default()), span(ready)))
}

/// Half as much again, in round numbers.
fn rounded_ms(d: Duration) -> u128 {
    (d.as_millis() * 3 / 2).div_ceil(100).max(1) * 100
}

fn silent(h: &Heard, around: &Around, stimulus: &str) -> Finding {
    let waited = span(h.waited);
    if around.starts_when_off || matches!((around.rail_on, around.rail_off), (Some(on), Some(off)) if on < NO_POWER && off > 3 * NO_POWER) {
        return Finding::wrong(
            "nothing after on, and the device gets its power when the supply is asked off: the switch works in the wrong sense",
            &[
                "`active-low` of a GPIO relay the other way round",
                "the relay's other contact (NO instead of NC)",
                "`on` and `off` of a command driver exchanged",
            ],
        );
    }
    if around.starts_when_held {
        return Finding::wrong(
            "the device is silent while the reset line is released and starts when it is asserted: the line works in the wrong sense",
            &["`active-low` of a GPIO line, or `active` of a serial line, the other way round", "a transistor between adapter and nRST inverts"],
        );
    }
    if let Some(why) = &around.switch {
        return Finding::wrong(
            format!("nothing within {waited} of {stimulus}; {why}"),
            &["the supply did not do what it was asked: current limit, fuse, protection"],
        );
    }
    if let Some(mv) = around.rail_on.filter(|mv| *mv < NO_POWER) {
        return Finding::wrong(
            format!("nothing within {waited} of {stimulus}, and the rail is at {mv} mV: the board has no power"),
            &["is the board behind this outlet, port or channel?", "a jumper that separates the supply, a fuse, a current limit"],
        );
    }
    if around.draws == Some(0) && around.runs_by.is_empty() && around.knock.is_none() {
        let rail = around.rail_on.map(|mv| format!(" at {mv} mV")).unwrap_or_default();
        return Finding::wrong(
            format!("nothing within {waited} of {stimulus}, and nothing draws current from the supply{rail}"),
            &["is the board connected to this outlet, port or channel?", "a jumper that separates the supply, or a fuse behind the meter"],
        );
    }
    if let Some(said) = &around.knock {
        return Finding::wrong(
            format!("nothing within {waited} of {stimulus}, but an empty line is answered with `{said}`"),
            &[
                "boot lines are missed: the port is the device's own USB and appears after them; use a UART",
                "the device prints no boot line: `boot-id` in device.toml",
                "the device was not restarted: see the step power off",
            ],
        );
    }
    let rail = around.rail_on.map(|mv| format!(", rail at {mv} mV")).unwrap_or_default();
    if !around.runs_by.is_empty() {
        return Finding::wrong(
            format!("nothing within {waited} of {stimulus}, and the device runs: {} answers{rail}", around.runs_by.join(" and ")),
            &["RX and TX swapped?", "console wires or ground not connected", "`port` is another adapter, or the device's other UART"],
        );
    }
    if h.port_gone {
        return Finding::wrong(
            format!("the console's port is not there, or vanished, and did not come back within {waited}"),
            &["the adapter has its power from the board: then the board has none", "`proofbench list ports` shows what is there"],
        );
    }
    let mut finding = Finding::wrong(
        format!("nothing within {waited} of {stimulus}, and nothing else shows that the device runs{rail}"),
        &[
            "RX and TX swapped, or not connected; no common ground",
            "`port` is another adapter",
            "the device is held in reset: by the adapter's DTR or RTS, by the probe, by a button",
            "the device needs longer than `ready-within-ms` of device.toml before it says anything",
        ],
    );
    if around.rail_on.is_none() {
        finding = finding.first_try("no power: does an LED of the board light up?");
    }
    finding
}

/// The device runs and was sent an empty line. `expected`: the dossier declares a dialogue on this console.
pub(in crate::doctor) fn knock(answer: &[u8], text: &str, expected: bool) -> Finding {
    match (answer.is_empty() || answer == b"\r", expected) {
        (false, _) => Finding::ok(format!("answers an empty line with `{text}`")),
        (true, true) => Finding::wrong(
            "the device prints and does not react to what is typed: the console works one way only",
            &["the adapter's TX is not connected to the device's RX", "hardware flow control without its wires: `flow = \"none\"`"],
        ),
        (true, false) => {
            Finding::untold("an empty line is not answered, and the dossier declares no dialogue: whether the device hears is not told", &[])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;
    use rstest::rstest;

    const MS: Duration = Duration::from_millis(1);
    const DECLARED: Duration = Duration::from_secs(3);

    fn good() -> Heard {
        Heard {
            bytes: 400,
            first: "ROM th1 id=1".to_owned(),
            boots: 1,
            booted: Some(12 * MS),
            ready: Some(340 * MS),
            cause: "power-on".to_owned(),
            waited: 400 * MS,
            ..Heard::default()
        }
    }

    fn nothing() -> Heard {
        Heard { waited: 6000 * MS, ..Heard::default() }
    }

    fn around(change: impl FnOnce(&mut Around)) -> Around {
        let mut a = Around::default();
        change(&mut a);
        a
    }

    #[test]
    fn a_good_boot_is_told_with_its_times() {
        let finding = boot(&good(), DECLARED, &Around::default(), "power-on");
        assert_eq!(finding, Finding::ok("boot line 12 ms after power-on, ready after 340 ms, cause `power-on`"));
    }

    #[rstest]
    #[case::wrong_rate(Heard { odd: 200, boots: 0, ready: None, ..good() }, "wrong baud rate")]
    #[case::disturbed(Heard { odd: 40, boots: 0, ready: None, ..good() }, "no common ground")]
    #[case::disturbed_but_ready(Heard { odd: 40, ..good() }, "no common ground")]
    #[case::another_device(Heard { boots: 0, ready: None, ..good() }, "another device talks")]
    #[case::slow(Heard { ready: Some(4100 * MS), ..good() }, "`ready-within-ms = 6200`")]
    #[case::loops(Heard { boots: 7, ready: None, cause: "brown-out".into(), ..good() }, "too weak")]
    #[case::stops(Heard { ready: None, tripwire: Some("BL halt".into()), ..good() }, "its firmware")]
    #[case::not_ready(Heard { ready: None, ..good() }, "`ready` in device.toml")]
    fn a_console_that_talks_wrongly_is_told_apart(#[case] heard: Heard, #[case] advice: &str) {
        let finding = boot(&heard, DECLARED, &Around::default(), "power-on");
        assert_eq!(finding.outcome, Outcome::Wrong);
        assert!(finding.advice.iter().any(|a| a.contains(advice)), "{finding:?}");
    }

    #[rstest]
    #[case::no_power(around(|a| a.rail_on = Some(20)), "the board has no power", "behind this outlet")]
    #[case::no_load(around(|a| { a.rail_on = Some(5000); a.draws = Some(0); }), "nothing draws current from the supply at 5000 mV", "connected to this outlet")]
    #[case::load_too_small_to_see(around(|a| { a.draws = Some(0); a.runs_by = vec!["the LED"]; }), "the LED answers", "RX and TX swapped?")]
    #[case::tripped(around(|a| a.switch = Some("the switch tripped: over-current".into())), "over-current", "current limit")]
    #[case::runs(around(|a| a.runs_by = vec!["the debug port"]), "the debug port answers", "RX and TX swapped?")]
    #[case::wrong_sense(around(|a| a.starts_when_off = true), "wrong sense", "NO instead of NC")]
    #[case::wrong_sense_by_rail(around(|a| { a.rail_on = Some(0); a.rail_off = Some(3300); }), "wrong sense", "active-low")]
    #[case::polarity(around(|a| a.starts_when_held = true), "the line works in the wrong sense", "`active` of a serial line")]
    #[case::missed(around(|a| a.knock = Some("login: ".into())), "answered with `login: `", "boot lines are missed")]
    #[case::nothing(around(|_| ()), "nothing else shows", "no power: does an LED")]
    #[case::nothing_with_rail(around(|a| a.rail_on = Some(3300)), "rail at 3300 mV", "RX and TX swapped, or not connected")]
    fn silence_is_told_apart_by_what_is_around_it(#[case] around: Around, #[case] seen: &str, #[case] advice: &str) {
        let finding = boot(&nothing(), DECLARED, &around, "power-on");
        assert_eq!(finding.outcome, Outcome::Wrong);
        assert!(finding.seen.contains(seen), "{finding:?}");
        assert!(finding.advice.iter().any(|a| a.contains(advice)), "{finding:?}");
    }

    #[test]
    fn a_rail_that_is_up_rules_out_the_missing_power() {
        let finding = boot(&nothing(), DECLARED, &around(|a| a.rail_on = Some(3300)), "power-on");
        assert!(finding.advice.iter().all(|a| !a.contains("no power")), "{finding:?}");
    }

    #[test]
    fn a_port_that_talks_with_the_supply_off_is_another_devices() {
        let heard = Heard { boots: 0, ready: None, ..good() };
        let finding = boot(&heard, DECLARED, &around(|a| a.talks_when_off = Some("tick".into())), "power-on");
        assert!(finding.advice[0].contains("while the supply is off"), "{finding:?}");
    }

    #[rstest]
    #[case::answers(b"\r\nlogin: ", true, Outcome::Ok)]
    #[case::one_way(b"", true, Outcome::Wrong)]
    #[case::echo_of_the_adapter(b"\r", true, Outcome::Wrong)]
    #[case::log_only(b"", false, Outcome::Untold)]
    fn a_console_that_hears_is_told_from_one_that_does_not(#[case] answer: &[u8], #[case] expected: bool, #[case] outcome: Outcome) {
        assert_eq!(knock(answer, "login: ", expected).outcome, outcome);
    }
}
