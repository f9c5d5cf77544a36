//! What a person sees while a run goes on: a moving line on a terminal, plain lines in a log.

use indicatif::{ProgressBar, ProgressStyle};
use proofbench_model::{Fate, Observation, Outcome};
use proofbench_runner::Check;
use proofbench_runner::run::{CheckResult, Progress};
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Prints results to standard output as they come.
pub struct Lines {
    bar: Option<ProgressBar>,
    total: usize,
    done: usize,
    width: usize,
}

impl Lines {
    /// A moving line if standard error is a terminal. `width` is that of the longest check id.
    pub fn new(width: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { bar, total: 0, done: 0, width }
    }

    fn line(&self, text: &str) {
        let print = || {
            let mut out = std::io::stdout().lock();
            // A reader that went away must not end the run: the journal is what counts.
            let _ = writeln!(out, "{text}").and_then(|()| out.flush());
        };
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Removes the moving line.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Lines {
    fn check_started(&mut self, check: &Check, index: usize, total: usize) {
        self.total = total;
        if let Some(bar) = &self.bar {
            bar.set_message(format!("[{}/{total}] {}: {}", index + 1, check.id, check.title));
        }
    }

    fn check_ended(&mut self, result: &CheckResult) {
        if result.fate == Fate::NotSelected {
            return;
        }
        let place = if result.fate == Fate::Run {
            self.done += 1;
            format!("[{:>2}/{}]", self.done, self.total)
        } else {
            "[     ]".to_owned()
        };
        let what = match &result.fate {
            Fate::Run => said(&result.observations),
            other => other.to_string(),
        };
        let time = if result.fate == Fate::Run { format!("{:.2} s", result.real_time.as_secs_f64()) } else { String::new() };
        self.line(format!("{place} {:<width$}  {what:<34} {time}", result.id, width = self.width).trim_end());
        if let Some(trouble) = &result.trouble {
            self.line(&format!("        {trouble}"));
        }
        for o in result.observations.iter().filter(|o| o.outcome == Outcome::Violated) {
            let row = o.row.as_ref().map(|r| format!(" [{r}]")).unwrap_or_default();
            self.line(&format!("        {}{row}: expected {}; observed {}", o.unit, o.expected, o.observed));
            if let Some(replay) = &o.replay {
                self.line(&format!("        replay: {replay}"));
            }
        }
        if let Some(strength) = result.observations.iter().find_map(|o| o.strength.as_deref()) {
            self.line(&format!("        {strength}"));
        }
    }

    fn note(&mut self, text: &str) {
        self.line(&format!("        {text}"));
    }
}

fn said(observations: &[Observation]) -> String {
    let count = |f: fn(&Outcome) -> bool| observations.iter().filter(|o| f(&o.outcome)).count();
    let satisfied = count(|o| *o == Outcome::Satisfied);
    let violated = count(|o| *o == Outcome::Violated);
    let unresolved: Vec<&Outcome> = observations.iter().map(|o| &o.outcome).filter(|o| matches!(o, Outcome::Unresolved(_))).collect();
    match (violated, unresolved.first()) {
        (0, None) => format!("SATISFIED x{satisfied}"),
        (0, Some(first)) if satisfied == 0 => first.to_string(),
        (0, Some(first)) => format!("{first}, SATISFIED x{satisfied}"),
        (n, _) => format!("VIOLATED x{n} of {}", observations.len()),
    }
}
