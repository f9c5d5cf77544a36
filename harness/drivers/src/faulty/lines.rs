//! Faults of byte streams.

use super::not_cancelled;
use proofbench_channel::{ChannelError, Console, ConsoleRead, Wait};

/// A console whose wires are cut: waiting takes its time, nothing arrives, writes go nowhere.
pub struct DeadConsole {
    inner: Box<dyn Console>,
    lost: Vec<u8>,
}

impl DeadConsole {
    /// Cuts the wires of this console.
    pub fn new(inner: Box<dyn Console>) -> Self {
        Self { inner, lost: Vec::new() }
    }
}

impl Console for DeadConsole {
    fn read(&mut self, _: &mut Vec<u8>, wait: &Wait) -> Result<ConsoleRead, ChannelError> {
        loop {
            self.lost.clear();
            match self.inner.read(&mut self.lost, wait)? {
                ConsoleRead::Silence => return Ok(ConsoleRead::Silence),
                ConsoleRead::Bytes(at) if at >= wait.until => return Ok(ConsoleRead::Silence),
                // An adapter that stays plugged in while its wires are cut.
                ConsoleRead::Bytes(_) | ConsoleRead::Gone => {}
            }
        }
    }

    fn write(&mut self, _: &[u8], wait: &Wait) -> Result<(), ChannelError> {
        not_cancelled(wait)
    }

    fn send_break(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        not_cancelled(wait)
    }

    /// As the bench believes: a broken channel does not say so.
    fn describe(&self) -> String {
        self.inner.describe()
    }
}

/// A console with a bad ground: about every sixth byte is another one, in both directions, by seed.
pub struct GarbledConsole {
    inner: Box<dyn Console>,
    inwards: u64,
    outwards: u64,
}

impl GarbledConsole {
    /// Disturbs this console.
    pub fn new(inner: Box<dyn Console>, seed: u64) -> Self {
        Self { inner, inwards: seed ^ 0x9e37_79b9_7f4a_7c15, outwards: seed ^ 0xd1b5_4a32_d192_ed03 }
    }
}

/// The next number of a splitmix64 sequence. One per byte, so that the corruption does not depend on how reads are cut.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn disturb(bytes: &mut [u8], state: &mut u64) {
    for byte in bytes {
        let chance = next(state);
        if chance.is_multiple_of(6) {
            // Any byte but the right one.
            *byte ^= u8::try_from((chance >> 32) % 255).unwrap_or(0) + 1;
        }
    }
}

impl Console for GarbledConsole {
    fn read(&mut self, into: &mut Vec<u8>, wait: &Wait) -> Result<ConsoleRead, ChannelError> {
        let start = into.len();
        let read = self.inner.read(into, wait)?;
        disturb(&mut into[start..], &mut self.inwards);
        Ok(read)
    }

    fn write(&mut self, bytes: &[u8], wait: &Wait) -> Result<(), ChannelError> {
        let mut bytes = bytes.to_vec();
        disturb(&mut bytes, &mut self.outwards);
        self.inner.write(&bytes, wait)
    }

    fn send_break(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        self.inner.send_break(wait)
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}
