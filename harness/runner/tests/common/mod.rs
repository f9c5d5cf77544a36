//! The emulated rig for tests of the runner.
#![allow(dead_code, reason = "each test file uses its part")]

use proofbench_channel::{ChannelError, Millivolts, Power, PowerAsk, PowerSeen, Wait};
use proofbench_model::dossier::Dossier;
use proofbench_model::journal::Event;
use proofbench_rig::{Permissions, ResolvedRig, Rig, load_dossier, open_reference};
use proofbench_runner::bench::{BenchSetup, ReferenceFactory, ReferenceRig, Stop};
use proofbench_runner::sink::MemorySink;
use proofbench_runner::{Bench, Capability, Check, Plan, RigFacts, RunOptions, Selection, Trouble, plan};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// The tree.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The thermostat's dossier.
pub fn dossier() -> Arc<Dossier> {
    Arc::new(load_dossier(&root().join("fixtures/devices/thermostat")).expect("the thermostat's dossier"))
}

/// The emulated rig of the tree with these defects and bench faults, open.
pub fn rig(defects: &[&str], faults: &[&str]) -> Rig {
    resolved().with_defects(defects).with_faults(faults).open(dossier(), 7, "a test").expect("the emulated rig opens")
}

/// The emulated rig of the tree.
pub fn resolved() -> ResolvedRig {
    ResolvedRig::load(&root().join("rigs/emulated.toml")).expect("the emulated rig")
}

/// A bench over an open rig, and what it records.
pub fn bench_on(rig: Rig) -> (Bench, MemorySink) {
    let sink = MemorySink::default();
    let bench = Bench::new(BenchSetup {
        channels: rig.channels,
        permissions: rig.permissions,
        dossier: rig.dossier,
        sink: Box::new(sink.clone()),
        seed: 7,
        stop: Stop::default(),
        reference: Some(reference()),
        only_cut: None,
        profile: proofbench_model::Profile::Ci,
    });
    (bench.expect("the dossier's patterns compile"), sink)
}

/// A bench on the conforming device, switched on and ready.
pub fn ready() -> (Bench, MemorySink) {
    let (mut bench, sink) = bench_on(rig(&[], &[]));
    bench.power_on().expect("the supply");
    bench.wait_ready(Duration::from_secs(3)).expect("the device comes up");
    (bench, sink)
}

/// Makes reference devices.
pub fn reference() -> ReferenceFactory {
    let dossier = dossier();
    ReferenceFactory::new(move |defects, seed| {
        let channels =
            open_reference(&dossier, defects, seed).map_err(|e| ChannelError::new(proofbench_channel::ErrorKind::Driver, e.to_string()))?;
        Ok(ReferenceRig { channels, dossier: dossier.clone() })
    })
}

/// A check on a unit without rows that needs console and supply; tests change what they need.
pub const fn check(id: &'static str, run: fn(&mut Bench) -> Result<(), Trouble>) -> Check {
    Check {
        id,
        title: "a check of a test",
        units: &[UNIT],
        table: None,
        row_wanted: None,
        needs: &[Capability::Console, Capability::Power],
        permissions: &[],
        defects: &[],
        twins: &[],
        control: "none: it tests the runner",
        budget: Duration::from_secs(60),
        run,
    }
}

/// A unit that the thermostat's ICS claims.
pub const UNIT: &str = "5.9-2-2 b";

/// The plan of all of these checks on this rig.
pub fn whole_plan(rig: &Rig, checks: &[&'static Check]) -> Plan {
    let capabilities = Capability::ALL.into_iter().filter(|c| c.of(&rig.channels)).collect();
    plan(&rig.dossier, &RigFacts { capabilities, permissions: rig.permissions }, checks, &Selection::default()).expect("the checks of a test")
}

/// Options of a run that records into memory.
pub fn options() -> (RunOptions, MemorySink) {
    let sink = MemorySink::default();
    (RunOptions::new(7, Box::new(sink.clone())), sink)
}

/// The notes of a record.
pub fn notes(sink: &MemorySink) -> Vec<String> {
    let taken = sink.0.borrow();
    taken.events.iter().filter_map(|(_, e)| if let Event::Note { text } = e { Some(text.clone()) } else { None }).collect()
}

/// A rig whose permissions are changed.
pub fn rig_granting(permissions: Permissions) -> Rig {
    let mut rig = rig(&[], &[]);
    rig.permissions = permissions;
    rig
}

/// A switch that can be made to do nothing and say what it was asked.
pub struct Sticky {
    pub inner: Box<dyn Power>,
    pub stuck: Rc<Cell<bool>>,
    pub said: PowerSeen,
}

/// Puts a [`Sticky`] in front of the supply.
pub fn sticky(rig: &mut Rig) -> Rc<Cell<bool>> {
    let stuck = Rc::new(Cell::new(false));
    let inner = rig.channels.power.take().expect("a supply");
    rig.channels.power = Some(Box::new(Sticky { inner, stuck: stuck.clone(), said: PowerSeen::Off }));
    stuck
}

impl Power for Sticky {
    fn set(&mut self, ask: PowerAsk, wait: &Wait) -> Result<(), ChannelError> {
        self.said = if ask == PowerAsk::On { PowerSeen::On } else { PowerSeen::Off };
        if self.stuck.get() { Ok(()) } else { self.inner.set(ask, wait) }
    }
    fn state(&mut self, _: &Wait) -> Result<PowerSeen, ChannelError> {
        Ok(self.said.clone())
    }
    fn rail(&mut self, wait: &Wait) -> Result<Option<Millivolts>, ChannelError> {
        if self.stuck.get() { Ok(None) } else { self.inner.rail(wait) }
    }
    fn off_min(&self) -> Duration {
        self.inner.off_min()
    }
    fn dip(&mut self, to: Millivolts, hold: Duration, wait: &Wait) -> Result<(), ChannelError> {
        self.inner.dip(to, hold, wait)
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
}
