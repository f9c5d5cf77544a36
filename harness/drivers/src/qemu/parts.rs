//! Supply and reset line of the machine.

use super::process::Process;
use crate::RealClock;
use proofbench_channel::{ChannelError, Clock, ErrorKind, Millivolts, Power, PowerAsk, PowerSeen, Reset, Wait};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// How long QEMU may take to start.
const START: Duration = Duration::from_secs(30);
/// Nothing of the machine outlives its process.
const OFF_MIN: Duration = Duration::from_millis(20);

/// The supply: starting the process is on, killing it is off.
pub(super) struct QemuPower(pub(super) Rc<RefCell<Process>>);

impl Power for QemuPower {
    fn set(&mut self, ask: PowerAsk, wait: &Wait) -> Result<(), ChannelError> {
        let mut process = self.0.borrow_mut();
        if wait.cancel.is_cancelled() && ask == PowerAsk::On {
            return Err(ChannelError::new(ErrorKind::Cancelled, "switch the machine on"));
        }
        match ask {
            PowerAsk::Off => process.off(),
            // Asked whether it runs. QEMU then looks again which lines its guest listens on, which it does not do by itself when a guest with nothing
            // else to do has just switched its receiver on.
            PowerAsk::On if process.alive() => {
                if let Some(qmp) = process.qmp() {
                    qmp.execute("query-status", wait)?;
                }
            }
            PowerAsk::On => {
                // A process is started: a loaded host takes longer than an adapter does.
                let until = wait.until.max(process.time.now() + START);
                process.on(&Wait { until, cancel: wait.cancel.clone() })?;
            }
        }
        process.asked = ask;
        Ok(())
    }

    fn state(&mut self, _: &Wait) -> Result<PowerSeen, ChannelError> {
        let mut process = self.0.borrow_mut();
        Ok(match (process.asked, process.alive()) {
            (_, true) => PowerSeen::On,
            (PowerAsk::Off, false) => PowerSeen::Off,
            (PowerAsk::On, false) => PowerSeen::Tripped("QEMU ended by itself".to_owned()),
        })
    }

    fn rail(&mut self, _: &Wait) -> Result<Option<Millivolts>, ChannelError> {
        Ok(None)
    }

    fn off_min(&self) -> Duration {
        OFF_MIN
    }

    fn dip(&mut self, _: Millivolts, _: Duration, _: &Wait) -> Result<(), ChannelError> {
        Err(ChannelError::caused(ErrorKind::Unsupported, "lower the machine's supply", "QEMU models no supply voltage"))
    }

    fn describe(&self) -> String {
        format!("process {}, killed as power cut", self.0.borrow().program.display())
    }
}

/// The reset line: QMP `system_reset`. While the line is held the processor is stopped, and it is reset when the line is let go.
pub(super) struct QemuReset(pub(super) Rc<RefCell<Process>>);

impl Reset for QemuReset {
    fn pulse(&mut self, hold: Duration, wait: &Wait) -> Result<(), ChannelError> {
        self.set(true, wait)?;
        let time = self.0.borrow().time;
        let held = RealClock(time).sleep_until(&Wait::until(time.now() + hold, &wait.cancel));
        // A line that was pulled is let go, cancelled or not; that takes no longer than a moment.
        let release = Wait::until(time.now() + Duration::from_secs(10), &Default::default());
        self.set(false, &release)?;
        held
    }

    fn set(&mut self, asserted: bool, wait: &Wait) -> Result<(), ChannelError> {
        let mut process = self.0.borrow_mut();
        wait.check(process.time.now(), "drive the machine's reset line")?;
        let was = process.held;
        if let Some(qmp) = process.qmp() {
            match (was, asserted) {
                (_, true) => drop(qmp.execute("stop", wait)?),
                (true, false) => {
                    qmp.execute("system_reset", wait)?;
                    qmp.execute("cont", wait)?;
                }
                (false, false) => {}
            }
        }
        process.held = asserted;
        Ok(())
    }

    fn describe(&self) -> String {
        "QMP system_reset".to_owned()
    }
}
