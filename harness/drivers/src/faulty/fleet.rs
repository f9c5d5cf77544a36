//! Faults of the bench around a fleet: a list of labels that is wrong, links that are not in, a lab that does not change, a lab that sees nothing.

use proofbench_channel::fleet::{Fleet, Played, Step, UnitLabel};
use proofbench_channel::{ChannelError, Wait};
use std::collections::BTreeSet;

/// Puts the faults that concern a fleet around it; the others are nothing to it.
pub fn fleet(inner: Box<dyn Fleet>, faults: &[String]) -> Box<dyn Fleet> {
    faults.iter().fold(inner, |inner, fault| {
        let wrong = match fault.as_str() {
            "same-label" => Wrong::SameLabel,
            "dead-link" => Wrong::DeadLink,
            "stale-lab" => Wrong::StaleLab,
            "deaf-lab" => Wrong::DeafLab,
            _ => return inner,
        };
        Box::new(FaultyFleet { inner, wrong })
    })
}

enum Wrong {
    /// One label stands twice, another not at all.
    SameLabel,
    /// No cable is in.
    DeadLink,
    /// What is served first stays.
    StaleLab,
    /// Nothing is reported of what the units do.
    DeafLab,
}

struct FaultyFleet {
    inner: Box<dyn Fleet>,
    wrong: Wrong,
}

impl Fleet for FaultyFleet {
    fn labels(&mut self, wait: &Wait) -> Result<Vec<UnitLabel>, ChannelError> {
        let mut labels = self.inner.labels(wait)?;
        if let (Wrong::SameLabel, [first, second, ..]) = (&self.wrong, labels.as_mut_slice()) {
            second.clone_from(first);
        }
        Ok(labels)
    }
    fn play(&mut self, scene: &[Step], wait: &Wait) -> Result<Vec<Played>, ChannelError> {
        let mut served = BTreeSet::new();
        let done = scene.iter().filter(|step| match (&self.wrong, step) {
            (Wrong::DeadLink, Step::Link(up)) => !up,
            (Wrong::StaleLab, Step::Serve(service)) => served.insert((service.host.clone(), service.port)),
            _ => true,
        });
        let done: Vec<Step> = done.cloned().collect();
        let mut played = self.inner.play(&done, wait)?;
        if matches!(self.wrong, Wrong::DeafLab) {
            played.iter_mut().for_each(|unit| unit.seen.clear());
        }
        Ok(played)
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
}
