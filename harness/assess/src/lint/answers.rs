//! Answers of the ICS and cells of the IXIT: missing, without reason, or against each other.

use super::place::{of_key, of_text, row_name, table_name};
use super::{Finding, Grade};
use crate::ics::{self, IcsProblem};
use crate::ixit;
use proofbench_model::catalogue::{Catalogue, Obligation, Provision};
use proofbench_model::dossier::{Constrained, Dossier, DossierFiles, Support};
use proofbench_model::{Method, ProvisionId};
use std::collections::BTreeMap;

/// Conditions 4 and 5: constraint is argued in the identification, and a constrained device may claim more than it must.
fn is_constraint(condition: u8) -> bool {
    matches!(condition, 4 | 5)
}

/// The ICS: what makes it invalid, what lacks a reason, what contradicts another answer.
pub(super) fn of_ics(catalogue: &Catalogue, files: &DossierFiles, dossier: &Dossier, method: Method) -> Vec<Finding> {
    let file = &files.ics;
    let line = |id: &ProvisionId, key: &str| dossier.ics.row(id).map_or(1, |r| of_key(file, r.line, key));
    let finding = |grade, id: &ProvisionId, field: &str, problem: String, valid: String| Finding {
        grade,
        file: file.name.clone(),
        line: line(id, field),
        table: "ICS".to_owned(),
        row: id.to_string(),
        field: field.to_owned(),
        problem,
        valid,
    };
    let mut out = Vec::new();
    for f in ics::validate(catalogue, dossier, method) {
        let obligation = catalogue.provision(&f.provision).map(|p| p.status(method).obligation);
        out.push(finding(Grade::Fails, &f.provision, "support", f.text.clone(), remedy(&f.problem, obligation).to_owned()));
    }
    for provision in catalogue.provisions() {
        let Some(row) = dossier.ics.row(&provision.id) else { continue };
        let status = provision.status(method);
        if row.support != Support::Yes && row.detail.trim().is_empty() {
            let because = match row.support {
                Support::No => "N without a reason: every recommendation that is not met needs one (4-1)",
                _ => "N/A without a reason: say which feature the device does not have (4-1)",
            };
            let grade = if status.obligation == Obligation::Recommended { Grade::Fails } else { Grade::Incomplete };
            out.push(finding(grade, &provision.id, "detail", because.to_owned(), "a sentence that says why".to_owned()));
        }
        if row.support == Support::NotApplicable && status.conditional {
            let open = |n: &&u8| !is_constraint(**n) && ics::indicated(dossier, **n).is_none();
            let absent = status.conditions.iter().any(|n| match n {
                4 => dossier.device.identification.constraint() == Constrained::No,
                5 => dossier.device.identification.constraint() == Constrained::Justified,
                n => ics::indicated(dossier, *n) == Some(false),
            });
            let open: Vec<u8> = status.conditions.iter().filter(open).copied().collect();
            if !absent && !open.is_empty() {
                let texts: Vec<String> =
                    open.iter().filter_map(|n| catalogue.condition(method, *n)).map(|c| format!("{} ({})", c.number, c.text)).collect();
                let problem = format!("N/A, and nothing else in the dossier says that its condition does not hold: {}", texts.join(", "));
                let valid = format!("[[condition]] number = {}, holds = false, detail = \"why\"; or an answer of Y", open[0]);
                out.push(finding(Grade::Incomplete, &provision.id, "support", problem, valid));
            }
        }
    }
    for (yes, no) in opposed(catalogue, dossier, method) {
        let conditions: Vec<String> = no.status(method).conditions.iter().map(u8::to_string).collect();
        let problem = format!("N/A, but {} is Y, which holds only where condition {} holds too", yes.id, conditions.join(" and "));
        out.push(finding(
            Grade::Disagrees,
            &no.id,
            "support",
            problem,
            format!("Y (or N with a reason where it is a recommendation); or N/A on {} as well", yes.id),
        ));
    }
    for (number, holds, not) in ics::conflicts(dossier) {
        let at = if dossier.ics.condition(number).is_some() { of_condition(&file.text, number) } else { 1 };
        out.push(Finding {
            grade: Grade::Disagrees,
            file: file.name.clone(),
            line: at,
            table: "ICS".to_owned(),
            row: format!("condition {number}"),
            field: "holds".to_owned(),
            problem: format!("the dossier says that it holds ({holds}) and that it does not ({not})"),
            valid: "one of the two".to_owned(),
        });
    }
    for number in 1..=28 {
        // That a feature is there can be seen; that it is not has to be argued. Constraint is argued in the identification.
        let absent = dossier.ics.condition(number).filter(|c| !c.holds && !is_constraint(number));
        if absent.is_some_and(|c| c.detail.trim().is_empty()) {
            out.push(Finding {
                grade: Grade::Incomplete,
                file: file.name.clone(),
                line: of_condition(&file.text, number),
                table: "ICS".to_owned(),
                row: format!("condition {number}"),
                field: "detail".to_owned(),
                problem: "declared not to hold, without a reason".to_owned(),
                valid: "a sentence that says why".to_owned(),
            });
        }
    }
    if dossier.device.identification.constraint() == Constrained::Unjustified {
        out.push(Finding {
            grade: Grade::Incomplete,
            file: files.device.name.clone(),
            line: of_text(&files.device, "constrained"),
            table: "identification".to_owned(),
            row: String::new(),
            field: "constrained-because".to_owned(),
            problem: "the device is called constrained without a reason; no N/A may rest on that".to_owned(),
            valid: "a sentence that says what the device cannot do, and why".to_owned(),
        });
    }
    out
}

fn remedy(problem: &IcsProblem, obligation: Option<Obligation>) -> &'static str {
    match (problem, obligation) {
        (IcsProblem::NoRow, _) => "a row with support = \"Y\", \"N\" or \"N/A\"",
        (IcsProblem::MandatoryNotClaimed, _) => "Y, or N/A where its condition does not hold",
        (IcsProblem::UnconditionalNotApplicable, Some(Obligation::Recommended)) => "Y, or N with a reason",
        (IcsProblem::UnconditionalNotApplicable, _) => "Y",
        (IcsProblem::ConditionHolds(_), Some(Obligation::Recommended)) => "Y, or N with a reason; or put right what says that the condition holds",
        (IcsProblem::ConditionHolds(_), _) => "Y; or put right what says that the condition holds",
        (IcsProblem::ConditionAbsent(_), _) => "N/A with a reason; or put right what says that the condition does not hold",
        (IcsProblem::ConstraintNotJustified, _) => "`constrained-because` in device.toml, or Y",
    }
}

/// Pairs of a claimed provision and one that is N/A although all its conditions are among those of the claimed one.
///
/// Of several claimed ones that say the same the first is enough.
fn opposed<'c>(catalogue: &'c Catalogue, dossier: &Dossier, method: Method) -> Vec<(&'c Provision, &'c Provision)> {
    let of = |support: Support| catalogue.provisions().iter().filter(move |p| dossier.ics.support(&p.id) == Some(support));
    let conditions = |p: &'c Provision| p.status(method).conditions.as_slice();
    let mut out = Vec::new();
    for no in of(Support::NotApplicable).filter(|p| !conditions(p).is_empty() && !conditions(p).iter().any(|n| is_constraint(*n))) {
        let contradicts = |yes: &&Provision| conditions(no).iter().all(|n| yes.status(method).conditions.contains(n));
        out.extend(of(Support::Yes).find(contradicts).map(|yes| (yes, no)));
    }
    out
}

/// The line of `number = N` in the file of the ICS.
fn of_condition(text: &str, number: u8) -> usize {
    let is = |line: &str| {
        line.trim().strip_prefix("number").and_then(|r| r.trim_start().strip_prefix('=')).is_some_and(|v| v.trim() == number.to_string())
    };
    text.lines().position(is).map_or(1, |i| i + 1)
}

/// Table, field: cells that must begin with yes or no.
const YES_OR_NO: [(u8, &str); 8] = [
    (4, "confirmation-of-vulnerability-actions"),
    (4, "confirmation-of-vulnerability-monitoring"),
    (4, "confirmation-of-update-procedures"),
    (4, "confirmation-of-secure-management"),
    (4, "confirmation-of-secure-development"),
    (13, "allows-configuration"),
    (15, "debug-interface"),
    (21, "sensitive"),
];

/// The IXIT: what claimed provisions need and is not there, and cells that say nothing or the contrary of a claim.
pub(super) fn of_ixit(catalogue: &Catalogue, files: &DossierFiles, dossier: &Dossier) -> Vec<Finding> {
    let file = &files.ixit;
    // One finding for a cell, however many provisions need it.
    let mut cells: BTreeMap<(u8, Option<String>, Option<String>), Vec<String>> = BTreeMap::new();
    for f in ixit::completeness(catalogue, dossier) {
        cells.entry((f.table, f.row, f.field)).or_default().push(f.provision.to_string());
    }
    let mut out = Vec::new();
    for ((table, row, field), by) in cells {
        let line_of = row.as_ref().and_then(|r| dossier.ixit.rows(table).iter().find(|x| x.id.row == *r)).map_or(1, |r| r.line);
        let known = catalogue.table(table);
        let lists = known.is_some_and(|t| !t.has_rows);
        let (problem, valid) = match &field {
            Some(key) => {
                let meaning = known.and_then(|t| t.fields.iter().find(|f| f.key == *key)).map_or("", |f| f.meaning.as_str());
                (format!("empty or missing, and needed by {}", by.join(", ")), format!("a text: {meaning}"))
            }
            None => {
                let name = known.map_or("", |t| t.name.as_str());
                let valid = if lists {
                    format!("[{name}] with its fields")
                } else {
                    format!("a row [[{name}]]; or [[empty]] table = \"{name}\", because = \"why there is none\"")
                };
                (format!("no row, and needed by {}", by.join(", ")), valid)
            }
        };
        out.push(Finding {
            grade: Grade::Incomplete,
            file: file.name.clone(),
            line: field.as_ref().map_or(line_of, |key| of_key(file, line_of, key)),
            table: table_name(catalogue, table),
            row: row.filter(|_| !lists).unwrap_or_default(),
            field: field.unwrap_or_default(),
            problem,
            valid,
        });
    }
    for (table, key) in YES_OR_NO {
        for row in dossier.ixit.rows(table) {
            let Some(text) = row.field(key).map(str::trim).filter(|t| !t.is_empty()) else { continue };
            let lower = text.to_ascii_lowercase();
            let finding = |grade, problem: String, valid: &str| Finding {
                grade,
                file: file.name.clone(),
                line: of_key(file, row.line, key),
                table: table_name(catalogue, table),
                row: row_name(catalogue, row),
                field: key.to_owned(),
                problem,
                valid: valid.to_owned(),
            };
            if !lower.starts_with("yes") && !lower.starts_with("no") {
                out.push(finding(Grade::Incomplete, format!("`{text}` says neither yes nor no"), "a text that begins with yes or no"));
            } else if table == 4 && !lower.starts_with("yes") {
                let claims = catalogue.provisions().iter().filter(|p| dossier.ics.claims(&p.id));
                let by = claims.filter(|p| catalogue.needed_fields(&p.id).iter().any(|n| n.table == 4 && n.key == key));
                let by: Vec<&str> = by.map(|p| p.id.as_str()).collect();
                if !by.is_empty() {
                    out.push(finding(Grade::Disagrees, format!("no, but {} is claimed", by.join(", ")), "yes; or another answer in the ICS"));
                }
            }
        }
    }
    out
}
