//! A probe that can do what the board's cannot: measure the target's voltage and hold SWCLK low. It is a driver of our own inside this process,
//! registered with unmodified probe-rs as any third party would do it.
#![allow(clippy::unwrap_used)] // helpers of tests may fail like tests

use bitvec::vec::BitVec;
use probe_rs::architecture::arm::sequences::ArmDebugSequence;
use probe_rs::architecture::arm::{ArmCommunicationInterface, ArmDebugInterface, ArmError, DapProbe};
use probe_rs::probe::list::ProbeListItem;
use probe_rs::probe::{
    AutoImplementJtagAccess, DebugProbe, DebugProbeError, DebugProbeInfo, DebugProbeSelector, IoSequenceItem, JtagAccess, JtagDriverState,
    ProbeCreationError, ProbeFactory, RawJtagIo, RawSwdIo, SwdSettings, WireProtocol,
};
use proofbench_channel::debug::{Access, Attach, Protocol, Survey, SurveyJob, Unfit, WorkerAct, WorkerJob, WorkerSays, classify};
use proofbench_emulator::debug::{BareBoard, LockRules, Pins, RAM};
use proofbench_probe_worker::run;
use rstest::rstest;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, Once, OnceLock};

const VID: u16 = 0x1209;
const PID: u16 = 0xDA90;
const KNOWN: u32 = 0x4148_5431;
const NRESET: u32 = 0x80;
const SWCLK: u32 = 0x01;

type Board = Arc<Mutex<BareBoard>>;

fn boards() -> &'static Mutex<HashMap<String, Board>> {
    static BOARDS: OnceLock<Mutex<HashMap<String, Board>>> = OnceLock::new();
    BOARDS.get_or_init(Default::default)
}

#[derive(Debug)]
struct Factory;

impl std::fmt::Display for Factory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("probe with all pins")
    }
}

impl ProbeFactory for Factory {
    fn open(&self, selector: &DebugProbeSelector) -> Result<Box<dyn DebugProbe>, DebugProbeError> {
        let missing = || DebugProbeError::ProbeCouldNotBeCreated(ProbeCreationError::NotFound);
        if (selector.vendor_id, selector.product_id) != (VID, PID) {
            return Err(missing());
        }
        let name = selector.serial_number.clone().unwrap_or_default();
        let board = boards().lock().unwrap().get(&name).cloned().ok_or_else(missing)?;
        Ok(Box::new(AllPins { board, wire: WireProtocol::Swd, jtag: JtagDriverState::default(), swd: SwdSettings::default(), bits: BitVec::new() }))
    }
    fn list_probes(&self) -> Vec<ProbeListItem> {
        let info = |name: &String| DebugProbeInfo::new("probe with all pins", VID, PID, Some(name.clone()), &Factory, None, false);
        boards().lock().unwrap().keys().map(|name| ProbeListItem::accessible(info(name))).collect()
    }
}

struct AllPins {
    board: Board,
    wire: WireProtocol,
    jtag: JtagDriverState,
    swd: SwdSettings,
    bits: BitVec,
}

impl std::fmt::Debug for AllPins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AllPins")
    }
}

impl DebugProbe for AllPins {
    fn get_name(&self) -> &str {
        "probe with all pins"
    }
    fn speed_khz(&self) -> u32 {
        4000
    }
    fn set_speed(&mut self, speed: u32) -> Result<u32, DebugProbeError> {
        Ok(speed)
    }
    fn attach(&mut self) -> Result<(), DebugProbeError> {
        if self.wire == WireProtocol::Jtag { self.select_target(0) } else { Ok(()) }
    }
    fn detach(&mut self) -> Result<(), probe_rs::Error> {
        Ok(())
    }
    fn target_reset(&mut self) -> Result<(), DebugProbeError> {
        self.target_reset_assert()?;
        self.target_reset_deassert()
    }
    fn target_reset_assert(&mut self) -> Result<(), DebugProbeError> {
        self.board.lock().unwrap().set_nrst(true);
        Ok(())
    }
    fn target_reset_deassert(&mut self) -> Result<(), DebugProbeError> {
        self.board.lock().unwrap().set_nrst(false);
        Ok(())
    }
    fn select_protocol(&mut self, wire: WireProtocol) -> Result<(), DebugProbeError> {
        self.wire = wire;
        Ok(())
    }
    fn active_protocol(&self) -> Option<WireProtocol> {
        Some(self.wire)
    }
    fn has_arm_interface(&self) -> bool {
        true
    }
    fn get_target_voltage(&mut self) -> Result<Option<f32>, DebugProbeError> {
        Ok(Some(self.board.lock().unwrap().vtref_mv() as f32 / 1000.0))
    }
    fn try_as_jtag_probe(&mut self) -> Option<&mut dyn JtagAccess> {
        Some(self)
    }
    fn try_as_dap_probe(&mut self) -> Option<&mut dyn DapProbe> {
        Some(self)
    }
    fn try_get_arm_debug_interface<'p>(
        self: Box<Self>,
        sequence: Arc<dyn ArmDebugSequence>,
    ) -> Result<Box<dyn ArmDebugInterface + 'p>, (Box<dyn DebugProbe>, ArmError)> {
        Ok(ArmCommunicationInterface::create(self, sequence, true))
    }
    fn into_probe(self: Box<Self>) -> Box<dyn DebugProbe> {
        self
    }
}

impl DapProbe for AllPins {}
impl AutoImplementJtagAccess for AllPins {}

impl RawSwdIo for AllPins {
    fn swd_io<S: IntoIterator<Item = IoSequenceItem>>(&mut self, items: S) -> Result<Vec<bool>, DebugProbeError> {
        let mut board = self.board.lock().unwrap();
        let mut answers = Vec::new();
        for item in items {
            answers.push(match item {
                IoSequenceItem::Output(bit) => {
                    board.edge(Some(bit), true);
                    bit
                }
                IoSequenceItem::Input => {
                    board.edge(None, true);
                    board.swdio()
                }
            });
        }
        Ok(answers)
    }
    fn swj_pins(&mut self, out: u32, select: u32, _wait: u32) -> Result<u32, DebugProbeError> {
        let mut board = self.board.lock().unwrap();
        if select & SWCLK != 0 {
            board.set_clock_low(out & SWCLK == 0);
        }
        if select & NRESET != 0 {
            board.set_nrst(out & NRESET == 0);
        }
        Ok(if board.nrst_low() { 0 } else { NRESET })
    }
    fn swd_settings(&self) -> &SwdSettings {
        &self.swd
    }
}

impl RawJtagIo for AllPins {
    fn state_mut(&mut self) -> &mut JtagDriverState {
        &mut self.jtag
    }
    fn state(&self) -> &JtagDriverState {
        &self.jtag
    }
    fn shift_bit(&mut self, tms: bool, tdi: bool, capture: bool) -> Result<(), DebugProbeError> {
        self.jtag.state.update(tms);
        let mut board = self.board.lock().unwrap();
        if capture {
            self.bits.push(board.tdo());
        }
        board.edge(Some(tms), tdi);
        Ok(())
    }
    fn read_captured_bits(&mut self) -> Result<BitVec, DebugProbeError> {
        Ok(std::mem::take(&mut self.bits))
    }
}

/// A board on a probe of this name, with power or without.
fn board(name: &str, rules: LockRules, power: bool) -> Board {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| probe_rs::plugin::register_plugin(probe_rs::plugin::Plugin { probe_drivers: &[&Factory], ..Default::default() }));
    let mut flash = vec![0xFF; 0x1_0000];
    flash[0x8400..0x8404].copy_from_slice(&KNOWN.to_le_bytes());
    let mut board = BareBoard::new(rules, true, flash, 250);
    board.set_power(power);
    board.spend(1_000_000_000);
    let board = Arc::new(Mutex::new(board));
    boards().lock().unwrap().insert(name.to_owned(), Arc::clone(&board));
    board
}

fn surveyed(name: &str, protocol: Protocol, attach: Attach) -> Survey {
    let job = SurveyJob { attach, max_ap: 4, poll_ms: 20, ..SurveyJob::new(protocol, RAM, 0x8400, Some(KNOWN)) };
    let job = WorkerJob { selector: format!("{VID:04x}:{PID:04x}:{name}"), speed: 1.0, deadline_ms: 30_000, act: WorkerAct::Survey(job) };
    match run(&job, &mut |_| {}, &mut |_| {}) {
        WorkerSays::Survey(survey) => *survey,
        other => panic!("{other:?}"),
    }
}

#[rstest]
fn the_voltage_at_the_connector_is_in_every_survey(
    #[values(Protocol::Swd, Protocol::Jtag)] protocol: Protocol,
    #[values(Attach::Running, Attach::UnderReset, Attach::PowerOnRace, Attach::ColdPlug)] attach: Attach,
) {
    let name = format!("volts-{protocol:?}-{attach:?}");
    board(&name, LockRules::conforming(), true);
    let survey = surveyed(&name, protocol, attach);
    assert_eq!(survey.vtref_mv, Some(3300));
    assert_eq!(classify(&survey), Ok(Access::ApDisabled), "{survey:#?}");
}

#[rstest]
fn a_target_without_power_is_not_a_locked_one(#[values(Protocol::Swd, Protocol::Jtag)] protocol: Protocol) {
    let name = format!("dark-{protocol:?}");
    board(&name, LockRules::conforming(), false);
    let survey = surveyed(&name, protocol, Attach::Running);
    assert_eq!(survey.vtref_mv, Some(0));
    assert_eq!(classify(&survey), Err(Unfit::Unpowered(0)), "{survey:#?}");
}

#[rstest]
#[case("debug-cold-plug", Attach::UnderReset, Access::Silent)]
#[case("debug-cold-plug", Attach::ColdPlug, Access::Open)]
#[case("debug-cold-plug-answers", Attach::ColdPlug, Access::ApDisabled)]
fn cold_plugging_works_through_the_real_driver(
    #[case] defect: &str,
    #[case] attach: Attach,
    #[case] level: Access,
    #[values(Protocol::Swd, Protocol::Jtag)] protocol: Protocol,
) {
    let name = format!("{defect}-{attach:?}-{protocol:?}");
    let board = board(&name, LockRules::of(|n| n == defect), true);
    let survey = surveyed(&name, protocol, attach);
    assert_eq!(classify(&survey), Ok(level), "{survey:#?}");
    assert_eq!(survey.unmet, None);
    let board = board.lock().unwrap();
    assert!(!board.nrst_low() && !board.wire.core_halted(), "the device was not let go");
}
