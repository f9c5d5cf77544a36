//! An off with all its witnesses, how long the board needs without supply, and the boot that follows.

use super::words::Finding;
use super::words::power::{self as say, AtOff, FALLEN, Need};
use super::words::rules;
use super::{ADAPTER, Doctor, Outcome, Stopped};
use crate::check::{Capability, Permission};
use crate::text::escape;
use crate::trouble::Trouble;
use proofbench_channel::{Led, PowerAsk, conformance};
use std::time::Duration;

/// The rail is looked at for twice the minimum off time, and at least so long.
const WATCH_LEAST: Duration = Duration::from_secs(2);
/// How long the update path may take to show that it is not dead.
const UPDATE: Duration = Duration::from_millis(300);
/// Cuts made to find the shortest that is one.
const BISECT: usize = 6;
/// An off that is no cut is doubled so often, and never beyond the longest.
const DOUBLE: usize = 4;
const OFF_MOST: Duration = Duration::from_secs(30);

impl Doctor<'_> {
    pub(super) fn off(&mut self) -> Result<(), Stopped> {
        if !self.has(Capability::Power) {
            return Ok(());
        }
        let mut need = None;
        let outcome = self.step("power", "off", |d| {
            let seen = d.switch_off()?;
            need = seen.on_mv.map(|_| seen.fell.map_or(Need::RailNever(seen.watched), Need::Rail));
            Ok(say::off(&seen))
        })?;
        self.device.goes_off = matches!(outcome, Outcome::Ok | Outcome::Untold);
        if let Some(need) = need {
            self.step("power", "off-min", |d| Ok(say::off_min(d.b.power()?.off_min(), &need)))?;
        }
        if outcome != Outcome::Ok {
            return Ok(());
        }
        if self.has(Capability::Console) {
            self.step("console", "without power", |d| {
                let (wires, mut clock) = d.b.wires();
                let Some(console) = wires.console.as_deref_mut() else { return Err(Trouble::Capability(Capability::Console)) };
                Ok(rules(conformance::console_without_device(console, &mut clock)))
            })?;
        }
        if self.device.updates {
            self.step("update", "without power", |d| {
                let (wires, mut clock) = d.b.wires();
                let Some(update) = wires.update.as_deref_mut() else { return Err(Trouble::Capability(Capability::UpdatePath)) };
                Ok(rules(conformance::update_without_device(update, &mut clock)))
            })?;
        }
        Ok(())
    }

    /// Asks off and looks at everything that could show that power went, or that it did not.
    fn switch_off(&mut self) -> Result<AtOff, Trouble> {
        let off_min = self.b.power()?.off_min();
        let mut seen = AtOff { off_min, on_mv: self.rail()?, ..AtOff::default() };
        let device = &self.device;
        let before =
            [(device.answers, "the console"), (device.debugs, "the debug port"), (device.updates, "the update path"), (device.lit, "the LED")];
        seen.before = before.into_iter().filter_map(|(did, name)| did.then_some(name)).collect();
        if self.has(Capability::Console) {
            self.b.drain()?;
        }
        let begun = self.b.now();
        self.b.ask_supply(PowerAsk::Off, ADAPTER)?;
        if seen.on_mv.is_some() {
            let most = (2 * off_min).max(WATCH_LEAST).min(OFF_MOST);
            let step = (off_min / 50).clamp(Duration::from_millis(1), Duration::from_millis(50));
            loop {
                let rail = self.rail()?;
                seen.watched = self.b.now().since(begun);
                if rail.is_some_and(|mv| mv < FALLEN) {
                    seen.fell = Some(seen.watched);
                    break;
                }
                if seen.watched >= most {
                    break;
                }
                self.b.sleep(step)?;
            }
        }
        let passed = self.b.now().since(begun);
        self.b.sleep(off_min.saturating_sub(passed))?;
        let wait = self.b.wait(ADAPTER);
        seen.state = Some(self.b.power()?.state(&wait)?);
        seen.talks = self.b.heard_while_off(false)?.map(|said| escape(said.get(..said.len().min(60)).unwrap_or_default().trim_ascii()));
        seen.port_gone = self.b.port_is_gone();
        if self.device.debugs && self.debug_answers()? {
            seen.answers.push("the debug port");
        }
        if self.device.updates && self.update_answers(UPDATE)? {
            seen.answers.push("the update path");
        }
        if self.device.lit && self.led()?.is_some_and(|l| l != Led::Dark) {
            seen.answers.push("the LED");
        }
        seen.rest_mv = self.rail()?;
        Ok(seen)
    }

    /// The boot after an off, how short an off may be where only the device can tell, and the supply's behaviour suite.
    pub(super) fn back_on(&mut self) -> Result<(), Stopped> {
        if !self.has(Capability::Power) {
            return Ok(());
        }
        if self.device.up && self.device.goes_off {
            let power_on = self.b.bind().causes.power_on.clone();
            self.step("power", "cut", |d| {
                let begun = d.b.now();
                d.b.power_on()?;
                Ok(say::cut(&d.listen(begun)?, &power_on))
            })?;
            if !self.device.metered {
                self.step("power", "off-min", |d| d.shortest_cut(&power_on))?;
            }
        }
        self.step("power", "rules", |d| {
            // The suite switches off a device that has only just been switched on, perhaps in the middle of a write.
            d.require(Permission::PowerCut)?;
            if !d.device.goes_off {
                return Ok(Finding::untold("not run: the switch does not do what it says", &[]));
            }
            let (wires, mut clock) = d.b.wires();
            let Some(power) = wires.power.as_deref_mut() else { return Err(Trouble::Capability(Capability::Power)) };
            Ok(rules(conformance::power(power, &mut clock)))
        })?;
        Ok(())
    }

    /// Bisects the off time by what the device says of its boots. It is ready when this begins.
    fn shortest_cut(&mut self, power_on: &str) -> Result<Finding, Trouble> {
        let off_min = self.b.power()?.off_min();
        let long_enough = self.is_cut(off_min, power_on)?;
        if self.require(Permission::PowerCut).is_err() {
            let yours = Need::Device { cut: long_enough.then_some(off_min), no_cut: (!long_enough).then_some(off_min) };
            let mut finding = say::off_min(off_min, &yours);
            finding.seen.push_str("; shorter and longer ones are not tried, the rig does not grant power-cut");
            return Ok(finding);
        }
        let (mut cut, mut no_cut) = if long_enough { (Some(off_min), None) } else { (None, Some(off_min)) };
        for _ in 0..DOUBLE {
            let Some(next) = no_cut.filter(|_| cut.is_none()).map(|n| 2 * n).filter(|n| *n <= OFF_MOST) else { break };
            if self.is_cut(next, power_on)? { cut = Some(next) } else { no_cut = Some(next) }
        }
        for _ in 0..BISECT {
            let Some(enough) = cut else { break };
            let short = no_cut.unwrap_or_default();
            let middle = short + (enough - short) / 2;
            if enough - short <= (enough / 16).max(Duration::from_millis(1)) {
                break;
            }
            if self.is_cut(middle, power_on)? { cut = Some(middle) } else { no_cut = Some(middle) }
        }
        Ok(say::off_min(off_min, &Need::Device { cut, no_cut }))
    }

    fn is_cut(&mut self, off: Duration, power_on: &str) -> Result<bool, Trouble> {
        self.b.ask_supply(PowerAsk::Off, ADAPTER)?;
        self.b.sleep(off)?;
        let begun = self.b.now();
        self.b.power_on()?;
        let heard = self.listen(begun)?;
        Ok(say::shows_a_cut(&heard, power_on))
    }
}
