//! What the device did, in its order, until somebody takes it.

use super::Ticks;
use proofbench_channel::network::{Seen, Sight};
use proofbench_channel::{ChannelError, ErrorKind, Wait};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Sights that wait to be taken; what comes on top is counted.
const SEEN_MOST: usize = 65_536;
/// The one device of a rig.
const UNIT: u32 = 1;

pub(super) struct Sights {
    ticks: Ticks,
    kept: Mutex<(VecDeque<Seen>, u64)>,
    news: Condvar,
}

impl Sights {
    pub(super) fn new(ticks: Ticks) -> Self {
        Self { ticks, kept: Mutex::default(), news: Condvar::new() }
    }

    fn kept(&self) -> MutexGuard<'_, (VecDeque<Seen>, u64)> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn see(&self, host: &str, port: u16, conn: u64, sight: Sight) {
        let mut kept = self.kept();
        if kept.0.len() >= SEEN_MOST {
            kept.1 += 1;
            return;
        }
        // The moment is read under the lock, so that order and moments agree.
        let at = (self.ticks.now)();
        kept.0.push_back(Seen { at, unit: UNIT, host: host.to_owned(), port, conn, sight });
        drop(kept);
        self.news.notify_all();
    }

    /// Something that the device did could not be looked at.
    pub(super) fn miss(&self) {
        self.kept().1 += 1;
    }

    pub(super) fn lost(&self) -> u64 {
        self.kept().1
    }

    pub(super) fn clear(&self) {
        *self.kept() = Default::default();
    }

    /// All of them; waits for the first.
    pub(super) fn take(&self, wait: &Wait) -> Result<Vec<Seen>, ChannelError> {
        let mut kept = self.kept();
        loop {
            if wait.cancel.is_cancelled() {
                return Err(ChannelError::new(ErrorKind::Cancelled, "watch the device's network"));
            }
            if !kept.0.is_empty() || (self.ticks.now)() >= wait.until {
                return Ok(kept.0.drain(..).collect());
            }
            let slice = self.ticks.slice(wait);
            kept = self.news.wait_timeout(kept, slice).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
