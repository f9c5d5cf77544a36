//! From the file as written to a rig whose names are checked and whose capabilities are known. Nothing is opened.

use crate::ability::{Capability, Permissions};
use crate::error::{RigError, RigFileError, Source};
use crate::file::{BoardSection, EmulatorSection, PlainSection, PortSection, RigFile};
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
    /// Something that this program does not start.
    Real,
}

/// A serial port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Node; may begin with `{board}`.
    pub path: String,
    /// Baud rate.
    pub baud: u32,
}

/// What serves a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Driver {
    /// The emulated device itself.
    Emulator,
    /// The board process.
    Board,
    /// A serial console.
    Serial(Port),
    /// SMP on a serial line.
    Smp(Port),
    /// A debug probe behind the worker.
    ProbeRs {
        /// `vid:pid:serial`
        probe: String,
    },
    /// A file that is the flash.
    File {
        /// Where; may begin with `{board}`.
        path: String,
    },
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
    /// Lease file, if the rig needs one.
    pub lease: Option<PathBuf>,
    /// Which device.
    pub device: Device,
    /// Driver of each channel that the rig has.
    pub drivers: Vec<(Capability, Driver)>,
    /// What is granted.
    pub permissions: Permissions,
}

const DEFAULT_BAUD: u32 = 115_200;

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

    /// Capabilities: what the channels are, and nothing beside them.
    pub fn capabilities(&self) -> Vec<Capability> {
        self.drivers.iter().map(|(c, _)| *c).collect()
    }

    /// The same rig with other built-in defects or twins in its emulated device. No effect on a real device.
    pub fn with_defects(mut self, names: &[&str]) -> Self {
        let names = names.iter().map(|n| (*n).to_owned());
        match &mut self.device {
            Device::Emulator(e) => e.defects.extend(names),
            Device::Board(b) => b.defects.extend(names),
            Device::Real => {}
        }
        self
    }

    /// The same rig with bench faults around its channels. No effect on a real bench.
    pub fn with_faults(mut self, names: &[&str]) -> Self {
        let names = names.iter().map(|n| (*n).to_owned());
        match &mut self.device {
            Device::Emulator(e) => e.faults.extend(names),
            Device::Board(b) => b.faults.extend(names),
            Device::Real => {}
        }
        self
    }
}

struct Resolver<'a> {
    source: &'a Source,
}

impl Resolver<'_> {
    fn resolve(&self, path: &Path, base: PathBuf, file: RigFile) -> Result<ResolvedRig, RigFileError> {
        let mut drivers = Vec::new();
        if let Some(s) = &file.console {
            let port = self.driver(&s.driver, &["emulator", "serial"])?;
            drivers.push((Capability::Console, self.port(s, port, Driver::Serial)?));
        }
        for (capability, section, valid) in [
            (Capability::Power, &file.power, &["emulator", "board"][..]),
            (Capability::Reset, &file.reset, &["emulator", "board"]),
            (Capability::Fixture, &file.fixture, &["emulator", "board"]),
            (Capability::CrashSpace, &file.crash, &["emulator"]),
        ] {
            if let Some(PlainSection { driver }) = section {
                drivers.push((capability, if self.driver(driver, valid)? == "emulator" { Driver::Emulator } else { Driver::Board }));
            }
        }
        if let Some(s) = &file.debug {
            let driver = self.driver(&s.driver, &["emulator", "probe-rs"])?;
            drivers.push((
                Capability::DebugPort,
                match (driver, &s.probe) {
                    ("emulator", None) => Driver::Emulator,
                    ("emulator", Some(probe)) => return Err(self.unused(probe.span(), "emulator", "probe")),
                    (_, Some(probe)) => Driver::ProbeRs { probe: self.selector(probe)? },
                    (_, None) => return Err(self.missing(&s.driver, "probe", "probe = \"0483:374b:066BFF504955\"")),
                },
            ));
        }
        if let Some(s) = &file.storage {
            let driver = self.driver(&s.driver, &["emulator", "file"])?;
            drivers.push((
                Capability::Storage,
                match (driver, &s.path) {
                    ("emulator", None) => Driver::Emulator,
                    ("emulator", Some(path)) => return Err(self.unused(path.span(), "emulator", "path")),
                    (_, Some(path)) => Driver::File { path: self.placeholders(path, &["{board}"])? },
                    (_, None) => return Err(self.missing(&s.driver, "path", "path = \"{board}/flash.bin\"")),
                },
            ));
        }
        if let Some(s) = &file.update {
            let driver = self.driver(&s.driver, &["emulator", "smp"])?;
            drivers.push((Capability::UpdatePath, self.port(s, driver, Driver::Smp)?));
        }
        drivers.sort_by_key(|(c, _)| *c);
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
            base,
            lease,
            device,
            drivers,
            permissions: file.permissions,
        })
    }

    fn driver<'b>(&self, driver: &'b Spanned<String>, valid: &[&str]) -> Result<&'b str, RigFileError> {
        let name = driver.get_ref().as_str();
        if valid.contains(&name) { Ok(name) } else { Err(self.source.error(driver.span(), "no driver of this channel", valid)) }
    }

    fn unused(&self, span: Range<usize>, driver: &str, key: &str) -> RigFileError {
        self.source.error(span, format!("the driver `{driver}` does not use `{key}`"), &[])
    }

    fn missing(&self, driver: &Spanned<String>, key: &str, example: &str) -> RigFileError {
        self.source.error(driver.span(), format!("this driver needs `{key}`"), &[example])
    }

    fn port(&self, s: &PortSection, driver: &str, make: fn(Port) -> Driver) -> Result<Driver, RigFileError> {
        if driver == "emulator" {
            return match (&s.port, &s.baud) {
                (Some(port), _) => Err(self.unused(port.span(), driver, "port")),
                (_, Some(baud)) => Err(self.unused(baud.span(), driver, "baud")),
                (None, None) => Ok(Driver::Emulator),
            };
        }
        let Some(port) = &s.port else { return Err(self.missing(&s.driver, "port", "port = { path = \"/dev/ttyUSB0\" }")) };
        let baud = match &s.baud {
            None => DEFAULT_BAUD,
            Some(b) if (50..=12_000_000).contains(b.get_ref()) => *b.get_ref(),
            Some(b) => return Err(self.source.error(b.span(), "no baud rate", &["50 to 12000000"])),
        };
        Ok(make(Port { path: self.placeholders(&port.get_ref().path, &["{board}"])?, baud }))
    }

    fn selector(&self, probe: &Spanned<String>) -> Result<String, RigFileError> {
        let text = self.placeholders(probe, &["{board.debug}"])?;
        let hex4 = |s: Option<&str>| s.is_some_and(|s| s.len() == 4 && s.bytes().all(|b| b.is_ascii_hexdigit()));
        let mut parts = text.splitn(3, ':');
        if hex4(parts.next()) && hex4(parts.next()) {
            Ok(text)
        } else {
            Err(self.source.error(probe.span(), "no probe selector", &["vid:pid:serial, such as 0483:374b:066BFF504955"]))
        }
    }

    /// Checks that every `{...}` of a value is a placeholder that this value may have.
    fn placeholders(&self, value: &Spanned<String>, valid: &[&str]) -> Result<String, RigFileError> {
        let text = value.get_ref();
        let mut rest = text.as_str();
        while let Some(open) = rest.find('{') {
            let end = rest[open..].find('}').map_or(rest.len(), |n| open + n + 1);
            if !valid.contains(&&rest[open..end]) {
                return Err(self.source.error(value.span(), format!("unknown placeholder {}", &rest[open..end]), valid));
            }
            rest = &rest[end..];
        }
        Ok(text.clone())
    }

    fn device(&self, file: &RigFile, drivers: &[(Capability, Driver)]) -> Result<Device, RigFileError> {
        let on_board = |d: &Driver| match d {
            Driver::Board => true,
            Driver::Serial(p) | Driver::Smp(p) => p.path.contains("{board}"),
            Driver::ProbeRs { probe } => probe.contains("{board.debug}"),
            Driver::File { path } => path.contains("{board}"),
            Driver::Emulator => false,
        };
        let emulated = drivers.iter().filter(|(_, d)| *d == Driver::Emulator).count();
        let boarded = drivers.iter().filter(|(_, d)| on_board(d)).count();
        if emulated > 0 && emulated < drivers.len() {
            let (c, _) = drivers.iter().find(|(_, d)| *d != Driver::Emulator).unwrap_or(&drivers[0]);
            let problem = format!("one rig holds one device: {c} is wired to another one than the emulated channels");
            return Err(self.source.error(self.driver_span(file, *c), problem, &["the driver `emulator` in every section, or in none"]));
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
        Ok(if emulated > 0 {
            Device::Emulator(file.emulator.clone().map(Spanned::into_inner).unwrap_or_default())
        } else if boarded > 0 {
            Device::Board(file.board.clone().map(Spanned::into_inner).unwrap_or_default())
        } else {
            Device::Real
        })
    }

    fn driver_span(&self, file: &RigFile, c: Capability) -> Range<usize> {
        let plain = |s: &Option<PlainSection>| s.as_ref().map(|s| s.driver.span());
        let span = match c {
            Capability::Console => file.console.as_ref().map(|s| s.driver.span()),
            Capability::Power => plain(&file.power),
            Capability::Reset => plain(&file.reset),
            Capability::DebugPort => file.debug.as_ref().map(|s| s.driver.span()),
            Capability::Fixture => plain(&file.fixture),
            Capability::Storage => file.storage.as_ref().map(|s| s.driver.span()),
            Capability::UpdatePath => file.update.as_ref().map(|s| s.driver.span()),
            Capability::CrashSpace => plain(&file.crash),
        };
        span.unwrap_or(0..0)
    }
}
