//! What an off, a pulse and a cut say about supply and reset line.

use super::console::Heard;
use super::{Finding, at_least, span};
use proofbench_channel::PowerSeen;
use std::time::Duration;

/// The rail counts as fallen below this many millivolts.
pub(in crate::doctor) const FALLEN: u32 = 300;
/// What is left on a rail that nothing feeds, in millivolts.
const REST: u32 = 200;
/// At this share of its level when on, a rail has not fallen at all.
const STILL_UP: f64 = 0.8;
/// As [`STILL_UP`] where the level is not known, in millivolts.
const STILL_UP_MV: u32 = 2_500;

/// What was seen around an off.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::doctor) struct AtOff {
    pub off_min: Duration,
    /// What the switch says of itself.
    pub state: Option<PowerSeen>,
    /// Millivolts before.
    pub on_mv: Option<u32>,
    /// Millivolts after the minimum off time.
    pub rest_mv: Option<u32>,
    /// From the request until the rail was below [`FALLEN`].
    pub fell: Option<Duration>,
    /// How long the rail was looked at.
    pub watched: Duration,
    /// What the console said after the minimum off time, escaped.
    pub talks: Option<String>,
    /// Other channels that still answered: "the debug port".
    pub answers: Vec<&'static str>,
    /// Channels that answered before: without one, silence shows nothing.
    pub before: Vec<&'static str>,
    /// The console's port went away.
    pub port_gone: bool,
}

impl AtOff {
    fn alive(&self) -> Option<String> {
        let mut by: Vec<String> = self.talks.iter().map(|t| format!("the console says `{t}`")).collect();
        by.extend(self.answers.iter().map(|a| format!("{a} answers")));
        (!by.is_empty()).then(|| by.join(", "))
    }
}

const UNPLUG: &str =
    "unplug the probe, then the console adapter, then every other cable, and run it again: with the feeding one gone this line changes";

/// The supply was asked off and kept off for its minimum.
pub(in crate::doctor) fn off(a: &AtOff) -> Finding {
    match &a.state {
        Some(PowerSeen::On) => {
            return Finding::wrong(
                "asked off, and the switch still reports on",
                &["the switch does not obey: a lock, a schedule, a fuse, another outlet's address"],
            );
        }
        Some(PowerSeen::Tripped(why)) => return Finding::wrong(format!("asked off, and the switch reports: {why}"), &[]),
        Some(PowerSeen::Off | PowerSeen::Unknown) | None => {}
    }
    let after = span(a.off_min);
    let mut finding = match (a.rest_mv, a.alive()) {
        (Some(mv), alive) if f64::from(mv) >= a.on_mv.map_or(f64::from(STILL_UP_MV), |on| f64::from(on) * STILL_UP) => {
            let alive = alive.map(|by| format!(", and {by}")).unwrap_or_default();
            Finding::wrong(
                format!("{after} after off the rail is still at {mv} mV{alive}: the switch does nothing to this board"),
                &["another outlet, hub port or channel than the board's", "the board has a second supply (its USB connector, the probe's 3.3 V)"],
            )
        }
        (Some(mv), alive) if mv > REST && alive.is_none() && a.fell.is_none() => Finding::wrong(
            format!("{after} after off the rail rests at {mv} mV: the board is still fed, or its capacitors need longer"),
            &["fed through the pins of the probe or the UART", UNPLUG],
        ),
        (Some(mv), Some(by)) if mv > REST => Finding::wrong(
            format!("the board is still powered through the probe or UART: {after} after off the rail is at {mv} mV, and {by}"),
            &[UNPLUG, "series resistors in the signal wires, an adapter that lets go of its pins, or a switch in the cable that feeds"],
        ),
        (Some(mv), None) if mv > REST => Finding::wrong(
            format!("the rail fell below {FALLEN} mV and rests at {mv} mV: a little is fed through another cable, and RAM may live on it"),
            &[UNPLUG],
        ),
        (Some(mv), Some(by)) => Finding::wrong(
            format!("the rail is at {mv} mV {after} after off, and {by}"),
            &["the meter is on another rail than the device's", "what answers is another device: is `port` right?"],
        ),
        (None, Some(by)) => Finding::wrong(
            format!("{after} after off the device still runs: {by}"),
            &["the switch does nothing, or switches another outlet", "the board is still powered through the probe or UART", UNPLUG],
        ),
        (Some(mv), None) => Finding::ok(format!("{after} after off the rail is at {mv} mV and nothing answers")),
        (None, None) if a.port_gone => Finding::ok("the console's port went away with the power".to_owned()),
        (None, None) if !a.before.is_empty() => {
            Finding::ok(format!("{after} after off there is no answer any more ({} answered before); the rail is not metered", a.before.join(", ")))
        }
        (None, None) => Finding::untold(
            "nothing shows whether power goes: the rail is not metered, and the device answered nowhere before either",
            &["the next boot has to tell: its cause, and whether RAM was lost"],
        ),
    };
    if a.state == Some(PowerSeen::Unknown) {
        finding.seen.push_str("; the switch cannot be read back, so witnesses decide");
    }
    finding
}

/// How long a device needs without supply, as far as it was measured.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::doctor) enum Need {
    /// The rail was below [`FALLEN`] after so long.
    Rail(Duration),
    /// The rail was not, after so long.
    RailNever(Duration),
    /// The shortest off after which the device said that power had gone, and the longest after which it did not.
    Device { cut: Option<Duration>, no_cut: Option<Duration> },
}

/// `off-min` of the rig file against what the board needs.
pub(in crate::doctor) fn off_min(off_min: Duration, need: &Need) -> Finding {
    let yours = span_exact(off_min);
    let short = |what: String, needed: Duration| {
        Finding::wrong(format!("your off-min of {yours} is too short: {what}"), &[]).first_try(format!("write off-min = \"{}\"", suggested(needed)))
    };
    match need {
        Need::Rail(after) if *after <= off_min => {
            Finding::ok(format!("your off-min of {yours} is enough: rail below {FALLEN} mV after {}", span(*after)))
        }
        Need::Rail(after) => short(format!("rail below {FALLEN} mV only after {}", span(*after)), *after),
        Need::RailNever(watched) => Finding::wrong(
            format!("the rail was not below {FALLEN} mV within {} of off", span(*watched)),
            &["something feeds the board: see the step before", "a bleeder resistor across the rail"],
        ),
        Need::Device { cut: Some(cut), no_cut } if *cut <= off_min => {
            let less = no_cut.map(|n| format!(", after {} it had not", at_least(n))).unwrap_or_default();
            Finding::ok(format!("your off-min of {yours} is enough: after {} the device says that power had gone{less}", span(*cut)))
        }
        Need::Device { cut: Some(cut), .. } => short(format!("only after {} the device says that power had gone", span(*cut)), *cut),
        Need::Device { cut: None, no_cut } => Finding::wrong(
            format!("after {} without supply the device still does not say that power had gone", span(no_cut.unwrap_or(off_min))),
            &["something feeds the board: see the step before", "`causes` or `ram` in device.toml name the device's words wrongly"],
        ),
    }
}

/// As written in a rig file.
fn span_exact(d: Duration) -> String {
    match d.as_millis() {
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

/// A quarter more than needed, in a number that one writes down.
fn suggested(needed: Duration) -> String {
    let ms = needed.as_millis() * 5 / 4;
    let step = match ms {
        0..100 => 10,
        100..1_000 => 100,
        _ => 500,
    };
    let ms = (ms / step + 1) * step;
    span_exact(Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX)))
}

/// The device after its reset line (`what`) was pulsed. `cause`: what the dossier calls it. `answers`: an empty line was answered afterwards.
pub(in crate::doctor) fn restarted(h: &Heard, what: &str, cause: Option<&str>, answers: bool) -> Finding {
    if h.boots == 0 {
        return if answers {
            Finding::wrong(
                format!("{what} was pulsed, and the device did not start again: the line does not reach it"),
                &["is the wire on nRST of this board?", "the line works in the wrong sense, or is too weak to pull nRST low"],
            )
        } else {
            Finding::wrong(
                format!("{what} was pulsed, and the device has been silent since: the line stays asserted"),
                &["the line works in the wrong sense", "an adapter that does not let go: open drain, with a pull-up on the board"],
            )
        };
    }
    if h.ready.is_none() {
        return Finding::wrong(
            format!("{what} was pulsed; the device starts and is not ready within {}, last line `{}`", span(h.waited), h.last),
            &[],
        );
    }
    match cause {
        Some(cause) if h.boots == 1 && h.cause != cause => Finding::wrong(
            format!("{what} was pulsed, and the device calls the cause `{}`, not `{cause}`", h.cause),
            &["the line is wired to something else than nRST: to the supply's enable?", "`[bind.causes]` of device.toml"],
        ),
        _ => {
            let cause = if h.cause.is_empty() { String::new() } else { format!(", cause `{}`", h.cause) };
            Finding::ok(format!("a pulse restarts the device{cause}"))
        }
    }
}

/// The device after the supply was off for its minimum and came back.
pub(in crate::doctor) fn cut(h: &Heard, power_on: &str) -> Finding {
    let feeds = ["the board is fed through another cable", "`off-min` is too short", "a battery or a large capacitor keeps it alive"];
    if h.boots == 0 {
        let seen =
            if h.bytes == 0 { "the device did not start again after the cut" } else { "the device talks after the cut and has not started again" };
        return Finding::wrong(seen, &feeds);
    }
    if h.cause != power_on {
        return Finding::wrong(format!("after the cut the device calls the cause `{}`, not `{power_on}`", h.cause), &feeds);
    }
    match h.ram_lost {
        Some(false) => Finding::wrong("after the cut the device says that its RAM was kept", &feeds),
        Some(true) => Finding::ok(format!("after the cut the device says `{power_on}` and that its RAM was lost")),
        None => Finding::ok(format!("after the cut the device says `{power_on}`")),
    }
}

/// Whether this boot shows that power had gone.
pub(in crate::doctor) fn shows_a_cut(h: &Heard, power_on: &str) -> bool {
    cut(h, power_on).outcome == crate::doctor::Outcome::Ok
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;
    use rstest::rstest;

    const MS: Duration = Duration::from_millis(1);

    fn at(change: impl FnOnce(&mut AtOff)) -> AtOff {
        let mut a = AtOff {
            off_min: 2000 * MS,
            state: Some(PowerSeen::Off),
            on_mv: Some(3300),
            rest_mv: Some(0),
            fell: Some(340 * MS),
            watched: 2000 * MS,
            before: vec!["the console"],
            ..AtOff::default()
        };
        change(&mut a);
        a
    }

    #[rstest]
    #[case::good(at(|_| ()), Outcome::Ok, "the rail is at 0 mV and nothing answers")]
    #[case::reports_on(at(|a| a.state = Some(PowerSeen::On)), Outcome::Wrong, "still reports on")]
    #[case::nothing_happens(at(|a| { a.rest_mv = Some(3290); a.fell = None; a.talks = Some("login: ".into()); }), Outcome::Wrong, "the switch does nothing")]
    #[case::back_fed(at(|a| { a.rest_mv = Some(2200); a.fell = None; a.talks = Some("login: ".into()); }), Outcome::Wrong,
        "still powered through the probe or UART: 2.0 s after off the rail is at 2200 mV, and the console says `login: `")]
    #[case::back_fed_by_probe(at(|a| { a.rest_mv = Some(1100); a.fell = None; a.answers = vec!["the debug port"]; }), Outcome::Wrong, "the debug port answers")]
    #[case::back_fed_asleep(at(|a| { a.rest_mv = Some(1100); a.fell = None; }), Outcome::Wrong, "rests at 1100 mV")]
    #[case::a_little_left(at(|a| a.rest_mv = Some(250)), Outcome::Wrong, "RAM may live on it")]
    #[case::meter_elsewhere(at(|a| a.talks = Some("login: ".into())), Outcome::Wrong, "the rail is at 0 mV")]
    #[case::unmetered_alive(at(|a| { a.rest_mv = None; a.talks = Some("login: ".into()); }), Outcome::Wrong, "still runs")]
    #[case::unmetered_quiet(at(|a| a.rest_mv = None), Outcome::Ok, "the console answered before")]
    #[case::port_gone(at(|a| { a.rest_mv = None; a.port_gone = true; a.before.clear(); }), Outcome::Ok, "went away")]
    #[case::no_witness(at(|a| { a.rest_mv = None; a.before.clear(); }), Outcome::Untold, "nothing shows")]
    #[case::unread(at(|a| a.state = Some(PowerSeen::Unknown)), Outcome::Ok, "witnesses decide")]
    fn an_off_is_told_by_its_witnesses(#[case] seen: AtOff, #[case] outcome: Outcome, #[case] words: &str) {
        let finding = off(&seen);
        assert_eq!(finding.outcome, outcome, "{finding:?}");
        assert!(finding.seen.contains(words), "{finding:?}");
    }

    #[rstest]
    #[case::enough(2000, Need::Rail(340 * MS), Outcome::Ok, "your off-min of 2s is enough: rail below 300 mV after 340 ms", "")]
    #[case::too_short(2000, Need::Rail(2300 * MS), Outcome::Wrong, "too short: rail below 300 mV only after 2.3 s", "write off-min = \"3s\"")]
    #[case::never(20, Need::RailNever(5000 * MS), Outcome::Wrong, "not below 300 mV within 5.0 s", "something feeds")]
    #[case::device_enough(20, Need::Device { cut: Some(9 * MS), no_cut: Some(7 * MS) }, Outcome::Ok, "after 9 ms the device says that power had gone, after 7 ms it had not", "")]
    #[case::device_short(5, Need::Device { cut: Some(10 * MS), no_cut: Some(5 * MS) }, Outcome::Wrong, "your off-min of 5ms is too short", "write off-min = \"20ms\"")]
    #[case::device_never(20, Need::Device { cut: None, no_cut: Some(320 * MS) }, Outcome::Wrong, "after 320 ms without supply", "something feeds")]
    fn off_min_is_held_against_what_the_board_needs(
        #[case] yours: u64,
        #[case] need: Need,
        #[case] outcome: Outcome,
        #[case] seen: &str,
        #[case] advice: &str,
    ) {
        let finding = off_min(Duration::from_millis(yours), &need);
        assert_eq!(finding.outcome, outcome, "{finding:?}");
        assert!(finding.seen.contains(seen), "{finding:?}");
        assert!(advice.is_empty() || finding.advice.iter().any(|a| a.contains(advice)), "{finding:?}");
    }

    fn boot(cause: &str) -> Heard {
        Heard { bytes: 400, boots: 1, ready: Some(300 * MS), cause: cause.to_owned(), ram_lost: Some(true), ..Heard::default() }
    }

    #[rstest]
    #[case::good(boot("pin"), true, Outcome::Ok, "restarts the device, cause `pin`")]
    #[case::unconnected(Heard::default(), true, Outcome::Wrong, "does not reach it")]
    #[case::stuck(Heard::default(), false, Outcome::Wrong, "stays asserted")]
    #[case::another_line(boot("power-on"), true, Outcome::Wrong, "not `pin`")]
    #[case::not_ready(Heard { ready: None, ..boot("pin") }, true, Outcome::Wrong, "not ready")]
    fn a_reset_line_is_told_by_the_boot_it_causes(#[case] heard: Heard, #[case] answers: bool, #[case] outcome: Outcome, #[case] words: &str) {
        let finding = restarted(&heard, "the reset line", Some("pin"), answers);
        assert_eq!(finding.outcome, outcome, "{finding:?}");
        assert!(finding.seen.contains(words), "{finding:?}");
    }

    #[rstest]
    #[case::good(boot("power-on"), Outcome::Ok, "RAM was lost")]
    #[case::ran_through(Heard { bytes: 10, ..Heard::default() }, Outcome::Wrong, "has not started again")]
    #[case::dead(Heard::default(), Outcome::Wrong, "did not start again")]
    #[case::brown_out(boot("brown-out"), Outcome::Wrong, "`brown-out`, not `power-on`")]
    #[case::ram_kept(Heard { ram_lost: Some(false), ..boot("power-on") }, Outcome::Wrong, "RAM was kept")]
    fn a_cut_is_told_by_the_boot_that_follows(#[case] heard: Heard, #[case] outcome: Outcome, #[case] words: &str) {
        let finding = cut(&heard, "power-on");
        assert_eq!(finding.outcome, outcome, "{finding:?}");
        assert!(finding.seen.contains(words), "{finding:?}");
        assert_eq!(shows_a_cut(&heard, "power-on"), outcome == Outcome::Ok);
    }
}
