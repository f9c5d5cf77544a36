//! The loader's journal: each record is the loader's whole state, the last one counts.
//!
//! Faults that it must survive: any content of its two sectors; a record or an erase that tore, reads differently next time, or cannot be read.
//!
//! A record is one cell, followed by a seal, another cell. A cell is trusted to be stable only if something was begun after it: a seal that is there, in
//! whatever state, says that its record was written whole. A last record without seal may have torn and may read otherwise next time, so before anything
//! is done because of it, it is programmed once more with the same bits, which makes weak cells sound, and sealed. A record that tore is programmed over
//! where the medium allows that, and left behind where not. Inside a sector the later record counts; between sectors the higher sequence number.
//! All this comes to the same flash content however often it is interrupted.

use super::image::{ImageInfo, Version, describe};
use super::{Mark, SlotState};
use crate::defects::Defect;
use crate::hw::{Hw, Stop};
use crate::layout::{CELL, PAGE, SECTOR, STATUS};

const MAGIC: u8 = 0xB5;
const SEAL: [u8; CELL as usize] = [0x5E; CELL as usize];
const PAIR: u32 = 2 * CELL;
const PAIRS: u32 = SECTOR / PAIR;
type Cell = [u8; CELL as usize];

/// What a swap is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Test,
    Permanent,
    Revert,
}

/// A swap under way: what remains starts with `step` of sector `index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) purpose: Purpose,
    pub(super) sectors: u8,
    pub(super) index: u8,
    pub(super) step: u8,
}

/// The loader's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) swap: Option<Progress>,
    pub(super) pending: Option<Mark>,
    pub(super) slot: SlotState,
    pub(super) counter: u32,
    /// Version that was confirmed last: nothing older starts.
    pub(super) floor: Version,
    /// Boots since the last good one (a defect counts them).
    pub(super) attempts: u8,
    /// No update is ever taken again (a defect).
    pub(super) stuck: bool,
    /// The version policy is off for the pending update (a defect).
    pub(super) forced: bool,
}

/// The state, and where the next record goes.
pub(super) struct Found {
    pub(super) status: Status,
    seq: u32,
    sector: u32,
    /// Pair of the record that counts.
    at: u32,
    next: u32,
    /// Whether a record was there at all.
    pub(super) recorded: bool,
    /// Whether the record is known to be stable.
    sealed: bool,
}

fn check(cell: &Cell) -> u32 {
    let mut h = 0x7468_3142_0000_0001u64;
    for chunk in cell[..28].chunks(4) {
        h = crate::mix(h ^ chunk.iter().fold(0, |w, b| w << 8 | u64::from(*b)));
    }
    h as u32
}

impl Status {
    fn fresh() -> Self {
        Self {
            swap: None,
            pending: None,
            slot: SlotState::Confirmed,
            counter: 0,
            floor: Version::default(),
            attempts: 0,
            stuck: false,
            forced: false,
        }
    }
    fn encode(&self, seq: u32) -> Cell {
        let mut c = [0; CELL as usize];
        c[0] = MAGIC;
        if let Some(p) = self.swap {
            c[1] = match p.purpose {
                Purpose::Test => 1,
                Purpose::Permanent => 2,
                Purpose::Revert => 3,
            };
            (c[2], c[3], c[4]) = (p.sectors, p.index, p.step);
        }
        c[5] = match self.pending {
            None => 0,
            Some(Mark::Test) => 1,
            Some(Mark::Permanent) => 2,
        };
        c[6] = match self.slot {
            SlotState::Confirmed => 0,
            SlotState::Trial => 1,
            SlotState::Reverted => 2,
        };
        c[7] = u8::from(self.stuck) | u8::from(self.forced) << 1;
        c[8..12].copy_from_slice(&seq.to_le_bytes());
        c[12..16].copy_from_slice(&self.counter.to_le_bytes());
        c[16..24].copy_from_slice(&self.floor.to_bytes());
        c[24] = self.attempts;
        let sum = check(&c);
        c[28..].copy_from_slice(&sum.to_le_bytes());
        c
    }
    fn decode(c: &Cell, first_half_will_do: bool) -> Option<(Self, u32)> {
        let word = |at: usize| u32::from_le_bytes([c[at], c[at + 1], c[at + 2], c[at + 3]]);
        if c[0] != MAGIC || (word(28) != check(c) && !first_half_will_do) {
            return None;
        }
        let purpose = match c[1] {
            0 => None,
            1 => Some(Purpose::Test),
            2 => Some(Purpose::Permanent),
            3 => Some(Purpose::Revert),
            _ => return None,
        };
        let status = Self {
            swap: purpose.map(|purpose| Progress { purpose, sectors: c[2], index: c[3], step: c[4] }),
            pending: match c[5] {
                1 => Some(Mark::Test),
                2 => Some(Mark::Permanent),
                _ => None,
            },
            slot: match c[6] {
                0 => SlotState::Confirmed,
                1 => SlotState::Trial,
                _ => SlotState::Reverted,
            },
            counter: word(12),
            floor: Version::from_bytes([c[16], c[17], c[18], c[19], c[20], c[21], c[22], c[23]]),
            attempts: c[24],
            stuck: c[7] & 1 != 0,
            forced: c[7] & 2 != 0,
        };
        Some((status, word(8)))
    }
    /// The running image stays: it sets counter and version floor.
    pub(super) fn settle(&mut self, hw: &Hw, running: Option<&ImageInfo>) {
        self.slot = SlotState::Confirmed;
        if let Some(image) = running {
            if !hw.defect(Defect::ConfirmForgetsCounter) {
                self.counter = self.counter.max(image.counter);
            }
            self.floor = image.version;
        }
    }
    /// Reads the journal.
    pub(super) fn find(hw: &Hw) -> Found {
        let (first, second) = (scan(hw, STATUS.offset), scan(hw, STATUS.offset + SECTOR));
        if second.recorded && (!first.recorded || second.seq > first.seq) { second } else { first }
    }
}

fn blank(cell: &[u8]) -> bool {
    cell.iter().all(|b| *b == 0xFF)
}

/// What one sector holds.
fn scan(hw: &Hw, sector: u32) -> Found {
    let mut found = Found { status: Status::fresh(), seq: 0, sector, at: 0, next: 0, recorded: false, sealed: true };
    let lenient = hw.defect(Defect::SwapMagicNonatomic);
    let mut page = [0; PAGE as usize];
    for at in (0..SECTOR).step_by(PAGE as usize) {
        if hw.read(sector + at, &mut page).is_ok() && blank(&page) {
            continue;
        }
        for pair in at / PAIR..(at + PAGE) / PAIR {
            let (mut record, mut seal): (Cell, Cell) = ([0; CELL as usize], [0; CELL as usize]);
            let readable = hw.read(sector + pair * PAIR, &mut record).is_ok();
            let seal_readable = hw.read(sector + pair * PAIR + CELL, &mut seal).is_ok();
            let begun = !(readable && blank(&record));
            let unsealed = seal_readable && blank(&seal);
            if !begun && unsealed {
                continue;
            }
            found.next = pair + 1;
            if readable && let Some((status, seq)) = Status::decode(&record, lenient) {
                (found.status, found.seq, found.recorded, found.at) = (status, seq, true, pair);
                found.sealed = !seal_readable || seal == SEAL;
                continue;
            }
            // Something was begun after the record that counts: so that one is stable.
            found.sealed = true;
            if readable && unsealed && hw.rewritable() {
                found.next = pair;
            }
        }
    }
    found
}

impl Found {
    /// Makes sure that what was read will read the same next time.
    pub(super) fn establish(&mut self, hw: &mut Hw) -> Result<(), Stop> {
        if !self.recorded || self.sealed {
            return Ok(());
        }
        let at = self.sector + self.at * PAIR;
        // Parts that take one write a word have no weak cells: there the record reads well because it is whole.
        if hw.rewritable() {
            hw.flush()?;
            hw.write(at, &self.status.encode(self.seq))?;
        }
        hw.flush()?;
        hw.write(at + CELL, &SEAL)?;
        self.sealed = true;
        hw.flush()
    }
    /// Writes the state as a new record.
    pub(super) fn write(&mut self, hw: &mut Hw) -> Result<(), Stop> {
        hw.flush()?;
        self.seq = self.seq.wrapping_add(2);
        let record = self.status.encode(self.seq);
        for _ in 0..2 * PAIRS {
            if self.next >= PAIRS {
                self.sector = if self.sector == STATUS.offset { STATUS.offset + SECTOR } else { STATUS.offset };
                self.next = 0;
                hw.erase(self.sector)?;
            }
            let at = self.sector + self.next * PAIR;
            self.at = self.next;
            self.next += 1;
            let whole = if hw.defect(Defect::SwapMagicNonatomic) {
                let (first, second) = record.split_at(CELL as usize / 2);
                hw.write(at, first)?;
                hw.program(at + CELL / 2, second)?
            } else {
                hw.program(at, &record)?
            };
            if !whole {
                continue;
            }
            hw.flush()?;
            hw.write(at + CELL, &SEAL)?;
            (self.recorded, self.sealed) = (true, true);
            return hw.flush();
        }
        // Both sectors refuse every write: nothing can be promised any more.
        Err(Stop::Halt)
    }
}

/// The first record of a unit, as the factory programs it.
pub(crate) fn factory_status(image: &[u8]) -> Vec<u8> {
    let (floor, counter) = describe(image);
    let status = Status { floor, counter, ..Status::fresh() };
    [status.encode(1), SEAL].concat()
}
