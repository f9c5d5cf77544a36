//! A connect sequence that tries once and powers nothing up: a dead port costs a fraction of a millisecond instead of five seconds.

use probe_rs::architecture::arm::dp::{DPIDR, DpAddress, DpRegister};
use probe_rs::architecture::arm::sequences::ArmDebugSequence;
use probe_rs::architecture::arm::{ArmError, DapAccess, DapProbe, RegisterAddress};
use proofbench_channel::debug::Protocol;

/// 51 bits of ones: more than the 50 that a line reset takes.
const ONES: u64 = (1 << 51) - 1;

/// The sequence for one protocol. Never unlocks, erases or resets.
#[derive(Debug)]
pub(crate) struct OneShot(pub Protocol);

impl OneShot {
    /// Brings the pins into the protocol's mode from wherever they are. Sent at SWD level: JTAG hosts send it before they scan the chain.
    pub(crate) fn switch(protocol: Protocol, probe: &mut dyn DapProbe) -> Result<(), ArmError> {
        probe.swj_sequence(51, ONES)?;
        match protocol {
            Protocol::Swd => probe.swj_sequence(16, 0xE79E)?,
            Protocol::Jtag => {
                probe.swj_sequence(16, 0xE73C)?;
                probe.swj_sequence(8, 0xFF)?;
            }
            Protocol::SwdFromDormant => {
                // To dormant from SWD, then from JTAG; the one that does not fit is ignored.
                probe.swj_sequence(16, 0xE3BC)?;
                probe.swj_sequence(8, 0xFF)?;
                probe.swj_sequence(31, 0x33BB_BBBA)?;
                probe.swj_sequence(8, 0xFF)?;
                probe.swj_sequence(64, 0x86852D956209F392)?;
                probe.swj_sequence(64, 0x19BC0EA2E3DDAFE9)?;
                probe.swj_sequence(12, 0x1A0)?;
            }
        }
        Ok(())
    }
}

impl ArmDebugSequence for OneShot {
    fn debug_port_setup(&self, probe: &mut dyn DapProbe, dp: DpAddress) -> Result<(), ArmError> {
        if self.0 == Protocol::Jtag {
            probe.configure_jtag(false)?;
        } else {
            Self::switch(self.0, probe)?;
        }
        self.debug_port_connect(probe, dp)
    }

    fn debug_port_connect(&self, probe: &mut dyn DapProbe, _dp: DpAddress) -> Result<(), ArmError> {
        if self.0 != Protocol::Jtag {
            // Line reset and three idle cycles; the first transaction after it must read DPIDR.
            probe.swj_sequence(54, ONES)?;
            probe.raw_read_register(RegisterAddress::DpRegister(DPIDR::ADDRESS))?;
        }
        Ok(())
    }

    /// The survey powers the port up by itself and looks at what it says.
    fn debug_port_start(&self, _interface: &mut dyn DapAccess, _dp: DpAddress) -> Result<(), ArmError> {
        Ok(())
    }

    /// The survey powers it down by itself.
    fn debug_port_stop(&self, _probe: &mut dyn DapProbe, _dp: DpAddress) -> Result<(), ArmError> {
        Ok(())
    }
}
