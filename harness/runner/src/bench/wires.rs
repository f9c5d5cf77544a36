//! The channels themselves, for the doctor: behaviour suites need a channel and the clock at once, and nothing in between but the tap.

use super::Bench;
use crate::tap::{Shared, Tapped};
use crate::trouble::Trouble;
use proofbench_channel::{ChannelError, Clock, Moment, PowerAsk, Wait};
use std::time::Duration;

/// The bench's clock, apart from the bench.
pub(crate) struct BenchClock(Shared);

impl Clock for BenchClock {
    fn now(&self) -> Moment {
        self.0.now()
    }
    fn sleep_until(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        self.0.clock.borrow_mut().sleep_until(wait)
    }
}

impl Bench {
    /// The tapped channels and the clock. What a suite reads from the console is in the transcript and not in the dialogue: [`Bench::fresh_start`] follows.
    pub(crate) fn wires(&mut self) -> (&mut Tapped, BenchClock) {
        let clock = BenchClock(self.core.clone());
        (&mut self.tapped, clock)
    }

    /// Forgets sessions, lines and boots: somebody else has used the channels, or is about to restart the device.
    pub(crate) fn fresh_start(&mut self) -> Result<(), Trouble> {
        self.session = None;
        self.drain()?;
        self.watch.mark();
        Ok(())
    }

    /// Asks the switch, and nothing else: no waiting, no witness.
    pub(crate) fn ask_supply(&mut self, ask: PowerAsk, within: Duration) -> Result<(), Trouble> {
        self.session = None;
        let wait = self.wait(within);
        self.power()?.set(ask, &wait)?;
        Ok(())
    }

    /// Whether the console's port vanished and nothing has come from it since.
    pub(crate) fn port_is_gone(&self) -> bool {
        self.port_gone
    }
}
