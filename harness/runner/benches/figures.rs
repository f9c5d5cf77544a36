//! Figures of the runner: `cargo bench -p proofbench-runner`. They are printed, never asserted.

#[path = "../tests/common/mod.rs"]
mod common;

use common::{UNIT, bench_on, check, rig, whole_plan};
use proofbench_channel::{ChannelError, Clock, Console, ConsoleRead, Moment, Wait};
use proofbench_model::bind::Pattern;
use proofbench_model::journal::Header;
use proofbench_rig::{Channels, ResolvedRig, Rig};
use proofbench_runner::journal::JournalWriter;
use proofbench_runner::run::{RunOptions, run};
use proofbench_runner::sink::{NullSink, Sink};
use proofbench_runner::{Check, Trouble};
use proofbench_testkit::{Pty, fixture};
use std::time::{Duration, Instant};

/// Checks that do nothing but answer.
fn empty_checks(n: usize) -> Vec<&'static Check> {
    let make = |i: usize| -> &'static Check {
        let id: &'static str = Box::leak(format!("bench/empty-{i}").into_boxed_str());
        Box::leak(Box::new(check(id, |b| {
            b.satisfied(UNIT, None, "nothing", "nothing");
            Ok(())
        })))
    };
    (0..n).map(make).collect()
}

fn main() {
    matcher();
    wire();
    let boot = boots();
    overhead(boot);
    journal();
}

/// A clock that does not move: the console below always has bytes.
struct Still;
impl Clock for Still {
    fn now(&self) -> Moment {
        Moment(0)
    }
    fn sleep_until(&mut self, _: &Wait) -> Result<(), ChannelError> {
        Ok(())
    }
}

/// A device that prints without end, and says `done` at last.
struct Chatter {
    block: Vec<u8>,
    left: usize,
}
impl Console for Chatter {
    fn read(&mut self, into: &mut Vec<u8>, _: &Wait) -> Result<ConsoleRead, ChannelError> {
        if self.left == 0 {
            into.extend_from_slice(b"all done 42\r\n");
        } else {
            self.left -= 1;
            into.extend_from_slice(&self.block);
        }
        Ok(ConsoleRead::Bytes(Moment(0)))
    }
    fn write(&mut self, _: &[u8], _: &Wait) -> Result<(), ChannelError> {
        Ok(())
    }
    fn send_break(&mut self, _: &Wait) -> Result<(), ChannelError> {
        Ok(())
    }
    fn describe(&self) -> String {
        "chatter".into()
    }
}

fn matcher() {
    let line = b"[  12.345678] sensor 3: temperature 21.4 C, set point 20.0 C, relay off\r\n";
    let block: Vec<u8> = line.iter().copied().cycle().take(line.len() * 800).collect();
    let blocks = 1000;
    let bytes = block.len() * blocks;
    let mut channels = Channels::new(Box::new(Still));
    channels.console = Some(Box::new(Chatter { block, left: blocks }));
    let emulated = rig(&[], &[]);
    let (mut b, _) = bench_on(Rig { channels, ..emulated });
    b.quiet(true);
    let begun = Instant::now();
    let found = b.expect(&Pattern(r"^all done (?P<value>\d+)$".into()), Duration::from_secs(1));
    assert!(matches!(found, Ok(Some(f)) if f.value.as_deref() == Some("42")));
    let s = begun.elapsed().as_secs_f64();
    println!("console: {:.0} MB/s captured, kept in the transcript, watched for boots and matched", bytes as f64 / 1e6 / s);
}

/// A device that prints as fast as its terminal takes it, through capture, transcript, watch and matcher, with the transcript written as evidence.
fn wire() {
    const BYTES: usize = 256 * 1024 * 1024;
    let line = b"[  12.345678] sensor 3: temperature 21.4 C, set point 20.0 C, relay off\r\n";
    let block: Vec<u8> = line.iter().copied().cycle().take(line.len() * 800).collect();
    let dir = scratch();
    std::fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{e}"));
    let device = Pty::new();
    let text = format!(
        "format = 1\ndossier = \"{}\"\n[console]\ndriver = \"serial\"\nport = {{ path = \"{}\" }}\n",
        fixture("fixtures/devices/thermostat").display(),
        device.node().display()
    );
    let resolved = ResolvedRig::from_text(&dir.join("rig.toml"), &text).unwrap_or_else(|e| panic!("{e}"));
    let rig = resolved.open(common::dossier(), 7, "a bench").unwrap_or_else(|e| panic!("{e}"));
    let (mut b, _) = bench_on(rig);
    let begun = Instant::now();
    let talking = std::thread::spawn(move || {
        for _ in 0..BYTES / block.len() {
            device.send(&block);
        }
        device.send(b"all done 42\r\n");
        device
    });
    let found = b.expect(&Pattern(r"^all done (?P<value>\d+)$".into()), Duration::from_secs(600));
    assert!(matches!(found, Ok(Some(f)) if f.value.as_deref() == Some("42")));
    b.transcript();
    let s = begun.elapsed().as_secs_f64();
    drop(talking.join());
    println!("wire:    {:.0} MB/s from a pseudo terminal, with the same and the transcript kept as evidence", BYTES as f64 / 1e6 / s);
    let _ = std::fs::remove_dir_all(dir);
}

fn boots() -> Duration {
    let (mut b, _) = bench_on(rig(&[], &[]));
    b.power_on().unwrap_or_else(stop);
    b.wait_ready(Duration::from_secs(3)).map(|_| ()).unwrap_or_else(stop);
    b.quiet(true);
    let n = 2000;
    let begun = Instant::now();
    for _ in 0..n {
        b.power_cycle().map(|_| ()).unwrap_or_else(stop);
    }
    let each = begun.elapsed() / n;
    println!("boots:   {:.0} witnessed power cycles a second, {each:?} each", 1.0 / each.as_secs_f64());
    each
}

fn overhead(boot: Duration) {
    let n = 200;
    let checks = empty_checks(n);
    let each = |sink: Box<dyn Sink>| {
        let rig = rig(&[], &[]);
        let plan = whole_plan(&rig, &checks);
        let summary = run(&plan, rig, &checks, RunOptions::new(7, sink), &mut ()).unwrap_or_else(|e| panic!("{e}"));
        summary.real_time / u32::try_from(n).unwrap_or(1)
    };
    let bare = each(Box::new(NullSink));
    println!("check:   {bare:?} for an empty one with preamble and postamble, of which {:?} are two boots", 2 * boot);
    let dir = scratch();
    let recorded = each(Box::new(JournalWriter::create(&dir, Header::default()).unwrap_or_else(|e| panic!("{e}"))));
    println!("         {recorded:?} with journal, and with its observation and transcript forced to disk");
    let _ = std::fs::remove_dir_all(dir);
}

fn journal() {
    let dir = scratch();
    let mut writer = JournalWriter::create(&dir, Header::default()).unwrap_or_else(|e| panic!("{e}"));
    let n = 100_000;
    let begun = Instant::now();
    for i in 0..n {
        writer.exchange(Moment(i), "console", Some("state\\r"), None);
    }
    println!("journal: {:.0} events a second", n as f64 / begun.elapsed().as_secs_f64());
    let _ = std::fs::remove_dir_all(dir);
}

fn scratch() -> std::path::PathBuf {
    let dir = std::env::temp_dir().join(format!("proofbench-bench-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    dir
}

fn stop(t: Trouble) {
    panic!("{}", t.explain())
}
