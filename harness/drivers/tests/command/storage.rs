//! Flash readers.

use crate::{LONG, long, sh, whole};
use proofbench_channel::{ErrorKind, Storage, conformance};
use proofbench_drivers::child::Program;
use proofbench_drivers::storage::command::{CommandSetup, open};
use proofbench_drivers::{RealClock, TimeBase};
use std::path::Path;
use tempfile::TempDir;

const LENGTH: u64 = 8192;

struct Bench {
    time: TimeBase,
    dir: TempDir,
}

impl Bench {
    /// A medium with distinct bytes; it can be accessed while the file `host` is there.
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let content: Vec<u8> = (0..LENGTH).map(|n| (n % 251) as u8).collect();
        std::fs::write(dir.path().join("medium"), content).unwrap();
        Self { time: TimeBase::real(), dir }
    }

    fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn sh(&self, script: &str, more: &[&str]) -> Program {
        let mut program = sh(self.dir(), script);
        program.argv.extend(["sh"].iter().chain(more).map(|s| (*s).to_owned()));
        program
    }

    fn setup(&self, read: Program, write: Program) -> CommandSetup {
        let (attach, detach) = (Some(self.sh("test ! -e host && touch host", &[])), Some(self.sh("rm host", &[])));
        CommandSetup { length: LENGTH, read, write, attach, detach, powered: Box::new(|| false), time: self.time }
    }

    fn whole(&self) -> CommandSetup {
        self.setup(self.sh("test -e host && cp medium \"$1\"", &["{file}"]), self.sh("test -e host && cp \"$1\" medium", &["{file}"]))
    }

    fn reading(&self, script: &str) -> Box<dyn Storage> {
        open(CommandSetup { read: self.sh(script, &["{file}"]), ..self.whole() }).unwrap()
    }
}

#[test]
fn programs_that_know_only_the_whole_medium_behave_as_a_flash_reader() {
    let bench = Bench::new();
    conformance::storage(&mut *open(bench.whole()).unwrap(), &mut RealClock(bench.time), 4096).unwrap();
    assert!(!bench.dir().join("host").exists(), "the medium is left with the host");
}

#[test]
fn programs_that_take_a_part_behave_as_a_flash_reader() {
    let bench = Bench::new();
    let argv = |words: &[&str]| Program { argv: words.iter().map(|s| (*s).to_owned()).collect(), dir: Some(bench.dir().into()), deadline: LONG };
    let read = argv(&["dd", "if=medium", "of={file}", "iflag=skip_bytes,count_bytes,fullblock", "skip={offset}", "count={length}"]);
    let write = argv(&["dd", "if={file}", "of=medium", "oflag=seek_bytes", "seek={offset}", "conv=notrunc,fsync"]);
    conformance::storage(&mut *open(bench.setup(read, write)).unwrap(), &mut RealClock(bench.time), 4096).unwrap();
}

#[test]
fn a_device_with_power_is_not_touched() {
    let bench = Bench::new();
    let mut storage =
        open(CommandSetup { powered: Box::new(|| true), ..bench.setup(bench.sh("touch t", &["{file}"]), bench.sh("touch t", &["{file}"])) });
    conformance::storage_refuses(&mut **storage.as_mut().unwrap(), &mut RealClock(bench.time)).unwrap();
    assert!(!bench.dir().join("t").exists() && !bench.dir().join("host").exists());
}

#[test]
fn a_read_that_stops_early_goes_on_for_ever_or_fails_is_an_error_and_the_medium_goes_back() {
    let bench = Bench::new();
    let mut into = [0; 16];
    for (script, kind, says) in [
        ("head -c 100 medium > \"$1\"", ErrorKind::Protocol, "filled 100 of 8192 bytes"),
        ("true", ErrorKind::Protocol, "filled none of 8192 bytes"),
        ("cat /dev/zero > \"$1\"", ErrorKind::Protocol, "filled more than all of 8192 bytes"),
        ("echo 'no chip' >&2; exit 3", ErrorKind::Driver, "no chip"),
    ] {
        let error = bench.reading(script).read(0, &mut into, &long(bench.time)).unwrap_err();
        assert_eq!(error.kind, kind, "{script}: {}", whole(&error));
        assert!(whole(&error).contains(says), "{script}: {}", whole(&error));
        assert!(!bench.dir().join("host").exists(), "{script}: the medium is left with the host");
    }
}

#[test]
fn a_cancelled_read_ends_its_program_and_gives_the_medium_back() {
    let bench = Bench::new();
    let wait = long(bench.time);
    let canceller = std::thread::spawn({
        let (cancel, reads) = (wait.cancel.clone(), bench.dir().join("reads"));
        move || {
            while !reads.exists() {
                std::thread::yield_now();
            }
            cancel.cancel();
        }
    });
    let error = bench.reading("touch reads; sleep 1000").read(0, &mut [0; 16], &wait).unwrap_err();
    canceller.join().unwrap();
    assert_eq!(error.kind, ErrorKind::Cancelled);
    assert!(!bench.dir().join("host").exists());
}

#[test]
fn a_medium_that_cannot_be_attached_or_given_back_is_an_error() {
    let bench = Bench::new();
    let failing = || Some(bench.sh("echo 'mux is stuck' >&2; exit 1", &[]));
    let mut attach = open(CommandSetup { attach: failing(), detach: Some(bench.sh("touch detached", &[])), ..bench.whole() }).unwrap();
    assert!(whole(&attach.read(0, &mut [0; 16], &long(bench.time)).unwrap_err()).contains("mux is stuck"));
    assert!(bench.dir().join("detached").exists());
    let mut detach = open(CommandSetup { detach: failing(), ..bench.whole() }).unwrap();
    assert!(whole(&detach.read(0, &mut [0; 16], &long(bench.time)).unwrap_err()).contains("mux is stuck"));
}

#[test]
fn placeholders_that_make_no_sense_are_told_before_anything_runs() {
    let bench = Bench::new();
    let program = |more: &[&str]| bench.sh("touch t", more);
    for (setup, says) in [
        (bench.setup(program(&[]), program(&["{file}"])), "`read`"),
        (bench.setup(program(&["{file}"]), program(&[])), "`write`"),
        (bench.setup(program(&["{file}", "{offset}"]), program(&["{file}"])), "`read`"),
        (bench.setup(program(&["{file}"]), program(&["{file}", "{length}"])), "`write`"),
        (CommandSetup { attach: Some(program(&["{file}"])), ..bench.whole() }, "`attach`"),
        (CommandSetup { length: 0, ..bench.whole() }, "flash reader by command"),
    ] {
        let error = open(setup).err().unwrap();
        assert!(error.to_string().contains(says), "{error}");
    }
}
