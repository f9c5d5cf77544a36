//! Update path, fixture, debug probe and flash reader.

use super::words::debug::{self as port, Known};
use super::words::{self, Finding, parts, rules};
use super::{ADAPTER, Doctor, Outcome, Stopped};
use crate::check::{Capability, Permission};
use crate::trouble::Trouble;
use proofbench_channel::debug::{Protocol, Said};
use proofbench_channel::{Answer, ErrorKind, Led, conformance};
use proofbench_model::bind::Action;
use std::time::Duration;

/// How long a device that runs may take to answer on its update path, and how often it is asked.
const UPDATE: Duration = Duration::from_millis(1500);
const UPDATE_TRIES: usize = 2;
/// Bytes that the flash reader's suite changes and puts back, with what it looks at around them.
const SCRATCH_ROOM: u64 = 64;

impl Doctor<'_> {
    /// Whether the device may be expected to answer: it came up, or there is no console to tell.
    fn may_run(&self) -> bool {
        self.device.up || !self.has(Capability::Console) || !self.has(Capability::Power)
    }

    pub(super) fn update_path(&mut self) -> Result<(), Stopped> {
        if !self.has(Capability::UpdatePath) {
            return Ok(());
        }
        self.step("update", "answers", |d| {
            let delivered = d.b.dossier().device.identification.firmware.clone();
            let mut answer = Answer::Silent;
            for _ in 0..UPDATE_TRIES {
                let wait = d.b.wait(UPDATE);
                answer = d.b.update()?.state(&wait)?;
                if answer != Answer::Silent {
                    break;
                }
            }
            d.device.updates = answer != Answer::Silent;
            if !d.device.updates && !d.may_run() {
                return Ok(Finding::untold("no answer on the update path, from a device that has not come up", &[]));
            }
            Ok(parts::update(&answer, &delivered))
        })?;
        if self.device.updates && self.device.up {
            self.step("update", "rules", |d| {
                let (wires, mut clock) = d.b.wires();
                let Some(update) = wires.update.as_deref_mut() else { return Err(Trouble::Capability(Capability::UpdatePath)) };
                Ok(rules(conformance::update(update, &mut clock)))
            })?;
        }
        Ok(())
    }

    pub(super) fn fixture(&mut self) -> Result<(), Stopped> {
        if !self.has(Capability::Fixture) {
            return Ok(());
        }
        self.step("fixture", "indicator", |d| {
            let wait = d.b.wait(ADAPTER);
            let led = match d.b.fixture()?.led(&wait) {
                Err(e) if e.kind == ErrorKind::Unsupported => return Ok(Finding::not_done("the fixture has no light sensor")),
                led => led?,
            };
            d.device.lit = led != Led::Dark;
            if !d.device.up && led == Led::Dark {
                return Ok(Finding::untold("sees the LED dark, of a device that has not come up", &[]));
            }
            Ok(parts::led(&led, &d.b.bind().led))
        })?;
        let Some((button, resets)) = self.button() else { return Ok(()) };
        self.step("fixture", "button", |d| {
            let wait = d.b.wait(ADAPTER);
            match d.b.fixture()?.button("no button of this name", false, &wait) {
                Err(e) if e.kind == ErrorKind::Unsupported && e.to_string().contains(&button) => {}
                Err(e) if e.kind == ErrorKind::Unsupported => {
                    return Ok(Finding::wrong(
                        format!("the dossier's button `{button}` is not among the fixture's: {e}"),
                        &["the name in [fixture] and in the bindings of the dossier has to be the same"],
                    ));
                }
                Err(e) => return Err(e.into()),
                Ok(()) => return Ok(Finding::untold("the fixture takes any name for a button", &[])),
            }
            if resets {
                d.require(Permission::FactoryReset)?;
            }
            let (wires, mut clock) = d.b.wires();
            let Some(fixture) = wires.fixture.as_deref_mut() else { return Err(Trouble::Capability(Capability::Fixture)) };
            match conformance::fixture(fixture, &mut clock, &button) {
                Ok(()) => Ok(Finding::ok(format!("`{button}` is there and can be pressed; the adapter and its driver keep the rules"))),
                broken => Ok(rules(broken)),
            }
        })?;
        Ok(())
    }

    /// A button that the dossier uses, and whether holding it deletes the user's data.
    fn button(&self) -> Option<(String, bool)> {
        let name = |a: &Action| if let Action::Button(b) = a { Some(b.name.clone()) } else { None };
        let bind = self.b.bind();
        let harmless = bind.act.values().chain(bind.ask.values()).find_map(name);
        let deletes = self.b.dossier().ixit.rows(25).iter().filter_map(|r| r.del()).find_map(|d| name(&d.start));
        harmless.filter(|h| Some(h) != deletes.as_ref()).map(|h| (h, false)).or(deletes.map(|d| (d, true)))
    }

    pub(super) fn debug_port(&mut self) -> Result<(), Stopped> {
        if !self.has(Capability::DebugPort) {
            return Ok(());
        }
        let mut nrst = None;
        if self.device.up {
            self.step("debug", "nRST", |d| {
                let (finding, restarted) = d.restart("the probe's nRST", |d| {
                    let wait = d.b.wait(ADAPTER);
                    Ok(d.b.debug()?.pulse_reset(&wait)?)
                })?;
                nrst = Some(restarted);
                Ok(finding)
            })?;
        }
        let first = self.first_protocol();
        let answered = self.step("debug", "answers", |d| {
            let disabled = d.debug_bind().is_some_and(|(_, disabled)| disabled);
            let survey = d.survey(first, None)?;
            d.device.debugs = matches!(survey.dpidr, Said::Value(_));
            let mut known = Known { nrst, disabled, instead: None };
            if !d.device.debugs && !disabled {
                let others = [Protocol::Swd, Protocol::SwdFromDormant, Protocol::Jtag];
                for other in others.into_iter().filter(|p| *p != first) {
                    let survey = d.survey(other, Some(0))?;
                    if matches!(survey.dpidr, Said::Value(_)) {
                        // A port that sleeps until it is woken is as good as one that does not.
                        if other == Protocol::SwdFromDormant {
                            d.device.debugs = true;
                            return Ok(port::survey(&survey, known));
                        }
                        known.instead = Some(other);
                        break;
                    }
                }
            }
            Ok(port::survey(&survey, known))
        })?;
        if answered == Outcome::Ok && self.device.debugs {
            self.step("debug", "rules", |d| {
                // What is behind the access ports was looked at in the step before.
                let job = d.survey_job(first, Some(0));
                let (wires, mut clock) = d.b.wires();
                let Some(debug) = wires.debug.as_deref_mut() else { return Err(Trouble::Capability(Capability::DebugPort)) };
                Ok(rules(conformance::debug_port(debug, &mut clock, &job)))
            })?;
        }
        Ok(())
    }

    /// A reader that can see the device's power refuses while it is on.
    pub(super) fn storage_in_use(&mut self) -> Result<(), Stopped> {
        if !self.has(Capability::Storage) || !self.has(Capability::Power) || !self.device.up {
            return Ok(());
        }
        self.step("storage", "in use", |d| {
            // Taking the medium from a device that runs is to the device what a cut is.
            d.require(Permission::PowerCut)?;
            let wait = d.b.wait(ADAPTER);
            let mut bytes = [0; 16];
            match d.b.storage()?.read(0, &mut bytes, &wait) {
                Err(e) if e.kind == ErrorKind::Refused => {}
                Err(e) => return Err(e.into()),
                Ok(()) => {
                    return Ok(Finding::ok(
                        "reads while the device has power: the reader cannot see it, so the runner switches off before every read",
                    ));
                }
            }
            if d.require(Permission::FlashWrite).is_err() {
                return Ok(Finding::ok("refuses to read while the device has power"));
            }
            let (wires, mut clock) = d.b.wires();
            let Some(storage) = wires.storage.as_deref_mut() else { return Err(Trouble::Capability(Capability::Storage)) };
            match conformance::storage_refuses(storage, &mut clock) {
                Ok(()) => Ok(Finding::ok("refuses to read and to write while the device has power")),
                broken => Ok(rules(broken)),
            }
        })?;
        Ok(())
    }

    /// The flash of a device without power: is it this device's, and does the reader keep the rules?
    pub(super) fn storage_contents(&mut self) -> Result<(), Stopped> {
        if !self.has(Capability::Storage) {
            return Ok(());
        }
        let read = self.step("storage", "contents", |d| {
            if d.has(Capability::Power) && !d.device.goes_off {
                return Ok(Finding::untold("not read: the device may still have power", &[]));
            }
            let dump = d.contents()?;
            let Some(file) = proofbench_rig::delivered_image(d.b.dossier()).map(str::to_owned) else {
                return Ok(Finding::not_done("the dossier names no delivered image to look for"));
            };
            let image = d.b.image(&file)?;
            let bytes = dump.len();
            if dump.windows(image.len().max(1)).any(|w| w == image) {
                return Ok(Finding::ok(format!("{bytes} bytes, twice alike; the delivered image {file} stands in them")));
            }
            Ok(Finding::wrong(
                format!("{bytes} bytes with an image of the maker in them, but not the delivered one, {file}"),
                &["another unit, or one that was updated: see the steps on firmware"],
            ))
        })?;
        if read != Outcome::Ok {
            return Ok(());
        }
        self.step("storage", "rules", |d| {
            d.require(Permission::FlashWrite)?;
            let regions = &d.b.bind().regions;
            let scratch = regions.get("scratch").or_else(|| regions.get("slot1")).copied();
            let Some(region) = scratch.filter(|r| r.len >= SCRATCH_ROOM) else {
                return Ok(Finding::not_done("the dossier has no region `scratch` or `slot1` in which a few bytes may be changed and put back"));
            };
            let (wires, mut clock) = d.b.wires();
            let Some(storage) = wires.storage.as_deref_mut() else { return Err(Trouble::Capability(Capability::Storage)) };
            Ok(rules(conformance::storage(storage, &mut clock, region.offset + SCRATCH_ROOM / 2)))
        })?;
        Ok(())
    }

    fn contents(&mut self) -> Result<Vec<u8>, Trouble> {
        let bytes = self.b.read_medium()?;
        self.b.reader_control(&bytes)?;
        Ok(bytes)
    }

    /// The space of crash states, on rigs that own the device's storage.
    pub(super) fn crash_space(&mut self) -> Result<(), Stopped> {
        if !self.has(Capability::CrashSpace) || !self.device.goes_off || !self.device.up {
            return Ok(());
        }
        let set = {
            let ixit = &self.b.dossier().ixit;
            let stores = ixit.rows(10).iter().chain(ixit.rows(21)).filter_map(|r| r.store());
            stores.filter(|s| s.kind == "personal").find_map(|s| s.set.clone())
        };
        let Some(set) = set else { return Ok(()) };
        self.step("crash", "rules", |d| {
            d.require(Permission::FlashWrite)?;
            d.b.power_off()?;
            let (wires, mut clock) = d.b.wires();
            let Some(mut crash) = wires.crash.take() else { return Err(Trouble::Capability(Capability::CrashSpace)) };
            let mut trouble = None;
            let mut work = || {
                let b = &mut d.b;
                let recovery = Duration::from_millis(b.bind().recovery_within_ms);
                let worked = b.power_on().and_then(|()| b.wait_ready(recovery)).and_then(|_| b.perform(&set, &[("value", "doctor")]));
                trouble = worked.and_then(|_| b.power_off()).err();
            };
            let outcome = conformance::crash_space(&mut *crash, &mut clock, &mut work);
            // The suite ends with the content that it began with: the store that was written is as it was.
            d.b.wires().0.crash = Some(crash);
            match trouble {
                Some(t) => Ok(words::trouble("crash", &t)),
                None => Ok(rules(outcome)),
            }
        })?;
        Ok(())
    }
}
