//! A probe's firmware: SWD and JTAG transactions out of single clock edges.

use proofbench_channel::debug::{Dap, DapFault, Protocol, Said, dp};
use proofbench_channel::{ChannelError, Moment, Wait};
use proofbench_emulator::debug::{BareBoard, Pins};
use std::time::Duration;

/// A debug connector on a device whose time this process moves.
pub trait Port: Pins {
    /// Takes account of the time that `clocks` clock cycles took.
    fn spend(&mut self, clocks: u32);
}

impl Port for BareBoard {
    fn spend(&mut self, _clocks: u32) {
        // Its edges take their time by themselves.
    }
}

/// WAIT answers taken before an access is given up.
const WAIT_RETRIES: usize = 64;
/// JTAG instructions, four bits.
const IR_ABORT: u64 = 0x8;
const IR_DPACC: u64 = 0xA;
const IR_APACC: u64 = 0xB;
/// Selection alert of the dormant state, first bit lowest.
const ALERT: [u64; 2] = [0x86852D95_6209F392, 0x19BC0EA2_E3DDAFE9];
/// Nanoseconds of one clock cycle.
const CLOCK_NS: u128 = super::CLOCK.as_nanos();
/// Half a millisecond at 4 MHz: an attempt takes as long, and real probes are no faster.
const PAUSE_CLOCKS: u32 = 2000;
const SELECT: u8 = 0x8;
const RDBUFF: u8 = 0xC;

/// The host side of one debug connector.
pub struct BitBang<'a> {
    port: &'a mut dyn Port,
    wait: &'a Wait,
    jtag: bool,
    select: Option<u32>,
    ir: Option<u64>,
    began_ns: u64,
    clocks: u32,
}

impl<'a> BitBang<'a> {
    /// A host that has said nothing yet, and gives up with `wait`.
    pub fn new(port: &'a mut dyn Port, wait: &'a Wait) -> Self {
        let began_ns = port.now_ns();
        Self { port, wait, jtag: false, select: None, ir: None, began_ns, clocks: 0 }
    }

    fn clock(&mut self, tms: Option<bool>, tdi: bool) {
        self.port.edge(tms, tdi);
        self.clocks += 1;
    }

    fn out(&mut self, bits: u32, value: u64) {
        for n in 0..bits {
            self.clock(Some(value >> n & 1 != 0), true);
        }
    }

    fn ones(&mut self, bits: u32) {
        for _ in 0..bits {
            self.clock(Some(true), true);
        }
    }

    fn settle(&mut self) {
        let clocks = std::mem::take(&mut self.clocks);
        self.port.spend(clocks);
    }

    /// One SWD packet. The answer's line is sampled before each edge; the first edge after the header turns the line around.
    fn swd_packet(&mut self, ap: bool, read: bool, a: u8, data: u32) -> Result<u32, Said> {
        let head = u64::from(ap) | u64::from(read) << 1 | u64::from(a & 0xC);
        let parity = u64::from(head.count_ones() & 1);
        self.out(8, 0x81 | head << 1 | parity << 5);
        self.clock(None, true);
        let mut ack = 0u8;
        for n in 0..3 {
            ack |= u8::from(self.port.swdio()) << n;
            self.clock(None, true);
        }
        match ack {
            1 if read => {
                let mut value = 0u64;
                for n in 0..33 {
                    value |= u64::from(self.port.swdio()) << n;
                    self.clock(None, true);
                }
                self.out(1, 0);
                let word = value as u32;
                self.idle();
                if u64::from(word.count_ones() & 1) == value >> 32 { Ok(word) } else { Err(Said::Protocol) }
            }
            1 => {
                self.clock(None, true);
                self.out(32, u64::from(data));
                self.out(1, u64::from(data.count_ones() & 1));
                self.idle();
                Ok(0)
            }
            2 | 4 => {
                // With ORUNDETECT, which every survey sets, the data phase follows whatever the acknowledge.
                for _ in 0..34 {
                    self.clock(None, true);
                }
                self.idle();
                Err(if ack == 2 { Said::Wait } else { Said::Fault })
            }
            7 => Err(Said::NoAck),
            _ => Err(Said::Protocol),
        }
    }

    fn idle(&mut self) {
        self.out(8, 0);
    }

    fn jtag_scan(&mut self, ir: bool, bits: u32, value: u64) -> u64 {
        // From Run-Test/Idle to Shift-DR or Shift-IR.
        self.clock(Some(true), true);
        if ir {
            self.clock(Some(true), true);
        }
        self.clock(Some(false), true);
        self.clock(Some(false), true);
        let mut got = 0;
        for n in 0..bits {
            got |= u64::from(self.port.tdo()) << n;
            self.clock(Some(n + 1 == bits), value >> n & 1 != 0);
        }
        self.clock(Some(true), true);
        self.clock(Some(false), true);
        got
    }

    fn jtag_ir(&mut self, ir: u64) {
        if self.ir != Some(ir) {
            self.jtag_scan(true, 4, ir);
            self.ir = Some(ir);
        }
    }

    /// One JTAG-DP transaction and the scan that brings its result.
    fn jtag_access(&mut self, ap: bool, read: bool, a: u8, data: u32) -> Result<u32, Said> {
        let request = u64::from(read) | u64::from(a & 0xC) >> 1 | u64::from(data) << 3;
        self.jtag_ir(if ap { IR_APACC } else { IR_DPACC });
        self.jtag_scan(false, 35, request);
        self.jtag_ir(IR_DPACC);
        let result = self.jtag_scan(false, 35, 1 | u64::from(RDBUFF) >> 1);
        match result & 7 {
            2 => Ok((result >> 3) as u32),
            1 => Err(Said::Wait),
            7 => Err(Said::NoAck),
            _ => Err(Said::Protocol),
        }
    }

    fn access(&mut self, ap: bool, read: bool, a: u8, data: u32) -> Result<u32, DapFault> {
        let mut answer = Err(Said::Wait);
        for _ in 0..WAIT_RETRIES {
            answer = if self.jtag { self.jtag_access(ap, read, a, data) } else { self.swd_packet(ap, read, a, data) };
            if answer != Err(Said::Wait) {
                break;
            }
            // A WAIT under ORUNDETECT leaves STICKYORUN, which would turn the retry into a FAULT. A JTAG-DP drops accesses while it is set: the
            // survey clears it and judges the WAIT.
            if self.jtag || self.swd_packet(false, false, dp::ABORT, 1 << 4).is_err() {
                break;
            }
        }
        self.settle();
        answer.map_err(DapFault::Answer)
    }

    fn choose(&mut self, ap: u8, register: u8) -> Result<(), DapFault> {
        let select = u32::from(ap) << 24 | u32::from(register & 0xF0);
        if self.select != Some(select) {
            self.select = None;
            self.access(false, false, SELECT, select)?;
            self.select = Some(select);
        }
        Ok(())
    }

    fn bank_zero(&mut self, register: u8) -> Result<(), DapFault> {
        if register == dp::CTRL_STAT && self.select.is_none() {
            self.access(false, false, SELECT, 0)?;
            self.select = Some(0);
        }
        Ok(())
    }

    fn connect_jtag(&mut self) -> Result<u32, DapFault> {
        self.ones(60);
        self.out(16, 0xE73C);
        self.ones(8);
        self.clock(Some(false), true);
        let id = self.jtag_scan(false, 32, u64::MAX) as u32;
        self.settle();
        match id {
            u32::MAX => Err(DapFault::Answer(Said::NoAck)),
            0 => Err(DapFault::Answer(Said::Protocol)),
            id if id & 1 == 0 => Err(DapFault::Answer(Said::Protocol)),
            id => Ok(id),
        }
    }
}

impl Dap for BitBang<'_> {
    fn connect(&mut self, protocol: Protocol) -> Result<u32, DapFault> {
        self.select = None;
        self.ir = None;
        self.jtag = protocol == Protocol::Jtag;
        if self.jtag {
            return self.connect_jtag();
        }
        self.ones(60);
        if protocol == Protocol::SwdFromDormant {
            // To dormant from wherever the port is: from SWD, then from JTAG; the one that does not fit is ignored.
            self.out(16, 0xE3BC);
            self.ones(8);
            self.out(31, 0x33BB_BBBA);
            self.ones(8);
            self.out(64, ALERT[0]);
            self.out(64, ALERT[1]);
            self.out(12, 0x1A0);
        } else {
            self.out(16, 0xE79E);
        }
        self.ones(60);
        self.idle();
        self.access(false, true, 0, 0)
    }

    fn dp_read(&mut self, register: u8) -> Result<u32, DapFault> {
        // CTRL/STAT must be readable while a sticky flag is set, when SELECT cannot be written; SELECT is known by then.
        self.bank_zero(register)?;
        self.access(false, true, register, 0)
    }

    fn dp_write(&mut self, register: u8, value: u32) -> Result<(), DapFault> {
        if self.jtag && register == dp::ABORT {
            self.jtag_ir(IR_ABORT);
            self.jtag_scan(false, 35, u64::from(value) << 3);
            self.settle();
            return Ok(());
        }
        self.bank_zero(register)?;
        self.access(false, false, register, value).map(|_| ())
    }

    fn ap_read(&mut self, ap: u8, register: u8) -> Result<u32, DapFault> {
        self.choose(ap, register)?;
        let first = self.access(true, true, register & 0xC, 0)?;
        if self.jtag { Ok(first) } else { self.access(false, true, RDBUFF, 0) }
    }

    fn ap_write(&mut self, ap: u8, register: u8, value: u32) -> Result<(), DapFault> {
        self.choose(ap, register)?;
        self.access(true, false, register & 0xC, value)?;
        if !self.jtag {
            // A fault of the write itself shows here, and nowhere later.
            self.access(false, true, RDBUFF, 0)?;
        }
        Ok(())
    }

    fn overrun_detect(&self) -> bool {
        true
    }

    fn line(&mut self) -> Result<Option<bool>, ChannelError> {
        Ok(Some(if self.jtag { self.port.tdo() } else { self.port.swdio() }))
    }

    fn vtref_mv(&mut self) -> Result<Option<u32>, ChannelError> {
        Ok(Some(self.port.vtref_mv()))
    }

    fn nrst(&mut self, low: bool) -> Result<(), ChannelError> {
        self.port.set_nrst(low);
        Ok(())
    }

    fn hold_clock(&mut self, low: bool) -> Result<(), ChannelError> {
        self.port.set_clock_low(low);
        Ok(())
    }

    fn rest(&mut self, time: Duration) {
        self.port.spend(u32::try_from(time.as_nanos() / CLOCK_NS).unwrap_or(u32::MAX));
    }

    fn elapsed(&mut self) -> Duration {
        Duration::from_nanos(self.port.now_ns().saturating_sub(self.began_ns))
    }

    fn pause(&mut self) {
        self.port.spend(PAUSE_CLOCKS);
    }

    fn check(&mut self) -> Result<(), ChannelError> {
        self.wait.check(Moment(self.port.now_ns()), "survey the debug port")
    }
}
