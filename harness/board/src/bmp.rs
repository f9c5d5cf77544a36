//! A Black Magic Probe on a TCP port, at the level of single bits: probe-rs (unmodified) and other hosts speak its remote protocol.
//!
//! A request is `!` command `#`; whatever stands before the `!` is ignored. An answer is `&`, a code (`K` done, `P` bad parameter, `N` not known)
//! and hex digits, `#`. The version query is answered "not known", which makes hosts move SWDIO and TMS themselves, bit by bit: the emulated port is
//! then tested at the wire. Each change of direction inserts one undriven clock, as the real probe does; hosts count on it.
//!
//! A probe keeps its pins when the program that used it ends: nRST stays as it was left.

use crate::probes::Conversation;
use proofbench_emulator::debug::Pins;

/// Longest request that is kept; a longer one is dropped whole. The longest genuine one has 20 bytes.
const REQUEST_MAX: usize = 64;
/// Most bits that one request may clock.
const BITS_MAX: u64 = 64;

/// One host's conversation: bytes in, answers out.
#[derive(Debug, Default)]
pub struct Session {
    /// The request so far; `None` outside of one.
    request: Option<Vec<u8>>,
    /// Whether the host has released SWDIO.
    released: bool,
}

impl Conversation for Session {
    fn feed(&mut self, bytes: &[u8], pins: &mut dyn Pins, answers: &mut Vec<u8>) -> bool {
        for &b in bytes {
            match (b, &mut self.request) {
                (b'!', _) => self.request = Some(Vec::new()),
                (b'#', Some(_)) => {
                    let request = self.request.take().unwrap_or_default();
                    answers.extend(self.carry_out(&request, pins).into_bytes());
                }
                (_, Some(r)) if r.len() < REQUEST_MAX => r.push(b),
                (_, request) => *request = None,
            }
        }
        true
    }
}

impl Session {
    fn carry_out(&mut self, request: &[u8], pins: &mut dyn Pins) -> String {
        match std::str::from_utf8(request).ok().and_then(|text| self.run(text, pins)) {
            Some(Answer::Number(n)) => format!("&K{n:x}#"),
            Some(Answer::Text(t)) => format!("&K{t}#"),
            Some(Answer::NotKnown) => "&N0#".to_owned(),
            None => "&P0#".to_owned(),
        }
    }

    /// `None` is a request whose parameters make no sense.
    fn run(&mut self, text: &str, pins: &mut dyn Pins) -> Option<Answer> {
        let (name, rest) = text.split_at_checked(2)?;
        let done = Some(Answer::Number(0));
        match name {
            "GA" => Some(Answer::Text("Black Magic Probe (proofbench board)".to_owned())),
            "GV" => Some(Answer::Text(format!("{}.{:02}V", pins.vtref_mv() / 1000, pins.vtref_mv() % 1000 / 10))),
            "GZ" => {
                pins.set_nrst(rest == "1");
                done
            }
            "Gz" => Some(Answer::Number(u64::from(pins.nrst_low()))),
            "GF" | "GE" | "GP" | "HJ" => done,
            "Gf" => Some(Answer::Number(4000)),
            "SS" | "JS" => {
                self.released = false;
                done
            }
            "JR" => {
                self.released = false;
                for _ in 0..6 {
                    pins.edge(Some(true), true);
                }
                pins.edge(Some(false), true);
                done
            }
            "So" | "SO" => {
                let (bits, value) = bits_and_value(rest)?;
                if self.released {
                    pins.edge(None, true);
                    self.released = false;
                }
                for n in 0..bits {
                    pins.edge(Some(value >> n & 1 != 0), true);
                }
                if name == "SO" {
                    pins.edge(Some(value.count_ones() & 1 != 0), true);
                }
                done
            }
            "Si" | "SI" => {
                let bits = u64::from_str_radix(rest, 16).ok().filter(|b| *b <= BITS_MAX)?;
                if !self.released {
                    pins.edge(None, true);
                    self.released = true;
                }
                let mut value = 0u64;
                for n in 0..bits {
                    value |= u64::from(pins.swdio()) << n;
                    pins.edge(None, true);
                }
                if name == "SI" {
                    // The parity bit is clocked; an error here would make hosts index out of bounds, so the word alone is the answer.
                    pins.edge(None, true);
                }
                Some(Answer::Number(value))
            }
            "JN" => {
                let (tms, tdi) = (rest.as_bytes().first()?, rest.as_bytes().get(1)?);
                let level = pins.tdo();
                pins.edge(Some(*tms == b'1'), *tdi == b'1');
                Some(Answer::Number(u64::from(level)))
            }
            "JT" => {
                let (bits, value) = bits_and_value(rest)?;
                for n in 0..bits {
                    pins.edge(Some(value >> n & 1 != 0), true);
                }
                done
            }
            "Jd" | "JD" => {
                let (bits, value) = bits_and_value(rest)?;
                let mut got = 0u64;
                for n in 0..bits {
                    got |= u64::from(pins.tdo()) << n;
                    pins.edge(Some(name == "JD" && n + 1 == bits), value >> n & 1 != 0);
                }
                Some(Answer::Number(got))
            }
            _ => Some(Answer::NotKnown),
        }
    }
}

enum Answer {
    Number(u64),
    Text(String),
    NotKnown,
}

/// `nn` and up to 16 digits, both hexadecimal.
fn bits_and_value(text: &str) -> Option<(u64, u64)> {
    let (bits, value) = text.split_at_checked(2)?;
    let bits = u64::from_str_radix(bits, 16).ok().filter(|b| *b <= BITS_MAX)?;
    Some((bits, u64::from_str_radix(value, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proofbench_emulator::debug::{BareBoard, LockRules};

    fn board() -> BareBoard {
        let mut board = BareBoard::new(LockRules::conforming(), true, vec![0xFF; 0x1000], 250);
        board.set_power(true);
        board
    }

    fn say(session: &mut Session, board: &mut BareBoard, text: &str) -> String {
        let mut answers = Vec::new();
        session.feed(text.as_bytes(), board, &mut answers);
        String::from_utf8(answers).unwrap()
    }

    #[test]
    fn dpidr_is_read_bit_by_bit() {
        let (mut s, mut b) = (Session::default(), board());
        // 51 ones, JTAG to SWD, 54 ones, idle, the request for DPIDR.
        for request in ["!SS#", "!So337ffffffffffff#", "!So10e79e#", "!So363fffffffffffff#", "!So0800#", "!So08a5#"] {
            assert_eq!(say(&mut s, &mut b, request), "&K0#", "{request}");
        }
        assert_eq!(say(&mut s, &mut b, "!Si03#"), "&K1#");
        assert_eq!(say(&mut s, &mut b, "!Si20#"), "&K2ba01477#");
    }

    #[test]
    fn the_version_query_is_not_known_and_the_rail_is_told() {
        let (mut s, mut b) = (Session::default(), board());
        assert_eq!(say(&mut s, &mut b, "+#!HC#!GV#"), "&N0#&K3.30V#");
        b.set_power(false);
        assert_eq!(say(&mut s, &mut b, "!GV#"), "&K0.00V#");
    }

    #[test]
    fn nonsense_is_answered_and_bounded() {
        let (mut s, mut b) = (Session::default(), board());
        assert_eq!(say(&mut s, &mut b, "!#!S#!So#!SoFF0#!Soxxyy#!Si99#!JN#!Jd40#"), "&P0#".repeat(8));
        assert_eq!(say(&mut s, &mut b, &format!("!{}#!Gf#", "A".repeat(10_000))), "&Kfa0#");
        assert_eq!(say(&mut s, &mut b, "!\u{e9}\u{e9}#"), "&N0#");
    }

    #[test]
    fn nrst_reaches_the_board() {
        let (mut s, mut b) = (Session::default(), board());
        assert_eq!(say(&mut s, &mut b, "!GZ1#!Gz#!GZ0#!Gz#"), "&K0#&K1#&K0#&K0#");
        assert_eq!(b.resets, 1);
    }
}
