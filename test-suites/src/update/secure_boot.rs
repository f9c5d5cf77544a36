//! Secure boot: the stored software changed from outside, one thing at a time.
//!
//! Purpose: 5.7-1-2 a (the verification reacts as declared) and 5.7-2-2 a (the alert appears). The device is without power while its flash is changed; then
//! it is started three times from cold; then the flash is put back, and the device must start as before, which is the control of bench and procedure.
//! Verdict: VIOLATED if changed software runs; stopping and falling back to an intact image are both right reactions, whichever of them is declared, because
//! neither runs it. VIOLATED for the alert if the change was noticed and the declared alert did not appear in one of the starts, on a console that was
//! alive in the same start.

use super::lab::{Genuine, Lab};
use super::{BUDGET, bound_here, path};
use crate::report::{Report, each_row};
use proofbench_image::matrix::{self, Family, Part};
use proofbench_image::{Image, Malformed};
use proofbench_model::Reason;
use proofbench_model::bind::{Region, SecBootBind};
use proofbench_model::dossier::Row;
use proofbench_runner::{Bench, Capability, Check, Permission, Trouble};
use std::time::Duration;

const TRAFFIC: &str = "5.7-2-2 b";
const UNITS: &[&str] = &["5.7-1-2 a", "5.7-2-2 a"];
const RUNS: &str = "5.7-1-2 a";
const ALERT: &str = "5.7-2-2 a";
const NEEDS: &[Capability] = &[Capability::Console, Capability::Power, Capability::Storage, Capability::UpdatePath];
/// Cold starts after each change.
const STARTS: u32 = 3;
/// How long a write of one region may take.
pub(super) const WRITE: Duration = Duration::from_secs(120);
const NOT_RUN: &str = "changed software does not run: the device stops or starts an intact image";
const TOLD: &str = "the declared alert appears at every start at which the change is noticed";

/// Row 60.
pub const TAMPERED: Check = Check {
    id: "update/boot-tampered",
    title: "software changed in the flash does not run, and the alert appears",
    units: UNITS,
    table: Some(20),
    row_wanted: Some(|row| row.sec_boot().is_some()),
    needs: NEEDS,
    permissions: &[Permission::FlashWrite],
    defects: &["boot-unverified", "boot-verify-first-block", "boot-silent"],
    twins: &["slot-fallback", "noisy-log", "slow-boot"],
    control: "the unchanged flash starts before and after, and the image in the region is one of the maker's, byte by byte",
    budget: BUDGET,
    run: |bench| each_row(bench, UNITS, tampered),
};

/// Row 63.
pub const QUIET: Check = Check {
    id: "update/boot-tampered-traffic",
    title: "after changed software was found nothing leaves the device but what is declared",
    units: &[TRAFFIC],
    table: Some(20),
    row_wanted: Some(|row| row.sec_boot().is_some()),
    needs: &[Capability::Console, Capability::Power, Capability::UpdatePath, Capability::Storage, Capability::Network],
    permissions: &[Permission::FlashWrite],
    defects: &["failed-boot-calls"],
    twins: &["slot-fallback", "slow-boot", "time-asked-twice"],
    control: "the unchanged device is seen to use its network after a start, in the same time",
    budget: BUDGET,
    run: |bench| each_row(bench, &[TRAFFIC], quiet),
};

/// Row 61.
pub const OLDER: Check = Check {
    id: "update/boot-older",
    title: "an older signed image in the flash does not run once the counter was raised",
    units: &[RUNS],
    table: Some(20),
    row_wanted: Some(|row| row.sec_boot().is_some_and(|b| b.anti_rollback)),
    needs: NEEDS,
    permissions: &[Permission::FlashWrite, Permission::CounterIncrement],
    defects: &["boot-old-signed-ok"],
    twins: &["slot-fallback"],
    control: "the image that belongs there starts before and after, and the older one is genuine: it is in the dossier",
    budget: BUDGET,
    run: |bench| each_row(bench, &[RUNS], older),
};

/// The named region at whose start these bytes stand.
pub(super) fn region_of(bench: &Bench, dump: &[u8], image: &[u8]) -> Option<(String, Region)> {
    let at = |r: &Region| usize::try_from(r.offset).ok().and_then(|o| dump.get(o..)).is_some_and(|b| b.starts_with(image));
    bench.bind().regions.iter().find(|(_, r)| at(r)).map(|(n, r)| (n.clone(), *r))
}

/// What a check starts from: the flash as it is, and the genuine image in the region.
struct Ground {
    bind: SecBootBind,
    region: Region,
    /// The whole flash before anything was changed.
    dump: Vec<u8>,
    /// The genuine image in the region.
    image: Genuine,
    lab: Lab,
}

/// Takes stock: the image that runs is genuine, stands in the region, and starts from cold.
fn ground(bench: &mut Bench, row: &Row, lab: Lab) -> Result<Ground, Trouble> {
    let bind = row.sec_boot().cloned().ok_or_else(|| Trouble::IxitMissing(format!("binding of row {}", row.id)))?;
    let region = bench.bind().regions.get(&bind.region).copied();
    let region = region.ok_or_else(|| Trouble::IxitMissing(format!("[bind.regions] {} of device.toml", bind.region)))?;
    let dump = fresh_dump(bench, &lab)?;
    let image = lab.delivered.clone();
    if !bench.region(&dump, &bind.region)?.starts_with(&image.bytes) {
        return Err(Trouble::Precondition(format!("region `{}` does not hold {}, which runs", bind.region, lab.baseline)));
    }
    let ground = Ground { bind, region, dump, image, lab };
    start(bench)?.ok_or_else(|| Trouble::NoOpportunity("the device does not start from cold with its flash unchanged".to_owned()))?;
    Ok(ground)
}

/// A dump by a reader that has shown that it sees what the device writes: between two dumps the device takes a value into a store or, where it has none, part of
/// an image into the slot that does not run.
fn fresh_dump(bench: &mut Bench, lab: &Lab) -> Result<Vec<u8>, Trouble> {
    let before = bench.dump()?;
    wake(bench)?;
    super::matrix::plant(bench)?;
    let after = bench.dump()?;
    if after != before {
        return Ok(after);
    }
    wake(bench)?;
    path::upload_until(bench, &lab.delivered.bytes, lab.delivered.bytes.len() / 2, path::Announce::Nothing)?;
    let after = bench.dump()?;
    if after != before {
        return Ok(after);
    }
    Err(Trouble::NoOpportunity("the flash is read as it was, although the device has written to it since".to_owned()))
}

fn wake(bench: &mut Bench) -> Result<(), Trouble> {
    bench.power_on()?;
    bench.wait_ready(path::recovery(bench)).map(drop)
}

fn any_lab(bench: &mut Bench) -> Result<Lab, Trouble> {
    let row = bench.dossier().ixit.rows(7).iter().find(|r| bound_here(r)).cloned();
    let row = row.ok_or_else(|| Trouble::IxitMissing("a bound row of 7-UpdMech: what may run is not known without the maker's images".to_owned()))?;
    Lab::open(bench, &row)
}

/// One start from cold. `None`: not ready, although the console spoke.
fn start(bench: &mut Bench) -> Result<Option<Vec<String>>, Trouble> {
    bench.power_off()?;
    bench.power_on()?;
    let boot = bench.try_ready(path::recovery(bench))?;
    Ok(boot.map(|b| b.log))
}

impl Ground {
    fn write(&self, bench: &mut Bench, bytes: &[u8]) -> Result<(), Trouble> {
        bench.power_off()?;
        let wait = bench.wait(WRITE);
        bench.storage()?.write(self.region.offset, bytes, &wait)?;
        // The reader proves that the change is there.
        let mut back = vec![0; bytes.len()];
        bench.storage()?.read(self.region.offset, &mut back, &wait)?;
        if back != bytes {
            return Err(Trouble::RigFault("the flash writer did not write what it was given".to_owned()));
        }
        Ok(())
    }

    /// Puts back everything that differs from the flash at the start, and shows that the device starts.
    fn restore(&self, bench: &mut Bench) -> Result<(), Trouble> {
        bench.power_off()?;
        let wait = bench.wait(WRITE);
        bench.storage()?.write(0, &self.dump, &wait)?;
        if start(bench)?.is_none() {
            return Err(Trouble::RigFault("the flash was put back and the device does not start: the writer is not to be trusted".to_owned()));
        }
        let running = path::running(bench)?;
        if running != self.lab.baseline {
            return Err(Trouble::RigFault(format!("the flash was put back and {running} runs, not {}", self.lab.baseline)));
        }
        Ok(())
    }

    /// Whether an intact genuine image stands anywhere but in the region: only then can a device that starts have fallen back to it.
    fn has_spare(&self, bench: &Bench) -> bool {
        bench.bind().regions.iter().filter(|(_, r)| r.offset != self.region.offset).any(|(_, r)| {
            let at = usize::try_from(r.offset).ok().and_then(|o| self.dump.get(o..));
            at.is_some_and(|b| self.lab.images.iter().any(|i| b.starts_with(&i.bytes)))
        })
    }
}

/// What three cold starts with a changed region showed.
struct Starts {
    /// Why changed software is known to have run.
    ran: Option<String>,
    /// Starts at which the alert came.
    alerts: u32,
    /// What happened, in words.
    seen: String,
}

fn starts(bench: &mut Bench, ground: &Ground, about: &str, changed: &[u8]) -> Result<Starts, Trouble> {
    let mut out = Starts { ran: None, alerts: 0, seen: String::new() };
    let spare = ground.has_spare(bench);
    let alert = ground.bind.alert.clone();
    for n in 1..=STARTS {
        bench.power_off()?;
        bench.power_on()?;
        let ready = bench.try_ready(path::recovery(bench))?;
        let log = ready.as_ref().map_or_else(|| bench.boot_seen().log.clone(), |b| b.log.clone());
        if log.is_empty() {
            return Err(Trouble::Unreachable(format!("{about}, start {n}: nothing on the console")));
        }
        let alerted = alert.as_ref().is_some_and(|p| log.iter().any(|l| crate::text::matches(p, l)));
        out.alerts += u32::from(alerted);
        let words = if ready.is_some() { "ready" } else { "not ready" };
        out.seen.push_str(&format!("start {n}: {words}{}; ", if alerted { ", alert" } else { "" }));
        if ready.is_none() {
            continue;
        }
        // Ready with a changed region: an intact image must have been there to start.
        if !spare {
            out.ran = Some(format!("{about}: ready at start {n}, and the flash held no other intact image"));
            return Ok(out);
        }
        let running = path::running(bench)?;
        if !ground.lab.images.iter().any(|i| i.runs(&running)) {
            out.ran = Some(format!("{about}: {running} runs at start {n}, which is none of the maker's images"));
            return Ok(out);
        }
        // Falling back may repair the region: then later starts have nothing to notice.
        let now = bench.dump()?;
        let still = bench.region(&now, &ground.bind.region)?.starts_with(changed);
        if still && !alerted {
            return Err(Trouble::NoOpportunity(format!("{about}: ready, no alert, and the region still changed: which copy runs cannot be told")));
        }
        if !still {
            out.seen.push_str("the region was repaired; ");
            // As many alerts as starts that had something to notice.
            out.alerts += (STARTS - n) * u32::from(alerted);
            break;
        }
    }
    Ok(out)
}

/// Changes, from the matrix of the genuine image: one bit in each part, no signature, another key.
fn changes(image: &Genuine, slot: usize) -> Result<Vec<matrix::Variant>, Malformed> {
    let mut all = matrix::all(&image.bytes, slot)?;
    all.retain(|v| {
        v.expect == matrix::Expect::Refused
            && v.bytes.len() <= slot
            && Image::parse(&v.bytes).is_ok()
            && match v.family {
                Family::Flip => v.mutates != Part::Unprotected,
                Family::Rehash => v.mutates == Part::Payload,
                Family::Unsigned => matches!(v.id, "unsigned-stripped" | "unsigned-zeroed"),
                Family::OtherKey => matches!(v.id, "other-key" | "own-key-inside-named"),
                _ => false,
            }
    });
    Ok(all)
}

fn tampered(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let lab = any_lab(bench)?;
    let ground = ground(bench, row, lab)?;
    let slot = usize::try_from(ground.region.len).map_err(|_| Trouble::IxitAmbiguous("region larger than memory".to_owned()))?;
    let changes = changes(&ground.image, slot).map_err(|e| Trouble::IxitAmbiguous(format!("image {}: {e}", ground.image.version)))?;
    let result = change_by_change(bench, &ground, report, &changes);
    // Whatever happened, the device gets its flash back; and only a bench that can do that has shown anything.
    ground.restore(bench)?;
    let Some(silent) = result? else { return Ok(()) };
    bench.strength(format!("{} changes in `{}`, {STARTS} cold starts each", changes.len(), ground.bind.region));
    report.satisfied(bench, RUNS, NOT_RUN, &format!("{} changes, one at a time: none ran", changes.len()));
    match (&ground.bind.alert, silent.is_empty()) {
        (None, _) => report.unresolved(bench, ALERT, Reason::IxitMissing, &format!("row {} has no `alert` in its binding", row.id)),
        (Some(_), true) => report.satisfied(bench, ALERT, TOLD, "the alert came at every start with changed software"),
        (Some(_), false) => {
            let first = silent.first().cloned().unwrap_or_default();
            report.violated(bench, ALERT, TOLD, &format!("no alert after {} of {} changes; the first: {first}", silent.len(), changes.len()));
        }
    }
    Ok(())
}

/// One change after the other. Gives the changes that were noticed without an alert; `None` if changed software ran and was reported.
fn change_by_change(bench: &mut Bench, ground: &Ground, report: &mut Report, changes: &[matrix::Variant]) -> Result<Option<Vec<String>>, Trouble> {
    let mut silent = Vec::new();
    for change in changes {
        // Every change starts from the same flash: a device may have repaired or spoiled other parts after the one before.
        bench.power_off()?;
        let wait = bench.wait(WRITE);
        bench.storage()?.write(0, &ground.dump, &wait)?;
        let mut bytes = change.bytes.clone();
        bytes.resize(bytes.len().max(ground.image.bytes.len()), 0xff);
        ground.write(bench, &bytes)?;
        let about = format!("{} ({})", change.id, change.title);
        let starts = starts(bench, ground, &about, &bytes)?;
        bench.note(&format!("{about}: {}", starts.seen));
        if let Some(what) = starts.ran {
            bench.evidence("region.bin", &bytes);
            ground.restore(bench)?;
            report.violated(bench, RUNS, NOT_RUN, &what);
            let why = format!("changed software ran ({about}): nothing was noticed that could be told");
            report.unresolved(bench, ALERT, Reason::NoOpportunity, &why);
            return Ok(None);
        }
        if ground.bind.alert.is_some() && starts.alerts < STARTS {
            silent.push(format!("{about}: {}", starts.seen.trim_end_matches("; ")));
        }
    }
    Ok(Some(silent))
}

fn older(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let mut lab = any_lab(bench)?;
    let newer = lab.newer_than(&lab.delivered);
    let Some(raise) = newer.into_iter().find(|i| i.counter > lab.delivered.counter) else {
        return Err(Trouble::IxitMissing("a genuine newer image with a higher security counter".to_owned()));
    };
    lab.install(bench, &raise)?;
    let olds: Vec<Genuine> = lab.images.iter().filter(|i| i.counter < raise.counter).cloned().collect();
    let ground = ground(bench, row, lab)?;
    let result = old_by_old(bench, &ground, report, &olds);
    ground.restore(bench)?;
    if result? {
        bench.strength(format!("{} older images in `{}`, {STARTS} cold starts each", olds.len(), ground.bind.region));
        report.satisfied(bench, RUNS, NOT_RUN, &format!("{} older genuine images over {}: none ran", olds.len(), raise.version));
    }
    Ok(())
}

fn old_by_old(bench: &mut Bench, ground: &Ground, report: &mut Report, olds: &[Genuine]) -> Result<bool, Trouble> {
    for old in olds {
        bench.power_off()?;
        let wait = bench.wait(WRITE);
        bench.storage()?.write(0, &ground.dump, &wait)?;
        let mut bytes = old.bytes.clone();
        bytes.resize(bytes.len().max(ground.image.bytes.len()), 0xff);
        ground.write(bench, &bytes)?;
        for n in 1..=STARTS {
            if start(bench)?.is_none() {
                if bench.boot_seen().boots == 0 {
                    return Err(Trouble::Unreachable(format!("{} in the flash, start {n}: nothing on the console", old.version)));
                }
                continue;
            }
            let running = path::running(bench)?;
            if old.runs(&running) || running.version == old.version.to_string() {
                let what = format!("{} (counter {}) written to `{}`: it runs at start {n}", old.version, old.counter, ground.bind.region);
                ground.restore(bench)?;
                report.violated(bench, RUNS, NOT_RUN, &what);
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// How long a start is watched on the network.
const WATCHED: Duration = Duration::from_secs(120);

/// No alert over the network is in a binding: a device that halts sends nothing, one that starts an intact copy is that copy.
fn quiet(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    bench.at_home()?;
    let lab = any_lab(bench)?;
    let ground = ground(bench, row, lab)?;
    bench.forget_sights()?;
    bench.watch(WATCHED)?;
    if bench.sights().is_empty() {
        return Err(Trouble::NoOpportunity("the unchanged device was not seen on its network".to_owned()));
    }
    let slot = usize::try_from(ground.region.len).map_err(|_| Trouble::IxitAmbiguous("region larger than memory".to_owned()))?;
    let changes = changes(&ground.image, slot).map_err(|e| Trouble::IxitAmbiguous(format!("image {}: {e}", ground.image.version)))?;
    let change = changes.iter().find(|c| c.mutates == Part::Payload).or(changes.first());
    let change = change.ok_or_else(|| Trouble::IxitAmbiguous("no change of the image can be made".to_owned()))?;
    let mut bytes = change.bytes.clone();
    bytes.resize(bytes.len().max(ground.image.bytes.len()), 0xff);
    ground.write(bench, &bytes)?;
    bench.forget_sights()?;
    bench.power_on()?;
    let started = bench.try_ready(path::recovery(bench))?.is_some();
    let spoke = started || !bench.boot_seen().log.is_empty();
    bench.watch(WATCHED)?;
    let sent: Vec<String> = bench.sights().iter().map(|s| format!("{}:{}", s.host, s.port)).collect();
    ground.restore(bench)?;
    if !spoke {
        return Err(Trouble::Unreachable(format!("{}: nothing on the console", change.id)));
    }
    let expected = "with changed software the device sends nothing that is not declared for that case";
    bench.strength(format!("{} in `{}`, {WATCHED:?} after the start", change.id, ground.bind.region));
    if started && ground.has_spare(bench) {
        report.satisfied(bench, TRAFFIC, expected, "an intact copy was started: what it sends is its own");
    } else if started {
        return Err(Trouble::NoOpportunity("the device started although no intact copy was there: see the check of what runs".to_owned()));
    } else if sent.is_empty() {
        report.satisfied(bench, TRAFFIC, expected, "nothing was sent");
    } else {
        let mut to = sent;
        to.dedup();
        to.truncate(8);
        report.violated(bench, TRAFFIC, expected, &format!("sent to {}", to.join(", ")));
    }
    Ok(())
}
