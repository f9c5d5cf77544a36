//! A survey in words, for a person at the bench: what was seen, how much access that is, and what it does not prove.

use super::survey::DEVICE_EN;
use super::{Access, ApSeen, Attach, Protocol, Said, Survey, Unfit, classify};
use proofbench_model::chip::{CAVEAT, ChipFamily};
use std::fmt::Write;

impl Protocol {
    /// In the spelling of reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Swd => "SWD",
            Protocol::Jtag => "JTAG",
            Protocol::SwdFromDormant => "SWD from dormant",
        }
    }
}

impl Attach {
    /// In the spelling of reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Attach::Running => "while running",
            Attach::UnderReset => "under reset",
            Attach::PowerOnRace => "from power-on",
            Attach::ColdPlug => "plugged cold",
        }
    }
}

/// The survey as text of several lines, each `name  statement`. `family` adds what is known of the part's lock.
pub fn in_words(survey: &Survey, family: Option<&ChipFamily>) -> String {
    let mut out = String::new();
    let mut line = |name: &str, text: &str| {
        let _ = writeln!(out, "{name:<10} {text}");
    };
    let job = &survey.job;
    line("survey", &format!("{}, {}, access ports 0 to {}", job.protocol.as_str(), job.attach.as_str(), job.max_ap));
    line("voltage", &voltage(survey));
    line("port", &port(survey));
    if survey.power_up != Said::NotTried {
        line("power-up", &power_up(&survey.power_up));
    }
    for ap in &survey.aps {
        for (n, text) in access_port(ap, job.flash_known).into_iter().enumerate() {
            line(&if n == 0 { format!("AP {}", ap.ap) } else { String::new() }, &text);
        }
    }
    line("driver", self_test(survey.self_test));
    for note in &survey.notes {
        line("note", note);
    }
    let level = classify(survey);
    match &level {
        Ok(access) => {
            line("level", access.as_str());
            line("means", meaning(*access));
        }
        Err(unfit) => line("level", &format!("none: {unfit}")),
    }
    for text in unproven(survey, &level) {
        line("not shown", &text);
    }
    if let Some(f) = family {
        line("family", &format!("{}; {CAVEAT}", f.name));
        line("", &format!("locks by: {}", f.mechanism));
        line("", &format!("unlocked: {}", f.default));
        line("", &format!("locked means: {}", f.locked));
        for door in &f.doors {
            line("", &format!("door beside the lock: {} ({})", door.text, door.basis.as_str()));
        }
    }
    out
}

fn voltage(survey: &Survey) -> String {
    match survey.vtref_mv {
        Some(mv) => format!("{mv} mV at the probe's connector"),
        None => "this probe does not measure it".to_owned(),
    }
}

fn port(survey: &Survey) -> String {
    let what = if survey.job.protocol == Protocol::Jtag { "IDCODE" } else { "DPIDR" };
    match survey.dpidr {
        Said::Value(id) => format!("answers: {what} {id:08x}, in {} of {} attempts", survey.answered, survey.attempts),
        Said::NoAck => format!("no answer in {} attempts, the line stays high", survey.attempts),
        Said::Protocol => format!("no sensible answer in {} attempts, the line is low or garbled", survey.attempts),
        ref other => format!("no identification: {}", said(other)),
    }
}

fn power_up(answer: &Said) -> String {
    match answer {
        Said::Value(v) if v & 0xA000_0000 == 0xA000_0000 => format!("acknowledged (CTRL/STAT {v:08x})"),
        Said::Value(v) => format!("never acknowledged (CTRL/STAT {v:08x})"),
        other => said(other),
    }
}

fn access_port(ap: &ApSeen, known: Option<u32>) -> Vec<String> {
    if ap.idr == 0 {
        return vec![format!("gives no identification: {}", said(&ap.csw))];
    }
    if !ap.mem {
        return vec![format!("vendor access port, IDR {:08x}, status {}", ap.idr, said(&ap.status))];
    }
    let state = match ap.csw {
        Said::Value(v) if v & DEVICE_EN != 0 => "enabled".to_owned(),
        Said::Value(_) => "disabled".to_owned(),
        ref other => format!("control register: {}", said(other)),
    };
    let flash = match (&ap.flash, known) {
        (Said::Value(v), Some(k)) if *v == k => format!("{v:08x}, the known word"),
        (Said::Value(v), Some(_)) => format!("{v:08x}, which is not the known word"),
        (other, _) => said(other),
    };
    let core = match (&ap.core, &ap.core_write) {
        (Said::Value(pc), Said::Value(_)) => format!("halted at {pc:08x}, its registers can be read and written"),
        (Said::Value(pc), _) => format!("halted at {pc:08x}, its registers can be read and not written"),
        (other, _) => format!("no control: {}", said(other)),
    };
    vec![
        format!("memory access port, IDR {:08x}, {state}", ap.idr),
        format!("CPUID {}, RAM {}, flash {flash}", said(&ap.cpuid), said(&ap.ram)),
        format!("core: {core}"),
    ]
}

fn said(answer: &Said) -> String {
    match answer {
        Said::Value(v) => format!("{v:08x}"),
        Said::Fault => "refused".to_owned(),
        Said::Wait => "WAIT without end".to_owned(),
        Said::NoAck => "no answer".to_owned(),
        Said::Protocol => "garbled".to_owned(),
        Said::NotTried => "not tried".to_owned(),
    }
}

fn self_test(result: Option<bool>) -> &'static str {
    match result {
        Some(true) => "passed its self-test: a word written to TAR reads back",
        Some(false) => {
            "FAILED its self-test: a word written to TAR reads back otherwise, so that nothing above counts but what was read of the firmware"
        }
        None => "had no access port for its self-test",
    }
}

fn meaning(access: Access) -> &'static str {
    match access {
        Access::Silent => "nothing answers on these wires: a lock that is silent, another protocol, or wires that go nowhere",
        Access::PowerUpRefused => "the debug port says what it is and lets nobody further",
        Access::NoMemAp => "only the vendor's own access ports are there: no way to memory or core",
        Access::ApStuck => "access ports are there and complete nothing: no sign of a lock, and none of an open port",
        Access::ApDisabled => "a way to memory is there and core, RAM and flash are refused",
        Access::Partial => "core or RAM are within reach although the firmware is not: keys in RAM, and on some parts code, can be taken that way",
        Access::Open => "whoever reaches these pins reads the firmware",
    }
}

/// What a reader might conclude and must not.
fn unproven(survey: &Survey, level: &Result<Access, Unfit>) -> Vec<String> {
    let job = &survey.job;
    let mut out = Vec::new();
    let open = matches!(level, Ok(Access::Open));
    if job.flash_known.is_none() {
        let more = if open { "; what was read may be any device's" } else { "" };
        out.push(format!("no known word was given: nothing proves that this is the right wire{more}"));
    } else if !open {
        out.push("the known word was not read: nothing here is particular to this device, so nothing proves that this is the right wire".to_owned());
    }
    match level {
        Ok(Access::Silent) => {
            out.push(
                "silence is no lock: it takes a control, such as nRST by this probe that restarts the device, or an open unit on the same pins"
                    .to_owned(),
            );
            if survey.vtref_mv.is_none() {
                out.push("whether the target has power: this probe does not measure it".to_owned());
            }
        }
        Ok(Access::Open) => return out,
        _ => {}
    }
    let others: Vec<&str> =
        [Protocol::Swd, Protocol::Jtag, Protocol::SwdFromDormant].into_iter().filter(|p| *p != job.protocol).map(Protocol::as_str).collect();
    out.push(format!("other ways in: {}", others.join(", ")));
    let moments: Vec<&str> = [Attach::Running, Attach::UnderReset, Attach::PowerOnRace, Attach::ColdPlug]
        .into_iter()
        .filter(|a| *a != job.attach || survey.unmet.is_some())
        .map(Attach::as_str)
        .collect();
    out.push(format!("other moments: {}", moments.join(", ")));
    if job.max_ap < u8::MAX && !survey.aps.is_empty() {
        out.push(format!("access ports above {}", job.max_ap));
    }
    out.push("other states of its life: after an update, a factory reset, a mass erase".to_owned());
    out
}
