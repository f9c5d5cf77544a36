//! One survey of a debug port by hand: on a rig, or with a bare probe and no rig file at all.
//!
//! Nothing here unlocks or erases anything. The supply of a rig is left as it was found.

use crate::dossier::delivered_image;
use crate::open::Rig;
use proofbench_channel::debug::{Attach, DebugPort, Survey, SurveyJob};
use proofbench_channel::{Cancel, ChannelError, Clock, ErrorKind, PowerAsk, PowerSeen, Wait};
use proofbench_drivers::TimeBase;
use proofbench_drivers::debug::WorkerProbe;
use proofbench_model::bind::DebugBind;
use proofbench_model::dossier::Dossier;
use std::time::Duration;

/// How long a survey may take, beside the time that it polls: all access ports over JTAG by a slow probe.
const SURVEY: Duration = Duration::from_secs(240);
/// How long a switch may take.
const SWITCH: Duration = Duration::from_secs(30);

/// What a dossier says of the debug port, with the word that stands at the surveyed flash address if the delivered image runs.
#[derive(Debug, Clone)]
pub struct Declared {
    /// Id of the row.
    pub row: String,
    /// Its binding.
    pub bind: DebugBind,
    /// The known word; `None` if the delivered image is not at hand, or blank there.
    pub known: Option<u32>,
}

/// The first debug port that the dossier binds.
pub fn declared(dossier: &Dossier) -> Option<Declared> {
    let (row, bind) = dossier.ixit.rows(15).iter().find_map(|r| Some((r.id.row.clone(), r.intf()?.debug.clone()?)))?;
    let word = delivered_image(dossier).and_then(|file| std::fs::read(dossier.dir.join(file)).ok()).and_then(|image| {
        let at = usize::try_from(bind.flash_in_image).ok()?;
        image.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b))
    });
    Some(Declared { row, bind, known: word.filter(|w| *w != 0 && *w != u32::MAX) })
}

/// Selector and name of every probe that this machine has.
pub fn list(cancel: &Cancel) -> Result<Vec<(String, String)>, ChannelError> {
    let time = TimeBase::real();
    WorkerProbe::new("", None, time)?.list(&Wait::until(time.now() + SWITCH, cancel))
}

/// A survey with a probe and no rig. `ready` is called when a race has begun: from then on the device may be switched on.
pub fn survey(selector: &str, job: &SurveyJob, cancel: &Cancel, ready: impl FnOnce()) -> Result<Survey, ChannelError> {
    let time = TimeBase::real();
    let wait = Wait::until(time.now() + SURVEY + Duration::from_millis(job.poll_ms), cancel);
    let mut probe = WorkerProbe::new(selector, None, time)?;
    probe.begin(job, &wait)?;
    if job.attach == Attach::PowerOnRace {
        ready();
    }
    probe.finish(&wait)
}

impl Rig {
    /// A survey on this rig. The device is switched on for it, and given the time that its dossier declares to start; for a race it is switched off first,
    /// and on while the probe polls. `Unsupported` without `[debug]`, or for a race without `[power]`.
    pub fn survey(&mut self, job: &SurveyJob, cancel: &Cancel) -> Result<Survey, ChannelError> {
        let race = job.attach == Attach::PowerOnRace;
        let wait = |clock: &dyn Clock, time: Duration| Wait::until(clock.now() + time, cancel);
        let clock = &mut self.channels.clock;
        let Some(port) = &mut self.channels.debug else {
            return Err(ChannelError::new(ErrorKind::Unsupported, "survey a debug port: the rig has no [debug]"));
        };
        let Some(power) = &mut self.channels.power else {
            if race {
                return Err(ChannelError::new(ErrorKind::Unsupported, "survey a debug port from power-on: the rig has no [power]"));
            }
            return look(&mut **port, job, &wait(&**clock, SURVEY), || Ok(()));
        };
        let was_on = power.state(&wait(&**clock, SWITCH))? == PowerSeen::On;
        if race {
            power.set(PowerAsk::Off, &wait(&**clock, SWITCH))?;
            let off = wait(&**clock, power.off_min());
            clock.sleep_until(&off)?;
        } else if !was_on {
            power.set(PowerAsk::On, &wait(&**clock, SWITCH))?;
            let started = wait(&**clock, Duration::from_millis(self.dossier.device.bind.ready_within_ms));
            clock.sleep_until(&started)?;
        }
        let whole = wait(&**clock, SURVEY + Duration::from_millis(job.poll_ms));
        let surveyed = look(&mut **port, job, &whole, || if race { power.set(PowerAsk::On, &whole) } else { Ok(()) });
        let restored = if was_on { PowerAsk::On } else { PowerAsk::Off };
        // Not cancellable: a bench is left as it was found.
        let restored = power.set(restored, &Wait::until(clock.now() + SWITCH, &Cancel::new()));
        surveyed.and_then(|s| restored.map(|()| s))
    }
}

fn look(port: &mut dyn DebugPort, job: &SurveyJob, wait: &Wait, begun: impl FnOnce() -> Result<(), ChannelError>) -> Result<Survey, ChannelError> {
    port.begin(job, wait)?;
    let begun = begun();
    // Whatever became of the switch, the survey is ended: that detaches the probe.
    let survey = port.finish(wait);
    begun.and(survey)
}
