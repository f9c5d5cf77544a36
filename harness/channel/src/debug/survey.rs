//! The one procedure by which a debug port is looked at, whatever probe moves the wire.
//!
//! Every access is bracketed: sticky flags clear, access, CTRL/STAT. A driver that swallows a fault, or that leaves it for the next access,
//! changes nothing. Nothing is unlocked or erased, nothing is reset by a debugger unless the job grants it; core registers are put back, the core is let
//! go and the debug domain powered down at the end.

use super::dap::{Dap, DapFault, ap, dp};
use super::{ApSeen, Attach, Protocol, Said, Survey, SurveyJob};
use crate::{ChannelError, ErrorKind};
use std::time::Duration;

/// STICKYORUN, STICKYCMP, STICKYERR, WDATAERR.
const STICKY: u32 = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 7;
/// Clears all of them, through ABORT.
const CLEAR: u32 = 0x1E;
/// As [`CLEAR`], and gives up a transaction that answers WAIT.
const CLEAR_AND_ABORT: u32 = 0x1F;
const POWER_REQUEST: u32 = 0x5000_0000;
const POWER_ACK: u32 = 0xA000_0000;
const OVERRUN_DETECT: u32 = 1;

const CPUID: u32 = 0xE000_ED00;
const DHCSR: u32 = 0xE000_EDF0;
const DCRSR: u32 = 0xE000_EDF4;
const DCRDR: u32 = 0xE000_EDF8;
const DEMCR: u32 = 0xE000_EDFC;
const AIRCR: u32 = 0xE000_ED0C;
const SYSRESETREQ: u32 = 0x05FA_0004;
const DEBUG_KEY: u32 = 0xA05F_0000;
const S_REGRDY: u32 = 1 << 16;
const S_HALT: u32 = 1 << 17;
const S_RESET_ST: u32 = 1 << 25;
/// Numbers of registers in DCRSR.
const R0: u32 = 0;
const PC: u32 = 15;
const REGISTER_WRITE: u32 = 1 << 16;

/// Not a palindrome in bytes or bits, word aligned: a driver that swaps bytes is found out.
const MARK: u32 = 0x0102_0304;
/// Access ports identified between two looks at CTRL/STAT.
const BATCH: u8 = 16;
/// Reads of a status that should change at once.
const POLLS: usize = 20;
/// How long a power-up request may take to be acknowledged.
const POWER_UP: Duration = Duration::from_millis(50);
/// How long nRST is held where nothing is done meanwhile, and how long a part has to come out of it.
const HOLD: Duration = Duration::from_millis(2);
/// How long a reset that the core was asked for may take.
const RESET_WITHIN: Duration = Duration::from_millis(100);
/// Looks at it, should the probe's clock stand still.
const RESET_LOOKS: usize = 10_000;

/// Carries out `job`. `polling` is called once, when the first attempt has been made: from then on a race cannot be missed.
///
/// An `Err` is about the bench only; whatever the device says or does not say is in the survey. On `Err` nRST is released if the probe
/// still listens.
pub fn survey(dap: &mut dyn Dap, job: &SurveyJob, polling: &mut dyn FnMut()) -> Result<Survey, ChannelError> {
    let result = Surveyor::new(dap, job).run(polling);
    if result.is_err() {
        // The survey's own error is the one worth reporting; the probe may be gone altogether.
        if job.attach == Attach::ColdPlug {
            let _ = dap.hold_clock(false);
        }
        let _ = dap.nrst(false);
    }
    result
}

struct Surveyor<'a> {
    dap: &'a mut dyn Dap,
    job: &'a SurveyJob,
    seen: Survey,
    /// MEM-APs whose core was asked to halt and did.
    halted: Vec<u8>,
    /// MEM-APs whose DEMCR we changed, with its former value.
    caught: Vec<(u8, u32)>,
}

impl<'a> Surveyor<'a> {
    fn new(dap: &'a mut dyn Dap, job: &'a SurveyJob) -> Self {
        let seen = Survey::begun(job.clone());
        Self { dap, job, seen, halted: Vec::new(), caught: Vec::new() }
    }

    fn run(mut self, polling: &mut dyn FnMut()) -> Result<Survey, ChannelError> {
        let race = self.job.attach == Attach::PowerOnRace;
        if !race {
            self.measure();
        }
        let reached = match self.job.attach {
            Attach::Running => {
                let reached = self.attempt()?;
                polling();
                reached
            }
            Attach::UnderReset => {
                self.dap.nrst(true)?;
                let mut reached = self.attempt()?;
                polling();
                if !reached {
                    self.dap.nrst(false)?;
                    self.note("no answer while nRST is held; tried again right after release");
                    reached = self.attempt()?;
                }
                reached
            }
            Attach::ColdPlug => {
                self.plug_cold()?;
                let reached = self.attempt()?;
                polling();
                reached
            }
            Attach::PowerOnRace => self.race(polling)?,
        };
        if reached {
            self.access_ports()?;
            if self.job.software_reset {
                self.software_reset()?;
            }
            self.leave()?;
        } else if let Some(high) = self.dap.line()? {
            self.note(if high { "released line is high" } else { "released line is low: no power, or a short" });
        }
        if self.job.attach == Attach::ColdPlug {
            // A part that was plugged cold keeps its core in reset until the next one.
            self.dap.nrst(true)?;
            self.dap.rest(HOLD);
        }
        self.dap.nrst(false)?;
        if race || !reached {
            self.measure();
        }
        Ok(self.seen)
    }

    /// The target's voltage. A probe that cannot tell, or fails to, is no reason to give up a survey.
    fn measure(&mut self) {
        match self.dap.vtref_mv() {
            Ok(None) => {}
            Ok(measured) => self.seen.vtref_mv = measured,
            Err(e) => self.note(format!("the target voltage could not be read: {e}")),
        }
    }

    /// nRST released with SWCLK low. A probe that cannot hold the clock releases nRST all the same, and the survey says that this was no cold plugging.
    fn plug_cold(&mut self) -> Result<(), ChannelError> {
        self.dap.nrst(true)?;
        let held = match self.dap.hold_clock(true) {
            Ok(()) => true,
            Err(e) if e.kind == ErrorKind::Unsupported => {
                self.seen.unmet = Some("this probe cannot hold SWCLK low, so that nothing was plugged cold".to_owned());
                false
            }
            Err(e) => return Err(e),
        };
        self.dap.rest(HOLD);
        self.dap.nrst(false)?;
        self.dap.rest(HOLD);
        if held {
            self.dap.hold_clock(false)?;
        }
        Ok(())
    }

    fn note(&mut self, text: impl Into<String>) {
        self.seen.notes.push(text.into());
    }

    /// One attempt: identification and power-up. Says whether access ports can be asked.
    fn attempt(&mut self) -> Result<bool, ChannelError> {
        self.dap.check()?;
        self.seen.attempts = self.seen.attempts.saturating_add(1);
        self.seen.dpidr = said(self.dap.connect(self.job.protocol))?;
        let Said::Value(id) = self.seen.dpidr else { return Ok(false) };
        self.seen.answered = self.seen.answered.saturating_add(1);
        if self.job.protocol != Protocol::Jtag && (id >> 12) & 0xF > 2 {
            self.note("debug port version 3: its access ports are addressed otherwise and were not looked at");
            return Ok(false);
        }
        self.clear(false)?;
        let request = POWER_REQUEST | if self.dap.overrun_detect() { OVERRUN_DETECT } else { 0 };
        if let refused @ (Said::NoAck | Said::Protocol | Said::Wait) = said(self.dap.dp_write(dp::CTRL_STAT, request).map(|()| 0))? {
            self.seen.power_up = refused;
            return Ok(false);
        }
        let asked = self.dap.elapsed();
        loop {
            self.seen.power_up = said(self.dap.dp_read(dp::CTRL_STAT))?;
            match self.seen.power_up {
                Said::Value(v) if v & POWER_ACK == POWER_ACK => return Ok(true),
                Said::Value(_) if self.dap.elapsed().saturating_sub(asked) < POWER_UP => self.dap.check()?,
                _ => return Ok(false),
            }
        }
    }

    /// Attempts from before power-on until the core can be halted or the time is over. A halted core keeps the door open: the firmware that
    /// would close it does not run.
    fn race(&mut self, polling: &mut dyn FnMut()) -> Result<bool, ChannelError> {
        let limit = Duration::from_millis(self.job.poll_ms);
        let doors = if self.job.race_aps.is_empty() { vec![0] } else { self.job.race_aps.clone() };
        let mut told = false;
        loop {
            // A probe that is fed by the board vanishes with its power. Only if it never comes back is that an error.
            let (reached, gone) = match self.attempt() {
                Ok(reached) => (reached, None),
                Err(e) if e.kind == ErrorKind::Disconnected => (false, Some(e)),
                Err(e) => return Err(e),
            };
            if !told {
                told = true;
                polling();
            }
            if reached {
                for &door in &doors {
                    if self.halt(door)? {
                        let at = self.dap.elapsed();
                        self.note(format!("AP {door}: core halted in attempt {} after {at:?} of polling", self.seen.attempts));
                        return Ok(true);
                    }
                }
            }
            if self.dap.elapsed() >= limit {
                return match gone {
                    Some(e) => Err(e),
                    None => Ok(reached),
                };
            }
            self.dap.pause();
        }
    }

    /// Looks at every AP, holes or not.
    fn access_ports(&mut self) -> Result<(), ChannelError> {
        let mut found: Vec<(u8, u32)> = Vec::new();
        let mut first = 0u8;
        loop {
            let last = first.saturating_add(BATCH - 1).min(self.job.max_ap);
            match self.identify_quickly(first, last)? {
                Some(batch) => found.extend(batch),
                None => {
                    if !self.identify_one_by_one(first, last, &mut found)? {
                        return Ok(());
                    }
                }
            }
            if last == self.job.max_ap {
                break;
            }
            first = last + 1;
        }
        let mem: Vec<u8> = found.iter().filter(|(_, idr)| is_mem(*idr)).map(|(n, _)| *n).collect();
        if self.job.attach == Attach::UnderReset {
            for &n in &mem {
                self.catch_reset(n)?;
            }
        }
        for (n, idr) in found {
            let seen = self.one_ap(n, idr)?;
            self.seen.aps.push(seen);
        }
        if self.job.attach == Attach::UnderReset {
            self.dap.nrst(false)?;
            self.after_release(&mem)?;
        }
        for n in mem {
            self.core_access(n)?;
        }
        self.seen.aps.sort_by_key(|a| a.ap);
        Ok(())
    }

    fn core_access(&mut self, n: u8) -> Result<(), ChannelError> {
        let core = self.core(n)?;
        let written = if let Said::Value(_) = core { self.core_write(n)? } else { Said::NotTried };
        if let Some(a) = self.seen.aps.iter_mut().find(|a| a.ap == n) {
            (a.core, a.core_write) = (core, written);
        }
        Ok(())
    }

    /// Identifications of a batch with one look at CTRL/STAT at its end: a sticky flag stays until it is cleared, so that none can be missed. `None` if
    /// anything at all went wrong; nothing of the batch counts then.
    fn identify_quickly(&mut self, first: u8, last: u8) -> Result<Option<Vec<(u8, u32)>>, ChannelError> {
        self.dap.check()?;
        let mut batch = Vec::new();
        for n in first..=last {
            match said(self.dap.ap_read(n, ap::IDR))? {
                Said::Value(0) => {}
                Said::Value(idr) => batch.push((n, idr)),
                bad => {
                    self.clear(bad == Said::Wait)?;
                    return Ok(None);
                }
            }
        }
        match said(self.dap.dp_read(dp::CTRL_STAT))? {
            Said::Value(v) if v & STICKY == 0 => Ok(Some(batch)),
            _ => {
                self.clear(false)?;
                Ok(None)
            }
        }
    }

    /// Each identification in its bracket. False: the port answers no more, or completes nothing.
    fn identify_one_by_one(&mut self, first: u8, last: u8, found: &mut Vec<(u8, u32)>) -> Result<bool, ChannelError> {
        for n in first..=last {
            self.dap.check()?;
            match self.bracket(|dap| dap.ap_read(n, ap::IDR))? {
                Said::Value(0) => {}
                Said::Value(idr) => found.push((n, idr)),
                // Reading an identification must not fail. It does where AP accesses never complete.
                stuck => {
                    let lost = matches!(stuck, Said::Wait | Said::NoAck | Said::Protocol);
                    self.seen.aps.push(ApSeen { csw: stuck, ..ApSeen::unknown(n) });
                    if lost {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    fn one_ap(&mut self, n: u8, idr: u32) -> Result<ApSeen, ChannelError> {
        self.dap.check()?;
        let mut seen = ApSeen { idr, mem: is_mem(idr), ..ApSeen::unknown(n) };
        if !seen.mem {
            seen.status = self.bracket(|dap| dap.ap_read(n, if idr == NRF_CTRL_AP { 0x0C } else { 0x08 }))?;
            return Ok(seen);
        }
        seen.csw = self.bracket(|dap| dap.ap_read(n, ap::CSW))?;
        let fit = self.self_test(n, &seen.csw)?;
        self.seen.self_test = match (self.seen.self_test, fit) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), _) | (_, Some(true)) => Some(true),
            (None, None) => None,
        };
        self.words(n, &mut seen)?;
        Ok(seen)
    }

    fn words(&mut self, n: u8, seen: &mut ApSeen) -> Result<(), ChannelError> {
        seen.cpuid = self.word(n, CPUID)?;
        seen.ram = self.word(n, self.job.ram)?;
        seen.flash = self.word(n, self.job.flash)?;
        Ok(())
    }

    /// Writes a mark to TAR and reads it back: one driver sends AP data with its bytes swapped, and an open device then looks locked.
    fn self_test(&mut self, n: u8, csw: &Said) -> Result<Option<bool>, ChannelError> {
        let back = self.bracket(|dap| {
            dap.ap_write(n, ap::TAR, MARK)?;
            dap.ap_read(n, ap::TAR)
        })?;
        match back {
            Said::Value(MARK) => Ok(Some(true)),
            Said::Value(other) if matches!(csw, Said::Value(v) if v & DEVICE_EN == 0) && other != MARK.swap_bytes() => {
                self.note(format!("AP {n}: disabled, and does not keep TAR ({other:08x})"));
                Ok(None)
            }
            Said::Value(other) => {
                self.note(format!("AP {n}: TAR was written {MARK:08x} and reads {other:08x}: the driver cannot be trusted"));
                Ok(Some(false))
            }
            other => {
                self.note(format!("AP {n}: TAR does not read back ({other:?})"));
                Ok(None)
            }
        }
    }

    /// Under reset: C_DEBUGEN first, then the vector catch; the manual ignores the catch while C_DEBUGEN is 0.
    fn catch_reset(&mut self, n: u8) -> Result<(), ChannelError> {
        let halt = if self.halted.contains(&n) { 2 } else { 0 };
        self.write_word(n, DHCSR, DEBUG_KEY | halt | 1)?;
        if let Said::Value(demcr) = self.word(n, DEMCR)?
            && matches!(self.write_word(n, DEMCR, demcr | 1)?, Said::Value(_))
        {
            self.caught.push((n, demcr));
        }
        // Clears S_RESET_ST, so that a later read tells about this reset.
        self.word(n, DHCSR)?;
        Ok(())
    }

    /// After nRST went up: which cores stopped at the reset vector, and whether what was refused under reset is readable now.
    fn after_release(&mut self, mem: &[u8]) -> Result<(), ChannelError> {
        for &n in mem {
            if self.caught.iter().any(|c| c.0 == n) && self.halted_now(n)? {
                self.halted.push(n);
                self.note(format!("AP {n}: core halted at the reset vector"));
            }
            if self.words_again(n)? {
                self.note(format!("AP {n}: refused under reset, readable after its release"));
            }
        }
        Ok(())
    }

    /// Whether anything that was refused before is readable now. What was readable stays recorded.
    fn words_again(&mut self, n: u8) -> Result<bool, ChannelError> {
        let Some(at) = self.seen.aps.iter().position(|a| a.ap == n) else { return Ok(false) };
        let mut again = self.seen.aps[at].clone();
        self.words(n, &mut again)?;
        let known = self.job.flash_known;
        let had = &mut self.seen.aps[at];
        // Another word than before is more only if it is the known one: a guard that blanks and then lets through.
        if known.is_some() && again.flash == known.map_or(Said::NotTried, Said::Value) && had.flash != again.flash {
            had.flash = Said::NotTried;
        }
        Ok(better(&mut had.cpuid, again.cpuid) | better(&mut had.ram, again.ram) | better(&mut had.flash, again.flash))
    }

    /// A reset asked for through a core that is within reach, with the core caught at its reset vector: before any firmware runs, and behind whatever was
    /// latched at the reset before.
    fn software_reset(&mut self) -> Result<(), ChannelError> {
        let doors: Vec<u8> = self.seen.aps.iter().filter(|a| a.mem && matches!(a.core, Said::Value(_))).map(|a| a.ap).collect();
        let Some(&door) = doors.first() else {
            self.note("no core within reach: no software reset was asked for");
            return Ok(());
        };
        for &n in &doors {
            if !self.caught.iter().any(|c| c.0 == n) {
                self.catch_reset(n)?;
            }
        }
        // The write may fail on the wire although it took effect: the port may be reset with the device.
        self.write_word(door, AIRCR, SYSRESETREQ)?;
        let asked = self.dap.elapsed();
        let mut looks = 0;
        let happened = loop {
            self.dap.check()?;
            looks += 1;
            match self.word(door, DHCSR)? {
                Said::Value(v) if v != u32::MAX && v & S_RESET_ST != 0 => break true,
                Said::NoAck | Said::Protocol | Said::Fault => {
                    // Gone with the reset: one attempt to come back in. What was seen before it stays seen.
                    let seen = (self.seen.dpidr.clone(), self.seen.power_up.clone());
                    let back = self.attempt()?;
                    (self.seen.dpidr, self.seen.power_up) = seen;
                    if !back {
                        break false;
                    }
                }
                _ => {}
            }
            if looks >= RESET_LOOKS || self.dap.elapsed().saturating_sub(asked) > RESET_WITHIN {
                break false;
            }
        };
        self.halted.clear();
        if !happened {
            self.note("a software reset was asked for through the core and did not come about");
            return Ok(());
        }
        self.note("a software reset was asked for through the core and took place");
        for n in doors {
            let stands = self.halted_now(n)?;
            if stands {
                self.halted.push(n);
            }
            if self.words_again(n)? {
                let how = if stands { "with the core caught at its reset vector" } else { "with the core running" };
                self.note(format!("AP {n}: refused before, readable after a software reset {how}"));
            }
        }
        Ok(())
    }

    /// Whether the core can be stopped and one of its registers read. It is let go in `leave`.
    fn core(&mut self, n: u8) -> Result<Said, ChannelError> {
        if !self.halted.contains(&n) && !self.halt(n)? {
            return self.word(n, DHCSR).map(|s| if let Said::Value(_) = s { Said::Fault } else { s });
        }
        self.register(n, PC)
    }

    /// Reads a register of a halted core.
    fn register(&mut self, n: u8, number: u32) -> Result<Said, ChannelError> {
        match self.transfer(n, number)? {
            Said::Value(_) => self.word(n, DCRDR),
            refused => Ok(refused),
        }
    }

    fn set_register(&mut self, n: u8, number: u32, value: u32) -> Result<Said, ChannelError> {
        match self.write_word(n, DCRDR, value)? {
            Said::Value(_) => self.transfer(n, number | REGISTER_WRITE),
            refused => Ok(refused),
        }
    }

    fn transfer(&mut self, n: u8, what: u32) -> Result<Said, ChannelError> {
        if let refused @ (Said::Fault | Said::Wait | Said::NoAck | Said::Protocol) = self.write_word(n, DCRSR, what)? {
            return Ok(refused);
        }
        for _ in 0..POLLS {
            if matches!(self.word(n, DHCSR)?, Said::Value(v) if v & S_REGRDY != 0) {
                return Ok(Said::Value(what));
            }
        }
        Ok(Said::Wait)
    }

    /// Whether a register of the halted core takes another value. Its own is put back before the core runs on.
    fn core_write(&mut self, n: u8) -> Result<Said, ChannelError> {
        let Said::Value(own) = self.register(n, R0)? else { return Ok(Said::NotTried) };
        let written = self.set_register(n, R0, !own)?;
        let back = self.register(n, R0)?;
        self.set_register(n, R0, own)?;
        Ok(match (written, back) {
            (Said::Value(_), Said::Value(v)) if v == !own => Said::Value(v),
            (Said::Value(_), Said::Value(_)) => Said::Fault,
            (Said::Value(_), refused) | (refused, _) => refused,
        })
    }

    fn halt(&mut self, n: u8) -> Result<bool, ChannelError> {
        if !matches!(self.write_word(n, DHCSR, DEBUG_KEY | 3)?, Said::Value(_)) || !self.halted_now(n)? {
            return Ok(false);
        }
        if !self.halted.contains(&n) {
            self.halted.push(n);
        }
        Ok(true)
    }

    fn halted_now(&mut self, n: u8) -> Result<bool, ChannelError> {
        for _ in 0..POLLS {
            match self.word(n, DHCSR)? {
                // All ones or all zeros is what a blanked bus gives; a live DHCSR is neither.
                Said::Value(v) if v != u32::MAX && v & S_HALT != 0 => return Ok(true),
                Said::Value(_) => {}
                _ => return Ok(false),
            }
        }
        Ok(false)
    }

    /// Puts back what was changed: vector catch off, cores running, debug off, debug domain powered down.
    fn leave(&mut self) -> Result<(), ChannelError> {
        for (n, demcr) in std::mem::take(&mut self.caught) {
            self.write_word(n, DEMCR, demcr)?;
        }
        for n in std::mem::take(&mut self.halted) {
            self.write_word(n, DHCSR, DEBUG_KEY | 1)?;
            if !matches!(self.write_word(n, DHCSR, DEBUG_KEY)?, Said::Value(_)) {
                self.note(format!("AP {n}: the core could not be let go"));
            }
        }
        self.clear(false)?;
        said(self.dap.dp_write(dp::CTRL_STAT, 0).map(|()| 0))?;
        Ok(())
    }

    fn word(&mut self, n: u8, address: u32) -> Result<Said, ChannelError> {
        self.bracket(|dap| {
            aim(dap, n, address)?;
            dap.ap_read(n, ap::DRW)
        })
    }

    fn write_word(&mut self, n: u8, address: u32, value: u32) -> Result<Said, ChannelError> {
        self.bracket(|dap| {
            aim(dap, n, address)?;
            dap.ap_write(n, ap::DRW, value)?;
            Ok(value)
        })
    }

    /// Access, then CTRL/STAT: a sticky flag makes it a fault, whatever the driver said. Leaves no flag behind.
    fn bracket(&mut self, access: impl FnOnce(&mut dyn Dap) -> Result<u32, DapFault>) -> Result<Said, ChannelError> {
        let first = said(access(self.dap))?;
        match first {
            Said::NoAck | Said::Protocol => return Ok(first),
            Said::Wait => {
                self.clear(true)?;
                return Ok(first);
            }
            _ => {}
        }
        match said(self.dap.dp_read(dp::CTRL_STAT))? {
            Said::Value(v) if v & STICKY == 0 => Ok(first),
            Said::Value(_) => {
                self.clear(false)?;
                Ok(Said::Fault)
            }
            lost => Ok(lost),
        }
    }

    fn clear(&mut self, abort: bool) -> Result<(), ChannelError> {
        if self.job.protocol == Protocol::Jtag {
            if abort {
                said(self.dap.dp_write(dp::ABORT, 1).map(|()| 0))?;
            }
            // Write one to clear; on a JTAG-DP the ABORT register has no clear bits.
            if let Said::Value(v) = said(self.dap.dp_read(dp::CTRL_STAT))?
                && v & STICKY != 0
            {
                said(self.dap.dp_write(dp::CTRL_STAT, v).map(|()| 0))?;
            }
        } else {
            said(self.dap.dp_write(dp::ABORT, if abort { CLEAR_AND_ABORT } else { CLEAR }).map(|()| 0))?;
        }
        Ok(())
    }
}

/// IDR of the control AP whose open state stands at 0x0C.
const NRF_CTRL_AP: u32 = 0x0288_0000;
/// CSW.DeviceEn.
pub(super) const DEVICE_EN: u32 = 1 << 6;

fn is_mem(idr: u32) -> bool {
    (idr >> 13) & 0xF == 8
}

/// Word size, no increment, address. The upper half of CSW (protection, security) stays as the AP came up with it.
fn aim(dap: &mut dyn Dap, n: u8, address: u32) -> Result<(), DapFault> {
    let csw = dap.ap_read(n, ap::CSW)?;
    dap.ap_write(n, ap::CSW, (csw & !0x37) | 2)?;
    dap.ap_write(n, ap::TAR, address)
}

/// Keeps the answer that shows more. Says whether that was the new one.
fn better(old: &mut Said, new: Said) -> bool {
    let gained = !matches!(old, Said::Value(_)) && matches!(new, Said::Value(_));
    if gained {
        *old = new;
    }
    gained
}

fn said(answer: Result<u32, DapFault>) -> Result<Said, ChannelError> {
    match answer {
        Ok(v) => Ok(Said::Value(v)),
        Err(DapFault::Answer(said)) => Ok(said),
        Err(DapFault::Bench(e)) => Err(e),
    }
}
