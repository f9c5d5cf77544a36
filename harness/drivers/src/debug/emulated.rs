//! A probe on an emulated device, in virtual time.

use super::bitbang::BitBang;
use proofbench_channel::debug::{DebugPort, Survey, SurveyJob, survey};
use proofbench_channel::{ChannelError, ErrorKind, Moment, Wait};
use std::time::Duration;

pub use super::bitbang::Port;

/// How long a reset pulse lasts.
const PULSE_CLOCKS: u32 = 40_000;

/// The probe. It is always there and never tires; what it cannot do is stand in the way of a device without power.
pub struct EmulatedProbe {
    port: Box<dyn Port>,
    job: Option<SurveyJob>,
}

impl EmulatedProbe {
    /// A probe with its cable on `port`.
    pub fn new(port: Box<dyn Port>) -> Self {
        Self { port, job: None }
    }
}

impl DebugPort for EmulatedProbe {
    /// Virtual time moves only when somebody waits, so that polling may as well start in [`EmulatedProbe::finish`]: a caller that switches power on
    /// in between and goes straight there has polled from the very edge.
    fn begin(&mut self, job: &SurveyJob, wait: &Wait) -> Result<(), ChannelError> {
        wait.check(Moment(self.port.now_ns()), "begin a survey of the debug port")?;
        self.job = Some(job.clone());
        Ok(())
    }

    fn finish(&mut self, wait: &Wait) -> Result<Survey, ChannelError> {
        let job = self.job.take().ok_or_else(|| ChannelError::new(ErrorKind::Refused, "finish a survey that was not begun"))?;
        let result = survey(&mut BitBang::new(&mut *self.port, wait), &job, &mut || {});
        self.port.set_nrst(false);
        result
    }

    fn pulse_reset(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        wait.check(Moment(self.port.now_ns()), "pulse nRST by the probe")?;
        self.port.set_nrst(true);
        self.port.spend(PULSE_CLOCKS);
        self.port.set_nrst(false);
        Ok(())
    }

    fn describe(&self) -> String {
        "emulated probe, bit-banged SWD and JTAG".to_owned()
    }
}

/// How much virtual time one clock cycle of the emulated probe takes: 4 MHz.
pub const CLOCK: Duration = Duration::from_nanos(250);
