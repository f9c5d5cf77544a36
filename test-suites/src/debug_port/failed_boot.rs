//! A boot that fails: what stays behind on the console when the running image is damaged.

use super::BUDGET;
use super::console::{AFTER, EXPECTED, OTHER_PORTS, STIMULI, UNITS, console, opened, proven, type_once};
use super::prompt::{Access, Prompts};
use crate::report::{Report, each_row};
use proofbench_model::Reason;
use proofbench_model::dossier::Row;
use proofbench_runner::{Bench, Capability, Check, Permission, Trouble};
use std::time::Duration;

/// Longest time of one access to the flash from outside.
const STORAGE: Duration = Duration::from_secs(120);
/// Largest region that is kept in memory.
const REGION_MOST: usize = 64 << 20;

pub(super) const FAILED_BOOT: Check = Check {
    id: "debug-port/failed-boot",
    title: "a boot that fails leaves no prompt behind, whatever is typed",
    units: UNITS,
    table: Some(15),
    row_wanted: Some(console),
    needs: &[Capability::Console, Capability::Power, Capability::Storage],
    permissions: &[Permission::FlashWrite],
    defects: &["prompt-after-failed-boot"],
    twins: &["slot-fallback", "countdown-ignored"],
    control: "the damage is seen to change the boot, and the restored device logs in again",
    budget: BUDGET,
    run: |bench| each_row(bench, UNITS, failed_boot),
};

/// Damages one byte of the running image from outside and looks at the boot that fails.
fn failed_boot(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    proven(bench, row)?;
    let Some(slot) = bench.bind().regions.get("slot0").copied() else {
        return Err(Trouble::IxitMissing("[bind.regions] slot0 of device.toml".to_owned()));
    };
    let before = fresh_regions(bench)?;
    let at = slot.offset + 0x800.min(slot.len / 2);
    let mut byte = [0u8];
    let wait = bench.wait(STORAGE);
    bench.storage()?.read(at, &mut byte, &wait)?;
    let outcome = failing(bench, &before, at, byte[0] ^ 0x01);
    bench.power_off()?;
    let restored = before.restore(bench, at);
    let outcome = outcome?;
    restored?;
    proven(bench, row)?;
    match outcome {
        Failing::Opened(how, access) => opened(bench, report, &how, &access),
        Failing::Shut(seen) => report.satisfied(bench, OTHER_PORTS, EXPECTED, &format!("after a failed boot: {seen}")),
        Failing::Unseen => {
            let why = "the damaged image made no difference to the boot: whether a failed boot opens the console could not be seen";
            report.unresolved(bench, OTHER_PORTS, Reason::NoOpportunity, why);
        }
    }
    Ok(())
}

/// The declared regions as they were. A device that falls back may have moved its images around.
struct Regions(Vec<(u64, Vec<u8>)>);

impl Regions {
    fn read(bench: &mut Bench) -> Result<Self, Trouble> {
        let areas: Vec<_> = bench.bind().regions.values().copied().collect();
        let mut kept = Vec::with_capacity(areas.len());
        for area in areas {
            kept.push((area.offset, Self::content(bench, area.offset, area.len)?));
        }
        Ok(Self(kept))
    }

    fn content(bench: &mut Bench, offset: u64, len: u64) -> Result<Vec<u8>, Trouble> {
        let len = usize::try_from(len).ok().filter(|l| *l <= REGION_MOST);
        let Some(len) = len else {
            return Err(Trouble::IxitAmbiguous(format!("[bind.regions] the region at {offset:#x} is larger than {REGION_MOST} bytes")));
        };
        let mut bytes = vec![0; len];
        let wait = bench.wait(STORAGE);
        bench.storage()?.read(offset, &mut bytes, &wait)?;
        Ok(bytes)
    }

    /// Writes back what differs, and in any case the region that was damaged: a reader that shows old content must not leave the damage behind.
    fn restore(&self, bench: &mut Bench, damaged: u64) -> Result<(), Trouble> {
        for (offset, bytes) in &self.0 {
            let hit = (*offset..*offset + bytes.len() as u64).contains(&damaged);
            if hit || Self::content(bench, *offset, bytes.len() as u64)? != *bytes {
                write_seen(bench, *offset, bytes)?;
            }
        }
        Ok(())
    }
}

/// The regions as they are now, with proof that the reader shows the present: it has seen the device change something. What is restored from an old
/// picture of the flash is not what the device had. Leaves the device without power.
fn fresh_regions(bench: &mut Bench) -> Result<Regions, Trouble> {
    bench.power_off()?;
    let first = Regions::read(bench)?;
    bench.power_on()?;
    let within = Duration::from_millis(bench.bind().recovery_within_ms);
    bench.wait_ready(within)?;
    let store = bench.dossier().ixit.rows(21).iter().find_map(|r| r.store().and_then(|s| s.set.clone()));
    let changed = match store {
        Some(set) => {
            let value = format!("p{:08x}", bench.seed() as u32);
            bench.perform(&set, &[("value", &value)])?.is_done()
        }
        None => bench.can_act("count") && bench.act("count")?.is_done(),
    };
    bench.power_off()?;
    let second = Regions::read(bench)?;
    if changed && first.0 == second.0 {
        return Err(Trouble::RigFault("the flash reader shows no change although the device has stored something since".to_owned()));
    }
    Ok(second)
}

/// Writes, and reads back what was written: a programmer that does nothing, or a reader that shows something else, must not count as a stimulus.
fn write_seen(bench: &mut Bench, offset: u64, bytes: &[u8]) -> Result<(), Trouble> {
    let wait = bench.wait(STORAGE);
    bench.storage()?.write(offset, bytes, &wait)?;
    if Regions::content(bench, offset, bytes.len() as u64)? != bytes {
        return Err(Trouble::RigFault(format!("{} bytes written at {offset:#x} of the flash read back otherwise", bytes.len())));
    }
    Ok(())
}

enum Failing {
    Opened(String, Access),
    Shut(String),
    /// The boot went on as if nothing had happened.
    Unseen,
}

fn failing(bench: &mut Bench, before: &Regions, at: u64, damaged: u8) -> Result<Failing, Trouble> {
    let prompts = Prompts::new(bench);
    let normal = bench.last_boot().map(|b| b.log.clone()).unwrap_or_default();
    let mut last = Failing::Unseen;
    // Silent first: a prompt that comes by itself. Then with what opens most loaders. Each on the damage anew: a device that falls back heals itself.
    for stimulus in [None, Some("enter"), Some("ctrl-c"), Some("stop"), Some("letters")] {
        bench.power_off()?;
        before.restore(bench, at)?;
        write_seen(bench, at, &[damaged])?;
        bench.power_on()?;
        bench.allow_tripwires(true);
        let outcome = failing_boot(bench, &prompts, &normal, stimulus);
        bench.allow_tripwires(false);
        last = outcome?;
        if !matches!(last, Failing::Shut(_)) {
            break;
        }
    }
    Ok(last)
}

fn failing_boot(bench: &mut Bench, prompts: &Prompts, normal: &[String], stimulus: Option<&'static str>) -> Result<Failing, Trouble> {
    let end = bench.now() + Duration::from_millis(bench.bind().ready_within_ms);
    let keys = stimulus.and_then(|name| STIMULI.iter().find(|s| s.name == name));
    bench.quiet(true);
    let (mut ready, mut found) = (false, None);
    while bench.now() < end && !ready && found.is_none() && bench.boot_seen().tripwire.is_none() {
        if let Some(keys) = keys {
            type_once(bench, keys)?;
        }
        ready = bench.try_ready(Duration::from_millis(20))?.is_some();
        found = prompts.appears(bench, Duration::ZERO)?;
    }
    bench.quiet(false);
    let seen = if ready { bench.last_boot().map(|b| b.log.clone()).unwrap_or_default() } else { bench.boot_seen().log.clone() };
    if seen.is_empty() {
        return Err(Trouble::Unreachable("nothing on the console during a boot of the damaged image".to_owned()));
    }
    if ready && shape(&seen) == shape(normal) {
        return Ok(Failing::Unseen);
    }
    for line in [None, Some("")] {
        if let Some(line) = line {
            bench.drain()?;
            bench.send_line(line)?;
        }
        if found.is_none() {
            found = prompts.appears(bench, AFTER)?;
        }
        if let Some(found) = found.take()
            && let Some(access) = prompts.answers(bench, &found)?
        {
            return Ok(Failing::Opened(format!("after a failed boot with {}", stimulus.unwrap_or("no key at all")), access));
        }
    }
    let last = seen.last().map_or("none", String::as_str);
    Ok(Failing::Shut(format!("no prompt by itself and none after keys; last line: {last}")))
}

/// A boot log without what differs from boot to boot: digits and hexadecimal words.
fn shape(log: &[String]) -> Vec<String> {
    log.iter().map(|l| l.chars().filter(|c| !c.is_ascii_hexdigit()).collect()).collect()
}
