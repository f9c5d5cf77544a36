//! What a check is: a value in an explicit list.

use crate::bench::Bench;
use crate::trouble::Trouble;
use std::time::Duration;

pub use proofbench_rig::{Capability, Permission};

/// One check. Nothing in it depends on another check having run before.
pub struct Check {
    /// `suite/name`; stable, unique.
    pub id: &'static str,
    /// One line.
    pub title: &'static str,
    /// Units it bears on: `"5.9-2-2 b"`.
    pub units: &'static [&'static str],
    /// IXIT table whose rows it judges one by one; none if its units have no row. Rows are filtered by [`Check::row_wanted`], which is asked about the rows of its other units as well.
    pub table: Option<u8>,
    /// Which rows of `table` it can judge, from the row's binding as TOML; `None` for all that have a binding.
    pub row_wanted: Option<fn(&proofbench_model::dossier::Row) -> bool>,
    /// Channels without which it cannot run.
    pub needs: &'static [Capability],
    /// Grants without which it may not run.
    pub permissions: &'static [Permission],
    /// Defects of the emulated device that it must fail.
    pub defects: &'static [&'static str],
    /// Conforming variants that it must not fail.
    pub twins: &'static [&'static str],
    /// What shows, in the same run, that the check could have seen a violation.
    pub control: &'static str,
    /// Longest bench time.
    pub budget: Duration,
    /// The procedure. Observations are reported through the bench; an `Err` leaves every unit and row that has none yet UNRESOLVED with the trouble's reason.
    pub run: fn(&mut Bench) -> Result<(), Trouble>,
}

impl Check {
    /// The suite's name: the part of the id before the slash.
    pub fn suite(&self) -> &'static str {
        self.id.split('/').next().unwrap_or(self.id)
    }
}
