//! A declared debug port: its control, surveys of it, and what they say about the declaration.

use crate::report::Report;
use proofbench_channel::debug::{Access, Attach, Protocol, Said, Survey, SurveyJob, Unfit, classify};
use proofbench_model::Reason;
use proofbench_model::bind::DebugBind;
use proofbench_model::dossier::Row;
use proofbench_runner::bench::Boot;
use proofbench_runner::{Bench, Permission, Trouble};
use std::fmt::Write as _;
use std::time::Duration;

/// With the port in its default state, each declared debug port is tried and must be dead.
pub(super) const DECLARED_PORT: &str = "5.6-4-2 a";
/// Ports that are needed only occasionally are off when they are not needed.
pub(super) const OFF_WHEN_NOT_NEEDED: &str = "5.6-3-2 d";

/// Longest bench time of one survey: all access ports over JTAG by a slow probe.
const SURVEY: Duration = Duration::from_secs(240);
/// A race is kept up for so long after the moment at which the device was ready when nobody disturbed it.
const RACE_TAIL: Duration = Duration::from_millis(50);
/// Where JTAG does not look at all access ports, it looks at so many beyond the highest that SWD has shown.
const MARGIN: u8 = 8;
/// How long the application may take to show that nRST reached it, on top of its declared boot.
const PULSE: Duration = Duration::from_secs(5);

/// What the manufacturer declares of the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Declared {
    /// No access; the port may still say what it is.
    NoAccess,
    /// Core control without the firmware: justified by the manufacturer.
    CoreOnly,
}

/// A debug port with its wires proven.
pub(super) struct Port {
    declared: Declared,
    bind: DebugBind,
    /// Protocols to try.
    pub protocols: Vec<Protocol>,
    /// Known word at the surveyed flash address, from the maker's image that runs.
    known: u32,
    /// Undisturbed time from power-on to ready, in this run.
    boot: Boot,
    /// Memory access ports that surveys have shown so far.
    mem_aps: Vec<u8>,
    /// Highest access port of any kind that a whole survey over SWD has shown.
    highest: Option<u8>,
    /// Whether JTAG looks at all access ports too. They are the same ones over both wires, and JTAG is slow.
    pub all_over_jtag: bool,
}

/// One survey and what it comes to.
pub(super) struct Look {
    /// State of the device.
    state: String,
    /// State of the device, protocol, condition.
    label: String,
    survey: Survey,
    access: Result<Access, Unfit>,
    /// Whether the condition that was asked for came about; if not, the look says nothing of the device.
    made: bool,
    /// What a reader is to know beside the level.
    remark: String,
}

impl Look {
    /// `cold_plug`: the part is known to look at SWCLK when reset is released. On other parts cold plugging opens nothing, and a probe that cannot do it
    /// leaves no hole in the result.
    fn of(state: &str, label: String, survey: Survey, cold_plug: bool) -> Self {
        let access = classify(&survey);
        let made = cold_plug || survey.job.attach != Attach::ColdPlug || !matches!(access, Err(Unfit::Unmet(_)));
        Self { state: state.to_owned(), label, access, survey, made, remark: String::new() }
    }

    /// Whether the condition that was asked for came about.
    pub fn was_made(&self) -> bool {
        self.made
    }
}

impl Port {
    /// Reads the binding, starts the device with a witnessed power cycle, and proves that the probe's wires reach it: nRST, pulsed by the probe, restarts
    /// the application. Without that no silence and no refusal counts.
    pub fn open(bench: &mut Bench, row: &Row) -> Result<Self, Trouble> {
        let missing = |what: &str| Trouble::IxitMissing(format!("{what} in the binding of {}", row.id));
        let intf = row.intf().ok_or_else(|| missing("anything"))?;
        let bind = intf.debug.clone().ok_or_else(|| missing("`debug` (addresses to look at)"))?;
        let declared = match intf.declared.as_str() {
            "disabled" | "identification-only" => Declared::NoAccess,
            "core-only" => Declared::CoreOnly,
            other => {
                let why = format!("{}: a debug port is declared `{other}`; valid: disabled, identification-only, core-only", row.id);
                return Err(Trouble::IxitAmbiguous(why));
            }
        };
        let protocols = protocols(&bind).map_err(|p| Trouble::IxitAmbiguous(format!("{}: unknown protocol `{p}`; valid: swd, jtag", row.id)))?;
        let known = known_word(bench, &bind)?;
        let boot = bench.power_cycle()?;
        let mut port = Self { declared, bind, protocols, known, boot, mem_aps: Vec::new(), highest: None, all_over_jtag: false };
        port.control(bench)?;
        Ok(port)
    }

    fn control(&mut self, bench: &mut Bench) -> Result<(), Trouble> {
        let wait = bench.wait(PULSE);
        bench.drain()?;
        bench.debug()?.pulse_reset(&wait)?;
        let within = Duration::from_millis(bench.bind().recovery_within_ms);
        let unseen = |why: String| Trouble::NoOpportunity(format!("the probe's nRST does not reach this device: {why}"));
        let Some(boot) = bench.try_ready(within)? else {
            return Err(unseen(format!("no boot within {within:?} after the pulse")));
        };
        if boot.id.is_empty() || boot.id == self.boot.id {
            return Err(unseen("the application did not restart".to_owned()));
        }
        match &bench.bind().causes.pin {
            Some(pin) if boot.boots <= 1 && boot.cause != *pin => Err(unseen(format!("the device restarted by `{}` and not by `{pin}`", boot.cause))),
            _ => Ok(()),
        }
    }

    /// Reads the known word anew: another image may run now.
    pub fn refresh(&mut self, bench: &mut Bench) -> Result<(), Trouble> {
        self.known = known_word(bench, &self.bind)?;
        Ok(())
    }

    /// Surveys the port as it is. For a race the device is switched off before and on while the probe polls.
    pub fn look(&mut self, bench: &mut Bench, state: &str, protocol: Protocol, attach: Attach) -> Result<Look, Trouble> {
        self.survey(bench, state, protocol, attach, false)
    }

    /// Where a look found a core within reach and the firmware hidden: the same once more, with a reset asked for through that core, because what is latched
    /// at a reset by pin or supply need not be latched at that one. `None` where there is nothing to gain, or the rig does not grant it; the look then says so.
    pub fn look_behind_reset(&mut self, bench: &mut Bench, look: &mut Look) -> Result<Option<Look>, Trouble> {
        if look.access != Ok(Access::Partial) {
            return Ok(None);
        }
        if !bench.granted(Permission::DebugReset) {
            look.remark = format!("; a reset through the core was not tried: the rig does not grant {}", Permission::DebugReset);
            return Ok(None);
        }
        let job = &look.survey.job;
        let (state, protocol, attach) = (look.state.clone(), job.protocol, job.attach);
        self.survey(bench, &format!("{state}, reset through the core"), protocol, attach, true).map(Some)
    }

    fn survey(&mut self, bench: &mut Bench, state: &str, protocol: Protocol, attach: Attach, software_reset: bool) -> Result<Look, Trouble> {
        let poll = (self.boot.took + RACE_TAIL).min(Duration::from_millis(bench.bind().recovery_within_ms));
        let job = SurveyJob {
            attach,
            max_ap: match self.highest {
                Some(highest) if protocol == Protocol::Jtag && !self.all_over_jtag => highest.saturating_add(MARGIN).min(self.bind.max_ap),
                _ => self.bind.max_ap,
            },
            poll_ms: u64::try_from(poll.as_millis()).unwrap_or(u64::MAX),
            race_aps: self.mem_aps.clone(),
            software_reset,
            ..SurveyJob::new(protocol, self.bind.ram, self.bind.flash, Some(self.known))
        };
        let wait = bench.wait(SURVEY);
        let survey = if attach == Attach::PowerOnRace {
            bench.power_off()?;
            bench.debug()?.begin(&job, &wait)?;
            bench.power_on()?;
            bench.debug()?.finish(&wait)?
        } else {
            bench.debug()?.begin(&job, &wait)?;
            bench.debug()?.finish(&wait)?
        };
        for ap in survey.aps.iter().filter(|a| a.mem) {
            if !self.mem_aps.contains(&ap.ap) {
                self.mem_aps.push(ap.ap);
            }
        }
        if protocol != Protocol::Jtag {
            self.highest = survey.aps.iter().map(|a| a.ap).max().max(self.highest);
        }
        let label = format!("{state}, {} {}", protocol.as_str(), attach.as_str());
        let text = serde_json::to_vec_pretty(&survey).map_err(|e| Trouble::Harness(format!("write down a survey: {e}")))?;
        bench.evidence(&format!("survey {label}.json"), &text);
        let cold = self.bind.family.as_ref().is_some_and(|f| f.family().cold_plug);
        Ok(Look::of(state, label, survey, cold))
    }

    /// As [`Port::look`] for a device that stays as it is over a power cycle: cycles the supply afterwards, because even a refused debugger leaves traces
    /// in some parts.
    pub fn look_and_cycle(&mut self, bench: &mut Bench, state: &str, protocol: Protocol, attach: Attach) -> Result<Look, Trouble> {
        let look = self.look(bench, state, protocol, attach)?;
        bench.power_cycle()?;
        Ok(look)
    }

    /// Reports what all surveys together say.
    pub fn judge(&self, bench: &mut Bench, row: &Row, report: &mut Report, looks: &[Look]) {
        let units: &[&'static str] = if row.field("status").is_some_and(|s| s.eq_ignore_ascii_case("disabled")) {
            &[DECLARED_PORT, OFF_WHEN_NOT_NEEDED]
        } else {
            &[DECLARED_PORT]
        };
        let expected = match self.declared {
            Declared::NoAccess => "no access to core, RAM or firmware through the debug port",
            Declared::CoreOnly => "no access to the firmware through the debug port",
        };
        let mut worst = Finding::Fits;
        let mut told = String::new();
        for look in looks {
            let finding = finding(self.declared, look);
            let range = if look.survey.aps.is_empty() { String::new() } else { format!(", access ports 0 to {}", look.survey.job.max_ap) };
            let level = if look.made { level(look) } else { format!("not tried: {}", level(look)) };
            let _ = write!(told, "{}{}{range}: {level}{}", if told.is_empty() { "" } else { "; " }, look.label, look.remark);
            if finding > worst {
                worst = finding;
            }
        }
        // Of those that decide, the one that got furthest.
        let hot = looks.iter().rev().filter(|l| finding(self.declared, l) == worst).max_by_key(|l| l.access.as_ref().ok());
        for unit in units.iter().copied() {
            match (&worst, hot) {
                (Finding::Breaks, Some(look)) => {
                    let observed = format!("{}: {} ({}). {}", look.label, level(look), look.survey.summary(), notes(&look.survey));
                    report.violated(bench, unit, expected, observed.trim_end());
                }
                (Finding::Void(why), _) => report.unresolved(bench, unit, Reason::NoOpportunity, &format!("{why}. {told}")),
                (Finding::Fits, _) | (Finding::Breaks, None) => report.satisfied(bench, unit, expected, &told),
            }
        }
    }
}

/// What a survey says about the declaration, from good to bad; void lies between, because a violation elsewhere outweighs it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Finding {
    Fits,
    Void(String),
    Breaks,
}

fn finding(declared: Declared, look: &Look) -> Finding {
    let void = |why: &str| Finding::Void(format!("{}: {why}", look.label));
    if !look.made {
        return Finding::Fits;
    }
    match &look.access {
        Err(unfit) => void(&unfit.to_string()),
        Ok(Access::Open) => Finding::Breaks,
        Ok(Access::Partial) => match declared {
            Declared::CoreOnly if look.survey.firmware_hidden() => Finding::Fits,
            _ => Finding::Breaks,
        },
        Ok(Access::ApStuck) => void("access ports that complete no access are no sign of a lock"),
        Ok(Access::Silent) if look.survey.dpidr == Said::Protocol => void("the line is low or garbled: no power at the connector, or a short"),
        Ok(Access::Silent | Access::PowerUpRefused | Access::NoMemAp | Access::ApDisabled) => Finding::Fits,
    }
}

fn level(look: &Look) -> String {
    look.access.as_ref().map_or_else(ToString::to_string, ToString::to_string)
}

fn notes(survey: &Survey) -> String {
    survey.notes.join("; ")
}

/// The declared ones; wherever SWD is, the dormant state's way in is tried as well.
fn protocols(bind: &DebugBind) -> Result<Vec<Protocol>, String> {
    let mut all = Vec::new();
    for p in &bind.protocols {
        match p.as_str() {
            "swd" => all.extend([Protocol::Swd, Protocol::SwdFromDormant]),
            "jtag" => all.push(Protocol::Jtag),
            other => return Err(other.to_owned()),
        }
    }
    Ok(all)
}

/// The word that stands at the surveyed flash address, out of the maker's image that the device says it runs.
fn known_word(bench: &mut Bench, bind: &DebugBind) -> Result<u32, Trouble> {
    let version = bench.ask("version")?;
    let core = |v: &str| v.split('+').next().unwrap_or(v).to_owned();
    let file = bench.dossier().ixit.rows(7).iter().filter_map(|r| r.upd()).flat_map(|u| &u.images).find(|i| core(&i.version) == core(&version));
    let Some(file) = file.map(|i| i.file.clone()) else {
        return Err(Trouble::IxitMissing(format!("an image of version {version}, which runs: blank is not locked without a known word")));
    };
    let image = bench.image(&file)?;
    let word = usize::try_from(bind.flash_in_image).ok().and_then(|at| image.get(at..)).and_then(|b| b.first_chunk());
    match word.map(|b| u32::from_le_bytes(*b)) {
        Some(0 | u32::MAX) => Err(Trouble::IxitAmbiguous(format!("{file}: the word at {:#x} is blank and no known word", bind.flash_in_image))),
        Some(word) => Ok(word),
        None => Err(Trouble::IxitAmbiguous(format!("{file} is shorter than {:#x}", bind.flash_in_image))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proofbench_channel::debug::ApSeen;
    use rstest::rstest;

    fn survey(dpidr: Said, cpuid: Said, flash: Said) -> Survey {
        let job = SurveyJob { max_ap: 0, ..SurveyJob::new(Protocol::Swd, 0x2000_0000, 0x8400, Some(7)) };
        let ap = ApSeen {
            idr: 0x2477_0011,
            mem: true,
            csw: Said::Value(0x42),
            ram: cpuid.clone(),
            core: cpuid.clone(),
            cpuid,
            flash,
            ..ApSeen::unknown(0)
        };
        let reached = matches!(dpidr, Said::Value(_));
        Survey {
            power_up: if reached { Said::Value(0xF000_0000) } else { Said::NotTried },
            dpidr,
            aps: if reached { vec![ap] } else { vec![] },
            attempts: 1,
            answered: 1,
            self_test: Some(true),
            ..Survey::begun(job)
        }
    }

    #[rstest]
    #[case::locked(Said::Value(1), Said::Fault, Said::Fault, "fits", "fits")]
    #[case::core_without_firmware(Said::Value(1), Said::Value(0x410F_C241), Said::Fault, "breaks", "fits")]
    #[case::core_and_blanked_firmware(Said::Value(1), Said::Value(0x410F_C241), Said::Value(0), "breaks", "fits")]
    #[case::core_and_other_content(Said::Value(1), Said::Value(0x410F_C241), Said::Value(0x1234), "breaks", "breaks")]
    #[case::open(Said::Value(1), Said::Value(0x410F_C241), Said::Value(7), "breaks", "breaks")]
    #[case::stuck(Said::Value(1), Said::Wait, Said::Wait, "void", "void")]
    #[case::line_high(Said::NoAck, Said::Fault, Said::Fault, "fits", "fits")]
    #[case::line_low(Said::Protocol, Said::Fault, Said::Fault, "void", "void")]
    #[case::blank(Said::Value(1), Said::Fault, Said::Value(u32::MAX), "void", "void")]
    fn a_level_of_access_is_held_against_the_declaration(
        #[case] dpidr: Said,
        #[case] cpuid: Said,
        #[case] flash: Said,
        #[case] no_access: &str,
        #[case] core_only: &str,
    ) {
        let survey = survey(dpidr, cpuid, flash);
        let look = Look::of("", "here".to_owned(), survey, false);
        for (declared, expected) in [(Declared::NoAccess, no_access), (Declared::CoreOnly, core_only)] {
            let found = match finding(declared, &look) {
                Finding::Fits => "fits",
                Finding::Void(_) => "void",
                Finding::Breaks => "breaks",
            };
            assert_eq!(found, expected, "{declared:?}");
        }
    }

    #[rstest]
    #[case::part_that_looks_at_the_clock(true, "void")]
    #[case::any_other_part(false, "fits")]
    fn cold_plugging_that_the_probe_cannot_do_counts_where_it_matters(#[case] cold_plug: bool, #[case] expected: &str) {
        let mut seen = survey(Said::Value(1), Said::Fault, Said::Fault);
        (seen.job.attach, seen.unmet) = (Attach::ColdPlug, Some("no such pin".to_owned()));
        let look = Look::of("", "here".to_owned(), seen, cold_plug);
        assert_eq!(look.was_made(), cold_plug);
        let found = finding(Declared::NoAccess, &look);
        assert_eq!(if matches!(found, Finding::Void(_)) { "void" } else { "fits" }, expected, "{found:?}");
        // Another condition that did not come about is a hole on every part.
        let mut seen = survey(Said::Value(1), Said::Fault, Said::Fault);
        seen.unmet = Some("no such line".to_owned());
        assert!(matches!(finding(Declared::NoAccess, &Look::of("", "here".to_owned(), seen, cold_plug)), Finding::Void(_)));
    }
}
