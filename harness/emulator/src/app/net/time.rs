//! What time it is: asked of the maker's time server by NTP, kept by the processor's clock, never earlier than the firmware itself.

use super::{S, TIME, somewhere};
use crate::app::Thermostat;
use crate::defects::Defect;
use crate::hw::{Hw, Stop};

/// Firmware of this generation was not made before 2026-01-01.
pub(crate) const BUILT: u64 = 1_767_225_600;
/// From NTP's era (1900) to 1970.
const ERA: u64 = 2_208_988_800;
/// An answer that does not come is given up.
const ANSWER_NS: u64 = 5 * S;
const HOURLY_NS: u64 = 3600 * S;

/// The clock.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock {
    /// Seconds since 1970 at a moment of the processor.
    known: Option<(u64, u64)>,
    /// A question under way, and what the answer must carry.
    asked: Option<(u64, u64)>,
    next: Option<u64>,
    failures: u32,
}

impl Clock {
    pub(crate) fn timer(&self) -> Option<u64> {
        self.next
    }
    /// Seconds since 1970, if known.
    pub(crate) fn now(&self, hw: &Hw) -> Option<u64> {
        self.known.map(|(epoch, at)| epoch + hw.now().saturating_sub(at) / S)
    }
}

impl Thermostat {
    pub(crate) fn time_begin(&mut self, hw: &mut Hw) {
        self.net.clock.next = Some(somewhere(hw, S));
    }

    pub(crate) fn time_due(&mut self, hw: &mut Hw) -> Result<(), Stop> {
        let clock = &mut self.net.clock;
        if let Some((conn, _)) = clock.asked.take() {
            hw.net_forget(conn);
            clock.failures = (clock.failures + 1).min(8);
            let pause = (2 * S) << clock.failures;
            clock.next = Some(hw.now() + pause / 2 + hw.rng() % pause);
            return Ok(());
        }
        let nonce = hw.rng();
        let mut packet = [0; 48];
        // Version 4, client.
        packet[0] = 0x23;
        packet[40..].copy_from_slice(&nonce.to_be_bytes());
        let conn = hw.net_ask(TIME.0, TIME.1, &packet);
        let clock = &mut self.net.clock;
        clock.asked = Some((conn, nonce));
        clock.next = Some(hw.now() + ANSWER_NS);
        Ok(())
    }

    pub(crate) fn time_data(&mut self, hw: &mut Hw, conn: u64, bytes: &[u8]) -> Result<(), Stop> {
        let Some((_, nonce)) = self.net.clock.asked.filter(|(c, _)| *c == conn) else { return Ok(()) };
        // Server mode, synchronised, and an answer to this very question.
        let good = bytes.len() >= 48 && bytes[0] & 7 == 4 && (1..16).contains(&bytes[1]) && bytes[24..32] == nonce.to_be_bytes();
        let stamp = bytes.get(40..44).and_then(|b| b.try_into().ok()).map_or(0, u32::from_be_bytes);
        // Seconds below the middle of the era belong to the next one, which begins in 2036.
        let since_1900 = if stamp & 0x8000_0000 != 0 { u64::from(stamp) } else { u64::from(stamp) + (1 << 32) };
        let epoch = since_1900.saturating_sub(ERA);
        if !good || epoch < BUILT {
            return Ok(());
        }
        hw.net_forget(conn);
        let first = self.net.clock.known.is_none();
        let clock = &mut self.net.clock;
        (clock.asked, clock.failures, clock.known) = (None, 0, Some((epoch, hw.now())));
        // twin time-asked-twice: one answer may be a lie.
        let soon = first && hw.defect(Defect::TimeAskedTwice);
        clock.next = Some(hw.now() + if soon { 60 * S } else { HOURLY_NS + hw.rng() % HOURLY_NS });
        if first {
            self.cloud_begin(hw);
            self.fetch_begin(hw);
        }
        Ok(())
    }
}
