//! Images from the application's side: what the slots hold, which image is marked, and who may write slot 1. Verification is the loader's own,
//! called early; the loader verifies again before it acts.

use super::smp::wire::Body;
use super::upload::Chunk;
pub use super::upload::{Taken, Upload};
use crate::boot::{self, Mark, Reject, Slot, SlotState, Version};
use crate::defects::Defect;
use crate::firmware::BootInfo;
use crate::hw::{Hw, Stop};

/// Codes of the image group, as mcumgr numbers them.
pub mod code {
    /// No image in the slot.
    pub const NO_IMAGE: u16 = 3;
    /// TLVs that cannot be read.
    pub const INVALID_TLV: u16 = 5;
    /// No image has this hash.
    pub const HASH_NOT_FOUND: u16 = 8;
    /// Slot 1 holds the way back.
    pub const NO_FREE_SLOT: u16 = 9;
    /// Flash cannot be read.
    pub const READ_FAILED: u16 = 11;
    /// Flash did not take a page.
    pub const WRITE_FAILED: u16 = 12;
    /// No such slot, or not for this.
    pub const INVALID_SLOT: u16 = 14;
    /// A chunk without offset.
    pub const INVALID_OFFSET: u16 = 20;
    /// A first chunk without length, or with length 0.
    pub const INVALID_LENGTH: u16 = 21;
    /// A header that makes no sense.
    pub const INVALID_HEADER: u16 = 22;
    /// Hash or signature do not match.
    pub const INVALID_HASH: u16 = 24;
    /// Older than what runs.
    pub const CURRENT_IS_NEWER: u16 = 27;
    /// An update waits for the next boot.
    pub const ALREADY_PENDING: u16 = 28;
    /// Longer than the slot.
    pub const TOO_LARGE: u16 = 30;
    /// More data than announced.
    pub const DATA_OVERRUN: u16 = 31;
    /// Not to be confirmed: made for another device.
    pub const CONFIRMATION_DENIED: u16 = 32;
    /// The running image cannot be tried.
    pub const TEST_OF_ACTIVE_DENIED: u16 = 33;
}

fn refused(why: Reject) -> u16 {
    match why {
        Reject::Empty => code::NO_IMAGE,
        Reject::Header => code::INVALID_HEADER,
        Reject::Length | Reject::Trailing => code::TOO_LARGE,
        Reject::Tlv => code::INVALID_TLV,
        Reject::Unreadable => code::READ_FAILED,
        Reject::Hash | Reject::Signature => code::INVALID_HASH,
        Reject::Model => code::CONFIRMATION_DENIED,
        Reject::Version | Reject::Counter => code::CURRENT_IS_NEWER,
        Reject::Busy => code::ALREADY_PENDING,
    }
}

/// One line of the image list.
pub struct Listed {
    /// 0 runs.
    pub slot: u8,
    /// Version text.
    pub version: String,
    /// Hash that the image names itself by.
    pub hash: [u8; 32],
    /// It verifies.
    pub bootable: bool,
    /// The next boot installs it.
    pub pending: bool,
    /// It stays, or comes back.
    pub confirmed: bool,
    /// It runs.
    pub active: bool,
    /// Pending, and then for good.
    pub permanent: bool,
}

/// Both slots, as the image list tells them.
pub fn list(hw: &Hw) -> Vec<Listed> {
    let state = boot::state(hw);
    let trial = state.slot == SlotState::Trial;
    let slots = [(0, Slot::Primary), (1, Slot::Secondary)];
    let line = |(number, slot): (u8, Slot)| {
        let image = boot::inspect(hw, slot)?;
        let active = slot == Slot::Primary;
        let pending = !active && state.pending.is_some();
        Some(Listed {
            slot: number,
            version: image.version.to_string(),
            hash: image.hash,
            bootable: boot::verify(hw, slot).is_ok(),
            pending,
            confirmed: active != trial && (active || trial),
            active,
            permanent: pending && state.pending == Some(Mark::Permanent),
        })
    };
    slots.into_iter().filter_map(line).collect()
}

/// Marks the image with this hash for the next boot, or confirms the running one. A hash that is not given means the running one.
pub fn mark(hw: &mut Hw, info: &mut BootInfo, hash: Option<&[u8]>, keep: bool) -> Result<Result<(), u16>, Stop> {
    let names = |hw: &Hw, slot| boot::inspect(hw, slot).is_some_and(|i| Some(&i.hash[..]) == hash);
    if hash.is_none() || names(hw, Slot::Primary) {
        return match keep {
            true => confirm(hw, info).map(Ok),
            false => Ok(Err(if hash.is_none() { code::INVALID_HASH } else { code::TEST_OF_ACTIVE_DENIED })),
        };
    }
    if !names(hw, Slot::Secondary) {
        return Ok(Err(code::HASH_NOT_FOUND));
    }
    let how = if keep { Mark::Permanent } else { Mark::Test };
    Ok(boot::request(hw, how)?.map_err(refused))
}

/// The running image stays. The answer to whoever asked comes after this.
pub fn confirm(hw: &mut Hw, info: &mut BootInfo) -> Result<(), Stop> {
    boot::confirm(hw)?;
    let state = boot::state(hw);
    (info.slot, info.counter) = (state.slot, state.counter);
    Ok(())
}

/// Why slot 1 may not be touched now.
fn slot_taken(hw: &Hw) -> Option<u16> {
    // defect verify-at-mark-only: what was verified may be replaced while it waits.
    if boot::may_upload(hw) || hw.defect(Defect::VerifyAtMarkOnly) && boot::state(hw).slot != SlotState::Trial {
        return None;
    }
    Some(if boot::state(hw).pending.is_some() { code::ALREADY_PENDING } else { code::NO_FREE_SLOT })
}

/// A request of the upload command.
pub fn chunk(hw: &mut Hw, upload: &mut Upload, info: &BootInfo, body: &Body<'_>) -> Result<Result<Taken, u16>, Stop> {
    let Some(off) = body.off else { return Ok(Err(code::INVALID_OFFSET)) };
    if body.image.unwrap_or(0) != 0 {
        return Ok(Err(code::INVALID_SLOT));
    }
    let sha = body.sha.and_then(|s| s.try_into().ok());
    let chunk = Chunk { off, data: body.data.unwrap_or_default(), len: body.len, sha };
    if off > 0 || upload.goes_on(&chunk) {
        return upload.go_on(hw, &chunk);
    }
    if let Some(why) = slot_taken(hw) {
        return Ok(Err(why));
    }
    let offered = chunk.data.get(20..28).and_then(|v| v.try_into().ok()).map(Version::from_bytes);
    if body.upgrade == Some(true) && offered.is_some_and(|v| v <= info.version) {
        return Ok(Err(code::CURRENT_IS_NEWER));
    }
    upload.begin(hw, &chunk)
}

/// The erase command.
pub fn erase(hw: &mut Hw, upload: &mut Upload, slot: u64) -> Result<Result<(), u16>, Stop> {
    if slot != 1 {
        return Ok(Err(code::INVALID_SLOT));
    }
    if let Some(why) = slot_taken(hw) {
        return Ok(Err(why));
    }
    upload.abort();
    boot::erase_secondary(hw)?;
    Ok(Ok(()))
}
