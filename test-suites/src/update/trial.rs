//! What a device does with a new image: keeps it when it is confirmed, gives it up when it is not, when it crashes and when it hangs.
//!
//! Purpose: 5.3-2-2 b, row U18: an image of the maker that does not work must not cost the device. Verdict: VIOLATED if an image that nobody confirmed still runs
//! after the next restart, if a crashing or hanging one is not given up unattended within the declared time, if the anti-rollback counter has sunk, or if
//! the device says `confirmed` of an image on trial. SATISFIED if the old image is back and a genuine one still goes in. An image that was not started at
//! all shows nothing: no opportunity.

use super::judge;
use super::lab::{Genuine, Lab, counter, told};
use super::path::{self, Restarted, Step};
use super::{BUDGET, NEEDS, bound_here};
use crate::report::{Report, each_row};
use proofbench_image::matrix::{self, Expect};
use proofbench_model::dossier::Row;
use proofbench_runner::{Bench, Check, Permission, Trouble};

const UNITS: &[&str] = &["5.3-2-2 b"];
const B: &str = "5.3-2-2 b";
const TWINS: &[&str] = &["late-refusal", "slow-copy", "slow-boot", "noisy-log", "slot-fallback"];

fn on_trial(row: &Row) -> bool {
    bound_here(row) && row.upd().is_some_and(|b| b.trial)
}

/// A healthy image that nobody confirms.
pub const UNCONFIRMED: Check = Check {
    id: "update/revert-unconfirmed",
    title: "a new image that nobody confirms is given up at the next restart, and the counter stays",
    units: UNITS,
    table: Some(7),
    row_wanted: Some(on_trial),
    needs: NEEDS,
    permissions: &[],
    defects: &["no-revert", "counter-lowered-on-revert"],
    twins: TWINS,
    control: "the new image was seen to run, by version and hash, before the restart that must end its trial",
    budget: BUDGET,
    run: |bench| each_row(bench, UNITS, unconfirmed),
};

/// U18.
pub const BROKEN: Check = Check {
    id: "update/revert-broken",
    title: "a genuine image that crashes or hangs is given up unattended",
    units: UNITS,
    table: Some(7),
    row_wanted: Some(|row| on_trial(row) && row.upd().is_some_and(|b| b.crashing.is_some() || b.hanging.is_some())),
    needs: NEEDS,
    permissions: &[],
    defects: &["no-revert", "counter-lowered-on-revert"],
    twins: TWINS,
    control: "more than one boot was seen after the restart: the broken image was started; a healthy one goes in before and after",
    budget: BUDGET,
    run: |bench| each_row(bench, UNITS, broken),
};

/// U01, and what confirming means.
pub const INSTALL: Check = Check {
    id: "update/install",
    title: "a genuine image is installed and confirmed, stays, and raises the anti-rollback counter",
    units: UNITS,
    table: Some(7),
    row_wanted: Some(bound_here),
    needs: NEEDS,
    permissions: &[Permission::CounterIncrement],
    defects: &["confirm-forgets-counter"],
    twins: TWINS,
    control: "the image runs, by version and hash, on trial, after it was confirmed, and after two restarts",
    budget: BUDGET,
    run: |bench| each_row(bench, UNITS, install),
};

const GIVEN_UP: &str = "an image that is not confirmed or does not work is given up, nothing is lost, and a genuine one still goes in";

fn unconfirmed(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let mut lab = Lab::open(bench, row)?;
    let next = lab.next()?;
    lab.try_image(bench, &next)?;
    if bench.can_ask("slot-state") {
        let state = bench.ask("slot-state")?;
        if state == "confirmed" {
            report.violated(bench, B, GIVEN_UP, &format!("{} runs for the first time and is called `{state}`", next.version));
            return Ok(());
        }
    }
    if let Some(what) = not_given_up(bench, &lab)? {
        report.violated(bench, B, GIVEN_UP, &what);
        return Ok(());
    }
    if let Some(what) = counter_sank(bench, &lab)? {
        report.violated(bench, B, GIVEN_UP, &what);
        return Ok(());
    }
    lab.conclude(bench, report, &next, GIVEN_UP, "given up at the first restart, still gone after the second; counter unchanged")
}

/// Restarts twice after a trial that nobody confirmed; says what is wrong if the image from before is not back.
fn not_given_up(bench: &mut Bench, lab: &Lab) -> Result<Option<String>, Trouble> {
    for n in 1..=2 {
        let about = format!("restart {n} after a trial that nobody confirmed");
        if let Restarted::NotReady(words) = path::restart(bench)? {
            return Ok(Some(format!("{about}: {words}")));
        }
        let running = path::running(bench)?;
        if running != lab.baseline {
            return Ok(Some(format!("{about}: {running} runs, not {}", lab.baseline)));
        }
    }
    Ok(None)
}

fn counter_sank(bench: &mut Bench, lab: &Lab) -> Result<Option<String>, Trouble> {
    let now = counter(bench)?;
    Ok(match (lab.counter, now) {
        (Some(before), Some(now)) if now < before => Some(format!("the anti-rollback counter was {before} before the trial and is {now} after it")),
        _ => None,
    })
}

fn broken(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let mut lab = Lab::open(bench, row)?;
    let next = lab.next()?;
    lab.try_image(bench, &next)?;
    if let Some(what) = not_given_up(bench, &lab)? {
        report.violated(bench, B, GIVEN_UP, &what);
        return Ok(());
    }
    let files = [("crashing", lab.bind.crashing.clone()), ("hanging", lab.bind.hanging.clone())];
    let mut seen = Vec::new();
    for (kind, file) in files {
        let Some(file) = file else { continue };
        let image = Genuine::load(bench, &lab.bind, &file)?;
        let about = format!("the {kind} image {}", image.version);
        for (step, answer) in [("upload", path::upload(bench, &image.bytes)?), ("mark for trial", path::mark(bench, Some(&image.hash), false)?)] {
            if answer != Step::Done {
                return Err(Trouble::NoOpportunity(format!("{about} was not taken: {step}: {answer}")));
            }
        }
        let boot = match path::restart(bench)? {
            Restarted::Ready(boot) => boot,
            Restarted::NotReady(words) => {
                report.violated(bench, B, GIVEN_UP, &format!("{about} was not given up within {:?}: {words}", path::recovery(bench)));
                return Ok(());
            }
        };
        let running = path::running(bench)?;
        if image.runs(&running) {
            return Err(Trouble::IxitAmbiguous(format!("{about} is declared as {kind} and runs")));
        }
        if running != lab.baseline {
            report.violated(bench, B, GIVEN_UP, &format!("after {about}: {running} runs, not {}", lab.baseline));
            return Ok(());
        }
        if boot.boots < 2 {
            return Err(Trouble::NoOpportunity(format!("{about} was marked, but only one boot was seen: nothing shows that it was started")));
        }
        if let Some(what) = counter_sank(bench, &lab)? {
            report.violated(bench, B, GIVEN_UP, &format!("after {about}: {what}"));
            return Ok(());
        }
        seen.push(format!("{kind}: back to {} after {} boots in {:?}", lab.baseline, boot.boots, boot.took));
    }
    lab.conclude(bench, report, &next, GIVEN_UP, &seen.join("; "))
}

fn install(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    const KEPT: &str = "a confirmed image stays, and images below its security counter are refused from then on";
    let mut lab = Lab::open(bench, row)?;
    let old = match lab.bind.old_counter.clone() {
        Some(file) => Some(Genuine::load(bench, &lab.bind, &file)?),
        None => None,
    };
    // An image whose counter is above that of the one on an old counter, if there is such a pair.
    let below = |i: &Genuine| old.as_ref().is_none_or(|o| i.counter > o.counter && i.version < o.version);
    let newer = lab.newer_than(&lab.delivered);
    let Some(image) = newer.iter().find(|i| below(i)).or(newer.first()).cloned() else {
        return Err(Trouble::Precondition(format!("the dossier has no image newer than {}, which runs", lab.baseline)));
    };
    let before = lab.counter;
    lab.install(bench, &image)?;
    if let judge::Fate::Dead(how) | judge::Fate::Crashed(how) = judge::after_restarts(bench, &lab)? {
        report.violated(bench, B, KEPT, &format!("{} was confirmed: {how}", image.version));
        return Ok(());
    }
    let running = path::running(bench)?;
    if !image.runs(&running) {
        report.violated(bench, B, KEPT, &format!("{} was confirmed, and {running} runs after two restarts", image.version));
        return Ok(());
    }
    if let (Some(before), Some(now)) = (before, lab.counter)
        && now < image.counter
    {
        let what =
            format!("{} carries security counter {} and was confirmed; the device's counter was {before} and is {now}", image.version, image.counter);
        report.violated(bench, B, KEPT, &what);
        return Ok(());
    }
    let mut observed = format!("{} stays; counter {} -> {}", image.version, told(before), told(lab.counter));
    if let Some(old) = old.clone().filter(|o| below(&image) && o.version > image.version) {
        let variant = matrix::supplied("old-counter", "genuine newer version on an old security counter", old.bytes.clone(), Expect::Refused);
        if let Some(what) = judge::offer_and_judge(bench, &lab, &variant)? {
            report.violated(bench, B, KEPT, &what);
            return Ok(());
        }
        observed.push_str(&format!("; {} with counter {} refused", old.version, old.counter));
    }
    match lab.next() {
        Ok(next) => lab.conclude(bench, report, &next, KEPT, &observed),
        // Nothing newer is left: the installation itself, a moment ago, is the control.
        Err(_) => {
            report.satisfied(bench, B, KEPT, &observed);
            Ok(())
        }
    }
}
