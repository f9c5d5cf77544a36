//! `doctor`: a bench examined, a line per step while it works.

use crate::args::DoctorArgs;
use crate::commands::run::stop_on_signals;
use crate::exit::Exit;
use crate::session::Session;
use anyhow::{Result, bail};
use proofbench_runner::bench::Stop;
use proofbench_runner::doctor::{Diagnosis, Outcome, Step, examine};
use std::io::Write;
use std::time::Instant;

/// The whole of it.
pub fn doctor(args: &DoctorArgs) -> Result<Exit> {
    let begun = Instant::now();
    let session = Session::load(args.rig.as_deref(), args.dossier.as_deref())?;
    if session.rig.capabilities().is_empty() {
        bail!("{}: a rig without channels has nothing to examine", session.rig_file.display());
    }
    let (rig, broken) = session.rig.open_what_opens(session.dossier.clone(), 1, "proofbench doctor")?;
    if !args.json {
        for (channel, what) in rig.channels.describe() {
            line(&format!("          {channel:<9}{what}"));
        }
    }
    let stop = Stop::default();
    stop_on_signals(&stop)?;
    let json = args.json;
    let diagnosis = examine(rig, broken, stop, &mut |step| {
        if !json {
            show(step);
        }
    })?;
    let exit = exit_of(diagnosis.outcome());
    if json {
        let all = serde_json::json!({
            "format": 1,
            "rig": session.rig_file,
            "outcome": diagnosis.outcome(),
            "steps": diagnosis.steps,
            "safe": diagnosis.safe.is_safe(),
            "not-safe-because": diagnosis.safe.failed,
            "stopped": diagnosis.stopped,
            "exit": exit as u8,
        });
        line(&serde_json::to_string_pretty(&all)?);
    } else {
        line(&format!("{} ({} steps in {:.1} s)", summary(&diagnosis), diagnosis.steps.len(), begun.elapsed().as_secs_f64()));
    }
    Ok(exit)
}

/// The exit code. What the rig does not grant is the user's own decision: it is said, and does not count.
fn exit_of(outcome: Outcome) -> Exit {
    match outcome {
        Outcome::Ok | Outcome::NotDone => Exit::Good,
        Outcome::Untold => Exit::Inconclusive,
        Outcome::Wrong => Exit::Failed,
    }
}

fn show(step: &Step) {
    let word = match step.outcome {
        Outcome::Ok => "ok",
        Outcome::NotDone => "not done",
        Outcome::Untold => "untold",
        Outcome::Wrong => "WRONG",
    };
    line(&format!("{word:<9} {:<8} {:<14} {}", step.channel, step.step, step.seen));
    for advice in &step.advice {
        line(&format!("{:34}try: {advice}", ""));
    }
}

/// A reader that went away must not end the examination in the middle: the bench would be left as it is.
fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

fn summary(diagnosis: &Diagnosis) -> String {
    let count = |o: Outcome| diagnosis.steps.iter().filter(|s| s.outcome == o).count();
    let mut text = match diagnosis.outcome() {
        Outcome::Ok => "the bench is wired as its rig file says".to_owned(),
        Outcome::NotDone => format!("nothing is wrong in what was done; {} not done", count(Outcome::NotDone)),
        Outcome::Untold => format!("nothing is known to be wrong; {} could not be told", count(Outcome::Untold).max(1)),
        Outcome::Wrong => format!("{} wrong", count(Outcome::Wrong).max(1)),
    };
    if diagnosis.stopped {
        text.push_str("; stopped before its end");
    }
    if diagnosis.safe.is_safe() {
        text.push_str("; the rig is left safe");
    } else {
        text.push_str(&format!("; WARNING: the rig could not be made safe: {}", diagnosis.safe.failed.join("; ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(Outcome::Ok, Exit::Good)]
    #[case(Outcome::NotDone, Exit::Good)]
    #[case(Outcome::Untold, Exit::Inconclusive)]
    #[case(Outcome::Wrong, Exit::Failed)]
    fn the_exit_code_is_the_documented_one(#[case] outcome: Outcome, #[case] exit: Exit) {
        assert_eq!(exit_of(outcome), exit);
    }
}
