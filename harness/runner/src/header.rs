//! The first line of a journal: everything that went into the run.

use proofbench_model::catalogue::{PROVISIONS_TOML, TS103701_TOML};
use proofbench_model::chip::CHIP_FAMILIES_TOML;
use proofbench_model::journal::{Header, sha256_hex};
use proofbench_model::{Claim, Profile};
use proofbench_rig::{DOSSIER_FILES, Permission, ResolvedRig, Rig};
use std::io;
use std::path::PathBuf;

/// What the caller knows of the run.
#[derive(Debug, Clone)]
pub struct RunFacts {
    /// The run's id.
    pub run: String,
    /// Wall-clock start, RFC 3339.
    pub started: String,
    /// Seed.
    pub seed: u64,
    /// Who reads the result.
    pub profile: Profile,
    /// Name of the profile.
    pub scheme: String,
    /// What the run sets out to claim.
    pub claim: Claim,
}

/// A file that went into the run and cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("read {}: {source}", path.display())]
pub struct Unreadable {
    /// Which.
    pub path: PathBuf,
    /// Why.
    source: io::Error,
}

/// The header of a run on an open rig. The caller may add digests and versions of its own (its binary, helper programs).
pub fn header(resolved: &ResolvedRig, rig: &Rig, facts: RunFacts) -> Result<Header, Unreadable> {
    let mut header = Header {
        run: facts.run,
        started: facts.started,
        seed: facts.seed,
        profile: facts.profile,
        scheme: facts.scheme,
        claim: Some(facts.claim),
        ..Header::default()
    };
    header.digests.insert("rig file".to_owned(), sha256_hex(resolved.text.as_bytes()));
    header.digests.insert("catalogue provisions.toml".to_owned(), sha256_hex(PROVISIONS_TOML.as_bytes()));
    header.digests.insert("catalogue ts103701.toml".to_owned(), sha256_hex(TS103701_TOML.as_bytes()));
    header.digests.insert("chip-families.toml".to_owned(), sha256_hex(CHIP_FAMILIES_TOML.as_bytes()));
    for name in DOSSIER_FILES.iter().copied().chain(rig.dossier.images()) {
        let path = rig.dossier.dir.join(name);
        let bytes = std::fs::read(&path).map_err(|source| Unreadable { path, source })?;
        header.digests.insert(format!("dossier {name}"), sha256_hex(&bytes));
    }
    header.versions.insert("proofbench".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    header.channels = rig.channels.describe().into_iter().map(|(name, text)| (name.to_owned(), crate::text::escape(text.as_bytes()))).collect();
    header.permissions = Permission::ALL.iter().filter(|p| rig.permissions.grants(**p)).map(ToString::to_string).collect();
    let device = &rig.dossier.device;
    for (key, value) in [
        ("name", &device.identification.name),
        ("model", &device.identification.model),
        ("hardware", &device.identification.hardware),
        ("firmware", &device.identification.firmware),
        ("serial", &device.sample.serial),
    ] {
        header.dut.insert(key.to_owned(), value.clone());
    }
    for row in rig.dossier.ixit.rows(15) {
        if let Some(family) = row.intf().and_then(|i| i.debug.as_ref()?.family.as_ref()) {
            header.chip_families.insert(row.id.to_string(), family.as_str().to_owned());
        }
    }
    Ok(header)
}
