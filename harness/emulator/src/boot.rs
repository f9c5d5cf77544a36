//! The boot loader: MCUboot image format, two slots, test, confirm, revert, and a swap that survives a power cut at any operation.
//!
//! The second half of its interface is what the application calls: look at slots, mark an update, confirm it.

mod flow;
mod image;
mod policy;
mod status;
mod swap;

pub use flow::run;
pub use image::{ImageInfo, Reject, Version};
pub(crate) use status::factory_status;

use crate::defects::Defect;
use crate::hw::{Hw, Stop};
use crate::layout::{LIFE_CYCLE, Region, SLOT0, SLOT1};
use status::Status;
use std::fmt;

/// A place for an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// The image that runs.
    Primary,
    /// The image that was offered, or the old one.
    Secondary,
}

impl Slot {
    /// Where it is.
    pub const fn region(self) -> Region {
        match self {
            Slot::Primary => SLOT0,
            Slot::Secondary => SLOT1,
        }
    }
    const fn name(self) -> &'static str {
        match self {
            Slot::Primary => "slot0",
            Slot::Secondary => "slot1",
        }
    }
}

/// How an update is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mark {
    /// Run it once; without confirmation the next boot reverts.
    Test,
    /// Install it for good.
    Permanent,
}

/// What the running image is to the loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SlotState {
    /// Runs for good.
    Confirmed,
    /// Runs until the next boot, unless confirmed.
    Trial,
    /// Said to be what was there before a failed update. A conforming device says `confirmed`.
    Reverted,
}

impl fmt::Display for SlotState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            SlotState::Confirmed => "confirmed",
            SlotState::Trial => "trial",
            SlotState::Reverted => "reverted",
        })
    }
}

/// What the loader's journal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpdateState {
    /// An update that the next boot will install.
    pub pending: Option<Mark>,
    /// The running image.
    pub slot: SlotState,
    /// Anti-rollback counter: images below it are refused.
    pub counter: u32,
}

/// What the loader's journal says now.
pub fn state(hw: &Hw) -> UpdateState {
    let s = Status::find(hw).status;
    UpdateState { pending: s.pending, slot: s.slot, counter: s.counter }
}

/// What stands in a slot by its header and TLVs, without verification; `None` if that is no image.
pub fn inspect(hw: &Hw, slot: Slot) -> Option<ImageInfo> {
    image::inspect(hw, slot)
}

/// Verifies the image of a slot: format, hash, signature, model. Remembered by content.
pub fn verify(hw: &Hw, slot: Slot) -> Result<ImageInfo, Reject> {
    image::verify(hw, slot)
}

/// Whether slot 1 may be overwritten: not while it holds the way back, or an update that waits for the next boot.
pub fn may_upload(hw: &Hw) -> bool {
    let s = Status::find(hw).status;
    s.pending.is_none() && s.slot != SlotState::Trial
}

/// Erases all sectors of slot 1 that are not blank, for an upload.
pub fn erase_secondary(hw: &mut Hw) -> Result<(), Stop> {
    for sector in SLOT1.sectors() {
        hw.feed();
        if !hw.is_blank(sector, crate::layout::SECTOR) {
            hw.erase(sector)?;
        }
    }
    Ok(())
}

/// Marks the image in slot 1 for the next boot, if verification and version policy allow. `Ok(Err)` is the refusal.
pub fn request(hw: &mut Hw, mark: Mark) -> Result<Result<(), Reject>, Stop> {
    let mut found = Status::find(hw);
    let status = &mut found.status;
    if status.slot == SlotState::Trial || status.stuck {
        return Ok(Err(Reject::Busy));
    }
    let candidate = if hw.defect(Defect::LateRefusal) {
        image::inspect(hw, Slot::Secondary).ok_or(Reject::Empty).map(|_| ())
    } else {
        image::verify(hw, Slot::Secondary).and_then(|new| policy::may_replace(hw, status, &new, mark))
    };
    if let Err(why) = candidate {
        if hw.defect(Defect::LockLostOnFailedUpdate) {
            hw.erase(LIFE_CYCLE.offset)?;
        }
        if !hw.defect(Defect::MarkAfterFailedVerify) || why == Reject::Empty {
            return Ok(Err(why));
        }
        status.pending = Some(mark);
        found.write(hw)?;
        return Ok(Err(why));
    }
    status.pending = Some(mark);
    found.write(hw)?;
    Ok(Ok(()))
}

/// Forgets an update that is pending.
pub fn cancel(hw: &mut Hw) -> Result<(), Stop> {
    let mut found = Status::find(hw);
    if found.status.pending.take().is_some() {
        found.write(hw)?;
    }
    Ok(())
}

/// Confirms the running image: it stays, and the anti-rollback counter rises to its own. Returns whether there was something to confirm.
pub fn confirm(hw: &mut Hw) -> Result<bool, Stop> {
    let mut found = Status::find(hw);
    if found.status.slot == SlotState::Confirmed {
        return Ok(false);
    }
    let running = image::verify(hw, Slot::Primary).ok().or_else(|| image::inspect(hw, Slot::Primary));
    if hw.defect(Defect::LieRevert) {
        found.status.slot = SlotState::Reverted;
        found.write(hw)?;
    }
    found.status.settle(hw, running.as_ref());
    found.write(hw)?;
    Ok(true)
}

/// Sets the anti-rollback counter back and forgets the version floor. Only defects do this.
pub fn lower_counter(hw: &mut Hw) -> Result<(), Stop> {
    let mut found = Status::find(hw);
    (found.status.counter, found.status.floor) = (0, Version::default());
    found.write(hw)
}

/// Has the next boot exchange the slots whatever version stands in slot 1. Only defects do this.
pub fn force_exchange(hw: &mut Hw) -> Result<(), Stop> {
    let mut found = Status::find(hw);
    let status = &mut found.status;
    (status.pending, status.forced) = (Some(Mark::Permanent), true);
    (status.counter, status.floor) = (0, Version::default());
    found.write(hw)
}

/// Has the next boot install what stands in slot 1, unverified. Only defects do this, and a loader that trusts the mark.
pub fn force_mark(hw: &mut Hw) -> Result<(), Stop> {
    let mut found = Status::find(hw);
    found.status.pending = Some(Mark::Test);
    found.write(hw)
}
