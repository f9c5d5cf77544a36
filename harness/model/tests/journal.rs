//! The chain of a journal: every way of tampering shows, a torn last line does not hide what came before.
#![allow(clippy::unwrap_used)]

use proofbench_model::journal::{BadJournal, Chain, Event, GENESIS, Header, Journal, sha256_hex};
use proofbench_model::{Claim, EvidenceId, Observation, Outcome, Reason};
use rstest::rstest;

fn observation(outcome: Outcome, evidence: bool) -> Event {
    Event::Observation(Observation {
        check: "power-loss/idle".parse().unwrap(),
        unit: "5.9-2-2 b".parse().unwrap(),
        row: Some("23/ResMech-1".parse().unwrap()),
        outcome,
        expected: "comes back".to_owned(),
        observed: "came back".to_owned(),
        evidence: if evidence { vec![EvidenceId(sha256_hex(b"log"))] } else { Vec::new() },
        strength: None,
        replay: None,
        attempt: 1,
    })
}

fn lines() -> Vec<String> {
    let mut chain = Chain::default();
    let check = "power-loss/idle".parse().unwrap();
    let events = [
        Event::Header(Header { run: "r1".to_owned(), ..Header::default() }),
        Event::CheckStarted { check, attempt: 1 },
        observation(Outcome::Satisfied, true),
        observation(Outcome::Unresolved(Reason::RigFault), false),
        Event::Ended { claim: Claim::Full },
    ];
    events.into_iter().enumerate().map(|(i, e)| chain.append(i as u64 * 1000, e).1).collect()
}

fn joined(lines: &[String]) -> String {
    lines.iter().map(|l| format!("{l}\n")).collect()
}

#[test]
fn what_was_written_is_read_back() {
    let lines = lines();
    let journal = Journal::read(&joined(&lines)).unwrap();
    assert_eq!((journal.records.len(), journal.torn, journal.ended()), (5, false, Some(Claim::Full)));
    assert_eq!(journal.header().run, "r1");
    assert_eq!(journal.records[0].prev, GENESIS);
    assert_eq!(journal.head, sha256_hex(lines[4].as_bytes()));
    let again: Vec<String> = journal.records.iter().map(|r| r.line()).collect();
    assert_eq!(again, lines);
}

#[rstest]
#[case::changed(|l: &mut Vec<String>| l[2] = l[2].replace("came back", "came bock"), 4)]
#[case::removed(|l: &mut Vec<String>| drop(l.remove(2)), 3)]
#[case::moved(|l: &mut Vec<String>| l.swap(1, 2), 2)]
#[case::doubled(|l: &mut Vec<String>| l.insert(2, l[2].clone()), 4)]
fn tampering_breaks_the_chain(#[case] tamper: fn(&mut Vec<String>), #[case] at: usize) {
    let mut lines = lines();
    tamper(&mut lines);
    match Journal::read(&joined(&lines)) {
        Err(BadJournal::Broken { line, .. }) => assert_eq!(line, at),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_torn_last_line_is_left_out_and_said() {
    let lines = lines();
    let text = joined(&lines);
    let cut = &text[..text.len() - 20];
    let journal = Journal::read(cut).unwrap();
    assert_eq!((journal.records.len(), journal.torn, journal.ended()), (4, true, None));
}

#[test]
fn a_broken_line_in_the_middle_is_an_error() {
    let mut lines = lines();
    lines[1].truncate(30);
    assert!(matches!(Journal::read(&joined(&lines)), Err(BadJournal::NotARecord { line: 2, .. })));
}

#[rstest]
#[case(Outcome::Satisfied)]
#[case(Outcome::Violated)]
fn an_outcome_without_evidence_is_refused_on_reading(#[case] outcome: Outcome) {
    let mut chain = Chain::default();
    let header = chain.append(0, Event::Header(Header::default())).1;
    let line = chain.append(1, observation(outcome, false)).1;
    assert!(matches!(Journal::read(&joined(&[header, line])), Err(BadJournal::NoEvidence { line: 2, .. })));
}

#[test]
fn a_journal_begins_with_its_header() {
    assert_eq!(Journal::read("").unwrap_err(), BadJournal::Empty);
    let line = Chain::default().append(0, Event::Ended { claim: Claim::None }).1;
    assert_eq!(Journal::read(&joined(&[line])).unwrap_err(), BadJournal::NoHeader);
}

#[test]
fn an_amendment_continues_the_chain() {
    let mut lines = lines();
    let journal = Journal::read(&joined(&lines)).unwrap();
    let mut chain = Chain::after(&lines[4], &journal.records[4]);
    lines.push(chain.append(9000, Event::Note { text: "seen by the reviewer".to_owned() }).1);
    assert_eq!(Journal::read(&joined(&lines)).unwrap().records.len(), 6);
}
