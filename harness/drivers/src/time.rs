//! Real time as bench time.

use proofbench_channel::{ChannelError, Clock, ErrorKind, Moment, Wait};
use std::time::{Duration, Instant};

/// How often a real wait looks at its cancel handle.
pub(crate) const CANCEL_POLL: Duration = Duration::from_millis(20);

/// Where a rig's time line starts and how fast it runs. One is shared by all drivers of a rig, so that their time stamps compare.
#[derive(Debug, Clone, Copy)]
pub struct TimeBase {
    origin: Instant,
    speed: f64,
}

impl TimeBase {
    /// Starts now, one second a second.
    pub fn real() -> Self {
        Self::scaled(1.0)
    }

    /// Starts now, `speed` bench seconds a real second: for a board process that runs faster than life. Speeds that are no
    /// positive number count as 1.
    pub fn scaled(speed: f64) -> Self {
        let speed = if speed.is_finite() && speed > 0.0 { speed } else { 1.0 };
        Self { origin: Instant::now(), speed }
    }

    /// Bench seconds a real second.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// The present moment.
    pub fn now(&self) -> Moment {
        self.at(Instant::now())
    }

    /// The moment of a real instant; instants before the origin are the origin.
    pub fn at(&self, instant: Instant) -> Moment {
        let real = instant.saturating_duration_since(self.origin);
        Moment::default() + real.mul_f64(self.speed)
    }

    /// Real time left until `until`.
    pub fn left(&self, until: Moment) -> Duration {
        until.since(self.now()).div_f64(self.speed)
    }

    /// The longest real time to block before looking at the cancel handle again; an error if cancelled or past the deadline.
    pub(crate) fn slice(&self, wait: &Wait, doing: &str) -> Result<Duration, ChannelError> {
        wait.check(self.now(), doing)?;
        Ok(self.left(wait.until).min(CANCEL_POLL))
    }
}

/// The clock of a rig in real time.
#[derive(Debug, Clone, Copy)]
pub struct RealClock(pub TimeBase);

impl Clock for RealClock {
    fn now(&self) -> Moment {
        self.0.now()
    }

    fn sleep_until(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        loop {
            match self.0.slice(wait, "sleep") {
                Ok(slice) => std::thread::sleep(slice),
                Err(e) if e.kind == ErrorKind::Timeout => return Ok(()),
                Err(e) => return Err(e),
            }
        }
    }
}
