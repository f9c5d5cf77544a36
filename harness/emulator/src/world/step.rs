//! Steps of firmware that run ahead of bench time, and how one is run again when the bench interferes.

use super::{Machine, World};
use crate::firmware::App;
use crate::hw::{Input, State, Stop, Uart};

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Boot,
    Timer,
    Button,
    Input(Uart),
    Datagram,
    Net,
}

/// Enough to run a step again.
pub(super) struct Step {
    kind: Kind,
    state: State,
    app: Option<Box<dyn App>>,
    tx: [u64; 2],
    net: u64,
    link: u64,
    leds: u64,
    timed: u64,
    recorded: usize,
}

/// Firmware that does nothing for ever still takes time.
const LEAST_NS: u64 = 1_000;

impl World {
    /// Begins a step now. Firmware is idle.
    pub(super) fn begin(&mut self, kind: Kind) {
        self.tidy();
        let hw = &mut self.hw;
        hw.state.now = hw.state.now.max(self.now);
        // Waiting for an event fed the watchdog.
        hw.state.fed = hw.state.now;
        let lines = &hw.lines;
        self.step = Some(Step {
            kind,
            state: hw.state.clone(),
            app: self.app.as_ref().map(|a| a.boxed_clone()),
            tx: [lines.tx[0].mark(), lines.tx[1].mark()],
            net: lines.net_tx.mark(),
            link: lines.link_tx.mark(),
            leds: lines.leds.mark(),
            timed: lines.timed.mark(),
            recorded: lines.recorded.as_ref().map_or(0, Vec::len),
        });
        self.machine = Machine::Running;
        self.run(kind);
    }

    fn run(&mut self, kind: Kind) {
        // What is known to come: the end of the supply.
        let known = self.hw.cut;
        if known.is_none() {
            self.hw.cut = self.rail_end().map(|at| (at, Stop::PowerLost));
        }
        let began = self.hw.state.now;
        let result = self.execute(kind);
        let external = self.hw.cut.filter(|(at, stop)| result == Err(*stop) && self.hw.state.now >= *at).is_some();
        self.hw.cut = known;
        // An end that the bench causes comes as the bench's own event.
        self.ending = result.err().filter(|_| !external);
        if result.is_err() {
            self.app = None;
        } else {
            self.hw.state.now = self.hw.state.now.max(began + LEAST_NS);
        }
    }

    fn execute(&mut self, kind: Kind) -> Result<(), Stop> {
        let hw = &mut self.hw;
        if kind == Kind::Boot {
            self.app = Some(crate::boot::run(hw, self.start)?);
            return Ok(());
        }
        let Some(app) = self.app.as_mut() else { return Ok(()) };
        match kind {
            Kind::Boot => Ok(()),
            Kind::Timer => app.on_timer(hw),
            Kind::Button => {
                let level = hw.lines.button.get(hw.state.button_taken).is_some_and(|(_, level)| *level);
                hw.state.button_taken += 1;
                app.on_button(hw, level)
            }
            Kind::Input(uart) => match hw.next_input(uart) {
                Some(Input::Bytes(bytes)) => app.on_input(hw, uart, &bytes),
                Some(Input::Break) => app.on_break(hw, uart),
                None => Ok(()),
            },
            Kind::Datagram => match hw.next_datagram() {
                Some(datagram) => app.on_datagram(hw, &datagram),
                None => Ok(()),
            },
            Kind::Net => match hw.next_net() {
                Some(what) => app.on_net(hw, what),
                None => Ok(()),
            },
        }
    }

    /// Runs the step that is under way once more, with what has changed since, or with `cut`.
    pub(super) fn rerun(&mut self, cut: Option<(u64, Stop)>) {
        let Some(step) = self.step.as_ref() else { return };
        if self.hw.state.now <= self.now && cut.is_none() {
            return;
        }
        let kind = step.kind;
        self.hw.state = step.state.clone();
        self.app = step.app.as_ref().map(|a| a.boxed_clone());
        let lines = &mut self.hw.lines;
        lines.tx[0].rewind(step.tx[0]);
        lines.tx[1].rewind(step.tx[1]);
        lines.net_tx.rewind(step.net);
        lines.link_tx.rewind(step.link);
        lines.leds.rewind(step.leds);
        lines.timed.rewind(step.timed);
        if let Some(recorded) = &mut lines.recorded {
            recorded.truncate(step.recorded);
        }
        self.hw.cut = cut;
        self.run(kind);
        self.hw.cut = None;
    }

    /// Something outside stops the processor now: what firmware did ahead of time is undone, RAM contents of firmware are dropped.
    pub(super) fn interrupt(&mut self, stop: Stop) {
        if self.machine == Machine::Running && self.hw.state.now > self.now {
            self.rerun(Some((self.now, stop)));
        } else if stop == Stop::PowerLost {
            self.hw.state.flash.lose_power_at(None, self.now);
        }
        self.hw.state.now = self.now;
        self.cut_lines();
        self.halt_machine(Machine::Off);
    }

    /// Forgets what nobody can ask for any more.
    fn tidy(&mut self) {
        let hw = &mut self.hw;
        let now = self.now;
        while hw.lines.leds.iter().nth(1).is_some_and(|(at, _)| *at <= now) {
            hw.lines.leds.pop();
        }
        for (rx, taken) in hw.lines.rx.iter_mut().zip(hw.state.taken) {
            while rx.front().is_some() && rx.first_number() < taken {
                rx.pop();
            }
        }
        while hw.lines.net_rx.front().is_some() && hw.lines.net_rx.first_number() < hw.state.net_taken {
            hw.lines.net_rx.pop();
        }
        while hw.lines.link_rx.front().is_some() && hw.lines.link_rx.first_number() < hw.state.module.taken {
            hw.lines.link_rx.pop();
        }
        let seen = hw.state.button_taken.min(hw.lines.button.len().saturating_sub(1));
        if seen > 16 {
            hw.lines.button.drain(..seen);
            hw.state.button_taken -= seen;
        }
    }
}
