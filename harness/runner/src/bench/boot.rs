//! Power and boots, each with its witness.

use super::{ADAPTER, Bench};
use crate::check::Capability;
use crate::text::escape;
use crate::trouble::Trouble;
use crate::watch::BootSeen;
use proofbench_channel::{Answer, Cancel, ErrorKind, Millivolts, Moment, PowerAsk, Wait};
use proofbench_model::bind::Action;
use std::time::Duration;

/// A rail that is metered counts as off below this: under it no part we know keeps its RAM or runs.
const RAIL_OFF: Millivolts = Millivolts(500);
/// Width of a reset pulse.
const PULSE: Duration = Duration::from_millis(20);
/// How long a device that should have been cut is listened to for a sign that it was not.
const LISTEN: Duration = Duration::from_millis(500);
/// As [`LISTEN`], at every switching off on a bench without a meter: longer than a shell takes for a prompt, over a network too.
const LISTEN_OFF: Duration = Duration::from_millis(250);
/// How long a line to a device that should be off may take to be sent, over a network too. Its port may have gone with its power.
const KNOCK: Duration = Duration::from_millis(200);

/// What showed, while the supply was off, that the device's power had gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffWitness {
    /// The rail, metered after the minimum off time.
    Rail(Millivolts),
    /// The console's port went away with the device.
    PortGone,
    /// Nothing: no meter, and a console that was as silent before. Such an off is no power cut until the next boot says that it was one.
    Nothing,
}

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
    /// Reset cause of the first of them, which is the one that the stimulus brought about.
    pub first_cause: String,
    /// Whether RAM was lost at the first of them, as far as the device tells.
    pub first_ram_lost: Option<bool>,
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

    /// Switches the supply off, keeps it off for the rig's minimum, and looks for what shows that power went: the rail where it is metered, the console.
    /// A rail that stays up, and a device that still talks, are rig faults. An off that nothing shows is no error; see [`Bench::off_witness`].
    pub fn power_off(&mut self) -> Result<(), Trouble> {
        self.checkpoint()?;
        self.session = None;
        self.off = None;
        self.switch(PowerAsk::Off)?;
        let off_min = self.power()?.off_min();
        self.sleep(off_min)?;
        let wait = self.wait(ADAPTER);
        let rail = self.power()?.rail(&wait)?;
        if let Some(mv) = rail
            && mv > RAIL_OFF
        {
            return Err(self.kept_power(format!("the supply was switched off {off_min:?} ago and the rail is still at {} mV", mv.0)));
        }
        let heard = self.heard_while_off(rail.is_some())?;
        if let Some(said) = heard {
            let said = escape(said.get(..said.len().min(80)).unwrap_or_default());
            return Err(self.kept_power(format!(
                "the supply was switched off {off_min:?} ago and the device still talks (`{said}`): the switch does nothing, or the board is fed otherwise"
            )));
        }
        self.still_fed = None;
        self.watch.mark();
        let witness = match rail {
            Some(mv) => OffWitness::Rail(mv),
            None if self.port_gone => OffWitness::PortGone,
            None => OffWitness::Nothing,
        };
        if witness == OffWitness::Nothing && !self.core.quiet.get() {
            self.note("off not witnessed: the rail is not metered, and the console shows no difference; the next boot has to tell");
        }
        self.off = Some(witness);
        Ok(())
    }

    fn kept_power(&mut self, why: String) -> Trouble {
        self.still_fed = Some(why.clone());
        Trouble::RigFault(why)
    }

    /// What showed that power went when the supply was last switched off; none before that.
    pub fn off_witness(&self) -> Option<OffWitness> {
        self.off
    }

    /// What a device says that should be off: either it goes on talking, or, where no meter vouches for the off, it answers an empty line, and again.
    /// What was on its way when the supply went does not count.
    pub(crate) fn heard_while_off(&mut self, metered: bool) -> Result<Option<Vec<u8>>, Trouble> {
        if self.tapped.console.is_none() {
            return Ok(None);
        }
        let (_, ended) = self.drain_until_quiet()?;
        if !ended {
            let last = self.hear(self.now() + LISTEN_OFF)?;
            return Ok((!last.is_empty()).then_some(last));
        }
        if metered {
            return Ok(None);
        }
        let mut answer = Vec::new();
        for _ in 0..2 {
            let wait = self.wait(KNOCK);
            match self.console()?.write(b"\r", &wait) {
                Err(e) if e.kind == ErrorKind::Cancelled => return Err(e.into()),
                Err(_) => return Ok(None),
                // A port that had vanished some time ago may have come back without a word.
                Ok(()) => self.port_gone = false,
            }
            answer = self.hear(self.now() + LISTEN_OFF)?;
            // An adapter that echoes is no device: a line comes back from it as it was sent.
            if answer.is_empty() || answer == b"\r" {
                return Ok(None);
            }
            self.drain()?;
        }
        Ok(Some(answer))
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

    /// As [`Bench::wait_ready`], but not becoming ready in time, or stopping at a tripwire, is data: `None`, and [`Bench::boot_seen`] tells more. A console
    /// whose port is gone at the deadline is a rig fault.
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
            if !self.trips_allowed && !self.lines.partial().is_empty() && self.watch.is_trip(self.lines.partial()) {
                // A boot loader's prompt: it stays there if nothing follows.
                if !self.fill(now + super::console::SETTLE)? {
                    self.watch.seen.tripwire = Some(escape(self.lines.partial()));
                }
                continue;
            }
            if now >= end {
                self.port_is_there()?;
                return Ok(None);
            }
            self.fill_idle(end, end.min(now + super::SLICE))?;
        }
    }

    /// A port that vanished and cannot be written to says nothing about the device: [`Trouble::RigFault`].
    fn port_is_there(&mut self) -> Result<(), Trouble> {
        if !self.port_gone {
            return Ok(());
        }
        let wait = self.wait(KNOCK);
        match self.console()?.write(b"\r", &wait) {
            Err(e) if e.kind == ErrorKind::Cancelled => Err(e.into()),
            Err(e) => Err(Trouble::RigFault(format!("the console's port went away and has not come back: {}", e.explain()))),
            Ok(()) => {
                self.port_gone = false;
                Ok(())
            }
        }
    }

    /// From here on a restart is expected: the next wait for readiness counts what comes after this, not what was there before.
    pub fn restart_may_come(&mut self) -> Result<(), Trouble> {
        self.drain_now()?;
        self.core.stimulus.set(Some(self.now()));
        self.watch.mark();
        Ok(())
    }

    /// Boot lines seen since the bench was opened: a restart that nobody asked for shows as one more, once the console was read.
    pub fn boots_seen(&self) -> u64 {
        self.watch.total_boots
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
        let lost = |word: &Option<String>| Some(*word.as_ref()? == self.bind().ram.as_ref()?.lost);
        let (ram_lost, first_ram_lost) = (lost(&seen.ram), lost(&seen.first_ram));
        self.core.stimulus.set(None);
        let boot = Boot {
            id: seen.id,
            cause: seen.cause,
            ram_lost,
            log: seen.log,
            took: ready.since(begun),
            boots: seen.boots,
            first_cause: seen.first_cause,
            first_ram_lost,
        };
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

    /// The witnesses of a power cut: an id that is new, the declared cause, RAM lost. Each absence is [`Trouble::NoOpportunity`]. So is a boot that tells
    /// nothing of its cause after an off that nothing showed.
    pub fn witness(&self, before: Option<&str>, boot: &Boot) -> Result<(), Trouble> {
        let unseen = |why: String| Err(Trouble::NoOpportunity(format!("power cut not witnessed: {why}")));
        if boot.id.is_empty() {
            return unseen("no boot line was seen".to_owned());
        }
        if before == Some(boot.id.as_str()) {
            return unseen(format!("boot id {} is the one from before", boot.id));
        }
        match self.power_was_gone(&boot.first_cause, boot.first_ram_lost) {
            None => Ok(()),
            Some(why) => unseen(why),
        }
    }

    /// Why the first boot after the supply came back does not show that power was gone; none if it does.
    fn power_was_gone(&self, cause: &str, ram_lost: Option<bool>) -> Option<String> {
        let causes = &self.bind().causes;
        if cause != causes.power_on {
            return Some(format!("the device calls the cause `{cause}`, not `{}`", causes.power_on));
        }
        if ram_lost == Some(false) {
            return Some("the device says that its RAM was kept".to_owned());
        }
        let others = [&causes.pin, &causes.watchdog, &causes.software, &causes.brown_out];
        let tells = ram_lost.is_some() || others.into_iter().flatten().any(|c| *c != causes.power_on);
        match self.off {
            Some(OffWitness::Nothing) if !tells => {
                Some("nothing showed the off, and the device's word for the cause is the same for every restart".to_owned())
            }
            _ => None,
        }
    }

    /// Whether the boots seen since the supply came back show that power was gone, although the device did not become ready.
    pub fn cut_was_seen(&self) -> bool {
        let seen = &self.watch.seen;
        let lost = seen.first_ram.as_ref().zip(self.bind().ram.as_ref()).map(|(word, bind)| *word == bind.lost);
        seen.boots > 0 && self.power_was_gone(&seen.first_cause, lost).is_none()
    }

    /// Whether the device says anything to an empty line.
    fn still_answers(&mut self) -> Result<bool, Trouble> {
        self.drain()?;
        self.send_line("")?;
        Ok(!self.hear(self.now() + LISTEN)?.is_empty())
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

    /// Releases the reset line, whoever asked to stop. A rig without one has nothing to release.
    pub fn release_reset(&mut self) -> Result<(), Trouble> {
        let wait = Wait::until(self.now() + ADAPTER, &Cancel::new());
        match &mut self.tapped.reset {
            Some(reset) => Ok(reset.set(false, &wait)?),
            None => Ok(()),
        }
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
        Action::Http(_) | Action::Command(_) | Action::Operator(_) => {}
    }
}
