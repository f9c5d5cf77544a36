//! How many others want this machine's processors just now: who answers late on a crowded machine has not fallen silent.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// What was seen in the last so many looks counts.
const LOOKS: usize = 16;
/// No machine is taken to be more crowded than this.
const MOST: u32 = 40;

/// This machine's count of what is ready to run, looked at now and then.
pub struct Crowd {
    /// `/proc/loadavg`; without it every machine counts as empty.
    load: Option<File>,
    processors: u32,
    seen: [u32; LOOKS],
    at: usize,
    looked: Option<Instant>,
}

impl Default for Crowd {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX));
        Self { load: File::open("/proc/loadavg").ok(), processors, seen: [1; LOOKS], at: 0, looked: None }
    }
}

impl Crowd {
    /// How much longer everything takes than on a machine of one's own: 1 where there is a processor for everybody, else twice as many times as
    /// there are tasks to a processor, by the most crowded of the last looks.
    pub fn factor(&mut self) -> u32 {
        if self.looked.is_none_or(|at| at.elapsed() >= LOOK) {
            self.looked = Some(Instant::now());
            let mut text = [0; 128];
            let read = self.load.as_ref().and_then(|file| file.read_at(&mut text, 0).ok());
            let ready = read.and_then(|n| ready(&text[..n])).unwrap_or(1);
            self.seen[self.at] = of(ready, self.processors);
            self.at = (self.at + 1) % LOOKS;
        }
        self.seen.iter().copied().max().unwrap_or(1)
    }
}

/// Tasks that are ready to run, of a line as `0.50 0.40 0.30 3/180 4711`.
fn ready(line: &[u8]) -> Option<u32> {
    std::str::from_utf8(line).ok()?.split_whitespace().nth(3)?.split_once('/')?.0.parse().ok()
}

fn of(ready: u32, processors: u32) -> u32 {
    // One of them is whoever asks.
    let others = ready.saturating_sub(1);
    if others <= processors { 1 } else { (2 * others).div_ceil(processors.max(1)).min(MOST) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(b"0.50 0.40 0.30 3/180 4711\n", Some(3))]
    #[case(b"0.50 0.40 0.30\n", None)]
    #[case(b"", None)]
    #[case(b"\xff\xfe", None)]
    fn the_tasks_that_are_ready_are_read(#[case] line: &[u8], #[case] expected: Option<u32>) {
        assert_eq!(ready(line), expected);
    }

    #[rstest]
    #[case(1, 2, 1)]
    #[case(3, 2, 1)]
    #[case(4, 2, 3)]
    #[case(15, 2, 14)]
    #[case(5000, 2, MOST)]
    fn patience_grows_with_the_crowd(#[case] ready: u32, #[case] processors: u32, #[case] expected: u32) {
        assert_eq!(of(ready, processors), expected);
    }

    #[test]
    fn this_machine_can_be_asked() {
        assert!((1..=MOST).contains(&Crowd::default().factor()));
    }
}
