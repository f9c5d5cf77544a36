//! From catalogue, dossier and records to verdicts. Pure: the same inputs give the same assessment, and the order of the records does not matter.
//!
//! The levels are `check run -> instance (unit x IXIT row) -> unit -> case -> group -> overall`. TS 103 701 defines the last three; the first three are
//! ours, and so are the rules where the specification is silent. Each rule stands where it is carried out:
//! instances in [`instance`], units, cases and groups in [`rollup`], validity of the ICS in [`ics`], completeness of the IXIT in [`ixit`].

pub mod coverage;
pub mod ics;
pub mod instance;
pub mod ixit;
pub mod lint;
pub mod records;
pub mod rollup;

pub use coverage::{Action, Coverage};
pub use ics::{Contradiction, IcsFinding, IcsProblem};
pub use instance::{Instance, Source};
pub use ixit::IxitFinding;
pub use records::Records;
pub use rollup::{CaseResult, GroupResult, UnitResult, UnitState};

use proofbench_model::catalogue::Catalogue;
use proofbench_model::dossier::Dossier;
use proofbench_model::{CaseId, Claim, Method, Profile, ProvisionId, UnitId, Verdict};

/// How to assess.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Which status table validates the ICS.
    pub method: Method,
    /// Who reads the result.
    pub profile: Profile,
}

/// The result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// How it was assessed.
    pub options: Options,
    /// All 226 units, in the order of the standard.
    pub units: Vec<UnitResult>,
    /// All 109 cases.
    pub cases: Vec<CaseResult>,
    /// All 68 groups.
    pub groups: Vec<GroupResult>,
    /// The overall verdict; none if the run claims nothing.
    pub overall: Option<Verdict>,
    /// What the run claims.
    pub claim: Claim,
    /// What is wrong with the ICS as it was handed in. Any invalid row makes the whole FAIL.
    pub ics_findings: Vec<IcsFinding>,
    /// Observations that falsify the ICS. Any makes the whole FAIL.
    pub contradictions: Vec<Contradiction>,
    /// What claimed provisions lack in the IXIT.
    pub ixit_findings: Vec<IxitFinding>,
    /// Records that fit nowhere: units that the catalogue does not have, annulments and answers without author or reason.
    pub strays: Vec<String>,
    /// Figures.
    pub coverage: Coverage,
}

impl Assessment {
    /// The result of a unit.
    pub fn unit(&self, id: &UnitId) -> Option<&UnitResult> {
        self.units.iter().find(|u| u.unit == *id)
    }

    /// The result of a case.
    pub fn case(&self, id: &CaseId) -> Option<&CaseResult> {
        self.cases.iter().find(|c| c.case == *id)
    }

    /// The result of a group.
    pub fn group(&self, id: &ProvisionId) -> Option<&GroupResult> {
        self.groups.iter().find(|g| g.provision == *id)
    }

    /// Whether the ICS stands: no invalid row and no observation that falsifies it.
    pub fn ics_is_valid(&self) -> bool {
        self.ics_findings.is_empty() && self.contradictions.is_empty()
    }

    /// How a process that prints this should exit.
    pub fn exit_class(&self) -> ExitClass {
        let failed = |v: Option<Verdict>| v == Some(Verdict::Fail);
        if !self.ics_is_valid() || self.groups.iter().any(|g| failed(g.verdict)) || failed(self.overall) {
            return ExitClass::Failed;
        }
        let unresolved = self.units.iter().any(|u| u.is_unresolved() && !u.is_only_pending());
        let faults = unresolved || !self.ixit_findings.is_empty() || !self.strays.is_empty();
        let pending = self.options.profile == Profile::Certify && self.groups.iter().any(|g| g.verdict == Some(Verdict::Inconclusive));
        if faults || pending { ExitClass::Inconclusive } else { ExitClass::Clean }
    }
}

/// How a process should exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExitClass {
    /// Nothing failed, nothing was inconclusive; for a pipeline, answers that a person still owes do not count.
    Clean,
    /// Nothing failed, but something due has no answer.
    Inconclusive,
    /// Something failed, or the ICS is invalid.
    Failed,
}

impl ExitClass {
    /// The process exit code.
    pub fn code(self) -> u8 {
        match self {
            ExitClass::Clean => 0,
            ExitClass::Failed => 1,
            ExitClass::Inconclusive => 2,
        }
    }
}

/// Assesses.
pub fn assess(catalogue: &Catalogue, dossier: &Dossier, records: &Records, options: &Options) -> Assessment {
    let ics_findings = ics::validate(catalogue, dossier, options.method);
    let contradictions = ics::contradictions(catalogue, dossier, records, options.method);
    let ixit_findings = ixit::completeness(catalogue, dossier);
    let units = rollup::units(catalogue, dossier, records);
    let cases = rollup::cases(catalogue, dossier, &units, &ixit_findings);
    let groups = rollup::groups(catalogue, dossier, records, &units, &cases);
    let skipped = units.iter().any(|u| u.state == UnitState::NotSelected);
    let claim = if skipped { Claim::None } else { records.claim };
    let overall = (claim == Claim::Full).then(|| {
        if !ics_findings.is_empty() || !contradictions.is_empty() {
            return Verdict::Fail;
        }
        Verdict::of(groups.iter().filter_map(|g| g.verdict))
    });
    let coverage = Coverage::of(catalogue, &units);
    let strays = records.strays(catalogue);
    Assessment { options: *options, units, cases, groups, overall, claim, ics_findings, contradictions, ixit_findings, strays, coverage }
}
