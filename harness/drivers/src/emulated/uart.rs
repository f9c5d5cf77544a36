//! A serial port of the emulated device, as a bench with a cable on it sees it.

use super::{STRETCH_NS, Shared, not_cancelled};
use proofbench_channel::{ChannelError, Console, ConsoleRead, Moment, Wait};
use proofbench_emulator::Uart;

pub(super) struct EmulatedUart {
    world: Shared,
    uart: Uart,
}

impl EmulatedUart {
    pub(super) fn new(world: Shared, uart: Uart) -> Self {
        Self { world, uart }
    }
}

impl Console for EmulatedUart {
    /// Waiting takes virtual time up to the end of what the device prints next, or to the deadline.
    fn read(&mut self, into: &mut Vec<u8>, wait: &Wait) -> Result<ConsoleRead, ChannelError> {
        loop {
            not_cancelled(wait, "read the emulated console")?;
            let mut world = self.world.borrow_mut();
            if let Some((at, bytes)) = world.take(self.uart) {
                into.extend_from_slice(&bytes);
                return Ok(ConsoleRead::Bytes(Moment(at)));
            }
            let now = world.now();
            if now >= wait.until.0 {
                return Ok(ConsoleRead::Silence);
            }
            world.advance_until_output(self.uart, wait.until.0.min(now.saturating_add(STRETCH_NS)));
        }
    }

    fn write(&mut self, bytes: &[u8], wait: &Wait) -> Result<(), ChannelError> {
        not_cancelled(wait, "write to the emulated console")?;
        self.world.borrow_mut().write(self.uart, bytes);
        Ok(())
    }

    fn send_break(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        not_cancelled(wait, "send a BREAK")?;
        self.world.borrow_mut().send_break(self.uart);
        Ok(())
    }

    fn describe(&self) -> String {
        match self.uart {
            Uart::Console => "emulated UART0, 115200 baud".to_owned(),
            Uart::Update => "emulated UART1, 1 Mbaud".to_owned(),
        }
    }
}
