//! Every channel over one emulated device in virtual time: waiting costs no real time.

mod lab;
mod network;
mod pins;
mod supply;
mod uart;

use crate::debug::EmulatedProbe;
use crate::smp::SmpPath;
use crate::{Channels, faulty};
use proofbench_channel::{ChannelError, Clock, CrashSpace, CrashVisitor, ErrorKind, Moment, OpSummary, StateId, Storage, Tear, Wait};
use proofbench_emulator::{Defects, Medium, Setup, Uart, World};

/// The list of built-in defects, controls and twins, for proofs and for messages.
pub use proofbench_emulator::defects::{ALL as DEFECTS, Entry as DefectEntry, Kind as DefectKind};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// Longest stretch of virtual time between two looks at the cancel handle. An idle device passes it in microseconds.
const STRETCH_NS: u64 = 1_000_000_000;

/// Which device to emulate, and on what kind of bench.
#[derive(Debug, Clone)]
pub struct EmulatedSetup {
    /// Unit number: serial number, secrets and factory data follow from it.
    pub unit: u32,
    /// Chance: same seed, same run, byte for byte.
    pub seed: u64,
    /// The delivered image.
    pub image: Arc<[u8]>,
    /// Names of built-in defects and twins.
    pub defects: Vec<String>,
    /// Names of bench faults, see [`crate::faulty`].
    pub faults: Vec<String>,
    /// Medium profile of the flash; `None` is the device's own (SPI NOR).
    pub medium: Option<String>,
}

/// Opens an emulated device, without power, with all of its channels. Unknown names are an error that lists the valid ones.
pub fn open(setup: &EmulatedSetup) -> Result<Channels, ChannelError> {
    let unknown = |what: &str| format!("set up emulated unit {} ({what})", setup.unit);
    let defects = Defects::parse(&setup.defects).map_err(|e| ChannelError::caused(ErrorKind::Unsupported, unknown("defects"), e))?;
    let medium = match &setup.medium {
        None => Medium::default(),
        Some(name) => name.parse().map_err(|e| ChannelError::caused(ErrorKind::Unsupported, unknown("medium"), Box::new(e)))?,
    };
    let world = World::new(&Setup::new(setup.unit, setup.seed, &setup.image).with_defects(defects).on(medium));
    faulty::apply(channels(Rc::new(RefCell::new(world)), setup.unit), &setup.faults, setup.seed)
}

/// Units 1 to `units` of the same model with the same defects, on a bench without faults.
pub fn fleet(setup: &EmulatedSetup, units: u32) -> Result<Box<dyn proofbench_channel::Fleet>, ChannelError> {
    let defects = setup.defects.clone();
    let setup = EmulatedSetup { faults: Vec::new(), ..setup.clone() };
    // Units differ by what the factory gave them; chance is one for all, as it is for products with one image.
    let unit = move |unit| open(&EmulatedSetup { unit, ..setup.clone() });
    Ok(Box::new(crate::fleet::Units::new(units, &defects, "emulated units", Box::new(unit))?))
}

/// All channels over this world, whose device is the unit of that number.
pub fn channels(world: Shared, unit: u32) -> Channels {
    let mut all = Channels::new(Box::new(EmulatedClock(Rc::clone(&world))));
    all.console = Some(Box::new(uart::EmulatedUart::new(Rc::clone(&world), Uart::Console)));
    all.power = Some(Box::new(supply::EmulatedPower::new(Rc::clone(&world))));
    all.reset = Some(Box::new(supply::EmulatedReset(Rc::clone(&world))));
    all.debug = Some(Box::new(EmulatedProbe::new(Box::new(pins::EmulatedPins::new(Rc::clone(&world))))));
    all.fixture = Some(Box::new(supply::EmulatedFixture(Rc::clone(&world))));
    all.storage = Some(Box::new(EmulatedStorage(Rc::clone(&world))));
    all.update = Some(Box::new(SmpPath::new(Box::new(uart::EmulatedUart::new(Rc::clone(&world), Uart::Update)))));
    all.network = Some(Box::new(network::EmulatedNetwork::new(Rc::clone(&world), unit)));
    all.crash = Some(Box::new(EmulatedCrash(world)));
    all
}

/// A world in the hands of all of its channels.
pub type Shared = Rc<RefCell<World>>;

/// Lets virtual time pass until `until`, looking at the cancel handle.
fn pass(world: &Shared, until: Moment, wait: &Wait) -> Result<(), ChannelError> {
    loop {
        not_cancelled(wait, "let time pass")?;
        let mut world = world.borrow_mut();
        let next = until.0.min(world.now().saturating_add(STRETCH_NS));
        world.advance(next);
        if next >= until.0 {
            return Ok(());
        }
    }
}

fn not_cancelled(wait: &Wait, doing: &str) -> Result<(), ChannelError> {
    if wait.cancel.is_cancelled() { Err(ChannelError::new(ErrorKind::Cancelled, doing)) } else { Ok(()) }
}

struct EmulatedClock(Shared);

impl Clock for EmulatedClock {
    fn now(&self) -> Moment {
        Moment(self.0.borrow().now())
    }

    fn sleep_until(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        pass(&self.0, wait.until, wait)
    }
}

struct EmulatedStorage(Shared);

impl EmulatedStorage {
    fn refuse(doing: &str, offset: u64, len: usize) -> ChannelError {
        let doing = format!("{doing} {len} bytes of emulated flash at {offset:#x}");
        ChannelError::caused(ErrorKind::Refused, doing, "the device has power, or the flash ends before")
    }
}

impl Storage for EmulatedStorage {
    fn len(&self) -> u64 {
        u64::from(self.0.borrow().flash().len())
    }

    fn read(&mut self, offset: u64, into: &mut [u8], wait: &Wait) -> Result<(), ChannelError> {
        not_cancelled(wait, "read the emulated flash")?;
        let world = self.0.borrow();
        let fits = offset.checked_add(into.len() as u64).is_some_and(|end| end <= u64::from(world.flash().len()));
        match u32::try_from(offset) {
            Ok(offset) if fits && !world.powered() => {
                world.flash().copy_to(offset, into);
                Ok(())
            }
            _ => Err(Self::refuse("read", offset, into.len())),
        }
    }

    fn write(&mut self, offset: u64, bytes: &[u8], wait: &Wait) -> Result<(), ChannelError> {
        not_cancelled(wait, "write the emulated flash")?;
        let written = u32::try_from(offset).is_ok_and(|offset| self.0.borrow_mut().write_flash(offset, bytes));
        if written { Ok(()) } else { Err(Self::refuse("write", offset, bytes.len())) }
    }

    fn describe(&self) -> String {
        "emulated flash reader".to_owned()
    }
}

struct EmulatedCrash(Shared);

/// While a rebuild walks, its visitor must leave the other channels alone: the world is held.
impl CrashSpace for EmulatedCrash {
    fn save(&mut self, wait: &Wait) -> Result<StateId, ChannelError> {
        self.0.borrow_mut().save(wait)
    }
    fn load(&mut self, state: StateId, wait: &Wait) -> Result<(), ChannelError> {
        self.0.borrow_mut().load(state, wait)
    }
    fn digest(&self, state: StateId) -> u128 {
        self.0.borrow().digest(state)
    }
    fn read(&self, state: StateId, offset: u32, into: &mut [u8]) -> Result<(), ChannelError> {
        CrashSpace::read(&*self.0.borrow(), state, offset, into)
    }
    fn record(&mut self) -> Result<(), ChannelError> {
        self.0.borrow_mut().record()
    }
    fn stop(&mut self) -> Result<Vec<OpSummary>, ChannelError> {
        self.0.borrow_mut().stop()
    }
    fn rebuild(&mut self, torn: bool, visit: &mut CrashVisitor<'_>) -> Result<Vec<(u32, Tear, StateId)>, ChannelError> {
        self.0.borrow_mut().rebuild(torn, visit)
    }
    fn forget_except(&mut self, keep: &[StateId]) {
        self.0.borrow_mut().forget_except(keep);
    }
    fn medium(&self) -> String {
        CrashSpace::medium(&*self.0.borrow())
    }
    fn arm_cut(&mut self, at: u32, tear: Tear) -> Result<(), ChannelError> {
        self.0.borrow_mut().arm_cut(at, tear)
    }
}
