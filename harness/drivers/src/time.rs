//! Real time as bench time.

use proofbench_channel::{ChannelError, Clock, ErrorKind, Moment, Wait};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
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
            let awake = AWAKE.mul_f64(self.speed);
            skips.grant(|| {
                let left = until.map_or(Duration::ZERO, |until| until.since(self.now()));
                if left > IDLE_LEAST { left.saturating_sub(awake) } else { Duration::ZERO }
            });
        }
    }

    /// What became of the bench's line to the device's console, to a board that shares this time line.
    pub(crate) fn ear(&self, turn: Ear) {
        if let Some(skips) = self.skips {
            skips.turn(turn);
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

/// A turn in the life of the bench's line to the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ear {
    /// It is open from now on, though not on the device yet.
    Opened,
    /// The device is switched on: another life, of which nothing has been heard.
    Starts,
    /// It is on the device.
    Attached,
    /// So many bytes of the device have been stamped.
    Heard(usize),
    /// So many bytes have gone to the device.
    Typed(usize),
    /// The device has gone.
    Lost,
    /// It is closed.
    Closed,
}

/// Bytes that went over the console since the device was switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Nobody listens.
    Closed,
    /// Not on the device.
    Away,
    /// Heard and typed.
    On(u64, u64),
}

impl Line {
    fn after(self, turn: Ear) -> Self {
        let more = |n: u64, by: usize| n.saturating_add(u64::try_from(by).unwrap_or(u64::MAX));
        match (turn, self) {
            (Ear::Opened | Ear::Lost, _) | (Ear::Starts, Self::On(..)) => Self::Away,
            (Ear::Attached, _) => Self::On(0, 0),
            (Ear::Heard(n), Self::On(heard, typed)) => Self::On(more(heard, n), typed),
            (Ear::Typed(n), Self::On(heard, typed)) => Self::On(heard, more(typed, n)),
            (Ear::Closed, _) => Self::Closed,
            // What still comes from an earlier life is none of this one's.
            (Ear::Heard(_) | Ear::Typed(_) | Ear::Starts, other) => other,
        }
    }

    /// As the account has it: 0 without a listener, the largest number for one that is away, else one more than the bytes.
    fn numbers(self) -> [u64; 2] {
        match self {
            Self::Closed => [0; 2],
            Self::Away => [u64::MAX; 2],
            Self::On(heard, typed) => [heard.saturating_add(1), typed.saturating_add(1)],
        }
    }
}

/// The account of time that was passed over, shared with the board's process: a file of four numbers of 8 bytes, little endian. The first, in nanoseconds of
/// bench time, is what has been passed over, which the board alone writes. The bench alone writes the others: how far time may be passed over, 0 for not at
/// all; and what has been heard of the console and typed into it ([`Line::numbers`]), so that the board sees what the kernel still has on its way.
/// Leave is given, used and taken back under the file's lock: none is used that is taken back already.
#[derive(Debug)]
struct Skips {
    file: File,
    line: Mutex<Line>,
}

impl Skips {
    fn new(path: &Path) -> std::io::Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        file.write_all_at(&[0; 32], 0)?;
        Ok(Self { file, line: Mutex::new(Line::Closed) })
    }

    /// What has been passed over. A file that cannot be read any more stands still.
    fn passed(&self) -> Duration {
        let mut bytes = [0; 8];
        let read = self.file.read_exact_at(&mut bytes, 0);
        read.map_or(Duration::ZERO, |()| Duration::from_nanos(u64::from_le_bytes(bytes)))
    }

    /// Gives leave for as much as `more` says while nothing is passed over.
    fn grant(&self, more: impl FnOnce() -> Duration) {
        self.alone(|_| {
            let more = more();
            let to = if more.is_zero() { 0 } else { u64::try_from((self.passed() + more).as_nanos()).unwrap_or(u64::MAX) };
            // A bench that cannot say so waits in real time.
            let _ = self.file.write_all_at(&to.to_le_bytes(), 8);
        });
    }

    /// A word of the device ends the leave: what the bench makes of it comes first, however late it gets to it.
    fn turn(&self, turn: Ear) {
        self.alone(|line| {
            *line = line.after(turn);
            let [heard, typed] = line.numbers();
            // Who cannot say it lets the board wait in real time.
            let _ = match turn {
                Ear::Heard(_) => self.file.write_all_at([0, heard, typed].map(u64::to_le_bytes).as_flattened(), 8),
                _ => self.file.write_all_at([heard, typed].map(u64::to_le_bytes).as_flattened(), 16),
            };
        });
    }

    /// Neither the board nor another thread changes the account meanwhile.
    fn alone(&self, change: impl FnOnce(&mut Line)) {
        // The file's lock is this process's as a whole.
        let mut line: MutexGuard<'_, Line> = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let locked = self.file.lock();
        change(&mut line);
        if locked.is_ok() {
            let _ = self.file.unlock();
        }
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
    fn what_was_heard_and_typed_counts_from_the_start_of_the_device() {
        let dir = tempfile::tempdir().unwrap();
        let account = dir.path().join("clock");
        let time = TimeBase::skipping(1.0, &account).unwrap();
        let line = || [number(&account, 16), number(&account, 24)];
        assert_eq!(line(), [0, 0], "nobody listens");
        time.ear(Ear::Starts);
        assert_eq!(line(), [0, 0], "still nobody");
        time.ear(Ear::Opened);
        assert_eq!(line(), [u64::MAX; 2]);
        time.ear(Ear::Attached);
        time.ear(Ear::Heard(5));
        time.ear(Ear::Typed(2));
        assert_eq!(line(), [6, 3]);
        time.idle(Some(time.now() + Duration::from_secs(300)));
        assert_ne!(number(&account, 8), 0);
        time.ear(Ear::Typed(0));
        assert_ne!(number(&account, 8), 0);
        time.ear(Ear::Heard(0));
        assert_eq!(number(&account, 8), 0, "the bench has something to think about");
        time.ear(Ear::Starts);
        time.ear(Ear::Heard(7));
        assert_eq!(line(), [u64::MAX; 2], "bytes of the life before");
        time.ear(Ear::Lost);
        time.ear(Ear::Attached);
        assert_eq!(line(), [1, 1]);
        time.ear(Ear::Closed);
        assert_eq!(line(), [0, 0]);
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
