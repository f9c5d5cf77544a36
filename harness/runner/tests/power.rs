//! When is an off a power cut? Only when the rail, the console or the next boot shows it.
#![allow(clippy::unwrap_used)] // the lint knows test functions, not their helpers

mod common;

use common::{bench_on, notes, rig, sticky};
use proofbench_channel::{ChannelError, Console, ConsoleRead, ErrorKind, Millivolts, Power, PowerAsk, PowerSeen, Wait};
use proofbench_model::Reason;
use proofbench_rig::Rig;
use proofbench_runner::bench::OffWitness;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// A supply that nobody measures.
struct Unmetered(Box<dyn Power>);

impl Power for Unmetered {
    fn set(&mut self, ask: PowerAsk, wait: &Wait) -> Result<(), ChannelError> {
        self.0.set(ask, wait)
    }
    fn state(&mut self, wait: &Wait) -> Result<PowerSeen, ChannelError> {
        self.0.state(wait)
    }
    fn rail(&mut self, _: &Wait) -> Result<Option<Millivolts>, ChannelError> {
        Ok(None)
    }
    fn off_min(&self) -> Duration {
        self.0.off_min()
    }
    fn dip(&mut self, to: Millivolts, hold: Duration, wait: &Wait) -> Result<(), ChannelError> {
        self.0.dip(to, hold, wait)
    }
    fn describe(&self) -> String {
        self.0.describe()
    }
}

fn unmetered(mut rig: Rig) -> Rig {
    rig.channels.power = rig.channels.power.map(|p| Box::new(Unmetered(p)) as _);
    rig
}

/// What a console does beside what the device does.
#[derive(Clone, Copy, PartialEq)]
enum Quirk {
    /// What is written reaches nothing.
    Deaf,
    /// Something else on the line sends without a pause.
    Babble,
    /// The port goes with the device's power.
    OwnPort,
    /// The adapter sends back what it is sent, and the device gets nothing.
    Echo,
}

struct Quirky {
    inner: Box<dyn Console>,
    quirk: Quirk,
    on: Rc<Cell<bool>>,
    told: bool,
    echo: Vec<u8>,
}

impl Console for Quirky {
    fn read(&mut self, into: &mut Vec<u8>, wait: &Wait) -> Result<ConsoleRead, ChannelError> {
        if self.on.get() {
            self.told = false;
        } else if self.quirk == Quirk::OwnPort && !std::mem::replace(&mut self.told, true) {
            return Ok(ConsoleRead::Gone);
        }
        let read = self.inner.read(into, wait)?;
        match (read, self.quirk) {
            (ConsoleRead::Silence, Quirk::Babble) => {
                into.extend_from_slice(b"tick ");
                Ok(ConsoleRead::Bytes(wait.until))
            }
            (ConsoleRead::Silence, Quirk::Echo) if !self.echo.is_empty() => {
                into.append(&mut self.echo);
                Ok(ConsoleRead::Bytes(wait.until))
            }
            _ => Ok(read),
        }
    }
    fn write(&mut self, bytes: &[u8], wait: &Wait) -> Result<(), ChannelError> {
        match self.quirk {
            Quirk::Deaf => Ok(()),
            Quirk::OwnPort if !self.on.get() => Err(ChannelError::new(ErrorKind::Disconnected, "write to a port that went with its device")),
            Quirk::Echo => {
                self.echo.extend_from_slice(bytes);
                Ok(())
            }
            _ => self.inner.write(bytes, wait),
        }
    }
    fn send_break(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        self.inner.send_break(wait)
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
}

/// Tells a [`Quirky`] console whether the supply is on.
struct Telling(Box<dyn Power>, Rc<Cell<bool>>);

impl Power for Telling {
    fn set(&mut self, ask: PowerAsk, wait: &Wait) -> Result<(), ChannelError> {
        self.1.set(ask == PowerAsk::On);
        self.0.set(ask, wait)
    }
    fn state(&mut self, wait: &Wait) -> Result<PowerSeen, ChannelError> {
        self.0.state(wait)
    }
    fn rail(&mut self, wait: &Wait) -> Result<Option<Millivolts>, ChannelError> {
        self.0.rail(wait)
    }
    fn off_min(&self) -> Duration {
        self.0.off_min()
    }
    fn dip(&mut self, to: Millivolts, hold: Duration, wait: &Wait) -> Result<(), ChannelError> {
        self.0.dip(to, hold, wait)
    }
    fn describe(&self) -> String {
        self.0.describe()
    }
}

fn quirky(mut rig: Rig, quirk: Quirk) -> Rig {
    let on = Rc::new(Cell::new(false));
    let (inner, power) = (rig.channels.console.take().unwrap(), rig.channels.power.take().unwrap());
    rig.channels.console = Some(Box::new(Quirky { inner, quirk, on: on.clone(), told: false, echo: Vec::new() }));
    rig.channels.power = Some(Box::new(Telling(power, on)));
    rig
}

#[test]
fn a_metered_rail_vouches_for_the_off() {
    let (mut b, _) = bench_on(rig(&[], &[]));
    b.power_on().unwrap();
    let first = b.wait_ready(3 * SECOND).unwrap();
    assert_eq!(b.off_witness(), None);
    let second = b.power_cycle().unwrap();
    assert_ne!(first.id, second.id);
    assert!(matches!(b.off_witness(), Some(OffWitness::Rail(mv)) if mv < Millivolts(500)), "{:?}", b.off_witness());
}

#[test]
fn a_switch_that_does_nothing_is_a_rig_fault() {
    let mut rig = rig(&[], &[]);
    let stuck = sticky(&mut rig);
    let (mut b, _) = bench_on(rig);
    b.power_on().unwrap();
    b.wait_ready(3 * SECOND).unwrap();
    stuck.set(true);
    let e = b.power_off().unwrap_err();
    assert_eq!(e.reason(), Reason::RigFault);
    assert!(e.to_string().contains("still talks (`\\r\\nlogin: `)"), "{e}");
    assert_eq!(b.off_witness(), None);
}

#[test]
fn a_rail_that_only_sags_is_a_rig_fault() {
    let (mut b, _) = bench_on(rig(&[], &["back-feed"]));
    b.power_on().unwrap();
    b.wait_ready(3 * SECOND).unwrap();
    let e = b.power_off().unwrap_err();
    assert_eq!(e.reason(), Reason::RigFault);
    assert!(e.to_string().contains("still at 2200 mV"), "{e}");
}

#[test]
fn a_back_fed_device_without_a_meter_is_found_by_its_console() {
    let (mut b, _) = bench_on(unmetered(rig(&[], &["back-feed"])));
    b.power_on().unwrap();
    b.wait_ready(3 * SECOND).unwrap();
    let e = b.power_off().unwrap_err();
    assert_eq!(e.reason(), Reason::RigFault);
    assert!(e.to_string().contains("fed otherwise"), "{e}");
}

#[test]
fn an_off_that_nothing_shows_is_recorded_and_the_boot_decides() {
    let (mut b, sink) = bench_on(unmetered(rig(&[], &[])));
    b.power_on().unwrap();
    b.wait_ready(3 * SECOND).unwrap();
    let boot = b.power_cycle().unwrap();
    assert_eq!((boot.cause.as_str(), b.off_witness()), ("power-on", Some(OffWitness::Nothing)));
    assert!(notes(&sink).iter().any(|n| n.starts_with("off not witnessed")), "{:?}", notes(&sink));
}

#[test]
fn an_off_that_nothing_shows_is_no_cut_if_the_device_cannot_tell_it_from_other_restarts() {
    for (meter, counts) in [(true, true), (false, false)] {
        let mut rig = rig(&[], &[]);
        let mut dossier = (*rig.dossier).clone();
        let bind = &mut dossier.device.bind;
        bind.ram = None;
        (bind.causes.pin, bind.causes.watchdog, bind.causes.software, bind.causes.brown_out) = (None, None, None, None);
        rig.dossier = dossier.into();
        let (mut b, _) = bench_on(if meter { rig } else { unmetered(rig) });
        b.power_on().unwrap();
        b.wait_ready(3 * SECOND).unwrap();
        let cycled = b.power_cycle();
        assert_eq!(cycled.is_ok(), counts, "meter {meter}: {cycled:?}");
        assert!(counts || cycled.unwrap_err().reason() == Reason::NoOpportunity);
    }
}

#[test]
fn a_silent_device_behind_a_dead_switch_is_no_power_cut_either() {
    let (mut b, _) = bench_on(quirky(rig(&[], &["stuck-power"]), Quirk::Deaf));
    b.power_on().unwrap();
    b.wait_ready(3 * SECOND).unwrap();
    b.power_off().unwrap();
    assert_eq!(b.off_witness(), Some(OffWitness::Nothing));
    b.power_on().unwrap();
    assert_eq!(b.try_ready(3 * SECOND).unwrap(), None);
    assert!(!b.cut_was_seen());
    assert!(b.power_cycle().is_err());
}

#[test]
fn something_that_talks_on_while_the_supply_is_off_is_a_rig_fault() {
    let (mut b, _) = bench_on(quirky(rig(&[], &[]), Quirk::Babble));
    b.power_on().unwrap();
    let e = b.power_off().unwrap_err();
    assert_eq!(e.reason(), Reason::RigFault);
    assert!(e.to_string().contains("tick tick"), "{e}");
}

#[test]
fn an_echo_of_the_adapter_is_no_device() {
    let (mut b, _) = bench_on(quirky(unmetered(rig(&[], &[])), Quirk::Echo));
    b.power_on().unwrap();
    b.wait_ready(3 * SECOND).unwrap();
    b.power_off().unwrap();
    assert_eq!(b.off_witness(), Some(OffWitness::Nothing));
}

#[test]
fn a_port_that_goes_with_the_device_is_a_witness() {
    let (mut b, _) = bench_on(quirky(unmetered(rig(&[], &[])), Quirk::OwnPort));
    b.power_on().unwrap();
    b.wait_ready(3 * SECOND).unwrap();
    b.power_off().unwrap();
    assert_eq!(b.off_witness(), Some(OffWitness::PortGone));
}

#[test]
fn of_several_boots_the_first_one_is_the_cuts_witness() {
    // A device that restarts itself after the supply came back: the last boot's cause is software, the first one's is what counts.
    let (mut b, _) = bench_on(rig(&[], &[]));
    b.power_on().unwrap();
    b.wait_ready(3 * SECOND).unwrap();
    let boot = b.power_cycle().unwrap();
    let restarted = proofbench_runner::bench::Boot { boots: 2, cause: "software".to_owned(), ram_lost: Some(false), ..boot.clone() };
    assert!(b.witness(None, &restarted).is_ok());
    let kept = proofbench_runner::bench::Boot { first_cause: "software".to_owned(), ..restarted };
    assert_eq!(b.witness(None, &kept).unwrap_err().reason(), Reason::NoOpportunity);
}
