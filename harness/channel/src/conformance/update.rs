//! Rules of update paths.

use super::{Outcome, cancelled, fails_with, given_up, rule, within, works};
use crate::{Answer, Chunk, Clock, ErrorKind, Intake, SmpReply, SmpRequest, UpdatePath};
use std::time::Duration;

const TIME: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);

/// An update path of a device that runs. Nothing is changed on the device. A path that cannot list images has fewer rules to keep, and keeps those.
pub fn update(path: &mut dyn UpdatePath, clock: &mut dyn Clock) -> Outcome {
    rule(!path.describe().is_empty(), "an update path says what it is", "nothing")?;
    rule(path.max_chunk() > 0, "a piece has bytes", path.max_chunk())?;
    rule(path.longest(1) <= path.longest(1 << 20), "more bytes do not take less time", path.longest(1))?;
    if path.intake() == Intake::Whole {
        let piece = Chunk { offset: 0, data: &[0], total: Some(2), sha: None };
        let sent = path.chunk(&piece, &within(clock, TIME));
        fails_with(sent, ErrorKind::Unsupported, "a path for whole images sends no piece of one")?;
    }
    let lists = match path.state(&within(clock, TIME)) {
        Err(e) if e.kind == ErrorKind::Unsupported => false,
        other => rule(other.is_ok(), "asking for the images works", &other).map(|()| true)?,
    };
    for _ in 0..3 {
        let state = path.state(&within(clock, TIME));
        if !lists {
            fails_with(state, ErrorKind::Unsupported, "what a path cannot do it can never do")?;
            continue;
        }
        let state = works(state, "asking for the images works, again and again")?;
        let Answer::Accepted(images) = state else { return rule(false, "a device that runs says what it holds", state) };
        rule(images.iter().filter(|i| i.active).count() == 1, "one image runs", &images)?;
    }
    if lists {
        cancelled(path.state(&given_up(clock)))?;
    }

    let unknown = SmpRequest { group: 0x7fff, id: 77, write: false, body: SmpReply::new() };
    match path.smp(&unknown, &within(clock, TIME)) {
        Ok(Answer::Refused(words)) => rule(!words.is_empty(), "a refusal has words", words)?,
        Ok(other) => rule(false, "a request that the device does not know is Refused", other)?,
        Err(e) => rule(e.kind == ErrorKind::Unsupported, "a path that is not SMP says Unsupported", e.to_string())?,
    }
    if !lists {
        return Ok(());
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
