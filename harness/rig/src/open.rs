//! From a resolved rig to an open one: leased, every channel of its sections open.

use crate::ability::{Capability, Permissions};
use crate::dossier::delivered_image;
use crate::error::RigError;
use crate::file::{BoardSection, EmulatorSection};
use crate::lease::{Found, Lease};
use crate::resolve::{Device, Driver, Port, ResolvedRig};
use proofbench_channel::{ChannelError, PowerSeen, Wait};
use proofbench_drivers::boardproc::{Board, BoardSetup};
use proofbench_drivers::emulated::{self, EmulatedSetup};
use proofbench_drivers::serial::SerialSetup;
use proofbench_drivers::{Channels, RealClock, TimeBase, faulty, file, serial, smp};
use proofbench_model::dossier::Dossier;
use std::path::PathBuf;
use std::sync::Arc;

/// An open rig.
pub struct Rig {
    /// Its channels: exactly those of its sections.
    pub channels: Channels,
    /// What it grants.
    pub permissions: Permissions,
    /// The device's dossier.
    pub dossier: Arc<Dossier>,
    /// The lease; give it back with [`Lease::safe`] once the rig is safe.
    pub lease: Option<Lease>,
    /// Whether a former holder left the rig in an unknown state: nothing may be trusted before recovery.
    pub recover: Option<String>,
}

impl ResolvedRig {
    /// Opens the rig: the lease first, then every channel. `seed` feeds the chance of emulated devices.
    pub fn open(&self, dossier: Arc<Dossier>, seed: u64, holder: &str) -> Result<Rig, RigError> {
        let (lease, recover) = match &self.lease {
            None => (None, None),
            Some(path) => match Lease::acquire(path, holder)? {
                (lease, Found::Safe) => (Some(lease), None),
                (lease, Found::InUse(mark)) => (Some(lease), Some(mark)),
            },
        };
        let channels = match &self.device {
            Device::Emulator(section) => self.emulated(section, &dossier, seed)?,
            Device::Board(section) => self.wired(Some(section), &dossier, seed)?,
            Device::Real => self.wired(None, &dossier, seed)?,
        };
        Ok(Rig { channels, permissions: self.permissions, dossier, lease, recover })
    }

    fn has(&self, c: Capability) -> bool {
        self.drivers.iter().any(|(have, _)| *have == c)
    }

    fn delivered(&self, dossier: &Dossier) -> Result<PathBuf, RigError> {
        delivered_image(dossier).map(|file| dossier.dir.join(file)).ok_or_else(|| {
            let firmware = &dossier.device.identification.firmware;
            RigError::Delivered(format!("no image of table 7-UpdMech in {} has the delivered version `{firmware}`", dossier.dir.display()))
        })
    }

    fn emulated(&self, section: &EmulatorSection, dossier: &Dossier, seed: u64) -> Result<Channels, RigError> {
        let path = self.delivered(dossier)?;
        let image = std::fs::read(&path).map_err(|source| RigError::DossierRead { path, source })?;
        let all = emulated::open(&EmulatedSetup {
            unit: section.unit,
            seed,
            image: image.into(),
            defects: section.defects.clone(),
            faults: section.faults.clone(),
            medium: section.medium.clone(),
        })
        .map_err(|source| RigError::Open { section: "emulator", source })?;
        Ok(self.only_wired(all))
    }

    /// The emulated device has every channel; the rig has those of its sections.
    fn only_wired(&self, mut all: Channels) -> Channels {
        all.console = all.console.filter(|_| self.has(Capability::Console));
        all.power = all.power.filter(|_| self.has(Capability::Power));
        all.reset = all.reset.filter(|_| self.has(Capability::Reset));
        all.debug = all.debug.filter(|_| self.has(Capability::DebugPort));
        all.fixture = all.fixture.filter(|_| self.has(Capability::Fixture));
        all.storage = all.storage.filter(|_| self.has(Capability::Storage));
        all.update = all.update.filter(|_| self.has(Capability::UpdatePath));
        all.crash = all.crash.filter(|_| self.has(Capability::CrashSpace));
        all
    }

    fn wired(&self, board: Option<&BoardSection>, dossier: &Dossier, seed: u64) -> Result<Channels, RigError> {
        let opened = |section: &'static str| move |source: ChannelError| RigError::Open { section, source };
        let board = match board {
            None => None,
            Some(section) => Some((
                section,
                Board::prepare(&BoardSetup {
                    dir: None,
                    program: section.program.as_ref().map(|p| self.base.join(p)),
                    unit: section.unit,
                    seed,
                    speed: *section.speed.get_ref(),
                    image: self.delivered(dossier)?,
                    defects: section.defects.clone(),
                })
                .map_err(opened("board"))?,
            )),
        };
        let time = board.as_ref().map_or_else(TimeBase::real, |(_, b)| b.time());
        let place = Placeholders { rig: self, board: board.as_ref().map(|(_, b)| b) };
        let mut channels = Channels::new(Box::new(RealClock(time)));
        for (capability, driver) in &self.drivers {
            match (capability, driver) {
                (_, Driver::Serial(port)) => channels.console = Some(serial::open(&place.port(port, time)).map_err(opened("console"))?),
                (_, Driver::Smp(port)) => channels.update = Some(smp::open_serial(&place.port(port, time)).map_err(opened("update"))?),
                (_, Driver::ProbeRs { probe }) => channels.debug = Some(crate::probe::open(&place.probe(probe), time).map_err(opened("debug"))?),
                (_, Driver::File { path }) => {
                    let powered = powered(board.as_ref().map(|(_, b)| b), time).map_err(opened("storage"))?;
                    channels.storage = Some(file::open(&place.path(path), powered).map_err(opened("storage"))?);
                }
                (Capability::Power, Driver::Board) => channels.power = place.board.map(Board::power).transpose().map_err(opened("power"))?,
                (Capability::Reset, Driver::Board) => channels.reset = place.board.map(Board::reset).transpose().map_err(opened("reset"))?,
                (Capability::Fixture, Driver::Board) => channels.fixture = place.board.map(Board::fixture).transpose().map_err(opened("fixture"))?,
                // The resolver lets neither through.
                (_, Driver::Board | Driver::Emulator) => {}
            }
        }
        let faults = board.as_ref().map(|(section, _)| section.faults.as_slice()).unwrap_or_default();
        faulty::apply(channels, faults, seed).map_err(opened("board"))
    }
}

/// Says whether the device has power, for a flash that must not be touched then. Without a switch to ask, the answer is no: the medium was taken out.
fn powered(board: Option<&Board>, time: TimeBase) -> Result<Box<dyn Fn() -> bool>, ChannelError> {
    let Some(board) = board else { return Ok(Box::new(|| false)) };
    let power = std::cell::RefCell::new(board.power()?);
    Ok(Box::new(move || {
        let wait = Wait::until(time.now() + std::time::Duration::from_secs(1), &Default::default());
        // What cannot be read back counts as powered: refusing is the safe side.
        !matches!(power.borrow_mut().state(&wait), Ok(PowerSeen::Off))
    }))
}

struct Placeholders<'a> {
    rig: &'a ResolvedRig,
    board: Option<&'a Board>,
}

impl Placeholders<'_> {
    fn path(&self, text: &str) -> PathBuf {
        match self.board {
            Some(board) => self.rig.base.join(text.replace("{board}", &board.dir().display().to_string())),
            None => self.rig.base.join(text),
        }
    }

    fn port(&self, port: &Port, time: TimeBase) -> SerialSetup {
        SerialSetup { port: self.path(&port.path), baud: port.baud, time }
    }

    fn probe(&self, text: &str) -> String {
        match self.board {
            Some(board) => text.replace("{board.debug}", &board.debug_port().to_string()),
            None => text.to_owned(),
        }
    }
}

/// The built-in emulated reference device with these defects, without power: what negative controls run against.
pub fn open_reference(dossier: &Dossier, defects: &[&str], seed: u64) -> Result<Channels, RigError> {
    let missing = || RigError::Delivered("the reference dossier has no delivered image".to_owned());
    let path = dossier.dir.join(delivered_image(dossier).ok_or_else(missing)?);
    let image = std::fs::read(&path).map_err(|source| RigError::DossierRead { path, source })?;
    emulated::open(&EmulatedSetup {
        unit: EmulatorSection::default().unit,
        seed,
        image: image.into(),
        defects: defects.iter().map(|d| (*d).to_owned()).collect(),
        faults: Vec::new(),
        medium: None,
    })
    .map_err(|source| RigError::Open { section: "emulator", source })
}
