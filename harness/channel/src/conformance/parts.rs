//! Rules of clocks, fixtures and debug ports.

use super::{Outcome, cancelled, fails_with, given_up, rule, within, works};
use crate::debug::{DebugPort, SurveyJob};
use crate::{Clock, ErrorKind, Fixture};
use std::time::Duration;

/// Any clock.
pub fn clock(clock: &mut dyn Clock) -> Outcome {
    let start = clock.now();
    let wait = within(clock, Duration::from_millis(50));
    works(clock.sleep_until(&wait), "sleeping works")?;
    let woke = clock.now();
    rule(woke >= wait.until, "sleep ends at the deadline, not before it", woke.since(start))?;
    works(clock.sleep_until(&wait), "sleeping until a moment that has passed works")?;
    rule(clock.now() >= woke, "time never goes back", clock.now())?;
    let wait = given_up(clock);
    cancelled(clock.sleep_until(&wait))?;
    rule(clock.now() < wait.until, "a cancelled sleep ends early", clock.now())
}

/// A fixture with this button, on a device that runs.
pub fn fixture(fixture: &mut dyn Fixture, clock: &mut dyn Clock, button: &str) -> Outcome {
    let time = Duration::from_secs(20);
    rule(!fixture.describe().is_empty(), "a fixture says what it is", "nothing")?;
    fails_with(fixture.button("no such button", true, &within(clock, time)), ErrorKind::Unsupported, "an unknown button is Unsupported")?;
    let named = fixture.button("no such button", true, &within(clock, time)).map_err(|e| e.doing);
    rule(named.as_ref().is_err_and(|text| text.contains(button)), "the error names the buttons that exist", named)?;
    cancelled(fixture.button(button, true, &given_up(clock)))?;
    works(fixture.button(button, true, &within(clock, time)), "pressing works")?;
    works(fixture.button(button, true, &within(clock, time)), "pressing what is pressed works")?;
    works(fixture.button(button, false, &within(clock, time)), "releasing works")?;
    works(fixture.led(&within(clock, time)), "looking works")?;
    Ok(())
}

/// A probe on a device that runs.
pub fn debug_port(port: &mut dyn DebugPort, clock: &mut dyn Clock, job: &SurveyJob) -> Outcome {
    let time = Duration::from_secs(60);
    rule(!port.describe().is_empty(), "a probe says what it is", "nothing")?;
    rule(port.finish(&within(clock, time)).is_err(), "a survey that was not begun has no result", "a survey")?;
    works(port.begin(job, &within(clock, time)), "beginning a survey works")?;
    let survey = works(port.finish(&within(clock, time)), "a survey ends")?;
    rule(survey.job == *job, "a survey tells its job", &survey.job)?;
    rule(port.finish(&within(clock, time)).is_err(), "a survey has one result", "a second survey")?;
    works(port.begin(job, &within(clock, time)), "a probe can be used again")?;
    let again = works(port.finish(&within(clock, time)), "a survey ends again")?;
    rule(again.dpidr == survey.dpidr, "the same port answers alike", (&survey.dpidr, &again.dpidr))
}
