//! A probe's side of SWD, bit by bit over the pins: what a server needs whose hosts think in transactions.

use proofbench_emulator::debug::Pins;

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// Done; the value of a read.
    Ok(u32),
    /// Busy, every time.
    Wait,
    /// Refused.
    Fault,
    /// No acknowledge, a wrong one, or a read whose parity is wrong.
    Nothing,
}

/// WAITs that are asked again before the host is told.
const TRIES: usize = 8;

/// The probe.
#[derive(Debug, Default)]
pub struct Swd {
    /// Low four bits of SELECT, as hosts wrote it.
    bank: u32,
    /// ORUNDETECT is set: a data phase is clocked whatever the acknowledge.
    overrun: bool,
}

impl Swd {
    /// Clocks bits out, the lowest of the first byte first.
    pub fn sequence(pins: &mut dyn Pins, bits: usize, bytes: &[u8]) {
        for n in 0..bits {
            let byte = bytes.get(n / 8).copied().unwrap_or(0);
            pins.edge(Some(byte >> (n % 8) & 1 != 0), true);
        }
    }

    /// Reads a register of the debug port; `a` is 0, 4, 8 or 12.
    pub fn read_dp(&self, pins: &mut dyn Pins, a: u8) -> Said {
        self.transfer(pins, false, true, a, 0)
    }

    /// Writes a register of the debug port.
    pub fn write_dp(&mut self, pins: &mut dyn Pins, a: u8, value: u32) -> Said {
        let said = self.transfer(pins, false, false, a, value);
        match (said, a, self.bank) {
            (Said::Ok(_), 8, _) => self.bank = value & 0xF,
            (Said::Ok(_), 4, 0) => self.overrun = value & 1 != 0,
            _ => {}
        }
        said
    }

    /// Reads a register of the selected access port, with its result.
    pub fn read_ap(&self, pins: &mut dyn Pins, a: u8) -> Said {
        match self.transfer(pins, true, true, a, 0) {
            Said::Ok(_) => self.read_dp(pins, 0xC),
            failed => failed,
        }
    }

    /// Writes a register of the selected access port, and waits for what became of it.
    pub fn write_ap(&self, pins: &mut dyn Pins, a: u8, value: u32) -> Said {
        match self.transfer(pins, true, false, a, value) {
            Said::Ok(_) => self.read_dp(pins, 0xC),
            failed => failed,
        }
    }

    fn transfer(&self, pins: &mut dyn Pins, ap: bool, read: bool, a: u8, value: u32) -> Said {
        let mut said = Said::Wait;
        for _ in 0..TRIES {
            said = self.once(pins, ap, read, a, value);
            if said != Said::Wait {
                break;
            }
        }
        said
    }

    fn once(&self, pins: &mut dyn Pins, ap: bool, read: bool, a: u8, value: u32) -> Said {
        // Start, APnDP, RnW, A2, A3, parity, stop, park.
        let kind = u8::from(ap) | u8::from(read) << 1 | (a & 0xC);
        let parity = kind.count_ones() as u8 & 1;
        let header = 1 | kind << 1 | parity << 5 | 0x80;
        Self::sequence(pins, 8, &[header]);
        pins.edge(None, true);
        let sample = |pins: &mut dyn Pins, bits: u32| {
            (0..bits).fold(0u64, |got, n| {
                let level = pins.swdio();
                pins.edge(None, true);
                got | u64::from(level) << n
            })
        };
        let ack = sample(pins, 3);
        let known = matches!(ack, 1 | 2 | 4);
        let data = ack == 1 || (known && self.overrun);
        let mut said = match ack {
            1 => Said::Ok(0),
            2 => Said::Wait,
            4 => Said::Fault,
            _ => Said::Nothing,
        };
        if read && data {
            let word = sample(pins, 33);
            let (value, parity) = (word as u32, word >> 32 & 1);
            if ack == 1 {
                said = if u64::from(value.count_ones() & 1) == parity { Said::Ok(value) } else { Said::Nothing };
            }
        }
        pins.edge(None, true);
        if !read && data {
            Self::sequence(pins, 32, &value.to_le_bytes());
            pins.edge(Some(value.count_ones() & 1 != 0), true);
        }
        Self::sequence(pins, 2, &[0]);
        said
    }
}
