//! `probe`: one survey of a debug port by hand, and what it does not prove.

use crate::args::{AttachArg, ProbeArgs, ProtocolArg};
use crate::exit::Exit;
use crate::session::Session;
use anyhow::{Context, Result, bail};
use proofbench_channel::Cancel;
use proofbench_channel::debug::{Attach, Protocol, Survey, SurveyJob, in_words};
use proofbench_model::{ChipFamily, FamilyId};
use proofbench_rig::{Permission, probe};

/// RAM of nearly every Cortex-M, and its vector table.
const USUAL_RAM: u32 = 0x2000_0000;
const USUAL_FLASH: u32 = 0;

/// `probe`.
pub fn probe(args: &ProbeArgs) -> Result<Exit> {
    let cancel = Cancel::new();
    let stop = cancel.clone();
    ctrlc::set_handler(move || stop.cancel()).context("listen for signals")?;
    let (survey, family) = match &args.probe {
        Some(selector) => bare(args, selector, &cancel)?,
        None => on_rig(args, &cancel)?,
    };
    let family = args.family.as_ref().map(FamilyId::family).or(family);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&survey)?);
    } else {
        print!("{}", in_words(&survey, family));
    }
    Ok(Exit::Good)
}

/// `list probes`.
pub fn list() -> Result<String> {
    let probes = probe::list(&Cancel::new())?;
    let mut out: String = probes.iter().map(|(selector, name)| format!("{selector:<40} {name}\n")).collect();
    out += &format!("{} probes\n", probes.len());
    Ok(out)
}

fn bare(args: &ProbeArgs, selector: &str, cancel: &Cancel) -> Result<(Survey, Option<&'static ChipFamily>)> {
    let job = job(args, args.ram.unwrap_or(USUAL_RAM), args.flash.unwrap_or(USUAL_FLASH), args.known, args.max_ap.unwrap_or(u8::MAX));
    let ready = || eprintln!("proofbench: polling; switch the device on now");
    Ok((probe::survey(selector, &job, cancel, ready)?, None))
}

fn on_rig(args: &ProbeArgs, cancel: &Cancel) -> Result<(Survey, Option<&'static ChipFamily>)> {
    let session = Session::load(args.rig.as_deref(), None)?;
    if args.software_reset && !session.rig.permissions.grants(Permission::DebugReset) {
        bail!("--software-reset: the rig does not grant {}", Permission::DebugReset);
    }
    let declared = probe::declared(&session.dossier);
    // An address of the command line is another place, of which the dossier's image says nothing.
    let known = args.known.or_else(|| declared.as_ref().filter(|_| args.flash.is_none()).and_then(|d| d.known));
    let bind = declared.as_ref().map(|d| &d.bind);
    let job = job(
        args,
        args.ram.or(bind.map(|b| b.ram)).unwrap_or(USUAL_RAM),
        args.flash.or(bind.map(|b| b.flash)).unwrap_or(USUAL_FLASH),
        known,
        args.max_ap.or(bind.map(|b| b.max_ap)).unwrap_or(u8::MAX),
    );
    let mut rig = session.rig.open(session.dossier.clone(), 1, "proofbench probe")?;
    if let Some(mark) = &rig.recover {
        eprintln!("proofbench: the rig was not left safe ({mark}); its state is unknown");
    }
    let survey = rig.survey(&job, cancel);
    // The supply is as it was found and the probe detached; a rig that was left in an unknown state stays marked so.
    if let Some(lease) = rig.lease.take().filter(|_| rig.recover.is_none() && survey.is_ok()) {
        lease.safe()?;
    }
    Ok((survey?, bind.and_then(|b| b.family.as_ref()).map(FamilyId::family)))
}

fn job(args: &ProbeArgs, ram: u32, flash: u32, known: Option<u32>, max_ap: u8) -> SurveyJob {
    let protocol = match args.protocol {
        ProtocolArg::Swd => Protocol::Swd,
        ProtocolArg::Jtag => Protocol::Jtag,
        ProtocolArg::Dormant => Protocol::SwdFromDormant,
    };
    let attach = match args.attach {
        AttachArg::Running => Attach::Running,
        AttachArg::UnderReset => Attach::UnderReset,
        AttachArg::PowerOn => Attach::PowerOnRace,
        AttachArg::ColdPlug => Attach::ColdPlug,
    };
    SurveyJob {
        attach,
        max_ap,
        poll_ms: args.poll.saturating_mul(1000),
        software_reset: args.software_reset,
        ..SurveyJob::new(protocol, ram, flash, known)
    }
}
