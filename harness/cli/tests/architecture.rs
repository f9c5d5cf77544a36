//! The house's rules, read from the tree itself: who may know whom, the code map, what a room may not touch.

#![allow(clippy::unwrap_used)] // a test that cannot set up its ground may stop there

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Room, and the rooms that it may import. Source: harness/ARCHITECTURE.md.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("assess", &["model"]),
    ("channel", &["model"]),
    ("image", &["model"]),
    ("emulator", &["model", "channel"]),
    ("drivers", &["model", "channel", "emulator"]),
    ("board", &["model", "channel", "emulator"]),
    ("peers", &["channel"]),
    ("probe-worker", &["model", "channel"]),
    ("rig", &["model", "channel", "drivers", "peers"]),
    ("runner", &["model", "channel", "rig"]),
    ("report", &["model", "assess"]),
    ("suites", &["model", "channel", "image", "runner"]),
    ("testkit", &[]),
    ("closure", &[]),
    ("cli", &["model", "assess", "channel", "image", "rig", "runner", "report", "suites"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn room_dir(room: &str) -> PathBuf {
    if room == "suites" { root().join("test-suites") } else { root().join("harness").join(room) }
}

fn manifest(room: &str) -> toml::Table {
    let path = room_dir(room).join("Cargo.toml");
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).parse().unwrap()
}

fn package(room: &str) -> String {
    manifest(room)["package"]["name"].as_str().unwrap().to_owned()
}

fn names(manifest: &toml::Table, section: &str) -> BTreeSet<String> {
    manifest.get(section).and_then(|t| t.as_table()).map(|t| t.keys().cloned().collect()).unwrap_or_default()
}

fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

#[test]
fn no_crate_imports_one_it_may_not_know() {
    let rooms: BTreeMap<String, &str> = MAY_KNOW.iter().map(|(room, _)| (package(room), *room)).collect();
    let mut broken = Vec::new();
    for (room, allowed) in MAY_KNOW {
        let manifest = manifest(room);
        for dependency in names(&manifest, "dependencies") {
            if let Some(known) = rooms.get(&dependency)
                && !allowed.contains(known)
            {
                broken.push(format!("{room} imports {known}"));
            }
        }
    }
    assert!(broken.is_empty(), "forbidden: {broken:?}");
}

#[test]
fn every_member_of_the_workspace_is_a_room_of_this_list() {
    let workspace: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let members: BTreeSet<String> = workspace["workspace"]["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m.as_str().unwrap().trim_start_matches("harness/").replace("test-suites", "suites"))
        .collect();
    let rooms: BTreeSet<String> = MAY_KNOW.iter().map(|(r, _)| (*r).to_owned()).collect();
    assert_eq!(members, rooms);
}

#[test]
fn only_the_probe_worker_links_probe_rs() {
    for (room, _) in MAY_KNOW {
        let manifest = manifest(room);
        let links = names(&manifest, "dependencies").contains("probe-rs");
        assert_eq!(links, *room == "probe-worker", "{room}");
    }
}

#[test]
fn every_dependency_is_declared_once_with_its_version_in_the_workspace_manifest() {
    for (room, _) in MAY_KNOW {
        let manifest = manifest(room);
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(table) = manifest.get(section).and_then(|t| t.as_table()) else { continue };
            for (name, value) in table {
                let inherited = value.as_table().and_then(|t| t.get("workspace")).and_then(toml::Value::as_bool) == Some(true);
                assert!(inherited, "{room}: {name} does not say workspace = true");
            }
        }
    }
}

#[test]
fn the_emulator_reads_no_clock_no_entropy_and_opens_nothing() {
    let mut files = Vec::new();
    sources(&room_dir("emulator").join("src"), &mut files);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        // Tests of the emulator may read fixtures.
        let code = text.split("#[cfg(test)]").next().unwrap();
        for word in ["std::time::Instant", "SystemTime", "std::thread", "std::net", "std::fs", "std::process", "getrandom", "HashMap"] {
            assert!(!code.contains(word), "{} uses {word}", file.display());
        }
    }
}

#[test]
fn the_model_and_the_reports_do_no_input_or_output() {
    for room in ["model", "assess", "report", "channel", "image"] {
        let mut files = Vec::new();
        sources(&room_dir(room).join("src"), &mut files);
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            for word in ["std::fs", "std::net", "std::process", "std::thread", "SystemTime", "Instant::now"] {
                assert!(!code.contains(word), "{} uses {word}", file.display());
            }
        }
    }
}

#[test]
fn every_source_file_begins_with_what_it_is_for() {
    let mut files = Vec::new();
    sources(&root().join("harness"), &mut files);
    sources(&root().join("test-suites"), &mut files);
    for file in files.iter().filter(|f| !f.components().any(|c| c.as_os_str() == "target")) {
        assert!(fs::read_to_string(file).unwrap().starts_with("//!"), "{} has no module doc", file.display());
    }
}

/// Lines `- \`path\`: text` below the heading "Code map" name every source file and folder that exists, and nothing else.
#[test]
fn the_code_map_equals_the_tree() {
    let text = fs::read_to_string(root().join("harness/ARCHITECTURE.md")).unwrap();
    let map = text.split("## Code map").nth(1).expect("a heading 'Code map'").split("\n## ").next().unwrap();
    let mapped: BTreeSet<String> =
        map.lines().filter_map(|l| l.trim_start().strip_prefix("- `")).map(|l| l.split('`').next().unwrap().to_owned()).collect();
    let mut files = Vec::new();
    for (room, _) in MAY_KNOW {
        sources(&room_dir(room).join("src"), &mut files);
    }
    let tree: BTreeSet<String> = files.iter().map(|f| f.strip_prefix(root()).unwrap().to_str().unwrap().to_owned()).collect();
    let missing: Vec<_> = tree.difference(&mapped).collect();
    let stale: Vec<_> = mapped.difference(&tree).collect();
    assert!(missing.is_empty() && stale.is_empty(), "not in the map: {missing:#?}\nin the map only: {stale:#?}");
}
