//! The journal: one JSON object per line, each naming the digest of the line before it.
//!
//! The runner writes it, everybody else only reads it. All functions here are pure: lines in, records out.

use crate::ids::{CheckId, ProvisionId, RowId, UnitId};
use crate::observation::{EvidenceId, Observation};
use crate::verdict::{Claim, Fate, Profile};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The `prev` of the first line: there is no line before it.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The first event of a journal: everything that went into the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Header {
    /// The run's id.
    pub run: String,
    /// Wall-clock start, RFC 3339.
    pub started: String,
    /// Seed of all chance in the run.
    pub seed: u64,
    /// SHA-256 by name: rig file, dossier files, images, catalogue, harness binary.
    pub digests: BTreeMap<String, String>,
    /// Versions by name: harness, drivers, tools.
    pub versions: BTreeMap<String, String>,
    /// Channels of the rig, by name, each with its driver.
    pub channels: BTreeMap<String, String>,
    /// Permissions that the rig grants.
    #[serde(default)]
    pub permissions: Vec<String>,
    /// Device under test: name, model, serial number, firmware.
    #[serde(default)]
    pub dut: BTreeMap<String, String>,
    /// Chip family by IXIT row of a debug port, where the dossier names one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub chip_families: BTreeMap<String, String>,
    /// Who reads the result.
    pub profile: Profile,
    /// Name of the profile that the run was started with; the plain one of its reader if none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scheme: String,
    /// What the run set out to claim; the last event says what it may claim.
    pub claim: Option<Claim>,
}

/// A check run that was due: it must report for this unit and row, or the instance is UNRESOLVED.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Due {
    /// The check.
    pub check: CheckId,
    /// The unit it owes an answer for.
    pub unit: UnitId,
    /// The row it owes an answer for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<RowId>,
}

/// Something that was seen and that bears on a condition of the ICS, whatever unit it was seen in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indication {
    /// The condition's number in the status tables (1 to 13 mean the same in both).
    pub condition: u8,
    /// The check that saw it.
    pub check: CheckId,
    /// What was seen, in words. Device text in it is already escaped.
    pub observed: String,
    /// Evidence by digest; an indication without any is ignored.
    pub evidence: Vec<EvidenceId>,
}

/// What became of one unit or one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// A check.
    Check(CheckId),
    /// A unit.
    Unit(UnitId),
}

/// An entry made after the fact. It never changes a record: it stands beside it, with author and reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "amendment", rename_all = "kebab-case")]
pub enum Amendment {
    /// One attempt of a check does not count, for a reason.
    Annul(Annulment),
    /// A person judged a unit.
    Answer(Answer),
    /// External evidence is accepted in place of a provision's cases.
    External(ExternalEvidence),
}

/// See [`Amendment::Annul`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annulment {
    /// The check whose attempt is annulled.
    pub check: CheckId,
    /// The attempt's number.
    pub attempt: u32,
    /// Only this unit; all units of the attempt if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitId>,
    /// Only this row; all rows if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<RowId>,
    /// Why. An annulment without a reason has no effect.
    pub reason: String,
    /// Who. An annulment without an author has no effect.
    pub author: String,
    /// When, RFC 3339.
    #[serde(default)]
    pub time: String,
}

/// See [`Amendment::Answer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The unit that was judged.
    pub unit: UnitId,
    /// The row it was judged for; the unit as a whole if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<RowId>,
    /// Whether it holds.
    pub holds: bool,
    /// Who judged. An answer without an author has no effect.
    pub author: String,
    /// When, RFC 3339.
    #[serde(default)]
    pub time: String,
    /// On what grounds. An answer without reasoning has no effect.
    pub reasoning: String,
}

/// See [`Amendment::External`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalEvidence {
    /// The provision whose cases it replaces.
    pub provision: ProvisionId,
    /// The document's name.
    pub document: String,
    /// Its digest.
    pub sha256: String,
    /// Who accepted it. Evidence that nobody accepted has no effect.
    pub accepted_by: String,
    /// Its scope fits the objective of the group.
    pub scope_fits: bool,
    /// It covers the purpose of each case in the group.
    pub covers_purposes: bool,
    /// Its depth suffices.
    pub depth_suffices: bool,
}

impl ExternalEvidence {
    /// Whether it may replace the cases: somebody accepted a named document on all three grounds.
    pub fn is_accepted(&self) -> bool {
        let named = !self.accepted_by.trim().is_empty() && !self.document.trim().is_empty() && !self.sha256.trim().is_empty();
        named && self.scope_fits && self.covers_purposes && self.depth_suffices
    }
}

/// What a line of the journal tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// First line.
    Header(Header),
    /// What the run owes: written before the first check.
    Plan {
        /// Instances that checks must answer.
        due: Vec<Due>,
    },
    /// A check begins.
    CheckStarted {
        /// Which.
        check: CheckId,
        /// 1 for the first attempt.
        #[serde(default = "one")]
        attempt: u32,
    },
    /// One exchange with the device or the bench. It is written before it is sent.
    Exchange {
        /// The channel: `console`, `power`, ...
        channel: String,
        /// What was sent or done, escaped.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sent: Option<String>,
        /// What came back, escaped.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        got: Option<String>,
        /// The whole of it, where it is long.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<EvidenceId>,
    },
    /// An observation.
    Observation(Observation),
    /// Something that bears on a condition of the ICS.
    Indication(Indication),
    /// A check ended.
    CheckEnded {
        /// Which.
        check: CheckId,
        /// What became of it.
        fate: Fate,
        /// Bench time it took.
        virtual_ms: u64,
    },
    /// What became of a unit or check that did not run.
    Fate {
        /// Which.
        subject: Subject,
        /// What became of it.
        fate: Fate,
    },
    /// Storage was brought back to its reference content.
    Restored {
        /// What was restored.
        what: String,
        /// The reference.
        evidence: EvidenceId,
    },
    /// A remark.
    Note {
        /// The remark, escaped.
        text: String,
    },
    /// An entry made after the fact.
    Amendment(Amendment),
    /// Last line of a run that came to its end.
    Ended {
        /// What it may claim.
        claim: Claim,
    },
}

fn one() -> u32 {
    1
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// 0 for the first line.
    pub seq: u64,
    /// Nanoseconds of bench time since the run began.
    pub at: u64,
    /// SHA-256 of the line before, without its line end.
    pub prev: String,
    /// Where it was recorded first, in a journal that was merged of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Origin>,
    /// What it tells.
    pub event: Event,
}

/// A record of another run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Origin {
    /// The run, as the merged folder calls it.
    pub run: String,
    /// The record's number there.
    pub seq: u64,
}

impl Record {
    /// The line, without its end.
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("a record has text keys only")
    }
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

/// Makes the lines of a chain one after the other.
#[derive(Debug, Clone)]
pub struct Chain {
    seq: u64,
    prev: String,
}

impl Default for Chain {
    fn default() -> Self {
        Self { seq: 0, prev: GENESIS.to_owned() }
    }
}

impl Chain {
    /// A chain that continues after `records`, for amendments.
    pub fn after(last_line: &str, last: &Record) -> Self {
        Self { seq: last.seq + 1, prev: sha256_hex(last_line.as_bytes()) }
    }

    /// The next record and its line, without its end.
    pub fn append(&mut self, at: u64, event: Event) -> (Record, String) {
        self.append_from(at, None, event)
    }

    /// The same for a record that was first made elsewhere.
    pub fn append_from(&mut self, at: u64, from: Option<Origin>, event: Event) -> (Record, String) {
        let record = Record { seq: self.seq, at, prev: self.prev.clone(), from, event };
        let line = record.line();
        self.seq += 1;
        self.prev = sha256_hex(line.as_bytes());
        (record, line)
    }

    /// Digest of the last line: what a manifest signs.
    pub fn head(&self) -> &str {
        &self.prev
    }
}

/// What is wrong with a journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadJournal {
    /// There is nothing in it.
    #[error("the journal is empty; its first line must be a header")]
    Empty,
    /// A line is no record.
    #[error("journal line {line}: no record: {why}")]
    NotARecord {
        /// 1 for the first.
        line: usize,
        /// The parser's words.
        why: String,
    },
    /// A line was changed, removed, added or moved.
    #[error("journal line {line}: the chain is broken: `prev` is {found}, the line before has {expected}")]
    Broken {
        /// 1 for the first.
        line: usize,
        /// What `prev` says.
        found: String,
        /// What it must say.
        expected: String,
    },
    /// Lines are missing or out of order.
    #[error("journal line {line}: sequence number {found}, expected {expected}")]
    Sequence {
        /// 1 for the first.
        line: usize,
        /// What stands there.
        found: u64,
        /// What must stand there.
        expected: u64,
    },
    /// A SATISFIED or VIOLATED without evidence.
    #[error("journal line {line}: {source}")]
    NoEvidence {
        /// 1 for the first.
        line: usize,
        /// Which.
        source: crate::NoEvidence,
    },
    /// The first line is no header.
    #[error("journal line 1: the first event must be a header")]
    NoHeader,
}

/// A journal that was read and whose chain holds.
#[derive(Debug, Clone)]
pub struct Journal {
    /// Its records.
    pub records: Vec<Record>,
    /// Whether the last line was cut off (the writer died in it); it is not among the records.
    pub torn: bool,
    /// Digest of the last whole line.
    pub head: String,
}

impl Journal {
    /// Reads a journal and checks its chain, its numbering, and that every SATISFIED and VIOLATED has evidence.
    ///
    /// A last line without line end that is no record is a torn write and is left out; anything else that does not fit is an error.
    pub fn read(text: &str) -> Result<Journal, BadJournal> {
        let mut records: Vec<Record> = Vec::new();
        let mut prev = GENESIS.to_owned();
        let mut torn = false;
        for (index, whole) in text.split_inclusive('\n').enumerate() {
            let line = index + 1;
            let body = whole.strip_suffix('\n');
            let record: Record = match (serde_json::from_str(body.unwrap_or(whole)), body) {
                (Ok(record), _) => record,
                (Err(_), None) => {
                    torn = true;
                    break;
                }
                (Err(e), Some(_)) => return Err(BadJournal::NotARecord { line, why: e.to_string() }),
            };
            if record.prev != prev {
                return Err(BadJournal::Broken { line, found: record.prev, expected: prev });
            }
            if record.seq != index as u64 {
                return Err(BadJournal::Sequence { line, found: record.seq, expected: index as u64 });
            }
            if let Event::Observation(o) = &record.event
                && !o.is_founded()
            {
                let source = crate::NoEvidence { check: o.check.clone(), unit: o.unit.clone(), outcome: o.outcome };
                return Err(BadJournal::NoEvidence { line, source });
            }
            if index == 0 && !matches!(record.event, Event::Header(_)) {
                return Err(BadJournal::NoHeader);
            }
            prev = sha256_hex(body.unwrap_or(whole).as_bytes());
            records.push(record);
        }
        if records.is_empty() {
            return Err(BadJournal::Empty);
        }
        Ok(Journal { records, torn, head: prev })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        match &self.records[0].event {
            Event::Header(header) => header,
            _ => unreachable!("read() refuses a journal without header"),
        }
    }

    /// Whether the run came to its end.
    pub fn ended(&self) -> Option<Claim> {
        self.records.iter().rev().find_map(|r| match r.event {
            Event::Ended { claim } => Some(claim),
            _ => None,
        })
    }
}
