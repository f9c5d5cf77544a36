//! What the run was made with: channels and their drivers, what the rig permits, and digests of everything that went in.

use super::conclusion::Named;
use super::words::{List, NAME, said};
use crate::run::Run;
use proofbench_model::journal::Event;
use serde::Serialize;
use std::collections::BTreeMap;

/// Lines of one table.
const LINES: usize = 300;

/// The section.
#[derive(Debug, Serialize)]
pub struct Rig {
    channels: List<Named>,
    permissions: List<String>,
    digests: List<Named>,
    seed: String,
    journal_head: String,
    records: usize,
    exchanges: usize,
    evidence: usize,
}

/// Of a run.
pub fn of(run: &Run<'_>) -> Rig {
    let header = run.journal.header();
    let named = |all: &BTreeMap<String, String>| {
        List::first(all, LINES, "journal.jsonl", |(name, value)| Named { name: said(name, NAME), value: said(value, NAME) })
    };
    let mut evidence = std::collections::BTreeSet::new();
    let mut exchanges = 0;
    for record in &run.journal.records {
        match &record.event {
            Event::Exchange { evidence: id, .. } => {
                exchanges += 1;
                evidence.extend(id);
            }
            Event::Observation(o) => evidence.extend(&o.evidence),
            _ => {}
        }
    }
    Rig {
        channels: named(&header.channels),
        permissions: List::first(&header.permissions, LINES, "journal.jsonl", |p| said(p, NAME)),
        digests: named(&header.digests),
        seed: header.seed.to_string(),
        journal_head: run.journal.head.clone(),
        records: run.journal.records.len(),
        exchanges,
        evidence: evidence.len(),
    }
}
