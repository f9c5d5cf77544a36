//! `Dap` over probe-rs: raw registers, errors brought down to what the wire said.

use crate::oneshot::OneShot;
use probe_rs::architecture::arm::ap::AccessPortError;
use probe_rs::architecture::arm::dp::{DebugPortError, DpAddress, DpRegisterAddress};
use probe_rs::architecture::arm::{ArmDebugInterface, ArmError, DapError, FullyQualifiedApAddress};
use probe_rs::probe::{DebugProbeError, DebugProbeSelector, Probe, WireProtocol, list::Lister};
use proofbench_channel::debug::{Dap, DapFault, Protocol, Said};
use proofbench_channel::{ChannelError, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

const DP: DpAddress = DpAddress::Default;
const CTRL_STAT: DpRegisterAddress = DpRegisterAddress { address: 4, bank: Some(0) };
/// nRESET and SWCLK in the pin mask of `swj_pins`.
const NRESET: u32 = 0x80;
const SWCLK: u32 = 0x01;
/// More than any target has at its connector; what a probe says beyond is nonsense.
const VOLTS_MOST: f32 = 60.0;
const IR_IDCODE: u32 = 0xE;

enum State {
    Closed,
    /// Opened, nothing on the wire yet.
    Open(Probe),
    Arm(Protocol, Box<dyn ArmDebugInterface>),
}

/// One probe, opened when first needed and again when it went away.
pub(crate) struct Link {
    selector: DebugProbeSelector,
    state: State,
    began: Instant,
    speed: f64,
    deadline: Duration,
    nrst_low: bool,
    /// What the driver chose for its way of clocking.
    overrun_detect: bool,
}

impl Link {
    pub(crate) fn new(selector: DebugProbeSelector, speed: f64, deadline: Duration) -> Self {
        Self { selector, state: State::Closed, began: Instant::now(), speed, deadline, nrst_low: false, overrun_detect: true }
    }

    fn open(&self) -> Result<Probe, ChannelError> {
        Lister::new().open(self.selector.clone()).map_err(|e| {
            let kind = match e {
                DebugProbeError::ProbeCouldNotBeCreated(_) | DebugProbeError::Usb(_) | DebugProbeError::ProbeSpecific(_) => ErrorKind::Disconnected,
                _ => ErrorKind::Driver,
            };
            ChannelError::caused(kind, format!("open probe {}: {e}", self.selector), e)
        })
    }

    /// The probe with nRST as it was: one that went away with reset held holds it again.
    fn opened(&self) -> Result<Probe, ChannelError> {
        let mut probe = self.open()?;
        if self.nrst_low {
            probe.target_reset_assert().map_err(|e| bench("hold nRST low", e))?;
        }
        Ok(probe)
    }

    /// Releases nRST whoever held it.
    pub(crate) fn release_reset(&mut self) -> Result<(), ChannelError> {
        self.state = State::Open(self.open()?);
        self.nrst(false)
    }

    /// The interface for `protocol`, with nothing said to the port yet but, for JTAG, the switch to it and the scan of the chain.
    fn arm(&mut self, protocol: Protocol) -> Result<&mut Box<dyn ArmDebugInterface>, DapFault> {
        let state = std::mem::replace(&mut self.state, State::Closed);
        let interface = match state {
            State::Arm(had, interface) if had == protocol => interface,
            State::Arm(_, interface) => self.interface(interface.close(), protocol)?,
            State::Open(probe) => self.interface(probe, protocol)?,
            State::Closed => {
                let probe = self.opened()?;
                self.interface(probe, protocol)?
            }
        };
        self.state = State::Arm(protocol, interface);
        match &mut self.state {
            State::Arm(_, interface) => Ok(interface),
            _ => Err(DapFault::Bench(ChannelError::new(ErrorKind::Driver, "keep the probe's interface"))),
        }
    }

    fn interface(&mut self, probe: Probe, protocol: Protocol) -> Result<Box<dyn ArmDebugInterface>, DapFault> {
        let mut swd = attach(probe, WireProtocol::Swd, protocol)?;
        if protocol != Protocol::Jtag {
            return Ok(swd);
        }
        // The chain is scanned on attach, when the port may still listen for SWD.
        if let Some(raw) = swd.try_dap_probe_mut() {
            OneShot::switch(protocol, raw).map_err(fault)?;
        }
        attach(swd.close(), WireProtocol::Jtag, protocol)
    }

    fn ap(n: u8) -> FullyQualifiedApAddress {
        FullyQualifiedApAddress::v1_with_dp(DP, n)
    }

    /// Only the probe itself tells, and not the interface that was made of it: an interface is closed for it, and made again when it is needed.
    fn volts(&mut self) -> Result<Option<f32>, ChannelError> {
        let mut probe = match std::mem::replace(&mut self.state, State::Closed) {
            State::Arm(_, interface) => interface.close(),
            State::Open(probe) => probe,
            State::Closed => self.opened()?,
        };
        let volts = probe.get_target_voltage().map_err(|e| bench("read the target voltage", e))?;
        self.state = State::Open(probe);
        Ok(volts)
    }

    fn live(&mut self) -> Result<&mut Box<dyn ArmDebugInterface>, DapFault> {
        match &mut self.state {
            State::Arm(_, interface) => Ok(interface),
            _ => Err(DapFault::Bench(ChannelError::new(ErrorKind::Disconnected, "use the probe before it was connected"))),
        }
    }

    fn select(&mut self, protocol: Protocol) -> Result<u32, DapFault> {
        let interface = self.arm(protocol)?;
        if interface.current_debug_port().is_some() { interface.reinitialize() } else { interface.select_debug_port(DP) }.map_err(fault)?;
        if protocol == Protocol::Jtag
            && let Some(jtag) = interface.try_dap_probe_mut().and_then(|p| p.try_as_jtag_probe())
        {
            let bits = jtag.read_register(IR_IDCODE, 32).map_err(|e| bench("read IDCODE", e))?;
            return Ok(bits.iter().by_vals().take(32).enumerate().fold(0, |v, (n, bit)| v | u32::from(bit) << n));
        }
        interface.read_raw_dp_register(DP, DpRegisterAddress { address: 0, bank: None }).map_err(fault)
    }

    /// Connecting has set ORUNDETECT as this driver needs it: bit-banging ones clock a data phase whatever the acknowledge, others do not.
    fn learn_overrun_detect(&mut self) {
        if let State::Arm(_, interface) = &mut self.state
            && let Ok(ctrl) = interface.read_raw_dp_register(DP, CTRL_STAT)
        {
            self.overrun_detect = ctrl & 1 != 0;
        }
    }

    /// Forgets an interface whose probe went away, so that the next attempt opens it anew.
    fn keep_if_alive<T>(&mut self, result: Result<T, DapFault>) -> Result<T, DapFault> {
        if let Err(DapFault::Bench(_)) = &result {
            // Dropping says goodbye on a dead connection, which some drivers do not survive.
            let state = std::mem::replace(&mut self.state, State::Closed);
            let _ = catch_unwind(AssertUnwindSafe(|| drop(state)));
        }
        result
    }
}

fn attach(mut probe: Probe, wire: WireProtocol, protocol: Protocol) -> Result<Box<dyn ArmDebugInterface>, DapFault> {
    probe.detach().map_err(|e| ChannelError::caused(ErrorKind::Driver, format!("detach the probe: {e}"), e))?;
    probe.select_protocol(wire).map_err(|e| match e {
        DebugProbeError::UnsupportedProtocol(_) => ChannelError::caused(ErrorKind::Unsupported, format!("select {wire} on this probe"), e),
        e => bench("select the protocol", e),
    })?;
    probe.attach_to_unspecified().map_err(|e| match e {
        // Nothing sensible came back from the chain: the device's answer, not the probe's.
        probe_rs::Error::Probe(DebugProbeError::JtagScanChain(_) | DebugProbeError::Other(_) | DebugProbeError::TargetNotFound)
            if wire == WireProtocol::Jtag =>
        {
            DapFault::Answer(Said::NoAck)
        }
        e => DapFault::Bench(ChannelError::caused(ErrorKind::Disconnected, format!("attach the probe: {e}"), e)),
    })?;
    probe.try_into_arm_debug_interface(Arc::new(OneShot(protocol))).map_err(|(_, e)| fault(e))
}

impl Dap for Link {
    fn connect(&mut self, protocol: Protocol) -> Result<u32, DapFault> {
        // Some drivers panic when the connection dies under them, as it does when the board that feeds the probe loses power.
        let result = catch_unwind(AssertUnwindSafe(|| self.select(protocol)))
            .unwrap_or_else(|_| Err(DapFault::Bench(ChannelError::new(ErrorKind::Disconnected, "connect: the probe driver panicked"))));
        if result.is_ok() {
            self.learn_overrun_detect();
        }
        self.keep_if_alive(result)
    }

    fn dp_read(&mut self, register: u8) -> Result<u32, DapFault> {
        let address = DpRegisterAddress { address: register, bank: Some(0) };
        let result = self.live().and_then(|i| i.read_raw_dp_register(DP, address).map_err(fault));
        self.keep_if_alive(result)
    }

    fn dp_write(&mut self, register: u8, value: u32) -> Result<(), DapFault> {
        let address = DpRegisterAddress { address: register, bank: if register == 4 { Some(0) } else { None } };
        let result = self.live().and_then(|i| i.write_raw_dp_register(DP, address, value).and_then(|()| i.flush()).map_err(fault));
        self.keep_if_alive(result)
    }

    fn ap_read(&mut self, ap: u8, register: u8) -> Result<u32, DapFault> {
        let result = self.live().and_then(|i| i.read_raw_ap_register(&Self::ap(ap), u64::from(register)).map_err(fault));
        self.keep_if_alive(result)
    }

    fn ap_write(&mut self, ap: u8, register: u8, value: u32) -> Result<(), DapFault> {
        // CMSIS-DAP batches writes: without the flush an error would surface at some later read.
        let result =
            self.live().and_then(|i| i.write_raw_ap_register(&Self::ap(ap), u64::from(register), value).and_then(|()| i.flush()).map_err(fault));
        self.keep_if_alive(result)
    }

    fn overrun_detect(&self) -> bool {
        self.overrun_detect
    }

    fn line(&mut self) -> Result<Option<bool>, ChannelError> {
        Ok(None)
    }

    fn vtref_mv(&mut self) -> Result<Option<u32>, ChannelError> {
        // Closing says goodbye, which some drivers do not survive on a dead connection.
        let volts = catch_unwind(AssertUnwindSafe(|| self.volts()))
            .unwrap_or_else(|_| Err(ChannelError::new(ErrorKind::Disconnected, "read the target voltage: the probe driver panicked")))?;
        Ok(volts.filter(|v| (0.0..VOLTS_MOST).contains(v)).map(|v| (v * 1000.0).round() as u32))
    }

    fn nrst(&mut self, low: bool) -> Result<(), ChannelError> {
        let was_low = std::mem::replace(&mut self.nrst_low, low);
        if let State::Arm(_, interface) = &mut self.state {
            let level = if low { 0 } else { NRESET };
            return match interface.swj_pins(level, NRESET, 0) {
                Ok(_) => Ok(()),
                // Never asked for, so that a probe without the pin does not fail every survey.
                Err(DebugProbeError::CommandNotSupportedByProbe { .. } | DebugProbeError::NotImplemented { .. }) if !low => Ok(()),
                Err(e) => Err(bench("move nRST", e)),
            };
        }
        if let State::Closed = self.state {
            // A probe that was lost with reset held (a JTAG chain that does not answer takes the interface along) still holds it.
            if !low && !was_low {
                return Ok(());
            }
            self.state = State::Open(self.open()?);
        }
        if let State::Open(probe) = &mut self.state {
            let moved = if low { probe.target_reset_assert() } else { probe.target_reset_deassert() };
            moved.map_err(|e| bench("move nRST", e))?;
        }
        Ok(())
    }

    fn hold_clock(&mut self, low: bool) -> Result<(), ChannelError> {
        let level = if low { 0 } else { SWCLK };
        // Attaching for SWD says nothing on the wire; for JTAG it scans the chain, which a device in reset does not answer.
        match self.arm(Protocol::Swd) {
            Ok(interface) => interface.swj_pins(level, SWCLK, 0).map(|_| ()).map_err(|e| bench("hold SWCLK low", e)),
            Err(DapFault::Bench(e)) => Err(e),
            Err(DapFault::Answer(said)) => Err(ChannelError::caused(ErrorKind::Driver, "attach the probe to move SWCLK", format!("{said:?}"))),
        }
    }

    fn rest(&mut self, time: Duration) {
        std::thread::sleep(time.div_f64(self.speed));
    }

    fn elapsed(&mut self) -> Duration {
        self.began.elapsed().mul_f64(self.speed)
    }

    fn check(&mut self) -> Result<(), ChannelError> {
        if self.began.elapsed() > self.deadline {
            return Err(ChannelError::new(ErrorKind::Timeout, "survey the debug port"));
        }
        Ok(())
    }
}

fn bench(doing: &str, e: DebugProbeError) -> ChannelError {
    let kind = match e {
        DebugProbeError::CommandNotSupportedByProbe { .. } | DebugProbeError::NotImplemented { .. } => ErrorKind::Unsupported,
        DebugProbeError::Timeout => ErrorKind::Timeout,
        DebugProbeError::Usb(_) | DebugProbeError::ProbeSpecific(_) => ErrorKind::Disconnected,
        _ => ErrorKind::Driver,
    };
    ChannelError::caused(kind, format!("{doing}: {e}"), e)
}

/// Down the error chain to what the wire said. What the chain does not say is an error of the bench.
fn fault(e: ArmError) -> DapFault {
    match answer(&e) {
        Some(said) => DapFault::Answer(said),
        None => match e {
            ArmError::Probe(e) => DapFault::Bench(bench("use the probe", e)),
            e => DapFault::Bench(ChannelError::caused(ErrorKind::Driver, format!("use the probe: {e}"), e)),
        },
    }
}

fn answer(e: &ArmError) -> Option<Said> {
    match e {
        ArmError::NoTargetResponse { .. } => Some(Said::NoAck),
        ArmError::Dap(d) | ArmError::DebugPort(DebugPortError::Dap(d)) => Some(match d {
            DapError::NoAcknowledge => Said::NoAck,
            DapError::FaultResponse => Said::Fault,
            DapError::WaitResponse => Said::Wait,
            DapError::Protocol(_) | DapError::IncorrectParity => Said::Protocol,
        }),
        ArmError::AccessPort { source: AccessPortError::RegisterRead { source, .. } | AccessPortError::RegisterWrite { source, .. }, .. } => {
            source.downcast_ref::<ArmError>().and_then(answer)
        }
        ArmError::Timeout => Some(Said::Wait),
        _ => None,
    }
}
