//! The steps of an update in another order: skipped, gone on with after a failure, and the image exchanged between check and installation.
//!
//! Purpose: 5.3-2-2, rows U12 and U17. Verdict: VIOLATED if an image runs that did not pass every step. Running the genuine image that had passed, or keeping
//! the old one, are both right.

use super::judge::{self, Fate};
use super::lab::{Genuine, Lab, format};
use super::path::{self, Restarted, Step};
use super::{BUDGET, NEEDS, bound_here};
use crate::report::{Report, each_row};
use proofbench_image::matrix::{self, Expect, Variant};
use proofbench_image::{Format, Seal, SigningKey, Version, mcuboot, seal};
use proofbench_model::dossier::Row;
use proofbench_runner::{Bench, Capability, Check, Permission, Trouble};

const UNITS: &[&str] = &["5.3-2-2 b"];
const B: &str = "5.3-2-2 b";
const EXPECTED: &str = "no image is started that has not passed every step";
const TWINS: &[&str] = &["late-refusal", "slow-copy", "slot-fallback"];

/// U17.
pub const SKIPPED: Check = Check {
    id: "update/skipped-steps",
    title: "skipping a step, or going on after one that failed, starts nothing",
    units: UNITS,
    table: Some(7),
    row_wanted: Some(bound_here),
    needs: NEEDS,
    permissions: &[],
    defects: &["mark-after-failed-verify"],
    twins: TWINS,
    control: "the same steps with nothing skipped install the genuine image before and after",
    budget: BUDGET,
    run: |bench| each_row(bench, UNITS, skipped),
};

/// U12.
pub const EXCHANGED: Check = Check {
    id: "update/exchanged-after-check",
    title: "an image put in the place of one that had passed the check is not started",
    units: UNITS,
    table: Some(7),
    row_wanted: Some(bound_here),
    needs: NEEDS,
    permissions: &[],
    defects: &["verify-at-mark-only"],
    twins: TWINS,
    control: "the genuine image, marked in the same way and left alone, is installed before and after",
    budget: BUDGET,
    run: |bench| each_row(bench, UNITS, exchanged),
};

fn skipped(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let mut lab = Lab::open(bench, row)?;
    lab.control_next(bench)?;
    let base = lab.next()?;
    let tampered = forged(bench, &lab, &base)?;

    // A mark without an upload.
    path::erase(bench)?;
    let mut said = "slot erased".to_owned();
    for confirm in [false, true] {
        let step = path::mark(bench, Some(&base.hash), confirm)?;
        said.push_str(&format!("; {} without an upload: {step}", if confirm { "keep" } else { "test" }));
    }
    let fate = judge::after_restarts(bench, &lab)?;
    if tell(bench, report, &lab, "mark without an upload", &base, said, fate)? {
        return Ok(());
    }
    // An upload and a restart, no mark.
    let uploaded = path::upload(bench, &tampered.bytes)?;
    let fate = judge::after_restarts(bench, &lab)?;
    if tell(bench, report, &lab, "restart without a mark", &base, format!("upload of a forged image: {uploaded}"), fate)? {
        return Ok(());
    }
    // A mark that is refused, asked for three times, and a restart all the same.
    let uploaded = path::upload(bench, &tampered.bytes)?;
    let mut said = format!("upload of a forged image: {uploaded}");
    let offered = path::offered_hash(bench)?.filter(|h| *h != lab.baseline.hash);
    let hash = offered.map_or_else(|| tampered_hash(&lab, &tampered), Ok)?;
    for _ in 0..3 {
        for confirm in [false, true] {
            let step = path::mark(bench, Some(&hash), confirm)?;
            said.push_str(&format!("; {}: {step}", if confirm { "keep" } else { "test" }));
        }
    }
    let fate = judge::after_restarts(bench, &lab)?;
    if tell(bench, report, &lab, "restart after a failed check", &base, said, fate)? {
        return Ok(());
    }
    lab.conclude(bench, report, &base, EXPECTED, "mark without upload, restart without mark, restart after failed checks: nothing was started")
}

/// Reports a violation and says so, or notes what was seen.
fn tell(bench: &mut Bench, report: &mut Report, lab: &Lab, about: &str, base: &Genuine, said: String, fate: Fate) -> Result<bool, Trouble> {
    bench.note(&format!("{about}: {fate:?}; {said}"));
    let what = match fate {
        Fate::Kept => return Ok(false),
        Fate::Ran(running) if base.runs(&running) => format!("{about}: {running} runs; {said}"),
        Fate::Ran(running) => format!("{about}: {running} runs instead of {}; {said}", lab.baseline),
        Fate::Crashed(how) | Fate::Dead(how) => format!("{about}: {how}; {said}"),
        Fate::Mute(how) => return Err(Trouble::Unreachable(format!("{about}: {how}; {said}"))),
    };
    report.violated(bench, B, EXPECTED, &what);
    Ok(true)
}

/// An image that is not the maker's and shows itself by its version when it runs: made of the genuine one, or brought by the dossier where files are not read.
pub(super) fn forged(bench: &mut Bench, lab: &Lab, base: &Genuine) -> Result<Variant, Trouble> {
    if format(&lab.bind)? == Format::Mcuboot {
        return made(base);
    }
    let file = lab.bind.other_key.clone().ok_or_else(|| Trouble::IxitMissing("[UpdMech.bind] other-key".to_owned()))?;
    let other = Genuine::load(bench, &lab.bind, &file)?;
    Ok(matrix::supplied("forged", "newer file that another key signed", other.bytes, Expect::Refused))
}

/// An image that nobody signed and that shows itself by its version when it runs: content and hash are consistent, the signature is by another key.
fn made(base: &Genuine) -> Result<Variant, Trouble> {
    let parse = |bytes| proofbench_image::Image::parse(bytes).map_err(|e| Trouble::IxitAmbiguous(format!("image {}: {e}", base.version)));
    let mut hashed = parse(&base.bytes)?.hashed().to_vec();
    let version = Version { build: base.version.build.wrapping_add(0x0bad), ..base.version };
    hashed[mcuboot::field::VERSION].copy_from_slice(&mcuboot::version_bytes(version));
    let bytes = seal(&hashed, &Seal::Signed(&SigningKey::other()));
    parse(&bytes)?;
    Ok(matrix::supplied("forged", "genuine content under another version, signed by another key", bytes, Expect::Refused))
}

fn tampered_hash(lab: &Lab, variant: &Variant) -> Result<Vec<u8>, Trouble> {
    Ok(format(&lab.bind)?.claimed_hash(&variant.bytes).unwrap_or_default())
}

fn exchanged(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let mut lab = Lab::open(bench, row)?;
    lab.control_next(bench)?;
    let base = lab.next()?;
    let mut offers = vec![forged(bench, &lab, &base)?];
    if lab.bind.downgrade == "refused"
        && let Some(older) = lab.images.iter().find(|i| i.version < lab.delivered.version)
    {
        offers.push(matrix::supplied("older", "genuine older image", older.bytes.clone(), Expect::Refused));
    }
    let mut ways = 0;
    for offer in &offers {
        for from_outside in [false, true] {
            let Some(said) = exchange(bench, &lab, &base, offer, from_outside)? else { continue };
            ways += 1;
            let about = format!("{} exchanged for {} after the check", base.version, offer.title);
            bench.note(&format!("{about}: {said}"));
            if let Some(what) = not_started(bench, &lab, &base, &about, &said, from_outside)? {
                bench.evidence("exchanged.bin", &offer.bytes);
                report.violated(bench, B, EXPECTED, &what);
                return Ok(());
            }
        }
    }
    bench.strength(format!("{} images, {ways} exchanges by the update path and from outside", offers.len()));
    lab.conclude(bench, report, &base, EXPECTED, "after each exchange the old image or the genuine new one ran, never the exchanged one")
}

/// Has the genuine image checked and marked, then puts another in its place: by the update path, or from outside where the rig can and may write the flash.
/// None if this way is not open.
fn exchange(bench: &mut Bench, lab: &Lab, base: &Genuine, offer: &Variant, from_outside: bool) -> Result<Option<String>, Trouble> {
    // What stands in the flash is the file only where the format says so.
    if from_outside && (format(&lab.bind)? != Format::Mcuboot || !(bench.has(Capability::Storage) && bench.granted(Permission::FlashWrite))) {
        return Ok(None);
    }
    for (step, answer) in [("upload", path::upload(bench, &base.bytes)?), ("mark for trial", path::mark(bench, Some(&base.hash), false)?)] {
        if answer != Step::Done {
            return Err(Trouble::NoOpportunity(format!("the genuine image {} was not taken: {step}: {answer}", base.version)));
        }
    }
    if !from_outside {
        return Ok(Some(format!("second upload: {}", path::upload(bench, &offer.bytes)?)));
    }
    let before = bench.dump()?;
    let Some((name, region)) = super::secure_boot::region_of(bench, &before, &base.bytes) else {
        bench.power_on()?;
        bench.wait_ready(path::recovery(bench))?;
        return Err(Trouble::NoOpportunity("the marked image stands in none of the named regions of the flash".to_owned()));
    };
    let wait = bench.wait(super::secure_boot::WRITE);
    // The rest of the region stays as it is: there may be marks behind the image.
    let mut bytes = offer.bytes.clone();
    bytes.resize(bytes.len().max(base.bytes.len()), 0xff);
    bench.storage()?.write(region.offset, &bytes, &wait)?;
    bench.power_on()?;
    Ok(Some(format!("written over it in `{name}` from outside")))
}

/// Starts the device (after a change from outside it is starting already). Neither the exchanged image nor anything else but the old or the genuine new one runs; then back to the baseline.
fn not_started(bench: &mut Bench, lab: &Lab, base: &Genuine, about: &str, said: &str, is_starting: bool) -> Result<Option<String>, Trouble> {
    if is_starting {
        if bench.try_ready(path::recovery(bench))?.is_none() {
            return Ok(Some(format!("{about}: the device does not come up; {said}")));
        }
    } else if let Restarted::NotReady(words) = path::restart(bench)? {
        return Ok(Some(format!("{about}: {words}; {said}")));
    }
    let running = path::running(bench)?;
    if base.runs(&running) {
        lab.go_back(bench)?;
        return Ok(None);
    }
    Ok(match judge::after_restarts(bench, lab)? {
        Fate::Kept if running == lab.baseline => None,
        Fate::Kept => Some(format!("{about}: {running} ran; {said}")),
        Fate::Ran(now) => Some(format!("{about}: {now} runs; {said}")),
        Fate::Crashed(how) | Fate::Dead(how) => Some(format!("{about}: {how}; {said}")),
        Fate::Mute(how) => return Err(Trouble::Unreachable(format!("{about}: {how}; {said}"))),
    })
}
