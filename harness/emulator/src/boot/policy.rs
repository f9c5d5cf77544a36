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
        // Packed into one word without room for large fields: a revision of 256 counts as the next minor version.
        let packed = |v: Version| (u32::from(v.major) << 24).wrapping_add(u32::from(v.minor) << 16).wrapping_add(u32::from(v.revision) << 8);
        return packed(a).wrapping_add(a.build).cmp(&packed(b).wrapping_add(b.build));
    }
    a.cmp(&b)
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
    if new.counter < status.counter { Err(Reject::Counter) } else { Ok(()) }
}

/// Whether the verified image in the running slot may start.
pub(super) fn may_start(hw: &Hw, status: &Status, image: &ImageInfo) -> Result<(), Reject> {
    if hw.defect(Defect::BootOldSignedOk) {
        return Ok(());
    }
    if image.counter < status.counter {
        return Err(Reject::Counter);
    }
    if image.version < status.floor { Err(Reject::Version) } else { Ok(()) }
}
