//! Entries made after the fact: answers of persons, annulments, external evidence. Each with its author, because each can change a verdict.

use super::words::{List, NAME, SENTENCE, said};
use proofbench_model::journal::{Amendment, Event, Journal};
use serde::Serialize;

/// Entries listed.
const ENTRIES: usize = 400;

/// One entry.
#[derive(Debug, Serialize)]
pub struct Entry {
    kind: &'static str,
    about: String,
    says: String,
    author: String,
    time: String,
    grounds: String,
}

/// Of a journal.
pub fn of(journal: &Journal) -> List<Entry> {
    let all = journal.records.iter().filter_map(|r| match &r.event {
        Event::Amendment(a) => Some(a),
        _ => None,
    });
    List::first(all, ENTRIES, "journal.jsonl", entry)
}

fn entry(amendment: &Amendment) -> Entry {
    let row = |row: &Option<proofbench_model::RowId>| row.as_ref().map(|r| format!(" [{r}]")).unwrap_or_default();
    let (kind, about, says, author, time, grounds) = match amendment {
        Amendment::Answer(a) => {
            let says = if a.holds { "holds" } else { "does not hold" };
            ("answer", format!("{}{}", a.unit, row(&a.row)), says.to_owned(), &a.author, a.time.as_str(), &a.reasoning)
        }
        Amendment::Annul(a) => {
            let unit = a.unit.as_ref().map(|u| format!(" for {u}")).unwrap_or_default();
            (
                "annulment",
                format!("{}{unit}{}", a.check, row(&a.row)),
                format!("attempt {} does not count", a.attempt),
                &a.author,
                a.time.as_str(),
                &a.reason,
            )
        }
        Amendment::External(e) => {
            let says = if e.is_accepted() { "stands in place of the cases" } else { "not accepted: without effect" };
            ("external evidence", e.provision.to_string(), says.to_owned(), &e.accepted_by, "", &e.document)
        }
    };
    Entry { kind, about: said(&about, NAME), says, author: said(author, NAME), time: said(time, NAME), grounds: said(grounds, SENTENCE) }
}
