//! The subjects that the tool brings: three toys as controls, and crates as they are published.

pub mod boot;
pub mod database;
pub mod map;
pub mod queue;
pub mod toy;

use crate::medium::{MEDIA, Medium};
use crate::subject::Subject;

/// Names of all subjects on the media on which they are meant to run.
pub fn names() -> Vec<String> {
    let mut out = Vec::new();
    for toy in ["toy-correct", "toy-no-commit", "toy-erase-first"] {
        out.push(format!("{toy}/nor"));
    }
    for crate_name in ["sequential-storage-8.0.2", "sequential-storage-5.0.1"] {
        for medium in ["nor", "nrf52"] {
            out.push(format!("{crate_name}/store-1/{medium}/w4x3/seed=0"));
            out.push(format!("{crate_name}/remove-2/{medium}/w4x3/seed=0"));
            out.push(format!("{crate_name}/queue/{medium}/w4x3"));
        }
        out.push(format!("{crate_name}/store-1/nor/w1x3/seed=0"));
    }
    for medium in MEDIA {
        out.push(format!("embassy-boot-0.7.0/small/{}", medium.name));
    }
    for medium in ["nor", "once"] {
        out.push(format!("ekv-1.0.0/transactions-2/{medium}/p16"));
    }
    out.push("embassy-boot-0.7.0/slot64k/nor".to_owned());
    out
}

/// The subject of this name: `CODE/WORK/MEDIUM[/GEOMETRY][/seed=N]`.
pub fn by_name(name: &str) -> Result<Box<dyn Subject>, String> {
    let unknown = || format!("`{name}` is no subject; `proofbench-closure list` shows them");
    let parts: Vec<&str> = name.split('/').collect();
    let medium = |m: &str| MEDIA.into_iter().find(|medium| medium.name == m).ok_or_else(|| format!("`{m}` in `{name}` is no medium"));
    let seed = |s: &str| s.strip_prefix("seed=").and_then(|n| n.parse().ok()).ok_or_else(|| format!("`{s}` in `{name}` is not seed=N"));
    match parts.as_slice() {
        [toy, m] => toy::by_name(toy, medium(m)?).ok_or_else(unknown),
        ["embassy-boot-0.7.0", size, m] => boot::by_name(size, medium(m)?).ok_or_else(unknown),
        ["ekv-1.0.0", work, m, pages] => database::by_name(work, medium(m)?, pages).ok_or_else(unknown),
        [store, "queue", m, words] => queue::by_name(store, medium(m)?, words).ok_or_else(unknown),
        [store, work, m, words, s] => map::by_name(store, work, medium(m)?, words, seed(s)?).ok_or_else(unknown),
        _ => Err(unknown()),
    }
}

/// The media by short name, for subjects that are built in code.
pub fn medium(name: &str) -> Option<Medium> {
    MEDIA.into_iter().find(|medium| medium.name == name)
}
