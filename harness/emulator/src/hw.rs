//! What firmware sees of its world: flash, time, UARTs, chance, OTP, RAM that outlives a reset, watchdog, button, LED.
//!
//! Firmware is plain synchronous code. Everything that takes time may return a [`Stop`], and firmware hands it up with `?`: that is how power loss and
//! reset take effect, and all its ordinary RAM is dropped on the way. Firmware holds no state but its own values and what it can read through [`Hw`].

pub mod net;

use crate::defects::{Defect, Defects};
use crate::flash::{Fault, Flash, Op, TimedOp};
use crate::layout::{PAGE, SECTOR};
use crate::timeline::Timeline;
use crate::verify_cache::VerifyCache;
use proofbench_channel::Tear;
use std::fmt;
use std::rc::Rc;

/// Nanoseconds in a millisecond.
pub const MS: u64 = 1_000_000;
/// A page takes this long to program.
pub const PROGRAM_NS: u64 = 400_000;
/// A sector takes this long to erase.
pub const ERASE_NS: u64 = 40 * MS;
/// A write cache takes this long to flush.
pub const FLUSH_NS: u64 = 100_000;
/// The watchdog bites when it was not fed for this long.
pub const WATCHDOG_NS: u64 = 500 * MS;

/// The device's serial ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Uart {
    /// UART0, 115 200 baud: boot log, login, shell.
    Console,
    /// UART1, 1 Mbaud: SMP.
    Update,
}

impl Uart {
    /// Both.
    pub const ALL: [Uart; 2] = [Uart::Console, Uart::Update];
    /// Time of one byte on the line: ten bits.
    pub const fn byte_ns(self) -> u64 {
        match self {
            Uart::Console => 86_806,
            Uart::Update => 10_000,
        }
    }
}

/// Why the device started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// Supply came up; RAM is lost.
    PowerOn,
    /// Reset pin.
    Pin,
    /// Watchdog.
    Watchdog,
    /// Firmware (or a debugger) asked for it.
    Software,
    /// Supply dipped; RAM is kept.
    BrownOut,
}

impl Cause {
    /// The word of the boot log.
    pub const fn name(self) -> &'static str {
        match self {
            Cause::PowerOn => "power-on",
            Cause::Pin => "pin",
            Cause::Watchdog => "watchdog",
            Cause::Software => "software",
            Cause::BrownOut => "brown-out",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why firmware does not go on. It passes this up and never looks inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The supply fell below the brown-out level.
    PowerLost,
    /// A reset.
    Reset(Cause),
    /// The firmware hangs; the watchdog will bite if it runs.
    Hang,
    /// A fault of the processor: as good as a hang.
    Crash,
    /// The loader stopped for good, with the watchdog off.
    Halt,
}

/// What came in on a UART.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Bytes, one chunk as the bench sent it.
    Bytes(Vec<u8>),
    /// A BREAK.
    Break,
}

/// Data burnt at manufacture: in no flash dump, never changed.
#[derive(Debug, Clone)]
pub struct Otp {
    /// Unit number.
    pub unit: u32,
    /// `TH1-0001`.
    pub serial: String,
    /// Key of this unit, from which it derives all others.
    pub root_key: [u8; 32],
    /// Secret on the label of this unit.
    pub label_secret: String,
    /// Public keys that sign firmware.
    pub keys: crate::keys::Keys,
}

/// RAM that start-up code does not initialise: kept over resets, lost with power.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoInit {
    /// The canary that the application plants; `None` when RAM came up random.
    pub canary: Option<u32>,
    /// The loader's own canary.
    pub loader_canary: Option<u32>,
    /// Static variable of the loader (used by a defect only).
    pub loader_step: Option<(u8, u8)>,
    /// Words that firmware wants to find again after a reset.
    pub words: [u32; 4],
}

/// A datagram on the device's network: one SMP message, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// The bench's name for the other end; an answer carries the name of the request.
    pub peer: u64,
    /// What it says.
    pub bytes: Vec<u8>,
}

#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) start: u64,
    pub(crate) bytes: Vec<u8>,
}

/// The processor, its memories and peripherals.
#[derive(Debug, Clone)]
pub struct Hw {
    pub(crate) state: State,
    pub(crate) lines: Lines,
    pub(crate) fixed: Rc<Fixed>,
    /// An external event that stops firmware at a time that is already known.
    pub(crate) cut: Option<(u64, Stop)>,
    /// A cut at a storage operation of the recording.
    pub(crate) armed: Option<(u32, Tear)>,
}

/// What a re-run of a step restores.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) now: u64,
    pub(crate) flash: Flash,
    pub(crate) ram: NoInit,
    pub(crate) rng: u64,
    pub(crate) ops: u64,
    pub(crate) fed: u64,
    pub(crate) watchdog: bool,
    pub(crate) cause: Cause,
    pub(crate) boot_id: u32,
    pub(crate) tx_free: [u64; 2],
    pub(crate) taken: [u64; 2],
    pub(crate) polled: [u64; 2],
    pub(crate) uart_open: [u64; 2],
    /// BREAKs that firmware took, a UART each.
    pub(crate) breaks: [u32; 2],
    /// When firmware brought the network up; never while it boots.
    pub(crate) net_up: u64,
    pub(crate) net_taken: u64,
    pub(crate) module: net::Module,
    pub(crate) button_polled: u64,
    pub(crate) button_taken: usize,
    pub(crate) secured: bool,
}

/// What a re-run rewinds instead of restoring.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lines {
    pub(crate) tx: [Timeline<Sent>; 2],
    pub(crate) leds: Timeline<(u64, &'static str)>,
    pub(crate) timed: Timeline<TimedOp>,
    pub(crate) keep_timed: bool,
    pub(crate) recorded: Option<Vec<(u64, Op)>>,
    pub(crate) rx: [Timeline<(u64, Input)>; 2],
    pub(crate) net_rx: Timeline<(u64, Datagram)>,
    pub(crate) net_tx: Timeline<(u64, Datagram)>,
    pub(crate) link_rx: Timeline<(u64, net::NetIn)>,
    pub(crate) link_tx: Timeline<(u64, net::NetOut)>,
    /// Times at which the button changed, with its new level.
    pub(crate) button: Vec<(u64, bool)>,
}

#[derive(Debug)]
pub(crate) struct Fixed {
    pub(crate) otp: Otp,
    pub(crate) defects: Defects,
    pub(crate) seed: u64,
    pub(crate) verified: VerifyCache,
}

impl Hw {
    /// Virtual time of the processor.
    pub fn now(&self) -> u64 {
        self.state.now
    }
    /// Whether the device has a defect or twin.
    pub fn defect(&self, d: Defect) -> bool {
        self.fixed.defects.has(d)
    }
    /// Data burnt at manufacture.
    pub fn otp(&self) -> &Otp {
        &self.fixed.otp
    }
    /// Why the device started this time.
    pub fn cause(&self) -> Cause {
        self.state.cause
    }
    /// Number of this start, for the boot log; never put it into flash.
    pub fn boot_id(&self) -> u32 {
        self.state.boot_id
    }
    /// Whether the life-cycle word said "secured" at reset.
    pub fn secured(&self) -> bool {
        self.state.secured
    }
    /// RAM that outlives a reset.
    pub fn ram(&mut self) -> &mut NoInit {
        &mut self.state.ram
    }
    /// Results of image verification, by content.
    pub(crate) fn verified(&self) -> &VerifyCache {
        &self.fixed.verified
    }

    /// Reads flash. A word that the medium cannot deliver is an error; nothing is promised of `into` then.
    pub fn read(&self, off: u32, into: &mut [u8]) -> Result<(), Fault> {
        self.state.flash.read(off, into)
    }
    /// Programs flash, one operation a page; offset and length are multiples of 16. What the medium refuses is left as it was: read it back.
    /// Cells of [`crate::layout::CELL`] bytes written once per erase work on every medium.
    pub fn write(&mut self, off: u32, data: &[u8]) -> Result<(), Stop> {
        let mut done = 0;
        while done < data.len() {
            let at = off + done as u32;
            let n = ((PAGE - at % PAGE) as usize).min(data.len() - done);
            self.op(Op::Write { off: at, data: Rc::from(&data[done..done + n]) }, PROGRAM_NS)?;
            done += n;
        }
        Ok(())
    }
    /// Programs and reads back: whether the flash now holds `data`.
    pub fn program(&mut self, off: u32, data: &[u8]) -> Result<bool, Stop> {
        self.write(off, data)?;
        Ok(self.holds(off, data))
    }
    /// Names the content of a range as it reads during this power-on: equal keys mean equal readings.
    pub(crate) fn view_key(&self, off: u32, len: u32) -> u128 {
        self.state.flash.view_key(off, len)
    }
    /// Whether flash reads as `data`.
    pub fn holds(&self, off: u32, data: &[u8]) -> bool {
        let mut page = [0; PAGE as usize];
        data.chunks(PAGE as usize).zip((off..).step_by(PAGE as usize)).all(|(part, at)| {
            let page = &mut page[..part.len()];
            self.read(at, page).is_ok() && page == part
        })
    }
    /// Whether a range reads as erased.
    pub fn is_blank(&self, off: u32, len: u32) -> bool {
        let mut page = [0; PAGE as usize];
        (off..off + len).step_by(PAGE as usize).all(|at| {
            let page = &mut page[..(off + len - at).min(PAGE) as usize];
            self.read(at, page).is_ok() && page.iter().all(|b| *b == 0xFF)
        })
    }
    /// Whether this part lets a word be programmed again with the same or fewer bits (plain NOR), as the firmware's build for the part knows.
    pub fn rewritable(&self) -> bool {
        self.state.flash.medium().rewritable()
    }
    /// Erases the sector at `off`.
    pub fn erase(&mut self, off: u32) -> Result<(), Stop> {
        self.op(Op::Erase { off: off / SECTOR * SECTOR }, ERASE_NS)
    }
    /// Makes writes safe on media with a cache; free of charge elsewhere.
    pub fn flush(&mut self) -> Result<(), Stop> {
        if self.state.flash.medium().has_cache() { self.op(Op::Flush, FLUSH_NS) } else { Ok(()) }
    }
    fn op(&mut self, op: Op, takes: u64) -> Result<(), Stop> {
        if !crate::flash::well_formed(&op) {
            return Err(Stop::Crash);
        }
        self.check(0)?;
        let s = &mut self.state;
        let end = s.now + takes;
        let recorded = self.lines.recorded.as_ref().map(|r| r.len() as u32);
        if let (Some((at, tear)), Some(recorded)) = (self.armed, recorded)
            && at == recorded
        {
            s.flash.lose_power(Some(&op), tear);
            return Err(Stop::PowerLost);
        }
        s.ops += 1;
        if let Some((at, Stop::PowerLost)) = self.cut
            && at < end
        {
            let through = ((at.saturating_sub(s.now)) * 256 / takes) as u32;
            s.flash.lose_power_at(Some((&op, through)), at ^ s.ops << 40);
            s.now = at;
            self.log(op, end - takes, at);
            return Err(Stop::PowerLost);
        }
        s.flash.apply(&op);
        self.log(op, end - takes, end);
        self.advance(takes)
    }
    fn log(&mut self, op: Op, start_ns: u64, end_ns: u64) {
        if self.lines.keep_timed {
            self.lines.timed.push(TimedOp { start_ns, end_ns, op: op.clone() });
        }
        if let Some(recorded) = &mut self.lines.recorded {
            recorded.push((start_ns, op));
        }
    }
    /// Spends time.
    pub fn delay(&mut self, ns: u64) -> Result<(), Stop> {
        self.advance(ns)
    }
    fn advance(&mut self, ns: u64) -> Result<(), Stop> {
        self.check(ns)?;
        self.state.now += ns;
        Ok(())
    }
    /// Stops firmware if something stops it within the next `ns`.
    fn check(&mut self, ns: u64) -> Result<(), Stop> {
        let until = self.state.now + ns;
        let bite = self.state.watchdog.then(|| self.state.fed + WATCHDOG_NS).filter(|t| *t <= until).map(|t| (t, Stop::Reset(Cause::Watchdog)));
        let cut = self.cut.filter(|(t, _)| *t <= until);
        let first = [cut, bite].into_iter().flatten().min_by_key(|(t, _)| *t);
        let Some((at, stop)) = first else { return Ok(()) };
        self.state.now = self.state.now.max(at);
        if stop == Stop::PowerLost {
            self.state.flash.lose_power_at(None, at);
        }
        Err(stop)
    }

    /// Sends bytes. They leave one after the other at line speed while firmware goes on; a full second of backlog makes it wait.
    pub fn print(&mut self, uart: Uart, bytes: &[u8]) -> Result<(), Stop> {
        if bytes.is_empty() {
            return Ok(());
        }
        let s = &mut self.state;
        let start = s.tx_free[uart as usize].max(s.now);
        s.tx_free[uart as usize] = start + bytes.len() as u64 * uart.byte_ns();
        self.lines.tx[uart as usize].push(Sent { start, bytes: bytes.to_vec() });
        let wait = start.saturating_sub(s.now + 1000 * MS);
        self.feed();
        self.advance(wait.min(WATCHDOG_NS / 2))
    }
    /// Sends a line of text.
    pub fn println(&mut self, uart: Uart, line: &str) -> Result<(), Stop> {
        self.print(uart, format!("{line}\r\n").as_bytes())
    }
    /// Waits until everything has left.
    pub fn drain(&mut self, uart: Uart) -> Result<(), Stop> {
        for _ in 0..100_000 {
            let left = self.state.tx_free[uart as usize].saturating_sub(self.state.now);
            if left == 0 {
                break;
            }
            self.feed();
            self.advance(left.min(WATCHDOG_NS / 2))?;
        }
        Ok(())
    }
    /// What has come in by now, for code that looks at a UART while it works (a loader's prompt). Ordinary input comes through the application's events.
    pub fn poll(&mut self, uart: Uart) -> Option<Input> {
        let u = uart as usize;
        self.state.polled[u] = self.state.polled[u].max(self.state.now);
        self.next_input(uart)
    }
    /// The next input that arrived by now, if the UART was open when it did.
    pub(crate) fn next_input(&mut self, uart: Uart) -> Option<Input> {
        let u = uart as usize;
        let queue = &self.lines.rx[u];
        let first = queue.first_number();
        for (number, (at, input)) in (first..).zip(queue.iter()) {
            if number < self.state.taken[u] {
                continue;
            }
            if *at > self.state.now {
                return None;
            }
            self.state.taken[u] = number + 1;
            if *at >= self.state.uart_open[u] {
                self.state.breaks[u] += u32::from(*input == Input::Break);
                return Some(input.clone());
            }
        }
        None
    }
    /// Starts to listen: what came in before is lost, as on a UART that was not set up yet.
    pub fn open_uart(&mut self, uart: Uart) {
        self.state.uart_open[uart as usize] = self.state.now;
    }
    /// Brings the network up: what came in before is lost.
    pub fn open_net(&mut self) {
        self.state.net_up = self.state.now;
    }
    /// The next datagram that arrived by now.
    pub(crate) fn next_datagram(&mut self) -> Option<Datagram> {
        let queue = &self.lines.net_rx;
        for (number, (at, datagram)) in (queue.first_number()..).zip(queue.iter()) {
            if number < self.state.net_taken {
                continue;
            }
            if *at > self.state.now {
                return None;
            }
            self.state.net_taken = number + 1;
            if *at >= self.state.net_up {
                return Some(datagram.clone());
            }
        }
        None
    }
    /// Sends a datagram. It leaves at once; nobody is told whether it arrives.
    pub fn send_datagram(&mut self, datagram: Datagram) {
        let now = self.state.now;
        self.lines.net_tx.push((now, datagram));
    }
    /// Level of the button now.
    pub fn button(&mut self) -> bool {
        self.state.button_polled = self.state.now;
        self.lines.button.iter().rev().find(|(at, _)| *at <= self.state.now).is_some_and(|(_, level)| *level)
    }
    /// Chance: a function of seed, flash content at reset and what was asked before, so that a crash state always goes on in the same way.
    pub fn rng(&mut self) -> u64 {
        self.state.rng = self.state.rng.wrapping_add(0x9e37_79b9_7f4a_7c15);
        crate::mix(self.state.rng)
    }
    /// Random bytes.
    pub fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.rng().to_le_bytes()[..chunk.len()]);
        }
        bytes
    }
    /// Shows on the indicator: `green`, `amber`, `red`, `red blink`, `off`.
    pub fn led(&mut self, shows: &'static str) {
        let now = self.state.now;
        self.lines.leds.push((now, shows));
    }
    /// Starts the watchdog; only a reset stops it.
    pub fn start_watchdog(&mut self) {
        self.state.watchdog = true;
        self.state.fed = self.state.now;
    }
    /// Feeds the watchdog. Waiting for the next event feeds it too.
    pub fn feed(&mut self) {
        self.state.fed = self.state.now;
    }
    /// Restarts. Returns the `Stop` to pass up; what was printed goes out first.
    pub fn request_reset(&mut self, cause: Cause) -> Stop {
        for uart in Uart::ALL {
            if let Err(stop) = self.drain(uart) {
                return stop;
            }
        }
        Stop::Reset(cause)
    }
}
