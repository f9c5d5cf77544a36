//! Which verified image may run: version and anti-rollback counter.

use super::Mark;
use super::image::{ImageInfo, Reject, Version};
use super::status::Status;
use crate::defects::Defect;
use crate::hw::Hw;
use std::cmp::Ordering;

fn compare(hw: &Hw, a: Version, b: Version) -> Ordering {
    if hw.defect(Defect::VersionStringCompare) {
        return a.to_string().cmp(&b.to_string());
    }
    if hw.defect(Defect::VersionWraps) {
        // The revision is kept in one byte: 256 counts as 0.
        let stored = |v: Version| Version { revision: v.revision & 0xFF, ..v };
        return stored(a).cmp(&stored(b));
    }
    a.cmp(&b)
}

fn below_counter(hw: &Hw, status: &Status, image: &ImageInfo) -> bool {
    // An image whose TLVs were never found says nothing about its counter.
    let unknown = hw.defect(Defect::LengthTrusted) && image.hash == [0; 32];
    image.counter < status.counter && !unknown
}

/// Whether a verified image may take the place of the running one.
pub(super) fn may_replace(hw: &Hw, status: &Status, new: &ImageInfo, mark: Mark) -> Result<(), Reject> {
    if status.forced || (mark == Mark::Permanent && hw.defect(Defect::SmpDowngrade)) {
        return Ok(());
    }
    let order = compare(hw, new.version, status.floor);
    if order == Ordering::Equal && !hw.defect(Defect::SameVersionOk) {
        return Err(Reject::Version);
    }
    if hw.defect(Defect::DowngradeOk) {
        return Ok(());
    }
    if order == Ordering::Less {
        return Err(Reject::Version);
    }
    if below_counter(hw, status, new) { Err(Reject::Counter) } else { Ok(()) }
}

/// Whether the verified image in the running slot may start.
pub(super) fn may_start(hw: &Hw, status: &Status, image: &ImageInfo) -> Result<(), Reject> {
    // A device that installs old images also starts them.
    if [Defect::BootOldSignedOk, Defect::DowngradeOk, Defect::SmpDowngrade, Defect::NetVersionWord].into_iter().any(|d| hw.defect(d)) {
        return Ok(());
    }
    if below_counter(hw, status, image) {
        return Err(Reject::Counter);
    }
    if compare(hw, image.version, status.floor) == Ordering::Less { Err(Reject::Version) } else { Ok(()) }
}
