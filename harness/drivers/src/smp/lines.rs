//! SMP packets as text lines over any byte stream that is a [`Console`].

use super::frame::{self, Decoder};
use super::link::{Link, Sending};
use proofbench_channel::{ChannelError, Console, ConsoleRead, ErrorKind, Moment, Wait};

/// Most bytes of line noise looked through for one answer.
const NOISE_MOST: usize = 1024 * 1024;

/// A serial line. It loses no packets, so nothing is sent again.
pub(super) struct Lines {
    line: Box<dyn Console>,
    decoder: Decoder,
    arrived: Vec<u8>,
    /// Bytes of `arrived` that have been looked at.
    looked: usize,
    /// Bytes since the request.
    seen: usize,
}

impl Lines {
    pub fn new(line: Box<dyn Console>) -> Self {
        Self { line, decoder: Decoder::default(), arrived: Vec::new(), looked: 0, seen: 0 }
    }

    fn clear(&mut self) {
        self.arrived.clear();
        self.looked = 0;
    }
}

impl Link for Lines {
    fn forget(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        let at_once = Wait { until: Moment(0), cancel: wait.cancel.clone() };
        let mut seen = 0;
        while seen < NOISE_MOST {
            self.clear();
            match self.line.read(&mut self.arrived, &at_once)? {
                ConsoleRead::Bytes(_) => seen += self.arrived.len(),
                ConsoleRead::Gone => {}
                ConsoleRead::Silence => break,
            }
        }
        self.clear();
        self.seen = 0;
        self.decoder = Decoder::default();
        Ok(())
    }

    fn send(&mut self, packet: &[u8], _: Sending, wait: &Wait) -> Result<bool, ChannelError> {
        let lines = frame::encode(packet).ok_or_else(|| ChannelError::new(ErrorKind::Unsupported, "send an SMP packet of more than 64 KiB"))?;
        match self.line.write(&lines, wait) {
            Ok(()) => Ok(true),
            // A device without power is silent; the bench's line is gone with it, and both are the same to the caller.
            Err(e) if matches!(e.kind, ErrorKind::Disconnected | ErrorKind::Timeout) => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn receive(&mut self, wait: &Wait) -> Result<Option<Vec<u8>>, ChannelError> {
        loop {
            while let Some(&byte) = self.arrived.get(self.looked) {
                self.looked += 1;
                if let Some(packet) = self.decoder.push(byte) {
                    return Ok(Some(packet));
                }
            }
            if self.seen >= NOISE_MOST {
                return Ok(None);
            }
            self.clear();
            match self.line.read(&mut self.arrived, wait)? {
                ConsoleRead::Silence => return Ok(None),
                ConsoleRead::Gone => {}
                // A device that talks without end is not listened to beyond the deadline.
                ConsoleRead::Bytes(at) if at > wait.until => {
                    self.clear();
                    return Ok(None);
                }
                ConsoleRead::Bytes(_) => self.seen += self.arrived.len(),
            }
        }
    }

    fn remarks(&mut self) -> Vec<(Moment, String)> {
        Vec::new()
    }

    fn describe(&self) -> String {
        self.line.describe()
    }
}
