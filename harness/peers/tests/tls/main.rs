//! TLS of the lab against real programs: OpenSSL on both sides, curl, sslscan.
#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod certs;
mod names;
mod scan;
mod server;

use proofbench_channel::{Cancel, Moment, Wait};
use proofbench_peers::{Lab, Timeline};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(120);

/// A lab of this test's own; it ends with its runtime.
fn lab() -> (Runtime, Lab) {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let start = Instant::now();
    let timeline = Timeline::new(move || Moment(start.elapsed().as_nanos() as u64));
    let lab = Lab { runtime: runtime.handle().clone(), timeline };
    (runtime, lab)
}

fn long(lab: &Lab) -> Wait {
    Wait::until(lab.timeline.now() + LONG, &Cancel::new())
}
