//! `dossier export` and `dossier import`: ICS and IXIT as tables, and back.

use crate::args::{DossierWay, Tables};
use crate::commands::run_folder::write_whole;
use crate::exit::Exit;
use anyhow::{Context, Result, bail};
use proofbench_model::dossier::sheet;
use proofbench_rig::read_dossier;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Does it.
pub fn dossier(way: &DossierWay) -> Result<Exit> {
    match way {
        DossierWay::Export { dossier, format, out } => export(dossier, *format == Tables::Xlsx, out),
        DossierWay::Import { tables, out } => import(tables, out),
    }
}

fn export(dossier: &Path, bom: bool, out: &Path) -> Result<Exit> {
    let tables = sheet::export(&read_dossier(dossier)?, bom)?;
    if fs::read_dir(out).is_ok_and(|mut d| d.next().is_some()) {
        bail!("{}: the folder is not empty; name another with --out", out.display());
    }
    for (name, bytes) in &tables {
        let path = out.join(name);
        let folder = path.parent().unwrap_or(out);
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        write_whole(&path, bytes)?;
    }
    println!("{}: {} tables; device.toml is not among them, since it holds the secret of the sample", out.display(), tables.len());
    Ok(Exit::Good)
}

fn import(tables: &Path, out: &Path) -> Result<Exit> {
    let imported = sheet::import(&read(tables)?).with_context(|| format!("read the tables of {}", tables.display()))?;
    let files = [("ics.toml", &imported.ics), ("ixit.toml", &imported.ixit)];
    if let Some((name, _)) = files.iter().find(|(name, _)| out.join(name).exists()) {
        bail!("{}: it exists already; name another folder with --out", out.join(name).display());
    }
    fs::create_dir_all(out).with_context(|| format!("create {}", out.display()))?;
    for (name, text) in files {
        write_whole(&out.join(name), text.as_bytes())?;
    }
    println!("{}: ics.toml and ixit.toml; put device.toml and the images beside them, then: proofbench check {0}", out.display());
    Ok(Exit::Good)
}

/// The files of a folder and of its `ixit` folder, by name. What is no table is left alone.
fn read(dir: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut out = BTreeMap::new();
    for (folder, before) in [(dir.to_owned(), ""), (dir.join("ixit"), "ixit/")] {
        let entries = fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))?;
        for entry in entries {
            let path = entry.with_context(|| format!("read {}", folder.display()))?.path();
            if path.is_file() && path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv")) {
                let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
                out.insert(format!("{before}{name}"), fs::read(&path).with_context(|| format!("read {}", path.display()))?);
            }
        }
    }
    Ok(out)
}
