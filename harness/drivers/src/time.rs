//! Real time as bench time.

use proofbench_channel::{ChannelError, Clock, ErrorKind, Moment, Wait};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often a real wait looks at its cancel handle.
pub(crate) const CANCEL_POLL: Duration = Duration::from_millis(20);

/// Where a rig's time line starts and how fast it runs. One is shared by all drivers of a rig, so that their time stamps compare.
#[derive(Debug, Clone, Copy)]
pub struct TimeBase {
    origin: Instant,
    speed: f64,
    /// What was passed over, where the device is a board that lets idle time pass at once. It lives as long as the process: all drivers hold it, and it is
    /// one file handle a rig.
    skips: Option<&'static Skips>,
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
        Self { origin: Instant::now(), speed, skips: None }
    }

    /// As [`TimeBase::scaled`], with a board that lets idle time pass at once while the bench waits: both keep its account in this file, which is made anew.
    pub fn skipping(speed: f64, account: &Path) -> std::io::Result<Self> {
        let skips = Skips::new(account)?;
        Ok(Self { skips: Some(Box::leak(Box::new(skips))), ..Self::scaled(speed) })
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
        Moment::default() + real.mul_f64(self.speed) + self.skips.map_or(Duration::ZERO, Skips::passed)
    }

    /// What [`Clock::idle`] says, to a board that shares this time line.
    pub fn idle(&self, until: Option<Moment>) {
        if let Some(skips) = self.skips {
            let left = until.map_or(Duration::ZERO, |until| until.since(self.now()));
            let awake = AWAKE.mul_f64(self.speed);
            skips.grant(if left > IDLE_LEAST { left.saturating_sub(awake) } else { Duration::ZERO });
        }
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

/// Bench waits below this are waited out.
const IDLE_LEAST: Duration = Duration::from_millis(500);
/// The end of a wait, in real time, which passes as it is: whoever waits looks at the time in between.
const AWAKE: Duration = Duration::from_millis(30);

/// The account of time that was passed over, shared with the board's process: a file of two numbers of 8 bytes, little endian, in nanoseconds of bench time.
/// The first is what has been passed over, which the board alone writes; the second how far it may go, which the bench alone writes; 0 is not at all.
#[derive(Debug)]
struct Skips(File);

impl Skips {
    fn new(path: &Path) -> std::io::Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        file.write_all_at(&[0; 16], 0)?;
        Ok(Self(file))
    }

    /// What has been passed over. A file that cannot be read any more stands still.
    fn passed(&self) -> Duration {
        let mut bytes = [0; 8];
        let read = self.0.read_exact_at(&mut bytes, 0);
        read.map_or(Duration::ZERO, |()| Duration::from_nanos(u64::from_le_bytes(bytes)))
    }

    fn grant(&self, more: Duration) {
        let to = if more.is_zero() { 0 } else { u64::try_from((self.passed() + more).as_nanos()).unwrap_or(u64::MAX) };
        // A bench that cannot say so waits in real time.
        let _ = self.0.write_all_at(&to.to_le_bytes(), 8);
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

    fn idle(&mut self, until: Option<Moment>) {
        self.0.idle(until);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test that cannot go on fails
mod tests {
    use super::*;
    use proofbench_channel::Cancel;

    fn number(account: &Path, at: usize) -> u64 {
        let bytes = std::fs::read(account).unwrap();
        u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
    }

    #[test]
    fn what_the_board_passes_over_has_passed_for_everybody() {
        let dir = tempfile::tempdir().unwrap();
        let account = dir.path().join("clock");
        let time = TimeBase::skipping(1.0, &account).unwrap();
        let other = time;
        let before = other.now();
        File::options().write(true).open(&account).unwrap().write_all_at(&3_000_000_000_000u64.to_le_bytes(), 0).unwrap();
        assert!(other.now().since(before) >= Duration::from_secs(3000));
    }

    #[test]
    fn leave_to_pass_time_over_is_given_for_long_waits_only_and_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let account = dir.path().join("clock");
        let time = TimeBase::skipping(1.0, &account).unwrap();
        time.idle(Some(time.now() + Duration::from_secs(300)));
        let leave = number(&account, 8);
        assert!((290_000_000_000..300_000_000_000).contains(&leave), "{leave}");
        time.idle(None);
        assert_eq!(number(&account, 8), 0);
        time.idle(Some(time.now() + Duration::from_millis(400)));
        assert_eq!(number(&account, 8), 0);
    }

    #[test]
    fn a_sleep_ends_when_the_board_has_passed_it_over() {
        let dir = tempfile::tempdir().unwrap();
        let account = dir.path().join("clock");
        let mut clock = RealClock(TimeBase::skipping(1.0, &account).unwrap());
        let file = File::options().read(true).write(true).open(&account).unwrap();
        // A board that is idle: it goes as far as it may, as soon as it may.
        let board = std::thread::spawn(move || {
            loop {
                let mut leave = [0; 8];
                file.read_exact_at(&mut leave, 8).unwrap();
                if u64::from_le_bytes(leave) > 0 {
                    return file.write_all_at(&leave, 0).unwrap();
                }
                std::thread::yield_now();
            }
        });
        let until = clock.now() + Duration::from_secs(86_400);
        clock.idle(Some(until));
        clock.sleep_until(&Wait::until(until, &Cancel::new())).unwrap();
        board.join().unwrap();
        assert!(clock.now() >= until);
    }
}
