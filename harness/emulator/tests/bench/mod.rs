//! A bench around the device for the application's tests: dialogues on the console, an SMP client of our own, a flash reader.

#![allow(dead_code, clippy::unwrap_used)] // each test binary uses its part; a test that cannot go on fails

use proofbench_channel::{Cancel, Moment, Wait};
use proofbench_emulator::app::smp::frame::{Receiver, encode};
use proofbench_emulator::{Defects, Medium, Setup, Uart, World};
use std::collections::BTreeMap;

pub const MS: u64 = 1_000_000;
pub const LABEL: &str = "k7Qm-2vTx-9Rpa";
pub const V1_2_0: &[u8] = include_bytes!("../../../../fixtures/devices/thermostat/images/1.2.0.bin");
pub const V1_2_0_REBUILT: &[u8] = include_bytes!("../../../../fixtures/devices/thermostat/images/1.2.0-rebuilt.bin");
pub const V1_3_0: &[u8] = include_bytes!("../../../../fixtures/devices/thermostat/images/1.3.0.bin");
pub const V1_1_0: &[u8] = include_bytes!("../../../../fixtures/devices/thermostat/images/1.1.0.bin");
pub const OTHER_MODEL: &[u8] = include_bytes!("../../../../fixtures/devices/thermostat/images/other-model.bin");

pub fn wait() -> Wait {
    Wait::until(Moment(u64::MAX), &Cancel::new())
}

/// A value of an SMP answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Num(u64),
    Text(String),
    Bytes(Vec<u8>),
    Bool(bool),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

impl Value {
    pub fn at(&self, key: &str) -> Option<&Value> {
        if let Value::Map(m) = self { m.get(key) } else { None }
    }
    pub fn num(&self, key: &str) -> Option<u64> {
        if let Some(Value::Num(n)) = self.at(key) { Some(*n) } else { None }
    }
    /// Code of a refusal, if it is one.
    pub fn refused(&self) -> Option<u64> {
        let old = self.num("rc").filter(|rc| *rc != 0);
        self.at("err").and_then(|e| e.num("rc")).or(old)
    }
}

fn value(d: &mut minicbor::Decoder<'_>) -> Value {
    use minicbor::data::Type;
    match d.datatype().unwrap() {
        Type::Map => Value::Map((0..d.map().unwrap().unwrap()).map(|_| (d.str().unwrap().to_owned(), value(d))).collect()),
        Type::Array => Value::List((0..d.array().unwrap().unwrap()).map(|_| value(d)).collect()),
        Type::String => Value::Text(d.str().unwrap().to_owned()),
        Type::Bytes => Value::Bytes(d.bytes().unwrap().to_vec()),
        Type::Bool => Value::Bool(d.bool().unwrap()),
        _ => Value::Num(d.u64().unwrap()),
    }
}

/// An SMP request as one message.
pub fn message(seq: u8, group: u8, id: u8, write: bool, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u16).to_be_bytes();
    let mut message = vec![8 | if write { 2 } else { 0 }, 0, len[0], len[1], 0, group, seq, id];
    message.extend(body);
    message
}

/// A device on its bench.
pub struct Dut {
    pub world: World,
    pub log: String,
    seq: u8,
}

impl Dut {
    /// A unit with these defects, switched on and waiting at its login prompt.
    pub fn on(defects: &[&str]) -> Self {
        let mut dut = Self::off(defects, Medium::SpiNor);
        dut.power_on();
        dut
    }
    pub fn off(defects: &[&str], medium: Medium) -> Self {
        let setup = Setup::new(1, 7, V1_2_0).with_defects(Defects::parse(defects).unwrap()).on(medium);
        Self { world: World::new(&setup), log: String::new(), seq: 0 }
    }
    /// Lets time pass and returns what the console said.
    pub fn pass(&mut self, ms: u64) -> String {
        self.world.advance(self.world.now() + ms * MS);
        let mut said = String::new();
        while let Some((_, bytes)) = self.world.take(Uart::Console) {
            said += &String::from_utf8_lossy(&bytes);
        }
        self.log += &said;
        said
    }
    /// Lets time pass until the console has said `what` (at most a minute) and returns what it said.
    pub fn until(&mut self, what: &[&str]) -> String {
        let mut said = String::new();
        let deadline = self.world.now() + 60_000 * MS;
        while self.world.now() < deadline {
            self.world.advance_until_output(Uart::Console, deadline);
            said += &self.pass(0);
            if what.iter().any(|w| said.contains(w)) {
                // What is on the line together with it, such as the prompt.
                return said + &self.pass(3);
            }
        }
        said
    }
    pub fn power_on(&mut self) -> String {
        self.world.set_power(true);
        self.until(&["login: ", "th1> ", "BL halt", "BL> "])
    }
    pub fn power_off(&mut self) {
        self.world.set_power(false);
        self.pass(100);
    }
    pub fn power_cycle(&mut self) -> String {
        self.power_off();
        self.power_on()
    }
    /// Types a line and returns the answer up to the next prompt.
    pub fn line(&mut self, text: &str) -> String {
        self.pass(1);
        self.world.write(Uart::Console, format!("{text}\r").as_bytes());
        self.until(&["\r\nth1> ", "\r\nlogin: ", "\r\npassword: ", "BL> "])
    }
    /// A login; whether it gave a shell, and what the device said.
    pub fn login(&mut self, user: &str, secret: &str) -> (bool, String) {
        self.line(user);
        let said = self.line(secret);
        (said.contains("th1> "), said)
    }
    pub fn session(&mut self) {
        let (inside, said) = self.login("admin", LABEL);
        assert!(inside, "{said}");
    }
    /// What `get` says.
    pub fn get(&mut self, key: &str) -> String {
        let said = self.line(&format!("get {key}"));
        said.lines().find_map(|l| l.strip_prefix(&format!("{key}="))).unwrap_or_default().to_owned()
    }
    pub fn ok(&mut self, line: &str) {
        let said = self.line(line);
        assert!(said.contains("\r\nOK\r\n"), "{line}: {said}");
    }
    pub fn token(&mut self) -> String {
        let said = self.line("token new");
        said.lines().find_map(|l| l.strip_prefix("token=")).unwrap().to_owned()
    }

    /// Sends bytes to the update port and returns the messages that come back within two seconds of virtual time.
    pub fn exchange(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.world.take(Uart::Update);
        self.world.write(Uart::Update, bytes);
        let mut receiver = Receiver::default();
        let mut messages = Vec::new();
        for _ in 0..2000 {
            self.world.advance(self.world.now() + MS);
            while let Some((_, bytes)) = self.world.take(Uart::Update) {
                messages.extend(bytes.iter().filter_map(|b| receiver.push(*b)));
            }
            if !messages.is_empty() {
                break;
            }
        }
        messages
    }
    /// One SMP request; its answer.
    pub fn smp(&mut self, group: u8, id: u8, write: bool, body: &[u8]) -> Value {
        self.seq = self.seq.wrapping_add(1);
        let answers = self.exchange(&encode(&message(self.seq, group, id, write, body)));
        assert_eq!(answers.len(), 1, "one answer to group {group} command {id}");
        let (head, body) = answers[0].split_at(8);
        assert_eq!(head, [8 | if write { 3 } else { 1 }, 0, (body.len() >> 8) as u8, body.len() as u8, 0, group, self.seq, id]);
        let mut d = minicbor::Decoder::new(body);
        let value = value(&mut d);
        assert_eq!(d.position(), body.len(), "nothing behind the body");
        value
    }
    pub fn chunk(&mut self, image: &[u8], off: usize, len: usize) -> Value {
        let data = &image[off..(off + len).min(image.len())];
        let body = cbor(|e| {
            e.map(if off == 0 { 3 } else { 2 })?.str("off")?.u64(off as u64)?.str("data")?.bytes(data)?;
            if off == 0 {
                e.str("len")?.u64(image.len() as u64)?;
            }
            Ok(())
        });
        self.smp(1, 1, true, &body)
    }
    /// Uploads an image in order; the last answer.
    pub fn upload(&mut self, image: &[u8]) -> Value {
        let mut answer = self.chunk(image, 0, 500);
        for _ in 0..2 * image.len() / 500 {
            match answer.num("off") {
                Some(off) if (off as usize) < image.len() => answer = self.chunk(image, off as usize, 500),
                _ => break,
            }
        }
        answer
    }
    /// Marks the image in slot 1.
    pub fn mark(&mut self, image: &[u8], confirm: bool) -> Value {
        let hash = hash_of(image);
        self.smp(1, 0, true, &cbor(|e| e.map(2)?.str("hash")?.bytes(&hash)?.str("confirm")?.bool(confirm)?.ok()))
    }
    pub fn images(&mut self) -> Vec<Value> {
        match self.smp(1, 0, false, &[0xA0]).at("images") {
            Some(Value::List(images)) => images.clone(),
            other => panic!("{other:?}"),
        }
    }
    /// Uploads, marks, restarts; the boot log.
    pub fn install(&mut self, image: &[u8], confirm: bool) -> (Value, String) {
        self.upload(image);
        let marked = self.mark(image, confirm);
        self.smp(0, 5, true, &[0xA0]);
        (marked, self.until(&["login: ", "BL halt", "BL> "]))
    }
    pub fn flash(&self) -> Vec<u8> {
        self.world.flash().to_vec()
    }
    /// Whether a text stands in flash, as it is or in one of the ways a search tries.
    pub fn holds(&self, text: &str) -> bool {
        use base64::Engine as _;
        // Blank pages hold nothing; of each run of them one is enough to keep what stands apart apart.
        let mut flash = Vec::new();
        for page in self.flash().chunks(256) {
            if page != [0xFF; 256] || flash.last() != Some(&0xFF) {
                flash.extend_from_slice(page);
            }
        }
        let plain = text.as_bytes().to_vec();
        let wide = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let reversed = text.bytes().rev().collect();
        let encoded = base64::prelude::BASE64_STANDARD_NO_PAD.encode(text).into_bytes();
        [plain, wide, reversed, encoded[..encoded.len() - 1].to_vec()].iter().any(|n| flash.windows(n.len()).any(|w| w == n))
    }
}

/// The hash TLV of an image.
pub fn hash_of(image: &[u8]) -> Vec<u8> {
    proofbench_image::Image::parse(image).unwrap().claimed_digest().unwrap().to_vec()
}

pub fn cbor(fill: impl FnOnce(&mut minicbor::Encoder<Vec<u8>>) -> Result<(), minicbor::encode::Error<std::convert::Infallible>>) -> Vec<u8> {
    let mut e = minicbor::Encoder::new(Vec::new());
    fill(&mut e).unwrap();
    e.into_writer()
}
