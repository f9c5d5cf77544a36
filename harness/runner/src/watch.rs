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

/// The prompts of the dossier, to be found in what stands before a boot line: somebody may have typed behind them.
fn prompts(bind: &DeviceBind) -> Result<Vec<Regex>, String> {
    let Some(login) = &bind.login else { return Ok(Vec::new()) };
    let open = |p: &Pattern| compile(p.0.strip_suffix('$').unwrap_or(&p.0));
    [&login.user_prompt, &login.secret_prompt, &login.shell_prompt].into_iter().map(open).collect()
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
    /// The boot line wherever it stands in a line, for boots that cut a prompt short.
    boot_anywhere: Regex,
    /// What a prompt looks like at the end of what stands before it.
    prompts: Vec<Regex>,
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
const BOOT_ANYWHERE: usize = 4;

impl Watch {
    pub fn new(bind: &DeviceBind) -> Result<Self, String> {
        let mut all = vec![&bind.boot_id.0, &bind.reset_cause.0, &bind.ready.0];
        // Without a RAM line the boot pattern stands in its place, so that the indices of the set stay.
        all.push(bind.ram.as_ref().map_or(&bind.boot_id.0, |r| &r.pattern.0));
        let anywhere = bind.boot_id.0.strip_prefix('^').unwrap_or(&bind.boot_id.0).to_owned();
        all.push(&anywhere);
        all.extend(bind.tripwires.iter().map(|p| &p.0));
        for p in &all {
            compile(p)?;
        }
        Ok(Self {
            trips: all.len() - (BOOT_ANYWHERE + 1),
            set: RegexSet::new(&all).map_err(|e| e.to_string())?,
            boot_id: compile(&bind.boot_id.0)?,
            cause: compile(&bind.reset_cause.0)?,
            ready: compile(&bind.ready.0)?,
            boot_anywhere: compile(&anywhere)?,
            prompts: prompts(bind)?,
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
        self.trips > 0 && self.set.matches(line).iter().any(|n| n > BOOT_ANYWHERE)
    }

    /// Where a boot line begins that stands behind a prompt: a device that starts by itself while it waits for input ends no line first.
    fn after_prompt(&self, line: &[u8]) -> Option<usize> {
        let begin = self.boot_anywhere.find(line)?.start();
        (begin > 0 && self.prompts.iter().any(|p| p.is_match(&line[..begin]))).then_some(begin)
    }

    /// Looks at one whole line; says whether it is a tripwire.
    pub fn look(&mut self, line: &[u8], at: Moment) -> bool {
        let hits = self.set.matches(line);
        if hits.matched(BOOT_ANYWHERE)
            && !hits.matched(BOOT)
            && let Some(boot) = self.after_prompt(line)
        {
            return self.look(&line[boot..], at);
        }
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
        let trip = self.trips > 0 && hits.iter().any(|n| n > BOOT_ANYWHERE);
        if trip {
            self.seen.tripwire.get_or_insert_with(|| escape(line));
        }
        trip
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> Watch {
        let bind = toml::from_str(
            r#"
            ready = '^APP ready'
            ready-within-ms = 1000
            recovery-within-ms = 1000
            boot-id = '^ROM id=(?P<value>[0-9a-f]+)'
            reset-cause = '^ROM id=[0-9a-f]+ cause=(?P<value>[a-z-]+)'
            causes = { power-on = "power-on" }
            login = { user-prompt = 'login: $', secret-prompt = 'password: $', shell-prompt = 'dev> $', refused = '^no', logout = "exit", tries = 3, lockout-ms = 1 }
            "#,
        );
        Watch::new(&bind.unwrap()).unwrap()
    }

    #[test]
    fn a_boot_behind_a_prompt_counts_and_one_that_is_quoted_does_not() {
        let mut w = watch();
        w.look(b"dev> ROM id=1a cause=watchdog", Moment(1));
        assert_eq!((w.total_boots, w.seen.id.as_str(), w.seen.cause.as_str()), (1, "1a", "watchdog"));
        w.look(b"dev> staROM id=1b cause=watchdog", Moment(2));
        w.look(b"ROM id=1c cause=pin", Moment(3));
        assert_eq!(w.total_boots, 3);
        w.look(b"the log said: ROM id=1d cause=pin", Moment(4));
        assert_eq!(w.total_boots, 3);
    }
}
