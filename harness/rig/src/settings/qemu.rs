//! `[qemu]`: the machine of QEMU that the rig starts. Its channels are in the sections of their own: `driver = "qemu"`, `port = { qemu = "console" }`,
//! `path = "{qemu}/flash"`.

use super::ByteCount;
use crate::error::{RigFileError, Source};
use proofbench_drivers::qemu::{Disk, QemuSetup};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// Most bytes of a flash or disk.
const DISK_MOST: u64 = 64 << 30;
/// Options that the driver gives itself.
const OWN: &[&str] = &["-S", "-display", "-monitor", "-qmp", "-daemonize", "-nographic", "-no-shutdown", "-snapshot"];

/// `[qemu]`
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct QemuSection {
    /// The emulator: a name that is looked for in `PATH`, or a path.
    pub program: Spanned<String>,
    /// Its arguments. `{qemu}` is the machine's folder, `{qemu.NAME}` a port of `ports`; other names are relative to the rig file.
    pub arguments: Vec<Spanned<String>>,
    /// Chardevs that the driver makes, one for each serial line of the bench: `-serial chardev:NAME` uses them.
    #[serde(default)]
    pub lines: Vec<Spanned<String>>,
    /// TCP ports of 127.0.0.1 that are kept free for forwards.
    #[serde(default)]
    pub ports: Vec<Spanned<String>>,
    /// Flashes and disks, by their file's name in the machine's folder.
    #[serde(default)]
    pub disks: BTreeMap<Spanned<String>, DiskSection>,
    /// Numbers that the guest is told at each power-on: `{qemu.NAME}`.
    #[serde(default)]
    pub values: BTreeMap<Spanned<String>, u32>,
    /// The command that makes the files which the machine needs; told when one is missing.
    #[serde(default)]
    pub made_by: Option<String>,
}

/// `[qemu.disks.NAME]`
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DiskSection {
    /// What is in it at first, relative to the rig file.
    #[serde(default)]
    pub from: Option<String>,
    /// Its size.
    #[serde(default)]
    pub size: Option<Spanned<ByteCount>>,
    /// Whether what `from` does not fill reads FF instead of 0.
    #[serde(default)]
    pub erased: bool,
}

impl QemuSection {
    /// Checks names, sizes and placeholders.
    pub(crate) fn check(&self, source: &Source) -> Result<(), RigFileError> {
        if self.program.get_ref().is_empty() {
            return Err(source.error(self.program.span(), "no program", &["qemu-system-arm"]));
        }
        let ids = self.lines.iter().chain(&self.ports).chain(self.values.keys()).chain(self.disks.keys());
        for (n, id) in ids.clone().enumerate() {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if !id.get_ref().starts_with(|c: char| c.is_ascii_alphabetic()) || !id.get_ref().chars().all(fits) {
                return Err(source.error(id.span(), "no name", &["a letter, then letters, digits, `-`, `_` and `.`"]));
            }
            if ids.clone().take(n).any(|other| other.get_ref() == id.get_ref()) {
                return Err(source.error(
                    id.span(),
                    "the name stands here twice: lines, ports, values and disks of a machine have names of their own",
                    &[],
                ));
            }
        }
        for (name, disk) in &self.disks {
            match (&disk.from, &disk.size) {
                (None, None) => {
                    return Err(source.error(name.span(), "a disk needs what is in it, or a size", &["from = \"flash.bin\"", "size = \"64MiB\""]));
                }
                (_, Some(size)) if !(1..=DISK_MOST).contains(&size.get_ref().0) => {
                    return Err(source.error(size.span(), "no size of a disk", &["1 byte to 64GiB"]));
                }
                _ => {}
            }
        }
        let named = self.ports.iter().chain(self.values.keys()).map(|p| format!("{{qemu.{}}}", p.get_ref()));
        let valid: Vec<String> = ["{qemu}", "{qemu.random}"].map(str::to_owned).into_iter().chain(named).collect();
        let valid: Vec<&str> = valid.iter().map(String::as_str).collect();
        for argument in &self.arguments {
            source.placeholders(argument, &valid)?;
            if OWN.contains(&argument.get_ref().as_str()) {
                return Err(source.error(argument.span(), "the driver gives this option, or cannot work with it", &[]));
            }
        }
        Ok(())
    }

    /// Whether the machine has this line; told at the section that names it if it has not.
    pub(crate) fn has_line(&self, source: &Source, name: &str, at: Range<usize>) -> Result<(), RigFileError> {
        if self.lines.iter().any(|l| l.get_ref() == name) {
            return Ok(());
        }
        let valid: Vec<&str> = self.lines.iter().map(|l| l.get_ref().as_str()).collect();
        Err(source.error(at, format!("[qemu] has no line `{name}`"), &valid))
    }

    /// What the driver needs.
    pub(crate) fn setup(&self, base: &Path) -> QemuSetup {
        let names = |list: &[Spanned<String>]| list.iter().map(|n| n.get_ref().clone()).collect();
        let disk = |(name, disk): (&Spanned<String>, &DiskSection)| Disk {
            name: name.get_ref().clone(),
            from: disk.from.as_ref().map(PathBuf::from),
            size: disk.size.as_ref().map(|s| s.get_ref().0),
            erased: disk.erased,
        };
        QemuSetup {
            program: self.program.get_ref().clone(),
            arguments: names(&self.arguments),
            base: base.to_path_buf(),
            lines: names(&self.lines),
            disks: self.disks.iter().map(disk).collect(),
            ports: names(&self.ports),
            values: self.values.iter().map(|(name, value)| (name.get_ref().clone(), u64::from(*value))).collect(),
            made_by: self.made_by.clone(),
        }
    }
}
