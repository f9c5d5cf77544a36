//! Rules of flash readers and of crash-state spaces.

use super::{Outcome, cancelled, fails_with, given_up, rule, within, works};
use crate::{Clock, CrashSpace, ErrorKind, Storage};
use std::time::Duration;

const TIME: Duration = Duration::from_secs(20);

/// A flash reader of a device without power. The bytes at `scratch` are overwritten and put back; both sides of them must be flash.
pub fn storage(storage: &mut dyn Storage, clock: &mut dyn Clock, scratch: u64) -> Outcome {
    const AROUND: usize = 48;
    rule(!storage.describe().is_empty(), "a flash reader says what it is", "nothing")?;
    rule(!storage.is_empty(), "a flash has bytes", storage.len())?;
    let mut before = [0; AROUND];
    works(storage.read(scratch - 16, &mut before, &within(clock, TIME)), "reading works")?;
    let mut again = [0; AROUND];
    works(storage.read(scratch - 16, &mut again, &within(clock, TIME)), "reading works twice")?;
    rule(before == again, "two reads see the same", (before, again))?;

    let fresh: Vec<u8> = before[16..32].iter().map(|b| !b).collect();
    works(storage.write(scratch, &fresh, &within(clock, TIME)), "writing works, set bits included")?;
    let mut after = [0; AROUND];
    works(storage.read(scratch - 16, &mut after, &within(clock, TIME)), "reading back works")?;
    rule(after[16..32] == fresh, "what was written is read", &after[16..32])?;
    rule(after[..16] == before[..16] && after[32..] == before[32..], "neighbours are left alone", after)?;
    works(storage.write(scratch, &before[16..32], &within(clock, TIME)), "writing back works")?;

    let mut beyond = [0; 16];
    let end = storage.len();
    for offset in [end, end - 8, u64::MAX - 3] {
        rule(storage.read(offset, &mut beyond, &within(clock, TIME)).is_err(), "a read past the end is an error", offset)?;
        rule(storage.write(offset, &beyond, &within(clock, TIME)).is_err(), "a write past the end is an error", offset)?;
    }
    rule(storage.len() == end, "a flash keeps its length", storage.len())?;
    cancelled(storage.read(0, &mut beyond, &given_up(clock)))?;
    cancelled(storage.write(scratch, &beyond, &given_up(clock)))?;
    works(storage.read(scratch - 16, &mut again, &within(clock, TIME)), "reading works")?;
    rule(again == before, "a cancelled write writes nothing", again)
}

/// A flash reader of a device that has power, where the driver can see that.
pub fn storage_refuses(storage: &mut dyn Storage, clock: &mut dyn Clock) -> Outcome {
    let mut bytes = [0; 16];
    fails_with(storage.read(0, &mut bytes, &within(clock, TIME)), ErrorKind::Refused, "reading a flash in use is Refused")?;
    fails_with(storage.write(0, &bytes, &within(clock, TIME)), ErrorKind::Refused, "writing a flash in use is Refused")
}

/// A crash space of a device without power. `work` switches it on, makes it write to its storage, and switches it off again.
pub fn crash_space(space: &mut dyn CrashSpace, clock: &mut dyn Clock, work: &mut dyn FnMut()) -> Outcome {
    let wait = within(clock, TIME);
    rule(!space.medium().is_empty(), "a crash space names its medium", "nothing")?;
    rule(space.stop().is_err(), "a recording that was not begun cannot end", "operations")?;
    let start = works(space.save(&wait), "keeping the content works")?;
    works(space.record(), "recording works")?;
    work();
    let ops = works(space.stop(), "a recording ends")?;
    rule(!ops.is_empty(), "a recording holds the device's operations", ops.len())?;
    let end = works(space.save(&within(clock, TIME)), "keeping the content works again")?;

    let mut seen = Vec::new();
    let kept = works(
        space.rebuild(false, &mut |at, tear, digest| {
            seen.push((at, tear.is_clean(), digest));
            true
        }),
        "rebuilding works",
    )?;
    rule(seen.iter().all(|(_, clean, _)| *clean), "a rebuild without tears has clean cuts only", seen.len())?;
    rule(seen.len() == ops.len() + 1, "there is a cut before each operation and one after the last", (seen.len(), ops.len()))?;
    rule(seen.first().is_some_and(|(_, _, d)| *d == space.digest(start)), "the first cut is the content at the start", seen.first())?;
    rule(seen.last().is_some_and(|(_, _, d)| *d == space.digest(end)), "the last cut is the content at the end", seen.last())?;
    rule(kept.len() == seen.len(), "what the visitor asks for is kept", kept.len())?;
    for ((at, _, state), (seen_at, _, digest)) in kept.iter().zip(&seen) {
        rule(at == seen_at && space.digest(*state) == *digest, "a kept content is the one that was shown", (at, seen_at))?;
    }
    let none = works(space.rebuild(true, &mut |_, _, _| false), "rebuilding with tears works")?;
    rule(none.is_empty(), "what the visitor does not ask for is not kept", none.len())?;

    works(space.load(start, &within(clock, TIME)), "loading works")?;
    let back = works(space.save(&within(clock, TIME)), "keeping what was loaded works")?;
    rule(space.digest(back) == space.digest(start), "what was loaded is the device's storage", (back, start))?;
    space.forget_except(&[start]);
    rule(space.load(end, &within(clock, TIME)).is_err(), "a forgotten content cannot be loaded", end)?;
    works(space.load(start, &within(clock, TIME)), "a content that was to be kept is kept")?;
    rule(space.read(start, u32::MAX - 3, &mut [0; 16]).is_err(), "a read past the end is an error", "bytes")
}
