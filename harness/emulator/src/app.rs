//! The application: login and shell on the console, SMP on the update port and in datagrams, the button, and the stores behind them.
//!
//! Faults that it must survive: a stop at any operation, torn and unstable flash, any content of its stores, any bytes on either port. Everything it
//! acknowledges is in flash for good. Where a comment says `defect`, `control` or `twin`, the branch is one of [`crate::defects::ALL`]; the code
//! beside it is the conforming way.

mod line;
pub mod log;
mod net;
mod reset;
pub mod seal;
mod shell;
pub mod smp;
mod start;
pub mod stores;
#[cfg(test)]
mod testing;
mod update;
mod upload;

use crate::defects::Defect;
use crate::firmware::{App, BootInfo};
use crate::hw::net::NetIn;
use crate::hw::{Cause, Datagram, Hw, Otp, Stop, Uart};
use crate::layout::{COUNTERS, SETTINGS, USER_DATA};
use std::collections::VecDeque;

/// The thermostat's firmware in its event loop.
#[derive(Clone)]
pub struct Thermostat {
    info: BootInfo,
    stores: stores::Stores,
    editor: line::Editor,
    stage: shell::Stage,
    empty_lines: u32,
    locked_until: Option<u64>,
    receiver: smp::frame::Receiver,
    upload: update::Upload,
    /// A reset that was asked for and answered, about to happen.
    restart: Option<Cause>,
    held_until: Option<u64>,
    net: net::Net,
    /// Defect hangs-without-names: nothing is answered any more.
    stuck: bool,
    /// Defect latency-blocks-local: what waits until the service has answered.
    backlog: VecDeque<Waiting>,
    /// When this start no longer counts as a quick one (defect power-cycles-reset).
    settles_at: Option<u64>,
}

impl Thermostat {
    fn new(info: BootInfo, stores: stores::Stores, now: u64) -> Self {
        Self {
            settles_at: (stores.quick_cycles() > 0).then_some(now + start::SETTLED_NS),
            info,
            stores,
            editor: line::Editor::default(),
            stage: shell::Stage::User,
            empty_lines: 0,
            locked_until: None,
            receiver: smp::frame::Receiver::default(),
            upload: update::Upload::default(),
            restart: None,
            held_until: None,
            net: net::Net::default(),
            stuck: false,
            backlog: VecDeque::new(),
        }
    }
}

/// Something that a main loop comes to when it is free.
#[derive(Debug, Clone)]
enum Waiting {
    Input(Uart, Vec<u8>),
    Net(NetIn),
}

/// Things that wait; a queue has no room for more.
const WAITING_MOST: usize = 64;

impl Thermostat {
    /// Defect latency-blocks-local: the main loop stands in a read from the socket.
    fn is_blocked(&self, hw: &Hw) -> bool {
        hw.defect(Defect::LatencyBlocksLocal) && self.net.cloud.waits()
    }
    fn wait_for_service(&mut self, what: Waiting) {
        if self.backlog.len() < WAITING_MOST {
            self.backlog.push_back(what);
        }
    }
    /// Comes to what waited, until the service is waited for again.
    fn catch_up(&mut self, hw: &mut Hw) -> Result<(), Stop> {
        while !self.is_blocked(hw)
            && let Some(what) = self.backlog.pop_front()
        {
            match what {
                Waiting::Input(uart, bytes) => self.on_input(hw, uart, &bytes)?,
                Waiting::Net(what) => self.on_net_event(hw, what)?,
            }
        }
        Ok(())
    }
}

/// Whose news these are, where they are a connection's.
fn conn_of(what: &NetIn) -> Option<u64> {
    match what {
        NetIn::Opened(conn) | NetIn::Failed(conn, _) | NetIn::Data(conn, _) | NetIn::Ended(conn) => Some(*conn),
        NetIn::Accepted { conn, .. } => Some(*conn),
        NetIn::Link(_) | NetIn::Datagram { .. } => None,
    }
}

impl App for Thermostat {
    fn on_input(&mut self, hw: &mut Hw, uart: Uart, bytes: &[u8]) -> Result<(), Stop> {
        if self.stuck {
            return Ok(());
        }
        if self.is_blocked(hw) {
            self.wait_for_service(Waiting::Input(uart, bytes.to_vec()));
            return Ok(());
        }
        match uart {
            Uart::Console => self.on_console(hw, bytes),
            Uart::Update => self.on_update(hw, bytes),
        }
    }
    fn on_datagram(&mut self, hw: &mut Hw, datagram: &Datagram) -> Result<(), Stop> {
        self.on_smp_datagram(hw, datagram)
    }
    fn on_net(&mut self, hw: &mut Hw, what: NetIn) -> Result<(), Stop> {
        if self.is_blocked(hw) && conn_of(&what).is_some_and(|conn| !self.net.cloud.is_its(conn)) {
            self.wait_for_service(Waiting::Net(what));
            return Ok(());
        }
        self.on_net_event(hw, what)?;
        self.catch_up(hw)
    }
    fn on_button(&mut self, hw: &mut Hw, pressed: bool) -> Result<(), Stop> {
        self.button(hw, pressed);
        Ok(())
    }
    fn next_timer(&self) -> Option<u64> {
        [self.held_until, self.settles_at, self.net_timer()].into_iter().flatten().min()
    }
    fn on_timer(&mut self, hw: &mut Hw) -> Result<(), Stop> {
        if self.settles_at.is_some_and(|at| at <= hw.now()) {
            self.settles_at = None;
            if hw.defect(Defect::PowerCyclesReset) {
                self.stores.set_quick_cycles(hw, 0)?;
            }
        }
        if self.held_until.is_some_and(|at| at <= hw.now()) {
            self.button_held(hw)?;
        }
        self.on_net_timer(hw)?;
        self.catch_up(hw)
    }
    fn boxed_clone(&self) -> Box<dyn App> {
        Box::new(self.clone())
    }
}

/// Starts the application: prints its first lines up to `APP ready` and the first prompt, and returns it.
pub fn start(hw: &mut Hw, info: &BootInfo) -> Result<Box<dyn App>, Stop> {
    Ok(Box::new(start::start(hw, info)?))
}

/// The stores as the factory programs them: empty, with the unit's first salt. Offset and bytes.
pub fn factory_stores(otp: &Otp) -> [(u32, Vec<u8>); 3] {
    let empty = log::factory_bank(&[]);
    [(SETTINGS.offset, stores::factory_settings(&otp.root_key)), (USER_DATA.offset, empty.clone()), (COUNTERS.offset, empty)]
}
