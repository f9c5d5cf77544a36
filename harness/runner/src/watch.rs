//! What every console line is looked at for: boots, their causes, whether RAM was lost, ready, tripwires.

use crate::text::{escape, value};
use proofbench_channel::Moment;
use proofbench_model::bind::{DeviceBind, Pattern};
use regex::bytes::{Regex, RegexSet};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Lines of one boot that are kept.
const LOG_LINES: usize = 500;

/// Compiled patterns of the dossier, each compiled once.
#[derive(Debug, Default)]
pub(crate) struct Patterns(BTreeMap<String, Rc<Regex>>);

impl Patterns {
    /// The compiled pattern, or what is wrong with it.
    pub fn get(&mut self, pattern: &Pattern) -> Result<Rc<Regex>, String> {
        if let Some(r) = self.0.get(&pattern.0) {
            return Ok(r.clone());
        }
        let compiled = Rc::new(compile(&pattern.0)?);
        self.0.insert(pattern.0.clone(), compiled.clone());
        Ok(compiled)
    }
}

fn compile(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|e| format!("pattern `{pattern}`: {e}"))
}

/// The group `value`, else the whole match.
pub(crate) fn value_of(regex: &Regex, line: &[u8]) -> Option<String> {
    let found = regex.captures(line)?;
    found.name("value").map(|m| value(m.as_bytes()))
}

/// One boot as the console told it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BootSeen {
    /// Boot lines seen since the last stimulus.
    pub boots: u32,
    /// Unique id of the last boot; empty if none was seen.
    pub id: String,
    /// Its reset cause, in the device's word.
    pub cause: String,
    /// The device's word on its RAM canary.
    pub ram: Option<String>,
    /// Reset cause of the first boot since the last stimulus, which is the one that the stimulus brought about.
    pub first_cause: String,
    /// The device's word on its RAM canary in that boot.
    pub first_ram: Option<String>,
    /// When the last boot line came.
    pub booted_at: Option<Moment>,
    /// When the ready line came.
    pub ready_at: Option<Moment>,
    /// A tripwire line, escaped.
    pub tripwire: Option<String>,
    /// Lines since the last boot line, it included, escaped; the first 500.
    pub log: Vec<String>,
}

/// Follows the console.
pub(crate) struct Watch {
    set: RegexSet,
    boot_id: Regex,
    cause: Regex,
    ready: Regex,
    ram: Option<Regex>,
    trips: usize,
    pub seen: BootSeen,
    /// A tripwire line that was thrown away before any wait saw it, escaped.
    pub missed_trip: Option<String>,
    /// Boot lines since the bench was opened: a session that began before the last one is gone.
    pub total_boots: u64,
}

const BOOT: usize = 0;
const CAUSE: usize = 1;
const READY: usize = 2;
const RAM: usize = 3;

impl Watch {
    pub fn new(bind: &DeviceBind) -> Result<Self, String> {
        let mut all = vec![&bind.boot_id.0, &bind.reset_cause.0, &bind.ready.0];
        // Without a RAM line the boot pattern stands in its place, so that the indices of the set stay.
        all.push(bind.ram.as_ref().map_or(&bind.boot_id.0, |r| &r.pattern.0));
        all.extend(bind.tripwires.iter().map(|p| &p.0));
        for p in &all {
            compile(p)?;
        }
        Ok(Self {
            trips: all.len() - (RAM + 1),
            set: RegexSet::new(&all).map_err(|e| e.to_string())?,
            boot_id: compile(&bind.boot_id.0)?,
            cause: compile(&bind.reset_cause.0)?,
            ready: compile(&bind.ready.0)?,
            ram: bind.ram.as_ref().map(|r| compile(&r.pattern.0)).transpose()?,
            seen: BootSeen::default(),
            missed_trip: None,
            total_boots: 0,
        })
    }

    /// Forgets what was seen: a new stimulus.
    pub fn mark(&mut self) {
        self.seen = BootSeen::default();
        self.missed_trip = None;
    }

    /// Whether a line without an end is what the device says when it is ready: a prompt.
    pub fn is_ready_prompt(&self, partial: &[u8]) -> bool {
        !partial.is_empty() && self.ready.is_match(partial)
    }

    /// Whether a line, whole or not yet, is one of the device's tripwires.
    pub fn is_trip(&self, line: &[u8]) -> bool {
        self.trips > 0 && self.set.matches(line).iter().any(|n| n > RAM)
    }

    /// Looks at one whole line; says whether it is a tripwire.
    pub fn look(&mut self, line: &[u8], at: Moment) -> bool {
        let hits = self.set.matches(line);
        if hits.matched(BOOT) {
            self.total_boots += 1;
            self.seen.boots += 1;
            self.seen.booted_at = Some(at);
            self.seen.ready_at = None;
            self.seen.ram = None;
            self.seen.cause.clear();
            self.seen.log.clear();
            self.seen.id = value_of(&self.boot_id, line).unwrap_or_default();
        }
        if self.seen.booted_at.is_some() && self.seen.log.len() < LOG_LINES {
            self.seen.log.push(escape(line));
        }
        let first = self.seen.boots == 1;
        if hits.matched(CAUSE) {
            self.seen.cause = value_of(&self.cause, line).unwrap_or_default();
            if first {
                self.seen.first_cause.clone_from(&self.seen.cause);
            }
        }
        if let Some(ram) = &self.ram
            && hits.matched(RAM)
        {
            self.seen.ram = value_of(ram, line);
            if first {
                self.seen.first_ram.clone_from(&self.seen.ram);
            }
        }
        if hits.matched(READY) {
            self.seen.ready_at = Some(at);
        }
        let trip = self.trips > 0 && hits.iter().any(|n| n > RAM);
        if trip {
            self.seen.tripwire.get_or_insert_with(|| escape(line));
        }
        trip
    }
}
