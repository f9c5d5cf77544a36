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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swd::{Said, Swd};
    use proofbench_emulator::debug::{BareBoard, LockRules};

    const DPIDR: u32 = 0x2BA0_1477;
    const IDCODE: u32 = 0x4BA0_0477;

    fn board() -> BareBoard {
        let mut board = BareBoard::new(LockRules::conforming(), true, vec![0xFF; 0x1000], 250);
        board.set_power(true);
        board
    }

    /// Pins at the far end of a conversation: what a host's driver makes of them.
    struct Far {
        board: BareBoard,
        session: Session,
    }

    impl Far {
        fn say(&mut self, text: &[u8]) -> Vec<u8> {
            let mut answers = Vec::new();
            assert!(self.session.feed(text, &mut self.board, &mut answers));
            answers
        }
        fn level(&mut self, ask: u8) -> bool {
            let answer = self.say(&[ask]);
            assert_eq!(answer.len(), 1);
            answer[0] == b'1'
        }
    }

    /// SWD by characters: clock low with the level on the line, clock high.
    struct Wires(std::cell::RefCell<Far>);

    impl Pins for Wires {
        fn edge(&mut self, tms: Option<bool>, _: bool) {
            let drive = if tms.is_some() { b'O' } else { b'o' };
            let level = u8::from(tms.unwrap_or(true));
            self.0.get_mut().say(&[drive, b'd' + level, b'd' + 2 + level]);
        }
        fn swdio(&self) -> bool {
            let mut far = self.0.borrow_mut();
            far.say(b"o");
            far.level(b'c')
        }
        fn tdo(&self) -> bool {
            self.0.borrow_mut().level(b'R')
        }
        fn set_nrst(&mut self, low: bool) {
            self.0.get_mut().say(if low { b"s" } else { b"r" });
        }
        fn set_clock_low(&mut self, _: bool) {}
        fn nrst_low(&self) -> bool {
            self.0.borrow().board.nrst_low()
        }
        fn vtref_mv(&self) -> u32 {
            self.0.borrow().board.vtref_mv()
        }
        fn now_ns(&self) -> u64 {
            self.0.borrow().board.now_ns()
        }
    }

    #[test]
    fn swd_goes_through_the_characters() {
        let mut pins = Wires(Far { board: board(), session: Session::default() }.into());
        for (bits, bytes) in [(56, &[0xFF; 7][..]), (16, &[0x9E, 0xE7]), (56, &[0xFF; 7]), (8, &[0])] {
            Swd::sequence(&mut pins, bits, bytes);
        }
        let mut swd = Swd::default();
        assert_eq!(swd.read_dp(&mut pins, 0), Said::Ok(DPIDR));
        assert_eq!(swd.write_dp(&mut pins, 4, 0x5000_0000), Said::Ok(0));
        assert_eq!(swd.read_dp(&mut pins, 4), Said::Ok(0xF000_0000));
        assert_eq!(swd.write_ap(&mut pins, 4, 0), Said::Ok(0));
        assert_eq!(swd.read_ap(&mut pins, 0xC), Said::Fault, "locked");
        assert_eq!(swd.write_dp(&mut pins, 0, 0x1E), Said::Ok(0));
        assert_eq!(swd.read_ap(&mut pins, 4), Said::Ok(0), "TAR is no memory");
    }

    #[test]
    fn jtag_goes_through_the_characters() {
        let mut far = Far { board: board(), session: Session::default() };
        // Five ones of TMS to reset, then idle, select, capture, shift: IDCODE is the register after a reset.
        for tms in [1, 1, 1, 1, 1, 0, 1, 0, 0] {
            far.say(&[b'0' + 2 * tms, b'4' + 2 * tms]);
        }
        let mut id = 0;
        for n in 0..32 {
            id |= u32::from(far.level(b'R')) << n;
            far.say(b"04");
        }
        assert_eq!(id, IDCODE);
    }

    #[test]
    fn a_host_that_goes_lets_go_of_the_reset_that_it_held_and_of_no_other() {
        let mut far = Far { board: board(), session: Session::default() };
        far.board.set_nrst(true);
        far.session.hang_up(&mut far.board);
        assert!(far.board.nrst_low(), "somebody else holds it");
        far.say(b"s");
        far.session.hang_up(&mut far.board);
        assert!(!far.board.nrst_low());
    }

    #[test]
    fn every_byte_is_taken_and_each_answer_is_one_character() {
        let mut far = Far { board: board(), session: Session::default() };
        let all: Vec<u8> = (0..=255).filter(|b| *b != b'Q').collect();
        assert_eq!(far.say(&all).len(), 2, "R and c");
        let mut answers = Vec::new();
        assert!(!far.session.feed(b"Q", &mut far.board, &mut answers), "good-bye");
    }
}
