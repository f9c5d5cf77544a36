//! A serial port as console.
//!
//! A task on the shared I/O thread captures all the time and stamps what arrives; the blocking side takes it from a bounded queue. A
//! port that vanishes (a read of no bytes, an error) is dropped and opened again, by its path or pattern, as soon as it is back: the
//! node of a USB adapter gets another number, so the path should be a stable link.
//!
//! Run against: pseudo terminals and the board process. Not run against a USB adapter or any other hardware.

mod capture;
mod port;

use crate::{TimeBase, runtime};
use capture::{Capture, Event, Out};
use proofbench_channel::{ChannelError, Console, ConsoleRead, ErrorKind, Wait};
use std::path::PathBuf;
use std::sync::Arc;

/// Most bytes that one read appends.
const READ_MOST: usize = 64 * 1024;

/// Which port, and how to talk to it.
#[derive(Debug, Clone)]
pub struct SerialSetup {
    /// Device node or a symlink to it; followed again at each reopening. One `*` in the last part stands for anything, as in
    /// `/dev/serial/by-id/*066BFF504955*`: exactly one entry must match.
    pub port: PathBuf,
    /// Baud rate.
    pub baud: u32,
    /// The rig's time line.
    pub time: TimeBase,
}

/// Makes a console of the port and starts to capture. A port that is not there yet is no error: it is `Gone` until it appears.
/// A port that somebody else holds is `Refused`.
pub fn open(setup: &SerialSetup) -> Result<Box<dyn Console>, ChannelError> {
    Ok(Box::new(SerialConsole::open(setup)?))
}

/// A console on a serial port.
pub struct SerialConsole {
    setup: SerialSetup,
    capture: Arc<Capture>,
}

impl SerialConsole {
    /// See [`open`].
    pub fn open(setup: &SerialSetup) -> Result<Self, ChannelError> {
        let runtime = runtime::handle()?;
        let first = {
            let _inside = runtime.enter();
            match port::open(setup) {
                Ok(port) => Some(port),
                Err(e) if e.kind == ErrorKind::Disconnected => None,
                Err(e) => return Err(e),
            }
        };
        let capture = Arc::new(Capture::new(first.is_some()));
        runtime.spawn(capture::run(Arc::clone(&capture), setup.clone(), first));
        Ok(Self { setup: setup.clone(), capture })
    }

    fn order(&mut self, order: Out, wait: &Wait) -> Result<(), ChannelError> {
        let doing = format!("write to {}", self.setup.port.display());
        let mut state = self.capture.lock();
        state.out = order;
        self.capture.poke();
        loop {
            if let Out::Done(result) = &mut state.out {
                let result = std::mem::replace(result, Ok(()));
                state.out = Out::Idle;
                return result.map_err(|why| ChannelError::caused(ErrorKind::Disconnected, doing, why));
            }
            match self.setup.time.slice(wait, &doing) {
                Ok(slice) => state = self.capture.wait(state, slice),
                Err(e) => {
                    // Whatever has not been sent yet must not be sent later.
                    state.out = Out::Idle;
                    self.capture.poke();
                    return Err(match (e.kind, state.attached) {
                        (ErrorKind::Timeout, false) => state.gone_error(doing),
                        _ => e,
                    });
                }
            }
        }
    }
}

impl Console for SerialConsole {
    fn read(&mut self, into: &mut Vec<u8>, wait: &Wait) -> Result<ConsoleRead, ChannelError> {
        let mut state = self.capture.lock();
        loop {
            if wait.cancel.is_cancelled() {
                return Err(ChannelError::new(ErrorKind::Cancelled, format!("read {}", self.setup.port.display())));
            }
            match state.take(into, READ_MOST) {
                Some(Event::Bytes(at)) => {
                    self.capture.poke();
                    return Ok(ConsoleRead::Bytes(at));
                }
                Some(Event::Gone) => return Ok(ConsoleRead::Gone),
                None => {}
            }
            match self.setup.time.slice(wait, "read") {
                Ok(slice) => state = self.capture.wait(state, slice),
                Err(e) if e.kind == ErrorKind::Timeout => return Ok(ConsoleRead::Silence),
                Err(e) => return Err(e),
            }
        }
    }

    /// A write that the port's loss interrupts half-way is `Disconnected` at once: its other half would mean nothing to the device that comes back.
    fn write(&mut self, bytes: &[u8], wait: &Wait) -> Result<(), ChannelError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.order(Out::Write(bytes.to_vec()), wait)
    }

    fn send_break(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        // Asked again afterwards: the port may have come up while the order waited for it.
        let carries = |console: &Self| match port::is_pseudo(&console.setup.port) {
            false => Ok(()),
            true => {
                let doing = format!("send a BREAK on {}: a pseudo terminal carries none", console.setup.port.display());
                Err(ChannelError::new(ErrorKind::Unsupported, doing))
            }
        };
        carries(self)?;
        self.order(Out::Break, wait)?;
        carries(self)
    }

    fn describe(&self) -> String {
        format!("serial {} {} 8N1", self.setup.port.display(), self.setup.baud)
    }
}

impl Drop for SerialConsole {
    /// The port is free again when this returns, so that it can be opened anew.
    fn drop(&mut self) {
        self.capture.close();
    }
}
