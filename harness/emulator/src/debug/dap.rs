//! Debug port and access ports, one ADIv5 transaction a call.

use super::lock::{Entry, Level};
use super::soc::{Ask, DebugUnit, SocBus};

/// How a transaction is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    /// Done.
    Ok,
    /// Try again.
    Wait,
    /// A sticky flag is set.
    Fault,
    /// The target drives nothing.
    Silent,
}

const STICKY_ORUN: u32 = 1 << 1;
const STICKY_CMP: u32 = 1 << 4;
const STICKY_ERR: u32 = 1 << 5;
const WDATA_ERR: u32 = 1 << 7;
const STICKY: u32 = STICKY_ORUN | STICKY_CMP | STICKY_ERR | WDATA_ERR;
const POWERED: u32 = 0xA000_0000;

/// Identification of the debug port.
pub const DPIDR: u32 = 0x2BA0_1477;
const MEM_AP_IDR: u32 = 0x2477_0011;
const CTRL_AP_IDR: u32 = 0x0288_0000;
/// Number of the second memory AP, where a device has one.
const SECOND_AP: u8 = 3;

#[derive(Debug, Clone)]
struct MemAp {
    csw: u32,
    tar: u32,
}

impl MemAp {
    fn new() -> Self {
        Self { csw: 0x2300_0002, tar: 0 }
    }
    /// Byte address and size of a DRW access.
    fn lane(&self) -> (u32, u32) {
        match self.csw & 7 {
            0 => (self.tar, 1),
            1 => (self.tar & !1, 2),
            _ => (self.tar & !3, 4),
        }
    }
    fn advance(&mut self, bytes: u32) {
        if self.csw >> 4 & 3 == 1 {
            self.tar = (self.tar & !0x3FF) | (self.tar.wrapping_add(bytes) & 0x3FF);
        }
    }
}

/// The debug port with its access ports.
#[derive(Debug, Clone)]
pub struct Dap {
    /// Core, lock, audit.
    pub unit: DebugUnit,
    /// How the probe came in; set by the wire.
    pub entry: Entry,
    mem: MemAp,
    second: MemAp,
    ctrl_ap_reset: bool,
    erase_busy: u32,
    select: u32,
    ctrl: u32,
    rdbuff: u32,
}

impl Dap {
    /// A port at rest.
    pub fn new(unit: DebugUnit) -> Self {
        Self {
            unit,
            // The pins come up as JTAG.
            entry: Entry { jtag: true, from_dormant: false },
            mem: MemAp::new(),
            second: MemAp::new(),
            ctrl_ap_reset: false,
            erase_busy: 0,
            select: 0,
            ctrl: 0,
            rdbuff: 0,
        }
    }

    pub(super) fn line_reset(&mut self) {
        self.select &= !0xF;
    }

    /// With ORUNDETECT a data phase is clocked whatever the acknowledge.
    pub(super) fn overrun_detect(&self) -> bool {
        self.ctrl & 1 != 0
    }

    pub(super) fn level(&self, bus: &dyn SocBus) -> Level {
        self.unit.level(bus.now_ns(), self.entry)
    }

    fn ctrl_stat(&self, level: Level) -> u32 {
        let acks = if level == Level::NoPowerAck { 0 } else { (self.ctrl & 0x5000_0000) << 1 };
        self.ctrl & !POWERED | acks
    }

    fn ap_refusal(&mut self, level: Level) -> Option<Ack> {
        if self.ctrl & STICKY != 0 || self.ctrl_stat(level) & POWERED != POWERED {
            self.ctrl |= STICKY_ERR;
            return Some(Ack::Fault);
        }
        if level == Level::ApWait {
            if self.overrun_detect() {
                self.ctrl |= STICKY_ORUN;
            }
            return Some(Ack::Wait);
        }
        None
    }

    /// The acknowledge that a write request gets over SWD, before its data is known.
    pub(super) fn write_ack(&mut self, bus: &dyn SocBus, ap: bool, a: u8) -> Ack {
        let level = self.level(bus);
        if level == Level::Silent {
            Ack::Silent
        } else if ap {
            self.ap_refusal(level).unwrap_or(Ack::Ok)
        } else if a != 0 && self.ctrl & STICKY != 0 {
            Ack::Fault
        } else {
            Ack::Ok
        }
    }

    /// One transaction by SWD rules: `a` is 0, 4, 8 or 12. AP reads are posted: the answer is the previous result.
    pub fn access(&mut self, bus: &mut dyn SocBus, ap: bool, read: bool, a: u8, data: u32) -> (Ack, u32) {
        let level = self.level(bus);
        if level == Level::Silent {
            return (Ack::Silent, 0);
        }
        if ap {
            if let Some(refusal) = self.ap_refusal(level) {
                return (refusal, 0);
            }
            let number = (self.select >> 24) as u8;
            let register = self.select as u8 & 0xF0 | a;
            let previous = self.rdbuff;
            let done = if read { self.ap_read(bus, level, number, register) } else { self.ap_write(bus, level, number, register, data).map(|()| 0) };
            match done {
                Ok(v) if read => self.rdbuff = v,
                Ok(_) => {}
                Err(()) => self.ctrl |= STICKY_ERR,
            }
            return (Ack::Ok, if read { previous } else { 0 });
        }
        let sticky = self.ctrl & STICKY != 0;
        match (read, a, self.select & 0xF) {
            (true, 0x0, _) => (Ack::Ok, DPIDR),
            (false, 0x0, _) => {
                for (bit, flag) in [(1, STICKY_CMP), (2, STICKY_ERR), (3, WDATA_ERR), (4, STICKY_ORUN)] {
                    if data >> bit & 1 != 0 {
                        self.ctrl &= !flag;
                    }
                }
                (Ack::Ok, 0)
            }
            (true, 0x4, 0) => (Ack::Ok, self.ctrl_stat(level)),
            _ if sticky => (Ack::Fault, 0),
            (false, 0x4, 0) => {
                self.ctrl = data & 0x5400_0F01;
                (Ack::Ok, 0)
            }
            (true, 0x4, 3) => (Ack::Ok, 1),
            (false, 0x8, _) => {
                self.select = data;
                (Ack::Ok, 0)
            }
            (true, 0x8 | 0xC, _) => (Ack::Ok, self.rdbuff),
            _ => (Ack::Ok, 0),
        }
    }

    /// One transaction by JTAG-DP rules: DP accesses never fault, RDBUFF reads zero, sticky flags are cleared by writing ones to CTRL/STAT,
    /// and AP accesses are dropped while one is set.
    pub(super) fn access_jtag(&mut self, bus: &mut dyn SocBus, ap: bool, read: bool, a: u8, data: u32) -> (Ack, u32) {
        let keep = self.ctrl & STICKY;
        if ap {
            if keep != 0 {
                return (Ack::Ok, 0);
            }
            let (ack, _) = self.access(bus, true, read, a, data);
            return (ack, if self.ctrl & STICKY != 0 { 0 } else { self.rdbuff });
        }
        match (read, a, self.select & 0xF) {
            (true, 0xC, _) => (Ack::Ok, 0),
            (false, 0x4, 0) => {
                self.ctrl = keep & !data | data & 0x5400_0F01;
                (Ack::Ok, 0)
            }
            (_, _, bank) => {
                self.ctrl &= !STICKY;
                let (ack, v) = self.access(bus, false, read, a, data);
                self.ctrl |= keep;
                (ack, if (read, a, bank) == (true, 0x4, 0) { v | keep } else { v })
            }
        }
    }

    fn mem_ap(&mut self, number: u8) -> Option<&mut MemAp> {
        match number {
            0 => Some(&mut self.mem),
            SECOND_AP if self.unit.rules.second_ap_open => Some(&mut self.second),
            _ => None,
        }
    }

    fn ap_read(&mut self, bus: &mut dyn SocBus, level: Level, number: u8, register: u8) -> Result<u32, ()> {
        if number == 1 {
            return Ok(self.ctrl_ap_read(level, register));
        }
        let entry = self.entry;
        let forgotten = number == SECOND_AP;
        let locked = level == Level::ApDisabled && !forgotten;
        let hidden = level == Level::ApHidden && !forgotten;
        let Some(ap) = self.mem_ap(number).filter(|_| !hidden) else { return Ok(0) };
        match register {
            0x00 => Ok(ap.csw & !0x40 | u32::from(!locked) << 6),
            0x04 => Ok(ap.tar),
            0xF8 => Ok(0xE00F_F003),
            0xFC => Ok(MEM_AP_IDR),
            0x0C | 0x10..=0x1C if locked => Err(()),
            0x0C => {
                let (address, bytes) = ap.lane();
                let word = self.unit.read32(bus, address & !3, entry).map_err(|_| ())?;
                if let Some(ap) = self.mem_ap(number) {
                    ap.advance(bytes);
                }
                Ok(word & lanes(address, bytes))
            }
            0x10..=0x1C => {
                let address = ap.tar & !0xF | u32::from(register) & 0xC;
                self.unit.read32(bus, address, entry).map_err(|_| ())
            }
            _ => Ok(0),
        }
    }

    fn ap_write(&mut self, bus: &mut dyn SocBus, level: Level, number: u8, register: u8, data: u32) -> Result<(), ()> {
        if number == 1 {
            self.ctrl_ap_write(register, data);
            return Ok(());
        }
        let entry = self.entry;
        let forgotten = number == SECOND_AP;
        let locked = level == Level::ApDisabled && !forgotten;
        let hidden = level == Level::ApHidden && !forgotten;
        let Some(ap) = self.mem_ap(number).filter(|_| !hidden) else { return Ok(()) };
        match register {
            0x00 => {
                ap.csw = data & 0xFF00_FF37;
                // Packed increment is optional and this part has none; a host reads back to find out.
                if ap.csw >> 4 & 3 > 1 {
                    ap.csw &= !0x30;
                }
                Ok(())
            }
            0x04 => {
                ap.tar = data;
                Ok(())
            }
            0x0C | 0x10..=0x1C if locked => Err(()),
            0x0C => {
                let (address, bytes) = ap.lane();
                let mask = lanes(address, bytes);
                let word = if bytes == 4 { data } else { self.unit.read32(bus, address & !3, entry).map_err(|_| ())? & !mask | data & mask };
                self.unit.write32(bus, address & !3, word).map_err(|_| ())?;
                if let Some(ap) = self.mem_ap(number) {
                    ap.advance(bytes);
                }
                Ok(())
            }
            0x10..=0x1C => {
                let address = ap.tar & !0xF | u32::from(register) & 0xC;
                self.unit.write32(bus, address, data).map_err(|_| ())
            }
            _ => Ok(()),
        }
    }

    fn ctrl_ap_read(&mut self, level: Level, register: u8) -> u32 {
        match register {
            0x00 => u32::from(self.ctrl_ap_reset),
            0x08 => {
                let busy = self.erase_busy > 0;
                self.erase_busy = self.erase_busy.saturating_sub(1);
                u32::from(busy)
            }
            0x0C => u32::from(level == Level::Open),
            0xFC => CTRL_AP_IDR,
            _ => 0,
        }
    }

    fn ctrl_ap_write(&mut self, register: u8, data: u32) {
        match register {
            0x00 => {
                if self.ctrl_ap_reset && data == 0 {
                    self.unit.ask(Ask::Reset);
                }
                self.ctrl_ap_reset = data != 0;
            }
            0x04 if data == 1 => {
                self.erase_busy = 3;
                self.unit.ask(Ask::EraseAll);
            }
            _ => {}
        }
    }
}

/// The byte lanes of an access, as a mask over the word.
fn lanes(address: u32, bytes: u32) -> u32 {
    let mask = if bytes >= 4 { u32::MAX } else { (1 << (bytes * 8)) - 1 };
    mask << ((address & 3) * 8)
}
