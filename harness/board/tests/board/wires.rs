//! What only a process on real wires can show: unplugged ports, torn flash, held buttons, a bench that dies.

use crate::bench::{Bench, image, setup};
use proofbench_channel::{Answer, Chunk, ConsoleRead, ErrorKind, Led, Millivolts, PowerAsk, PowerSeen, UpdatePath};
use proofbench_drivers::boardproc::{Board, BoardSetup};
use proofbench_drivers::line::{self, LineAddress, LineSettings, LineSetup};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// The word after `id=`.
fn boot_id(log: &str) -> String {
    let (_, rest) = log.split_once("ROM th1 id=").unwrap_or_else(|| panic!("no boot in {log:?}"));
    rest[..8].to_owned()
}

#[test]
fn a_power_cut_unplugs_the_console_and_the_next_boot_comes_through_the_same_handle() {
    let mut bench = Bench::new();
    bench.switch(PowerAsk::On);
    let first = bench.expect("login: ");
    assert!(first.contains("cause=power-on") && first.contains("ram=lost"), "{first}");
    bench.switch(PowerAsk::Off);
    let wait = bench.within(400);
    let mut rest = Vec::new();
    let console = bench.rig.console.as_mut().expect("console");
    while console.read(&mut rest, &wait).unwrap() != ConsoleRead::Gone {
        assert!(rest.len() < 1_000, "no loss in {:?}", String::from_utf8_lossy(&rest));
    }
    bench.switch(PowerAsk::On);
    let second = bench.expect("login: ");
    assert!(second.contains("cause=power-on"), "{second}");
    assert_ne!(boot_id(&first), boot_id(&second));
}

#[test]
fn writing_to_a_port_that_stays_away_is_disconnected_at_the_deadline() {
    let mut bench = Bench::new();
    let wait = bench.within(2);
    let error = bench.rig.console.as_mut().expect("console").write(b"\r", &wait).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Disconnected);
    // The bytes that were given up do not reach the device later.
    bench.switch(PowerAsk::On);
    let boot = bench.expect("login: ");
    assert_eq!(boot.matches("login: ").count(), 1);
}

#[test]
fn a_port_in_use_is_refused_and_free_again_once_it_was_dropped() {
    let bench = Bench::running();
    let port = LineSetup::new(LineAddress::Path(bench.board.dir().join("console")), LineSettings::default(), bench.board.time());
    let error = line::open(&port).err().expect("refused");
    assert_eq!(error.kind, ErrorKind::Refused);
    let Bench { board, mut rig } = bench;
    rig.console = None;
    assert!(line::open(&port).is_ok(), "free again");
    drop(board);
}

#[test]
fn a_board_that_dies_by_itself_reads_as_tripped_and_can_be_switched_on_again() {
    let mut bench = Bench::running();
    let ready: serde_json::Value = serde_json::from_slice(&std::fs::read(bench.board.dir().join("board.json")).unwrap()).unwrap();
    let pid = ready["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let wait = bench.within(400);
    let mut bytes = Vec::new();
    while bench.rig.console.as_mut().expect("console").read(&mut bytes, &wait).unwrap() != ConsoleRead::Gone {}
    let power = bench.rig.power.as_mut().expect("power");
    while power.state(&wait).unwrap() == PowerSeen::On {
        wait.check(bench.board.time().now(), "wait until the process is gone").unwrap();
    }
    assert!(matches!(power.state(&wait).unwrap(), PowerSeen::Tripped(_)));
    assert_eq!(power.rail(&wait).unwrap(), Some(Millivolts(0)));
    bench.switch(PowerAsk::On);
    bench.expect("login: ");
}

#[test]
fn a_dip_of_the_supply_restarts_the_device_with_its_ram_kept() {
    let mut bench = Bench::running();
    let wait = bench.within(400);
    bench.rig.power.as_mut().expect("power").dip(Millivolts(2_000), Duration::from_millis(30), &wait).unwrap();
    let log = bench.expect("login: ");
    assert!(log.contains("cause=brown-out"), "{log}");
}

#[test]
fn a_button_pressed_without_power_is_held_when_power_comes() {
    let mut bench = Bench::new();
    let wait = bench.within(400);
    bench.rig.fixture.as_mut().expect("fixture").button("reset", true, &wait).unwrap();
    assert_eq!(bench.rig.fixture.as_mut().expect("fixture").led(&wait).unwrap(), Led::Dark);
    bench.rig.reset.as_mut().expect("reset").set(true, &wait).unwrap();
    bench.switch(PowerAsk::On);
    let wait = bench.within(4);
    let mut bytes = Vec::new();
    let console = bench.rig.console.as_mut().expect("console");
    while console.read(&mut bytes, &wait).unwrap() != ConsoleRead::Silence {}
    assert!(bytes.is_empty(), "held in reset since power-on: {:?}", String::from_utf8_lossy(&bytes));
    let wait = bench.within(400);
    bench.rig.reset.as_mut().expect("reset").set(false, &wait).unwrap();
    bench.expect("login: ");
}

/// Sends the first `most` bytes of an image.
fn upload(bench: &mut Bench, file: &[u8], most: usize) {
    let mut at = 0;
    while at < file.len().min(most) {
        let wait = bench.within(400);
        let path = bench.rig.update.as_mut().expect("update");
        let data = &file[at..file.len().min(at + path.max_chunk())];
        let first = at == 0;
        let chunk = Chunk {
            offset: u32::try_from(at).unwrap(),
            data,
            total: first.then(|| u32::try_from(file.len()).unwrap()),
            sha: first.then(|| Sha256::digest(file).into()),
        };
        match path.chunk(&chunk, &wait).unwrap() {
            Answer::Accepted(next) => at = usize::try_from(next).unwrap(),
            other => panic!("piece at {at}: {other:?}"),
        }
    }
}

#[test]
fn an_update_over_real_wires_runs_and_survives_the_next_power_cut() {
    let mut bench = Bench::running();
    let file = std::fs::read(image("1.3.0.bin")).unwrap();
    upload(&mut bench, &file, usize::MAX);
    let wait = bench.within(400);
    let path: &mut dyn UpdatePath = &mut **bench.rig.update.as_mut().expect("update");
    let Answer::Accepted(images) = path.state(&wait).unwrap() else { panic!("no image list") };
    let new = images.iter().find(|i| i.version.starts_with("1.3.0")).expect("the new image is listed").hash.clone();
    assert!(matches!(path.mark(Some(&new), true, &wait).unwrap(), Answer::Accepted(_)));
    assert_eq!(path.restart(&wait).unwrap(), Answer::Accepted(()));
    assert!(bench.expect("APP ready").contains("APP th1 1.3.0"));
    bench.switch(PowerAsk::Off);
    bench.switch(PowerAsk::On);
    assert!(bench.expect("APP ready").contains("APP th1 1.3.0"));
}

#[test]
fn a_kill_during_an_upload_leaves_the_running_image_and_part_of_the_new_one() {
    let mut bench = Bench::running();
    bench.switch(PowerAsk::Off);
    let before = bench.dump();
    bench.switch(PowerAsk::On);
    bench.expect("login: ");
    let file = std::fs::read(image("1.3.0.bin")).unwrap();
    upload(&mut bench, &file, 4_000);
    bench.switch(PowerAsk::Off);
    let after = bench.dump();
    assert_eq!(before[0x8000..0x1_8000], after[0x8000..0x1_8000], "the running slot is untouched");
    assert_ne!(before[0x1_8000..0x2_8000], after[0x1_8000..0x2_8000], "the other slot holds a part");
    bench.switch(PowerAsk::On);
    assert!(bench.expect("APP ready").contains("APP th1 1.2.0"));
}

#[test]
fn the_flash_outlives_every_process_and_two_units_differ() {
    let one = Bench::new().dump();
    let other = Board::prepare(&BoardSetup { unit: 2, ..setup() }).unwrap();
    let two = std::fs::read(other.dir().join("flash.bin")).unwrap();
    assert_eq!(one.len(), two.len());
    assert_ne!(one, two, "factory data is unique");
    assert_eq!(one[0x8000..0x1_8000], two[0x8000..0x1_8000], "firmware is not");
}

#[test]
fn a_setup_that_is_wrong_is_an_error_before_power() {
    let error = Board::prepare(&BoardSetup { defects: vec!["no-such".to_owned()], ..setup() }).unwrap_err();
    let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    assert!(why.contains("no-such") && why.contains("sig-unchecked"), "{why}");
    let missing = Board::prepare(&BoardSetup { image: "/nowhere/image.bin".into(), ..setup() }).unwrap_err();
    assert!(std::error::Error::source(&missing).is_some_and(|e| e.to_string().contains("/nowhere/image.bin")));
}

#[test]
fn the_debug_probe_answers_on_the_same_port_after_a_power_cycle() {
    let mut bench = Bench::running();
    let port = bench.board.debug_port();
    for _ in 0..2 {
        let mut host = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        host.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        std::io::Write::write_all(&mut host, b"!GA#").unwrap();
        let mut answer = [0; 64];
        let n = std::io::Read::read(&mut host, &mut answer).unwrap();
        assert!(answer[..n].starts_with(b"&KBlack Magic Probe"), "{:?}", String::from_utf8_lossy(&answer[..n]));
        bench.switch(PowerAsk::Off);
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err(), "no device, no probe");
        bench.switch(PowerAsk::On);
    }
}

#[test]
fn no_board_outlives_its_bench() {
    use std::process::{Command, Stdio};
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_proofbench-board"))
        .arg("--dir")
        .arg(dir.path())
        .arg("--image")
        .arg(image("1.2.0.bin"))
        .arg("--parent-pipe")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success(), "the end of its bench is an orderly end");
}
