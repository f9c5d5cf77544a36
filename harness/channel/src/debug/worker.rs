//! What a parent and its probe worker say to each other: one line of JSON as job on standard input, JSON lines on standard output.

use super::{Survey, SurveyJob};
use crate::ErrorKind;
use serde::{Deserialize, Serialize};

/// What the worker is to do, once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerJob {
    /// Which probe, in the spelling of probe-rs: `VID:PID`, `VID:PID:SERIAL`.
    pub selector: String,
    /// Bench seconds a real second; other than 1 on boards that run faster than life.
    pub speed: f64,
    /// Real milliseconds after which the worker gives up by itself. The parent kills it soon after.
    pub deadline_ms: u64,
    /// What.
    pub act: WorkerAct,
}

/// See [`WorkerJob::act`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkerAct {
    /// Survey the port.
    Survey(SurveyJob),
    /// Hold nRST low for so many real milliseconds; 0 only releases it.
    PulseReset(u64),
    /// Hold nRST low for as long as standard input stays open, then release it. A parent that dies closes it too.
    HoldReset,
    /// Name the probes that are there.
    List,
}

/// One line of the worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkerSays {
    /// The first attempt has been made: a race can start.
    Polling,
    /// nRST is low.
    Holding,
    /// The survey, complete.
    Survey(Box<Survey>),
    /// Probes that are there: selector and name.
    Probes(Vec<(String, String)>),
    /// Done, nothing to tell.
    Done,
    /// The bench failed.
    Failed {
        /// What kind.
        kind: Failure,
        /// What happened, reads well after "failed to".
        text: String,
    },
}

/// Error kinds that cross the process boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// The probe is not there, or went away.
    Disconnected,
    /// The probe cannot do that.
    Unsupported,
    /// The deadline passed.
    Timeout,
    /// Anything else in the driver.
    Driver,
}

impl From<ErrorKind> for Failure {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Disconnected => Failure::Disconnected,
            ErrorKind::Unsupported => Failure::Unsupported,
            ErrorKind::Timeout | ErrorKind::Cancelled => Failure::Timeout,
            ErrorKind::Refused | ErrorKind::Protocol | ErrorKind::Driver => Failure::Driver,
        }
    }
}

impl From<Failure> for ErrorKind {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Disconnected => ErrorKind::Disconnected,
            Failure::Unsupported => ErrorKind::Unsupported,
            Failure::Timeout => ErrorKind::Timeout,
            Failure::Driver => ErrorKind::Driver,
        }
    }
}
