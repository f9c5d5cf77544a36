//! Rules of consoles.

use super::{Outcome, cancelled, given_up, rule, within, works};
use crate::{Clock, Console, ConsoleRead};
use std::time::Duration;

/// Most bytes that one read may append.
const READ_MOST: usize = 64 * 1024;
/// A device that says nothing for so long has nothing to say.
const QUIET: Duration = Duration::from_millis(300);
/// How long a device may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A console of a device that runs and waits for input: `stimulus` makes it say `answer` exactly once, with nothing else to say before.
pub fn console(console: &mut dyn Console, clock: &mut dyn Clock, stimulus: &[u8], answer: &[u8]) -> Outcome {
    rule(!console.describe().is_empty(), "a console says what it is", "nothing")?;
    quiet(console, clock)?;

    let mut bytes = b"kept".to_vec();
    let before = clock.now();
    let read = works(console.read(&mut bytes, &within(clock, QUIET)), "reading a quiet console works")?;
    rule(read == ConsoleRead::Silence, "a quiet console is Silence", read)?;
    rule(clock.now() >= before + QUIET, "Silence is told at the deadline, not before it", clock.now().since(before))?;
    rule(bytes == b"kept", "Silence appends nothing", &bytes)?;

    let past = within(clock, Duration::ZERO);
    let read = works(console.read(&mut bytes, &past), "reading with a deadline that has passed works")?;
    rule(read == ConsoleRead::Silence, "a deadline that has passed is Silence", read)?;

    cancelled(console.read(&mut bytes, &given_up(clock)))?;
    cancelled(console.write(stimulus, &given_up(clock)))?;
    rule(bytes == b"kept", "a cancelled read appends nothing", &bytes)?;

    let asked = clock.now();
    works(console.write(stimulus, &within(clock, PATIENCE)), "writing to a device that listens works")?;
    let until = within(clock, PATIENCE);
    let mut last = asked;
    while count(&bytes, answer) == 0 {
        let length = bytes.len();
        let read = works(console.read(&mut bytes, &until), "reading an answer works")?;
        let ConsoleRead::Bytes(at) = read else {
            return rule(false, "an answer arrives", (read, String::from_utf8_lossy(&bytes)));
        };
        rule(bytes.len() > length, "Bytes appends at least one byte", length)?;
        rule(bytes.len() - length <= READ_MOST, "a read appends at most 64 KiB", bytes.len() - length)?;
        rule(at >= last, "arrival times never go back, nor before the stimulus", (at, last))?;
        rule(at <= clock.now(), "nothing arrives in the future", (at, clock.now()))?;
        last = at;
    }
    rule(bytes.starts_with(b"kept"), "reading appends and replaces nothing", String::from_utf8_lossy(&bytes))?;
    let rest = quiet(console, clock)?;
    bytes.extend(rest);
    rule(count(&bytes, answer) == 1, "bytes arrive once", String::from_utf8_lossy(&bytes))
}

/// A console of a device without power: nothing arrives, and waiting takes its time.
pub fn console_without_device(console: &mut dyn Console, clock: &mut dyn Clock) -> Outcome {
    let rest = quiet(console, clock)?;
    let before = clock.now();
    let mut bytes = Vec::new();
    let read = works(console.read(&mut bytes, &within(clock, QUIET)), "reading a dead console works")?;
    rule(read == ConsoleRead::Silence, "a dead console is Silence once its loss was told", (read, rest.len()))?;
    rule(bytes.is_empty(), "a dead console says nothing", &bytes)?;
    rule(clock.now() >= before + QUIET, "Silence is told at the deadline, not before it", clock.now().since(before))
}

/// Reads until nothing comes any more.
fn quiet(console: &mut dyn Console, clock: &mut dyn Clock) -> Result<Vec<u8>, super::Broken> {
    let until = within(clock, PATIENCE);
    let mut bytes = Vec::new();
    loop {
        match works(console.read(&mut bytes, &within(clock, QUIET)), "reading works")? {
            ConsoleRead::Silence => return Ok(bytes),
            ConsoleRead::Bytes(_) | ConsoleRead::Gone => rule(clock.now() < until.until, "a device at rest comes to rest", bytes.len())?,
        }
    }
}

fn count(bytes: &[u8], part: &[u8]) -> usize {
    bytes.windows(part.len().max(1)).filter(|w| *w == part).count()
}
