//! Figures of journal reading, assessment and reports: `cargo bench -p proofbench-report`. They are printed, never asserted.
#![allow(clippy::unwrap_used)]

use proofbench_assess::{Options, Records, assess};
use proofbench_model::catalogue::Catalogue;
use proofbench_model::dossier::{Dossier, DossierFiles, NamedText};
use proofbench_model::journal::{Chain, Due, Event, Header, Journal};
use proofbench_model::{CheckId, Claim, EvidenceId, Observation, Outcome, Reason, RowId, UnitId};
use proofbench_report::junit::{Dialect, render};
use proofbench_report::{Run, coverage, html, provisions, text, units};
use std::time::{Duration, Instant};

/// Observations in each made-up journal.
const OBSERVATIONS: usize = 100_000;

fn main() {
    // Two shapes that are slow in different places: the same few instances over and over, and a row of its own for every answer.
    figures("100 000 observations, many attempts of 2 000 instances", 2_000);
    figures("100 000 observations, each on a row of its own", OBSERVATIONS);
    println!("peak of this process over both: {} MB", peak_kib() / 1024);
}

fn figures(title: &str, instances: usize) {
    let text = journal_text(instances);
    println!("{title} ({} MB)", text.len() / 1_000_000);
    let begun = Instant::now();
    let journal = timed("read journal, check its chain", || Journal::read(&text).unwrap());
    drop(text);
    let dossier = dossier();
    let assessment = timed("assess", || assess(Catalogue::load(), &dossier, &Records::of(&journal), &Options::default()));
    let run = Run { journal: &journal, assessment: &assessment, started_unix: 0 };
    let mut bytes = 0;
    bytes += timed("junit.xml", || render(&units::suites(&run), Dialect::Extended).unwrap().len());
    bytes += timed("junit-provisions.xml", || render(&provisions::suites(&run), Dialect::Extended).unwrap().len());
    bytes += timed("summary.txt", || text::summary(&run).len());
    bytes += timed("ics.txt, assessment.json", || text::ics(&run).len() + text::json(&run).len());
    bytes += timed("coverage.txt", || coverage::table(&run).len());
    bytes += timed("report.html", || html::page(&run).unwrap().len());
    println!("  {:<34} {:>8.2} s, {} MB of reports", "everything", begun.elapsed().as_secs_f64(), bytes / 1_000_000);
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let out = work();
    let took: Duration = begun.elapsed();
    println!("  {what:<34} {:>8.2} s", took.as_secs_f64());
    out
}

fn dossier() -> Dossier {
    let read = |name: &str| {
        let path = format!("{}/../../fixtures/devices/thermostat/{name}", env!("CARGO_MANIFEST_DIR"));
        NamedText { name: name.to_owned(), text: std::fs::read_to_string(path).unwrap() }
    };
    Dossier::parse(&DossierFiles { device: read("device.toml"), ics: read("ics.toml"), ixit: read("ixit.toml") }).unwrap()
}

fn journal_text(instances: usize) -> String {
    let units: Vec<UnitId> = Catalogue::load().units().collect();
    let mut chain = Chain::default();
    let mut out = String::new();
    let mut add = |event: Event| {
        out.push_str(&chain.append(0, event).1);
        out.push('\n');
    };
    add(Event::Header(Header { claim: Some(Claim::Full), ..Header::default() }));
    let name = |n: usize| {
        let unit = units[n % units.len()].clone();
        let row = RowId { table: 7, row: format!("UpdMech-{}", n / units.len()) };
        let check: CheckId = format!("made/up-{}", n % 60).parse().unwrap();
        (unit, Some(row), check)
    };
    let due = (0..instances).map(|n| {
        let (unit, row, check) = name(n);
        Due { check, unit, row }
    });
    add(Event::Plan { due: due.collect() });
    for n in 0..OBSERVATIONS {
        let (unit, row, check) = name(n % instances);
        let outcome = match n % 10 {
            0 => Outcome::Violated,
            1 => Outcome::Unresolved(Reason::DutUnreachable),
            _ => Outcome::Satisfied,
        };
        add(Event::Observation(Observation {
            check,
            unit,
            row,
            outcome,
            expected: "the image is refused and the active slot keeps its content".to_owned(),
            observed: format!("refused in step {n}; slot 0 keeps 1.2.0; the security counter stays at 1"),
            evidence: vec![EvidenceId(format!("{n:064x}"))],
            strength: None,
            replay: Some(format!("made/up-{}@cut={n}", n % 60)),
            attempt: u32::try_from(n / instances).unwrap() + 1,
        }));
    }
    add(Event::Ended { claim: Claim::Full });
    out
}

/// Largest resident size of this process so far, in KiB; 0 where the system does not say.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or(0)
}
