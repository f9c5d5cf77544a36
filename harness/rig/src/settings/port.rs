//! A byte line: the `port` of a section, and how it is driven.

use super::{Place, Section, Settings, Wiring};
use crate::error::RigFileError;
use proofbench_drivers::line::{ControlLine, Flow, LineAddress, LineSettings, LineSetup, Parity};
use serde::Deserialize;
use std::path::PathBuf;
use toml::Spanned;

/// What a port may be, as people write it.
const PORTS: &[&str] = &[
    "usb-serial = \"066BFF504955\"",
    "by-id = \"usb-...\"",
    "by-path = \"pci-...\"",
    "path = \"/dev/ttyUSB0\"",
    "rfc2217 = \"host:port\"",
    "tcp = \"host:port\"",
    "qemu = \"console\"",
];

/// A byte line of a rig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Where.
    pub address: PortAddress,
    /// How.
    pub settings: LineSettings,
}

/// Where a byte line is, as a rig file says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortAddress {
    /// A port of this machine or of the network. A path may begin with `{board}` and is relative to the rig file.
    Line(LineAddress),
    /// A serial line of the machine of `[qemu]`, by its name.
    Qemu(String),
}

/// `port = { ... }`: one of these.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct PortRef {
    usb_serial: Option<Spanned<String>>,
    interface: Option<Spanned<u8>>,
    by_id: Option<Spanned<String>>,
    by_path: Option<Spanned<String>>,
    path: Option<Spanned<String>>,
    rfc2217: Option<Spanned<String>>,
    tcp: Option<Spanned<String>>,
    qemu: Option<Spanned<String>>,
}

/// Keys of a driver that talks over a byte line and has no keys of its own.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct PortSettings {
    pub port: Spanned<PortRef>,
    pub baud: Option<Spanned<u32>>,
    pub data_bits: Option<Spanned<u8>>,
    pub parity: Option<Spanned<ParityWord>>,
    pub stop_bits: Option<Spanned<u8>>,
    pub flow: Option<Spanned<FlowWord>>,
    pub dtr: Option<Spanned<bool>>,
    pub rts: Option<Spanned<bool>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ParityWord {
    None,
    Even,
    Odd,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FlowWord {
    None,
    Hardware,
    Software,
}

impl Settings for PortSettings {
    const EXAMPLE: &'static str = "port = { usb-serial = \"066BFF504955\" }";
}

impl PortSettings {
    /// Checks the values, and that they fit together.
    pub fn check(&self, section: &Section<'_>) -> Result<Port, RigFileError> {
        let address = self.port.get_ref().address(section, self.port.span())?;
        if let PortAddress::Line(LineAddress::Tcp(_)) | PortAddress::Qemu(_) = address {
            self.nothing_to_set(section)?;
        }
        let or = |given: &Option<Spanned<u8>>, default| given.as_ref().map_or(default, |v| *v.get_ref());
        let mut settings = LineSettings::default();
        if let Some(baud) = &self.baud {
            settings.baud = section.within(baud, 50..=12_000_000, "baud rate", "50 to 12000000")?;
        }
        if let Some(bits) = &self.data_bits {
            section.within(bits, 5..=8, "number of data bits", "5 to 8")?;
        }
        if let Some(bits) = &self.stop_bits {
            section.within(bits, 1..=2, "number of stop bits", "1 or 2")?;
        }
        (settings.data_bits, settings.stop_bits) = (or(&self.data_bits, 8), or(&self.stop_bits, 1));
        settings.parity = match self.parity.as_ref().map(|p| *p.get_ref()) {
            None | Some(ParityWord::None) => Parity::None,
            Some(ParityWord::Even) => Parity::Even,
            Some(ParityWord::Odd) => Parity::Odd,
        };
        settings.flow = match self.flow.as_ref().map(|f| *f.get_ref()) {
            None | Some(FlowWord::None) => Flow::None,
            Some(FlowWord::Hardware) => Flow::Hardware,
            Some(FlowWord::Software) => Flow::Software,
        };
        if let Some(rts) = &self.rts
            && settings.flow == Flow::Hardware
        {
            return Err(section.error(rts.span(), "with flow = \"hardware\" the port drives RTS itself", &["either of the two"]));
        }
        (settings.dtr, settings.rts) = (self.dtr.as_ref().map(|v| *v.get_ref()), self.rts.as_ref().map(|v| *v.get_ref()));
        Ok(Port { address, settings })
    }

    /// Raw TCP has no settings.
    fn nothing_to_set(&self, section: &Section<'_>) -> Result<(), RigFileError> {
        let spans = [
            ("baud", self.baud.as_ref().map(Spanned::span)),
            ("data-bits", self.data_bits.as_ref().map(Spanned::span)),
            ("parity", self.parity.as_ref().map(Spanned::span)),
            ("stop-bits", self.stop_bits.as_ref().map(Spanned::span)),
            ("flow", self.flow.as_ref().map(Spanned::span)),
            ("dtr", self.dtr.as_ref().map(Spanned::span)),
            ("rts", self.rts.as_ref().map(Spanned::span)),
        ];
        match spans.into_iter().find_map(|(key, span)| Some((key, span?))) {
            None => Ok(()),
            Some((key, span)) => {
                let problem = format!(
                    "{} carries bytes only: nothing can be made of `{key}`",
                    if self.port.get_ref().qemu.is_some() { "a line of QEMU" } else { "raw TCP" }
                );
                let valid = if self.port.get_ref().qemu.is_some() { "leave it out" } else { "leave it out, or port = { rfc2217 = \"host:port\" }" };
                Err(section.error(span, problem, &[valid]))
            }
        }
    }
}

impl PortRef {
    fn address(&self, section: &Section<'_>, span: std::ops::Range<usize>) -> Result<PortAddress, RigFileError> {
        let given = [&self.usb_serial, &self.by_id, &self.by_path, &self.path, &self.rfc2217, &self.tcp, &self.qemu];
        if given.into_iter().flatten().count() != 1 {
            return Err(section.error(span, "a port is exactly one of these", PORTS));
        }
        if let (Some(interface), None) = (&self.interface, &self.usb_serial) {
            return Err(section.error(interface.span(), "`interface` belongs to `usb-serial`", &[]));
        }
        let server = |value: &Spanned<String>| {
            value
                .get_ref()
                .parse()
                .map_err(|_| section.error(value.span(), "no address", &["host:port, such as 192.0.2.7:2217 or [2001:db8::7]:2217"]))
        };
        // The name of a link: what stands in its folder, so that nothing else can be reached by it.
        let name = |value: &Spanned<String>, folder: &str| {
            let text = value.get_ref();
            match text.is_empty() || text.contains('/') {
                true => Err(section.error(value.span(), "no name of a link", &[&format!("a name in {folder}; `proofbench list ports` shows them")])),
                false => Ok(text.clone()),
            }
        };
        if let Some(line) = &self.qemu {
            return Ok(PortAddress::Qemu(line.get_ref().clone()));
        }
        Ok(PortAddress::Line(if let Some(serial) = &self.usb_serial {
            if serial.get_ref().is_empty() {
                return Err(section.error(serial.span(), "no serial number", &["as `proofbench list ports` shows it"]));
            }
            LineAddress::Usb { serial: serial.get_ref().clone(), interface: self.interface.as_ref().map(|i| *i.get_ref()) }
        } else if let Some(by_id) = &self.by_id {
            LineAddress::ById(name(by_id, "/dev/serial/by-id")?)
        } else if let Some(by_path) = &self.by_path {
            LineAddress::ByPath(name(by_path, "/dev/serial/by-path")?)
        } else if let Some(rfc2217) = &self.rfc2217 {
            LineAddress::Rfc2217(server(rfc2217)?)
        } else if let Some(tcp) = &self.tcp {
            LineAddress::Tcp(server(tcp)?)
        } else {
            let path = self.path.as_ref().map(|p| section.placeholders(p, &["{board}"])).transpose()?;
            LineAddress::Path(PathBuf::from(path.unwrap_or_default()))
        }))
    }
}

impl Port {
    /// A section whose driver has no keys but these.
    pub(crate) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        section.settings::<PortSettings>()?.check(section)
    }

    pub(crate) fn wiring(&self) -> Wiring {
        match &self.address {
            PortAddress::Line(LineAddress::Path(path)) if path.to_string_lossy().contains("{board}") => Wiring::Board,
            PortAddress::Line(_) => Wiring::Real,
            PortAddress::Qemu(_) => Wiring::Qemu,
        }
    }

    pub(crate) fn setup(&self, place: &Place<'_>) -> LineSetup {
        let address = match &self.address {
            PortAddress::Line(LineAddress::Path(path)) => LineAddress::Path(place.path(&path.to_string_lossy())),
            PortAddress::Line(other) => other.clone(),
            // The resolver has looked that the machine has it; without a machine it is a path where nothing ever is.
            PortAddress::Qemu(line) => place.qemu.and_then(|q| q.line(line)).unwrap_or_else(|| LineAddress::Path(PathBuf::from(line))),
        };
        LineSetup::new(address, self.settings, place.time)
    }

    /// The line of the machine of `[qemu]`, if it is one.
    pub(crate) fn qemu_line(&self) -> Option<&str> {
        match &self.address {
            PortAddress::Qemu(line) => Some(line),
            PortAddress::Line(_) => None,
        }
    }

    /// What the port does with this line while it is open, as far as the file says so.
    pub(crate) fn level(&self, line: ControlLine) -> Option<bool> {
        match line {
            ControlLine::Dtr => self.settings.dtr,
            ControlLine::Rts => self.settings.rts,
        }
    }
}
