//! Opening a serial port of this machine: exclusively, with settings that are read back.

use super::wire::{Failure, Levels};
use super::{ControlLine, Flow, LineSettings, LineSetup, Parity};
use proofbench_channel::{ChannelError, ErrorKind};
use std::path::Path;
use tokio_serial::{DataBits, ErrorKind as SerialKind, FlowControl, Parity as SerialParity, SerialPort, SerialStream, StopBits};

/// How far a baud rate may be from the one asked for, in percent: what two UARTs still understand of each other.
const RATE_OFF_MOST: u64 = 3;

/// An open port.
pub(super) struct Tty {
    pub stream: SerialStream,
    /// Whether it is a pseudo terminal: the kernel takes a BREAK on one and drops it, and it has no control lines.
    pseudo: bool,
}

impl Tty {
    pub fn set_break(&mut self, on: bool) -> Result<(), Failure> {
        if self.pseudo {
            return Err(Failure::new(ErrorKind::Unsupported, "a pseudo terminal carries no BREAK"));
        }
        let done = if on { self.stream.set_break() } else { self.stream.clear_break() };
        done.map_err(|e| Failure::new(ErrorKind::Driver, e))
    }

    pub fn set_line(&mut self, line: ControlLine, asserted: bool) -> Result<(), Failure> {
        if self.pseudo {
            return Err(Failure::new(ErrorKind::Unsupported, format!("a pseudo terminal has no {line}")));
        }
        drive(&mut self.stream, line, asserted).map_err(|e| Failure::new(ErrorKind::Unsupported, format!("the port cannot drive {line}: {e}")))
    }
}

fn drive(stream: &mut SerialStream, line: ControlLine, asserted: bool) -> tokio_serial::Result<()> {
    match line {
        ControlLine::Dtr => stream.write_data_terminal_ready(asserted),
        ControlLine::Rts => stream.write_request_to_send(asserted),
    }
}

/// Opens the port exclusively. `Disconnected` if it is not there, `Refused` if somebody holds it or forbids it, or if it does not take a setting.
/// Blocks; call inside the runtime.
pub(super) fn open(setup: &LineSetup, levels: Levels) -> Result<Tty, ChannelError> {
    let doing = format!("open {}", setup.address);
    let path = setup.address.node(&setup.places)?.ok_or_else(|| ChannelError::new(ErrorKind::Disconnected, &doing))?;
    let gone_or = |kind| if path.exists() { kind } else { ErrorKind::Disconnected };
    let settings = &setup.settings;
    let port = tokio_serial::new(path.to_string_lossy(), settings.baud)
        .data_bits(data_bits(settings))
        .parity(parity(settings))
        .stop_bits(stop_bits(settings))
        .flow_control(flow(settings));
    let stream = SerialStream::open(&port).map_err(|e| {
        let kind = match e.kind() {
            SerialKind::Io(std::io::ErrorKind::NotFound) => ErrorKind::Disconnected,
            // The crate's word for "locked by somebody else".
            SerialKind::NoDevice | SerialKind::Io(std::io::ErrorKind::PermissionDenied) => ErrorKind::Refused,
            // A node that is about to vanish fails with EIO or ENXIO; those have no kind of their own.
            _ => gone_or(ErrorKind::Driver),
        };
        ChannelError::caused(kind, &doing, e)
    })?;
    let kept = read_back(&stream, settings).map_err(|e| ChannelError::caused(gone_or(ErrorKind::Driver), &doing, e))?;
    if let Some(why) = kept {
        return Err(ChannelError::caused(ErrorKind::Refused, doing, why));
    }
    let mut tty = Tty { stream, pseudo: is_pseudo(&path) };
    for line in ControlLine::ALL {
        let Some(asserted) = levels.of(line) else { continue };
        tty.set_line(line, asserted).map_err(|f| ChannelError::caused(gone_or(f.kind), &doing, f.why))?;
    }
    Ok(tty)
}

/// The settings that the port did not take, in words. Some drivers say yes to everything and keep what they had.
fn read_back(port: &impl SerialPort, asked: &LineSettings) -> tokio_serial::Result<Option<String>> {
    let mut wrong = Vec::new();
    let rate = port.baud_rate()?;
    if u64::from(rate.abs_diff(asked.baud)) * 100 > u64::from(asked.baud) * RATE_OFF_MOST {
        wrong.push(format!("baud rate: asked for {}, the port keeps {rate}", asked.baud));
    }
    let mut compare = |what: &str, asked: String, keeps: String| {
        if asked != keeps {
            wrong.push(format!("{what}: asked for {asked}, the port keeps {keeps}"));
        }
    };
    compare("data bits", data_bits(asked).to_string(), port.data_bits()?.to_string());
    compare("parity", parity(asked).to_string(), port.parity()?.to_string());
    compare("stop bits", stop_bits(asked).to_string(), port.stop_bits()?.to_string());
    compare("flow control", flow(asked).to_string(), port.flow_control()?.to_string());
    Ok((!wrong.is_empty()).then(|| wrong.join("; ")))
}

fn data_bits(settings: &LineSettings) -> DataBits {
    match settings.data_bits {
        5 => DataBits::Five,
        6 => DataBits::Six,
        7 => DataBits::Seven,
        _ => DataBits::Eight,
    }
}

fn parity(settings: &LineSettings) -> SerialParity {
    match settings.parity {
        Parity::None => SerialParity::None,
        Parity::Even => SerialParity::Even,
        Parity::Odd => SerialParity::Odd,
    }
}

fn stop_bits(settings: &LineSettings) -> StopBits {
    if settings.stop_bits == 2 { StopBits::Two } else { StopBits::One }
}

fn flow(settings: &LineSettings) -> FlowControl {
    match settings.flow {
        Flow::None => FlowControl::None,
        Flow::Hardware => FlowControl::Hardware,
        Flow::Software => FlowControl::Software,
    }
}

fn is_pseudo(port: &Path) -> bool {
    port.canonicalize().is_ok_and(|p| p.starts_with("/dev/pts"))
}
