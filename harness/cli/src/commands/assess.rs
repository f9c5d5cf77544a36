//! `assess`: recorded results evaluated again, perhaps with another ICS. The run folder is not changed.

use crate::args::{MethodArg, ProfileArg};
use crate::commands::run::exit_of;
use crate::commands::run_folder::{DOSSIER, Recorded};
use crate::exit::Exit;
use crate::session::profile as profile_of;
use anyhow::{Context, Result};
use proofbench_assess::Options;
use proofbench_model::Method;
use proofbench_model::dossier::{Dossier, NamedText};
use proofbench_report::text;
use proofbench_rig::read_dossier;
use std::path::Path;

/// Prints the summary of the new assessment.
pub fn assess(dir: &Path, ics: Option<&Path>, method: MethodArg, profile: Option<ProfileArg>) -> Result<Exit> {
    let mut recorded = Recorded::read(dir)?;
    if let Some(path) = ics {
        let mut files = read_dossier(&dir.join(DOSSIER))?;
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        files.ics = NamedText { name: path.display().to_string(), text };
        recorded.dossier = Dossier::parse(&files)?;
    }
    let method = match method {
        MethodArg::Ts103701 => Method::Ts103701,
        MethodArg::EnAnnexB => Method::EnAnnexB,
    };
    let profile = profile.map_or(recorded.journal.header().profile, profile_of);
    let assessment = recorded.assess(&Options { method, profile });
    print!("{}", text::summary(&recorded.run(&assessment)));
    Ok(exit_of(assessment.exit_class()))
}
