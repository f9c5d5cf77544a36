//! Reset lines of real things, and what a pulse is on all of them.
//!
//! A pulse that is cancelled or comes past its deadline while the line is asserted still releases it: a device that is held in reset for ever looks
//! like a dead one.

pub mod command;
pub mod gpio;
pub mod scpi;

use crate::{RealClock, TimeBase};
use proofbench_channel::{Cancel, ChannelError, Clock, Wait};
use std::time::Duration;

/// What releasing the line may take after a wait that is over, in real time.
const RELEASE: Duration = Duration::from_secs(5);

/// Asserts by `set(true)`, holds, and releases by `set(false)`, whatever became of the wait. The first error counts.
pub(crate) fn pulse(
    time: TimeBase,
    hold: Duration,
    wait: &Wait,
    mut set: impl FnMut(bool, &Wait) -> Result<(), ChannelError>,
) -> Result<(), ChannelError> {
    wait.check(time.now(), "pulse the reset line")?;
    let asserted = set(true, wait);
    let held = asserted.and_then(|()| {
        let end = time.now() + hold;
        RealClock(time).sleep_until(&Wait { until: end.min(wait.until), cancel: wait.cancel.clone() })?;
        if end > wait.until { wait.check(time.now(), "hold the reset line") } else { Ok(()) }
    });
    let released = set(false, &Wait::until(time.now() + RELEASE.mul_f64(time.speed()), &Cancel::new()));
    held.and(released)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proofbench_channel::ErrorKind;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_pulse_is_assert_then_release() {
        let (time, mut seen) = (TimeBase::real(), Vec::new());
        let wait = Wait::until(time.now() + LONG, &Cancel::new());
        pulse(time, Duration::from_millis(1), &wait, |on, _| {
            seen.push(on);
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [true, false]);
    }

    #[test]
    fn a_line_is_released_when_the_wait_ends_in_the_middle() {
        let time = TimeBase::real();
        for (cancelled, kind) in [(true, ErrorKind::Cancelled), (false, ErrorKind::Timeout)] {
            let until = if cancelled { LONG } else { Duration::from_millis(50) };
            let wait = Wait::until(time.now() + until, &Cancel::new());
            let mut seen = Vec::new();
            let done = pulse(time, LONG, &wait, |on, inner| {
                inner.check(time.now(), "set")?;
                seen.push(on);
                if cancelled {
                    wait.cancel.cancel();
                }
                Ok(())
            });
            assert_eq!((done.unwrap_err().kind, seen), (kind, vec![true, false]));
        }
    }

    #[test]
    fn a_line_that_may_have_been_asserted_by_a_call_that_failed_is_released() {
        let (time, mut seen) = (TimeBase::real(), Vec::new());
        let wait = Wait::until(time.now() + LONG, &Cancel::new());
        let done = pulse(time, Duration::ZERO, &wait, |on, _| {
            seen.push(on);
            if on { Err(ChannelError::new(ErrorKind::Driver, "assert")) } else { Ok(()) }
        });
        assert_eq!((done.unwrap_err().doing.as_str(), seen), ("assert", vec![true, false]));
    }
}
