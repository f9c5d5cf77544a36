//! The supply, the reset pin, and what they do to the processor.

use super::{Event, Machine, RESET_NS, World};
use crate::defects::Defect;
use crate::hw::{Cause, MS, NoInit, Stop};
use crate::supply::{BROWN_OUT_MV, NOMINAL_MV, RETENTION_MV};

impl World {
    /// Switches the supply. The rail follows in its own time: about 2 ms to the brown-out level, 8 ms until RAM forgets, 10 ms to nothing.
    pub fn set_power(&mut self, on: bool) {
        if on == self.supply_asked && !self.tripped {
            return;
        }
        self.supply_asked = on;
        if on {
            self.tripped = false;
        }
        self.supply.go(self.now, if on { NOMINAL_MV } else { self.back_feed_mv });
        self.supply_changed();
    }
    /// How long the rail takes, once it is let go, to the brown-out level: 1.8 ms with the bleeder, seconds with large capacitors and without one.
    /// To nothing it takes five and a half times as long. At most an hour.
    pub fn set_discharge(&mut self, to_brown_out: std::time::Duration) {
        self.supply.set_discharge(self.now, u64::try_from(to_brown_out.as_nanos()).unwrap_or(u64::MAX));
        self.supply_changed();
    }
    /// Feeds the rail past the supply, as a probe's or an adapter's pins do: what stays of it when the supply is off. Above the brown-out level the
    /// device runs on.
    pub fn set_back_feed(&mut self, mv: u32) {
        self.back_feed_mv = mv.min(NOMINAL_MV);
        if !self.supply_is_on() {
            self.supply.go(self.now, self.back_feed_mv);
            self.supply_changed();
        }
    }
    /// Whether the supply was switched on and has not tripped.
    pub fn supply_is_on(&self) -> bool {
        self.supply_asked && !self.tripped
    }
    /// Millivolts of the device's rail.
    pub fn rail_mv(&self) -> u32 {
        self.supply.rail(self.now)
    }
    /// Whether the rail is high enough for the device.
    pub fn powered(&self) -> bool {
        self.powered
    }
    /// Lowers the supply to `to_mv` for `hold_ms` and raises it again.
    pub fn dip(&mut self, to_mv: u32, hold_ms: u64) {
        if self.supply_is_on() {
            self.supply.go(self.now, to_mv.min(NOMINAL_MV));
            self.supply.restore = Some((self.now + hold_ms * MS, NOMINAL_MV));
            self.supply_changed();
        }
    }
    /// A step that runs ahead may have to end earlier, or may go on after all.
    fn supply_changed(&mut self) {
        if self.machine == Machine::Running {
            self.rerun(None);
        }
    }
    /// When the rail will fall below the brown-out level, as things stand.
    pub(super) fn rail_end(&self) -> Option<u64> {
        let at = self.supply.falls_below(BROWN_OUT_MV).filter(|_| self.powered)?;
        self.supply.restore.is_none_or(|(end, _)| at < end).then_some(at)
    }
    pub(super) fn next_rail_event(&self) -> Option<(u64, Event)> {
        let s = &self.supply;
        let rose = s.rises_to(BROWN_OUT_MV).filter(|_| !self.powered && !self.tripped).map(|at| (at, Event::RailRose));
        let fell = s.falls_below(BROWN_OUT_MV).filter(|_| self.powered).map(|at| (at, Event::RailFell));
        let forgot = s.falls_below(RETENTION_MV).filter(|_| !self.ram_lost).map(|at| (at, Event::RamForgot));
        let dip = s.restore.map(|(at, _)| (at, Event::DipEnds));
        [fell, forgot, dip, rose].into_iter().flatten().min_by_key(|(at, _)| *at)
    }
    pub(super) fn dispatch_rail(&mut self, event: Event) {
        match event {
            Event::RailFell => self.fall(),
            Event::RamForgot => self.forget(),
            Event::DipEnds => {
                if let Some((_, to)) = self.supply.restore {
                    self.supply.go(self.now, to);
                }
            }
            _ => self.rise(),
        }
    }
    fn fall(&mut self) {
        self.interrupt(Stop::PowerLost);
        self.powered = false;
        self.wire.set_power(false);
    }
    pub(super) fn forget(&mut self) {
        self.ram_lost = true;
        self.ram_words.clear();
        if !self.hw.defect(Defect::LoaderStatic) {
            self.hw.state.ram = NoInit::default();
        }
    }
    fn rise(&mut self) {
        self.powered = true;
        self.hw.state.flash.power_on();
        self.wire.set_power(true);
        self.cause = if self.ram_lost { Cause::PowerOn } else { Cause::BrownOut };
        self.ram_lost = false;
        self.machine = if self.nrst_low_now() { Machine::Held } else { Machine::Starting(self.now + RESET_NS) };
    }
    /// The supply trips: rail at nothing at once.
    pub(super) fn trip(&mut self) {
        self.hw.armed = None;
        self.tripped = true;
        self.cut_lines();
        self.halt_machine(Machine::Off);
        self.powered = false;
        self.wire.set_power(false);
        self.supply.collapse(self.now);
        self.forget();
    }
    /// Drives nRST low (`true`) or releases it, from the bench's reset line.
    pub fn set_nrst(&mut self, low: bool) {
        self.change_nrst(|w| w.nrst_bench = low);
    }
    pub(super) fn nrst_low_now(&self) -> bool {
        self.nrst_bench || self.nrst_probe
    }
    pub(super) fn change_nrst(&mut self, change: impl FnOnce(&mut Self)) {
        let was = self.nrst_low_now();
        change(self);
        let low = self.nrst_low_now();
        if low == was {
            return;
        }
        self.wire.set_nrst(low);
        if !self.powered {
            return;
        }
        if low {
            // A cause that no firmware has seen yet stays.
            if !matches!(self.machine, Machine::Starting(_) | Machine::Held) {
                self.cause = Cause::Pin;
            }
            self.interrupt(Stop::Reset(Cause::Pin));
            self.machine = Machine::Held;
        } else {
            self.machine = Machine::Starting(self.now + RESET_NS);
        }
    }
}
