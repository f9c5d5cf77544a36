//! The dialogue over a real byte line: what a device says on a terminal ends waits, and stands in the transcript with its times.

mod common;

use common::{bench_on, dossier};
use proofbench_model::bind::Pattern;
use proofbench_rig::ResolvedRig;
use proofbench_runner::sink::MemorySink;
use proofbench_runner::{Bench, Trouble};
use proofbench_testkit::{Pty, fixture};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// A bench whose console is a terminal that `link` leads to.
fn bench(link: &Path) -> (Bench, MemorySink) {
    let text = format!(
        "format = 1\ndossier = \"{}\"\nlease = \"{}\"\n[console]\ndriver = \"serial\"\nport = {{ path = \"{}\" }}\n",
        fixture("fixtures/devices/thermostat").display(),
        link.with_extension("lease").display(),
        link.display()
    );
    let mut dossier = (*dossier()).clone();
    dossier.device.bind.tripwires = vec![Pattern("^PANIC".into()), Pattern("^=> $".into())];
    let rig = ResolvedRig::from_text(&link.with_extension("toml"), &text).expect("a rig").open(Arc::new(dossier), 1, "a test");
    bench_on(rig.unwrap_or_else(|e| panic!("{e}")))
}

fn trip(bench: &mut Bench) -> String {
    match bench.expect(&Pattern("never said".into()), PATIENCE) {
        Err(Trouble::Unreachable(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_panic_banner_and_a_boot_loaders_prompt_end_waits_on_a_wire() {
    let dir = tempfile::tempdir().expect("a folder");
    let link = dir.path().join("console");
    let device = Pty::at(&link);
    let (mut b, _) = bench(&link);
    device.send(b"working\r\nPANIC at 0x08001234\r\nregisters\r\n");
    assert_eq!(trip(&mut b), "tripwire: PANIC at 0x08001234");
    device.send(b"U-Boot 2026.01\r\n=> ");
    assert_eq!(trip(&mut b), "tripwire: => ");
}

#[test]
fn the_transcript_has_every_byte_with_its_time_across_an_unplugging() {
    let dir = tempfile::tempdir().expect("a folder");
    let link = dir.path().join("console");
    let device = Pty::at(&link);
    let (mut b, sink) = bench(&link);
    device.send(b"before\r\n");
    let before = b.expect(&Pattern("^before$".into()), PATIENCE).expect("a wait").expect("a line");
    drop(device);
    let device = Pty::at(&link);
    b.send_line("knock").expect("a port that came back");
    assert_eq!(device.receive_exactly(6), b"knock\r");
    device.send(b"after\x1b[31m\r\n");
    let after = b.expect(&Pattern("^after".into()), PATIENCE).expect("a wait").expect("a line");
    assert!(before.at < after.at && after.at <= b.now());
    let id = b.transcript();
    let taken = sink.0.borrow();
    let text = String::from_utf8(taken.evidence[&id].1.clone()).expect("text");
    let lines: Vec<(f64, &str)> = text
        .lines()
        .map(|line| {
            let (time, what) = line.strip_prefix('[').and_then(|l| l.split_once("] ")).unwrap_or_else(|| panic!("no time: {line}"));
            (time.trim().parse().expect("seconds"), what)
        })
        .collect();
    let (knock, gone) = (r"console > knock\r", "console ! port is gone");
    let said: Vec<&str> = lines.iter().map(|(_, what)| *what).collect();
    // The loss is told when it is read: after the knock, which waited for the port.
    assert_eq!(said, [r"console < before\r\n", knock, gone, r"console < after\x1b[31m\r\n"], "{text}");
    let first = before.at.0 as f64 / 1e9;
    assert!((lines[0].0 - first).abs() < 1e-5, "the time of arrival, {first}: {text}");
}
