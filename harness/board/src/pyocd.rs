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
