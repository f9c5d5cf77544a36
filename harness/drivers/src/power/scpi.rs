//! A bench supply by SCPI over TCP: switches, limits, measures voltage and current, and says when its protection has tripped.
//!
//! Voltage and current limit are set at each switching on, whatever somebody turned at the front panel meanwhile. After each command the error queue is
//! read: what the supply does not accept is `Refused` in its own words. `state` asks the protection first: `Tripped` holds until the supply is told
//! on again, off included, for that is what the supply says. `rail` measures at the supply's terminals: a board can be fed from elsewhere, and leads
//! lose some. `dip` lowers the voltage, waits, and raises it again even if the wait is cancelled meanwhile.
//!
//! Dialects are data: `data/scpi-models.toml` says against what each was checked.
//!
//! Run against: `fixtures/peers/scpi_supply.py`, which follows the same sources, with the board process at its terminals too. Not run against a supply
//! of any maker.

mod model;

pub use model::{Model, model, models};

use super::{Supply, word};
use crate::scpi::Instrument;
use crate::text::shown;
use crate::{RealClock, TimeBase};
use model::{thousandths, yes};
use proofbench_channel::{Cancel, ChannelError, Clock, ErrorKind, Milliamps, Millivolts, Power, PowerAsk, PowerSeen, Wait};
use std::time::Duration;

/// What raising the voltage again may take after a wait that is over, in real time.
const RAISE: Duration = Duration::from_secs(5);

/// Which output, and what it is to give.
#[derive(Debug, Clone)]
pub struct ScpiSetup {
    /// `host:port`; 5025 is the usual port.
    pub address: String,
    /// Name of the dialect.
    pub model: String,
    /// Output, 1 for the first.
    pub channel: u32,
    /// Voltage.
    pub volts: Millivolts,
    /// Most current.
    pub amps: Milliamps,
    /// Whether more current cuts the output; otherwise it is limited, and the panel's setting of the protection stays.
    pub protect: bool,
    /// What every supply has.
    pub supply: Supply,
}

/// A supply behind this output. Nothing is sent here. A model, channel or protection that does not exist is an error.
pub fn open(setup: ScpiSetup) -> Result<Box<dyn Power>, ChannelError> {
    let model = model(&setup.model)?;
    model.channel(setup.channel)?;
    if setup.protect && model.protect.is_empty() {
        let doing = format!("arm the overcurrent protection of a supply of model `{}`", model.name);
        return Err(ChannelError::caused(ErrorKind::Unsupported, doing, "it has none that this program knows"));
    }
    Ok(Box::new(ScpiPower { instrument: Instrument::new(setup.address.clone(), setup.supply.time), model, setup }))
}

struct ScpiPower {
    instrument: Instrument,
    model: &'static Model,
    setup: ScpiSetup,
}

impl ScpiPower {
    fn time(&self) -> TimeBase {
        self.setup.supply.time
    }

    fn name(&self) -> String {
        format!("output {} of {}", self.setup.channel, self.instrument.address())
    }

    /// Sends commands of the dialect to this channel, at this voltage, and returns what they answered.
    fn ask<'c>(
        &mut self,
        commands: impl IntoIterator<Item = &'c String>,
        volts: Millivolts,
        doing: &str,
        wait: &Wait,
    ) -> Result<Vec<String>, ChannelError> {
        let thousandth = |n: u32| format!("{}.{:03}", n / 1000, n % 1000);
        let fill = |command: &String| {
            let command = command.replace("{channel}", &self.setup.channel.to_string());
            command.replace("{volts}", &thousandth(volts.0)).replace("{amps}", &thousandth(self.setup.amps.0))
        };
        let all: Vec<String> = self.model.select.iter().chain(commands).map(fill).collect();
        self.instrument.ask(&all, doing, wait)
    }

    /// The one answer of one question.
    fn one(&mut self, command: &String, doing: &str, wait: &Wait) -> Result<String, ChannelError> {
        let answers = self.ask([command], self.setup.volts, doing, wait)?;
        answers.into_iter().next().ok_or_else(|| ChannelError::new(ErrorKind::Protocol, doing))
    }

    fn measure(&mut self, command: &String, unit: char, doing: &str, wait: &Wait) -> Result<u32, ChannelError> {
        let doing = format!("{doing} at {}", self.name());
        let answer = self.one(command, &doing, wait)?;
        thousandths(&answer, unit).map_err(|why| ChannelError::caused(ErrorKind::Protocol, doing, why))
    }

    fn seen(&mut self, wait: &Wait) -> Result<PowerSeen, ChannelError> {
        let (model, doing) = (self.model, format!("read {}", self.name()));
        let unclear = |command: &str, answer: &str| {
            ChannelError::caused(ErrorKind::Protocol, &doing, format!("it answers `{}` to {command}", shown(answer.as_bytes())))
        };
        if let Some(command) = &model.tripped {
            let answer = self.one(command, &doing, wait)?;
            if yes(&answer).ok_or_else(|| unclear(command, &answer))? {
                return Ok(PowerSeen::Tripped("overcurrent protection".to_owned()));
            }
        }
        let answer = self.one(&model.state, &doing, wait)?;
        let on = model.is_on(self.setup.channel, &answer).ok_or_else(|| unclear(&model.state, &answer))?;
        Ok(if on { PowerSeen::On } else { PowerSeen::Off })
    }
}

impl Power for ScpiPower {
    fn set(&mut self, ask: PowerAsk, wait: &Wait) -> Result<(), ChannelError> {
        let (model, doing) = (self.model, format!("switch {} {}", self.name(), word(ask)));
        let volts = self.setup.volts;
        match ask {
            PowerAsk::On => {
                let protect: &[String] = if self.setup.protect { &model.protect } else { &[] };
                // Limits before the output, and what protection has cut is released last of all.
                let commands = [&model.volts, &model.amps].into_iter().chain(protect).chain(&model.clear).chain(&model.on);
                self.ask(commands, volts, &doing, wait)?;
            }
            PowerAsk::Off => drop(self.ask([&model.off], volts, &doing, wait)?),
        }
        let supply = self.setup.supply;
        supply.taken(ask, wait, &doing, |wait| self.seen(wait))
    }

    fn state(&mut self, wait: &Wait) -> Result<PowerSeen, ChannelError> {
        self.seen(wait)
    }

    fn rail(&mut self, wait: &Wait) -> Result<Option<Millivolts>, ChannelError> {
        let command = &self.model.rail;
        self.measure(command, 'V', "measure the voltage", wait).map(|mv| Some(Millivolts(mv)))
    }

    fn current(&mut self, wait: &Wait) -> Result<Option<Milliamps>, ChannelError> {
        let command = &self.model.current;
        self.measure(command, 'A', "measure the current", wait).map(|ma| Some(Milliamps(ma)))
    }

    fn off_min(&self) -> Duration {
        self.setup.supply.off_min
    }

    fn dip(&mut self, to: Millivolts, hold: Duration, wait: &Wait) -> Result<(), ChannelError> {
        let (model, time) = (self.model, self.time());
        let doing = format!("dip {} to {} mV", self.name(), to.0);
        match self.seen(wait)? {
            PowerSeen::On if to <= self.setup.volts => {}
            PowerSeen::On => return Err(ChannelError::caused(ErrorKind::Refused, doing, format!("it gives {} mV", self.setup.volts.0))),
            seen => return Err(ChannelError::caused(ErrorKind::Refused, doing, format!("the supply is {seen:?}"))),
        }
        let lowered = self.ask([&model.volts], to, &doing, wait).map(drop);
        let held = lowered.and_then(|()| {
            let end = time.now() + hold;
            RealClock(time).sleep_until(&Wait { until: end.min(wait.until), cancel: wait.cancel.clone() })?;
            if end > wait.until { wait.check(time.now(), &doing) } else { Ok(()) }
        });
        let again = Wait::until(time.now() + RAISE.mul_f64(time.speed()), &Cancel::new());
        let raised = self.ask([&model.volts], self.setup.volts, &doing, &again).map(drop);
        held.and(raised)
    }

    fn describe(&self) -> String {
        let limit = if self.setup.protect { "cut" } else { "limited" };
        format!("{} ({}), {} mV, {limit} at {} mA", self.name(), self.model.name, self.setup.volts.0, self.setup.amps.0)
    }
}
