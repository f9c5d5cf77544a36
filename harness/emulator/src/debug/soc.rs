//! The core's debug unit, and the way to memory behind the lock.

use super::lock::{Entry, Level, LockRules, Sight};
use std::time::Duration;

/// A bus access that no memory answers. The debug port keeps it as a sticky error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusFault;

/// The device's memory and clock, as its debug port sees them. Addresses are word aligned.
pub trait SocBus {
    /// Virtual time.
    fn now_ns(&self) -> u64;
    /// Reads flash, RAM or a peripheral.
    fn read32(&mut self, address: u32) -> Result<u32, BusFault>;
    /// Writes RAM or a peripheral. Flash is not writable this way.
    fn write32(&mut self, address: u32, value: u32) -> Result<(), BusFault>;
    /// Whether the address is in flash, which read-out protection guards.
    fn is_flash(&self, address: u32) -> bool;
}

/// What a debugger asked the device to do. The world acts on it after the edge that asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// A system reset (SYSRESETREQ, or the control AP).
    Reset,
    /// The core stops.
    Halt,
    /// The core runs on.
    Resume,
    /// Mass erase by the control AP.
    EraseAll,
}

/// What debuggers did, for tests of the harness's own good behaviour.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Mass erases asked.
    pub erase_alls: u32,
    /// System resets asked.
    pub resets: u32,
    /// Times that the core was stopped.
    pub halts: u32,
    /// Times that nRST went low.
    pub nrst: u32,
    /// Words of flash that left the device.
    pub flash_words: u64,
    /// Memory writes that were let through, debug unit included.
    pub writes: u64,
}

pub(super) const CPUID: u32 = 0xE000_ED00;
const DHCSR: u32 = 0xE000_EDF0;
const DCRSR: u32 = 0xE000_EDF4;
const DCRDR: u32 = 0xE000_EDF8;
const DEMCR: u32 = 0xE000_EDFC;
const DFSR: u32 = 0xE000_ED30;
const AIRCR: u32 = 0xE000_ED0C;
const RESET_VECTOR: u32 = 0x0000_0101;

#[derive(Debug, Clone)]
struct Core {
    regs: [u32; 128],
    halted: bool,
    debug: bool,
    step: bool,
    mask_interrupts: bool,
    demcr: u32,
    dcrdr: u32,
    dfsr: u32,
    was_reset: bool,
    retired: bool,
    breakpoints: [u32; 6],
    breakpoint_ctrl: u32,
}

impl Core {
    fn cold() -> Self {
        let mut regs = [0; 128];
        (regs[13], regs[17]) = (0x2001_0000, 0x2001_0000);
        (regs[15], regs[16]) = (RESET_VECTOR & !1, 0x0100_0000);
        Self {
            regs,
            halted: false,
            debug: false,
            step: false,
            mask_interrupts: false,
            demcr: 0,
            dcrdr: 0,
            dfsr: 0,
            was_reset: true,
            retired: false,
            breakpoints: [0; 6],
            breakpoint_ctrl: 0x260,
        }
    }
}

/// Core debug registers, lock state, and what was asked of the device.
#[derive(Debug, Clone)]
pub struct DebugUnit {
    /// The lock's rules.
    pub rules: LockRules,
    /// What debuggers did so far.
    pub audit: Audit,
    core: Core,
    secured: bool,
    powered: bool,
    in_reset: bool,
    /// SWCLK is held low.
    clock_low: bool,
    /// It was when nRST was released last.
    cold_plugged: bool,
    /// A debugger has asked for the reset that comes next, and for the one that was last.
    reset_asked: bool,
    by_debugger: bool,
    reset_released_ns: u64,
    halted_since_ns: Option<u64>,
    halted_total_ns: u64,
    asks: Vec<Ask>,
}

impl DebugUnit {
    /// A unit without power.
    pub fn new(rules: LockRules) -> Self {
        Self {
            rules,
            audit: Audit::default(),
            core: Core::cold(),
            secured: true,
            powered: false,
            in_reset: false,
            clock_low: false,
            cold_plugged: false,
            reset_asked: false,
            by_debugger: false,
            reset_released_ns: 0,
            halted_since_ns: None,
            halted_total_ns: 0,
            asks: Vec::new(),
        }
    }

    /// Supply on or off. A cold unit knows nothing of earlier debuggers; until the first reset is released it is locked.
    pub fn set_power(&mut self, on: bool) {
        if on != self.powered {
            self.powered = on;
            self.core = Core::cold();
            self.secured = true;
            (self.cold_plugged, self.reset_asked, self.by_debugger) = (false, false, false);
            self.halted_since_ns = None;
            self.asks.clear();
        }
    }

    /// Whether it has power.
    pub fn powered(&self) -> bool {
        self.powered
    }

    /// nRST as the pin stands.
    pub fn set_nrst(&mut self, low: bool) {
        if low && !self.in_reset {
            self.audit.nrst += 1;
            self.core.halted = false;
            self.core.was_reset = true;
            self.halted_since_ns = None;
            (self.cold_plugged, self.reset_asked) = (false, false);
        } else if !low && self.in_reset {
            self.cold_plugged = self.clock_low && self.rules.cold_plug.is_some();
        }
        self.in_reset = low;
    }

    /// SWCLK held low by the probe, or let go. Only the release of nRST looks at it.
    pub fn set_clock_low(&mut self, low: bool) {
        self.clock_low = low;
    }

    /// A system reset has just ended (power-on, pin, watchdog, software, brown-out) and hardware latched the life-cycle word.
    /// Says whether the core stays halted at the reset vector: then no firmware runs until [`Ask::Resume`].
    pub fn system_reset(&mut self, now_ns: u64, secured: bool) -> bool {
        let catch = self.core.demcr & 1 != 0 && self.core.debug;
        self.secured = secured;
        self.core.was_reset = true;
        self.core.halted = catch;
        self.core.regs[15] = RESET_VECTOR & !1;
        self.by_debugger = std::mem::take(&mut self.reset_asked);
        self.reset_released_ns = now_ns;
        self.halted_total_ns = 0;
        self.halted_since_ns = catch.then_some(now_ns);
        if catch {
            self.core.dfsr |= 1 << 3;
            self.audit.halts += 1;
        }
        catch
    }

    /// Whether the core stands still under a debugger: halted, or kept in reset because the probe was plugged cold.
    pub fn halted(&self) -> bool {
        self.core.halted || self.cold_plugged
    }

    /// What was asked since the last call, in order.
    pub fn take_asks(&mut self) -> Vec<Ask> {
        std::mem::take(&mut self.asks)
    }

    /// What a probe that came in this way may do now.
    pub fn level(&self, now_ns: u64, entry: Entry) -> Level {
        if !self.powered {
            return Level::Silent;
        }
        let sight = Sight {
            secured: self.secured,
            in_reset: self.in_reset,
            firmware: self.firmware(now_ns),
            cold_plugged: self.cold_plugged,
            by_debugger: self.by_debugger,
        };
        self.rules.level(sight, entry)
    }

    fn firmware(&self, now_ns: u64) -> Duration {
        if self.in_reset {
            return Duration::ZERO;
        }
        let halted = self.halted_total_ns + self.halted_since_ns.map_or(0, |since| now_ns.saturating_sub(since));
        Duration::from_nanos(now_ns.saturating_sub(self.reset_released_ns).saturating_sub(halted))
    }

    pub(super) fn ask(&mut self, ask: Ask) {
        match ask {
            Ask::Reset => self.audit.resets += 1,
            Ask::EraseAll => self.audit.erase_alls += 1,
            Ask::Halt | Ask::Resume => {}
        }
        self.asks.push(ask);
    }

    /// A debugger's read that has passed the access port.
    pub(super) fn read32(&mut self, bus: &mut dyn SocBus, address: u32, entry: Entry) -> Result<u32, BusFault> {
        if let Some(v) = self.private_read(address) {
            return Ok(v);
        }
        if bus.is_flash(address) {
            match self.level(bus.now_ns(), entry) {
                Level::FlashFault => return Err(BusFault),
                Level::FlashZero => return Ok(0),
                _ => self.audit.flash_words += 1,
            }
        }
        bus.read32(address)
    }

    /// A debugger's write that has passed the access port.
    pub(super) fn write32(&mut self, bus: &mut dyn SocBus, address: u32, value: u32) -> Result<(), BusFault> {
        if self.private_write(bus.now_ns(), address, value) {
            self.audit.writes += 1;
            return Ok(());
        }
        if bus.is_flash(address) {
            return Err(BusFault);
        }
        self.audit.writes += 1;
        bus.write32(address, value)
    }

    fn set_halt(&mut self, now_ns: u64, halt: bool, step: bool) {
        let core = &mut self.core;
        if halt && !core.halted && !self.in_reset {
            core.halted = true;
            core.dfsr |= 1;
            // Somewhere in the application's loop.
            core.regs[15] = 0x8600 + (now_ns / 1000 % 512) as u32 * 2;
            self.halted_since_ns = Some(now_ns);
            self.audit.halts += 1;
            self.ask(Ask::Halt);
        } else if !halt && core.halted {
            if step {
                core.regs[15] = core.regs[15].wrapping_add(2);
                core.dfsr |= 1;
                return;
            }
            core.halted = false;
            core.retired = true;
            if let Some(since) = self.halted_since_ns.take() {
                self.halted_total_ns += now_ns.saturating_sub(since);
            }
            self.ask(Ask::Resume);
        }
    }

    fn private_read(&mut self, address: u32) -> Option<u32> {
        let core = &mut self.core;
        Some(match address {
            CPUID => 0x410F_C241,
            DHCSR => {
                let flag = |b: bool, n: u32| u32::from(b) << n;
                let v = flag(core.debug, 0)
                    | flag(core.halted, 1)
                    | flag(core.step, 2)
                    | flag(core.mask_interrupts, 3)
                    | 1 << 16
                    | flag(core.halted, 17)
                    | flag(!core.halted || core.retired, 24)
                    | flag(core.was_reset, 25);
                // Sticky, cleared by the read, but not while the reset lasts.
                core.was_reset = self.in_reset;
                core.retired = false;
                v
            }
            DCRSR => 0,
            DCRDR => core.dcrdr,
            DEMCR => core.demcr,
            DFSR => core.dfsr,
            AIRCR => 0xFA05_0000,
            0xE000_ED08 => 0,
            0xE000_EF40 => 0x1011_0021,
            0xE000_EF44 => 0x1100_0011,
            0xE000_2000 => core.breakpoint_ctrl,
            0xE000_2008..=0xE000_201F => core.breakpoints[((address - 0xE000_2008) / 4) as usize],
            0xE000_1000 => 0x4000_0000,
            0xE00F_F000 => 0xFFF0_F003,
            0xE00F_F004 => 0xFFF0_2003,
            0xE00F_F008 => 0xFFF0_3003,
            0xE00F_F00C => 0xFFF0_1003,
            0xE00F_FFCC => 1,
            0xE00F_FFD0..=0xE00F_FFFF => component_id(0x4C4, 1, address & 0xFFF),
            0xE000_EFD0..=0xE000_EFFF => component_id(0x00C, 0xE, address & 0xFFF),
            0xE000_1FD0..=0xE000_1FFF => component_id(0x002, 0xE, address & 0xFFF),
            0xE000_2FD0..=0xE000_2FFF => component_id(0x003, 0xE, address & 0xFFF),
            0xE000_0FD0..=0xE000_0FFF => component_id(0x001, 0xE, address & 0xFFF),
            0xE000_0000..=0xE00F_FFFF => 0,
            _ => return None,
        })
    }

    fn private_write(&mut self, now_ns: u64, address: u32, value: u32) -> bool {
        match address {
            DHCSR if value >> 16 == 0xA05F => {
                self.core.debug = value & 1 != 0;
                self.core.step = value & 5 == 5;
                self.core.mask_interrupts = value & 9 == 9;
                let step = self.core.step;
                self.set_halt(now_ns, value & 3 == 3, step);
            }
            DCRSR => {
                let n = (value & 0x7F) as usize;
                if value & 1 << 16 != 0 {
                    self.core.regs[n] = self.core.dcrdr;
                } else {
                    self.core.dcrdr = self.core.regs[n];
                }
            }
            DCRDR => self.core.dcrdr = value,
            DEMCR => self.core.demcr = value,
            DFSR => self.core.dfsr &= !value,
            AIRCR if value >> 16 == 0x05FA && value & 4 != 0 => {
                self.reset_asked = true;
                self.ask(Ask::Reset);
            }
            0xE000_2000 if value & 2 != 0 => self.core.breakpoint_ctrl = (self.core.breakpoint_ctrl & !1) | (value & 1),
            0xE000_2008..=0xE000_201F => self.core.breakpoints[((address - 0xE000_2008) / 4) as usize] = value,
            0xE000_0000..=0xE00F_FFFF => {}
            _ => return false,
        }
        true
    }
}

/// CoreSight identification block at offsets 0xFD0 to 0xFFF.
fn component_id(part: u32, class: u32, offset: u32) -> u32 {
    const JEP106: u32 = 0x3B;
    match offset {
        0xFD0 => 4,
        0xFE0 => part & 0xFF,
        0xFE4 => part >> 8 | (JEP106 & 0xF) << 4,
        0xFE8 => 0x8 | JEP106 >> 4 & 7,
        0xFF0 => 0x0D,
        0xFF4 => class << 4,
        0xFF8 => 0x05,
        0xFFC => 0xB1,
        _ => 0,
    }
}
