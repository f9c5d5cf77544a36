//! A supply switched by a relay or load switch on a GPIO line: active is on.
//!
//! Opening switches nothing. The level that `state` reads is the line's: the chip cannot see whether the contact followed. What becomes of the line
//! when the channel is dropped stands in `gpio.rs`: do not rely on it.
//!
//! Run against: no GPIO chip; only what happens where there is none is tested, for the kernels that the tests were made on have neither chips nor
//! `gpio-sim`. Not run against a relay.

use super::{Supply, word};
use crate::gpio::{Drive, GpioLine, Held};
use proofbench_channel::{ChannelError, ErrorKind, Millivolts, Power, PowerAsk, PowerSeen, Wait};
use std::time::Duration;

/// A supply behind this line, which is held from now on.
pub fn open(line: &GpioLine, supply: Supply) -> Result<Box<dyn Power>, ChannelError> {
    Ok(Box::new(GpioPower { held: Held::take(line, Drive::PushPull)?, supply }))
}

struct GpioPower {
    held: Held,
    supply: Supply,
}

impl GpioPower {
    fn seen(&mut self, wait: &Wait) -> Result<PowerSeen, ChannelError> {
        let doing = format!("read {}", self.held.line().describe());
        wait.check(self.supply.time.now(), &doing)?;
        Ok(if self.held.get(&doing)? { PowerSeen::On } else { PowerSeen::Off })
    }
}

impl Power for GpioPower {
    fn set(&mut self, ask: PowerAsk, wait: &Wait) -> Result<(), ChannelError> {
        let doing = format!("switch {} by {}", word(ask), self.held.line().describe());
        wait.check(self.supply.time.now(), &doing)?;
        self.held.set(ask == PowerAsk::On, &doing)?;
        let supply = self.supply;
        supply.taken(ask, wait, &doing, |wait| self.seen(wait))
    }

    fn state(&mut self, wait: &Wait) -> Result<PowerSeen, ChannelError> {
        self.seen(wait)
    }

    fn rail(&mut self, _: &Wait) -> Result<Option<Millivolts>, ChannelError> {
        Ok(None)
    }

    fn off_min(&self) -> Duration {
        self.supply.off_min
    }

    fn dip(&mut self, _: Millivolts, _: Duration, _: &Wait) -> Result<(), ChannelError> {
        Err(ChannelError::new(ErrorKind::Unsupported, "dip a supply behind a relay"))
    }

    fn describe(&self) -> String {
        format!("relay on {}", self.held.line().describe())
    }
}
