//! Byte lines: a serial port of this machine, an RFC 2217 server, a raw TCP server, as console and as ground of other drivers.
//!
//! A task on the shared I/O thread captures all the time and stamps what arrives; the blocking side takes it from a bounded queue. A
//! line that vanishes (a read of no bytes, an error) is dropped and opened again, by its address, as soon as it is back: the node of a USB adapter
//! gets another number, so the address should be a serial number or a stable link. When nobody reads, the capture stops reading at a limit and holds
//! the other side up: the kernel's flow control for a tty, TCP's for a server.
//!
//! Run against: pseudo terminals, the board process, Debian's ser2net 4.3.11 (RFC 2217 and raw), pyserial's RFC 2217 server 3.5. Not run against a USB
//! adapter or any other hardware; finding a port by its USB serial number was run against a made sysfs tree only.

mod address;
mod bridge;
mod capture;
mod door;
mod reset;
mod settings;
mod task;
mod tcp;
mod tty;
mod usb;
mod wire;

pub use address::{LineAddress, NetAddress, NoNetAddress};
pub use door::Door;
pub use reset::ControlLines;
pub use settings::{ControlLine, Flow, LineSettings, Parity};
pub use usb::{Places, PortInfo, UsbPort, ports};

use crate::{TimeBase, runtime};
use capture::{Capture, Event, Order};
use proofbench_channel::{ChannelError, Console, ConsoleRead, ErrorKind, Wait};
use std::sync::Arc;
use wire::{Levels, Wire};

/// Most bytes that one read appends.
const READ_MOST: usize = 64 * 1024;

/// Which line, and how to drive it.
#[derive(Debug, Clone)]
pub struct LineSetup {
    /// Where it is.
    pub address: LineAddress,
    /// How it is driven.
    pub settings: LineSettings,
    /// Where the kernel tells of ports; `/sys` and `/dev` but in tests.
    pub places: Places,
    /// The rig's time line.
    pub time: TimeBase,
}

impl LineSetup {
    /// A line of this machine or of the network.
    pub fn new(address: LineAddress, settings: LineSettings, time: TimeBase) -> Self {
        Self { address, settings, places: Places::default(), time }
    }
}

/// Makes a console of the line and starts to capture. A line that is not there yet is no error: it is `Gone` until it appears. `Refused` if somebody
/// else holds it, if it does not take a setting, or if several ports fit the address; a server that does not speak RFC 2217 is `Protocol` or `Refused`.
/// Takes no longer than about ten seconds, for a server that never answers.
pub fn open(setup: &LineSetup) -> Result<Box<dyn Console>, ChannelError> {
    Ok(Box::new(LineConsole::open(setup)?))
}

/// A console on a byte line.
pub struct LineConsole {
    setup: LineSetup,
    capture: Arc<Capture>,
}

impl LineConsole {
    /// See [`open`].
    pub fn open(setup: &LineSetup) -> Result<Self, ChannelError> {
        let runtime = runtime::handle()?;
        let levels = Levels { dtr: setup.settings.dtr, rts: setup.settings.rts };
        let first = match runtime.block_on(Wire::open(setup, levels)) {
            Ok(wire) => Some(wire),
            Err(e) if e.kind == ErrorKind::Disconnected => None,
            Err(e) => return Err(e),
        };
        let capture = Arc::new(Capture::new(first.is_some(), levels));
        runtime.spawn(task::run(Arc::clone(&capture), setup.clone(), first));
        Ok(Self { setup: setup.clone(), capture })
    }

    /// The control lines of this console's port.
    pub fn lines(&self) -> ControlLines {
        ControlLines::new(Arc::clone(&self.capture), self.setup.clone())
    }
}

impl Console for LineConsole {
    fn read(&mut self, into: &mut Vec<u8>, wait: &Wait) -> Result<ConsoleRead, ChannelError> {
        match self.capture.read(self.setup.time, into, READ_MOST, wait) {
            Ok(Some(Event::Bytes(at))) => Ok(ConsoleRead::Bytes(at)),
            Ok(Some(Event::Gone)) => Ok(ConsoleRead::Gone),
            Ok(None) => Ok(ConsoleRead::Silence),
            Err(e) => Err(ChannelError::caused(e.kind, format!("read {}", self.setup.address), e)),
        }
    }

    /// A write that the line's loss interrupts half-way is `Disconnected` at once: its other half would mean nothing to the device that comes back.
    fn write(&mut self, bytes: &[u8], wait: &Wait) -> Result<(), ChannelError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.capture.order(self.setup.time, Order::Write(bytes.to_vec()), &format!("write to {}", self.setup.address), wait)
    }

    fn send_break(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        let doing = format!("send a BREAK on {}", self.setup.address);
        if let LineAddress::Tcp(_) | LineAddress::Door(_) = self.setup.address {
            return Err(ChannelError::caused(ErrorKind::Unsupported, doing, "a socket carries bytes only"));
        }
        self.capture.order(self.setup.time, Order::Break, &doing, wait)
    }

    fn describe(&self) -> String {
        match self.setup.address {
            LineAddress::Tcp(_) | LineAddress::Door(_) => self.setup.address.to_string(),
            _ => format!("{} {}", self.setup.address, self.setup.settings),
        }
    }
}

impl Drop for LineConsole {
    /// The line is free again when this returns, so that it can be opened anew.
    fn drop(&mut self) {
        self.capture.close();
    }
}
