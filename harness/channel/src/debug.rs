//! Debug ports: what a probe sees, as raw evidence that no driver has interpreted.
//!
//! Verdicts come from DP and AP registers with the state of CTRL/STAT after each access, never from a library's "session".

mod classify;
mod dap;
mod survey;
mod words;
mod worker;

pub use classify::{Access, Unfit, classify};
pub use dap::{Dap, DapFault, ap, dp};
pub use survey::survey;
pub use words::in_words;
pub use worker::{Failure, WorkerAct, WorkerJob, WorkerSays};

use crate::{ChannelError, Wait};
use serde::{Deserialize, Serialize};

/// Wire protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Serial wire debug.
    Swd,
    /// JTAG.
    Jtag,
    /// SWD after a dormant-state wake sequence.
    SwdFromDormant,
}

/// When and how the probe attaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attach {
    /// While the application runs.
    Running,
    /// With nRST held by the probe: own sequence (halt at the reset vector), never the library's.
    UnderReset,
    /// Polling from before power-on, one-shot attempts until the window closes.
    PowerOnRace,
    /// SWCLK held low while nRST is released: some parts (SAM) open a port then that is dead at any other time. The device is reset once more at the
    /// end, because such a part keeps its core in reset until then.
    ColdPlug,
}

/// What to survey. Addresses come from the dossier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurveyJob {
    /// Protocol.
    pub protocol: Protocol,
    /// Attach condition.
    pub attach: Attach,
    /// A RAM word.
    pub ram: u32,
    /// A flash word.
    pub flash: u32,
    /// What stands there, from the maker's image. Blank is not locked: without the known word a blank answer decides nothing.
    pub flash_known: Option<u32>,
    /// Highest AP to look at (APs behind a hole count).
    pub max_ap: u8,
    /// For `PowerOnRace`: how long to poll, in milliseconds of bench time.
    pub poll_ms: u64,
    /// For `PowerOnRace`: memory APs known from an earlier survey, tried first; AP 0 if none is given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub race_aps: Vec<u8>,
    /// Whether a core that is within reach is asked to reset the device (SYSRESETREQ), caught at its reset vector, and everything that was refused is tried
    /// once more. It restarts the device: only with the rig's grant.
    #[serde(default)]
    pub software_reset: bool,
}

impl SurveyJob {
    /// A look at a running device: all access ports, nothing that restarts it.
    pub fn new(protocol: Protocol, ram: u32, flash: u32, flash_known: Option<u32>) -> Self {
        Self { protocol, attach: Attach::Running, ram, flash, flash_known, max_ap: u8::MAX, poll_ms: 0, race_aps: Vec::new(), software_reset: false }
    }

    /// Whether the survey restarts the device.
    pub fn restarts(&self) -> bool {
        self.software_reset || matches!(self.attach, Attach::UnderReset | Attach::ColdPlug)
    }
}

/// What one access answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// A value, and CTRL/STAT was clean afterwards.
    Value(u32),
    /// FAULT, or a sticky error was set afterwards, whatever the driver said.
    Fault,
    /// WAIT until retries ran out.
    Wait,
    /// No acknowledge: line pulled up.
    NoAck,
    /// Garbage acknowledge: line low, short, or no power.
    Protocol,
    /// Not tried, because an earlier step failed.
    NotTried,
}

/// One access port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApSeen {
    /// Its number.
    pub ap: u8,
    /// Identification register; zero where reading it never completed, and `csw` then holds what was said instead.
    pub idr: u32,
    /// Whether it is a memory access port (class 8).
    pub mem: bool,
    /// CSW.
    pub csw: Said,
    /// CPUID at E000ED00.
    pub cpuid: Said,
    /// The RAM word.
    pub ram: Said,
    /// The flash word.
    pub flash: Said,
    /// Whether the core could be halted and a core register read: the program counter.
    pub core: Said,
    /// Whether a core register could be written while it was halted: what R0 read after another value was written to it. R0 is put back.
    pub core_write: Said,
    /// Status register at 0x0C of a control AP, 0x08 otherwise; only for vendor APs.
    pub status: Said,
}

impl ApSeen {
    /// An access port of which nothing but its number is known.
    pub fn unknown(ap: u8) -> Self {
        let not = || Said::NotTried;
        Self { ap, idr: 0, mem: false, csw: not(), cpuid: not(), ram: not(), flash: not(), core: not(), core_write: not(), status: not() }
    }
}

/// Everything one survey saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// The job.
    pub job: SurveyJob,
    /// DPIDR (SWD) or IDCODE (JTAG).
    pub dpidr: Said,
    /// CTRL/STAT after power-up was asked.
    pub power_up: Said,
    /// Access ports, holes skipped.
    pub aps: Vec<ApSeen>,
    /// Target voltage in millivolts, where the probe measures it: before the first attempt, or at the end of a survey that saw no port.
    pub vtref_mv: Option<u32>,
    /// Why the asked condition did not come about. What the survey did not see is no evidence then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmet: Option<String>,
    /// Attach attempts made and answered, for races.
    pub attempts: u32,
    /// How many of them saw the debug port.
    pub answered: u32,
    /// The driver's self-test: a word written to TAR read back right (false: driver unfit, evidence void). None: no AP to try it on.
    pub self_test: Option<bool>,
    /// Notes for the reader.
    pub notes: Vec<String>,
}

impl Survey {
    /// A survey that has seen nothing yet.
    pub fn begun(job: SurveyJob) -> Self {
        Self {
            job,
            dpidr: Said::NotTried,
            power_up: Said::NotTried,
            aps: Vec::new(),
            vtref_mv: None,
            unmet: None,
            attempts: 0,
            answered: 0,
            self_test: None,
            notes: Vec::new(),
        }
    }
}

/// A debug probe wired to the device. A survey runs under a deadline and never unlocks or erases anything.
pub trait DebugPort {
    /// Starts a survey. For `PowerOnRace` the probe is polling when this returns; the caller then switches power on.
    fn begin(&mut self, job: &SurveyJob, wait: &Wait) -> Result<(), ChannelError>;
    /// Waits for the survey's end. A dead or hanging driver is an `Err` of kind `Driver` or `Timeout`, never a silent port. The probe is detached
    /// and nRST is released when it returns.
    fn finish(&mut self, wait: &Wait) -> Result<Survey, ChannelError>;
    /// Pulses nRST through the probe: shows that the probe's wires reach this device.
    fn pulse_reset(&mut self, wait: &Wait) -> Result<(), ChannelError>;
    /// What it is, for the journal.
    fn describe(&self) -> String;
}
