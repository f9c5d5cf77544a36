//! Verdicts of cases, groups and the whole, fates of units and checks, and the two axes an assessment is made along.

use serde::{Deserialize, Serialize};
use std::fmt;

/// PASS, FAIL or INCONCLUSIVE. The order is the precedence of TS 103 701: `Pass < Inconclusive < Fail`, so the worst of several is their maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// All criteria hold.
    Pass,
    /// No meaningful answer came out.
    Inconclusive,
    /// A criterion does not hold.
    Fail,
}

impl Verdict {
    /// The verdict of several parts: FAIL > INCONCLUSIVE > PASS. Nothing at all is INCONCLUSIVE: an empty list proves nothing.
    pub fn of(parts: impl IntoIterator<Item = Verdict>) -> Verdict {
        parts.into_iter().max().unwrap_or(Verdict::Inconclusive)
    }

    /// The spelling of reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Pass => "PASS",
            Verdict::Inconclusive => "INCONCLUSIVE",
            Verdict::Fail => "FAIL",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What became of a unit or a check in a run. Only `Run` leads to outcomes; everything else is a plan state without a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "kebab-case")]
pub enum Fate {
    /// It ran; its observations say the rest.
    Run,
    /// The ICS says N/A.
    NotApplicable {
        /// The condition that does not hold, in words.
        condition: String,
    },
    /// The ICS says N.
    NotClaimed {
        /// The supplier's reason.
        reason: String,
    },
    /// The run was limited to other checks.
    NotSelected,
    /// Due, but the rig lacks what it needs.
    CannotRun {
        /// Channels, permissions or bindings that are missing, in words.
        missing: String,
    },
    /// Due, but it did not come to it.
    NotRun {
        /// Why.
        why: String,
    },
    /// Accepted external evidence stands in its place.
    CoveredByEvidence {
        /// The document's name.
        document: String,
        /// Its digest.
        sha256: String,
    },
}

impl Fate {
    /// Whether the thing was due in this run, so that an absent answer counts as INCONCLUSIVE.
    pub fn was_due(&self) -> bool {
        matches!(self, Fate::Run | Fate::CannotRun { .. } | Fate::NotRun { .. })
    }

    /// The word at the head of a report line.
    pub fn as_str(&self) -> &'static str {
        match self {
            Fate::Run => "RUN",
            Fate::NotApplicable { .. } => "NOT-APPLICABLE",
            Fate::NotClaimed { .. } => "NOT-CLAIMED",
            Fate::NotSelected => "NOT-SELECTED",
            Fate::CannotRun { .. } => "CANNOT-RUN",
            Fate::NotRun { .. } => "NOT-RUN",
            Fate::CoveredByEvidence { .. } => "COVERED-BY-EVIDENCE",
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self {
            Fate::Run | Fate::NotSelected => return f.pad(self.as_str()),
            Fate::NotApplicable { condition } => condition,
            Fate::NotClaimed { reason } => reason,
            Fate::CannotRun { missing } => missing,
            Fate::NotRun { why } => why,
            Fate::CoveredByEvidence { document, .. } => document,
        };
        write!(f, "{}: {why}", self.as_str())
    }
}

/// Which status table validates the ICS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// TS 103 701 V1.1.1, Annex A.3: 28 conditions.
    #[default]
    Ts103701,
    /// EN 303 645 V2.1.1, Annex B: 13 conditions.
    EnAnnexB,
}

/// Who reads the result, which decides what a pending answer of a person means for the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// A laboratory: a pending answer is INCONCLUSIVE and exits so.
    Certify,
    /// A pipeline: a pending answer is shown and does not decide the exit code.
    #[default]
    Ci,
}

/// What a run claims to say about the whole device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// Everything that was due was selected: an overall verdict is given.
    Full,
    /// A selection: no overall verdict is given.
    None,
}
