//! What is known of the chip family of a debug port, beside what this run saw of it: how a locked part looks, and the doors that nobody tried.

use crate::instances::Instances;
use crate::run::Run;
use proofbench_model::Outcome;
use proofbench_model::chip::{CAVEAT, ChipFamily, Door};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// For each row with a family, what is known of it. Empty where the dossier names none.
pub fn cited(run: &Run<'_>, instances: &Instances) -> String {
    let families = &run.journal.header().chip_families;
    families.iter().fold(String::new(), |out, (row, name)| match ChipFamily::find(name) {
        Some(family) => out + &told(row, family, &answered(instances, row)),
        None => out + &format!("  {row} family {name}: this version's table does not know it\n"),
    })
}

/// The same on one line for each row, for readers of single results.
pub fn one_line(run: &Run<'_>, instances: &Instances) -> BTreeMap<String, String> {
    let families = &run.journal.header().chip_families;
    families.iter().map(|(row, name)| (row.clone(), line(name, &answered(instances, row)))).collect()
}

/// Checks that have answered for a row.
fn answered<'a>(instances: &'a Instances, row: &str) -> BTreeSet<&'a str> {
    let of_row = instances.by_key.iter().filter(|(key, _)| key.row.as_ref().is_some_and(|r| r.to_string() == *row));
    of_row.filter(|(_, i)| !matches!(i.outcome(), Outcome::Unresolved(_))).map(|(key, _)| key.check.as_str()).collect()
}

fn is_tried(door: &Door, tried: &BTreeSet<&str>) -> bool {
    door.tried_by.iter().any(|c| tried.contains(c.as_str()))
}

fn line(name: &str, tried: &BTreeSet<&str>) -> String {
    let Some(family) = ChipFamily::find(name) else { return format!("family {name}: this version's table does not know it") };
    let untried: Vec<&str> = family.doors.iter().filter(|d| !is_tried(d, tried)).map(|d| d.text.as_str()).collect();
    let untried = if untried.is_empty() { "none known".to_owned() } else { untried.join("; ") };
    format!("family {}: locked means: {}; doors beside the lock that this bench did not try: {untried}; {CAVEAT}", family.name, family.locked)
}

fn told(row: &str, family: &ChipFamily, tried: &BTreeSet<&str>) -> String {
    let mut out = format!("  {row} family {}; {CAVEAT}\n", family.name);
    let _ = writeln!(out, "    locks by  {}", family.mechanism);
    let _ = writeln!(out, "    unlocked  {}", family.default);
    let _ = writeln!(out, "    locked    {}", family.locked);
    for door in &family.doors {
        let checks: Vec<&str> = door.tried_by.iter().map(String::as_str).filter(|c| tried.contains(c)).collect();
        let by = if checks.is_empty() { "NOT tried by this run".to_owned() } else { format!("tried by {}", checks.join(", ")) };
        let _ = writeln!(out, "    door      {} ({}): {by}", door.text, door.basis.as_str());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_counts_as_tried_only_where_its_check_has_answered() {
        let family = ChipFamily::find("nrf52-old").unwrap();
        let never = told("15/Intf-debug", family, &BTreeSet::new());
        assert_eq!(never.matches("NOT tried").count(), family.doors.len(), "{never}");
        let running = told("15/Intf-debug", family, &BTreeSet::from(["debug-port/running"]));
        assert!(running.contains("tried by debug-port/running") && running.contains("NOT tried"), "{running}");
        assert!(running.contains("to be confirmed against the part's data sheet"), "{running}");
    }

    #[test]
    fn the_line_of_a_single_result_names_the_doors_that_nobody_tried() {
        let text = line("nrf52-old", &BTreeSet::from(["debug-port/running"]));
        assert!(text.contains("doors beside the lock that this bench did not try: ERASEALL"), "{text}");
        assert!(!text.contains("never written in production"), "{text}");
        assert!(line("nrf60", &BTreeSet::new()).contains("nrf60: this version's table does not know it"));
    }
}
