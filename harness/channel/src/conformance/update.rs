//! Rules of update paths.

use super::{Outcome, cancelled, given_up, rule, within, works};
use crate::{Answer, Clock, SmpReply, SmpRequest, UpdatePath};
use std::time::Duration;

const TIME: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);

/// An update path of a device that runs. Nothing is changed on the device.
pub fn update(path: &mut dyn UpdatePath, clock: &mut dyn Clock) -> Outcome {
    rule(!path.describe().is_empty(), "an update path says what it is", "nothing")?;
    rule(path.max_chunk() > 0, "a piece has bytes", path.max_chunk())?;
    for _ in 0..3 {
        let state = works(path.state(&within(clock, TIME)), "asking for the images works, again and again")?;
        let Answer::Accepted(images) = state else { return rule(false, "a device that runs says what it holds", state) };
        rule(images.iter().filter(|i| i.active).count() == 1, "one image runs", &images)?;
    }
    cancelled(path.state(&given_up(clock)))?;

    let unknown = SmpRequest { group: 0x7fff, id: 77, write: false, body: SmpReply::new() };
    match path.smp(&unknown, &within(clock, TIME)) {
        Ok(Answer::Refused(words)) => rule(!words.is_empty(), "a refusal has words", words)?,
        Ok(other) => rule(false, "a request that the device does not know is Refused", other)?,
        Err(e) => rule(e.kind == crate::ErrorKind::Unsupported, "a path that is not SMP says Unsupported", e.to_string())?,
    }
    let state = works(path.state(&within(clock, TIME)), "asking works after a refusal")?;
    rule(matches!(state, Answer::Accepted(_)), "a refusal leaves the path working", state)
}

/// An update path of a device without power: silence, at the deadline, and never a refusal.
pub fn update_without_device(path: &mut dyn UpdatePath, clock: &mut dyn Clock) -> Outcome {
    let before = clock.now();
    let state = works(path.state(&within(clock, SHORT)), "asking a dead device works")?;
    rule(state == Answer::Silent, "a dead device is Silent and refuses nothing", state)?;
    rule(clock.now() >= before + SHORT, "silence is told at the deadline, not before it", clock.now().since(before))?;
    let erased = works(path.erase(&within(clock, SHORT)), "asking a dead device works")?;
    rule(erased == Answer::Silent, "a dead device is Silent and refuses nothing", erased)?;
    cancelled(path.state(&given_up(clock)))
}
