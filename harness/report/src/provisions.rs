//! `junit-provisions.xml`: always the same 68 test cases, so that a dropped test shows as a changed state and not as a missing row.

use crate::coverage::{self, Covered};
use crate::junit::{Case, Shown, Suite};
use crate::run::Run;
use crate::units::plan_state;
use proofbench_assess::{GroupResult, UnitResult};
use proofbench_model::catalogue::Catalogue;
use proofbench_model::{Outcome, Profile, UnitId, Verdict};
use std::collections::BTreeMap;

/// One suite with all provisions.
pub fn suites(run: &Run<'_>) -> Vec<Suite> {
    let covered = coverage::of(run);
    let cases = run.assessment.groups.iter().map(|g| provision_case(run, g, &covered)).collect();
    vec![run.suite("EN 303 645 provisions".to_owned(), cases)]
}

fn provision_case(run: &Run<'_>, group: &GroupResult, covered: &BTreeMap<UnitId, Covered>) -> Case {
    let units: Vec<&UnitResult> = run.assessment.units.iter().filter(|u| u.unit.provision() == group.provision).collect();
    let through = |u: &UnitResult| covered.get(&u.unit).map(|c| format!(" ({}: {})", c.word(), c.detail())).unwrap_or_default();
    let lines: String = units.iter().map(|u| format!("{} {}{}\n", u.unit, state(u), through(u))).collect();
    let shown = match group.verdict {
        Some(Verdict::Pass) => Shown::Passed,
        Some(Verdict::Fail) => {
            let violated: Vec<String> = units.iter().filter(|u| u.outcome() == Some(Outcome::Violated)).map(|u| u.unit.to_string()).collect();
            let message = if violated.is_empty() { "FAIL".to_owned() } else { format!("violated: {}", violated.join(", ")) };
            Shown::Failure("etsi.FAIL".to_owned(), message, lines.clone())
        }
        Some(Verdict::Inconclusive) => {
            let open: Vec<&&UnitResult> = units.iter().filter(|u| u.is_unresolved()).collect();
            let names: Vec<String> = open.iter().map(|u| u.unit.to_string()).collect();
            let only_pending = !open.is_empty() && open.iter().all(|u| u.is_only_pending());
            if only_pending && run.assessment.options.profile == Profile::Ci {
                Shown::Skipped(format!("PENDING-HUMAN: {}", names.join(", ")))
            } else {
                Shown::Error("etsi.INCONCLUSIVE".to_owned(), format!("unresolved: {}", names.join(", ")), lines.clone())
            }
        }
        None => Shown::Skipped(plan_state(&group.fate)),
    };
    let summary = Catalogue::load().provision(&group.provision).map(|p| p.summary.clone()).unwrap_or_default();
    Case {
        classname: run.class("provisions"),
        name: group.provision.to_string(),
        time_ms: 0,
        system_out: if matches!(shown, Shown::Passed) { lines } else { String::new() },
        shown,
        properties: vec![("requirements".to_owned(), group.provision.to_string()), ("summary".to_owned(), summary)],
    }
}

fn state(unit: &UnitResult) -> String {
    unit.outcome().map_or_else(|| format!("{:?}", unit.state), |o| o.to_string())
}
