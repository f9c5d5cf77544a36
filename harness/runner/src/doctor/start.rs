//! From power-on to a dialogue: the device starts, and its console works both ways.

use super::listen::KNOCK;
use super::words::console as say;
use super::words::{Finding, parts, rules};
use super::{ADAPTER, Doctor, Stopped};
use crate::check::Capability;
use crate::run::prepare::same_version;
use crate::text::escape;
use crate::trouble::Trouble;
use proofbench_channel::{Led, PowerAsk, PowerSeen, conformance};
use std::time::Duration;

/// Width of a reset pulse.
const PULSE: Duration = Duration::from_millis(20);
/// A device that has no supply and talks does so within this time.
const LISTEN_OFF: Duration = Duration::from_secs(2);
/// How long the update path may take when nothing else answers.
const UPDATE: Duration = Duration::from_secs(1);

impl Doctor<'_> {
    /// The device is told to start, by whatever the rig has for it.
    pub(super) fn start(&mut self) -> Result<(), Stopped> {
        if !self.has(Capability::Console) {
            if self.has(Capability::Power) {
                self.step("power", "on", |d| {
                    d.b.ask_supply(PowerAsk::On, ADAPTER)?;
                    let ready = d.declared().0;
                    d.b.sleep(ready)?;
                    let rail = d.rail()?.map(|mv| format!(", rail at {mv} mV")).unwrap_or_default();
                    Ok(Finding::ok(format!("asked on{rail}; without a console nothing shows the boot")))
                })?;
            }
            return Ok(());
        }
        self.step("console", "boot", Self::boot)?;
        Ok(())
    }

    fn boot(&mut self) -> Result<Finding, Trouble> {
        let (declared, _) = self.declared();
        let stimulus = if self.has(Capability::Power) {
            let off_min = self.b.power()?.off_min();
            self.b.sleep(off_min)?;
            "power-on"
        } else if self.has(Capability::Reset) {
            "a reset"
        } else {
            return Ok(Finding::not_done("the rig has neither a supply nor a reset line: the device is not restarted"));
        };
        let begun = self.b.now();
        if stimulus == "power-on" {
            self.b.power_on()?;
        } else {
            self.b.fresh_start()?;
            let wait = self.b.wait(ADAPTER);
            self.b.reset()?.pulse(PULSE, &wait)?;
        }
        let heard = self.listen(begun)?;
        self.device.up = heard.ready.is_some();
        if heard.bytes == 0 {
            self.look_around(stimulus)?;
        } else if heard.boots == 0 && stimulus == "power-on" {
            self.listen_while_off()?;
        }
        let finding = say::boot(&heard, declared, &self.around, stimulus);
        self.device.heard = heard;
        Ok(finding)
    }

    /// The device was told to start and says nothing: what do the other channels show? Leaves it powered, with its reset line released.
    fn look_around(&mut self, stimulus: &str) -> Result<(), Trouble> {
        let ready = self.declared().0;
        if stimulus == "power-on" {
            self.around.rail_on = self.rail()?;
            let wait = self.b.wait(ADAPTER);
            self.around.draws = self.b.power()?.current(&wait)?.map(|ma| ma.0);
            self.around.switch = match self.b.power()?.state(&wait)? {
                PowerSeen::On | PowerSeen::Unknown => None,
                PowerSeen::Off => Some("the switch reports off after it was asked on".to_owned()),
                PowerSeen::Tripped(why) => Some(format!("the switch tripped: {why}")),
            };
        }
        let knock = match self.knock() {
            Err(t) if t.is_cancelled() => return Err(t),
            Err(_) => Vec::new(),
            Ok(answer) => answer,
        };
        self.around.knock = (!knock.is_empty()).then(|| escape(knock.trim_ascii()));
        if self.debug_answers()? {
            self.around.runs_by.push("the debug port");
        }
        if self.update_answers(UPDATE)? {
            self.around.runs_by.push("the update path");
        }
        if self.led()?.is_some_and(|l| l != Led::Dark) {
            self.around.runs_by.push("the LED");
        }
        if self.has(Capability::Reset) {
            self.b.fresh_start()?;
            let wait = self.b.wait(ADAPTER);
            self.b.reset()?.set(true, &wait)?;
            self.around.starts_when_held = self.booted_within(ready)?;
            let wait = self.b.wait(ADAPTER);
            self.b.reset()?.set(false, &wait)?;
        }
        if stimulus == "power-on" && !self.around.starts_when_held {
            self.b.fresh_start()?;
            self.b.ask_supply(PowerAsk::Off, ADAPTER)?;
            self.around.starts_when_off = self.booted_within(ready)?;
            self.around.rail_off = self.rail()?;
            self.b.power_on()?;
            self.b.sleep(ready)?;
        }
        Ok(())
    }

    /// Something talks and it is not the device of the dossier: does it talk without the supply as well? Leaves it powered.
    fn listen_while_off(&mut self) -> Result<(), Trouble> {
        let (ready, off_min) = (self.declared().0, self.b.power()?.off_min());
        self.b.ask_supply(PowerAsk::Off, ADAPTER)?;
        self.b.sleep(off_min)?;
        self.b.drain()?;
        let said = self.b.hear(self.b.now() + LISTEN_OFF)?;
        self.around.talks_when_off = (!said.is_empty()).then(|| escape(said.get(..said.len().min(60)).unwrap_or_default().trim_ascii()));
        self.b.power_on()?;
        self.b.sleep(ready)
    }

    fn booted_within(&mut self, within: Duration) -> Result<bool, Trouble> {
        let end = self.b.now() + within;
        while self.b.now() < end && self.b.boot_seen().boots == 0 {
            self.b.hear(end)?;
        }
        Ok(self.b.boot_seen().boots > 0)
    }

    /// What the light sensor sees; none without one.
    pub(super) fn led(&mut self) -> Result<Option<Led>, Trouble> {
        if !self.has(Capability::Fixture) {
            return Ok(None);
        }
        let wait = self.b.wait(ADAPTER);
        match self.b.fixture()?.led(&wait).map_err(Trouble::from) {
            Ok(led) => Ok(Some(led)),
            Err(t) if t.is_cancelled() => Err(t),
            Err(_) => Ok(None),
        }
    }

    /// The console in the other direction, its behaviour suite, and who is on the bench.
    pub(super) fn dialogue(&mut self) -> Result<(), Stopped> {
        if !self.has(Capability::Console) {
            return Ok(());
        }
        let restarted = self.has(Capability::Power) || self.has(Capability::Reset);
        if restarted && self.device.heard.boots == 0 {
            return Ok(()); // the step before has said it all
        }
        self.step("console", "answers", |d| {
            let answer = d.knock()?;
            let again = d.knock()?;
            let last = |bytes: &[u8]| bytes.split(|b| matches!(b, b'\r' | b'\n')).rfind(|l| !l.trim_ascii().is_empty()).map(<[u8]>::to_vec);
            let prompt = last(&answer);
            d.device.answers = !answer.is_empty();
            // A literal that comes once an answer is what the behaviour suite needs.
            let once = |p: &Vec<u8>| again.windows(p.len()).filter(|w| w == p).count() == 1;
            d.device.prompt = prompt.clone().filter(|p| last(&again).as_ref() == Some(p) && once(p));
            let expected = d.b.bind().login.is_some() || d.b.bind().ask.values().any(|a| matches!(a, proofbench_model::bind::Action::Console(_)));
            Ok(say::knock(&answer, &escape(&prompt.unwrap_or_default()), expected))
        })?;
        if let (true, Some(prompt)) = (self.device.up, self.device.prompt.clone()) {
            self.step("console", "rules", |d| {
                d.b.drain()?;
                let (wires, mut clock) = d.b.wires();
                let Some(console) = wires.console.as_deref_mut() else { return Err(Trouble::Capability(Capability::Console)) };
                let outcome = conformance::console(console, &mut clock, b"\r", &prompt);
                d.b.drain()?;
                Ok(rules(outcome))
            })?;
        }
        if !self.device.answers {
            return Ok(());
        }
        if self.b.can_ask("serial") {
            self.step("dossier", "serial", |d| {
                let serial = d.b.ask("serial")?;
                let sample = d.b.dossier().device.sample.serial.clone();
                Ok(parts::identity("the serial number", &serial, &sample, serial == sample))
            })?;
        }
        if self.b.can_ask("version") {
            self.step("dossier", "firmware", |d| {
                let version = d.b.ask("version")?;
                let delivered = d.b.dossier().device.identification.firmware.clone();
                Ok(parts::identity("the firmware", &version, &delivered, same_version(&delivered, &version)))
            })?;
        }
        Ok(())
    }

    /// A restart that the bench causes by a line, and what it comes to.
    pub(super) fn restart(&mut self, what: &str, pulse: impl FnOnce(&mut Self) -> Result<(), Trouble>) -> Result<(Finding, bool), Trouble> {
        self.b.fresh_start()?;
        let begun = self.b.now();
        pulse(self)?;
        let heard = self.listen(begun)?;
        let answers = heard.boots == 0 && !self.knock()?.is_empty();
        let pin = self.b.bind().causes.pin.clone();
        Ok((super::words::power::restarted(&heard, what, pin.as_deref(), answers), heard.boots > 0))
    }

    /// The reset line: a pulse, and its behaviour suite.
    pub(super) fn reset_line(&mut self) -> Result<(), Stopped> {
        if !self.has(Capability::Reset) || !self.device.up {
            return Ok(());
        }
        let mut works = false;
        self.step("reset", "pulse", |d| {
            let (finding, restarted) = d.restart("the reset line", |d| {
                let wait = d.b.wait(ADAPTER);
                Ok(d.b.reset()?.pulse(PULSE, &wait)?)
            })?;
            works = restarted;
            Ok(finding)
        })?;
        if let (true, Some(greeting)) = (works, self.device.greeting.clone()) {
            self.step("reset", "rules", |d| {
                let ready = d.device.heard.ready.unwrap_or_default();
                d.b.drain()?;
                let (wires, mut clock) = d.b.wires();
                let (Some(reset), Some(console)) = (wires.reset.as_deref_mut(), wires.console.as_deref_mut()) else {
                    return Err(Trouble::Capability(Capability::Reset));
                };
                let outcome = conformance::reset(reset, console, &mut clock, &greeting);
                // The suite has read the boot line; the device is on its way.
                d.b.sleep(ready + KNOCK)?;
                d.b.fresh_start()?;
                Ok(rules(outcome))
            })?;
        }
        Ok(())
    }
}
