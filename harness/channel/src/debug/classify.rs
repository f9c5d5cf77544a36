//! From a survey to a level of access. The levels say what a probe got, never what the maker meant.

use super::survey::DEVICE_EN;
use super::{ApSeen, Said, Survey};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a debug probe can do, from nothing to everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Nothing answered. Says nothing without a control that shows the wires to be alive.
    Silent,
    /// The debug port answers and refuses to power up.
    PowerUpRefused,
    /// Only vendor access ports.
    NoMemAp,
    /// Access ports that complete no access.
    ApStuck,
    /// Memory access ports that refuse core, RAM and flash.
    ApDisabled,
    /// Core or RAM within reach, flash refused or blanked. Keys, and on some parts code, can be taken that way.
    Partial,
    /// A known word of the firmware was read, or flash content where no word is known.
    Open,
}

impl Access {
    /// In the spelling of reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Access::Silent => "silent",
            Access::PowerUpRefused => "power-up refused",
            Access::NoMemAp => "no memory access port",
            Access::ApStuck => "access ports stuck",
            Access::ApDisabled => "memory access refused",
            Access::Partial => "partial: core or RAM within reach",
            Access::Open => "open: firmware readable",
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a survey decides nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The driver's self-test failed.
    #[error("the probe driver failed its self-test: a word written to TAR reads back otherwise")]
    Driver,
    /// A word came back blank, nothing else was readable, and no known word stands there to compare.
    #[error("AP {ap}: flash reads {word:08x}, which is blank and not locked; a known word of the image is needed")]
    Blank {
        /// The access port.
        ap: u8,
        /// What was read.
        word: u32,
    },
    /// The port answered first and then no more.
    #[error("the debug port stopped answering during the survey")]
    Lost,
    /// The connector has no power.
    #[error("the target has no power at the probe's connector ({0} mV): a port without power is not a locked one")]
    Unpowered(u32),
    /// The asked attach condition did not come about.
    #[error("{0}")]
    Unmet(String),
    /// A debug port that the survey does not know.
    #[error("debug port {0:08x} is of a version that the survey does not know")]
    Version(u32),
}

/// Below this no part runs: the lowest supply in use is 1.2 V.
const UNPOWERED_MV: u32 = 1000;

/// The level of access that the survey shows, or why it shows none. Evidence of access counts even from a driver that failed its self-test:
/// a known word does not come about by chance. The absence of access counts only from a fit driver, on a target with power, and under the condition that
/// was asked for.
pub fn classify(survey: &Survey) -> Result<Access, Unfit> {
    let level = seen(survey)?;
    match (&survey.unmet, survey.vtref_mv) {
        _ if level >= Access::Partial => {}
        (_, Some(mv)) if level == Access::Silent && mv < UNPOWERED_MV => return Err(Unfit::Unpowered(mv)),
        (Some(why), _) => return Err(Unfit::Unmet(why.clone())),
        _ => {}
    }
    Ok(level)
}

fn seen(survey: &Survey) -> Result<Access, Unfit> {
    let known = survey.job.flash_known;
    if survey.aps.iter().any(|a| readable_firmware(a, known)) {
        return Ok(Access::Open);
    }
    if survey.self_test == Some(false) {
        return Err(Unfit::Driver);
    }
    let Said::Value(id) = survey.dpidr else { return Ok(Access::Silent) };
    match survey.power_up {
        Said::Value(v) if v & 0xA000_0000 == 0xA000_0000 => {}
        Said::NotTried => return Err(Unfit::Version(id)),
        Said::NoAck | Said::Protocol => return Err(Unfit::Lost),
        _ => return Ok(Access::PowerUpRefused),
    }
    let mem: Vec<&ApSeen> = survey.aps.iter().filter(|a| a.mem).collect();
    if mem.iter().any(|a| core_or_ram(a)) {
        return Ok(Access::Partial);
    }
    if survey.aps.iter().any(|a| lost(&a.csw) || [&a.cpuid, &a.ram, &a.flash].into_iter().any(lost)) {
        return Err(Unfit::Lost);
    }
    // Flash that answers with something else than the known word, and everything else refused.
    if let Some((ap, word)) = mem.iter().find_map(|a| if let Said::Value(w) = a.flash { Some((a.ap, w)) } else { None }) {
        return if blank(word) { Err(Unfit::Blank { ap, word }) } else { Ok(Access::Partial) };
    }
    // An AP whose identification never completed may hide anything; it counts as stuck only if no memory AP shows more.
    let stuck = survey.aps.iter().any(|a| a.idr == 0) || mem.iter().any(|a| [&a.cpuid, &a.ram, &a.flash].into_iter().all(|s| *s == Said::Wait));
    Ok(if stuck {
        Access::ApStuck
    } else if mem.is_empty() {
        Access::NoMemAp
    } else {
        Access::ApDisabled
    })
}

impl Survey {
    /// Whether every memory AP refused the flash word, or gave a blank where a known word stands. False where there is no memory AP.
    pub fn firmware_hidden(&self) -> bool {
        let known = self.job.flash_known.is_some_and(|k| !blank(k));
        let mut mem = self.aps.iter().filter(|a| a.mem).peekable();
        mem.peek().is_some()
            && mem.all(|a| match a.flash {
                Said::Fault | Said::Wait => true,
                Said::Value(v) => known && blank(v),
                Said::NoAck | Said::Protocol | Said::NotTried => false,
            })
    }

    /// One line for a report: identification, access ports with what each let through.
    pub fn summary(&self) -> String {
        let mut text = match self.dpidr {
            Said::Value(id) => format!("id {id:08x}"),
            ref other => format!("no identification ({})", word_for(other)),
        };
        for a in &self.aps {
            if a.mem {
                let enabled = matches!(a.csw, Said::Value(v) if v & DEVICE_EN != 0);
                text += &format!(
                    "; AP {} idr {:08x} {}: cpuid {}, ram {}, flash {}, core {}{}",
                    a.ap,
                    a.idr,
                    if enabled { "enabled" } else { "disabled" },
                    word_for(&a.cpuid),
                    word_for(&a.ram),
                    word_for(&a.flash),
                    word_for(&a.core),
                    if let Said::Value(_) = a.core_write { " (registers can be written)" } else { "" }
                );
            } else if a.idr == 0 {
                text += &format!("; AP {} gives no identification: {}", a.ap, word_for(&a.csw));
            } else {
                text += &format!("; vendor AP {} idr {:08x} status {}", a.ap, a.idr, word_for(&a.status));
            }
        }
        text
    }
}

fn word_for(said: &Said) -> String {
    match said {
        Said::Value(v) => format!("{v:08x}"),
        Said::Fault => "refused".to_owned(),
        Said::Wait => "wait".to_owned(),
        Said::NoAck => "no answer, line high".to_owned(),
        Said::Protocol => "no answer, line low or garbled".to_owned(),
        Said::NotTried => "not tried".to_owned(),
    }
}

fn readable_firmware(a: &ApSeen, known: Option<u32>) -> bool {
    match (&a.flash, known) {
        (Said::Value(v), Some(k)) => *v == k && !blank(k),
        (Said::Value(v), None) => !blank(*v),
        _ => false,
    }
}

/// A CPUID of zero or all ones, and the same for RAM together with it, is a bus that blanks and not a core that answers.
fn core_or_ram(a: &ApSeen) -> bool {
    matches!(a.cpuid, Said::Value(v) if !blank(v)) || matches!(a.core, Said::Value(_)) || matches!(a.ram, Said::Value(v) if !blank(v))
}

fn blank(word: u32) -> bool {
    word == 0 || word == u32::MAX
}

fn lost(said: &Said) -> bool {
    matches!(said, Said::NoAck | Said::Protocol)
}
