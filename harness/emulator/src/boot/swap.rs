//! The exchange of the two slots through the scratch sector.
//!
//! For each used sector: slot 1 to scratch, slot 0 to slot 1, scratch to slot 0. A step destroys only what an earlier, recorded step has copied, and it
//! begins with an erase, so it can be done again from its beginning any number of times. A record is written when a step is complete, and no step begins
//! on a record that is not sealed.

use super::status::{Found, Progress, Purpose};
use super::{Slot, image};
use crate::defects::Defect;
use crate::hw::{Hw, MS, Stop};
use crate::layout::{CELL, PAGE, SCRATCH, SECTOR, SLOT0, SLOT1};

/// Sectors that the longer of both images uses.
fn used_sectors(hw: &Hw) -> u8 {
    let used = |slot| image::inspect(hw, slot).map_or(0, |i| i.len.div_ceil(SECTOR));
    let all = SLOT0.len / SECTOR;
    let longest = used(Slot::Primary).max(used(Slot::Secondary));
    // A slot whose content says nothing about its length is moved as a whole.
    (if longest == 0 { all } else { longest.min(all) }) as u8
}

/// Erases `to` and copies a sector there. Cells that cannot be read stay erased: only the waste behind an image has any.
fn copy(hw: &mut Hw, from: u32, to: u32) -> Result<(), Stop> {
    hw.erase(to)?;
    let mut page = [0; PAGE as usize];
    for at in (0..SECTOR).step_by(PAGE as usize) {
        if hw.defect(Defect::SlowCopy) {
            hw.delay(15 * MS)?;
        }
        if hw.read(from + at, &mut page).is_err() {
            page.fill(0xFF);
            for (cell, off) in page.chunks_mut(CELL as usize).zip((from + at..).step_by(CELL as usize)) {
                if hw.read(off, cell).is_err() {
                    cell.fill(0xFF);
                }
            }
        }
        if page.iter().any(|b| *b != 0xFF) {
            hw.write(to + at, &page)?;
        }
    }
    if hw.defect(Defect::SlowCopy) {
        hw.delay(360 * MS)?;
    }
    hw.flush()
}

/// Begins a swap and carries it through.
pub(super) fn begin(hw: &mut Hw, found: &mut Found, purpose: Purpose) -> Result<(), Stop> {
    if hw.defect(Defect::CounterEarly) && purpose != Purpose::Revert {
        let new = image::inspect(hw, Slot::Secondary).map_or(0, |i| i.counter);
        found.status.counter = found.status.counter.max(new);
    }
    let progress = Progress { purpose, sectors: used_sectors(hw), index: 0, step: 0 };
    if hw.defect(Defect::SwapInPlace) {
        in_place(hw, progress.sectors)?;
        return finish(hw, found, purpose, false);
    }
    found.status.swap = Some(progress);
    hw.ram().loader_step = Some((0, 0));
    found.write(hw)?;
    carry_on(hw, found, progress, false)
}

/// Goes on with a swap that an earlier boot began.
pub(super) fn resume(hw: &mut Hw, found: &mut Found, mut progress: Progress) -> Result<(), Stop> {
    if hw.defect(Defect::LoaderStatic)
        && let Some((index, step)) = hw.ram().loader_step
    {
        (progress.index, progress.step) = (index, step);
    }
    carry_on(hw, found, progress, true)
}

fn carry_on(hw: &mut Hw, found: &mut Found, mut p: Progress, resumed: bool) -> Result<(), Stop> {
    let sectors = u32::from(p.sectors).min(SLOT0.len / SECTOR);
    while u32::from(p.index) < sectors {
        let offset = u32::from(p.index) * SECTOR;
        let (from, to) = match p.step {
            0 => (SLOT1.offset + offset, SCRATCH.offset),
            1 => (SLOT0.offset + offset, SLOT1.offset + offset),
            _ => (SCRATCH.offset, SLOT0.offset + offset),
        };
        let next = if p.step < 2 { (p.index, p.step + 1) } else { (p.index + 1, 0) };
        if hw.defect(Defect::LoaderStatic) {
            hw.ram().loader_step = Some(next);
        }
        copy(hw, from, to)?;
        (p.index, p.step) = next;
        found.status.swap = Some(p);
        found.write(hw)?;
    }
    if !hw.defect(Defect::LoaderStatic) {
        hw.ram().loader_step = None;
    }
    finish(hw, found, p.purpose, resumed)
}

fn finish(hw: &mut Hw, found: &mut Found, purpose: Purpose, resumed: bool) -> Result<(), Stop> {
    let status = &mut found.status;
    (status.swap, status.pending, status.forced) = (None, None, false);
    match purpose {
        Purpose::Test => status.slot = super::SlotState::Trial,
        Purpose::Permanent => {
            let running = image::verify(hw, Slot::Primary).ok();
            status.settle(hw, running.as_ref());
        }
        Purpose::Revert => {
            status.slot = super::SlotState::Confirmed;
            if resumed && hw.defect(Defect::RevertForgetsType) {
                status.slot = super::SlotState::Trial;
            }
            if resumed && hw.defect(Defect::RevertStuck) {
                status.stuck = true;
            }
            if hw.defect(Defect::CounterLoweredOnRevert) {
                status.counter = 0;
            }
        }
    }
    found.write(hw)
}

/// Without any progress log: after a cut it starts again and exchanges back what it had exchanged.
fn in_place(hw: &mut Hw, sectors: u8) -> Result<(), Stop> {
    for offset in (0..u32::from(sectors) * SECTOR).step_by(SECTOR as usize) {
        let (mut a, mut b) = ([0; SECTOR as usize], [0; SECTOR as usize]);
        let (zero, one) = (SLOT0.offset + offset, SLOT1.offset + offset);
        if hw.read(zero, &mut a).is_err() || hw.read(one, &mut b).is_err() {
            continue;
        }
        for (to, from) in [(zero, &b), (one, &a)] {
            hw.erase(to)?;
            hw.write(to, from)?;
        }
    }
    hw.flush()
}
