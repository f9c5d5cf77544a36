//! The exit codes, all in one place: the only mapping from results to what a shell sees.

use proofbench_model::verdict::Verdict;

/// What the process ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Nothing failed. Of `doctor`: nothing is wrong in what was done.
    Good = 0,
    /// A FAIL, or an invalid ICS. Of `doctor`, `power` and `reset`: the bench does not do what it is asked.
    Failed = 1,
    /// No FAIL, but something INCONCLUSIVE, or a fault of the harness. Of `doctor` and `power state`: something could not be told.
    Inconclusive = 2,
    /// Bad input, or nothing to run.
    BadInput = 3,
}

impl Exit {
    /// The exit code of a list of verdicts that count, and of the ICS check.
    pub fn of(ics_valid: bool, verdicts: impl IntoIterator<Item = Verdict>) -> Exit {
        if !ics_valid {
            return Exit::Failed;
        }
        match verdicts.into_iter().max() {
            Some(Verdict::Fail) => Exit::Failed,
            Some(Verdict::Inconclusive) => Exit::Inconclusive,
            Some(Verdict::Pass) => Exit::Good,
            None => Exit::BadInput,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(e: Exit) -> Self {
        std::process::ExitCode::from(e as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::all_good(true, &[Verdict::Pass, Verdict::Pass], Exit::Good)]
    #[case::a_fail(true, &[Verdict::Pass, Verdict::Fail, Verdict::Inconclusive], Exit::Failed)]
    #[case::inconclusive(true, &[Verdict::Inconclusive, Verdict::Pass], Exit::Inconclusive)]
    #[case::invalid_ics(false, &[Verdict::Pass], Exit::Failed)]
    #[case::nothing_ran_is_no_success(true, &[], Exit::BadInput)]
    fn codes_follow_the_documented_list(#[case] ics_valid: bool, #[case] verdicts: &[Verdict], #[case] expected: Exit) {
        assert_eq!(Exit::of(ics_valid, verdicts.iter().copied()), expected);
    }
}
