//! The safe state: supply off, reset and buttons released, probe detached. Bounded in time and not cancellable.

use proofbench_channel::debug::DebugPort;
use proofbench_channel::{Cancel, Fixture, Moment, Power, PowerAsk, PowerSeen, Reset, Wait};
use std::time::Duration;

/// How long each single step may take.
const STEP: Duration = Duration::from_secs(5);

/// What is to be made safe.
pub struct Parts<'a> {
    /// The supply.
    pub power: Option<&'a mut (dyn Power + 'static)>,
    /// The reset line.
    pub reset: Option<&'a mut (dyn Reset + 'static)>,
    /// The fixture, with buttons that are held.
    pub fixture: Option<(&'a mut (dyn Fixture + 'static), Vec<String>)>,
    /// The probe, if a survey was begun and not finished.
    pub surveying: Option<&'a mut (dyn DebugPort + 'static)>,
}

/// What was done and seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SafeState {
    /// What could not be done; empty if the rig is safe.
    pub failed: Vec<String>,
    /// What the supply said afterwards.
    pub supply: Option<String>,
}

impl SafeState {
    /// Whether everything was done.
    pub fn is_safe(&self) -> bool {
        self.failed.is_empty()
    }
}

/// Makes the rig safe: every step is tried, whatever became of the others. `now` is the present bench time.
pub fn make_safe(parts: Parts<'_>, now: impl Fn() -> Moment) -> SafeState {
    let cancel = Cancel::new();
    let wait = || Wait::until(now() + STEP, &cancel);
    let mut state = SafeState::default();
    if let Some((fixture, held)) = parts.fixture {
        for button in held {
            if let Err(e) = fixture.button(&button, false, &wait()) {
                state.failed.push(e.explain());
            }
        }
    }
    if let Some(probe) = parts.surveying {
        // Its result is of no interest any more; that it returns means that the probe is detached.
        if let Err(e) = probe.finish(&wait()) {
            state.failed.push(e.explain());
        }
    }
    if let Some(reset) = parts.reset
        && let Err(e) = reset.set(false, &wait())
    {
        state.failed.push(e.explain());
    }
    if let Some(power) = parts.power {
        if let Err(e) = power.set(PowerAsk::Off, &wait()) {
            state.failed.push(e.explain());
        }
        match power.state(&wait()) {
            Ok(PowerSeen::On) => state.failed.push("switch the supply off: it reports on".to_owned()),
            Ok(seen) => state.supply = Some(format!("{seen:?}")),
            Err(e) => state.failed.push(e.explain()),
        }
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;
    use proofbench_channel::{ChannelError, ErrorKind, Millivolts};
    use std::cell::RefCell;
    use std::rc::Rc;

    #[derive(Clone, Default)]
    struct Log(Rc<RefCell<Vec<String>>>);

    impl Log {
        fn add(&self, what: String) {
            self.0.borrow_mut().push(what);
        }
    }

    struct Switch(Log, PowerSeen);
    impl Power for Switch {
        fn set(&mut self, ask: PowerAsk, _: &Wait) -> Result<(), ChannelError> {
            self.0.add(format!("power {ask:?}"));
            Ok(())
        }
        fn state(&mut self, _: &Wait) -> Result<PowerSeen, ChannelError> {
            Ok(self.1.clone())
        }
        fn rail(&mut self, _: &Wait) -> Result<Option<Millivolts>, ChannelError> {
            Ok(None)
        }
        fn off_min(&self) -> Duration {
            Duration::ZERO
        }
        fn dip(&mut self, _: Millivolts, _: Duration, _: &Wait) -> Result<(), ChannelError> {
            Ok(())
        }
        fn describe(&self) -> String {
            String::new()
        }
    }

    struct Line(Log);
    impl Reset for Line {
        fn pulse(&mut self, _: Duration, _: &Wait) -> Result<(), ChannelError> {
            Ok(())
        }
        fn set(&mut self, asserted: bool, _: &Wait) -> Result<(), ChannelError> {
            self.0.add(format!("reset {asserted}"));
            Err(ChannelError::new(ErrorKind::Driver, "release the reset line"))
        }
        fn describe(&self) -> String {
            String::new()
        }
    }

    #[test]
    fn one_step_that_fails_keeps_no_other_from_being_done() {
        let log = Log::default();
        let (mut power, mut reset) = (Switch(log.clone(), PowerSeen::Off), Line(log.clone()));
        let state = make_safe(Parts { power: Some(&mut power), reset: Some(&mut reset), fixture: None, surveying: None }, || Moment(0));
        assert_eq!(*log.0.borrow(), ["reset false", "power Off"]);
        assert_eq!(state.failed, ["release the reset line: driver failed"]);
        assert!(!state.is_safe());
    }

    #[test]
    fn a_supply_that_reports_on_is_not_safe() {
        let mut power = Switch(Log::default(), PowerSeen::On);
        let state = make_safe(Parts { power: Some(&mut power), reset: None, fixture: None, surveying: None }, || Moment(0));
        assert!(!state.is_safe());
    }
}
