//! The timeline: what every peer saw and did, in the order in which it happened, bounded, and to be waited on.

use bytes::Bytes;
use proofbench_channel::{ChannelError, Moment, Wait};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Most entries that are kept until somebody takes them.
const ENTRIES_MOST: usize = 100_000;
/// Most bytes that the entries hold together.
const BYTES_MOST: usize = 64 << 20;
/// How often a wait looks whether it was cancelled.
const SLICE: Duration = Duration::from_millis(20);

/// One thing that a peer saw or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// When.
    pub at: Moment,
    /// Position in the order of all entries, from 0; gaps are entries that were dropped.
    pub number: u64,
    /// Name of the peer.
    pub peer: Arc<str>,
    /// What happened, in words; text of the device is escaped and cut by the peer.
    pub what: String,
    /// The bytes that it is about, if any.
    pub bytes: Bytes,
}

/// The timeline. Clones are the same timeline.
#[derive(Clone)]
pub struct Timeline(Arc<Inner>);

struct Inner {
    keeps: bool,
    now: Box<dyn Fn() -> Moment + Send + Sync>,
    kept: Mutex<Kept>,
    news: Condvar,
}

#[derive(Default)]
struct Kept {
    entries: VecDeque<Seen>,
    bytes: usize,
    next: u64,
    dropped: u64,
}

impl Timeline {
    /// An empty timeline on this clock.
    pub fn new(now: impl Fn() -> Moment + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { keeps: true, now: Box::new(now), kept: Mutex::default(), news: Condvar::new() }))
    }

    /// A timeline that keeps nothing: a clock for peers whose owner is told otherwise.
    pub(crate) fn deaf(now: impl Fn() -> Moment + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { keeps: false, now: Box::new(now), kept: Mutex::default(), news: Condvar::new() }))
    }

    /// The present moment.
    pub fn now(&self) -> Moment {
        (self.0.now)()
    }

    /// Adds an entry. On a timeline that is full the oldest entries go, and are counted.
    pub fn add(&self, peer: &Arc<str>, what: impl Into<String>, bytes: Bytes) {
        if !self.0.keeps {
            return;
        }
        let mut kept = self.kept();
        // The moment is read under the lock, so that order and moments agree.
        let entry = Seen { at: self.now(), number: kept.next, peer: Arc::clone(peer), what: what.into(), bytes };
        kept.next += 1;
        kept.bytes += entry.size();
        kept.entries.push_back(entry);
        while kept.entries.len() > ENTRIES_MOST || kept.bytes > BYTES_MOST {
            let Some(oldest) = kept.entries.pop_front() else { break };
            kept.bytes -= oldest.size();
            kept.dropped += 1;
        }
        drop(kept);
        self.0.news.notify_all();
    }

    /// Takes all entries out, and says how many were dropped since the last time.
    pub fn take(&self) -> (Vec<Seen>, u64) {
        let mut kept = self.kept();
        kept.bytes = 0;
        let dropped = std::mem::take(&mut kept.dropped);
        (kept.entries.drain(..).collect(), dropped)
    }

    /// Waits for the first entry that `wanted` picks, among those from `since` on that are still there and those to come; it stays on the timeline. `None`
    /// at the deadline; a cancel is an error.
    pub fn wait(&self, since: u64, wait: &Wait, mut wanted: impl FnMut(&Seen) -> bool) -> Result<Option<Seen>, ChannelError> {
        let mut from = since;
        let mut kept = self.kept();
        loop {
            if let Some(found) = kept.entries.iter().filter(|e| e.number >= from).find(|e| wanted(e)) {
                return Ok(Some(found.clone()));
            }
            from = kept.next.max(since);
            if wait.cancel.is_cancelled() {
                wait.check(self.now(), "wait for a peer")?;
            }
            let left = wait.until.since(self.now());
            if left.is_zero() {
                return Ok(None);
            }
            kept = self.0.news.wait_timeout(kept, left.min(SLICE)).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Number that the next entry will have: what is waited for from here on is younger.
    pub fn next(&self) -> u64 {
        self.kept().next
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.kept();
        f.debug_struct("Timeline").field("entries", &kept.entries.len()).field("dropped", &kept.dropped).finish()
    }
}

impl Seen {
    fn size(&self) -> usize {
        self.what.len() + self.bytes.len()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test that cannot go on fails
mod tests {
    use super::*;
    use proofbench_channel::Cancel;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A timeline whose clock goes one second a look.
    fn timeline() -> Timeline {
        let ticks = AtomicU64::new(0);
        Timeline::new(move || Moment(ticks.fetch_add(1_000_000_000, Ordering::SeqCst)))
    }

    fn within(t: &Timeline, d: Duration) -> Wait {
        Wait::until(t.now() + d, &Cancel::new())
    }

    #[test]
    fn entries_come_out_once_in_their_order() {
        let (t, peer) = (timeline(), "broker".into());
        t.add(&peer, "one", Bytes::new());
        t.add(&peer, "two", Bytes::from_static(b"2"));
        let (entries, dropped) = t.take();
        assert_eq!(entries.iter().map(|e| (e.number, e.what.as_str())).collect::<Vec<_>>(), [(0, "one"), (1, "two")]);
        assert!(entries[0].at < entries[1].at);
        assert_eq!(dropped, 0);
        assert_eq!(t.take(), (vec![], 0));
    }

    #[test]
    fn a_flood_costs_the_oldest_entries_and_is_counted() {
        let (t, peer) = (timeline(), "broker".into());
        let megabyte = Bytes::from(vec![0; 1 << 20]);
        for n in 0..70 {
            t.add(&peer, n.to_string(), megabyte.clone());
        }
        let (entries, dropped) = t.take();
        assert!(dropped >= 6 && entries.len() as u64 + dropped == 70, "{dropped}");
        assert_eq!(entries.last().unwrap().what, "69");
        t.add(&peer, "", megabyte);
        assert_eq!(t.take().1, 0, "what was taken has made room");
    }

    #[test]
    fn a_wait_finds_what_is_there_what_comes_and_nothing_older_than_asked_for() {
        let (t, peer) = (timeline(), "broker".into());
        t.add(&peer, "old", Bytes::new());
        let since = t.next();
        assert_eq!(t.wait(since, &within(&t, Duration::from_secs(5)), |e| e.what == "old").unwrap(), None);
        assert_eq!(t.wait(0, &within(&t, Duration::from_secs(5)), |e| e.what == "old").unwrap().unwrap().number, 0);
        let other = t.clone();
        let waiting = std::thread::spawn(move || other.wait(since, &Wait::until(Moment(u64::MAX), &Cancel::new()), |e| e.what == "new").unwrap());
        t.add(&peer, "new", Bytes::new());
        assert_eq!(waiting.join().unwrap().unwrap().number, 1);
    }

    #[test]
    fn a_cancel_ends_a_wait() {
        let t = timeline();
        let cancel = Cancel::new();
        cancel.cancel();
        assert!(t.wait(0, &Wait::until(Moment(u64::MAX), &cancel), |_| true).is_err());
    }
}
