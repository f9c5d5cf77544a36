//! The debug connector: how the port reaches memory, and how what a debugger asks acts on the device.

use super::{Machine, World};
use crate::debug::{Ask, BusFault, Pins, SocBus, Wire};
use crate::flash::FlashImage;
use crate::hw::{Cause, Stop};
use crate::layout::{RAM_BASE, RAM_SIZE, SIZE};
use std::collections::BTreeMap;

struct Bus<'a> {
    now: u64,
    flash: &'a FlashImage,
    written: &'a mut BTreeMap<u32, u32>,
    noise: u64,
}

impl SocBus for Bus<'_> {
    fn now_ns(&self) -> u64 {
        self.now
    }
    fn read32(&mut self, address: u32) -> Result<u32, BusFault> {
        if address < SIZE {
            return self.flash.word(address).ok_or(BusFault);
        }
        if !(RAM_BASE..RAM_BASE + RAM_SIZE).contains(&address) {
            return Err(BusFault);
        }
        Ok(self.written.get(&address).copied().unwrap_or_else(|| crate::mix(self.noise ^ u64::from(address)) as u32))
    }
    fn write32(&mut self, address: u32, value: u32) -> Result<(), BusFault> {
        if !(RAM_BASE..RAM_BASE + RAM_SIZE).contains(&address) {
            return Err(BusFault);
        }
        self.written.insert(address, value);
        Ok(())
    }
    fn is_flash(&self, address: u32) -> bool {
        address < SIZE
    }
}

impl World {
    /// Time of one clock cycle of the debug port (250 ns at first).
    pub fn set_swj_period(&mut self, ns: u64) {
        self.swj_ns = ns.max(1);
    }
    /// The debug port, to look at.
    pub fn wire(&self) -> &Wire {
        &self.wire
    }
    fn obey(&mut self, ask: Ask) {
        match ask {
            Ask::Halt | Ask::Resume => {}
            Ask::Reset if self.powered && self.machine != Machine::Held => {
                self.interrupt(Stop::Reset(Cause::Software));
                self.reset(Cause::Software);
            }
            Ask::EraseAll if self.powered => {
                self.interrupt(Stop::Reset(Cause::Software));
                self.hw.state.flash = crate::flash::Flash::new(FlashImage::blank(), self.medium());
                self.reset(Cause::Software);
            }
            Ask::Reset | Ask::EraseAll => {}
        }
    }
}

impl Pins for World {
    fn edge(&mut self, tms: Option<bool>, tdi: bool) {
        self.advance(self.now + self.swj_ns);
        let noise = self.hw.fixed.seed ^ u64::from(self.boots) << 32;
        let mut bus = Bus { now: self.now, flash: self.hw.state.flash.image(), written: &mut self.ram_words, noise };
        self.wire.edge(&mut bus, tms, tdi);
        for ask in self.wire.take_asks() {
            self.obey(ask);
        }
    }
    fn swdio(&self) -> bool {
        self.wire.swdio()
    }
    fn tdo(&self) -> bool {
        self.wire.tdo()
    }
    fn set_nrst(&mut self, low: bool) {
        self.change_nrst(|w| w.nrst_probe = low);
    }
    fn set_clock_low(&mut self, low: bool) {
        self.wire.set_clock_low(low);
    }
    fn nrst_low(&self) -> bool {
        self.nrst_low_now()
    }
    fn vtref_mv(&self) -> u32 {
        self.rail_mv()
    }
    fn now_ns(&self) -> u64 {
        self.now
    }
}
