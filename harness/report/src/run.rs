//! What every report is made from: the records of a run and their assessment.

use crate::junit::{Case, Suite};
use proofbench_assess::Assessment;
use proofbench_model::Claim;
use proofbench_model::journal::Journal;

/// A run and its assessment.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The records.
    pub journal: &'a Journal,
    /// Their assessment.
    pub assessment: &'a Assessment,
    /// Start of the run in seconds since the epoch, from the header's time stamp.
    pub started_unix: i64,
}

/// Name of the profile that it was assessed in.
pub(crate) fn profile_name(run: &Run<'_>) -> String {
    let options = &run.assessment.options;
    options.scheme.map_or_else(|| format!("{:?}", options.profile).to_lowercase(), |s| s.name.clone())
}

impl Run<'_> {
    /// Name of the device under test: its serial number, or what the header has.
    pub fn dut(&self) -> &str {
        let dut = &self.journal.header().dut;
        dut.get("serial").or_else(|| dut.get("name")).map_or("dut", String::as_str)
    }

    /// A class name: the device, a dot, the provision with its dots replaced, because readers split packages at dots.
    pub(crate) fn class(&self, part: &str) -> String {
        format!("{}.{}", self.dut().replace('.', "_"), part.replace('.', "_"))
    }

    /// `full` or `none`.
    pub fn claim(&self) -> &'static str {
        match self.assessment.claim {
            Claim::Full => "full",
            Claim::None => "none",
        }
    }

    pub(crate) fn suite(&self, name: String, cases: Vec<Case>) -> Suite {
        Suite { name, started_unix: self.started_unix, properties: self.properties(), cases }
    }

    fn properties(&self) -> Vec<(String, String)> {
        let header = self.journal.header();
        let mut out = vec![("claim".to_owned(), self.claim().to_owned()), ("run".to_owned(), header.run.clone())];
        out.push(("profile".to_owned(), profile_name(self)));
        if let Some(scheme) = crate::profile::special(self) {
            out.push(("profile.scope".to_owned(), scheme.scope.iter().map(|p| p.as_str()).collect::<Vec<_>>().join(" ")));
        }
        out.push(("seed".to_owned(), header.seed.to_string()));
        out.extend(header.dut.iter().map(|(k, v)| (format!("dut.{k}"), v.clone())));
        out.extend(header.versions.iter().map(|(k, v)| (format!("version.{k}"), v.clone())));
        out.extend(header.digests.iter().map(|(k, v)| (format!("{k}.sha256"), v.clone())));
        out
    }
}
