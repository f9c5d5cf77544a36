//! Supply, reset line, button and indicator of the emulated device.

use super::{Shared, not_cancelled, pass};
use proofbench_channel::{ChannelError, ErrorKind, Fixture, Led, Millivolts, Moment, Power, PowerAsk, PowerSeen, Reset, Wait};
use std::time::Duration;

/// The rail needs 10 ms to nothing; RAM forgets before.
const OFF_MIN: Duration = Duration::from_millis(20);
/// From the end of a dip to a full rail.
const RECOVER: Duration = Duration::from_millis(2);

pub(super) struct EmulatedPower {
    world: Shared,
    asked: PowerAsk,
}

impl EmulatedPower {
    pub(super) fn new(world: Shared) -> Self {
        let asked = if world.borrow().supply_is_on() { PowerAsk::On } else { PowerAsk::Off };
        Self { world, asked }
    }
}

impl Power for EmulatedPower {
    fn set(&mut self, ask: PowerAsk, wait: &Wait) -> Result<(), ChannelError> {
        not_cancelled(wait, "switch the emulated supply")?;
        self.world.borrow_mut().set_power(ask == PowerAsk::On);
        self.asked = ask;
        Ok(())
    }

    fn state(&mut self, wait: &Wait) -> Result<PowerSeen, ChannelError> {
        not_cancelled(wait, "read the emulated supply")?;
        Ok(match (self.asked, self.world.borrow().supply_is_on()) {
            (PowerAsk::On, true) => PowerSeen::On,
            (PowerAsk::On, false) => PowerSeen::Tripped("cut by the bench at the storage operation that was armed".to_owned()),
            (PowerAsk::Off, _) => PowerSeen::Off,
        })
    }

    fn rail(&mut self, wait: &Wait) -> Result<Option<Millivolts>, ChannelError> {
        not_cancelled(wait, "measure the emulated rail")?;
        Ok(Some(Millivolts(self.world.borrow().rail_mv())))
    }

    fn off_min(&self) -> Duration {
        OFF_MIN
    }

    fn dip(&mut self, to: Millivolts, hold: Duration, wait: &Wait) -> Result<(), ChannelError> {
        not_cancelled(wait, "dip the emulated supply")?;
        let end = {
            let mut world = self.world.borrow_mut();
            world.dip(to.0, u64::try_from(hold.as_millis()).unwrap_or(u64::MAX));
            Moment(world.now()) + hold + RECOVER
        };
        pass(&self.world, end, wait)
    }

    fn describe(&self) -> String {
        "emulated supply, 3300 mV".to_owned()
    }
}

pub(super) struct EmulatedReset(pub(super) Shared);

impl Reset for EmulatedReset {
    fn pulse(&mut self, hold: Duration, wait: &Wait) -> Result<(), ChannelError> {
        self.set(true, wait)?;
        let end = Moment(self.0.borrow().now()) + hold;
        let held = pass(&self.0, end, wait);
        self.0.borrow_mut().set_nrst(false);
        held
    }

    fn set(&mut self, asserted: bool, wait: &Wait) -> Result<(), ChannelError> {
        not_cancelled(wait, "drive the emulated reset line")?;
        self.0.borrow_mut().set_nrst(asserted);
        Ok(())
    }

    fn describe(&self) -> String {
        "emulated nRST".to_owned()
    }
}

pub(super) struct EmulatedFixture(pub(super) Shared);

impl Fixture for EmulatedFixture {
    fn button(&mut self, name: &str, pressed: bool, wait: &Wait) -> Result<(), ChannelError> {
        not_cancelled(wait, "work the emulated button")?;
        if name != "reset" {
            return Err(ChannelError::new(ErrorKind::Unsupported, format!("press button `{name}` (there is `reset`)")));
        }
        self.0.borrow_mut().set_button(pressed);
        Ok(())
    }

    fn led(&mut self, wait: &Wait) -> Result<Led, ChannelError> {
        not_cancelled(wait, "look at the emulated indicator")?;
        Ok(match self.0.borrow().led() {
            "off" => Led::Dark,
            lit => Led::Lit(lit.to_owned()),
        })
    }

    fn describe(&self) -> String {
        "emulated button and indicator".to_owned()
    }
}
