//! `report`: a report of a run once more, to standard output.

use crate::args::{DialectArg, Format, Per};
use crate::commands::run_folder::Recorded;
use crate::exit::Exit;
use anyhow::Result;
use proofbench_report::junit::{Dialect, render};
use proofbench_report::{coverage, html, provisions, text, units};
use std::path::Path;

/// Prints it.
pub fn report(dir: &Path, format: Format, dialect: DialectArg, per: Per) -> Result<Exit> {
    let recorded = Recorded::read(dir)?;
    let assessment = recorded.assess(&recorded.options());
    let run = recorded.run(&assessment);
    let dialect = match dialect {
        DialectArg::Extended => Dialect::Extended,
        DialectArg::Strict => Dialect::Strict,
    };
    let out = match (format, per) {
        (Format::Junit, Per::Unit) => render(&units::suites(&run), dialect)?,
        (Format::Junit, Per::Provision) => render(&provisions::suites(&run), dialect)?,
        (Format::Html, _) => html::page(&run)?,
        (Format::Text, _) => text::summary(&run),
        (Format::Ics, _) => text::ics(&run),
        (Format::Coverage, _) => coverage::table(&run),
        (Format::Json, _) => text::json(&run),
    };
    print!("{out}");
    Ok(Exit::Good)
}
