//! From a resolved rig to an open one: leased, every channel of its sections open.

use crate::ability::Permissions;
use crate::dossier::delivered_image;
use crate::error::RigError;
use crate::file::{BoardSection, EmulatorSection};
use crate::lease::{Found, Lease};
use crate::resolve::{Device, ResolvedRig};
use crate::settings::Place;
use crate::settings::fleet::{self, FleetDriver};
use crate::settings::network::NetworkDriver;
use crate::settings::plain::OwnDriver;
use crate::settings::reset::ResetDriver;
use proofbench_channel::ChannelError;
use proofbench_drivers::boardproc::{Board, BoardSetup};
use proofbench_drivers::emulated::{self, EmulatedSetup};
use proofbench_drivers::qemu::Qemu;
use proofbench_drivers::{Channels, RealClock, TimeBase, faulty};
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

/// What becomes of a channel that cannot be opened: its section and why.
type Failed<'a> = dyn FnMut(&'static str, ChannelError) -> Result<(), RigError> + 'a;

fn or_told<T>(opened: Result<Option<T>, ChannelError>, section: &'static str, failed: &mut Failed<'_>) -> Result<Option<T>, RigError> {
    match opened {
        Ok(channel) => Ok(channel),
        Err(e) => failed(section, e).map(|()| None),
    }
}

/// Channels that could not be opened: section, and why.
pub type Broken = Vec<(&'static str, ChannelError)>;

impl ResolvedRig {
    /// Opens the rig: the lease first, then every channel. `seed` feeds the chance of emulated devices.
    pub fn open(&self, dossier: Arc<Dossier>, seed: u64, holder: &str) -> Result<Rig, RigError> {
        self.opened(dossier, seed, holder, &mut |section, source| Err(RigError::Open { section, source }))
    }

    /// As [`ResolvedRig::open`], but a channel that cannot be opened is left out and told, with its section: for somebody who wants to hear of all of them.
    pub fn open_what_opens(&self, dossier: Arc<Dossier>, seed: u64, holder: &str) -> Result<(Rig, Broken), RigError> {
        let mut broken = Vec::new();
        let rig = self.opened(dossier, seed, holder, &mut |section, source| {
            broken.push((section, source));
            Ok(())
        })?;
        Ok((rig, broken))
    }

    fn opened(&self, dossier: Arc<Dossier>, seed: u64, holder: &str, failed: &mut Failed<'_>) -> Result<Rig, RigError> {
        let (lease, recover) = match &self.lease {
            None => (None, None),
            Some(path) => match Lease::acquire(path, holder)? {
                (lease, Found::Safe) => (Some(lease), None),
                (lease, Found::InUse(mark)) => (Some(lease), Some(mark)),
            },
        };
        let channels = match &self.device {
            Device::Emulator(section) => self.emulated(section, &dossier, seed)?,
            Device::Board(section) => self.wired(Some(section), &dossier, seed, failed)?,
            Device::Qemu(_) | Device::Real => self.wired(None, &dossier, seed, failed)?,
        };
        Ok(Rig { channels, permissions: self.permissions, dossier, lease, recover })
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
        let setup = EmulatedSetup {
            unit: section.unit,
            seed,
            image: image.into(),
            defects: section.defects.clone(),
            faults: section.faults.clone(),
            medium: section.medium.clone(),
        };
        let mut all = emulated::open(&setup).map_err(|source| RigError::Open { section: "emulator", source })?;
        if let Some(FleetDriver::Emulator { units }) = &self.drivers.fleet {
            let fleet = emulated::fleet(&setup, *units).map_err(|source| RigError::Open { section: "fleet", source })?;
            all.fleet = Some(faulty::fleet(fleet, &section.faults));
        }
        Ok(self.only_wired(all))
    }

    /// The emulated device has every channel; the rig has those of its sections.
    fn only_wired(&self, mut all: Channels) -> Channels {
        let wired = &self.drivers;
        all.console = all.console.filter(|_| wired.console.is_some());
        all.power = all.power.filter(|_| wired.power.is_some());
        all.reset = all.reset.filter(|_| wired.reset.is_some());
        all.debug = all.debug.filter(|_| wired.debug.is_some());
        all.fixture = all.fixture.filter(|_| wired.fixture.is_some());
        all.storage = all.storage.filter(|_| wired.storage.is_some());
        all.update = all.update.filter(|_| wired.update.is_some());
        all.network = all.network.filter(|_| wired.network.is_some());
        all.fleet = all.fleet.filter(|_| wired.fleet.is_some());
        all.crash = all.crash.filter(|_| wired.crash.is_some());
        all
    }

    fn wired(&self, board: Option<&BoardSection>, dossier: &Dossier, seed: u64, failed: &mut Failed<'_>) -> Result<Channels, RigError> {
        let opened = |section: &'static str| move |source: ChannelError| RigError::Open { section, source };
        let setup = match board {
            None => None,
            Some(section) => Some(BoardSetup {
                dir: None,
                program: section.program.as_ref().map(|p| self.base.join(p)),
                unit: section.unit,
                seed,
                speed: *section.speed.get_ref(),
                image: self.delivered(dossier)?,
                defects: section.defects.clone(),
                network: self.drivers.network == Some(NetworkDriver::Board),
            }),
        };
        let board = match (board, &setup) {
            (Some(section), Some(setup)) => Some((section, Board::prepare(setup).map_err(opened("board"))?)),
            _ => None,
        };
        let qemu = match &self.device {
            Device::Qemu(section) => Some(Qemu::prepare(&section.setup(&self.base)).map_err(opened("qemu"))?),
            _ => None,
        };
        let time = match (&board, &qemu) {
            (Some((_, board)), _) => board.time(),
            (None, Some(qemu)) => qemu.time(),
            (None, None) => TimeBase::real(),
        };
        let mut place = Place { base: &self.base, board: board.as_ref().map(|(_, b)| b), qemu: qemu.as_ref(), time, lines: None };
        let (drivers, mut channels) = (&self.drivers, Channels::new(Box::new(RealClock(time))));
        if let Some(driver) = &drivers.console
            && let Some((console, lines)) = or_told(driver.open(&place), "console", failed)?
        {
            (channels.console, place.lines) = (Some(console), Some(lines));
        }
        if let Some(driver) = &drivers.power {
            channels.power = or_told(driver.open(&place), "power", failed)?;
        }
        if let Some(driver) = &drivers.reset {
            channels.reset = or_told(driver.open(&place), "reset", failed)?;
        }
        if let Some(driver) = &drivers.debug
            && let Some(probe) = or_told(driver.open(&place), "debug", failed)?
        {
            if drivers.reset == Some(ResetDriver::Probe) {
                channels.reset = Some(Box::new(probe.reset_line()));
            }
            channels.debug = Some(Box::new(probe));
        }
        if let (Some(OwnDriver::Board), Some(board)) = (drivers.fixture, place.board) {
            channels.fixture = or_told(board.fixture().map(Some), "fixture", failed)?;
        }
        if let Some(driver) = &drivers.storage {
            channels.storage = or_told(driver.open(&place), "storage", failed)?;
        }
        if let Some(driver) = &drivers.crash {
            channels.crash = or_told(driver.open(&place), "crash", failed)?;
        }
        if let Some(driver) = &drivers.update {
            channels.update = or_told(driver.open(&place), "update", failed)?;
        }
        if let Some(driver) = &drivers.network {
            channels.network = or_told(driver.open(&place), "network", failed)?;
        }
        let faults = board.as_ref().map(|(section, _)| section.faults.as_slice()).unwrap_or_default();
        channels.fleet = match (&drivers.fleet, &setup) {
            (Some(FleetDriver::Labels { file }), _) => or_told(fleet::labels(&self.base.join(file)).map(Some), "fleet", failed)?,
            (Some(FleetDriver::Board { units }), Some(setup)) => {
                or_told(fleet::boards(setup, *units).map(Some), "fleet", failed)?.map(|fleet| faulty::fleet(fleet, faults))
            }
            _ => None,
        };
        faulty::apply(channels, faults, seed).map_err(opened("board"))
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
