//! One job.

use crate::link::Link;
use probe_rs::probe::{DebugProbeSelector, list::Lister};
use proofbench_channel::ChannelError;
use proofbench_channel::debug::{Dap, Failure, WorkerAct, WorkerJob, WorkerSays, survey};
use std::time::Duration;

/// Carries out `job`; says [`WorkerSays::Polling`] on the way where a race may start, [`WorkerSays::Holding`] where nRST is held. `let_go` returns when the
/// parent lets go of it, or after the time it is given. The last word is returned.
pub fn run(job: &WorkerJob, say: &mut dyn FnMut(&WorkerSays), let_go: &mut dyn FnMut(Duration)) -> WorkerSays {
    if job.act == WorkerAct::List {
        let probes = Lister::new().list_all();
        return WorkerSays::Probes(probes.iter().map(|p| (DebugProbeSelector::from(p).to_string(), p.identifier.clone())).collect());
    }
    let selector = match job.selector.parse::<DebugProbeSelector>() {
        Ok(selector) => selector,
        Err(e) => return WorkerSays::Failed { kind: Failure::Driver, text: format!("read the probe selector `{}`: {e}", job.selector) },
    };
    let mut link = Link::new(selector, job.speed, Duration::from_millis(job.deadline_ms));
    let done = match &job.act {
        WorkerAct::Survey(what) => survey(&mut link, what, &mut || say(&WorkerSays::Polling)).map(|s| WorkerSays::Survey(Box::new(s))),
        WorkerAct::PulseReset(hold_ms) => pulse(&mut link, *hold_ms).map(|()| WorkerSays::Done),
        WorkerAct::HoldReset => link.nrst(true).and_then(|()| {
            say(&WorkerSays::Holding);
            let_go(Duration::from_millis(job.deadline_ms));
            link.nrst(false).map(|()| WorkerSays::Done)
        }),
        WorkerAct::List => Ok(WorkerSays::Done),
    };
    done.unwrap_or_else(|e| WorkerSays::Failed { kind: e.kind.into(), text: e.to_string() })
}

fn pulse(link: &mut Link, hold_ms: u64) -> Result<(), ChannelError> {
    if hold_ms == 0 {
        return link.release_reset();
    }
    link.nrst(true)?;
    std::thread::sleep(Duration::from_millis(hold_ms));
    link.nrst(false)
}
