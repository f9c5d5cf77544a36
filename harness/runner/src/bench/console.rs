//! Dialogue on the console: fresh bytes only, every wait bounded, tripwires end it.

use super::{ADAPTER, Bench, SLICE};
use crate::check::Capability;
use crate::text::{escape, value};
use crate::trouble::Trouble;
use proofbench_channel::{ConsoleRead, ErrorKind, Moment, Wait};
use proofbench_model::bind::Pattern;
use regex::bytes::Regex;
use std::rc::Rc;
use std::time::Duration;

/// A line without an end (a prompt) counts when nothing followed for so long.
pub(super) const SETTLE: Duration = Duration::from_millis(20);
/// As [`SETTLE`] for a pattern that takes a value: half a value is another value, and a busy machine may keep its second half back for a while.
const SETTLE_VALUE: Duration = Duration::from_secs(1);
/// Bytes on their way through an adapter are old after so much silence.
const DRAIN_SILENCE: Duration = Duration::from_millis(5);
/// A console that never stops talking is not drained any longer than this.
const DRAIN_MOST: Duration = Duration::from_millis(500);
/// Bytes of one stretch of talk that are kept.
const HEARD_MOST: usize = 4096;
/// How long to wait before a vanished port is looked at again.
const GONE: Duration = Duration::from_millis(20);

/// A line that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The line, escaped.
    pub line: String,
    /// Its group `value`, if the pattern has one.
    pub value: Option<String>,
    /// When it arrived.
    pub at: Moment,
    /// Fresh lines before it, escaped.
    pub before: Vec<String>,
}

impl Bench {
    /// Waits for a line, or a prompt, that matches; `None` at the deadline. Only bytes count that arrived after the last consumed match and the
    /// last [`Bench::drain`]. A match consumes everything up to it; a deadline consumes nothing. Values are never read from half a line.
    pub fn expect(&mut self, p: &Pattern, within: Duration) -> Result<Option<Found>, Trouble> {
        Ok(self.expect_any(&[p], within)?.map(|(_, found)| found))
    }

    /// [`Bench::expect`] for the first of several patterns; for one line, the earlier pattern wins.
    pub fn expect_any(&mut self, patterns: &[&Pattern], within: Duration) -> Result<Option<(usize, Found)>, Trouble> {
        let mut regexes = Vec::with_capacity(patterns.len());
        for p in patterns {
            regexes.push(self.patterns.get(p).map_err(Trouble::IxitAmbiguous)?);
        }
        self.expect_compiled(&regexes, within, None)
    }

    /// As above; a line that ends with `echo` (what was just sent) is passed over.
    pub(super) fn expect_compiled(&mut self, regexes: &[Rc<Regex>], within: Duration, echo: Option<&str>) -> Result<Option<(usize, Found)>, Trouble> {
        let end = self.now() + within;
        let mut looked = 0;
        let mut dropped = self.lines.dropped;
        let mut settled = false;
        if !self.trips_allowed
            && let Some(line) = self.watch.missed_trip.take()
        {
            return Err(Trouble::Unreachable(format!("tripwire: {line}")));
        }
        loop {
            // Lines that fell out at the front while nobody consumed them.
            looked -= usize::try_from(self.lines.dropped - dropped).unwrap_or(usize::MAX).min(looked);
            dropped = self.lines.dropped;
            while let Some(line) = self.lines.whole.get(looked) {
                if !is_echo(&line.bytes, echo)
                    && let Some(n) = regexes.iter().position(|r| r.is_match(&line.bytes))
                {
                    return Ok(Some((n, self.take_line(&regexes[n], looked))));
                }
                if line.trip && !self.trips_allowed {
                    let text = escape(&line.bytes);
                    self.lines.consume(looked + 1);
                    return Err(Trouble::Unreachable(format!("tripwire: {text}")));
                }
                looked += 1;
            }
            let partial = self.lines.partial();
            let hit = if partial.is_empty() || is_echo(partial, echo) { None } else { regexes.iter().position(|r| r.is_match(partial)) };
            // A boot loader's prompt has no end either.
            let trip = hit.is_none() && !self.trips_allowed && !partial.is_empty() && self.watch.is_trip(partial);
            match hit {
                Some(n) if settled => return Ok(Some((n, self.take_partial(&regexes[n])))),
                None if trip && settled => {
                    let text = escape(partial);
                    self.lines.clear();
                    return Err(Trouble::Unreachable(format!("tripwire: {text}")));
                }
                _ => {}
            }
            let waits = hit.is_some() || trip;
            let settle = if hit.is_some_and(|n| takes_value(&regexes[n])) { SETTLE_VALUE } else { SETTLE };
            let until = if waits { self.now() + settle } else { end.min(self.now() + SLICE) };
            if !waits && self.now() >= end {
                return Ok(None);
            }
            let got = self.fill_idle(if waits { until } else { end }, until)?;
            settled = waits && !got;
        }
    }

    fn take_line(&mut self, regex: &Regex, index: usize) -> Found {
        let mut lines = self.lines.consume(index + 1);
        let last = lines.pop();
        let before = lines.iter().map(|l| escape(&l.bytes)).collect();
        let (bytes, at) = last.map_or((Box::default(), Moment::default()), |l| (l.bytes, l.at));
        self.found(regex, &bytes, at, before)
    }

    fn take_partial(&mut self, regex: &Regex) -> Found {
        let before = self.lines.consume(usize::MAX).iter().map(|l| escape(&l.bytes)).collect();
        let bytes = self.lines.partial().to_vec();
        self.lines.partial.clear();
        self.found(regex, &bytes, self.lines.partial_at, before)
    }

    fn found(&mut self, regex: &Regex, bytes: &[u8], at: Moment, before: Vec<String>) -> Found {
        let line = escape(bytes);
        if self.core.quiet.get() {
            self.core.counted.set(self.core.counted.get() + 1);
        } else {
            self.core.sink.borrow_mut().exchange(at, "console", None, Some(&line));
        }
        let value = regex.captures(bytes).and_then(|c| c.name("value")).map(|m| value(m.as_bytes()));
        Found { line, value, at, before }
    }

    /// As [`Bench::fill`], in a wait until `end` in which nothing else is done: a device that does nothing for a while need not be waited for in real time.
    pub(super) fn fill_idle(&mut self, end: Moment, until: Moment) -> Result<bool, Trouble> {
        self.core.clock.borrow_mut().idle(Some(end.min(self.budget_end)));
        let filled = self.fill(until);
        self.core.clock.borrow_mut().idle(None);
        filled
    }

    /// Reads once, until `until` at the longest. Says whether bytes came. Time always passes if none came.
    pub(super) fn fill(&mut self, until: Moment) -> Result<bool, Trouble> {
        self.checkpoint()?;
        let mut until = until;
        if until > self.budget_end {
            until = self.budget_end;
            self.clipped.set(true);
        }
        let wait = Wait::until(until, &self.stop.hard);
        let Some(console) = &mut self.tapped.console else { return Err(Trouble::Capability(Capability::Console)) };
        self.scratch.clear();
        let read = match console.read(&mut self.scratch, &wait) {
            Ok(read) => read,
            Err(e) if e.kind == ErrorKind::Timeout => ConsoleRead::Silence,
            Err(e) => return Err(e.into()),
        };
        let pause = match read {
            ConsoleRead::Bytes(at) => {
                self.port_gone = false;
                let watch = &mut self.watch;
                self.lines.push(&self.scratch, at, &mut |line, at| watch.look(line, at));
                return Ok(true);
            }
            ConsoleRead::Silence => until,
            ConsoleRead::Gone => {
                self.port_gone = true;
                until.min(self.now() + GONE)
            }
        };
        if self.now() < pause {
            self.core.clock.borrow_mut().sleep_until(&Wait::until(pause, &self.stop.hard))?;
        }
        Ok(false)
    }

    /// Forgets what is there, so that answers are younger than the stimulus that follows. Gives back what was forgotten.
    pub fn drain(&mut self) -> Result<Vec<u8>, Trouble> {
        Ok(self.drain_until_quiet()?.0)
    }

    /// [`Bench::drain`], and whether the console came to rest.
    pub(super) fn drain_until_quiet(&mut self) -> Result<(Vec<u8>, bool), Trouble> {
        let most = self.now() + DRAIN_MOST;
        let mut all = self.forget();
        let mut talks = true;
        while talks && self.now() < most {
            talks = self.fill(self.now() + DRAIN_SILENCE)?;
            all.append(&mut self.forget());
        }
        Ok((all, !talks))
    }

    /// Throws away what nobody has consumed. A tripwire among it ends the next wait, unless a stimulus comes first that starts the device again.
    fn forget(&mut self) -> Vec<u8> {
        if !self.trips_allowed
            && let Some(line) = self.lines.whole.iter().find(|l| l.trip)
        {
            self.watch.missed_trip = Some(escape(&line.bytes));
        }
        self.lines.clear()
    }

    /// The raw bytes of one stretch of talk: from the first that comes before `until` to the first pause, at most [`HEARD_MOST`] of them. The watch
    /// sees them as well. Empty if none came.
    pub(crate) fn hear(&mut self, until: Moment) -> Result<Vec<u8>, Trouble> {
        let mut all = Vec::new();
        while self.now() < until && all.is_empty() {
            if self.fill(until.min(self.now() + SLICE))? {
                all.extend_from_slice(&self.scratch);
            }
        }
        while !all.is_empty() && all.len() < HEARD_MOST && self.fill(self.now() + SETTLE)? {
            all.extend_from_slice(&self.scratch);
        }
        all.truncate(HEARD_MOST);
        Ok(all)
    }

    /// As [`Bench::drain`] but for what is here at this moment, without letting time pass.
    pub(super) fn drain_now(&mut self) -> Result<(), Trouble> {
        if self.tapped.console.is_some() {
            for _ in 0..64 {
                if !self.fill(self.now())? {
                    break;
                }
            }
        }
        self.forget();
        Ok(())
    }

    /// Sends bytes. They stand in the journal before they are sent.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        self.checkpoint()?;
        let wait = self.wait(ADAPTER);
        self.console()?.write(bytes, &wait)?;
        Ok(())
    }

    /// Sends a line with its end (CR LF would be two ends for a shell: CR alone is what a terminal sends).
    pub fn send_line(&mut self, s: &str) -> Result<(), Trouble> {
        let mut bytes = Vec::with_capacity(s.len() + 1);
        bytes.extend_from_slice(s.as_bytes());
        bytes.push(b'\r');
        self.send(&bytes)
    }

    /// As [`Bench::send_line`]; the journal and the transcript say only that a secret was sent.
    pub fn send_secret(&mut self, s: &str) -> Result<(), Trouble> {
        self.core.hush.set(true);
        let sent = self.send_line(s);
        self.core.hush.set(false);
        sent
    }

    /// Whether a tripwire of the device is data for this check (`true`) or ends any wait with an error (`false`, as it is at the start).
    pub fn allow_tripwires(&mut self, allowed: bool) {
        self.trips_allowed = allowed;
    }
}

fn takes_value(regex: &Regex) -> bool {
    regex.capture_names().flatten().any(|name| name == "value")
}

fn is_echo(line: &[u8], echo: Option<&str>) -> bool {
    echo.is_some_and(|e| !e.is_empty() && line.ends_with(e.as_bytes()))
}
