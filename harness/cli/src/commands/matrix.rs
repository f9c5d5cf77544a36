//! The proof's table: what each check said of each device on each bench, and whether it may say so.

use proofbench_model::Outcome;
use std::collections::BTreeMap;
use std::fmt::{self, Write};

/// What a device is to a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The device as its dossier declares it.
    Conforming,
    /// Conforming, but suspicious to look at.
    Twin(&'static str),
    /// A named non-conformity that the check claims to catch.
    Defect(&'static str),
}

impl Subject {
    /// The name by which the emulated rig builds it; none for the plain device.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Subject::Conforming => None,
            Subject::Twin(name) | Subject::Defect(name) => Some(name),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Conforming => f.pad("conforming"),
            Subject::Twin(name) => f.pad(&format!("twin {name}")),
            Subject::Defect(name) => f.pad(&format!("defect {name}")),
        }
    }
}

/// What a check said, all its instances together: VIOLATED if any is, else UNRESOLVED if any is, else SATISFIED.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// SATISFIED.
    Satisfied,
    /// VIOLATED.
    Violated,
    /// UNRESOLVED.
    Unresolved,
}

impl Said {
    /// All instances together. No instance at all is UNRESOLVED: nothing was said.
    pub fn of(outcomes: impl IntoIterator<Item = Outcome>) -> Said {
        let mut said = None;
        for outcome in outcomes {
            said = Some(match (said, outcome) {
                (Some(Said::Violated), _) | (_, Outcome::Violated) => Said::Violated,
                (Some(Said::Unresolved), _) | (_, Outcome::Unresolved(_)) => Said::Unresolved,
                (_, Outcome::Satisfied) => Said::Satisfied,
            });
        }
        said.unwrap_or(Said::Unresolved)
    }

    fn word(self) -> &'static str {
        match self {
            Said::Satisfied => "satisfied",
            Said::Violated => "VIOLATED",
            Said::Unresolved => "unresolved",
        }
    }
}

/// One run of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// The check.
    pub check: &'static str,
    /// The device.
    pub subject: Subject,
    /// The bench: a fault's name, or none for a healthy one.
    pub fault: Option<&'static str>,
}

/// Why a cell may not say what it said; none if it may. `concerned`: the fault sits on a channel that the check says it needs.
pub fn objection(cell: Cell, concerned: bool, said: Said) -> Option<&'static str> {
    match (cell.subject, cell.fault, said) {
        (Subject::Conforming, None, Said::Satisfied) | (Subject::Twin(_), None, Said::Satisfied) | (Subject::Defect(_), None, Said::Violated) => None,
        (Subject::Conforming, None, _) => Some("the conforming device is not passed"),
        (Subject::Twin(_), None, _) => Some("a twin is not passed"),
        (Subject::Defect(_), None, _) => Some("the defect is not caught"),
        (Subject::Conforming | Subject::Twin(_), Some(_), Said::Violated) => Some("a bench fault became a FAIL"),
        (Subject::Conforming | Subject::Twin(_), Some(_), Said::Satisfied) if concerned => {
            Some("a bench fault on a channel of the check went unnoticed")
        }
        (Subject::Defect(_), Some(_), Said::Satisfied) => Some("a bench fault became a PASS"),
        (_, Some(_), _) => None,
    }
}

/// The whole table as text: a line per check and device, a column per bench. The order is that of the cells' names, so that a change shows as a changed line.
pub fn table(faults: &[&'static str], cells: &BTreeMap<Cell, Said>) -> String {
    let mut rows: BTreeMap<(&str, Subject), BTreeMap<Option<&str>, Said>> = BTreeMap::new();
    for (cell, said) in cells {
        rows.entry((cell.check, cell.subject)).or_default().insert(cell.fault, *said);
    }
    let mut out = format!("{:<34} {:<38} {:<11}", "check", "device", "healthy");
    for fault in faults {
        let _ = write!(out, " {fault:<19}");
    }
    out = format!("{}\n", out.trim_end());
    for ((check, subject), benches) in rows {
        let word = |fault: Option<&str>| benches.get(&fault).map_or("-", |s| s.word());
        let mut line = format!("{check:<34} {:<38} {:<11}", subject.to_string(), word(None));
        for fault in faults {
            let _ = write!(line, " {:<19}", word(Some(fault)));
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proofbench_model::Reason;
    use rstest::rstest;

    const CONFORMING: Subject = Subject::Conforming;
    const TWIN: Subject = Subject::Twin("slow-boot");
    const DEFECT: Subject = Subject::Defect("debug-open");

    #[rstest]
    #[case::good(CONFORMING, None, Said::Satisfied, true)]
    #[case::false_alarm(CONFORMING, None, Said::Violated, false)]
    #[case::useless(CONFORMING, None, Said::Unresolved, false)]
    #[case::good_twin(TWIN, None, Said::Satisfied, true)]
    #[case::false_alarm_on_twin(TWIN, None, Said::Violated, false)]
    #[case::caught(DEFECT, None, Said::Violated, true)]
    #[case::missed(DEFECT, None, Said::Satisfied, false)]
    #[case::undecided(DEFECT, None, Said::Unresolved, false)]
    #[case::fault_noticed(CONFORMING, Some("silent-probe"), Said::Unresolved, true)]
    #[case::fault_became_fail(CONFORMING, Some("silent-probe"), Said::Violated, false)]
    #[case::fault_became_pass(DEFECT, Some("silent-probe"), Said::Satisfied, false)]
    #[case::caught_in_spite_of_a_fault(DEFECT, Some("silent-probe"), Said::Violated, true)]
    #[case::fault_unnoticed(CONFORMING, Some("silent-probe"), Said::Satisfied, false)]
    fn a_cell_may_say_only_what_is_true(#[case] subject: Subject, #[case] fault: Option<&'static str>, #[case] said: Said, #[case] allowed: bool) {
        let cell = Cell { check: "debug-port/running", subject, fault };
        assert_eq!(objection(cell, true, said).is_none(), allowed);
    }

    #[test]
    fn a_fault_on_a_foreign_channel_may_leave_the_verdict_as_it_is() {
        let cell = Cell { check: "debug-port/running", subject: CONFORMING, fault: Some("deaf-update") };
        assert_eq!(objection(cell, false, Said::Satisfied), None);
    }

    #[test]
    fn the_worst_instance_speaks_for_the_check() {
        let unresolved = Outcome::Unresolved(Reason::RigFault);
        assert_eq!(Said::of([Outcome::Satisfied, unresolved]), Said::Unresolved);
        assert_eq!(Said::of([unresolved, Outcome::Violated, Outcome::Satisfied]), Said::Violated);
        assert_eq!(Said::of([Outcome::Satisfied]), Said::Satisfied);
        assert_eq!(Said::of([]), Said::Unresolved);
    }
}
