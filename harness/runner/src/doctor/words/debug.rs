//! What a survey says about the probe's wires. Whether the device ought to answer is not judged here.

use super::Finding;
use proofbench_channel::debug::{Protocol, Said, Survey, classify};

/// A target voltage below this many millivolts is none.
const NO_TARGET: u32 = 500;

/// What else is known of the port.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::doctor) struct Known {
    /// Whether the probe's nRST restarted the device: then at least some of its wires reach this board. None if that was not tried.
    pub nrst: Option<bool>,
    /// Whether the dossier declares that the port does not answer at all.
    pub disabled: bool,
    /// The protocol over which it answered instead.
    pub instead: Option<Protocol>,
}

/// One survey of a device that runs.
pub(in crate::doctor) fn survey(s: &Survey, known: Known) -> Finding {
    let vtref = s.vtref_mv.map(|mv| format!(", VTref {mv} mV")).unwrap_or_default();
    if s.self_test == Some(false) {
        return Finding::wrong(
            "the probe fails its self-test: a word written to TAR reads back otherwise",
            &["shorter wires, a slower clock", "other firmware for the probe"],
        );
    }
    match &s.dpidr {
        Said::Value(id) => {
            let level = classify(s).map_or_else(|e| e.to_string(), |a| a.to_string());
            let kind = if s.job.protocol == Protocol::Jtag { "IDCODE" } else { "DPIDR" };
            let tested = if s.self_test == Some(true) { ", self-test passed" } else { "" };
            Finding::ok(format!("{kind} {id:08x}{vtref}; {level} (not judged here){tested}"))
        }
        _ if s.vtref_mv.is_some_and(|mv| mv < NO_TARGET) => Finding::wrong(
            format!("no answer{vtref}: the probe sees no target voltage"),
            &["the board has no power", "VTref of the connector is not wired"],
        ),
        Said::Protocol => Finding::wrong(
            format!("the line is low or garbled{vtref}"),
            &["SWDIO and SWCLK swapped?", "a short, or a board without power", "a slower clock, shorter wires"],
        ),
        said => {
            let seen = format!("no answer ({said:?}){vtref}");
            match (known.instead, known.nrst, known.disabled) {
                (Some(other), _, _) => {
                    Finding::wrong(format!("{seen}; over {} it answers", name(other)), &["`protocols` of the debug binding in ixit.toml"])
                }
                (None, Some(true), true) => Finding::ok(format!("{seen}, as the dossier declares; the probe's nRST reaches the device")),
                (None, Some(true), false) => Finding::wrong(
                    format!("{seen}, although the probe's nRST reaches the device"),
                    &["SWDIO or SWCLK not connected, or swapped", "the port is off in this firmware: then the dossier has to declare it `disabled`"],
                ),
                (None, _, true) => Finding::untold(
                    format!("{seen}, as the dossier declares; that the wires reach the device is not shown"),
                    &["nRST of the probe, wired as well, would show it"],
                ),
                (None, _, false) => Finding::wrong(
                    seen,
                    &[
                        "SWDIO and SWCLK not connected, or swapped? Ground?",
                        "the connector turned round",
                        "the board has no power, or holds the port in reset",
                    ],
                ),
            }
        }
    }
}

/// A protocol as people call it.
pub(in crate::doctor) fn name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Swd => "SWD",
        Protocol::Jtag => "JTAG",
        Protocol::SwdFromDormant => "SWD from dormant",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;
    use proofbench_channel::debug::SurveyJob;
    use rstest::rstest;

    fn seen(dpidr: Said, vtref_mv: Option<u32>, self_test: Option<bool>) -> Survey {
        let job = SurveyJob::new(Protocol::Swd, 0, 0, None);
        Survey { dpidr, vtref_mv, self_test, ..Survey::begun(job) }
    }

    const UNKNOWN: Known = Known { nrst: None, disabled: false, instead: None };
    const REACHED: Known = Known { nrst: Some(true), ..UNKNOWN };
    const DISABLED: Known = Known { disabled: true, ..UNKNOWN };

    #[rstest]
    #[case::answers(seen(Said::Value(0x2ba0_1477), Some(3290), Some(true)), UNKNOWN, Outcome::Ok, "DPIDR 2ba01477, VTref 3290 mV")]
    #[case::silent(seen(Said::NoAck, None, None), UNKNOWN, Outcome::Wrong, "no answer")]
    #[case::target_off(seen(Said::NoAck, Some(12), None), UNKNOWN, Outcome::Wrong, "no target voltage")]
    #[case::swapped(seen(Said::Protocol, Some(3290), None), UNKNOWN, Outcome::Wrong, "low or garbled")]
    #[case::unfit(seen(Said::Value(1), None, Some(false)), UNKNOWN, Outcome::Wrong, "self-test")]
    #[case::half_wired(seen(Said::NoAck, None, None), REACHED, Outcome::Wrong, "although the probe's nRST reaches")]
    #[case::disabled(seen(Said::NoAck, None, None), Known { disabled: true, ..REACHED }, Outcome::Ok, "as the dossier declares")]
    #[case::disabled_unshown(seen(Said::NoAck, None, None), DISABLED, Outcome::Untold, "not shown")]
    #[case::other_protocol(seen(Said::NoAck, None, None), Known { instead: Some(Protocol::Jtag), ..UNKNOWN }, Outcome::Wrong, "over JTAG it answers")]
    fn a_port_is_told_by_what_the_wire_said(#[case] survey: Survey, #[case] known: Known, #[case] outcome: Outcome, #[case] words: &str) {
        let finding = super::survey(&survey, known);
        assert_eq!(finding.outcome, outcome, "{finding:?}");
        assert!(finding.seen.contains(words), "{finding:?}");
    }
}
