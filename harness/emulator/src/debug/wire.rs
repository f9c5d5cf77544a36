//! The pins: JTAG, SWD, dormant, and the sequences that lead from one to another. One call per rising clock edge.
//!
//! The target samples and changes its outputs on the rising edge; a host that samples before the next rising edge sees the new value.

use super::dap::{Ack, Dap};
use super::lock::{Entry, Level, LockRules};
use super::soc::{Ask, Audit, DebugUnit, SocBus};

/// What the port listens for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As it comes up.
    Jtag,
    /// After the switch sequence.
    Swd,
    /// Deaf until the alert sequence.
    Dormant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Swd {
    /// Lost synchronisation; only a line reset helps.
    Lockout,
    /// Line reset seen; the line must go low before a start bit counts.
    Reset,
    Idle,
    Header(u8),
    Turn,
    Ack(u8),
    ReadData(u8),
    TurnEnd,
    TurnWrite,
    WriteData(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tap {
    Reset,
    Idle,
    SelDr,
    CapDr,
    ShDr,
    Ex1Dr,
    PauDr,
    Ex2Dr,
    UpdDr,
    SelIr,
    CapIr,
    ShIr,
    Ex1Ir,
    PauIr,
    Ex2Ir,
    UpdIr,
}

impl Tap {
    fn next(self, tms: bool) -> Tap {
        use Tap::*;
        match (self, tms) {
            (Reset | SelIr, true) => Reset,
            (Reset | Idle | UpdDr | UpdIr, false) => Idle,
            (Idle | UpdDr | UpdIr, true) => SelDr,
            (SelDr, true) => SelIr,
            (SelDr, false) => CapDr,
            (CapDr | ShDr, true) => Ex1Dr,
            (CapDr | ShDr | Ex2Dr, false) => ShDr,
            (Ex1Dr | Ex2Dr, true) => UpdDr,
            (Ex1Dr | PauDr, false) => PauDr,
            (PauDr, true) => Ex2Dr,
            (SelIr, false) => CapIr,
            (CapIr | ShIr, true) => Ex1Ir,
            (CapIr | ShIr | Ex2Ir, false) => ShIr,
            (Ex1Ir | Ex2Ir, true) => UpdIr,
            (Ex1Ir | PauIr, false) => PauIr,
            (PauIr, true) => Ex2Ir,
        }
    }
}

/// Selection alert of the dormant state, first bit lowest.
const ALERT: u128 = 0x19BC0EA2_E3DDAFE9_86852D95_6209F392;
const JTAG_TO_SWD: u16 = 0xE79E;
const SWD_TO_JTAG: u16 = 0xE73C;
const SWD_TO_DORMANT: u16 = 0xE3BC;
/// 31 bits, after at least five ones.
const JTAG_TO_DORMANT: u32 = 0x33BB_BBBA;
/// Four zeros and the activation code, first bit lowest.
const WAKE_SWD: u16 = 0x1A0;
const WAKE_JTAG: u16 = 0x0A0;
/// Identification of the TAP.
pub const IDCODE: u32 = 0x4BA0_0477;

const IR_ABORT: u8 = 0x8;
const IR_DPACC: u8 = 0xA;
const IR_APACC: u8 = 0xB;
const IR_IDCODE: u8 = 0xE;

/// The debug port at its pins.
#[derive(Debug, Clone)]
pub struct Wire {
    dap: Dap,
    mode: Mode,
    // SWD
    swd: Swd,
    need_dpidr: bool,
    ones: u32,
    header: u8,
    ack: Ack,
    data: u32,
    shift: u64,
    drive: Option<bool>,
    // Switch sequences
    history: u128,
    capture: Option<(u8, u16)>,
    activation: Option<(u8, u16)>,
    // JTAG
    tap: Tap,
    ir: u8,
    ir_shift: u8,
    dr_shift: u64,
    dr_len: u32,
    tdo: Option<bool>,
    jtag_ack: u64,
    jtag_result: u32,
}

impl Wire {
    /// A port without power, with these lock rules.
    pub fn new(rules: LockRules) -> Self {
        Self {
            dap: Dap::new(DebugUnit::new(rules)),
            mode: Mode::Jtag,
            swd: Swd::Lockout,
            need_dpidr: true,
            ones: 0,
            header: 0,
            ack: Ack::Ok,
            data: 0,
            shift: 0,
            drive: None,
            history: 0,
            capture: None,
            activation: None,
            tap: Tap::Reset,
            ir: IR_IDCODE,
            ir_shift: 0,
            dr_shift: 0,
            dr_len: 32,
            tdo: None,
            jtag_ack: 2,
            jtag_result: 0,
        }
    }

    /// Supply on or off. Power-on resets the whole debug domain; what a debugger had set up is gone.
    pub fn set_power(&mut self, on: bool) {
        if on != self.dap.unit.powered() {
            let mut unit = self.dap.unit.clone();
            unit.set_power(on);
            *self = Self { dap: Dap::new(unit), ..Self::new(self.dap.unit.rules.clone()) };
        }
    }

    /// Whether the port has power.
    pub fn powered(&self) -> bool {
        self.dap.unit.powered()
    }

    /// nRST as the pin stands, whoever drives it.
    pub fn set_nrst(&mut self, low: bool) {
        self.dap.unit.set_nrst(low);
    }

    /// SWCLK held low by the probe, or let go.
    pub fn set_clock_low(&mut self, low: bool) {
        self.dap.unit.set_clock_low(low);
    }

    /// A system reset has ended and hardware has latched the life-cycle word. Says whether the core stays halted at the reset vector.
    pub fn system_reset(&mut self, now_ns: u64, secured: bool) -> bool {
        self.dap.unit.system_reset(now_ns, secured)
    }

    /// Whether the core stands still under a debugger.
    pub fn core_halted(&self) -> bool {
        self.dap.unit.halted()
    }

    /// What debuggers asked of the device since the last call.
    pub fn take_asks(&mut self) -> Vec<Ask> {
        self.dap.unit.take_asks()
    }

    /// What debuggers did so far.
    pub fn audit(&self) -> &Audit {
        &self.dap.unit.audit
    }

    /// What the port listens for.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// SWDIO as a host that has released it samples it: pulled up while there is power.
    pub fn swdio(&self) -> bool {
        self.drive.unwrap_or_else(|| self.dap.unit.powered())
    }

    /// TDO: released outside the shift states.
    pub fn tdo(&self) -> bool {
        self.tdo.unwrap_or_else(|| self.dap.unit.powered())
    }

    /// One rising clock edge with SWDIO/TMS (`None`: the host has released it) and TDI.
    pub fn edge(&mut self, bus: &mut dyn SocBus, tms: Option<bool>, tdi: bool) {
        if !self.dap.unit.powered() {
            return;
        }
        let bit = tms.or(self.drive).unwrap_or(true);
        let silent = self.dap.level(bus) == Level::Silent;
        if silent {
            self.drive = None;
            self.swd = Swd::Lockout;
        }
        self.watch(bit, tms.is_some());
        match self.mode {
            Mode::Swd => self.swd_edge(bus, bit),
            Mode::Jtag => self.jtag_edge(bus, bit, tdi),
            Mode::Dormant => {}
        }
        if silent || self.mode != Mode::Jtag {
            self.tdo = None;
        }
    }

    /// Watches for line resets and switch sequences, in every mode.
    fn watch(&mut self, bit: bool, driven: bool) {
        if !driven {
            self.ones = 0;
            return;
        }
        self.history = self.history >> 1 | u128::from(bit) << 127;
        if let Some((n, code)) = self.activation {
            let code = code | u16::from(bit) << n;
            self.activation = (n + 1 < 12).then_some((n + 1, code));
            if n + 1 == 12 {
                match code {
                    WAKE_SWD => self.enter(Mode::Swd, true),
                    WAKE_JTAG => self.enter(Mode::Jtag, true),
                    _ => {}
                }
            }
        } else if self.mode == Mode::Dormant && self.history == ALERT {
            self.activation = Some((0, 0));
        }
        if bit {
            self.ones = self.ones.saturating_add(1);
            if self.ones == 50 && self.mode == Mode::Swd {
                self.swd = Swd::Reset;
                self.need_dpidr = true;
                self.drive = None;
                self.dap.line_reset();
            }
        }
        if let Some((n, code)) = self.capture {
            let code = code | u16::from(bit) << n;
            self.capture = (n + 1 < 16).then_some((n + 1, code));
            if n + 1 == 16 {
                match (self.mode, code) {
                    (Mode::Jtag, JTAG_TO_SWD) => self.enter(Mode::Swd, false),
                    (Mode::Swd, SWD_TO_JTAG) => self.enter(Mode::Jtag, false),
                    (Mode::Swd, SWD_TO_DORMANT) => self.enter(Mode::Dormant, false),
                    _ => {}
                }
            }
        } else if !bit && self.ones >= 50 {
            self.capture = Some((1, 0));
        }
        if self.mode == Mode::Jtag && (self.history >> 97) as u32 == JTAG_TO_DORMANT {
            self.enter(Mode::Dormant, false);
        }
        if !bit {
            self.ones = 0;
        }
    }

    fn enter(&mut self, mode: Mode, from_dormant: bool) {
        self.mode = mode;
        self.dap.entry = Entry { jtag: mode == Mode::Jtag, from_dormant };
        self.swd = Swd::Lockout;
        self.drive = None;
        self.tap = Tap::Reset;
        self.ir = IR_IDCODE;
        self.history = 0;
        self.capture = None;
        self.activation = None;
    }

    fn swd_edge(&mut self, bus: &mut dyn SocBus, bit: bool) {
        use Swd::*;
        self.swd = match self.swd {
            Lockout => Lockout,
            Reset if bit => Reset,
            Idle if bit => {
                self.header = 0;
                Header(0)
            }
            Reset | Idle => Idle,
            Header(n) => {
                self.header |= u8::from(bit) << n;
                if n < 6 { Header(n + 1) } else { self.request(bus) }
            }
            Turn => {
                self.drive = Some(self.ack_bit(0));
                Ack(1)
            }
            Ack(n @ ..3) => {
                self.drive = Some(self.ack_bit(n));
                Ack(n + 1)
            }
            Ack(_) => {
                let data_phase = self.ack == super::Ack::Ok || self.dap.overrun_detect();
                self.drive = None;
                match (self.header & 2 != 0, data_phase) {
                    (true, true) => {
                        self.shift = u64::from(self.data) | u64::from(self.data.count_ones() & 1) << 32;
                        self.drive = Some(self.shift & 1 != 0);
                        ReadData(1)
                    }
                    (false, true) => TurnWrite,
                    (_, false) => TurnEnd,
                }
            }
            ReadData(n @ ..33) => {
                self.drive = Some(self.shift >> n & 1 != 0);
                ReadData(n + 1)
            }
            ReadData(_) => {
                self.drive = None;
                TurnEnd
            }
            TurnEnd => Idle,
            TurnWrite => {
                self.shift = 0;
                WriteData(0)
            }
            WriteData(n @ ..32) => {
                self.shift |= u64::from(bit) << n;
                WriteData(n + 1)
            }
            WriteData(_) => {
                let value = self.shift as u32;
                if self.ack == super::Ack::Ok && (value.count_ones() & 1 != 0) == bit {
                    self.dap.access(bus, self.header & 1 != 0, false, self.header & 0xC, value);
                }
                Idle
            }
        };
    }

    fn ack_bit(&self, n: u8) -> bool {
        let bits = match self.ack {
            Ack::Ok => 1,
            Ack::Wait => 2,
            Ack::Fault => 4,
            Ack::Silent => 7,
        };
        bits >> n & 1 != 0
    }

    /// A header is complete: bits are APnDP, RnW, A2, A3, parity, stop, park. An error locks the port until a line reset.
    fn request(&mut self, bus: &mut dyn SocBus) -> Swd {
        let h = self.header;
        let parity = (h & 0xF).count_ones() as u8 & 1;
        if parity != h >> 4 & 1 || h >> 5 & 1 != 0 || h >> 6 & 1 != 1 {
            return Swd::Lockout;
        }
        let (ap, read, a) = (h & 1 != 0, h & 2 != 0, h & 0xC);
        if self.need_dpidr {
            if ap || !read || a != 0 {
                return Swd::Lockout;
            }
            self.need_dpidr = false;
        }
        if read {
            (self.ack, self.data) = self.dap.access(bus, ap, true, a, 0);
        } else {
            self.ack = self.dap.write_ack(bus, ap, a);
        }
        if self.ack == Ack::Silent { Swd::Lockout } else { Swd::Turn }
    }

    fn jtag_edge(&mut self, bus: &mut dyn SocBus, tms: bool, tdi: bool) {
        match self.tap {
            Tap::CapIr => self.ir_shift = 1,
            Tap::ShIr => self.ir_shift = self.ir_shift >> 1 | u8::from(tdi) << 3,
            Tap::CapDr => {
                (self.dr_shift, self.dr_len) = match self.ir {
                    IR_IDCODE => (u64::from(IDCODE), 32),
                    IR_DPACC | IR_APACC => (u64::from(self.jtag_result) << 3 | self.jtag_ack, 35),
                    IR_ABORT => (0, 35),
                    _ => (0, 1),
                }
            }
            Tap::ShDr => self.dr_shift = self.dr_shift >> 1 | u64::from(tdi) << (self.dr_len - 1),
            _ => {}
        }
        self.tap = self.tap.next(tms);
        match self.tap {
            Tap::Reset => self.ir = IR_IDCODE,
            Tap::UpdIr => self.ir = self.ir_shift & 0xF,
            Tap::UpdDr => self.update_dr(bus),
            _ => {}
        }
        // TDO follows the falling edge on silicon; here it is there at once.
        self.tdo = match self.tap {
            Tap::ShIr => Some(self.ir_shift & 1 != 0),
            Tap::ShDr => Some(self.dr_shift & 1 != 0),
            _ => None,
        };
    }

    fn update_dr(&mut self, bus: &mut dyn SocBus) {
        let scan = self.dr_shift;
        let (read, a, data) = (scan & 1 != 0, (scan >> 1 & 3) as u8 * 4, (scan >> 3) as u32);
        match self.ir {
            IR_ABORT => {
                // DAPABORT is all that a JTAG-DP takes here; no AP transaction of this part can be stuck for good.
            }
            IR_DPACC if !read && a == 0 => self.jtag_ack = 2,
            IR_DPACC | IR_APACC => {
                let (ack, value) = self.dap.access_jtag(bus, self.ir == IR_APACC, read, a, data);
                self.jtag_ack = if ack == Ack::Wait { 1 } else { 2 };
                if ack != Ack::Wait && read {
                    self.jtag_result = value;
                }
            }
            _ => {}
        }
    }
}
