//! pyOCD's remote-probe protocol, for a second Python host: `pyocd ... -u remote:127.0.0.1:PORT`. One JSON object a line in each direction, as the
//! server in `pyocd.probe.tcp_probe_server` (0.46) defines them; protocol version 1.
//!
//! Hosts think in DP and AP registers; the transactions are clocked bit by bit over the pins ([`crate::swd`]), so they meet the same wire and the same
//! lock as everybody else. SWD only. Locks are granted to the one host there is.

use crate::probes::Conversation;
use crate::swd::{Said, Swd};
use proofbench_emulator::debug::Pins;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Longest request: a whole page of words in decimal, with room.
const LINE_MOST: usize = 64 * 1024;
/// Most words of one request.
const WORDS_MOST: u64 = 4096;
/// Most bits of one sequence.
const BITS_MOST: u64 = 4096;
/// Decimal digits of such a sequence.
const DIGITS_MOST: usize = 1300;

/// Codes of the protocol.
const GENERAL: u32 = 1;
const TRANSFER: u32 = 10;
const TIMEOUT: u32 = 11;
const FAULT: u32 = 12;

type Answer = Result<Value, (u32, String)>;

#[derive(Deserialize)]
struct Request<'a> {
    id: i64,
    request: String,
    /// Kept as text: a sequence is a number of up to 136 bits.
    #[serde(borrow, default)]
    arguments: Vec<&'a RawValue>,
}

/// One host's conversation.
#[derive(Debug, Default)]
pub struct Session {
    line: Vec<u8>,
    swd: Swd,
    /// This host holds nRST.
    holds: bool,
}

impl Conversation for Session {
    fn feed(&mut self, bytes: &[u8], pins: &mut dyn Pins, answers: &mut Vec<u8>) -> bool {
        for &byte in bytes {
            if byte != b'\n' {
                self.line.push(byte);
                if self.line.len() > LINE_MOST {
                    return false;
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let (id, answer) = match serde_json::from_slice::<Request<'_>>(&line) {
                Ok(request) => (request.id, self.carry_out(&request, pins)),
                Err(_) => (-1, Err((GENERAL, "invalid request format".to_owned()))),
            };
            let answer = match answer {
                Ok(Value::Null) => json!({ "id": id, "status": 0 }),
                Ok(result) => json!({ "id": id, "status": 0, "result": result }),
                Err((status, error)) => json!({ "id": id, "status": status, "error": error }),
            };
            answers.extend(answer.to_string().into_bytes());
            answers.push(b'\n');
        }
        true
    }

    fn hang_up(&mut self, pins: &mut dyn Pins) {
        if self.holds {
            pins.set_nrst(false);
        }
    }
}

impl Session {
    fn carry_out(&mut self, request: &Request<'_>, pins: &mut dyn Pins) -> Answer {
        let arguments = Arguments(&request.arguments);
        match request.request.as_str() {
            "hello" => match arguments.number(0)? {
                1 => Ok(Value::Null),
                other => Err(general(format!("protocol version {other}; this server speaks 1"))),
            },
            "readprop" => property(&arguments.text(0)?),
            "open" | "close" | "lock" | "unlock" | "connect" | "disconnect" | "set_clock" | "flush" => Ok(Value::Null),
            "swj_sequence" => {
                let bits = arguments.at_most(0, BITS_MOST)?;
                Swd::sequence(pins, bits as usize, &arguments.bits(1)?);
                Ok(Value::Null)
            }
            "reset" => {
                pins.set_nrst(true);
                pins.set_nrst(false);
                Ok(Value::Null)
            }
            "assert_reset" => {
                self.holds = arguments.of(0)?;
                pins.set_nrst(self.holds);
                Ok(Value::Null)
            }
            "is_reset_asserted" => Ok(json!(pins.nrst_low())),
            "read_dp" => value(self.swd.read_dp(pins, arguments.register(0)?)),
            "write_dp" => done(self.swd.write_dp(pins, arguments.register(0)?, arguments.word(1)?)),
            "read_ap" => value(self.swd.read_ap(pins, arguments.register(0)?)),
            "write_ap" => done(self.swd.write_ap(pins, arguments.register(0)?, arguments.word(1)?)),
            "read_ap_multiple" => {
                let register = arguments.register(0)?;
                let words = (0..arguments.at_most(1, WORDS_MOST)?).map(|_| value(self.swd.read_ap(pins, register)));
                words.collect::<Result<Vec<_>, _>>().map(Value::Array)
            }
            "write_ap_multiple" => {
                let register = arguments.register(0)?;
                let words: Vec<u32> = arguments.of(1)?;
                for word in words {
                    done(self.swd.write_ap(pins, register, word))?;
                }
                Ok(Value::Null)
            }
            // The host then uses AP registers itself.
            "get_memory_interface_for_ap" => Ok(Value::Null),
            "has_swo" => Ok(json!(false)),
            _ => Err(general("unknown request type".to_owned())),
        }
    }
}

fn property(name: &str) -> Answer {
    match name {
        "capabilities" => Ok(json!(["SWJ_SEQUENCE", "BANKED_DP_REGISTERS", "APv2_ADDRESSES"])),
        "supported_wire_protocols" => Ok(json!(["DEFAULT", "SWD"])),
        "wire_protocol" => Ok(json!("SWD")),
        "vendor_name" => Ok(json!("proofbench")),
        "product_name" => Ok(json!("board")),
        _ => Err(general("unknown property name requested".to_owned())),
    }
}

fn general(why: String) -> (u32, String) {
    (GENERAL, why)
}

fn value(said: Said) -> Answer {
    match said {
        Said::Ok(word) => Ok(json!(word)),
        Said::Wait => Err((TIMEOUT, "WAIT".to_owned())),
        Said::Fault => Err((FAULT, "FAULT".to_owned())),
        Said::Nothing => Err((TRANSFER, "no acknowledge".to_owned())),
    }
}

fn done(said: Said) -> Answer {
    value(said).map(|_| Value::Null)
}

struct Arguments<'a>(&'a [&'a RawValue]);

impl Arguments<'_> {
    fn raw(&self, n: usize) -> Result<&str, (u32, String)> {
        self.0.get(n).map(|v| v.get()).ok_or_else(|| general("malformed request; invalid number of arguments".to_owned()))
    }
    fn of<T: serde::de::DeserializeOwned>(&self, n: usize) -> Result<T, (u32, String)> {
        serde_json::from_str(self.raw(n)?).map_err(|_| general(format!("argument {n} is of another kind")))
    }
    fn text(&self, n: usize) -> Result<String, (u32, String)> {
        self.of(n)
    }
    fn number(&self, n: usize) -> Result<u64, (u32, String)> {
        self.of(n)
    }
    fn word(&self, n: usize) -> Result<u32, (u32, String)> {
        self.of(n)
    }
    fn register(&self, n: usize) -> Result<u8, (u32, String)> {
        self.number(n).map(|a| a as u8 & 0xC)
    }
    fn at_most(&self, n: usize, most: u64) -> Result<u64, (u32, String)> {
        match self.number(n)? {
            v if v <= most => Ok(v),
            _ => Err(general(format!("argument {n} is over {most}"))),
        }
    }
    /// A number of any length, lowest byte first.
    fn bits(&self, n: usize) -> Result<Vec<u8>, (u32, String)> {
        let text = self.raw(n)?;
        if text.len() > DIGITS_MOST || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(general(format!("argument {n} is no sequence of bits")));
        }
        let mut bytes = Vec::new();
        for digit in text.bytes() {
            let mut carry = u32::from(digit - b'0');
            for byte in &mut bytes {
                let v = u32::from(*byte) * 10 + carry;
                *byte = v as u8;
                carry = v >> 8;
            }
            if carry > 0 {
                bytes.push(carry as u8);
            }
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proofbench_emulator::debug::{BareBoard, LockRules, RAM};

    fn board(rules: LockRules) -> BareBoard {
        let mut board = BareBoard::new(rules, true, vec![0xFF; 0x1000], 250);
        board.set_power(true);
        board
    }

    fn say(session: &mut Session, board: &mut BareBoard, request: &str, arguments: &str) -> Value {
        let mut answers = Vec::new();
        let line = format!("{{\"id\": 7, \"request\": \"{request}\", \"arguments\": {arguments}}}\n");
        assert!(session.feed(line.as_bytes(), board, &mut answers));
        let answer: Value = serde_json::from_slice(&answers).unwrap();
        assert_eq!(answer["id"], 7);
        answer
    }

    /// To SWD, powered up.
    fn connect(session: &mut Session, board: &mut BareBoard) {
        for arguments in ["[51, 72057594037927935]", "[16, 59294]", "[51, 72057594037927935]", "[8, 0]"] {
            assert_eq!(say(session, board, "swj_sequence", arguments)["status"], 0);
        }
        assert_eq!(say(session, board, "read_dp", "[0]")["result"], 0x2BA0_1477);
        assert_eq!(say(session, board, "write_dp", "[4, 1342177280]")["status"], 0);
    }

    #[test]
    fn words_are_read_and_written_one_and_many() {
        let (mut s, mut b) = (Session::default(), board(LockRules { never_locked: true, ..LockRules::conforming() }));
        connect(&mut s, &mut b);
        // CSW with increment, then words to RAM and back.
        assert_eq!(say(&mut s, &mut b, "write_ap", "[0, 587202578]")["status"], 0);
        assert_eq!(say(&mut s, &mut b, "write_ap", &format!("[4, {RAM}]"))["status"], 0);
        assert_eq!(say(&mut s, &mut b, "write_ap_multiple", "[12, [1, 2, 4294967295]]")["status"], 0);
        assert_eq!(say(&mut s, &mut b, "write_ap", &format!("[4, {RAM}]"))["status"], 0);
        assert_eq!(say(&mut s, &mut b, "read_ap_multiple", "[12, 3]")["result"], json!([1, 2, 4_294_967_295_u32]));
    }

    #[test]
    fn a_lock_is_a_fault_and_no_wire_is_no_acknowledge() {
        let (mut s, mut b) = (Session::default(), board(LockRules::conforming()));
        connect(&mut s, &mut b);
        say(&mut s, &mut b, "write_ap", "[4, 0]");
        assert_eq!(say(&mut s, &mut b, "read_ap", "[12]")["status"], FAULT);
        b.set_power(false);
        assert_eq!(say(&mut s, &mut b, "read_dp", "[0]")["status"], TRANSFER);
    }

    #[test]
    fn a_sequence_may_be_longer_than_any_integer() {
        let mut b = board(LockRules::conforming());
        // 136 bits: eight ones and the selection alert, as the client sends them.
        let mut s = Session::default();
        say(&mut s, &mut b, "swj_sequence", "[51, 72057594037927935]");
        say(&mut s, &mut b, "swj_sequence", "[39, 867941306]");
        say(&mut s, &mut b, "swj_sequence", "[136, 8757030032190802792567494178692171797247]");
        assert_eq!(0x33bb_bbba, 867_941_306);
        say(&mut s, &mut b, "swj_sequence", "[12, 416]");
        say(&mut s, &mut b, "swj_sequence", "[51, 72057594037927935]");
        say(&mut s, &mut b, "swj_sequence", "[2, 0]");
        assert_eq!(say(&mut s, &mut b, "read_dp", "[0]")["result"], 0x2BA0_1477, "out of the dormant state");
    }

    #[test]
    fn nonsense_is_answered_bounded_and_moves_no_pin() {
        let (mut s, mut b) = (Session::default(), board(LockRules::conforming()));
        for (request, arguments) in [
            ("read_dp", "[]"),
            ("read_dp", "[\"x\"]"),
            ("write_dp", "[0, 4294967296]"),
            ("swj_sequence", "[4097, 0]"),
            ("swj_sequence", "[8, -1]"),
            ("swj_sequence", "[8, 1e9]"),
            ("read_ap_multiple", "[0, 4097]"),
            ("hello", "[2]"),
            ("readprop", "[\"__class__\"]"),
            ("swo_read", "[]"),
        ] {
            assert_eq!(say(&mut s, &mut b, request, arguments)["status"], GENERAL, "{request} {arguments}");
        }
        assert_eq!(b.now_ns(), 0, "no clock");
        let digits = format!("[8, {}]", "9".repeat(DIGITS_MOST + 1));
        assert_eq!(say(&mut s, &mut b, "swj_sequence", &digits)["status"], GENERAL);
        let mut answers = Vec::new();
        assert!(s.feed(b"{}\n[1]\nnull\n\xff\n\n", &mut b, &mut answers));
        assert_eq!(answers.iter().filter(|c| **c == b'\n').count(), 5);
        assert!(!s.feed(&vec![b'x'; LINE_MOST + 1], &mut b, &mut answers), "a line without end");
    }

    #[test]
    fn a_host_that_goes_lets_go_of_the_reset_that_it_held() {
        let (mut s, mut b) = (Session::default(), board(LockRules::conforming()));
        say(&mut s, &mut b, "assert_reset", "[true]");
        assert_eq!(say(&mut s, &mut b, "is_reset_asserted", "[]")["result"], true);
        s.hang_up(&mut b);
        assert!(!b.nrst_low());
    }
}
