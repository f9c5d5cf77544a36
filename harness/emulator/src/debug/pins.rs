//! The pins of a debug connector, and a board that has nothing else.

use super::lock::LockRules;
use super::soc::{Ask, BusFault, SocBus};
use super::wire::Wire;

/// What a probe's cable reaches. The world of the emulated device implements it, and so does [`BareBoard`].
pub trait Pins {
    /// One rising clock edge with SWDIO/TMS (`None`: released by the probe) and TDI. What the debugger asked for by it has been done on return.
    fn edge(&mut self, tms: Option<bool>, tdi: bool);
    /// SWDIO as it stands with the probe's driver off.
    fn swdio(&self) -> bool;
    /// TDO.
    fn tdo(&self) -> bool;
    /// Drives nRST low, or releases it.
    fn set_nrst(&mut self, low: bool);
    /// Holds SWCLK low (`true`) or lets it rest high. Parts that are plugged cold look at it when nRST is released.
    fn set_clock_low(&mut self, low: bool);
    /// nRST as it stands.
    fn nrst_low(&self) -> bool;
    /// The rail at the connector, in millivolts.
    fn vtref_mv(&self) -> u32;
    /// Virtual time.
    fn now_ns(&self) -> u64;
}

/// A core, flash, RAM and a debug port: what a probe needs to be tested against, without a firmware. Time moves by [`BareBoard::spend`] only.
#[derive(Debug, Clone)]
pub struct BareBoard {
    /// The port.
    pub wire: Wire,
    memory: Memory,
    secured: bool,
    nrst_low: bool,
    /// Times that nRST was released, or a debugger reset the board.
    pub resets: u32,
    clock_ns: u64,
}

/// RAM's first address.
pub const RAM: u32 = 0x2000_0000;
const RAM_WORDS: u32 = 0x1000;

#[derive(Debug, Clone)]
struct Memory {
    now_ns: u64,
    flash: Vec<u8>,
    ram: Vec<u32>,
}

impl SocBus for Memory {
    fn now_ns(&self) -> u64 {
        self.now_ns
    }
    fn read32(&mut self, address: u32) -> Result<u32, BusFault> {
        if let Some(bytes) = self.flash.get(address as usize..).and_then(|f| f.first_chunk()) {
            return Ok(u32::from_le_bytes(*bytes));
        }
        self.ram.get((address.wrapping_sub(RAM) / 4) as usize).copied().ok_or(BusFault)
    }
    fn write32(&mut self, address: u32, value: u32) -> Result<(), BusFault> {
        *self.ram.get_mut((address.wrapping_sub(RAM) / 4) as usize).ok_or(BusFault)? = value;
        Ok(())
    }
    fn is_flash(&self, address: u32) -> bool {
        (address as usize) < self.flash.len()
    }
}

impl BareBoard {
    /// A board without power. `secured` is what its life-cycle word says; each clock edge takes `clock_ns`.
    pub fn new(rules: LockRules, secured: bool, flash: Vec<u8>, clock_ns: u64) -> Self {
        Self {
            wire: Wire::new(rules),
            memory: Memory { now_ns: 0, flash, ram: vec![0; RAM_WORDS as usize] },
            secured,
            nrst_low: false,
            resets: 0,
            clock_ns,
        }
    }

    /// Supply on or off.
    pub fn set_power(&mut self, on: bool) {
        if on == self.wire.powered() {
            return;
        }
        self.wire.set_power(on);
        if on {
            self.memory.ram.fill(0x5AA5_C33C);
            self.wire.system_reset(self.memory.now_ns, self.secured);
        }
    }

    /// Lets virtual time pass.
    pub fn spend(&mut self, ns: u64) {
        self.memory.now_ns += ns;
    }

    fn reset(&mut self) {
        self.resets += 1;
        self.wire.system_reset(self.memory.now_ns, self.secured);
    }
}

impl Pins for BareBoard {
    fn edge(&mut self, tms: Option<bool>, tdi: bool) {
        self.memory.now_ns += self.clock_ns;
        self.wire.edge(&mut self.memory, tms, tdi);
        for ask in self.wire.take_asks() {
            match ask {
                Ask::Reset => self.reset(),
                Ask::EraseAll => self.memory.flash.fill(0xFF),
                Ask::Halt | Ask::Resume => {}
            }
        }
    }
    fn swdio(&self) -> bool {
        self.wire.swdio()
    }
    fn tdo(&self) -> bool {
        self.wire.tdo()
    }
    fn set_nrst(&mut self, low: bool) {
        let released = self.nrst_low && !low;
        self.nrst_low = low;
        self.wire.set_nrst(low);
        if released {
            self.reset();
        }
    }
    fn set_clock_low(&mut self, low: bool) {
        self.wire.set_clock_low(low);
    }
    fn nrst_low(&self) -> bool {
        self.nrst_low
    }
    fn vtref_mv(&self) -> u32 {
        if self.wire.powered() { 3300 } else { 0 }
    }
    fn now_ns(&self) -> u64 {
        self.memory.now_ns
    }
}
