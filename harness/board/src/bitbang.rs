//! The debug pins over OpenOCD's `remote_bitbang` protocol, for a host that shares no code with ours.
//!
//! One character an operation: `0` to `7` set TCK (4), TMS (2), TDI (1); `R` reads TDO; `r` to `u` set the resets (bit 0 is SRST, which is nRST; the part has
//! no TRST); `Q` ends. For SWD `O` and `o` switch the host's driver, `c` reads SWDIO, `d` to `g` set SWCLK (2) and SWDIO (1). `B` and `b` are a lamp, and
//! everything else is ignored. An answer is one character to one question, so there is nothing that a host could make grow.

use crate::probes::Conversation;
use proofbench_emulator::debug::Pins;

/// Levels as the host has set them.
#[derive(Debug)]
pub struct Session {
    clock: bool,
    swdio: bool,
    drives: bool,
    /// This host holds nRST.
    holds: bool,
}

impl Default for Session {
    fn default() -> Self {
        Self { clock: false, swdio: true, drives: true, holds: false }
    }
}

impl Conversation for Session {
    fn feed(&mut self, bytes: &[u8], pins: &mut dyn Pins, answers: &mut Vec<u8>) -> bool {
        for &byte in bytes {
            if byte == b'Q' {
                return false;
            }
            answers.extend(self.carry_out(byte, pins));
        }
        true
    }

    /// The adapter is a program: with it goes what it held.
    fn hang_up(&mut self, pins: &mut dyn Pins) {
        if self.holds {
            pins.set_nrst(false);
        }
    }
}

impl Session {
    fn carry_out(&mut self, b: u8, pins: &mut dyn Pins) -> Option<u8> {
        let digit = |level: bool| Some(if level { b'1' } else { b'0' });
        match b {
            b'0'..=b'7' => {
                let v = b - b'0';
                self.clock_to(v & 4 != 0, Some(v & 2 != 0), v & 1 != 0, pins);
            }
            b'd'..=b'g' => {
                let v = b - b'd';
                self.swdio = v & 1 != 0;
                self.clock_to(v & 2 != 0, self.drives.then_some(self.swdio), true, pins);
            }
            b'r'..=b'u' => {
                self.holds = (b - b'r') & 1 != 0;
                pins.set_nrst(self.holds);
            }
            b'R' => return digit(pins.tdo()),
            b'c' => return digit(if self.drives { self.swdio } else { pins.swdio() }),
            b'O' | b'o' => self.drives = b == b'O',
            _ => {}
        }
        None
    }

    fn clock_to(&mut self, level: bool, tms: Option<bool>, tdi: bool, pins: &mut dyn Pins) {
        if level && !self.clock {
            pins.edge(tms, tdi);
        }
        self.clock = level;
    }
}
