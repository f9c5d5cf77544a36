//! What a check gets in its hand: the opened rig, the dossier, and the careful ways to use them.
//!
//! Every wait is bounded by its deadline, by the check's budget and by the cancel handles. Everything that goes over a channel is in the
//! transcript, and the transcript is attached to every observation.

mod act;
mod boot;
mod console;
mod control;
mod net;
mod observe;
mod storage;
mod wires;

pub use act::{Did, LoginResult};
pub use boot::{Boot, OffWitness};
pub use console::Found;
pub use control::{Memo, ReferenceFactory, ReferenceRig};
pub use net::{HttpAnswer, HttpSeen, WebLogin, resolver};
pub use storage::{StateVector, state_changes};

pub use crate::watch::BootSeen;

use crate::check::{Capability, Check, Permission};
use crate::dialogue::Lines;
use crate::sink::Sink;
use crate::tap::{Shared, Tapped};
use crate::trouble::Trouble;
use crate::watch::{Patterns, Watch};
use proofbench_channel::debug::DebugPort;
use proofbench_channel::{Cancel, Console, CrashSpace, Fixture, Fleet, Moment, Network, Power, Reset, Storage, Tear, UpdatePath, Wait};
use proofbench_model::bind::{Credential, DeviceBind};
use proofbench_model::dossier::{Dossier, Row};
use proofbench_model::journal::Event;
use proofbench_model::{CheckId, EvidenceId, Observation, Profile, UnitId};
use proofbench_rig::safe::Parts;
use proofbench_rig::{Channels, Permissions, SafeState};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};
use std::sync::Arc;
use std::time::Duration;

/// Both ways to stop a run. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// First signal: nothing new is started, the present step is finished.
    pub soft: Cancel,
    /// Second signal: every wait ends at once.
    pub hard: Cancel,
}

impl Stop {
    /// What a signal handler calls.
    pub fn signal(&self) {
        if self.soft.is_cancelled() {
            self.hard.cancel();
        }
        self.soft.cancel();
    }
}

/// What a bench is made of.
pub struct BenchSetup {
    /// The open channels.
    pub channels: Channels,
    /// What the rig grants.
    pub permissions: Permissions,
    /// The manufacturer's side.
    pub dossier: Arc<Dossier>,
    /// Where records go.
    pub sink: Box<dyn Sink>,
    /// Seed of the run; each check gets its own from it.
    pub seed: u64,
    /// Ways to stop.
    pub stop: Stop,
    /// Makes reference devices for negative controls.
    pub reference: Option<ReferenceFactory>,
    /// Replay: exactly this cut.
    pub only_cut: Option<(u32, Tear)>,
    /// How thorough the run is meant to be.
    pub profile: Profile,
}

/// What the bench knows of the check that runs.
pub(crate) struct Current {
    id: CheckId,
    table: Option<u8>,
    row_wanted: Option<fn(&Row) -> bool>,
    units: Vec<UnitId>,
    seed: u64,
    attempt: u32,
    pub(crate) observations: Vec<Observation>,
    evidence: Vec<EvidenceId>,
    strength: Option<String>,
    replay: Option<String>,
    /// A mistake of the check itself (a unit it does not own); ends it as a harness fault.
    pub(crate) mistake: Option<String>,
}

/// The opened rig plus the dossier.
pub struct Bench {
    core: Shared,
    tapped: Tapped,
    permissions: Permissions,
    dossier: Arc<Dossier>,
    stop: Stop,
    run_seed: u64,
    reference: Option<ReferenceFactory>,
    only_cut: Option<(u32, Tear)>,
    profile: Profile,
    memo: Memo,
    images: BTreeMap<String, Arc<[u8]>>,
    patterns: Patterns,
    watch: Watch,
    lines: Lines,
    scratch: Vec<u8>,
    trips_allowed: bool,
    credential: Option<Credential>,
    /// Boot count at which the present session began; none if nobody is logged in.
    session: Option<u64>,
    /// The owner's session on the device's own interface, and the boot count at which it began.
    web_session: Option<(String, u64)>,
    /// Whether this check has set the device up.
    owned: bool,
    /// How often this check has set the device up.
    set_ups: u32,
    /// What the lab saw of the device during the present check.
    sights: Vec<proofbench_channel::network::Seen>,
    /// Destinations on whose way everything is late.
    slow_ways: BTreeSet<(String, u16)>,
    last_boot: Option<Boot>,
    /// What showed that power went when the supply was last switched off.
    off: Option<OffWitness>,
    /// What showed that it had not gone; none after an off that nothing contradicts.
    still_fed: Option<String>,
    /// The console's port vanished, and nothing has come from it since.
    port_gone: bool,
    budget_end: Moment,
    clipped: Cell<bool>,
    /// Preamble and postamble finish although somebody asked to stop.
    shielded: bool,
    current: Option<Current>,
}

/// No channel call of the bench's own takes longer without looking at the soft stop.
const SLICE: Duration = Duration::from_millis(200);
/// How long a single request to an adapter may take.
const ADAPTER: Duration = Duration::from_secs(5);

impl Bench {
    /// A bench over open channels. Nothing is touched. An unreadable pattern in the dossier is [`Trouble::IxitAmbiguous`].
    pub fn new(setup: BenchSetup) -> Result<Bench, Trouble> {
        let watch = Watch::new(&setup.dossier.device.bind).map_err(Trouble::IxitAmbiguous)?;
        let (core, tapped) = crate::tap::tap(setup.channels, setup.sink, setup.permissions.grants(Permission::FlashWrite));
        let credential = setup.dossier.device.sample.label.clone();
        Ok(Bench {
            core,
            tapped,
            permissions: setup.permissions,
            dossier: setup.dossier,
            stop: setup.stop,
            run_seed: setup.seed,
            reference: setup.reference,
            only_cut: setup.only_cut,
            profile: setup.profile,
            memo: Memo::default(),
            images: BTreeMap::new(),
            patterns: Patterns::default(),
            watch,
            lines: Lines::default(),
            scratch: Vec::new(),
            trips_allowed: false,
            credential,
            session: None,
            web_session: None,
            owned: false,
            set_ups: 0,
            sights: Vec::new(),
            slow_ways: BTreeSet::new(),
            last_boot: None,
            off: None,
            still_fed: None,
            port_gone: false,
            budget_end: Moment(u64::MAX),
            clipped: Cell::new(false),
            shielded: false,
            current: None,
        })
    }

    // ---- time ----

    /// The present moment of bench time.
    pub fn now(&self) -> Moment {
        self.core.now()
    }

    /// Lets bench time pass. Ends early with [`Trouble::Cancelled`] or [`Trouble::Budget`].
    pub fn sleep(&mut self, d: Duration) -> Result<(), Trouble> {
        let end = self.now() + d;
        self.idly(end, |bench| {
            let wait = bench.wait(end.since(bench.now()).min(SLICE));
            bench.core.clock.borrow_mut().sleep_until(&wait)?;
            Ok((bench.now() >= end).then_some(()))
        })
    }

    /// Waits part by part until one of them brings something, and lets the clock know that nothing else is done until then.
    pub(crate) fn idly<T>(&mut self, end: Moment, mut part: impl FnMut(&mut Self) -> Result<Option<T>, Trouble>) -> Result<T, Trouble> {
        let brought = loop {
            if let Err(e) = self.checkpoint() {
                break Err(e);
            }
            // A way on which everything is late needs its time: what is on it comes when the bench's clock says so, and a device that passes idle time over
            // would not wait for it.
            let idle = self.slow_ways.is_empty().then(|| end.min(self.budget_end));
            self.core.clock.borrow_mut().idle(idle);
            match part(self) {
                Ok(Some(it)) => break Ok(it),
                Ok(None) => {}
                Err(e) => break Err(e),
            }
        };
        self.core.clock.borrow_mut().idle(None);
        brought
    }

    /// A wait of at most `d`, never past the check's budget.
    pub fn wait(&self, d: Duration) -> Wait {
        let mut until = self.now() + d;
        if until > self.budget_end {
            until = self.budget_end;
            self.clipped.set(true);
        }
        Wait::until(until, &self.stop.hard)
    }

    /// Seed of this check in this run: equal in every run with the same run seed, different from every other check's.
    pub fn seed(&self) -> u64 {
        self.current.as_ref().map_or(self.run_seed, |c| c.seed)
    }

    /// An error if the check must not go on: somebody asked to stop, the budget is used up, the journal cannot be written.
    /// Checks with long loops of their own call it once a turn.
    pub fn checkpoint(&self) -> Result<(), Trouble> {
        if self.stop.hard.is_cancelled() || (self.stop.soft.is_cancelled() && !self.shielded) {
            return Err(Trouble::Cancelled);
        }
        if self.now() >= self.budget_end {
            return Err(Trouble::Budget("the check's bench time is used up".to_owned()));
        }
        match self.core.sink.borrow().failed() {
            Some(why) => Err(Trouble::Harness(why)),
            None => Ok(()),
        }
    }

    // ---- dossier ----

    /// The manufacturer's side.
    pub fn dossier(&self) -> &Dossier {
        &self.dossier
    }

    /// `[bind]` of `device.toml`.
    pub fn bind(&self) -> &DeviceBind {
        &self.dossier.device.bind
    }

    /// Rows of this check's table that it can judge.
    pub fn rows(&self) -> Vec<Row> {
        self.current.as_ref().map(|c| judged_rows(&self.dossier, c.table, c.row_wanted).cloned().collect()).unwrap_or_default()
    }

    /// An image of the maker, by its path below the dossier's folder. Read once.
    pub fn image(&mut self, file: &str) -> Result<Vec<u8>, Trouble> {
        self.image_shared(file).map(|bytes| bytes.to_vec())
    }

    fn image_shared(&mut self, file: &str) -> Result<Arc<[u8]>, Trouble> {
        if let Some(bytes) = self.images.get(file) {
            return Ok(bytes.clone());
        }
        let below = Path::new(file).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
        if !below {
            return Err(Trouble::IxitAmbiguous(format!("image `{file}` is no path below the dossier's folder")));
        }
        let path = self.dossier.dir.join(file);
        let bytes: Arc<[u8]> = std::fs::read(&path).map_err(|e| Trouble::IxitMissing(format!("image {}: {e}", path.display())))?.into();
        self.images.insert(file.to_owned(), bytes.clone());
        Ok(bytes)
    }

    // ---- capabilities ----

    /// Whether the rig has it.
    pub fn has(&self, c: Capability) -> bool {
        match c {
            Capability::Console => self.tapped.console.is_some(),
            Capability::Power => self.tapped.power.is_some(),
            Capability::Reset => self.tapped.reset.is_some(),
            Capability::DebugPort => self.tapped.debug.is_some(),
            Capability::Fixture => self.tapped.fixture.is_some(),
            Capability::Storage => self.tapped.storage.is_some(),
            Capability::UpdatePath => self.tapped.update.is_some(),
            Capability::Network => self.tapped.network.is_some(),
            Capability::Fleet => self.tapped.fleet.is_some(),
            Capability::CrashSpace => self.tapped.crash.is_some(),
        }
    }

    /// How long a piece of so many bytes may take on the update path; nothing without one.
    pub fn longest_piece(&self, bytes: usize) -> Duration {
        self.tapped.update.as_ref().map_or(Duration::ZERO, |u| u.longest(bytes))
    }

    /// Whether the rig grants it.
    pub fn granted(&self, p: Permission) -> bool {
        self.permissions.grants(p)
    }

    /// [`Trouble::Permission`] if the rig does not grant it.
    pub fn require(&self, p: Permission) -> Result<(), Trouble> {
        if self.granted(p) { Ok(()) } else { Err(Trouble::Permission(p)) }
    }

    /// The console. Bytes read through it directly are in the transcript but are not seen by [`Bench::expect`] and the boot watch.
    pub fn console(&mut self) -> Result<&mut dyn Console, Trouble> {
        self.checkpoint()?;
        match &mut self.tapped.console {
            Some(c) => Ok(c.as_mut()),
            None => Err(Trouble::Capability(Capability::Console)),
        }
    }

    /// The supply.
    pub fn power(&mut self) -> Result<&mut dyn Power, Trouble> {
        self.checkpoint()?;
        match &mut self.tapped.power {
            Some(c) => Ok(c.as_mut()),
            None => Err(Trouble::Capability(Capability::Power)),
        }
    }

    /// The reset line.
    pub fn reset(&mut self) -> Result<&mut dyn Reset, Trouble> {
        self.checkpoint()?;
        match &mut self.tapped.reset {
            Some(c) => Ok(c.as_mut()),
            None => Err(Trouble::Capability(Capability::Reset)),
        }
    }

    /// The debug probe.
    pub fn debug(&mut self) -> Result<&mut dyn DebugPort, Trouble> {
        self.checkpoint()?;
        match &mut self.tapped.debug {
            Some(c) => Ok(c.as_mut()),
            None => Err(Trouble::Capability(Capability::DebugPort)),
        }
    }

    /// The network between the lab and the device.
    pub fn network(&mut self) -> Result<&mut dyn Network, Trouble> {
        self.checkpoint()?;
        match &mut self.tapped.network {
            Some(c) => Ok(c.as_mut()),
            None => Err(Trouble::Capability(Capability::Network)),
        }
    }

    /// Other units of the same model.
    pub fn fleet(&mut self) -> Result<&mut dyn Fleet, Trouble> {
        self.checkpoint()?;
        match &mut self.tapped.fleet {
            Some(c) => Ok(c.as_mut()),
            None => Err(Trouble::Capability(Capability::Fleet)),
        }
    }

    /// Buttons and indicators.
    pub fn fixture(&mut self) -> Result<&mut dyn Fixture, Trouble> {
        self.checkpoint()?;
        match &mut self.tapped.fixture {
            Some(c) => Ok(c.as_mut()),
            None => Err(Trouble::Capability(Capability::Fixture)),
        }
    }

    /// The flash reader. The device must have no power.
    pub fn storage(&mut self) -> Result<&mut dyn Storage, Trouble> {
        self.checkpoint()?;
        match &mut self.tapped.storage {
            Some(c) => Ok(c.as_mut()),
            None => Err(Trouble::Capability(Capability::Storage)),
        }
    }

    /// The update path.
    pub fn update(&mut self) -> Result<&mut dyn UpdatePath, Trouble> {
        self.checkpoint()?;
        match &mut self.tapped.update {
            Some(c) => Ok(c.as_mut()),
            None => Err(Trouble::Capability(Capability::UpdatePath)),
        }
    }

    /// The space of crash states.
    pub fn crash(&mut self) -> Result<&mut dyn CrashSpace, Trouble> {
        self.checkpoint()?;
        match &mut self.tapped.crash {
            Some(c) => Ok(c.as_mut()),
            None => Err(Trouble::Capability(Capability::CrashSpace)),
        }
    }

    /// Inner loops of campaigns: exchanges are counted and stay in the bounded transcript, but are not journalled one by one.
    pub fn quiet(&mut self, on: bool) {
        let was = self.core.quiet.replace(on);
        if was && !on {
            let counted = self.core.counted.replace(0);
            self.note(&format!("{counted} exchanges in quiet loops"));
        }
    }

    /// Replay: the check runs exactly this cut and nothing else.
    pub fn only_cut(&self) -> Option<(u32, Tear)> {
        self.only_cut
    }

    /// How thorough the run is meant to be: a check that samples takes more in profile `certify`.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    // ---- for the runner ----

    pub(crate) fn begin(&mut self, check: &Check, attempt: u32) -> Result<(), Trouble> {
        let id: CheckId = check.id.parse().map_err(|e| Trouble::Harness(format!("check list: {e}")))?;
        let mut units = Vec::with_capacity(check.units.len());
        for unit in check.units {
            units.push(unit.parse().map_err(|e| Trouble::Harness(format!("check {id}: {e}")))?);
        }
        self.core.transcript.borrow_mut().clear();
        self.core.quiet.set(false);
        self.core.counted.set(0);
        self.trips_allowed = false;
        self.credential = self.dossier.device.sample.label.clone();
        self.session = None;
        self.clipped.set(false);
        let seed = check_seed(self.run_seed, check.id);
        self.current = Some(Current {
            id,
            table: check.table,
            row_wanted: check.row_wanted,
            units,
            seed,
            attempt,
            observations: Vec::new(),
            evidence: Vec::new(),
            strength: None,
            replay: None,
            mistake: None,
        });
        Ok(())
    }

    /// Starts the check's budget.
    pub(crate) fn start_budget(&mut self, budget: Duration) {
        self.budget_end = self.now() + budget;
    }

    /// Frees the bench of the check's budget, for postamble and safe state.
    pub(crate) fn end_budget(&mut self) {
        self.budget_end = Moment(u64::MAX);
        self.core.quiet.set(false);
        self.trips_allowed = false;
    }

    pub(crate) fn end(&mut self) -> Option<Current> {
        self.current.take()
    }

    /// Preamble and postamble are finished although somebody asked to stop once; a second request ends them too.
    pub(crate) fn shield(&mut self, on: bool) {
        self.shielded = on;
    }

    pub(crate) fn event(&self, event: Event) {
        self.core.sink.borrow_mut().event(self.now(), event);
    }

    pub(crate) fn stopped_at_once(&self) -> bool {
        self.stop.hard.is_cancelled()
    }

    /// What showed that the device kept its power when it was last switched off.
    pub(crate) fn still_fed(&self) -> Option<&str> {
        self.still_fed.as_deref()
    }

    pub(crate) fn record_failed(&self) -> Option<String> {
        self.core.sink.borrow().failed()
    }

    /// Supply off, reset and buttons released, probe detached. Bounded in time; nothing cancels it.
    pub fn make_safe(&mut self) -> SafeState {
        self.session = None;
        self.clear_network();
        let core = self.core.clone();
        let held = core.held.borrow().clone();
        let parts = Parts {
            power: self.tapped.power.as_deref_mut(),
            reset: self.tapped.reset.as_deref_mut(),
            fixture: self.tapped.fixture.as_deref_mut().map(|f| (f, held)),
            surveying: self.tapped.debug.as_deref_mut().filter(|_| core.surveying.get()),
        };
        proofbench_rig::safe::make_safe(parts, || core.now())
    }
}

/// Rows of `table` that a check with this filter can judge: those with a binding that the filter wants.
pub(crate) fn judged_rows(dossier: &Dossier, table: Option<u8>, wanted: Option<fn(&Row) -> bool>) -> impl Iterator<Item = &Row> {
    let rows: &[Row] = table.map_or(&[], |t| dossier.ixit.rows(t));
    rows.iter().filter(move |r| r.bind.is_some() && wanted.is_none_or(|f| f(r)))
}

/// Seed of one check: stable over runs, independent of the order of checks.
fn check_seed(run: u64, check: &str) -> u64 {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    hash.update(run.to_le_bytes());
    hash.update(check.as_bytes());
    let bytes = hash.finalize();
    let mut seed = [0; 8];
    seed.copy_from_slice(&bytes[..8]);
    u64::from_le_bytes(seed)
}
