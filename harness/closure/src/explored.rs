//! What came of an exploration, and how far it went.

use crate::explore::Limits;
use crate::subject::{Finding, Oracle};
use crate::trace::Trace;

/// A finding, how often the same promise was broken, and the chain of cuts with the fewest torn operations, then the fewest cuts, that led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// What.
    pub finding: Finding,
    /// How to get there: the replay line.
    pub trace: Trace,
    /// Torn operations among its cuts.
    pub torn: u8,
    /// How many contents broke this promise.
    pub count: u64,
}

/// What the exploration did. Every number stands in the report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Distinct contents, each with its expectation.
    pub images: usize,
    /// The same by number of torn operations on the path.
    pub by_torn: Vec<usize>,
    /// Cuts walked.
    pub edges: u64,
    /// Power-ons made to walk them.
    pub boots: u64,
    /// Flash operations done in them.
    pub ops: u64,
    /// Most power-ons in a row on the path to a content.
    pub depth: u32,
    /// Recovered contents judged.
    pub judged: usize,
    /// Power-ons whose work ended with a legal "full".
    pub full: u64,
    /// Power-ons made twice, to see whether recovery is a function of the content.
    pub probes: u64,
    /// Those whose two ends differ.
    pub probe_mismatches: u64,
    /// Contents known but not booted; zero if the exploration is complete.
    pub waiting: usize,
    /// Highest number of torn operations up to which everything was booted; none if not even the clean cuts are complete.
    pub complete_to: Option<u8>,
}

/// What came of an exploration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explored {
    /// Name of the subject.
    pub subject: String,
    /// How far it went.
    pub limits: Limits,
    /// One for each broken promise and class.
    pub findings: Vec<Located>,
    /// The numbers.
    pub stats: Stats,
}

impl Explored {
    /// Whether every content within the limits was booted, and recovery proved to be a function of the content.
    pub fn is_complete(&self) -> bool {
        self.stats.waiting == 0 && self.stats.probe_mismatches == 0
    }

    /// The first finding of one promise.
    pub fn finding(&self, oracle: Oracle) -> Option<&Located> {
        self.findings.iter().find(|l| l.finding.oracle == oracle)
    }

    /// COMPLETE or CAPPED, and up to what.
    pub fn extent(&self) -> String {
        let number = self.limits.depth.map_or_else(|| "any number of clean cuts".to_owned(), |n| format!("up to {n} cuts in a row"));
        let kind = match (self.limits.tears.writes, self.limits.tears.erases) {
            (true, false) => " (writes only)",
            (false, true) => " (erases only)",
            _ => "",
        };
        let weak = if self.limits.tears.weak { " or weak" } else { "" };
        let to = |torn: u8| match (torn, self.limits.depth) {
            (0, None) => number.clone(),
            (0, Some(_)) => format!("{number}, all clean"),
            _ => format!("{number}, up to {torn} torn{weak}{kind}"),
        };
        let s = &self.stats;
        if s.probe_mismatches > 0 {
            return format!("VOID: {} of {} repeated power-ons ended differently", s.probe_mismatches, s.probes);
        }
        match (s.waiting, s.complete_to) {
            (0, _) => format!("COMPLETE for {}", to(self.limits.torn)),
            (n, Some(torn)) => format!("CAPPED at {} images ({n} more known), COMPLETE for {}", s.boots, to(torn)),
            (n, None) => format!("CAPPED at {} images ({n} more known)", s.boots),
        }
    }

    /// One line for the report.
    pub fn line(&self) -> String {
        let s = &self.stats;
        format!(
            "{}: {}: {} images {:?} by torn operations, {} cuts walked, {} power-ons, depth {}, {} judged, {} full, {} made twice",
            self.subject,
            self.extent(),
            s.images,
            s.by_torn,
            s.edges,
            s.boots,
            s.depth,
            s.judged,
            s.full,
            s.probes
        )
    }
}
