//! Factory reset, and the button that asks for one.

use super::Thermostat;
use super::stores::Route;
use crate::boot::{self, SlotState};
use crate::defects::Defect;
use crate::hw::{Cause, Hw, MS, Stop, Uart};

/// How long the button is held for a factory reset.
const HOLD_NS: u64 = 10_000 * MS;
/// Defect reset-short-press.
const SHORT_NS: u64 = 1_000 * MS;

impl Thermostat {
    /// Erases what users put into the device. On return it is done; the caller confirms and restarts.
    pub(super) fn factory_reset(&mut self, hw: &mut Hw, route: Route) -> Result<(), Stop> {
        self.stores.factory_reset(hw, route)?;
        if hw.defect(Defect::ResetLowersCounter) {
            // defect reset-lowers-counter: the anti-rollback counter counts as a setting.
            boot::lower_counter(hw)?;
        }
        if hw.defect(Defect::ResetRestoresOldImage) {
            // defect reset-restores-old-image: "factory state" taken to mean the firmware, too.
            boot::force_exchange(hw)?;
        }
        Ok(())
    }

    /// The button went down or up.
    pub(super) fn button(&mut self, hw: &mut Hw, pressed: bool) {
        // defect reset-short-press: one second is what a cleaning cloth does.
        let hold = if hw.defect(Defect::ResetShortPress) { SHORT_NS } else { HOLD_NS };
        self.held_until = pressed.then(|| hw.now() + hold);
        self.show(hw);
    }

    /// The button was held long enough.
    pub(super) fn button_held(&mut self, hw: &mut Hw) -> Result<(), Stop> {
        self.held_until = None;
        self.factory_reset(hw, Route::Button)?;
        say_done(hw)?;
        Err(hw.request_reset(Cause::Software))
    }

    /// Sets the indicator: blinks while the button is held, amber on trial.
    pub(super) fn show(&self, hw: &mut Hw) {
        hw.led(match self.info.slot {
            _ if self.held_until.is_some() => "red blink",
            SlotState::Trial => "amber",
            _ => "green",
        });
    }
}

/// Confirms a reset that was not asked for on the console, on a line of its own.
pub(super) fn say_done(hw: &mut Hw) -> Result<(), Stop> {
    hw.print(Uart::Console, b"\r\nFactory reset: done\r\n")
}
