//! Power and boots, each with its witness.

use super::{ADAPTER, Bench};
use crate::check::Capability;
use crate::trouble::Trouble;
use crate::watch::BootSeen;
use proofbench_channel::{Answer, ErrorKind, Millivolts, Moment, PowerAsk};
use proofbench_model::bind::Action;
use std::time::Duration;

/// A rail that is metered counts as off below this: under it no part we know keeps its RAM or runs.
const RAIL_OFF: Millivolts = Millivolts(500);
/// Width of a reset pulse.
const PULSE: Duration = Duration::from_millis(20);
/// How long a device that should have been cut is listened to for a sign that it was not.
const LISTEN: Duration = Duration::from_millis(500);

/// A boot that ended ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// Unique to this boot; empty if no boot line was seen.
    pub id: String,
    /// Its reset cause, in the device's word.
    pub cause: String,
    /// Whether the device says that RAM was lost; none if it cannot tell.
    pub ram_lost: Option<bool>,
    /// Console lines since the boot line, escaped.
    pub log: Vec<String>,
    /// From the stimulus to ready.
    pub took: Duration,
    /// Boot lines since the stimulus: more than one means that the device restarted by itself.
    pub boots: u32,
}

impl Bench {
    /// Switches the supply on. What the console said before does not count any more.
    pub fn power_on(&mut self) -> Result<(), Trouble> {
        self.checkpoint()?;
        if self.tapped.power.is_none() {
            return Err(Trouble::Capability(Capability::Power));
        }
        self.drain_now()?;
        self.watch.mark();
        self.session = None;
        self.switch(PowerAsk::On)
    }

    /// Switches the supply off, keeps it off for the rig's minimum, and looks at the rail where it is metered. A rail that stays up is a rig fault.
    pub fn power_off(&mut self) -> Result<(), Trouble> {
        self.checkpoint()?;
        self.session = None;
        self.switch(PowerAsk::Off)?;
        let off_min = self.power()?.off_min();
        self.sleep(off_min)?;
        let wait = self.wait(ADAPTER);
        if let Some(mv) = self.power()?.rail(&wait)?
            && mv > RAIL_OFF
        {
            return Err(Trouble::RigFault(format!("the supply was switched off {off_min:?} ago and the rail is still at {} mV", mv.0)));
        }
        self.drain_now()?;
        self.watch.mark();
        Ok(())
    }

    fn switch(&mut self, ask: PowerAsk) -> Result<(), Trouble> {
        let wait = self.wait(ADAPTER);
        self.power()?.set(ask, &wait)?;
        Ok(())
    }

    /// Waits until the device is ready. [`Trouble::Unreachable`] if it is not in time or a tripwire line came.
    pub fn wait_ready(&mut self, within: Duration) -> Result<Boot, Trouble> {
        match self.try_ready(within)? {
            Some(boot) => Ok(boot),
            None => Err(Trouble::Unreachable(self.not_ready(within))),
        }
    }

    /// In words, why the last wait did not end ready.
    pub(super) fn not_ready(&self, within: Duration) -> String {
        let seen = &self.watch.seen;
        match (&seen.tripwire, seen.boots) {
            (Some(line), _) => format!("tripwire: {line}"),
            (None, 0) => format!("no boot line within {within:?}"),
            (None, n) => {
                format!("{n} boot(s) and not ready within {within:?}; last line: {}", seen.log.last().map_or("none", String::as_str))
            }
        }
    }

    /// As [`Bench::wait_ready`], but not becoming ready in time, or stopping at a tripwire, is data: `None`, and [`Bench::boot_seen`] tells more.
    pub fn try_ready(&mut self, within: Duration) -> Result<Option<Boot>, Trouble> {
        let end = self.now() + within;
        let stimulus = self.core.stimulus.get();
        // A ready line from before the last stimulus says nothing about what the stimulus did.
        if let (Some(ready), Some(stimulus)) = (self.watch.seen.ready_at, stimulus)
            && ready < stimulus
        {
            self.watch.mark();
        }
        let begun = stimulus.unwrap_or_else(|| self.now());
        loop {
            if let Some(ready) = self.watch.seen.ready_at {
                return Ok(Some(self.booted(begun, ready)));
            }
            if self.watch.seen.tripwire.is_some() && !self.trips_allowed {
                return Ok(None);
            }
            let now = self.now();
            if self.watch.is_ready_prompt(self.lines.partial()) {
                // A prompt: ready if nothing follows.
                if !self.fill(now + super::console::SETTLE)? {
                    self.watch.seen.ready_at = Some(self.lines.partial_at);
                }
                continue;
            }
            if now >= end {
                return Ok(None);
            }
            self.fill(end.min(now + super::SLICE))?;
        }
    }

    /// What the last wait for a boot saw, whether or not it ended ready.
    pub fn boot_seen(&self) -> &BootSeen {
        &self.watch.seen
    }

    fn booted(&mut self, begun: Moment, ready: Moment) -> Boot {
        // Lines of the boot are in its log; what follows the ready line stays for the dialogue.
        let n = self.lines.whole.iter().take_while(|l| l.at <= ready).count();
        self.lines.consume(n);
        let seen = std::mem::take(&mut self.watch.seen);
        let ram_lost = match (&self.bind().ram, &seen.ram) {
            (Some(bind), Some(word)) => Some(*word == bind.lost),
            _ => None,
        };
        self.core.stimulus.set(None);
        let boot = Boot { id: seen.id, cause: seen.cause, ram_lost, log: seen.log, took: ready.since(begun), boots: seen.boots };
        self.last_boot = Some(boot.clone());
        boot
    }

    /// Id of the last boot that ended ready.
    pub fn last_boot_id(&self) -> Option<&str> {
        self.last_boot.as_ref().map(|b| b.id.as_str()).filter(|id| !id.is_empty())
    }

    /// Cuts the supply and brings it back, with witnesses: the rail where it is metered, a boot id never seen before, the cause power-on, RAM lost where
    /// the device tells. [`Trouble::NoOpportunity`] if power did not go; [`Trouble::Unreachable`] if the device did not come back.
    pub fn power_cycle(&mut self) -> Result<Boot, Trouble> {
        let before = self.last_boot_id().map(str::to_owned);
        self.power_off()?;
        self.power_on()?;
        let within = Duration::from_millis(self.bind().recovery_within_ms);
        let Some(boot) = self.try_ready(within)? else {
            let why = self.not_ready(within);
            if self.watch.seen.boots == 0 && self.still_answers()? {
                return Err(Trouble::NoOpportunity("power cut not witnessed: the device answers and has not booted".to_owned()));
            }
            return Err(Trouble::Unreachable(format!("after a power cut: {why}")));
        };
        self.witness(before.as_deref(), &boot)?;
        Ok(boot)
    }

    /// The witnesses of a power cut: an id that is new, the declared cause, RAM lost. Each absence is [`Trouble::NoOpportunity`].
    pub fn witness(&self, before: Option<&str>, boot: &Boot) -> Result<(), Trouble> {
        let unseen = |why: String| Err(Trouble::NoOpportunity(format!("power cut not witnessed: {why}")));
        if boot.id.is_empty() {
            return unseen("no boot line was seen".to_owned());
        }
        if before == Some(boot.id.as_str()) {
            return unseen(format!("boot id {} is the one from before", boot.id));
        }
        let declared = &self.bind().causes.power_on;
        if boot.boots <= 1 && boot.cause != *declared {
            return unseen(format!("the device calls the cause `{}`, not `{declared}`", boot.cause));
        }
        if boot.boots <= 1 && boot.ram_lost == Some(false) {
            return unseen("the device says that its RAM was kept".to_owned());
        }
        Ok(())
    }

    /// Whether the device says anything to an empty line.
    fn still_answers(&mut self) -> Result<bool, Trouble> {
        self.drain()?;
        self.send_line("")?;
        let end = self.now() + LISTEN;
        while self.now() < end {
            if self.fill(end)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Restarts the device by its own means: the act `reboot` of the dossier, else the update path's restart.
    pub fn reboot(&mut self) -> Result<Boot, Trouble> {
        if let Some(mut action) = self.bind().act.get("reboot").cloned() {
            restarting(&mut action);
            let did = self.perform(&action, &[])?;
            if !did.is_done() {
                return Err(Trouble::Precondition(format!("the device did not do `reboot`: {did:?}")));
            }
            return self
                .last_boot
                .clone()
                .ok_or_else(|| Trouble::IxitAmbiguous("[bind.act] reboot is carried out by a program or a person".to_owned()));
        }
        if !self.has(Capability::UpdatePath) {
            return Err(Trouble::IxitMissing("[bind.act] reboot of device.toml".to_owned()));
        }
        self.drain_now()?;
        self.watch.mark();
        self.session = None;
        let wait = self.wait(ADAPTER);
        if self.update()?.restart(&wait)? != Answer::Accepted(()) {
            return Err(Trouble::Precondition("the device did not take the restart request".to_owned()));
        }
        self.wait_ready(Duration::from_millis(self.bind().recovery_within_ms))
    }

    /// The last boot that ended ready, whichever call waited for it.
    pub fn last_boot(&self) -> Option<&Boot> {
        self.last_boot.as_ref()
    }

    /// Pulses the reset line, or the probe's where the rig has no line of its own, and waits until the device is ready.
    pub fn reset_pulse(&mut self) -> Result<Boot, Trouble> {
        self.checkpoint()?;
        self.drain_now()?;
        self.watch.mark();
        self.session = None;
        let wait = self.wait(ADAPTER);
        if self.has(Capability::Reset) {
            self.reset()?.pulse(PULSE, &wait)?;
        } else if self.has(Capability::DebugPort) {
            match self.debug()?.pulse_reset(&wait) {
                Err(e) if e.kind == ErrorKind::Unsupported => return Err(Trouble::Capability(Capability::Reset)),
                other => other?,
            }
        } else {
            return Err(Trouble::Capability(Capability::Reset));
        }
        self.wait_ready(Duration::from_millis(self.bind().recovery_within_ms))
    }
}

fn restarting(action: &mut Action) {
    match action {
        Action::Console(a) => a.restarts = true,
        Action::Smp(a) => a.restarts = true,
        Action::Button(a) => a.restarts = true,
        Action::Command(_) | Action::Operator(_) => {}
    }
}
