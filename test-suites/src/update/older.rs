//! Older versions by every route, step by step up the ladder of the maker's images.
//!
//! Purpose: 5.3-2-2, attacks that offer an older, vulnerable version (U08, U09). At each step of the ladder every older image of the maker is offered by the
//! trial step and the keep step, the copy that the device itself keeps is asked for without an upload, the same version with other content is offered, and
//! an older image whose header claims a newer version. Then the next newer image is installed and confirmed, which is the control of the step before. The
//! declaration judges: `refused` or `allowed`. VIOLATED too if a genuine newer image is refused where others went in: whoever cannot go up stays
//! vulnerable (1.10 is newer than 1.9).

use super::judge;
use super::lab::{Genuine, Lab, format};
use super::path::{self, Step};
use super::{BUDGET, NEEDS, bound_here};
use crate::report::{Report, each_row};
use proofbench_image::matrix::{self, Expect, Policy, Variant};
use proofbench_image::{Format, Version};
use proofbench_model::dossier::Row;
use proofbench_runner::{Bench, Check, Permission, Trouble};

const UNITS: &[&str] = &["5.3-2-2 a", "5.3-2-2 b"];
const B: &str = "5.3-2-2 b";
const EXPECTED: &str = "older and equal versions are treated as declared by every route, and every newer genuine image goes in";

/// Without using anything up: what is older than the delivered image.
pub const OFFERED: Check = Check {
    id: "update/older-offered",
    title: "versions older than or equal to the running one are treated as declared",
    units: UNITS,
    table: Some(7),
    row_wanted: Some(bound_here),
    needs: NEEDS,
    permissions: &[],
    defects: &["downgrade-ok", "same-version-ok", "smp-downgrade"],
    twins: &["late-refusal", "slow-copy", "size-refused-early"],
    control: "a genuine newer image goes in by the same path before and after",
    budget: BUDGET,
    run: |bench| each_row(bench, UNITS, offered),
};

/// All the way up.
pub const LADDER: Check = Check {
    id: "update/older-ladder",
    title: "after each installation every older version is treated as declared, by every route, and every newer one goes in",
    units: UNITS,
    table: Some(7),
    row_wanted: Some(bound_here),
    needs: NEEDS,
    permissions: &[Permission::CounterIncrement],
    defects: &["version-string-compare", "version-wraps", "downgrade-ok", "smp-downgrade"],
    twins: &["late-refusal", "slow-copy"],
    control: "the next newer image is installed and confirmed after the offers of each step, and the newest is tried at the end",
    budget: BUDGET,
    run: |bench| each_row(bench, UNITS, ladder),
};

fn offered(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let mut lab = Lab::open(bench, row)?;
    super::matrix::run_matrix(bench, &mut lab, report, attacks)
}

/// Files that are older than or equal to what runs. None at all is a dossier that cannot be judged.
fn attacks(bench: &mut Bench, lab: &Lab, _base: &Genuine) -> Result<Vec<Variant>, Trouble> {
    let mut attacks = Vec::new();
    for (image, ids) in lab.images.iter().filter(|i| i.version < lab.delivered.version).zip(IDS) {
        attacks.push(matrix::supplied(ids[0], "genuine older image", image.bytes.clone(), Expect::DeclaredBy(Policy::Downgrade)));
        if format(&lab.bind)? != Format::Mcuboot {
            continue;
        }
        let newest = Version { major: 255, ..lab.delivered.version };
        for (id, fit) in [(ids[1], false), (ids[2], true)] {
            let bytes = matrix::claim_version(&image.bytes, newest, fit).map_err(|e| Trouble::IxitAmbiguous(e.to_string()))?;
            attacks.push(matrix::supplied(id, "older image whose header claims a newer version", bytes, Expect::Refused));
        }
    }
    if let Some(file) = lab.bind.rebuilt.clone() {
        let rebuilt = Genuine::load(bench, &lab.bind, &file)?;
        if rebuilt.version == lab.delivered.version && rebuilt.hash != lab.delivered.hash {
            let expect = Expect::DeclaredBy(Policy::SameVersion);
            attacks.push(matrix::supplied("same-version", "genuine image of the same version with other content", rebuilt.bytes, expect));
        }
    }
    if attacks.is_empty() {
        return Err(Trouble::IxitMissing(format!("a genuine image that is not newer than {}, which runs", lab.baseline)));
    }
    Ok(attacks)
}

/// Names for at most so many older images: plain, claimed, claimed with a hash that fits.
const IDS: [[&str; 3]; 8] = [
    ["older-1", "older-1-claimed", "older-1-claimed-rehash"],
    ["older-2", "older-2-claimed", "older-2-claimed-rehash"],
    ["older-3", "older-3-claimed", "older-3-claimed-rehash"],
    ["older-4", "older-4-claimed", "older-4-claimed-rehash"],
    ["older-5", "older-5-claimed", "older-5-claimed-rehash"],
    ["older-6", "older-6-claimed", "older-6-claimed-rehash"],
    ["older-7", "older-7-claimed", "older-7-claimed-rehash"],
    ["older-8", "older-8-claimed", "older-8-claimed-rehash"],
];

fn ladder(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let mut lab = Lab::open(bench, row)?;
    let rungs = lab.newer_than(&lab.delivered);
    let Some((newest, rungs)) = rungs.split_last() else {
        return Err(Trouble::Precondition(format!("the dossier has no image newer than {}, which runs", lab.baseline)));
    };
    let mut offers = 0;
    let mut climbed: Vec<String> = vec![lab.delivered.version.to_string()];
    let devised = format!(
        "{} rungs above {}; at each, every older image by trial, by keep, and from the device's own copy",
        rungs.len(),
        lab.delivered.version
    );
    report.satisfied(bench, "5.3-2-2 a", "attacks are devised for the declared mechanism", &devised);
    for rung in rungs {
        if let Some(what) = climb(bench, &mut lab, rung, climbed.len() > 1)? {
            report.violated(bench, B, EXPECTED, &what);
            return Ok(());
        }
        climbed.push(rung.version.to_string());
        if let Some(what) = below(bench, &lab, &mut offers)? {
            report.violated(bench, B, EXPECTED, &what);
            return Ok(());
        }
    }
    match lab.control_again(bench, newest)? {
        Some(what) => report.violated(bench, B, EXPECTED, &what),
        None => {
            bench.strength(format!("{offers} offers of older images over {} installed versions, 2 restarts each", climbed.len()));
            report.satisfied(bench, B, EXPECTED, &format!("went up {} and never down", climbed.join(", ")));
        }
    }
    Ok(())
}

/// Installs and confirms the next image. A refusal that stands at a second try, on a path that worked before, is what is returned.
fn climb(bench: &mut Bench, lab: &mut Lab, rung: &Genuine, path_worked: bool) -> Result<Option<String>, Trouble> {
    let first = match lab.install(bench, rung) {
        Ok(()) => return Ok(None),
        Err(Trouble::NoOpportunity(first)) if path_worked => first,
        Err(other) => return Err(other),
    };
    match lab.install(bench, rung) {
        Ok(()) => Err(Trouble::NoOpportunity(format!("{} went in only at the second try; at first: {first}", rung.version))),
        Err(Trouble::NoOpportunity(second)) => Ok(Some(format!("newer than what runs ({}) and yet, at two tries: {second}", lab.baseline))),
        Err(other) => Err(other),
    }
}

/// Offers everything older than what runs now.
fn below(bench: &mut Bench, lab: &Lab, offers: &mut u32) -> Result<Option<String>, Trouble> {
    if lab.bind.downgrade == "allowed" {
        return Ok(None);
    }
    let expect = Expect::DeclaredBy(Policy::Downgrade);
    // The copy that the device itself keeps, asked for without an upload.
    if let Some(kept) = path::offered_hash(bench)?
        && lab.images.iter().any(|i| i.hash == kept && i.version < lab.delivered.version)
    {
        let mut said = String::from("the device's own copy");
        for confirm in [false, true] {
            let step = path::mark(bench, Some(&kept), confirm)?;
            said.push_str(&format!("; {}: {step}", if confirm { "keep" } else { "test" }));
            if step == Step::Done {
                break;
            }
        }
        *offers += 1;
        let variant = matrix::supplied("own-copy", "the older image that the device keeps", Vec::new(), expect);
        let outcome = judge::Outcome { said, agreed: false, fate: judge::after_restarts(bench, lab)? };
        if let Some(what) = judge::wrong(lab, &variant, &outcome)? {
            return Ok(Some(what));
        }
    }
    for (older, ids) in lab.images.iter().filter(|i| i.version < lab.delivered.version).zip(IDS) {
        let variant = matrix::supplied(ids[0], "genuine older image", older.bytes.clone(), expect);
        *offers += 1;
        if let Some(what) = judge::offer_and_judge(bench, lab, &variant)? {
            return Ok(Some(format!("{} over {}: {what}", older.version, lab.delivered.version)));
        }
    }
    Ok(None)
}
