//! `plan`: what would become of every unit and check.

use crate::args::SelectArgs;
use crate::exit::Exit;
use crate::session::{Session, selection};
use anyhow::Result;
use proofbench_model::Fate;
use proofbench_runner::Check;
use std::collections::BTreeMap;

/// Prints the plan. Nothing is opened.
pub fn plan(select: &SelectArgs, checks: &[&'static Check]) -> Result<Exit> {
    let session = Session::load(select.rig.as_deref(), select.dossier.as_deref())?;
    let plan = session.plan(checks, &selection(select)?)?;
    for check in &plan.checks {
        println!("{:<36} {} ({} answers owed)", check.id, check.fate, check.due.len());
        for short in &check.short {
            let row = short.row.as_ref().map(|r| format!(" [{r}]")).unwrap_or_default();
            println!("    {}{row}: {}: {}", short.unit, short.reason, short.why);
        }
    }
    let mut fates: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (unit, fate) in &plan.units {
        fates.entry(fate.as_str().to_owned()).or_default().push(unit.to_string());
    }
    println!();
    for (fate, units) in &fates {
        println!("{:>4} units {fate}", units.len());
    }
    for (unit, fate) in plan.units.iter().filter(|(_, f)| matches!(f, Fate::CannotRun { .. } | Fate::NotRun { .. })) {
        println!("    {unit}: {fate}");
    }
    println!("claim: {}", if plan.claim == proofbench_model::Claim::Full { "full" } else { "none (a selection)" });
    Ok(if plan.runs() == 0 { Exit::BadInput } else { Exit::Good })
}
