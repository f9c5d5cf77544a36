//! From the file as written to a rig whose names are checked and whose capabilities are known. Nothing is opened.

use crate::ability::{Capability, Permissions};
use crate::dossier::load_dossier;
use crate::error::{RigError, RigFileError, Source};
use crate::file::{BoardSection, Driven, EmulatorSection, RigFile};
use crate::settings::console::ConsoleDriver;
use crate::settings::crash::CrashDriver;
use crate::settings::debug::DebugDriver;
use crate::settings::fleet::FleetDriver;
use crate::settings::network::NetworkDriver;
use crate::settings::plain::OwnDriver;
use crate::settings::power::PowerDriver;
use crate::settings::qemu::QemuSection;
use crate::settings::reset::ResetDriver;
use crate::settings::storage::StorageDriver;
use crate::settings::update::UpdateDriver;
use crate::settings::{Section, Wiring};
use proofbench_model::dossier::Dossier;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// Which device the rig is wired to.
#[derive(Debug, Clone)]
pub enum Device {
    /// The emulated device, in this process.
    Emulator(EmulatorSection),
    /// The emulated device as a process of its own.
    Board(BoardSection),
    /// A machine of QEMU.
    Qemu(Box<QemuSection>),
    /// Something that this program does not start.
    Real,
}

/// The driver of each channel that the rig has.
#[derive(Debug, Clone, Default)]
pub struct Drivers {
    /// `[console]`
    pub console: Option<ConsoleDriver>,
    /// `[power]`
    pub power: Option<PowerDriver>,
    /// `[reset]`
    pub reset: Option<ResetDriver>,
    /// `[debug]`
    pub debug: Option<DebugDriver>,
    /// `[fixture]`
    pub fixture: Option<OwnDriver>,
    /// `[storage]`
    pub storage: Option<StorageDriver>,
    /// `[update]`
    pub update: Option<UpdateDriver>,
    /// `[network]`
    pub network: Option<NetworkDriver>,
    /// `[fleet]`
    pub fleet: Option<FleetDriver>,
    /// `[crash]`
    pub crash: Option<CrashDriver>,
}

impl Drivers {
    /// Each channel with whose wires it hangs on, in report order.
    fn wirings(&self) -> Vec<(Capability, Wiring)> {
        let probe = self.debug.as_ref().map(DebugDriver::wiring);
        [
            (Capability::Console, self.console.as_ref().map(ConsoleDriver::wiring)),
            (Capability::Power, self.power.as_ref().map(PowerDriver::wiring)),
            (Capability::Reset, self.reset.as_ref().map(|r| r.wiring(probe))),
            (Capability::DebugPort, probe),
            (Capability::Fixture, self.fixture.as_ref().map(OwnDriver::wiring)),
            (Capability::Storage, self.storage.as_ref().map(StorageDriver::wiring)),
            (Capability::UpdatePath, self.update.as_ref().map(UpdateDriver::wiring)),
            (Capability::Network, self.network.as_ref().map(NetworkDriver::wiring)),
            (Capability::Fleet, self.fleet.as_ref().map(FleetDriver::wiring)),
            (Capability::CrashSpace, self.crash.as_ref().map(CrashDriver::wiring)),
        ]
        .into_iter()
        .filter_map(|(c, wiring)| Some((c, wiring?)))
        .collect()
    }
}

/// A rig that could be opened.
#[derive(Debug, Clone)]
pub struct ResolvedRig {
    /// The rig file.
    pub file: PathBuf,
    /// Its text, for the digest in the journal.
    pub text: String,
    /// Folder that paths of the file are relative to.
    pub base: PathBuf,
    /// Folder of the dossier.
    pub dossier: PathBuf,
    /// Where the file names it.
    dossier_named: Range<usize>,
    /// Lease file, if the rig needs one.
    pub lease: Option<PathBuf>,
    /// Which device.
    pub device: Device,
    /// Driver of each channel that the rig has.
    pub drivers: Drivers,
    /// What is granted.
    pub permissions: Permissions,
}

impl ResolvedRig {
    /// Reads and checks a rig file.
    pub fn load(path: &Path) -> Result<ResolvedRig, RigError> {
        let text = std::fs::read_to_string(path).map_err(|source| RigError::Read { path: path.to_owned(), source })?;
        Ok(Self::from_text(path, &text)?)
    }

    /// Checks the text of a rig file that stands, or would stand, at `path`.
    pub fn from_text(path: &Path, text: &str) -> Result<ResolvedRig, RigFileError> {
        let source = Source { name: path.display().to_string(), text: text.to_owned() };
        let file = RigFile::read(&source)?;
        let base = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Resolver { source: &source }.resolve(path, base, file)
    }

    /// Reads the dossier that the rig file names. A folder that is not there is told with its place in the rig file.
    pub fn load_dossier(&self) -> Result<Dossier, RigError> {
        load_dossier(&self.dossier).map_err(|e| match e {
            RigError::DossierRead { path, source } if source.kind() == std::io::ErrorKind::NotFound => {
                let rig = Source { name: self.file.display().to_string(), text: self.text.clone() };
                let valid = "a folder, relative to this file, with device.toml, ics.toml and ixit.toml";
                RigError::File(rig.error(self.dossier_named.clone(), format!("no dossier: there is no {}", path.display()), &[valid]))
            }
            other => other,
        })
    }

    /// Capabilities: what the channels are, and nothing beside them.
    pub fn capabilities(&self) -> Vec<Capability> {
        self.drivers.wirings().into_iter().map(|(c, _)| c).collect()
    }

    /// The same rig with these channels only: for work by hand on one of them, which must not fail because another one is not there.
    pub fn with_only(mut self, wanted: &[Capability]) -> Self {
        let d = &mut self.drivers;
        d.console = d.console.take().filter(|_| wanted.contains(&Capability::Console));
        d.power = d.power.take().filter(|_| wanted.contains(&Capability::Power));
        d.reset = d.reset.take().filter(|_| wanted.contains(&Capability::Reset));
        d.debug = d.debug.take().filter(|_| wanted.contains(&Capability::DebugPort));
        d.fixture = d.fixture.take().filter(|_| wanted.contains(&Capability::Fixture));
        d.storage = d.storage.take().filter(|_| wanted.contains(&Capability::Storage));
        d.update = d.update.take().filter(|_| wanted.contains(&Capability::UpdatePath));
        d.network = d.network.take().filter(|_| wanted.contains(&Capability::Network));
        d.fleet = d.fleet.take().filter(|_| wanted.contains(&Capability::Fleet));
        d.crash = d.crash.take().filter(|_| wanted.contains(&Capability::CrashSpace));
        self
    }

    /// The same rig with other built-in defects or twins in its emulated device. No effect on a real device.
    pub fn with_defects(mut self, names: &[&str]) -> Self {
        let names = names.iter().map(|n| (*n).to_owned());
        match &mut self.device {
            Device::Emulator(e) => e.defects.extend(names),
            Device::Board(b) => b.defects.extend(names),
            Device::Qemu(_) | Device::Real => {}
        }
        self
    }

    /// The same rig with bench faults around its channels. No effect on a real bench.
    pub fn with_faults(mut self, names: &[&str]) -> Self {
        let names = names.iter().map(|n| (*n).to_owned());
        match &mut self.device {
            Device::Emulator(e) => e.faults.extend(names),
            Device::Board(b) => b.faults.extend(names),
            Device::Qemu(_) | Device::Real => {}
        }
        self
    }
}

struct Resolver<'a> {
    source: &'a Source,
}

impl<'a> Resolver<'a> {
    fn resolve(&self, path: &Path, base: PathBuf, file: RigFile) -> Result<ResolvedRig, RigFileError> {
        let drivers = Drivers {
            console: self.read("console", &file.console, ConsoleDriver::read)?,
            power: self.read("power", &file.power, PowerDriver::read)?,
            reset: self.read("reset", &file.reset, ResetDriver::read)?,
            debug: self.read("debug", &file.debug, DebugDriver::read)?,
            fixture: self.read("fixture", &file.fixture, OwnDriver::fixture)?,
            storage: self.read("storage", &file.storage, StorageDriver::read)?,
            update: self.read("update", &file.update, UpdateDriver::read)?,
            network: self.read("network", &file.network, NetworkDriver::read)?,
            fleet: self.read("fleet", &file.fleet, FleetDriver::read)?,
            crash: self.read("crash", &file.crash, CrashDriver::read)?,
        };
        if let (Some(reset), Some(section)) = (&drivers.reset, &file.reset) {
            reset.fits(drivers.console.as_ref(), &Section::new(self.source, "reset", section))?;
        }
        let device = self.device(&file, &drivers)?;
        let lease = match &file.lease {
            Some(lease) => Some(base.join(lease.get_ref())),
            None if matches!(device, Device::Real) => Some(crate::lease::default_path(path)),
            None => None,
        };
        Ok(ResolvedRig {
            file: path.to_owned(),
            text: self.source.text.clone(),
            dossier: base.join(file.dossier.get_ref()),
            dossier_named: file.dossier.span(),
            base,
            lease,
            device,
            drivers,
            permissions: file.permissions,
        })
    }

    fn read<T>(
        &self,
        name: &'static str,
        section: &Option<Driven>,
        read: impl FnOnce(&Section<'_>) -> Result<T, RigFileError>,
    ) -> Result<Option<T>, RigFileError> {
        section.as_ref().map(|s| read(&Section::new(self.source, name, s))).transpose()
    }

    fn device(&self, file: &RigFile, drivers: &Drivers) -> Result<Device, RigFileError> {
        if let (Some(ResetDriver::Probe), None | Some(DebugDriver::Emulator)) = (&drivers.reset, &drivers.debug) {
            let problem = "the reset line is nRST of a debug probe, and [debug] names none";
            return Err(self.source.error(driver_span(file, Capability::Reset), problem, &["[debug] with driver = \"probe-rs\" and a probe"]));
        }
        let wirings = drivers.wirings();
        let count = |wanted| wirings.iter().filter(|(_, w)| *w == wanted).count();
        let (emulated, boarded, machined) = (count(Wiring::Emulator), count(Wiring::Board), count(Wiring::Qemu));
        if emulated > 0
            && let Some((c, _)) = wirings.iter().find(|(_, w)| *w != Wiring::Emulator)
        {
            let problem = format!("one rig holds one device: {c} is wired to another one than the emulated channels");
            return Err(self.source.error(driver_span(file, *c), problem, &["the driver `emulator` in every section, or in none"]));
        }
        if let Some(e) = &file.emulator
            && emulated == 0
        {
            return Err(self.source.error(e.span(), "no section has the driver `emulator`, so nothing reads [emulator]", &[]));
        }
        if let Some(b) = &file.board {
            if boarded == 0 {
                return Err(self.source.error(b.span(), "no section is wired to the board, so nothing reads [board]", &[]));
            }
            let speed = &b.get_ref().speed;
            if !(speed.get_ref().is_finite() && (0.01..=1000.0).contains(speed.get_ref())) {
                return Err(self.source.error(speed.span(), "no speed", &["0.01 to 1000"]));
            }
        }
        self.machine(file, drivers, &wirings)?;
        Ok(if emulated > 0 {
            Device::Emulator(file.emulator.clone().map(Spanned::into_inner).unwrap_or_default())
        } else if boarded > 0 {
            Device::Board(file.board.clone().map(Spanned::into_inner).unwrap_or_default())
        } else if let (Some(qemu), true) = (&file.qemu, machined > 0) {
            Device::Qemu(Box::new(qemu.get_ref().clone()))
        } else {
            Device::Real
        })
    }

    /// `[qemu]` and what is wired to it fit together.
    fn machine(&self, file: &RigFile, drivers: &Drivers, wirings: &[(Capability, Wiring)]) -> Result<(), RigFileError> {
        let wired = wired_to_qemu(wirings);
        let Some(section) = &file.qemu else {
            return match wired {
                None => Ok(()),
                Some(c) => {
                    let valid = "[qemu] with program = \"qemu-system-arm\" and arguments = [...]";
                    Err(self.source.error(driver_span(file, c), format!("{c} is wired to a machine of QEMU, and there is no [qemu]"), &[valid]))
                }
            };
        };
        if wired.is_none() {
            return Err(self.source.error(section.span(), "no section is wired to the machine, so nothing reads [qemu]", &[]));
        }
        if let Some((c, _)) = wirings.iter().find(|(_, w)| matches!(w, Wiring::Board | Wiring::Emulator)) {
            let problem = format!("one rig holds one device: {c} is wired to another one than the machine of [qemu]");
            return Err(self.source.error(driver_span(file, *c), problem, &[]));
        }
        let section = section.get_ref();
        section.check(self.source)?;
        let console = drivers.console.as_ref().and_then(ConsoleDriver::qemu_line);
        let update = drivers.update.as_ref().and_then(UpdateDriver::qemu_line);
        if let (Some(a), Some(b)) = (console, update)
            && a == b
        {
            let problem = format!("the line `{a}` is the console's already");
            return Err(self.source.error(driver_span(file, Capability::UpdatePath), problem, &[]));
        }
        for (line, c) in [(console, Capability::Console), (update, Capability::UpdatePath)] {
            if let Some(line) = line {
                section.has_line(self.source, line, driver_span(file, c))?;
            }
        }
        Ok(())
    }
}

fn wired_to_qemu(wirings: &[(Capability, Wiring)]) -> Option<Capability> {
    wirings.iter().find(|(_, w)| *w == Wiring::Qemu).map(|(c, _)| *c)
}

fn driver_span(file: &RigFile, c: Capability) -> Range<usize> {
    let section = match c {
        Capability::Console => &file.console,
        Capability::Power => &file.power,
        Capability::Reset => &file.reset,
        Capability::DebugPort => &file.debug,
        Capability::Fixture => &file.fixture,
        Capability::Storage => &file.storage,
        Capability::UpdatePath => &file.update,
        Capability::Network => &file.network,
        Capability::Fleet => &file.fleet,
        Capability::CrashSpace => &file.crash,
    };
    section.as_ref().map_or(0..0, |s| s.driver.span())
}
