//! The next time that a device uses one of its connections.

use proofbench_channel::network::{Seen, Sight};
use proofbench_model::bind::ComBind;
use proofbench_runner::bench::Did;
use proofbench_runner::{Bench, Trouble};
use std::time::Duration;

/// How long a device may take until it comes again, by its own declaration.
pub fn patience(com: &ComBind) -> Duration {
    Duration::from_millis(com.retry.as_ref().map_or(0, |r| 2 * r.most_ms).max(com.within_ms.unwrap_or(0)) + 60_000)
}

/// Whether a sight is on this connection.
pub fn here(com: &ComBind, s: &Seen) -> bool {
    Some(s.host.as_str()) == com.host.as_deref() && s.port == com.port
}

/// Makes the device use the connection where the dossier says how, and waits for a sight on it. Its place among the sights; nothing if it did not come.
pub fn next_attempt(bench: &mut Bench, com: &ComBind, wanted: impl Fn(&Sight) -> bool) -> Result<Option<usize>, Trouble> {
    if let Some(trigger) = &com.trigger {
        // A device that is busy says so; it comes by itself then.
        let _busy: Did = bench.perform(trigger, &[])?;
    } else if com.retry.is_some() {
        // What is connected already has no reason to come: the link goes for a moment.
        bench.net_down()?;
        bench.sleep(Duration::from_secs(1))?;
        bench.net_up()?;
    }
    bench.watch_for(patience(com), |s| here(com, s) && wanted(&s.sight))
}
