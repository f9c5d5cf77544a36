//! A record store in two banks of flash that survives a power cut at any operation, torn and unstable ones included.
//!
//! Faults that it must survive: an operation that did nothing, part of its work, or something that reads differently at each boot; any content of
//! the region whatsoever.
//!
//! Layout of a bank: head cell, mark cell, records. A record is a body (head, value, padding to whole cells), a commit cell and a seal cell, each
//! written by an operation of its own. Every decision rests on one rule: *a cell is trusted to be stable only if something was begun after it*.
//! - A record counts if its body is right and its commit cell is not blank, because the commit was begun only after the body was complete.
//! - The last record of a bank must have a seal (whatever it reads as): then its commit was complete. Without seal, or with anything but a
//!   record at the end, the bank is in doubt, and everything that counts now is copied into the other bank before anything else is written.
//! - A bank counts if its head is right and its mark, or anything behind the copied records, is not blank. A newer bank that has a head but
//!   does not count is erased before the older one goes on, so that it cannot come back.

use crate::defects::Defect;
use crate::hw::{Hw, Stop};
use crate::layout::{CELL, Region, SECTOR};
use std::collections::BTreeMap;
use std::rc::Rc;

const MAGIC: u32 = 0x474F_4C54;
const BODY: u8 = 0xA5;
/// Not reached by any number of compactions that flash survives; so a generation never wraps.
const GENERATION_MAX: u32 = 1 << 30;
const RECORDS: u32 = 2 * CELL;
const HEAD_BYTES: usize = 12;
/// Most bytes of a value.
pub const VALUE_MAX: usize = 160;

/// Name of an entry.
pub type Key = u16;

/// What a store holds, and where its next record goes.
#[derive(Debug, Clone)]
pub struct Log {
    region: Region,
    bank: u32,
    generation: u32,
    tail: u32,
    entries: BTreeMap<Key, Rc<[u8]>>,
    torn: bool,
}

/// The records of a bank.
struct Bank {
    /// Some operation was interrupted here.
    doubt: bool,
    /// First byte behind the last record, from the start of the bank.
    tail: u32,
    entries: BTreeMap<Key, Rc<[u8]>>,
}

/// The head of a bank.
struct Head {
    generation: u32,
    /// Something was begun after it: the bank may be used.
    counts: bool,
}

/// Checksum of everything that stands in a store.
pub fn crc32(parts: &[&[u8]]) -> u32 {
    const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    let mut digest = CRC.digest();
    parts.iter().for_each(|p| digest.update(p));
    digest.finalize()
}

/// The bytes of a bank. A cell that the medium cannot deliver was written and torn: it reads as neither blank nor a record.
fn load(hw: &Hw, base: u32, len: u32) -> Vec<u8> {
    let mut bytes = vec![0; len as usize];
    if hw.read(base, &mut bytes).is_err() {
        for (at, cell) in (base..).step_by(CELL as usize).zip(bytes.chunks_mut(CELL as usize)) {
            if hw.read(at, cell).is_err() {
                cell.fill(0x3C);
            }
        }
    }
    bytes
}

/// `len` rounded up to whole cells.
fn cells(len: usize) -> u32 {
    (len as u32).div_ceil(CELL) * CELL
}

fn blank(bytes: &[u8]) -> bool {
    let cells = bytes.chunks_exact(CELL as usize);
    cells.remainder().iter().all(|b| *b == 0xFF) && cells.into_iter().all(|c| c == [0xFF; CELL as usize])
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(u32::MAX, u32::from_le_bytes)
}

fn bank_head(generation: u32, copied: u32) -> [u8; CELL as usize] {
    let mut cell = [0u8; CELL as usize];
    cell[0..4].copy_from_slice(&MAGIC.to_le_bytes());
    cell[4..8].copy_from_slice(&generation.to_le_bytes());
    cell[8..12].copy_from_slice(&copied.to_le_bytes());
    let crc = crc32(&[&cell[..12]]);
    cell[12..16].copy_from_slice(&crc.to_le_bytes());
    cell
}

/// Body of a record: head, value, padding. A deletion has no value and its own flag.
fn body(key: Key, value: Option<&[u8]>) -> Vec<u8> {
    let bytes = value.unwrap_or_default();
    let mut out = Vec::with_capacity(cells(HEAD_BYTES + bytes.len()) as usize);
    out.extend([BODY, u8::from(value.is_none())]);
    out.extend(key.to_le_bytes());
    out.extend((bytes.len() as u16).to_le_bytes());
    out.extend([0, 0]);
    let crc = crc32(&[&out, bytes]);
    out.extend(crc.to_le_bytes());
    out.extend(bytes);
    out.resize(cells(out.len()) as usize, 0xFF);
    out
}

/// The record body at the start of `bytes`: key, value (none: deletion) and its length in cells.
fn parse(bytes: &[u8]) -> Option<(Key, Option<&[u8]>, u32)> {
    let head = bytes.get(..HEAD_BYTES)?;
    let len = usize::from(u16::from_le_bytes([head[4], head[5]]));
    let value = bytes.get(HEAD_BYTES..HEAD_BYTES + len)?;
    let good = head[0] == BODY && head[1] <= 1 && len <= VALUE_MAX && word(head, 8) == crc32(&[&head[..8], value]);
    good.then_some((u16::from_le_bytes([head[2], head[3]]), (head[1] == 0).then_some(value), cells(HEAD_BYTES + len)))
}

fn read_head(hw: &Hw, base: u32, len: u32) -> Option<Head> {
    let cells = load(hw, base, RECORDS);
    let (generation, copied) = (word(&cells, 4), word(&cells, 8));
    if word(&cells, 0) != MAGIC || generation > GENERATION_MAX || word(&cells, 12) != crc32(&[&cells[..12]]) {
        return None;
    }
    let behind = RECORDS.saturating_add(copied).min(len);
    let counts = !blank(&cells[CELL as usize..]) || !blank(&load(hw, base + behind, len - behind));
    Some(Head { generation, counts })
}

/// Where nothing was written from there on.
fn first_blank(bytes: &[u8], from: usize) -> usize {
    bytes.chunks(CELL as usize).rposition(|c| !blank(c)).map_or(from, |last| from.max((last + 1) * CELL as usize))
}

/// Reads the records of a bank. `forgiving` is how many torn bodies may be stepped over; the conforming device steps over none.
fn read_bank(bytes: &[u8], mut forgiving: u32) -> Bank {
    let cell = CELL as usize;
    let mut bank = Bank { doubt: false, tail: RECORDS, entries: BTreeMap::new() };
    let mut at = RECORDS as usize;
    while at < bytes.len() {
        let here = parse(&bytes[at..]).and_then(|(key, value, len)| {
            let commit = at + len as usize;
            let ends = bytes.get(commit..commit + 2 * cell)?;
            // A body that was never committed does not count; nor does one whose end lies outside.
            (!blank(&ends[..cell])).then_some((key, value, commit, blank(&ends[cell..])))
        });
        let Some((key, value, commit, unsealed)) = here else {
            if blank(&bytes[at..]) {
                break;
            }
            bank.doubt = true;
            bank.tail = first_blank(bytes, at) as u32;
            if forgiving == 0 {
                break;
            }
            // Only a defect comes here: over the torn body and the cell that closes it.
            forgiving -= 1;
            let closing = (at..bytes.len()).step_by(cell).find(|o| bytes[*o..].starts_with(&[0; CELL as usize]));
            at = closing.map_or(bank.tail as usize, |o| o + cell);
            continue;
        };
        bank.doubt |= unsealed;
        match value {
            Some(value) => drop(bank.entries.insert(key, value.into())),
            None => drop(bank.entries.remove(&key)),
        }
        at = commit + 2 * cell;
        bank.tail = at as u32;
    }
    bank
}

/// A record with its commit and its seal.
fn record(key: Key, value: &[u8]) -> Vec<u8> {
    let mut bytes = body(key, Some(value));
    bytes.extend([0x5A; CELL as usize]);
    bytes.extend([0x00; CELL as usize]);
    bytes
}

/// The first bank of a store as the factory programs it at the start of its region.
pub fn factory_bank(entries: &[(Key, &[u8])]) -> Vec<u8> {
    let records: Vec<u8> = entries.iter().flat_map(|(k, v)| record(*k, v)).collect();
    let mut bank = bank_head(1, records.len() as u32).to_vec();
    bank.resize(RECORDS as usize, 0x00);
    bank.extend(records);
    bank
}

impl Log {
    fn bank_len(&self) -> u32 {
        self.region.len / 2
    }

    fn base(&self, bank: u32) -> u32 {
        self.region.offset + bank * self.bank_len()
    }

    /// Reads the store, ends whatever was interrupted, and formats a region that holds no store. Afterwards nothing in it is in doubt.
    /// A region that is as it should be is only read.
    pub fn mount(hw: &mut Hw, region: Region) -> Result<Log, Stop> {
        let settings = region == crate::layout::SETTINGS;
        let mut log = Log { region, bank: 0, generation: 0, tail: RECORDS, entries: BTreeMap::new(), torn: false };
        // defect ack-lost-after-two-cuts: torn bodies stay where they are, and only one of them is stepped over.
        let lossy = settings && hw.defect(Defect::AckLostAfterTwoCuts);
        let heads = [0, 1].map(|bank| read_head(hw, log.base(bank), log.bank_len()));
        let newest = (0..2).filter(|i| heads[*i].as_ref().is_some_and(|h| h.counts)).max_by_key(|i| heads[*i].as_ref().map(|h| h.generation));
        let Some(newest) = newest else {
            log.wipe(hw)?; // always erased: a region that only looks blank may be spent
            return Ok(log);
        };
        let other = 1 - newest;
        let orphan = heads[other].as_ref().is_some_and(|h| !h.counts);
        let bank = read_bank(&load(hw, log.base(newest as u32), log.bank_len()), u32::from(lossy));
        log.bank = newest as u32;
        log.generation = heads[newest].as_ref().map_or(0, |h| h.generation);
        log.tail = bank.tail;
        log.entries = bank.entries;
        log.torn = bank.doubt;
        if bank.doubt && settings && hw.defect(Defect::SettingsResetOnTorn) {
            // defect settings-reset-on-torn: one bad record, and the whole store is thought corrupt.
            log.wipe(hw)?;
            log.torn = true;
            return Ok(log);
        }
        if orphan {
            log.erase_bank(hw, other as u32)?;
        }
        if bank.doubt && lossy {
            // defect ack-lost-after-two-cuts: a torn body is closed and left behind, and readers step over one of them.
            let last = load(hw, log.base(log.bank) + log.tail - CELL, CELL);
            // Two cells further on, so that it is not taken for the commit of a body that is whole.
            let closing = log.tail + 2 * CELL;
            if last != [0; CELL as usize] && closing < log.bank_len() {
                hw.write(log.base(log.bank) + closing, &[0; CELL as usize])?;
                log.tail = closing + CELL;
            }
        } else if bank.doubt {
            log.compact(hw)?;
        }
        Ok(log)
    }

    /// Whether an interrupted operation was found at mount.
    pub fn was_torn(&self) -> bool {
        self.torn
    }

    /// The value of an entry.
    pub fn get(&self, key: Key) -> Option<&[u8]> {
        self.entries.get(&key).map(|v| &**v)
    }

    /// All entries, in key order.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = (Key, &[u8])> {
        self.entries.iter().map(|(k, v)| (*k, &**v))
    }

    /// Forgets an entry in RAM only: it goes with the next compaction. For entries that nobody can read any more.
    pub fn forget(&mut self, key: Key) {
        self.entries.remove(&key);
    }

    /// Whether a new entry of `len` bytes fits beside the present ones.
    pub fn has_room(&self, len: usize) -> bool {
        let live: u32 = self.entries.values().map(|v| cells(HEAD_BYTES + v.len()) + 2 * CELL).sum();
        len <= VALUE_MAX && RECORDS + live + cells(HEAD_BYTES + len) + 2 * CELL <= self.bank_len()
    }

    /// Writes an entry. On return it is stored for good; on a power cut it is old or new. An entry that does not fit is not written: `false`.
    pub fn set(&mut self, hw: &mut Hw, key: Key, value: &[u8]) -> Result<bool, Stop> {
        if !self.entries.contains_key(&key) && !self.has_room(value.len()) || value.len() > VALUE_MAX {
            return Ok(false);
        }
        if hw.defect(Defect::NoFlushCommit) {
            // control no-flush-commit: everything is rewritten beside the old copy, but no barrier stands between the data and the head that
            // makes it count, and a write cache may put the head on the medium first.
            self.entries.insert(key, value.into());
            self.compact(hw)?;
            return Ok(true);
        }
        self.append(hw, key, Some(value))?;
        self.entries.insert(key, value.into());
        Ok(true)
    }

    /// Deletes an entry. Its bytes stay in flash until the bank is erased.
    pub fn delete(&mut self, hw: &mut Hw, key: Key) -> Result<(), Stop> {
        if self.entries.contains_key(&key) {
            self.append(hw, key, None)?;
            self.entries.remove(&key);
        }
        Ok(())
    }

    fn append(&mut self, hw: &mut Hw, key: Key, value: Option<&[u8]>) -> Result<(), Stop> {
        let body = body(key, value);
        let len = body.len() as u32 + 2 * CELL;
        if self.tail + len > self.bank_len() {
            self.compact(hw)?;
        }
        if self.tail + len > self.bank_len() {
            return Ok(()); // cannot happen: `has_room` was asked, and a deletion is shorter than what it deletes
        }
        let at = self.base(self.bank) + self.tail;
        hw.write(at, &body)?;
        hw.flush()?;
        let commit = at + body.len() as u32;
        hw.write(commit, &[0x5A; CELL as usize])?;
        hw.flush()?;
        hw.write(commit + CELL, &[0x00; CELL as usize])?;
        hw.flush()?;
        self.tail += len;
        Ok(())
    }

    fn erase_bank(&self, hw: &mut Hw, bank: u32) -> Result<(), Stop> {
        let base = self.base(bank);
        for sector in (base..base + self.bank_len()).step_by(SECTOR as usize) {
            hw.feed();
            hw.erase(sector)?;
        }
        hw.flush()
    }

    /// Copies everything that counts into the other bank.
    pub fn compact(&mut self, hw: &mut Hw) -> Result<(), Stop> {
        let next = 1 - self.bank;
        // defect settings-gc-loses: the only complete copy is erased first.
        let early = self.region == crate::layout::SETTINGS && hw.defect(Defect::SettingsGcLoses);
        if early {
            self.erase_bank(hw, self.bank)?;
        }
        self.erase_bank(hw, next)?;
        self.fill(hw, next)
    }

    /// As `compact`, but leaves no trace of what does not count: both banks are rewritten.
    pub fn compact_twice(&mut self, hw: &mut Hw) -> Result<(), Stop> {
        self.compact(hw)?;
        self.erase_bank(hw, 1 - self.bank)
    }

    /// In one bank, in place: erased, then written. Only defects do so.
    pub fn rewrite_in_place(&mut self, hw: &mut Hw, key: Key, value: &[u8]) -> Result<(), Stop> {
        self.entries.insert(key, value.into());
        self.erase_bank(hw, self.bank)?;
        self.fill(hw, self.bank)
    }

    fn fill(&mut self, hw: &mut Hw, bank: u32) -> Result<(), Stop> {
        let bytes: Vec<u8> = self.entries.iter().flat_map(|(key, value)| record(*key, value)).collect();
        let base = self.base(bank);
        let barrier = !hw.defect(Defect::NoFlushCommit);
        hw.write(base + RECORDS, &bytes)?;
        if barrier {
            hw.flush()?;
        }
        let generation = self.generation + 1;
        hw.write(base, &bank_head(generation, bytes.len() as u32))?;
        if barrier {
            hw.flush()?;
        }
        hw.write(base + CELL, &[0x00; CELL as usize])?;
        hw.flush()?;
        self.bank = bank;
        self.generation = generation;
        self.tail = RECORDS + bytes.len() as u32;
        Ok(())
    }

    /// Erases the region, whatever it holds, and starts an empty store.
    pub fn create(hw: &mut Hw, region: Region) -> Result<Log, Stop> {
        let mut log = Log { region, bank: 0, generation: 0, tail: RECORDS, entries: BTreeMap::new(), torn: false };
        log.wipe(hw)?;
        Ok(log)
    }

    /// Erases the whole region and starts an empty store.
    pub fn wipe(&mut self, hw: &mut Hw) -> Result<(), Stop> {
        self.entries.clear();
        self.erase_bank(hw, 0)?;
        self.erase_bank(hw, 1)?;
        self.generation = 0;
        self.fill(hw, 0)
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
