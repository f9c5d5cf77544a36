//! The bench's side of the device: supply, reset line, button, ports and time.
//!
//! Time moves only by [`World::advance`] and its relatives, from event to event: the rail crosses a level, a reset ends, firmware finishes a step,
//! input arrives at an idle application, a timer is due, the watchdog bites. A step of firmware is run as a whole at the moment it begins; its output,
//! its LED and its end are kept until bench time reaches them.

mod crash;
mod factory;
mod net;
mod ports;
mod power;
mod probe;
mod step;

pub use factory::{Label, Setup, label};
pub use net::{Knock, Outside, TRANSIT_NS};

use crate::debug::{LockRules, Wire};
use crate::defects::Defects;
use crate::firmware::{App, StartApp};
use crate::flash::{FlashImage, Medium, TimedOp};
use crate::hw::{Cause, Fixed, Hw, Lines, NoInit, State, Stop, Uart, WATCHDOG_NS};
use crate::supply::Supply;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use step::Step;

/// From a reset's end, or from a good rail, to the first instruction.
pub const RESET_NS: u64 = 1_000_000;

/// Where the processor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Machine {
    /// Rail too low.
    Off,
    /// nRST is held.
    Held,
    /// A reset ends at this time.
    Starting(u64),
    /// Hardware has latched the life cycle; the first instruction waits for a debugger to let it.
    Caught,
    /// Firmware runs, or waits for an event.
    Running,
    /// Firmware is stuck since; the watchdog bites at this time, if it runs.
    Stuck(Option<u64>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    RailFell,
    RamForgot,
    RailRose,
    DipEnds,
    Start,
    Run,
    StepEnds(Stop),
    Timer,
    Button,
    Input(Uart),
    Datagram,
    Net,
    Outside,
    Bite,
}

/// A thermostat on a bench.
pub struct World {
    now: u64,
    hw: Hw,
    start: StartApp,
    machine: Machine,
    app: Option<Box<dyn App>>,
    step: Option<Step>,
    /// How the step that runs ahead will end, if not by waiting for the next event.
    ending: Option<Stop>,
    supply: Supply,
    supply_asked: bool,
    back_feed_mv: u32,
    tripped: bool,
    powered: bool,
    ram_lost: bool,
    nrst_bench: bool,
    nrst_probe: bool,
    cause: Cause,
    boots: u32,
    front_done: [usize; 2],
    rx_free: [u64; 2],
    wire: Wire,
    swj_ns: u64,
    ram_words: BTreeMap<u32, u32>,
    crash: crash::Store,
    link: bool,
    knocks: u64,
    outside: Option<Rc<RefCell<dyn Outside>>>,
}

impl World {
    /// A unit as it left the factory, without power, at time 0.
    pub fn new(setup: &Setup) -> Self {
        Self::with_app(setup, crate::app::start)
    }
    /// As [`World::new`], with another application than the product's.
    pub fn with_app(setup: &Setup, start: StartApp) -> Self {
        let fixed = Rc::new(Fixed {
            otp: factory::otp(setup),
            defects: setup.defects,
            seed: setup.seed,
            verified: crate::verify_cache::VerifyCache::default(),
        });
        let image = factory::flash(setup, &fixed.otp);
        Self {
            now: 0,
            hw: Hw { state: State::cold(crate::flash::Flash::new(image, setup.medium())), lines: Lines::default(), fixed, cut: None, armed: None },
            start,
            machine: Machine::Off,
            app: None,
            step: None,
            ending: None,
            supply: Supply::off(),
            supply_asked: false,
            back_feed_mv: 0,
            tripped: false,
            powered: false,
            ram_lost: true,
            nrst_bench: false,
            nrst_probe: false,
            cause: Cause::PowerOn,
            boots: 0,
            front_done: [0; 2],
            rx_free: [0; 2],
            wire: Wire::new(LockRules::of(|name| setup.defects.iter().any(|d| d.name() == name))),
            swj_ns: 250,
            ram_words: BTreeMap::new(),
            crash: crash::Store::default(),
            link: false,
            knocks: 0,
            outside: None,
        }
    }

    /// Virtual time in nanoseconds.
    pub fn now(&self) -> u64 {
        self.now
    }
    /// Lets time pass until `until`; earlier times do nothing.
    pub fn advance(&mut self, until: u64) {
        while let Some((at, event)) = self.next_event()
            && at <= until
        {
            self.now = self.now.max(at);
            self.dispatch(event);
        }
        self.now = self.now.max(until);
    }
    /// Lets time pass until `uart` has sent something (at least one whole chunk that firmware printed, where it ends in time), or until `until`.
    /// Says whether there is something to take.
    pub fn advance_until_output(&mut self, uart: Uart, until: u64) -> bool {
        loop {
            let chunk = self.chunk_end(uart);
            if chunk.is_some_and(|t| t <= self.now) {
                return true;
            }
            let event = self.next_event().map(|(at, _)| at);
            let next = [chunk, event].into_iter().flatten().min().unwrap_or(u64::MAX);
            if next > until {
                self.advance(until);
                return self.has_output(uart);
            }
            self.advance(next);
        }
    }
    /// Lets one thing happen, if it happens by `until`; otherwise lets time pass until then. Says whether something happened.
    pub fn advance_one(&mut self, until: u64) -> bool {
        match self.next_event() {
            Some((at, event)) if at <= until => {
                self.now = self.now.max(at);
                self.dispatch(event);
                true
            }
            _ => {
                self.now = self.now.max(until);
                false
            }
        }
    }
    /// When the next thing happens by itself, or the next word of the device is out, if one is to come: until then nothing is missed by letting time pass
    /// at once. Firmware that runs ahead is seen outside by its words and its flash operations, each at its time, and by the end of its step.
    pub fn next_at(&mut self) -> Option<u64> {
        let event = self.next_event().map(|(at, _)| at);
        let step = (self.hw.state.now > self.now && self.machine == Machine::Running).then_some(self.hw.state.now);
        let lines = &self.hw.lines;
        let words = Uart::ALL.map(|uart| self.chunk_end(uart));
        let flash = lines.timed.front().map(|op| op.start_ns);
        let (datagram, net) = (lines.net_tx.front().map(|(at, _)| *at), lines.link_tx.front().map(|(at, _)| *at));
        [event, step, words[0], words[1], flash, datagram, net].into_iter().flatten().min().map(|at| at.max(self.now))
    }
    /// Number of starts so far.
    pub fn boots(&self) -> u32 {
        self.boots
    }
    /// What the device has and has not of the list of defects and twins.
    pub fn defects(&self) -> Defects {
        self.hw.fixed.defects
    }
    /// The medium profile.
    pub fn medium(&self) -> Medium {
        self.hw.state.flash.medium()
    }
    /// Content of the flash. While the device runs this may be ahead of bench time by the step that is under way.
    pub fn flash(&self) -> &FlashImage {
        self.hw.state.flash.image()
    }
    /// Replaces the whole content with one that [`World::flash`] gave. Refused (`false`) while the device has power.
    pub fn set_flash(&mut self, image: FlashImage) -> bool {
        if self.powered {
            return false;
        }
        self.hw.state.flash = crate::flash::Flash::new(image, self.medium());
        true
    }
    /// An external programmer replaces bytes, erasing as needed. Refused (`false`) while the device has power or past the end of the flash.
    pub fn write_flash(&mut self, offset: u32, bytes: &[u8]) -> bool {
        let fits = u64::from(offset) + bytes.len() as u64 <= u64::from(crate::layout::SIZE);
        if self.powered || !fits {
            return false;
        }
        let mut image = self.flash().clone();
        image.put(offset, bytes);
        self.medium().adopt(&mut image);
        self.set_flash(image)
    }
    /// Keeps a time line of flash operations from now on, for [`World::take_flash_ops`].
    pub fn keep_flash_ops(&mut self, keep: bool) {
        self.hw.lines.keep_timed = keep;
    }
    /// Flash operations that have begun by now, in order, each once.
    pub fn take_flash_ops(&mut self) -> Vec<TimedOp> {
        let mut ops = Vec::new();
        while self.hw.lines.timed.front().is_some_and(|op| op.start_ns <= self.now) {
            ops.extend(self.hw.lines.timed.pop());
        }
        ops
    }
    /// What the indicator shows.
    pub fn led(&self) -> &'static str {
        if !self.powered {
            return "off";
        }
        self.hw.lines.leds.iter().rev().find(|(at, _)| *at <= self.now).map_or("off", |(_, shows)| *shows)
    }
    /// Presses or releases the button `reset`.
    pub fn set_button(&mut self, pressed: bool) {
        if self.hw.lines.button.last().is_some_and(|(_, level)| *level) == pressed {
            return;
        }
        self.hw.lines.button.push((self.now, pressed));
        if self.hw.state.button_polled >= self.now {
            self.rerun(None);
        }
    }

    /// Whether the device executes (or would, were it not waiting for an event).
    pub fn is_running(&self) -> bool {
        self.machine == Machine::Running
    }

    fn next_event(&mut self) -> Option<(u64, Event)> {
        let rail = self.next_rail_event();
        let machine = self.next_machine_event();
        let outside = self.next_outside().map(|at| (at, Event::Outside));
        [rail, machine, outside].into_iter().flatten().min_by_key(|(at, _)| *at).map(|(at, e)| (at.max(self.now), e))
    }

    fn next_machine_event(&mut self) -> Option<(u64, Event)> {
        if self.wire.core_halted() {
            return None;
        }
        let idle = self.hw.state.now;
        match self.machine {
            Machine::Off | Machine::Held => None,
            Machine::Starting(at) => Some((at, Event::Start)),
            Machine::Caught => Some((self.now, Event::Run)),
            Machine::Stuck(bites) => bites.map(|at| (at, Event::Bite)),
            Machine::Running => {
                if let Some(stop) = self.ending {
                    return Some((idle, Event::StepEnds(stop)));
                }
                let timer = self.app.as_ref().and_then(|a| a.next_timer()).map(|at| (at, Event::Timer));
                let button = self.hw.lines.button.get(self.hw.state.button_taken).map(|(at, _)| (*at, Event::Button));
                let inputs = Uart::ALL.map(|u| self.next_rx(u).map(|at| (at, Event::Input(u))));
                let datagram = self.next_datagram().map(|at| (at, Event::Datagram));
                let net = self.next_net().map(|at| (at, Event::Net));
                let events = [timer, button, inputs[0], inputs[1], datagram, net];
                events.into_iter().flatten().map(|(at, e)| (at.max(idle), e)).min_by_key(|(at, _)| *at)
            }
        }
    }

    fn dispatch(&mut self, event: Event) {
        match event {
            Event::RailFell | Event::RamForgot | Event::RailRose | Event::DipEnds => self.dispatch_rail(event),
            Event::Start => self.latch(),
            Event::Run => self.begin(step::Kind::Boot),
            Event::StepEnds(stop) => self.step_ends(stop),
            Event::Timer => self.begin(step::Kind::Timer),
            Event::Button => self.begin(step::Kind::Button),
            Event::Input(uart) => self.begin(step::Kind::Input(uart)),
            Event::Datagram => self.begin(step::Kind::Datagram),
            Event::Net => self.begin(step::Kind::Net),
            Event::Outside => self.serve_outside(),
            Event::Bite => self.reset(Cause::Watchdog),
        }
    }

    fn step_ends(&mut self, stop: Stop) {
        self.ending = None;
        self.app = None;
        match stop {
            Stop::Reset(cause) => self.reset(cause),
            Stop::PowerLost => self.trip(),
            Stop::Hang | Stop::Crash => {
                let bites = self.hw.state.watchdog.then_some(self.hw.state.fed + WATCHDOG_NS);
                self.halt_machine(Machine::Stuck(bites));
            }
            Stop::Halt => self.halt_machine(Machine::Stuck(None)),
        }
    }

    fn halt_machine(&mut self, machine: Machine) {
        self.machine = machine;
        self.app = None;
        self.step = None;
        self.ending = None;
    }

    /// A reset begins now and ends soon.
    fn reset(&mut self, cause: Cause) {
        self.halt_machine(Machine::Starting(self.now + RESET_NS));
        self.cause = cause;
        if self.nrst_bench || self.nrst_probe {
            self.machine = Machine::Held;
        }
    }

    /// A reset ends: hardware latches the life cycle, and firmware starts unless a debugger catches it.
    fn latch(&mut self) {
        let s = &mut self.hw.state;
        let life = s.flash.image().word(crate::layout::LIFE_CYCLE.offset);
        let forgets = self.cause == Cause::Watchdog && self.hw.fixed.defects.has(crate::Defect::LockLostOnWatchdog);
        s.secured = life == Some(crate::layout::LIFE_SECURED) && !forgets;
        let seed = self.hw.fixed.seed;
        s.boot_id = (crate::mix(seed ^ crate::mix(u64::from(self.boots) + 1)) >> 32) as u32;
        s.rng = crate::mix(seed ^ s.flash.image().digest() as u64);
        s.cause = self.cause;
        (s.now, s.fed, s.watchdog) = (self.now, self.now, false);
        s.net_up = u64::MAX;
        s.restart_module(self.link, self.hw.lines.link_rx.mark());
        (s.tx_free, s.uart_open, s.button_taken) = ([self.now; 2], [self.now; 2], self.hw.lines.button.len());
        self.boots = self.boots.wrapping_add(1);
        let secured = s.secured;
        self.machine = Machine::Caught;
        self.wire.system_reset(self.now, secured);
    }
}

impl State {
    fn cold(flash: crate::flash::Flash) -> Self {
        Self {
            now: 0,
            flash,
            ram: NoInit::default(),
            rng: 0,
            ops: 0,
            fed: 0,
            watchdog: false,
            cause: Cause::PowerOn,
            boot_id: 0,
            tx_free: [0; 2],
            taken: [0; 2],
            polled: [0; 2],
            uart_open: [0; 2],
            breaks: [0; 2],
            net_up: u64::MAX,
            net_taken: 0,
            module: crate::hw::net::Module::default(),
            button_polled: 0,
            button_taken: 0,
            secured: true,
        }
    }
}
