//! Time as the bench sees it, and how to stop waiting.

use crate::{ChannelError, ErrorKind};
use serde::{Deserialize, Serialize};
use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// A point on the bench's time line: nanoseconds since the rig was opened. Virtual on emulators, monotonic elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(pub u64);

impl Moment {
    /// The later moment's distance from `earlier`; zero if it is not later.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;
    fn add(self, d: Duration) -> Moment {
        Moment(self.0.saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// A handle by which another thread (a signal, a deadline) ends a wait. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicU8>);

impl Cancel {
    /// A handle that nobody has used yet.
    pub fn new() -> Self {
        Self::default()
    }
    /// First call: start nothing new. Second call: stop at once.
    pub fn cancel(&self) {
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| Some(n.saturating_add(1)));
    }
    /// Whether anybody asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 0
    }
    /// Whether somebody asked twice.
    pub fn at_once(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 1
    }
}

/// How long a call may take: until a moment, or until somebody cancels. Every implementation notices a cancel within 50 ms.
#[derive(Debug, Clone)]
pub struct Wait {
    /// The deadline.
    pub until: Moment,
    /// The cancel handle.
    pub cancel: Cancel,
}

impl Wait {
    /// Until `until` or cancelled.
    pub fn until(until: Moment, cancel: &Cancel) -> Self {
        Self { until, cancel: cancel.clone() }
    }
    /// An error if the wait is cancelled, or if `now` is past the deadline.
    pub fn check(&self, now: Moment, doing: &str) -> Result<(), ChannelError> {
        if self.cancel.is_cancelled() {
            return Err(ChannelError::new(ErrorKind::Cancelled, doing));
        }
        if now >= self.until {
            return Err(ChannelError::new(ErrorKind::Timeout, doing));
        }
        Ok(())
    }
}

/// The bench's clock. On an emulator sleeping advances virtual time and costs microseconds.
pub trait Clock {
    /// The present moment.
    fn now(&self) -> Moment;
    /// Returns at `wait.until`; `Cancelled` earlier if asked.
    fn sleep_until(&mut self, wait: &Wait) -> Result<(), ChannelError>;
    /// The bench does nothing but wait and watch until then, at the latest: a device that can let idle time pass at once may do so, except for the
    /// end of it. To be said again before each part of a long wait; `None` takes it back, and must follow before the bench does anything. A hint: real devices
    /// take their time, and so does this default.
    fn idle(&mut self, until: Option<Moment>) {
        let _ = until;
    }
}
