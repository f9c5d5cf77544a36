//! What the tests of byte lines share: setups, waits, reading until something is there.

use proofbench_channel::{Cancel, ChannelError, Console, ConsoleRead, Wait};
use proofbench_drivers::TimeBase;
use proofbench_drivers::line::{LineAddress, LineConsole, LineSettings, LineSetup};
use std::error::Error;
use std::time::Duration;

/// What has not happened by then never will.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn within(time: TimeBase, span: Duration) -> Wait {
    Wait::until(time.now() + span, &Cancel::new())
}

/// A line with settings that every peer takes.
pub fn setup(address: LineAddress) -> LineSetup {
    LineSetup::new(address, LineSettings::default(), TimeBase::real())
}

pub fn rfc2217(port: u16) -> LineAddress {
    LineAddress::Rfc2217(format!("127.0.0.1:{port}").parse().unwrap())
}

pub fn tcp(port: u16) -> LineAddress {
    LineAddress::Tcp(format!("127.0.0.1:{port}").parse().unwrap())
}

/// A console that must open.
pub fn open(setup: &LineSetup) -> LineConsole {
    LineConsole::open(setup).unwrap_or_else(|e| panic!("{}", chain(&e)))
}

/// An error with its causes.
pub fn chain(error: &ChannelError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        text = format!("{text}: {e}");
        cause = e.source();
    }
    text
}

/// What a console told, in its order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// All bytes.
    pub bytes: Vec<u8>,
    /// How many bytes had come when the line was lost, once for each loss.
    pub gone: Vec<usize>,
}

/// Reads until `enough`.
pub fn hear(console: &mut LineConsole, time: TimeBase, mut enough: impl FnMut(&Heard) -> bool) -> Heard {
    let wait = within(time, PATIENCE);
    let mut heard = Heard::default();
    while !enough(&heard) {
        match console.read(&mut heard.bytes, &wait).unwrap() {
            ConsoleRead::Bytes(_) => {}
            ConsoleRead::Gone => heard.gone.push(heard.bytes.len()),
            ConsoleRead::Silence => panic!("silence after {} bytes and {:?}", heard.bytes.len(), heard.gone),
        }
    }
    heard
}

/// Reads so many bytes.
pub fn hear_bytes(console: &mut LineConsole, time: TimeBase, length: usize) -> Vec<u8> {
    hear(console, time, |h| h.bytes.len() >= length).bytes
}

/// Every byte value in many neighbourhoods: each doubled, and all in a row.
pub fn every_byte() -> Vec<u8> {
    (0..=255u8).flat_map(|b| [b, b]).chain(0..=255).chain([0xFF; 7]).chain([0xFF, 0xF0, 0xFF, 0xFA, 44, 0xFF, 0xFD, 1]).collect()
}
