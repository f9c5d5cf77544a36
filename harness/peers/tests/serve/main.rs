//! The serving peers against real clients: curl, Python's urllib, dig, chronyd.
#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod dns;
mod http;
mod ntp;

use bytes::Bytes;
use proofbench_channel::{Cancel, Moment, Wait};
use proofbench_peers::{Lab, Seen, Timeline};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// What has not come by then never will.
const LONG: Duration = Duration::from_secs(60);

/// A lab with a runtime of its own.
struct Ground {
    lab: Lab,
    _runtime: Runtime,
}

impl Ground {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let start = Instant::now();
        let timeline = Timeline::new(move || Moment(u64::try_from(start.elapsed().as_nanos()).unwrap()));
        Self { lab: Lab { runtime: runtime.handle().clone(), timeline }, _runtime: runtime }
    }

    /// The first entry, of all that are or come, that contains `part`.
    fn seen(&self, part: &str) -> Seen {
        self.seen_since(0, part)
    }

    fn seen_since(&self, since: u64, part: &str) -> Seen {
        let wait = Wait::until(self.lab.timeline.now() + LONG, &Cancel::new());
        let found = self.lab.timeline.wait(since, &wait, |e| e.what.contains(part)).unwrap();
        found.unwrap_or_else(|| panic!("no {part:?} in {:#?}", self.lab.timeline.take().0.iter().map(|e| &e.what).collect::<Vec<_>>()))
    }

    /// Whether nothing so far contains `part`.
    fn unseen(&self, part: &str) -> bool {
        let now = Wait::until(self.lab.timeline.now(), &Cancel::new());
        self.lab.timeline.wait(0, &now, |e| e.what.contains(part)).unwrap().is_none()
    }
}

fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Bytes of which no two neighbouring kilobytes are alike.
fn pattern(length: u32) -> Bytes {
    (0..length).map(|n| (n / 3 % 251) as u8).collect::<Vec<_>>().into()
}
