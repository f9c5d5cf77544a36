//! What a check saw: SATISFIED, VIOLATED or UNRESOLVED for one unit and one IXIT row, with its evidence.

use crate::ids::{CheckId, RowId, UnitId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a unit could not be resolved. Source: the level table of the assessment rules (2.2) plus the two rig kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// A row or binding that the unit needs is absent from the dossier.
    IxitMissing,
    /// Prose and binding disagree, or a binding allows two readings.
    IxitAmbiguous,
    /// The rig has no channel or permission that the check needs.
    RigCapabilityMissing,
    /// A channel of the rig failed or lied during the check.
    RigFault,
    /// A program that the check needs is not installed.
    ToolMissing,
    /// The device could not be brought to the state that the check starts from.
    PreconditionUnmet,
    /// The device did not answer where an answer was needed to judge.
    DutUnreachable,
    /// The positive control failed: the stimulus had no way to show an effect.
    NoOpportunity,
    /// An operator did not answer in time.
    OperatorTimeout,
    /// A person's answer is still due.
    HumanPending,
    /// The harness itself failed.
    HarnessFault,
    /// Stopped to protect device, rig or person.
    AbortedSafety,
    /// The check ran out of its budget before it could decide.
    BudgetExceeded,
}

impl Reason {
    /// Every reason, in report order.
    pub const ALL: [Reason; 13] = [
        Reason::IxitMissing,
        Reason::IxitAmbiguous,
        Reason::RigCapabilityMissing,
        Reason::RigFault,
        Reason::ToolMissing,
        Reason::PreconditionUnmet,
        Reason::DutUnreachable,
        Reason::NoOpportunity,
        Reason::OperatorTimeout,
        Reason::HumanPending,
        Reason::HarnessFault,
        Reason::AbortedSafety,
        Reason::BudgetExceeded,
    ];

    /// The reason in the spelling of reports: `ixit-missing`.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::IxitMissing => "ixit-missing",
            Reason::IxitAmbiguous => "ixit-ambiguous",
            Reason::RigCapabilityMissing => "rig-capability-missing",
            Reason::RigFault => "rig-fault",
            Reason::ToolMissing => "tool-missing",
            Reason::PreconditionUnmet => "precondition-unmet",
            Reason::DutUnreachable => "dut-unreachable",
            Reason::NoOpportunity => "no-opportunity",
            Reason::OperatorTimeout => "operator-timeout",
            Reason::HumanPending => "human-pending",
            Reason::HarnessFault => "harness-fault",
            Reason::AbortedSafety => "aborted-safety",
            Reason::BudgetExceeded => "budget-exceeded",
        }
    }

    /// Who has to act before the unit can be resolved.
    pub fn who_must_act(self) -> &'static str {
        match self {
            Reason::IxitMissing | Reason::IxitAmbiguous => "supplier",
            Reason::RigCapabilityMissing | Reason::RigFault | Reason::ToolMissing | Reason::HarnessFault => "laboratory",
            Reason::AbortedSafety | Reason::BudgetExceeded => "laboratory",
            Reason::PreconditionUnmet | Reason::DutUnreachable | Reason::NoOpportunity => "device",
            Reason::OperatorTimeout | Reason::HumanPending => "operator",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The three outcomes of a check run for one unit and one IXIT row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Outcome {
    /// Stimulus, fresh answer, identity and rig health all held, and the device did as declared.
    Satisfied,
    /// The device did the contrary, and the violation's own control held.
    Violated,
    /// No meaningful answer.
    Unresolved(Reason),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Satisfied => f.pad("SATISFIED"),
            Outcome::Violated => f.pad("VIOLATED"),
            Outcome::Unresolved(r) => write!(f, "UNRESOLVED({r})"),
        }
    }
}

/// SHA-256 of a piece of evidence in lower-case hexadecimal; the file of the run folder carries the same name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EvidenceId(pub String);

/// One observation. SATISFIED and VIOLATED carry at least one piece of evidence: [`Observation::new`] refuses otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The check that saw it.
    pub check: CheckId,
    /// The unit it bears on.
    pub unit: UnitId,
    /// The IXIT row it bears on; none for units that have no row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<RowId>,
    /// What was seen.
    pub outcome: Outcome,
    /// What the declaration promises, in words.
    pub expected: String,
    /// What the device did, in words. Device text in it is already escaped.
    pub observed: String,
    /// Evidence by digest.
    #[serde(default)]
    pub evidence: Vec<EvidenceId>,
    /// How hard the rig looked, where that is a number: "closure COMPLETE, 1158 images, ...".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strength: Option<String>,
    /// What `proofbench replay RUN '...'` takes to repeat exactly this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<String>,
    /// 1 for the first attempt.
    #[serde(default = "one")]
    pub attempt: u32,
}

fn one() -> u32 {
    1
}

/// A SATISFIED or VIOLATED without evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{outcome} for unit {unit} by {check} has no evidence")]
pub struct NoEvidence {
    /// The check.
    pub check: CheckId,
    /// The unit.
    pub unit: UnitId,
    /// The outcome that was claimed.
    pub outcome: Outcome,
}

impl Observation {
    /// Whether the one rule that no verdict may break holds: no evidence, no SATISFIED and no VIOLATED.
    pub fn is_founded(&self) -> bool {
        !self.evidence.is_empty() || matches!(self.outcome, Outcome::Unresolved(_))
    }

    /// The observation, if it [is founded](Self::is_founded).
    pub fn checked(self) -> Result<Self, NoEvidence> {
        if !self.is_founded() {
            return Err(NoEvidence { check: self.check, unit: self.unit, outcome: self.outcome });
        }
        Ok(self)
    }
}
