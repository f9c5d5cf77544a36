//! From the words of the command line to a resolved rig, a dossier and a plan. Nothing is opened here.

use crate::args::SelectArgs;
use anyhow::{Context, Result, bail};
use proofbench_channel::{ChannelError, ErrorKind};
use proofbench_model::ProvisionId;
use proofbench_model::dossier::Dossier;
use proofbench_rig::{ResolvedRig, load_dossier, open_reference};
use proofbench_runner::Check;
use proofbench_runner::bench::{ReferenceFactory, ReferenceRig};
use proofbench_runner::plan::{Plan, RigFacts, Selection, plan};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The rig of a checkout that needs nothing but this program.
pub const DEFAULT_RIG: &str = "rigs/emulated.toml";
/// The dossier of the built-in reference device, on which negative controls run.
const REFERENCE_DOSSIER: &str = "fixtures/devices/thermostat";

/// What a command works on.
pub struct Session {
    /// The rig file's path as it was given or found.
    pub rig_file: PathBuf,
    /// The rig.
    pub rig: ResolvedRig,
    /// The dossier.
    pub dossier: Arc<Dossier>,
}

impl Session {
    /// Reads rig file and dossier.
    pub fn load(rig: Option<&Path>, dossier: Option<&Path>) -> Result<Session> {
        let rig_file = match rig {
            Some(path) => path.to_owned(),
            None => find_up(Path::new(DEFAULT_RIG))
                .with_context(|| format!("no --rig, and no {DEFAULT_RIG} here or above: run in a checkout, or name a rig file"))?,
        };
        let rig = ResolvedRig::load(&rig_file)?;
        let dossier = dossier.map_or_else(|| rig.load_dossier(), load_dossier)?;
        Ok(Session { rig_file, rig, dossier: Arc::new(dossier) })
    }

    /// What would become of every unit and check.
    pub fn plan(&self, checks: &[&'static Check], selection: &Selection) -> Result<Plan> {
        let facts = RigFacts { capabilities: self.rig.capabilities(), permissions: self.rig.permissions };
        Ok(plan(&self.dossier, &facts, checks, selection)?)
    }
}

/// The selection of the command line.
pub fn selection(args: &SelectArgs) -> Result<Selection> {
    let provisions = args.provisions.iter().map(|p| p.parse::<ProvisionId>().map_err(|e| anyhow::anyhow!("--provision: {e}")));
    let provisions = provisions.collect::<Result<_>>()?;
    Ok(Selection { suites: args.suites.clone(), provisions, checks: args.checks.clone(), scope: args.profile.scope.clone() })
}

/// The file or folder at this relative path, in the working folder or one above it. The result is relative where it can be.
pub fn find_up(relative: &Path) -> Option<PathBuf> {
    if relative.exists() {
        return Some(relative.to_owned());
    }
    let here = std::env::current_dir().ok()?;
    here.ancestors().skip(1).map(|a| a.join(relative)).find(|p| p.exists())
}

/// Makes reference devices. Where their dossier is not at hand, asking for one is an error and the campaign that asked is void.
pub fn reference_factory() -> ReferenceFactory {
    let dossier: Result<Arc<Dossier>, String> = match find_up(Path::new(REFERENCE_DOSSIER)) {
        Some(dir) => load_dossier(&dir).map(Arc::new).map_err(|e| e.to_string()),
        None => Err(format!("no {REFERENCE_DOSSIER} here or above")),
    };
    ReferenceFactory::new(move |defects, seed| {
        let unsupported = |why: String| ChannelError::new(ErrorKind::Unsupported, format!("open the reference device: {why}"));
        let dossier = dossier.clone().map_err(unsupported)?;
        let channels = open_reference(&dossier, defects, seed).map_err(|e| unsupported(e.to_string()))?;
        Ok(ReferenceRig { channels, dossier })
    })
}

/// The check of that id. An unknown id is an error that names the nearest.
pub fn check_by_id(all: &[&'static Check], id: &str) -> Result<&'static Check> {
    if let Some(check) = all.iter().find(|c| c.id == id) {
        return Ok(check);
    }
    let suite = id.split('/').next().unwrap_or_default();
    let near: Vec<&str> = all.iter().filter(|c| c.suite() == suite).map(|c| c.id).collect();
    if near.is_empty() {
        bail!("there is no check `{id}`; `list checks` shows them all");
    }
    bail!("there is no check `{id}`; suite {suite} has {}", near.join(", "));
}
