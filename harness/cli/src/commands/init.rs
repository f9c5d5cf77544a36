//! `init`: first versions of files that people write.

use crate::exit::Exit;
use anyhow::{Context, Result, bail};
use proofbench_model::dossier::skeleton;
use proofbench_rig::draft::{Attached, draft};
use std::io::Write;
use std::path::Path;

/// `init rig`.
pub fn rig(out: Option<&Path>, dossier: &str) -> Result<Exit> {
    let attached = Attached::look();
    let text = draft(&attached, dossier);
    let Some(out) = out else {
        print!("{text}");
        return Ok(Exit::Good);
    };
    write_new(out, &text)?;
    let (ports, probes) = (attached.ports.len(), attached.probes.len());
    println!("{}: {ports} serial ports and {probes} debug probes found; read it, then: proofbench check {0}", out.display());
    Ok(Exit::Good)
}

/// Writes a file that does not exist yet, whole or not at all.
fn write_new(path: &Path, text: &str) -> Result<()> {
    let doing = || format!("write {}", path.display());
    if path.exists() {
        bail!("{}: it exists already; name another file with --out", doing());
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(doing)?;
    file.write_all(text.as_bytes()).with_context(doing)?;
    file.as_file().sync_all().with_context(doing)?;
    file.persist_noclobber(path).with_context(doing)?;
    Ok(())
}

/// `init dossier`.
pub fn dossier(dir: &Path) -> Result<Exit> {
    let files = skeleton::files();
    if let Some((name, _)) = files.iter().find(|(name, _)| dir.join(name).exists()) {
        bail!("{}: it exists already; name another folder", dir.join(name).display());
    }
    std::fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    for (name, text) in &files {
        write_new(&dir.join(name), text)?;
    }
    println!("{}: device.toml, ics.toml, ixit.toml; fill them, then: proofbench check {0}", dir.display());
    Ok(Exit::Good)
}
