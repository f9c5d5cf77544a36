//! The image matrix: a genuine image goes in, every mutation of it stays out, the genuine one goes in again.
//!
//! Purpose: 5.3-2-2, attacks on the update mechanism by its content. Unit a: the attacks are devised, from the maker's own image and for the declared
//! format. Unit b: each is carried out and must be stopped. Verdict: VIOLATED as soon as a mutation runs, makes the device restart by itself or not come
//! up, changes a store, or leaves the genuine image unable to get in; the reply of the device decides nothing by itself. SATISFIED when all were refused
//! and the genuine image went in before and after. A step that was not answered is no refusal.

use super::judge;
use super::lab::{Genuine, Lab, format};
use super::{BUDGET, NEEDS, bound_here, read_here};
use crate::report::{Report, each_row};
use proofbench_image::matrix::{self, Expect, Family, Variant};
use proofbench_model::Reason;
use proofbench_model::dossier::Row;
use proofbench_runner::bench::{StateVector, state_changes};
use proofbench_runner::{Bench, Check, Trouble};

const UNITS: &[&str] = &["5.3-2-2 a", "5.3-2-2 b"];
const TWINS: &[&str] = &["late-refusal", "size-refused-early", "slow-copy", "slow-boot", "noisy-log", "silent-bad-command"];
const CONTROL: &str = "a genuine newer image goes in by the same path before and after the offers, and the hash of what runs is read each time";

macro_rules! family_check {
    ($name:ident, $id:literal, $title:literal, $rows:expr, $family:expr, $defects:expr) => {
        #[doc = $title]
        pub const $name: Check = Check {
            id: $id,
            title: $title,
            units: UNITS,
            table: Some(7),
            row_wanted: Some($rows),
            needs: NEEDS,
            permissions: &[],
            defects: $defects,
            twins: TWINS,
            control: CONTROL,
            budget: BUDGET,
            run: |bench| each_row(bench, UNITS, |bench, row, report| family(bench, row, report, $family)),
        };
    };
}

family_check!(
    FLIPPED,
    "update/flipped-bit",
    "one flipped bit in header, payload, TLVs or signature is refused",
    bound_here,
    Family::Flip,
    &["sig-unchecked", "hash-first-block-only", "header-unprotected", "prot-tlv-unprotected", "mark-after-failed-verify"]
);
family_check!(
    REHASHED,
    "update/recomputed-hash",
    "changed content with a hash that fits and the old signature is refused",
    read_here,
    Family::Rehash,
    &["sig-unchecked", "crc-not-sig", "mark-after-failed-verify"]
);
family_check!(
    UNSIGNED,
    "update/unsigned",
    "an image without a signature, or with one that is none, is refused",
    bound_here,
    Family::Unsigned,
    &["sig-absent-ok", "crc-not-sig", "sig-unchecked"]
);
family_check!(
    OTHER_KEY,
    "update/other-key",
    "an image signed by another key, named or shipped inside or not, is refused",
    bound_here,
    Family::OtherKey,
    &["any-key", "key-from-image", "sig-unchecked", "crc-not-sig"]
);
family_check!(
    LENGTHS,
    "update/lengths",
    "truncated, empty, oversize and appended images, and lengths that lie, are refused and damage nothing",
    bound_here,
    Family::Length,
    &["length-trusted", "oversize-overruns", "empty-upload-bricks"]
);
family_check!(
    FIELDS,
    "update/claimed-fields",
    "version and security counter that nobody signed are refused",
    read_here,
    Family::Field,
    &["crc-not-sig", "sig-unchecked", "mark-after-failed-verify"]
);

/// U07.
pub const MODEL: Check = Check {
    id: "update/other-model",
    title: "a genuine image of another model is refused",
    units: UNITS,
    table: Some(7),
    row_wanted: Some(bound_here),
    needs: NEEDS,
    permissions: &[],
    defects: &["model-unchecked"],
    twins: TWINS,
    control: CONTROL,
    budget: BUDGET,
    run: |bench| each_row(bench, UNITS, other_model),
};

fn family(bench: &mut Bench, row: &Row, report: &mut Report, family: Family) -> Result<(), Trouble> {
    let mut lab = Lab::open(bench, row)?;
    let slot = usize::try_from(lab.bind.slot_bytes).map_err(|_| Trouble::IxitAmbiguous("slot larger than memory".to_owned()))?;
    if family == Family::Length {
        plant(bench)?;
    }
    run_matrix(bench, &mut lab, report, |bench, lab, base| {
        let made = format(&lab.bind)?.family(&base.bytes, slot, family);
        let mut made = made.map_err(|e| Trouble::IxitAmbiguous(format!("image {}: {e}", base.version)))?;
        made.extend(brought(bench, lab, family)?);
        if made.is_empty() {
            let what = if family == Family::OtherKey { "other-key" } else { "unsigned" };
            return Err(Trouble::IxitMissing(format!("[UpdMech.bind] {what}: such a file cannot be made of one that is not read")));
        }
        Ok(made)
    })
}

/// Files of a family that the dossier brings.
fn brought(bench: &mut Bench, lab: &Lab, family: Family) -> Result<Option<Variant>, Trouble> {
    let (file, id, title) = match family {
        Family::OtherKey => (&lab.bind.other_key, "other-key", "newer file that another key signed"),
        Family::Unsigned => (&lab.bind.unsigned, "unsigned", "newer file that nobody signed"),
        _ => return Ok(None),
    };
    let Some(file) = file else { return Ok(None) };
    let image = Genuine::load(bench, &lab.bind, file)?;
    if image.version <= lab.delivered.version {
        return Err(Trouble::IxitAmbiguous(format!("{file} is not newer than what runs: a refusal would say nothing about its signature")));
    }
    Ok(Some(matrix::supplied(id, title, image.bytes, Expect::Refused)))
}

fn other_model(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let mut lab = Lab::open(bench, row)?;
    let file = lab.bind.other_model.clone().ok_or_else(|| Trouble::IxitMissing(format!("other-model in the binding of row {}", row.id)))?;
    let other = Genuine::load(bench, &lab.bind, &file)?;
    run_matrix(bench, &mut lab, report, |_, lab, _| {
        if other.version <= lab.delivered.version || other.counter < lab.counter.unwrap_or(0) {
            return Err(Trouble::IxitAmbiguous(format!("{file} is not newer than what runs: a refusal would say nothing about the model")));
        }
        Ok(vec![matrix::supplied("other-model", "genuine newer image of another model", other.bytes.clone(), Expect::Refused)])
    })
}

/// Gives the stores that can be read back values that are not their defaults, so that damage to them shows.
pub(super) fn plant(bench: &mut Bench) -> Result<(), Trouble> {
    let value = format!("pb{:012x}", bench.seed() & 0xffff_ffff_ffff);
    let rows: Vec<_> = [10, 21].iter().flat_map(|t| bench.dossier().ixit.rows(*t)).filter_map(|r| r.store().cloned()).collect();
    for store in rows.into_iter().filter(|s| s.kind == "personal" && s.get.is_some()) {
        if let Some(set) = store.set {
            bench.perform(&set, &[("value", &value)])?;
        }
    }
    Ok(())
}

/// What must be as it was after refused offers: everything but the slots, which the path's own answers cover.
fn unmoved(bench: &mut Bench) -> Result<StateVector, Trouble> {
    let mut vector = bench.state_vector()?;
    vector.retain(|name, _| name.starts_with("store ") || matches!(name.as_str(), "counter" | "serial" | "lock" | "life-cycle" | "slot-state"));
    Ok(vector)
}

/// Control, offers, control; the rules of the module's head. `make` gets the image that the offers are made from: newer than what runs after the control.
pub(super) fn run_matrix(
    bench: &mut Bench,
    lab: &mut Lab,
    report: &mut Report,
    make: impl FnOnce(&mut Bench, &Lab, &Genuine) -> Result<Vec<Variant>, Trouble>,
) -> Result<(), Trouble> {
    lab.control_next(bench)?;
    // The same image again where a trial was undone, a newer one where the control has stayed.
    let base = &lab.next()?;
    let variants = &make(bench, lab, base)?;
    let listing: String =
        variants.iter().map(|v| format!("{} {:?} {:?} {} bytes: {}\n", v.id, v.family, v.mutates, v.bytes.len(), v.title)).collect();
    bench.evidence("matrix.txt", listing.as_bytes());
    report.satisfied(
        bench,
        "5.3-2-2 a",
        "attacks are devised for the declared mechanism",
        &format!("{} file(s) made from the genuine {}: {}", variants.len(), base.version, names(variants)),
    );
    let before = unmoved(bench)?;
    let expected = "each offer is refused: what runs is unchanged after two restarts, nothing crashes, and the genuine image still goes in";
    let mut unclear = Vec::new();
    for variant in variants {
        match judge::offer_and_judge(bench, lab, variant) {
            Ok(None) => {}
            Ok(Some(what)) => {
                bench.evidence(&format!("{}.bin", variant.id), &variant.bytes);
                report.violated(bench, "5.3-2-2 b", expected, &what);
                return Ok(());
            }
            Err(Trouble::Unreachable(why)) => unclear.push(why),
            Err(other) => return Err(other),
        }
    }
    let changes = state_changes(&before, &unmoved(bench)?);
    if !changes.is_empty() {
        report.violated(bench, "5.3-2-2 b", expected, &format!("after {} refused offers: {}", variants.len(), changes.join("; ")));
        return Ok(());
    }
    if let Some(what) = lab.control_again(bench, base)? {
        report.violated(bench, "5.3-2-2 b", expected, &what);
        return Ok(());
    }
    if !unclear.is_empty() {
        report.unresolved(bench, "5.3-2-2 b", Reason::DutUnreachable, &unclear.join("; "));
        return Ok(());
    }
    bench.strength(format!(
        "{} file(s), each by the trial step and the keep step, 2 restarts each; genuine {} before and after",
        variants.len(),
        base.version
    ));
    report.satisfied(bench, "5.3-2-2 b", expected, &format!("all {} refused; {} still runs", variants.len(), lab.baseline));
    Ok(())
}

fn names(variants: &[Variant]) -> String {
    variants.iter().map(|v| v.id).collect::<Vec<_>>().join(", ")
}
