//! The debug connector of the emulated device, for the probe that moves its pins.

use super::Shared;
use crate::debug::{CLOCK, Port};
use proofbench_emulator::debug::Pins;

pub(super) struct EmulatedPins {
    world: Shared,
    /// Clock cycles whose time the world has already let pass.
    passed: u32,
}

impl EmulatedPins {
    pub(super) fn new(world: Shared) -> Self {
        Self { world, passed: 0 }
    }
}

impl Pins for EmulatedPins {
    fn edge(&mut self, tms: Option<bool>, tdi: bool) {
        self.passed = self.passed.saturating_add(1);
        self.world.borrow_mut().edge(tms, tdi);
    }
    fn swdio(&self) -> bool {
        self.world.borrow().swdio()
    }
    fn tdo(&self) -> bool {
        self.world.borrow().tdo()
    }
    fn set_nrst(&mut self, low: bool) {
        Pins::set_nrst(&mut *self.world.borrow_mut(), low);
    }
    fn set_clock_low(&mut self, low: bool) {
        self.world.borrow_mut().set_clock_low(low);
    }
    fn nrst_low(&self) -> bool {
        self.world.borrow().nrst_low()
    }
    fn vtref_mv(&self) -> u32 {
        self.world.borrow().vtref_mv()
    }
    fn now_ns(&self) -> u64 {
        self.world.borrow().now_ns()
    }
}

impl Port for EmulatedPins {
    fn spend(&mut self, clocks: u32) {
        let rest = clocks.saturating_sub(self.passed);
        self.passed = self.passed.saturating_sub(clocks);
        let time = u64::from(rest) * u64::try_from(CLOCK.as_nanos()).unwrap_or(0);
        let mut world = self.world.borrow_mut();
        let until = world.now() + time;
        world.advance(until);
    }
}
