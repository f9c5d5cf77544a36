//! Two hosts that share no code with ours look at the same emulated port in every state of its lock: Debian's OpenOCD over JTAG and PyPI's pyOCD over SWD.
//! What each reports goes through the same classifier as our own survey, and all must come to the same level of access. Not installed: the tests say so.
#![allow(clippy::unwrap_used)] // helpers of tests may fail like tests

mod facts;
mod hosts;

use facts::Facts;
use proofbench_channel::debug::{Access, Attach, DebugPort, Protocol, Said, Survey, SurveyJob, Unfit, classify};
use proofbench_channel::{Cancel, Moment, Wait};
use proofbench_drivers::debug::{EmulatedProbe, Port};
use proofbench_emulator::debug::{BareBoard, Level, LockRules, Pins, RAM};
use rstest::rstest;
use std::sync::{Arc, Mutex};

/// A word of the firmware, and where it stands.
const KNOWN: u32 = 0x4148_5431;
const FLASH: u32 = 0x8400;
/// Access ports that every host looks at: the last one that an emulated device can have is 3.
const APS: u8 = 4;

type Board = Arc<Mutex<BareBoard>>;

/// A powered board that has run for a second.
fn board(rules: LockRules) -> Board {
    let mut flash = vec![0xFF; 0x1_0000];
    flash[FLASH as usize..][..4].copy_from_slice(&KNOWN.to_le_bytes());
    let mut board = BareBoard::new(rules, true, flash, 250);
    board.set_power(true);
    board.spend(1_000_000_000);
    Arc::new(Mutex::new(board))
}

/// Our probe's cable on it.
struct Cable(Board);

impl Pins for Cable {
    fn edge(&mut self, tms: Option<bool>, tdi: bool) {
        self.0.lock().unwrap().edge(tms, tdi);
    }
    fn swdio(&self) -> bool {
        self.0.lock().unwrap().swdio()
    }
    fn tdo(&self) -> bool {
        self.0.lock().unwrap().tdo()
    }
    fn set_nrst(&mut self, low: bool) {
        self.0.lock().unwrap().set_nrst(low);
    }
    fn set_clock_low(&mut self, low: bool) {
        self.0.lock().unwrap().set_clock_low(low);
    }
    fn nrst_low(&self) -> bool {
        self.0.lock().unwrap().nrst_low()
    }
    fn vtref_mv(&self) -> u32 {
        self.0.lock().unwrap().vtref_mv()
    }
    fn now_ns(&self) -> u64 {
        self.0.lock().unwrap().now_ns()
    }
}

impl Port for Cable {
    fn spend(&mut self, _clocks: u32) {}
}

fn job(protocol: Protocol) -> SurveyJob {
    SurveyJob { max_ap: APS - 1, ..SurveyJob::new(protocol, RAM, FLASH, Some(KNOWN)) }
}

fn ours(board: &Board, protocol: Protocol) -> Survey {
    let mut probe = EmulatedProbe::new(Box::new(Cable(Arc::clone(board))));
    let wait = Wait::until(Moment(u64::MAX), &Cancel::new());
    probe.begin(&job(protocol), &wait).unwrap();
    probe.finish(&wait).unwrap()
}

/// Every state of a lock: by its level, or by the name of a device that is wrong in one way.
fn rules(state: &str) -> LockRules {
    let locked_as = |level| LockRules { locked_as: level, ..LockRules::conforming() };
    match state {
        "open" => locked_as(Level::Open),
        "silent" => locked_as(Level::Silent),
        "access port disabled" => locked_as(Level::ApDisabled),
        "flash refused" => locked_as(Level::FlashFault),
        "flash blanked" => locked_as(Level::FlashZero),
        "access port hidden" => locked_as(Level::ApHidden),
        "access port stuck" => locked_as(Level::ApWait),
        "power-up refused" => locked_as(Level::NoPowerAck),
        defect => LockRules::of(|name| name == defect),
    }
}

#[rstest]
fn every_host_finds_the_level_that_our_survey_finds(
    #[values(Protocol::Jtag, Protocol::Swd)] protocol: Protocol,
    #[values(
        ("open", Access::Open, Access::Open),
        ("silent", Access::Silent, Access::Silent),
        ("access port disabled", Access::ApDisabled, Access::ApDisabled),
        ("flash refused", Access::Partial, Access::Partial),
        ("flash blanked", Access::Partial, Access::Partial),
        ("access port hidden", Access::NoMemAp, Access::NoMemAp),
        ("access port stuck", Access::ApStuck, Access::ApStuck),
        ("power-up refused", Access::PowerUpRefused, Access::PowerUpRefused),
        ("debug-second-ap", Access::Open, Access::Open),
        ("debug-jtag-open", Access::Open, Access::ApDisabled),
        ("debug-dormant-open", Access::ApDisabled, Access::ApDisabled),
        ("debug-open-under-reset", Access::ApDisabled, Access::ApDisabled),
        ("debug-late-lock", Access::ApDisabled, Access::ApDisabled),
        ("debug-cold-plug", Access::Silent, Access::Silent),
        ("debug-ap-hidden", Access::NoMemAp, Access::NoMemAp),
        ("debug-power-up-refused", Access::PowerUpRefused, Access::PowerUpRefused)
    )]
    state: (&str, Access, Access),
) {
    let (name, over_jtag, over_swd) = state;
    let board = board(rules(name));
    let jtag = protocol == Protocol::Jtag;
    let Some((facts, said)) = (if jtag { hosts::openocd(&board) } else { hosts::pyocd(&board) }) else { return };
    let theirs = facts.survey(job(protocol));
    let ours = ours(&board, protocol);
    let expected = if jtag { over_jtag } else { over_swd };
    assert_eq!(classify(&ours), Ok(expected), "our survey of `{name}`: {ours:#?}");
    assert_eq!(classify(&theirs), Ok(expected), "`{name}`: {}\n{}\nours: {}", said, theirs.summary(), ours.summary());
    agree_word_by_word(&ours, &theirs, name);
    let board = board.lock().unwrap();
    assert_eq!(board.wire.audit().erase_alls, 0);
    assert!(!board.wire.core_halted(), "somebody left the core halted");
}

/// Not only the level: every value that both read is the same, and neither got what the other was refused.
fn agree_word_by_word(ours: &Survey, theirs: &Survey, state: &str) {
    let numbers = |s: &Survey| s.aps.iter().filter(|a| a.idr != 0).map(|a| (a.ap, a.idr, a.mem)).collect::<Vec<_>>();
    assert_eq!(numbers(ours), numbers(theirs), "`{state}`");
    let got = |said: &Said| matches!(said, Said::Value(_));
    for (a, b) in ours.aps.iter().filter(|a| a.mem).zip(theirs.aps.iter().filter(|a| a.mem)) {
        for (word, x, y) in [("CPUID", &a.cpuid, &b.cpuid), ("RAM", &a.ram, &b.ram), ("flash", &a.flash, &b.flash)] {
            assert_eq!(got(x), got(y), "`{state}`, AP {}, {word}: {x:?} and {y:?}", a.ap);
            if got(x) {
                assert_eq!(x, y, "`{state}`, AP {}, {word}", a.ap);
            }
        }
        // Where it stands differs from look to look; whether it can be stopped does not.
        assert_eq!(got(&a.core), got(&b.core), "`{state}`, AP {}, core: {:?} and {:?}", a.ap, a.core, b.core);
    }
}

#[test]
fn a_host_that_says_nothing_is_no_agreement() {
    // The control of the comparison: facts of a silent port, and none of an open one, do not pass for each other.
    let silent = Facts::read("PB id refused: silent\n").survey(job(Protocol::Swd));
    assert_eq!(classify(&silent), Ok(Access::Silent));
    assert_eq!(classify(&ours(&board(rules("open")), Protocol::Swd)), Ok(Access::Open));
    let blank = Facts::read("PB id value 0x2ba01477\nPB ctrl value 0xf0000000\nPB ap0.idr value 0x24770011\nPB ap0.flash value 0x0\n");
    assert!(matches!(classify(&blank.survey(job(Protocol::Swd))), Err(Unfit::Blank { .. })));
    assert_eq!(job(Protocol::Swd).attach, Attach::Running);
}
