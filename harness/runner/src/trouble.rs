//! Why a check could not go on. None of these is a verdict on the device: each becomes UNRESOLVED with its reason.

use crate::check::{Capability, Permission};
use proofbench_channel::{ChannelError, ErrorKind};
use proofbench_model::Reason;

/// What stopped a check. The text reads well after "could not go on: ".
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// A channel of the bench failed.
    #[error("{0}")]
    Channel(#[from] ChannelError),
    /// The device did not answer where an answer was needed to judge.
    #[error("the device did not answer: {0}")]
    Unreachable(String),
    /// The device could not be brought to the state that the check starts from.
    #[error("precondition unmet: {0}")]
    Precondition(String),
    /// The positive control failed: the stimulus had no way to show an effect.
    #[error("no opportunity: {0}")]
    NoOpportunity(String),
    /// The dossier lacks a row or binding.
    #[error("the dossier does not say: {0}")]
    IxitMissing(String),
    /// The dossier can be read in two ways, or not at all.
    #[error("the dossier is not clear: {0}")]
    IxitAmbiguous(String),
    /// The rig lacks a channel.
    #[error("the rig has no {}", .0.as_str())]
    Capability(Capability),
    /// The rig does not grant an act.
    #[error("the rig does not grant {}", .0.as_str())]
    Permission(Permission),
    /// A program that the check needs is not installed.
    #[error("a program is missing: {0}")]
    Tool(String),
    /// A person's act or answer is still due.
    #[error("waits for a person: {0}")]
    Human(String),
    /// The harness itself failed.
    #[error("harness fault: {0}")]
    Harness(String),
    /// The check's bench time is used up.
    #[error("out of budget: {0}")]
    Budget(String),
    /// Stopped to protect device, rig or person.
    #[error("stopped for safety: {0}")]
    Safety(String),
    /// Somebody asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// A channel of the rig lied or does not do what it says.
    #[error("rig fault: {0}")]
    RigFault(String),
}

impl Trouble {
    /// The reason that the units still due get.
    pub fn reason(&self) -> Reason {
        match self {
            Trouble::Channel(e) => match e.kind {
                ErrorKind::Cancelled => Reason::AbortedSafety,
                ErrorKind::Unsupported => Reason::RigCapabilityMissing,
                ErrorKind::Timeout | ErrorKind::Disconnected | ErrorKind::Refused | ErrorKind::Protocol | ErrorKind::Driver => Reason::RigFault,
            },
            Trouble::Unreachable(_) => Reason::DutUnreachable,
            Trouble::Precondition(_) => Reason::PreconditionUnmet,
            Trouble::NoOpportunity(_) => Reason::NoOpportunity,
            Trouble::IxitMissing(_) => Reason::IxitMissing,
            Trouble::IxitAmbiguous(_) => Reason::IxitAmbiguous,
            Trouble::Capability(_) | Trouble::Permission(_) => Reason::RigCapabilityMissing,
            Trouble::Tool(_) => Reason::ToolMissing,
            Trouble::Human(_) => Reason::HumanPending,
            Trouble::Harness(_) => Reason::HarnessFault,
            Trouble::Budget(_) => Reason::BudgetExceeded,
            Trouble::Safety(_) | Trouble::Cancelled => Reason::AbortedSafety,
            Trouble::RigFault(_) => Reason::RigFault,
        }
    }

    /// The text with the causes beneath, for reports.
    pub fn explain(&self) -> String {
        match self {
            Trouble::Channel(e) => e.explain(),
            other => other.to_string(),
        }
    }

    /// Whether somebody asked to stop.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Trouble::Cancelled) || matches!(self, Trouble::Channel(e) if e.kind == ErrorKind::Cancelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(Trouble::Channel(ChannelError::new(ErrorKind::Timeout, "read the console")), Reason::RigFault)]
    #[case(Trouble::Channel(ChannelError::new(ErrorKind::Unsupported, "dip")), Reason::RigCapabilityMissing)]
    #[case(Trouble::Channel(ChannelError::new(ErrorKind::Cancelled, "read")), Reason::AbortedSafety)]
    #[case(Trouble::Unreachable("x".into()), Reason::DutUnreachable)]
    #[case(Trouble::Permission(Permission::MassErase), Reason::RigCapabilityMissing)]
    #[case(Trouble::Harness("x".into()), Reason::HarnessFault)]
    #[case(Trouble::Cancelled, Reason::AbortedSafety)]
    fn each_trouble_has_its_reason(#[case] trouble: Trouble, #[case] reason: Reason) {
        assert_eq!(trouble.reason(), reason);
    }

    #[test]
    fn causes_are_told() {
        let e = ChannelError::caused(ErrorKind::Driver, "open /dev/ttyX", std::io::Error::other("no such device"));
        assert_eq!(Trouble::from(e).explain(), "open /dev/ttyX: driver failed: no such device");
    }
}
