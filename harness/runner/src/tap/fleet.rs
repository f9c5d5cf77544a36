//! The fleet, tapped. Labels are secrets: how many there are is written down, never what they say.

use super::Tap;
use proofbench_channel::fleet::{Fleet, Played, Step, UnitLabel};
use proofbench_channel::{ChannelError, Wait};

const NAME: &str = "fleet";

fn told(step: &Step) -> String {
    match step {
        Step::Ask(dial, bytes) => format!("ask port {} ({} units, each its own bytes)", dial.port, bytes.len()),
        Step::Serve(service) => format!("serve {}:{} {:?}", service.host, service.port, service.front),
        other => format!("{other:?}"),
    }
}

impl Fleet for Tap<dyn Fleet> {
    fn labels(&mut self, wait: &Wait) -> Result<Vec<UnitLabel>, ChannelError> {
        self.core.asked(NAME, "labels");
        let labels = self.inner.labels(wait);
        self.core.outcome(NAME, &labels, |l| format!("{} labels", l.len()));
        labels
    }
    fn play(&mut self, scene: &[Step], wait: &Wait) -> Result<Vec<Played>, ChannelError> {
        self.core.asked(NAME, &format!("play: {}", scene.iter().map(told).collect::<Vec<_>>().join("; ")));
        let played = self.inner.play(scene, wait);
        self.core.outcome(NAME, &played, |p| {
            let of = |p: &Played| format!("unit {}: {} sights, {} answers", p.unit, p.seen.len(), p.answers.len());
            p.iter().map(of).collect::<Vec<_>>().join("; ")
        });
        played
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
}
