//! The command line of proofbench as a library: a vendor's binary passes its own list of checks to [`main`].
//!
//! Only this room maps results to exit codes.

pub mod args;
mod commands;
pub mod exit;
mod progress;
mod session;

use args::{Cli, Command, Init};
use clap::Parser;
use exit::Exit;
use proofbench_runner::Check;
use std::process::ExitCode;

/// Reads the command line, does what it says with these checks, and gives the exit code of the documented list.
pub fn main(checks: &[&'static Check]) -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version are no errors; a wrong word on the command line is bad input.
            let _ = e.print();
            return if e.use_stderr() { Exit::BadInput.into() } else { Exit::Good.into() };
        }
    };
    match dispatch(cli.command, checks) {
        Ok(exit) => exit.into(),
        Err(e) => {
            eprintln!("proofbench: {}", told_once(&e));
            Exit::BadInput.into()
        }
    }
}

fn dispatch(command: Command, checks: &[&'static Check]) -> anyhow::Result<Exit> {
    match command {
        Command::Run(args) => commands::run::run(&args, checks),
        Command::Plan(select) => commands::plan::plan(&select, checks),
        Command::List { what } => commands::list::list(what, checks),
        Command::Check { files } => commands::check::check(&files, checks),
        Command::Explain { what } => commands::list::explain(checks, &what),
        Command::Init { what: Init::Rig { out, dossier } } => commands::init::rig(out.as_deref(), &dossier),
        Command::Init { what: Init::Dossier { dir } } => commands::init::dossier(&dir),
        Command::Dossier { what } => commands::dossier::dossier(&what),
        Command::Compare { old, new, baseline } => commands::compare::compare(&old, &new, baseline.as_deref()),
        Command::Merge { runs, out } => commands::merge::merge(&runs, &out, checks),
        Command::Report { run, format, dialect, per } => commands::report::report(&run, format, dialect, per),
        Command::Assess { run, ics, ixit, by, why, method, profile } => {
            let with = commands::assess::With { ics: ics.as_deref(), ixit: ixit.as_deref(), by, why, method, profile };
            commands::assess::assess(&run, &with)
        }
        Command::Verify { run } => commands::verify::verify(&run),
        Command::Replay { run, address, rig } => commands::replay::replay(&run, &address, rig.as_deref(), checks),
        Command::Doctor(args) => commands::doctor::doctor(&args),
        Command::Console(args) => commands::console::console(&args),
        Command::Power { what, rig } => commands::power::power(what, rig.as_deref()),
        Command::Reset { hold, rig } => commands::reset::reset(hold, rig.as_deref()),
        Command::Probe(args) => commands::probe::probe(&args),
        Command::Prove { checks: patterns, write } => commands::prove::prove(&patterns, write, checks),
    }
}

/// An error and its causes in one line. Some errors tell their cause themselves; nothing is told twice.
fn told_once(e: &anyhow::Error) -> String {
    e.chain()
        .skip(1)
        .map(ToString::to_string)
        .fold(e.to_string(), |text, cause| if text.contains(&cause) { text } else { format!("{text}: {cause}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_an_error_tells_itself_is_not_repeated() {
        let inner = anyhow::anyhow!("no such file").context("open /dev/ttyUSB7");
        assert_eq!(told_once(&inner), "open /dev/ttyUSB7: no such file");
        let outer = anyhow::anyhow!("no such file").context("open [console]: no such file");
        assert_eq!(told_once(&outer), "open [console]: no such file");
    }
}
