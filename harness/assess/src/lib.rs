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
use proofbench_model::{CaseId, Claim, Method, Profile, ProvisionId, Scheme, UnitId, Verdict};

/// How to assess.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Which status table validates the ICS.
    pub method: Method,
    /// Who reads the result.
    pub profile: Profile,
    /// Of what the overall verdict speaks; of everything if none.
    pub scheme: Option<&'static Scheme>,
}

impl Options {
    /// Of a profile, with the method's own status table.
    pub fn of(scheme: &'static Scheme) -> Self {
        Self { profile: scheme.reader(), scheme: Some(scheme), ..Self::default() }
    }

    /// Whether the overall verdict and the exit code are about a provision.
    pub fn speaks_of(&self, provision: &ProvisionId) -> bool {
        self.scheme.is_none_or(|s| s.speaks_of(provision))
    }
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
        let speaks_of = |p: &ProvisionId| self.options.speaks_of(p);
        let groups = || self.groups.iter().filter(|g| speaks_of(&g.provision));
        if !ics_stands(&self.options, &self.ics_findings, &self.contradictions) || groups().any(|g| failed(g.verdict)) || failed(self.overall) {
            return ExitClass::Failed;
        }
        let units = || self.units.iter().filter(|u| speaks_of(&u.unit.provision()));
        let unresolved = units().any(|u| u.is_unresolved() && !u.is_only_pending());
        let faults = unresolved || self.ixit_findings.iter().any(|f| speaks_of(&f.provision)) || !self.strays.is_empty();
        let pending = self.options.profile == Profile::Certify && groups().any(|g| g.verdict == Some(Verdict::Inconclusive));
        if faults || pending { ExitClass::Inconclusive } else { ExitClass::Clean }
    }
}

/// Whether the ICS stands as far as the options speak of it. An observation that falsifies the supplier's word on a condition always counts.
fn ics_stands(options: &Options, findings: &[IcsFinding], contradictions: &[Contradiction]) -> bool {
    let invalid = findings.iter().any(|f| options.speaks_of(&f.provision));
    !invalid && !contradictions.iter().any(|c| c.provision.as_ref().is_none_or(|p| options.speaks_of(p)))
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
    let skipped = units.iter().any(|u| u.state == UnitState::NotSelected && options.speaks_of(&u.unit.provision()));
    let silent = options.scheme.is_some_and(|s| s.no_verdict.is_some());
    let claim = if skipped || silent { Claim::None } else { records.claim };
    let overall = (claim == Claim::Full).then(|| {
        if !ics_stands(options, &ics_findings, &contradictions) {
            return Verdict::Fail;
        }
        Verdict::of(groups.iter().filter(|g| options.speaks_of(&g.provision)).filter_map(|g| g.verdict))
    });
    let coverage = Coverage::of(catalogue, &units);
    let strays = records.strays(catalogue);
    Assessment { options: *options, units, cases, groups, overall, claim, ics_findings, contradictions, ixit_findings, strays, coverage }
}
