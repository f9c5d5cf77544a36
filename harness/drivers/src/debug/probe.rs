//! A real debug probe behind the worker process: surveys of the port, and the probe's nRST as the rig's reset line.
//!
//! A probe has one user at a time. While the reset line is held no survey begins, and while a survey is under way the line is not moved: either is refused
//! with the reason, because a survey of a device that somebody else holds in reset is none of a running one.
//!
//! Run against: the worker with probe-rs on the board process's Black Magic Probe server. Not run against a real probe or target.

use super::worker::{Running, Worker};
use crate::{RealClock, TimeBase};
use proofbench_channel::debug::{Attach, DebugPort, Survey, SurveyJob, WorkerAct, WorkerSays};
use proofbench_channel::{Cancel, ChannelError, Clock, ErrorKind, Reset, Wait};
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

/// How long a reset pulse lasts.
const PULSE_MS: u64 = 10;
/// How long an orderly end of a hold may take when nobody waits for it.
const LET_GO: Duration = Duration::from_secs(5);

/// What the probe is doing, for both of its users.
struct Probe {
    worker: Worker,
    survey: Option<Running>,
    /// Holds nRST low for as long as it runs.
    hold: Option<Running>,
    /// nRST is known to be released.
    released: bool,
}

/// A probe that the worker process drives.
pub struct WorkerProbe(Rc<RefCell<Probe>>);

/// The probe's nRST as reset line.
///
/// The line is held by a worker process: if that or the bench itself dies, it is released. A probe that is unplugged releases it as well, which only the
/// next call notices.
pub struct ProbeReset(Rc<RefCell<Probe>>);

impl WorkerProbe {
    /// A probe by its selector (`VID:PID[:SERIAL]`, for a board `1d50:6018:127.0.0.1:PORT`). The worker is `program`, else what the variable
    /// `PROOFBENCH_PROBE_WORKER` names, else the one beside the running executable or in the folder above.
    pub fn new(selector: impl Into<String>, program: Option<PathBuf>, time: TimeBase) -> Result<Self, ChannelError> {
        let worker = Worker::find(selector.into(), program, time)?;
        Ok(Self(Rc::new(RefCell::new(Probe { worker, survey: None, hold: None, released: false }))))
    }

    /// The same probe as reset line.
    pub fn reset_line(&self) -> ProbeReset {
        ProbeReset(Rc::clone(&self.0))
    }

    /// Selector and name of every probe that this machine has.
    pub fn list(&self, wait: &Wait) -> Result<Vec<(String, String)>, ChannelError> {
        match self.0.borrow().worker.act(WorkerAct::List, wait, "list debug probes")? {
            WorkerSays::Probes(probes) => Ok(probes),
            other => Err(ChannelError::caused(ErrorKind::Driver, "list debug probes", format!("the worker said {other:?}"))),
        }
    }
}

impl Probe {
    /// An error if nRST is held: no survey would mean anything.
    fn not_held(&self, doing: &str) -> Result<(), ChannelError> {
        match self.hold {
            Some(_) => Err(ChannelError::caused(ErrorKind::Refused, doing, "the same probe holds nRST as the rig's reset line; release it first")),
            None => Ok(()),
        }
    }

    fn not_surveying(&self, doing: &str) -> Result<(), ChannelError> {
        match self.survey {
            Some(_) => Err(ChannelError::caused(ErrorKind::Refused, doing, "a survey by the same probe is under way; it ends first")),
            None => Ok(()),
        }
    }

    fn pulse(&mut self, hold_ms: u64, wait: &Wait, doing: &str) -> Result<(), ChannelError> {
        self.released = false;
        let done = self.worker.act(WorkerAct::PulseReset(hold_ms), wait, doing);
        // A worker that was given up may have been killed between the two edges.
        self.released = done.is_ok() || self.worker.let_go_of_reset();
        done.map(|_| ())
    }

    fn hold(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        const DOING: &str = "hold nRST by the probe";
        if self.hold.as_mut().is_some_and(Running::runs) {
            return Ok(());
        }
        self.released = false;
        let mut running = match self.worker.start_and_hear(WorkerAct::HoldReset, wait, DOING) {
            Ok(running) => running,
            Err(e) => {
                self.hold = None;
                self.released = self.worker.let_go_of_reset();
                return Err(e);
            }
        };
        if running.first_word() == Some(&WorkerSays::Holding) {
            self.hold = Some(running);
            return Ok(());
        }
        self.hold = None;
        let why = self.worker.answer(&mut running, wait, DOING);
        Err(why.err().unwrap_or_else(|| ChannelError::caused(ErrorKind::Driver, DOING, "the worker did not hold it")))
    }

    fn release(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        const DOING: &str = "release nRST by the probe";
        if let Some(mut running) = self.hold.take() {
            let done = self.worker.answer(&mut running, wait, DOING);
            running.kill();
            self.released = done.is_ok() || self.worker.let_go_of_reset();
            return done.map(|_| ());
        }
        if self.released {
            return Ok(());
        }
        // Somebody before us may have left it low: a run that was killed, a worker that died.
        let done = self.worker.act(WorkerAct::PulseReset(0), wait, DOING);
        self.released = done.is_ok();
        done.map(|_| ())
    }
}

impl Drop for Probe {
    /// Lets go of the line in an orderly way: a worker that is killed leaves it as it was.
    fn drop(&mut self) {
        if self.hold.is_some() {
            let until = self.worker.time.now() + LET_GO.mul_f64(self.worker.time.speed());
            // Nobody is left to tell.
            let _ = self.release(&Wait::until(until, &Cancel::new()));
        }
    }
}

impl DebugPort for WorkerProbe {
    fn begin(&mut self, job: &SurveyJob, wait: &Wait) -> Result<(), ChannelError> {
        const DOING: &str = "begin a survey of the debug port";
        let probe = &mut *self.0.borrow_mut();
        if let Some(mut old) = probe.survey.take() {
            old.kill();
            probe.released = probe.worker.let_go_of_reset();
        }
        probe.not_held(DOING)?;
        wait.check(probe.worker.time.now(), DOING)?;
        let act = WorkerAct::Survey(job.clone());
        probe.released = false;
        probe.survey = Some(if job.attach == Attach::PowerOnRace {
            // The caller switches power on next: by then the probe must be polling.
            probe.worker.start_and_hear(act, wait, DOING)?
        } else {
            probe.worker.start(act)?
        });
        Ok(())
    }

    fn finish(&mut self, wait: &Wait) -> Result<Survey, ChannelError> {
        const DOING: &str = "survey the debug port";
        let probe = &mut *self.0.borrow_mut();
        let mut running = probe.survey.take().ok_or_else(|| ChannelError::new(ErrorKind::Refused, "finish a survey that was not begun"))?;
        let answer = probe.worker.answer(&mut running, wait, DOING);
        running.kill();
        match answer {
            Ok(WorkerSays::Survey(survey)) => {
                probe.released = true;
                Ok(*survey)
            }
            Ok(other) => Err(ChannelError::caused(ErrorKind::Driver, DOING, format!("the worker said {other:?}"))),
            Err(e) => {
                if matches!(e.kind, ErrorKind::Timeout | ErrorKind::Cancelled | ErrorKind::Driver) {
                    probe.released = probe.worker.let_go_of_reset();
                }
                Err(e)
            }
        }
    }

    fn pulse_reset(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        const DOING: &str = "pulse nRST by the probe";
        let probe = &mut *self.0.borrow_mut();
        probe.not_held(DOING)?;
        probe.not_surveying(DOING)?;
        wait.check(probe.worker.time.now(), DOING)?;
        probe.pulse(PULSE_MS, wait, DOING)
    }

    fn describe(&self) -> String {
        let probe = self.0.borrow();
        format!("probe-rs {} through {}", probe.worker.selector, probe.worker.program.display())
    }
}

impl Reset for ProbeReset {
    /// On a line that is held already the pulse ends the hold.
    fn pulse(&mut self, hold: Duration, wait: &Wait) -> Result<(), ChannelError> {
        const DOING: &str = "pulse nRST by the probe";
        let probe = &mut *self.0.borrow_mut();
        let time = probe.worker.time;
        probe.not_surveying(DOING)?;
        wait.check(time.now(), DOING)?;
        if probe.hold.is_some() {
            RealClock(time).sleep_until(&Wait { until: wait.until.min(time.now() + hold), cancel: wait.cancel.clone() })?;
            return probe.release(wait);
        }
        let real = hold.div_f64(time.speed()).as_millis().max(1);
        probe.pulse(u64::try_from(real).unwrap_or(u64::MAX), wait, DOING)
    }

    fn set(&mut self, asserted: bool, wait: &Wait) -> Result<(), ChannelError> {
        const DOING: &str = "move nRST by the probe";
        let probe = &mut *self.0.borrow_mut();
        probe.not_surveying(DOING)?;
        wait.check(probe.worker.time.now(), DOING)?;
        if asserted { probe.hold(wait) } else { probe.release(wait) }
    }

    fn describe(&self) -> String {
        let probe = self.0.borrow();
        format!("nRST of probe-rs {} through {}", probe.worker.selector, probe.worker.program.display())
    }
}
