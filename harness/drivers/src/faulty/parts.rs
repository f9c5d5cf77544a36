//! Faults of the other channels. Each describes itself as the channel it spoils: a broken rig does not know that it is broken.

use super::not_cancelled;
use proofbench_channel::debug::{DebugPort, Said, Survey, SurveyJob};
use proofbench_channel::{
    Answer, ChannelError, Chunk, Clock, ErrorKind, ImageState, Intake, Millivolts, Moment, Power, PowerAsk, PowerSeen, SmpReply, SmpRequest, Storage,
    UpdatePath, Wait,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// A relay welded shut: the first `On` passes, after that it does nothing and reports what it was asked. It has no meter, for a meter would tell.
pub struct StuckPower {
    inner: Box<dyn Power>,
    welded: bool,
    asked: PowerAsk,
}

impl StuckPower {
    /// Welds this switch.
    pub fn new(inner: Box<dyn Power>) -> Self {
        Self { inner, welded: false, asked: PowerAsk::Off }
    }
}

impl Power for StuckPower {
    fn set(&mut self, ask: PowerAsk, wait: &Wait) -> Result<(), ChannelError> {
        not_cancelled(wait)?;
        if !self.welded {
            self.inner.set(ask, wait)?;
            self.welded = ask == PowerAsk::On;
        }
        self.asked = ask;
        Ok(())
    }

    fn state(&mut self, _: &Wait) -> Result<PowerSeen, ChannelError> {
        Ok(if self.asked == PowerAsk::On { PowerSeen::On } else { PowerSeen::Off })
    }

    fn rail(&mut self, _: &Wait) -> Result<Option<Millivolts>, ChannelError> {
        Ok(None)
    }

    fn off_min(&self) -> Duration {
        self.inner.off_min()
    }

    fn dip(&mut self, _: Millivolts, _: Duration, wait: &Wait) -> Result<(), ChannelError> {
        not_cancelled(wait)
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

/// What a 3.3 V rail sags to when protection diodes of signal pins feed it: enough for most parts to run on.
const FED: Millivolts = Millivolts(2_200);

/// A board that is fed through its probe or UART as well: the first `On` passes, after that the switch works and the device does not notice. The meter,
/// where there is one, sees the rail sag.
pub struct BackFed {
    inner: Box<dyn Power>,
    runs: bool,
    asked: PowerAsk,
}

impl BackFed {
    /// Feeds the board behind this switch from elsewhere.
    pub fn new(inner: Box<dyn Power>) -> Self {
        Self { inner, runs: false, asked: PowerAsk::Off }
    }
}

impl Power for BackFed {
    fn set(&mut self, ask: PowerAsk, wait: &Wait) -> Result<(), ChannelError> {
        not_cancelled(wait)?;
        if !self.runs {
            self.inner.set(ask, wait)?;
            self.runs = ask == PowerAsk::On;
        }
        self.asked = ask;
        Ok(())
    }

    fn state(&mut self, _: &Wait) -> Result<PowerSeen, ChannelError> {
        Ok(if self.asked == PowerAsk::On { PowerSeen::On } else { PowerSeen::Off })
    }

    fn rail(&mut self, wait: &Wait) -> Result<Option<Millivolts>, ChannelError> {
        let rail = self.inner.rail(wait)?;
        Ok(rail.map(|mv| if self.runs && self.asked == PowerAsk::Off { mv.min(FED) } else { mv }))
    }

    fn off_min(&self) -> Duration {
        self.inner.off_min()
    }

    fn dip(&mut self, to: Millivolts, hold: Duration, wait: &Wait) -> Result<(), ChannelError> {
        self.inner.dip(to.max(FED), hold, wait)
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

/// A probe whose wires reach nothing: every survey finds the lines pulled up, a pulse on nRST moves nothing.
pub struct SilentProbe {
    inner: Box<dyn DebugPort>,
    job: Option<SurveyJob>,
}

impl SilentProbe {
    /// Cuts the wires of this probe.
    pub fn new(inner: Box<dyn DebugPort>) -> Self {
        Self { inner, job: None }
    }
}

impl DebugPort for SilentProbe {
    fn begin(&mut self, job: &SurveyJob, wait: &Wait) -> Result<(), ChannelError> {
        not_cancelled(wait)?;
        self.job = Some(job.clone());
        Ok(())
    }

    fn finish(&mut self, _: &Wait) -> Result<Survey, ChannelError> {
        let job = self.job.take().ok_or_else(|| ChannelError::new(ErrorKind::Driver, "finish a survey that was not begun"))?;
        Ok(Survey { dpidr: Said::NoAck, attempts: 1, ..Survey::begun(job) })
    }

    fn pulse_reset(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        not_cancelled(wait)
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

/// A flash reader with a bad clip: everything reads as erased. Writes seem to succeed and reach nothing.
pub struct LyingStorage {
    inner: Box<dyn Storage>,
}

impl LyingStorage {
    /// Takes the clip off this reader.
    pub fn new(inner: Box<dyn Storage>) -> Self {
        Self { inner }
    }
}

impl Storage for LyingStorage {
    fn len(&self) -> u64 {
        self.inner.len()
    }

    fn read(&mut self, offset: u64, into: &mut [u8], wait: &Wait) -> Result<(), ChannelError> {
        self.inner.read(offset, into, wait)?;
        into.fill(0xff);
        Ok(())
    }

    fn write(&mut self, _: u64, _: &[u8], wait: &Wait) -> Result<(), ChannelError> {
        not_cancelled(wait)
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

/// A flash reader with a cache that nothing empties: what was read once is read for ever, written bytes excepted.
pub struct StaleStorage {
    inner: Box<dyn Storage>,
    cache: Option<Vec<u8>>,
}

impl StaleStorage {
    /// Puts a cache in front of this reader.
    pub fn new(inner: Box<dyn Storage>) -> Self {
        Self { inner, cache: None }
    }
}

impl Storage for StaleStorage {
    fn len(&self) -> u64 {
        self.inner.len()
    }

    fn read(&mut self, offset: u64, into: &mut [u8], wait: &Wait) -> Result<(), ChannelError> {
        // Reads the medium as an honest reader would, so that refusals and errors stay.
        self.inner.read(offset, into, wait)?;
        if self.cache.is_none() {
            let mut whole = vec![0; usize::try_from(self.inner.len()).unwrap_or(0)];
            self.inner.read(0, &mut whole, wait)?;
            self.cache = Some(whole);
        }
        let cached = usize::try_from(offset).ok().and_then(|o| self.cache.as_ref()?.get(o..)?.get(..into.len()));
        if let Some(cached) = cached {
            into.copy_from_slice(cached);
        }
        Ok(())
    }

    fn write(&mut self, offset: u64, bytes: &[u8], wait: &Wait) -> Result<(), ChannelError> {
        self.inner.write(offset, bytes, wait)?;
        let cached = usize::try_from(offset).ok().and_then(|o| self.cache.as_mut()?.get_mut(o..)?.get_mut(..bytes.len()));
        if let Some(cached) = cached {
            cached.copy_from_slice(bytes);
        }
        Ok(())
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

/// An update path whose answers get lost, and its questions too. Each question takes until its deadline.
pub struct DeafUpdate {
    inner: Box<dyn UpdatePath>,
    clock: Box<dyn Clock>,
}

impl DeafUpdate {
    /// Cuts the line of this update path.
    pub fn new(inner: Box<dyn UpdatePath>, clock: Box<dyn Clock>) -> Self {
        Self { inner, clock }
    }

    fn silent<T>(&mut self, wait: &Wait) -> Result<Answer<T>, ChannelError> {
        self.clock.sleep_until(wait)?;
        Ok(Answer::Silent)
    }
}

impl UpdatePath for DeafUpdate {
    fn state(&mut self, wait: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError> {
        self.silent(wait)
    }
    fn chunk(&mut self, _: &Chunk<'_>, wait: &Wait) -> Result<Answer<u32>, ChannelError> {
        self.silent(wait)
    }
    fn intake(&self) -> Intake {
        self.inner.intake()
    }
    fn longest(&self, bytes: usize) -> Duration {
        self.inner.longest(bytes)
    }
    fn mark(&mut self, _: Option<&[u8]>, _: bool, wait: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError> {
        self.silent(wait)
    }
    fn erase(&mut self, wait: &Wait) -> Result<Answer<()>, ChannelError> {
        self.silent(wait)
    }
    fn restart(&mut self, wait: &Wait) -> Result<Answer<()>, ChannelError> {
        self.silent(wait)
    }
    fn smp(&mut self, _: &SmpRequest, wait: &Wait) -> Result<Answer<SmpReply>, ChannelError> {
        self.silent::<BTreeMap<String, String>>(wait)
    }
    fn remarks(&mut self) -> Vec<(Moment, String)> {
        self.inner.remarks()
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
}
