//! Device time: real time at the board's speed, and what is passed over while device and bench are idle, on an account that both keep.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Less than this is waited out.
const WORTH_NS: u64 = 1_000_000;

/// The clock of one power-on: 0 at the start of the process.
pub struct DeviceClock {
    begun: Instant,
    speed: f64,
    /// Passed over since the beginning, in nanoseconds.
    skipped: u64,
    account: Option<File>,
}

impl DeviceClock {
    /// A clock that runs `speed` device seconds a real second from [`DeviceClock::begin`] on. The account is a file of four numbers of 8 bytes, little endian:
    /// nanoseconds that were passed over, by us; and by the bench how far that may go (0: not at all), and one more than the bytes that it has heard of the
    /// console, and typed into it, since the start (0: nobody listens; the largest number: whoever does is not there yet).
    pub fn new(speed: f64, account: Option<&Path>) -> io::Result<Self> {
        let account = account.map(|path| File::options().read(true).write(true).open(path)).transpose()?;
        Ok(Self { begun: Instant::now(), speed, skipped: 0, account })
    }

    /// Time 0 is now.
    pub fn begin(&mut self) {
        (self.begun, self.skipped) = (Instant::now(), 0);
    }

    /// Device time in nanoseconds.
    pub fn now(&self) -> u64 {
        let real = Duration::try_from_secs_f64(self.begun.elapsed().as_secs_f64() * self.speed).unwrap_or(Duration::MAX);
        u64::try_from(real.as_nanos()).unwrap_or(u64::MAX).saturating_add(self.skipped)
    }

    /// How far the bench lets time be passed over now, if it does.
    pub fn leave(&self) -> Option<Leave> {
        let mut bytes = [[0; 8]; 4];
        let account = self.account.as_ref()?;
        account.read_exact_at(bytes.as_flattened_mut(), 0).ok()?;
        let [passed, to, heard, typed] = bytes.map(u64::from_le_bytes);
        (to > passed).then_some(Leave { passed, to, heard, typed })
    }

    /// Passes over the time until `next`, the next thing that the device does by itself, as far as this leave goes. Says whether time was passed over. The
    /// leave is to be older than the last look at the wires: what the bench did before it gave the leave has been seen then. One that has been taken back
    /// meanwhile is not used.
    pub fn skip_to(&mut self, next: Option<u64>, leave: &Leave) -> bool {
        let by = (leave.to - leave.passed).min(next.map_or(u64::MAX, |at| at.saturating_sub(self.now())));
        let Some(account) = self.account.as_ref().filter(|_| by >= WORTH_NS) else { return false };
        if account.lock().is_err() {
            return false;
        }
        let holds = self.leave().is_some_and(|now| now.to >= leave.passed.saturating_add(by));
        // The account first: nobody may see the device ahead of its bench.
        let written = holds && account.write_all_at(&(leave.passed + by).to_le_bytes(), 0).is_ok();
        let _ = account.unlock();
        if written {
            self.skipped = self.skipped.saturating_add(by);
        }
        written
    }
}

/// How far time may be passed over: see [`DeviceClock::leave`].
#[derive(Debug, Clone, Copy)]
pub struct Leave {
    passed: u64,
    to: u64,
    heard: u64,
    typed: u64,
}

impl Leave {
    /// Whether the bench has heard all `said` bytes of the console, and the `taken` bytes are all that it has typed, or does not listen to the console.
    /// The kernel carries both through queues of its own, which a busy machine lets wait, and which nothing else shows.
    pub fn is_level(&self, said: u64, taken: u64) -> bool {
        self.heard == 0 || (self.heard == said.saturating_add(1) && self.typed == taken.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const S: u64 = 1_000_000_000;

    fn account(numbers: [u64; 4]) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clock");
        std::fs::write(&path, numbers.map(u64::to_le_bytes).as_flattened()).unwrap();
        (dir, path)
    }

    #[test]
    fn without_leave_nothing_is_passed_over() {
        let (_dir, path) = account([7 * S, 0, 0, 0]);
        assert!(DeviceClock::new(1.0, Some(&path)).unwrap().leave().is_none());
        assert!(DeviceClock::new(1.0, None).unwrap().leave().is_none());
    }

    #[test]
    fn leave_is_used_up_to_the_next_thing_that_happens_and_no_further_than_it_goes() {
        let (_dir, path) = account([100 * S, 400 * S, 0, 0]);
        let mut clock = DeviceClock::new(1.0, Some(&path)).unwrap();
        let at = clock.now() + 60 * S;
        assert!(clock.skip_to(Some(at), &clock.leave().unwrap()));
        assert!((at..at + 10 * S).contains(&clock.now()));
        assert!(clock.skip_to(None, &clock.leave().unwrap()) && clock.leave().is_none());
        assert_eq!(std::fs::read(&path).unwrap()[..8], (400 * S).to_le_bytes());
        assert!((300 * S..310 * S).contains(&clock.now()));
    }

    #[test]
    fn leave_that_was_taken_back_is_not_used() {
        let (_dir, path) = account([0, 400 * S, 0, 0]);
        let mut clock = DeviceClock::new(1.0, Some(&path)).unwrap();
        let leave = clock.leave().unwrap();
        std::fs::write(&path, [0; 32]).unwrap();
        assert!(!clock.skip_to(None, &leave));
        assert_eq!(std::fs::read(&path).unwrap()[..8], [0; 8]);
    }

    #[test]
    fn a_listener_is_level_when_he_has_every_byte_and_the_device_every_one_of_his() {
        let leave = |heard, typed| Leave { passed: 0, to: 1, heard, typed };
        assert!(leave(0, 0).is_level(10, 2), "nobody listens");
        assert!(leave(11, 3).is_level(10, 2));
        assert!(!leave(10, 3).is_level(10, 2), "a byte is on its way to the bench");
        assert!(!leave(11, 4).is_level(10, 2), "a byte is on its way to the device");
        assert!(!leave(u64::MAX, u64::MAX).is_level(0, 0), "he is not there yet");
    }
}
