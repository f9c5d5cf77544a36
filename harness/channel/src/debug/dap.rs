//! The narrow waist between the survey and whatever moves the wire: one DP or AP access at a time.

use super::{Protocol, Said};
use crate::{ChannelError, ErrorKind};
use std::time::Duration;

/// DP register addresses (bank 0).
pub mod dp {
    /// Write only: clears sticky flags (SWD), aborts a stuck AP access.
    pub const ABORT: u8 = 0x0;
    /// Power-up requests and acknowledges, sticky flags.
    pub const CTRL_STAT: u8 = 0x4;
}

/// AP register addresses.
pub mod ap {
    /// Control and status of a MEM-AP.
    pub const CSW: u8 = 0x00;
    /// Transfer address of a MEM-AP.
    pub const TAR: u8 = 0x04;
    /// Data at the transfer address.
    pub const DRW: u8 = 0x0C;
    /// Identification, of every AP.
    pub const IDR: u8 = 0xFC;
}

/// Why an access brought no value.
#[derive(Debug)]
pub enum DapFault {
    /// The device's answer, or its silence: data.
    Answer(Said),
    /// The probe failed: an error of the bench.
    Bench(ChannelError),
}

impl From<ChannelError> for DapFault {
    fn from(e: ChannelError) -> Self {
        DapFault::Bench(e)
    }
}

/// Single accesses to a debug port.
///
/// Callers may rely on: a read returns the value of this access (posted reads are completed inside), a write was acknowledged.
/// They may not rely on: a fault being reported at the access that caused it, or at all; so they read CTRL/STAT after each access.
/// Implementers guarantee: nothing is written that the caller did not ask for, besides SELECT and RDBUFF reads; no retry but a bounded
/// one after WAIT; no unlock, no erase, no reset; every call ends.
pub trait Dap {
    /// One attempt to reach the debug port: line reset, switch sequence, identification (DPIDR, or IDCODE over JTAG). No power-up, no retry.
    /// `Answer(NoAck)` if the line stays high, `Answer(Protocol)` if it stays low or says nonsense.
    fn connect(&mut self, protocol: Protocol) -> Result<u32, DapFault>;
    /// Reads a DP register of bank 0.
    fn dp_read(&mut self, register: u8) -> Result<u32, DapFault>;
    /// Writes a DP register of bank 0. [`dp::ABORT`] over JTAG goes through the ABORT instruction.
    fn dp_write(&mut self, register: u8, value: u32) -> Result<(), DapFault>;
    /// Reads an AP register.
    fn ap_read(&mut self, ap: u8, register: u8) -> Result<u32, DapFault>;
    /// Writes an AP register and makes sure that it has taken effect or failed.
    fn ap_write(&mut self, ap: u8, register: u8, value: u32) -> Result<(), DapFault>;
    /// Whether the driver needs ORUNDETECT (bit-banging drivers clock a data phase even after WAIT and FAULT).
    fn overrun_detect(&self) -> bool;
    /// Level of SWDIO or TDO with nobody driving; `None` where the probe cannot tell.
    fn line(&mut self) -> Result<Option<bool>, ChannelError>;
    /// Target voltage, where measured. A probe may have to let go of the port for it: asked before [`Dap::connect`] or after the last access only.
    fn vtref_mv(&mut self) -> Result<Option<u32>, ChannelError>;
    /// Drives nRST low, or releases it.
    fn nrst(&mut self, low: bool) -> Result<(), ChannelError>;
    /// Holds SWCLK (TCK) low, or lets it go. `Unsupported` where the probe cannot move that pin by itself.
    fn hold_clock(&mut self, _low: bool) -> Result<(), ChannelError> {
        Err(ChannelError::new(ErrorKind::Unsupported, "hold SWCLK low"))
    }
    /// Lets so much bench time pass.
    fn rest(&mut self, time: Duration);
    /// Bench time since the survey's begin. Each access takes some, so that a loop over accesses ends.
    fn elapsed(&mut self) -> Duration;
    /// Lets a moment pass between two attempts of a race, far shorter than any window worth finding. Probes whose attempts take real time need none.
    fn pause(&mut self) {}
    /// An error once the survey was cancelled or its deadline has passed.
    fn check(&mut self) -> Result<(), ChannelError>;
}
