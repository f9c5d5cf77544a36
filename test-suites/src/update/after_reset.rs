//! The back door behind the version policy: does a factory reset bring old firmware back, or make room for it?
//!
//! Purpose: 5.3-2-2 b, downgrade by factory reset. A newer image is installed and confirmed, so that the counter is raised; then the device is reset by each
//! declared route; then what runs, the counter, and the answer to older images must be what they were. The newest image is tried at the end.

use super::judge;
use super::lab::{Genuine, Lab, counter, told};
use super::{BUDGET, NEEDS, bound_here, path};
use crate::report::{Report, each_row};
use crate::reset::{Planted, route::Route};
use proofbench_image::matrix::{self, Expect, Policy};
use proofbench_model::dossier::Row;
use proofbench_runner::{Bench, Check, Permission, Trouble};

const UNITS: &[&str] = &["5.3-2-2 b"];
const B: &str = "5.3-2-2 b";
const EXPECTED: &str = "a factory reset leaves firmware and anti-rollback counter as they are, and older images stay out";

/// Downgrade by factory reset.
pub const AFTER_RESET: Check = Check {
    id: "update/older-after-reset",
    title: "a factory reset neither brings an older image back nor lets one in",
    units: UNITS,
    table: Some(7),
    row_wanted: Some(bound_here),
    needs: NEEDS,
    permissions: &[Permission::CounterIncrement, Permission::FactoryReset],
    defects: &["reset-lowers-counter", "reset-restores-old-image"],
    twins: &["crypto-erase", "late-refusal", "slow-copy"],
    control: "a genuine image goes in before and after; the reset is confirmed or followed by a restart",
    budget: BUDGET,
    run: |bench| each_row(bench, UNITS, after_reset),
};

fn after_reset(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let mut lab = Lab::open(bench, row)?;
    let old_counter = match lab.bind.old_counter.clone() {
        Some(file) => Some(Genuine::load(bench, &lab.bind, &file)?),
        None => None,
    };
    let newer = lab.newer_than(&lab.delivered);
    let above = |i: &&Genuine| old_counter.as_ref().is_none_or(|o| i.counter > o.counter && i.version < o.version);
    let Some(image) = newer.iter().find(above).or(newer.first()).cloned() else {
        return Err(Trouble::Precondition(format!("the dossier has no image newer than {}, which runs", lab.baseline)));
    };
    lab.install(bench, &image)?;
    let before = lab.counter;
    let mut done = Vec::new();
    for row in bench.dossier().ixit.rows(25).to_vec() {
        if row.del().is_none() {
            continue;
        }
        let ran = match Route::new(bench, &row, &Planted::default()).and_then(|route| route.run(bench)) {
            Ok(ran) => ran,
            // A route that this rig cannot go is no reason to leave the others.
            Err(Trouble::Capability(_) | Trouble::Human(_) | Trouble::IxitMissing(_) | Trouble::Tool(_)) => continue,
            Err(other) => return Err(other),
        };
        if ran.boot.is_none() || ran.confirmed == Some(false) {
            return Err(Trouble::NoOpportunity(format!("{}: the reset did not come to its end: {:?}", row.id, ran.did)));
        }
        let running = path::running(bench)?;
        if running != lab.baseline {
            report.violated(bench, B, EXPECTED, &format!("{}: {running} runs after it, not {}", row.id, lab.baseline));
            return Ok(());
        }
        let now = counter(bench)?;
        if now < before {
            report.violated(bench, B, EXPECTED, &format!("{}: the anti-rollback counter was {} and is {}", row.id, told(before), told(now)));
            return Ok(());
        }
        done.push(row.id.to_string());
    }
    if done.is_empty() {
        return Err(Trouble::NoOpportunity("no row of 25-DelFunc can be carried out on this rig".to_owned()));
    }
    let older = lab.images.iter().rev().find(|i| i.version < lab.delivered.version);
    let mut offers = Vec::new();
    if let Some(older) = older {
        offers.push(matrix::supplied("older-1", "genuine older image", older.bytes.clone(), Expect::DeclaredBy(Policy::Downgrade)));
    }
    if let Some(old) = old_counter.filter(|o| o.version > image.version && o.counter < image.counter) {
        offers.push(matrix::supplied("old-counter", "genuine newer version on an old security counter", old.bytes, Expect::Refused));
    }
    for offer in &offers {
        if let Some(what) = judge::offer_and_judge(bench, &lab, offer)? {
            report.violated(bench, B, EXPECTED, &format!("after {}: {what}", done.join(", ")));
            return Ok(());
        }
    }
    let next = lab.next()?;
    match lab.control_again(bench, &next)? {
        Some(what) => report.violated(bench, B, EXPECTED, &what),
        None => {
            bench.strength(format!("routes {}; {} older images offered afterwards", done.join(", "), offers.len()));
            report.satisfied(bench, B, EXPECTED, &format!("{} still runs, counter {}", lab.baseline, told(before)));
        }
    }
    Ok(())
}
