//! A machine of QEMU with a few instructions of Cortex-M3 in it: channels by their contracts, power cuts, reset, what outlives them.
#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use proofbench_channel::conformance::{self, Outcome};
use proofbench_channel::{Cancel, Console, ErrorKind, Power, PowerAsk, PowerSeen, Reset, Storage, Wait};
use proofbench_drivers::line::{self, LineSettings, LineSetup};
use proofbench_drivers::qemu::{Disk, Qemu, QemuSetup};
use proofbench_drivers::{RealClock, TimeBase, file};
use std::path::PathBuf;
use std::time::Duration;

/// Vectors (stack, reset handler in flash), then what this assembles to: counts the word at 0x100 of the flash up, says it on the UART as a letter from
/// `A` on and a line end, and echoes what it hears for ever.
///
/// ```text
///     ldr r0,=0x40004000; movs r1,#3; str r1,[r0,#8]; movs r1,#16; str r1,[r0,#16]        @ UART: transmit, receive, fast
///     ldr r2,=0x21000100; ldr r3,[r2]; adds r3,#1; str r3,[r2]                            @ flash word
///     movs r1,#'A'; add r1,r3; str r1,[r0]; movs r1,#'\n'; str r1,[r0]
/// 1:  ldr r1,[r0,#4]; lsls r1,r1,#30; bpl 1b; ldr r1,[r0]; str r1,[r0]; b 1b
/// ```
const GUEST: [u8; 56] = [
    0x00, 0x10, 0x00, 0x20, 0x09, 0x00, 0x00, 0x21, 0x4f, 0xf0, 0x40, 0x20, 0x03, 0x21, 0x81, 0x60, 0x10, 0x21, 0x01, 0x61, 0x07, 0x4a, 0x13, 0x68,
    0x01, 0x33, 0x13, 0x60, 0x41, 0x21, 0x19, 0x44, 0x01, 0x60, 0x0a, 0x21, 0x01, 0x60, 0x41, 0x68, 0x89, 0x07, 0xfc, 0xd5, 0x01, 0x68, 0x01, 0x60,
    0xf9, 0xe7, 0x00, 0x00, 0x00, 0x01, 0x00, 0x21,
];

struct Bench {
    console: Box<dyn Console>,
    power: Box<dyn Power>,
    reset: Box<dyn Reset>,
    storage: Box<dyn Storage>,
    time: TimeBase,
    qemu: Qemu,
    _code: tempfile::TempDir,
}

fn setup(code: &tempfile::TempDir, machine: &str) -> QemuSetup {
    std::fs::write(code.path().join("guest.bin"), GUEST).unwrap();
    let arguments = [
        "-M",
        machine,
        "-object",
        "memory-backend-file,id=psram,size=16M,mem-path={qemu}/flash,share=on",
        "-device",
        "loader,file=guest.bin,addr=0,force-raw=on",
        "-nic",
        "none",
        "-serial",
        "chardev:console",
    ];
    QemuSetup {
        program: "qemu-system-arm".to_owned(),
        arguments: arguments.map(str::to_owned).to_vec(),
        base: code.path().to_path_buf(),
        lines: vec!["console".to_owned()],
        disks: vec![Disk { name: "flash".to_owned(), from: Some(PathBuf::from("guest.bin")), size: Some(16 << 20), erased: false }],
        ports: vec![],
        values: Default::default(),
        made_by: None,
    }
}

/// `None`: QEMU is not installed, which has been said.
fn bench() -> Option<Bench> {
    proofbench_testkit::find("qemu-system-arm")?;
    let code = tempfile::tempdir().unwrap();
    let qemu = Qemu::prepare(&setup(&code, "mps2-an385,memory-backend=psram")).unwrap();
    let time = qemu.time();
    let console = line::open(&LineSetup::new(qemu.line("console").unwrap(), LineSettings::default(), time)).unwrap();
    let powered = qemu.clone();
    let storage = file::open(&qemu.dir().join("flash"), Box::new(move || powered.powered())).unwrap();
    Some(Bench { console, power: qemu.power(), reset: qemu.reset(), storage, time, qemu, _code: code })
}

impl Bench {
    fn wait(&self) -> Wait {
        Wait::until(self.time.now() + Duration::from_secs(60), &Cancel::new())
    }

    fn switch(&mut self, ask: PowerAsk) {
        let wait = self.wait();
        self.power.set(ask, &wait).unwrap();
    }

    /// Waits for these bytes.
    fn hear(&mut self, wanted: &[u8]) {
        let (wait, mut heard) = (self.wait(), Vec::new());
        while !heard.windows(wanted.len()).any(|w| w == wanted) {
            let read = self.console.read(&mut heard, &wait).unwrap();
            assert_ne!(read, proofbench_channel::ConsoleRead::Silence, "{}", String::from_utf8_lossy(&heard));
        }
    }
}

#[test]
fn the_supply_conforms() -> Outcome {
    let Some(mut bench) = bench() else { return Ok(()) };
    conformance::power(&mut *bench.power, &mut RealClock(bench.time))
}

#[test]
fn the_console_conforms_with_and_without_power() -> Outcome {
    let Some(mut bench) = bench() else { return Ok(()) };
    conformance::console_without_device(&mut *bench.console, &mut RealClock(bench.time))?;
    bench.switch(PowerAsk::On);
    // What is typed before the guest has set its line up is lost.
    bench.hear(b"B\n");
    bench.switch(PowerAsk::On);
    conformance::console(&mut *bench.console, &mut RealClock(bench.time), b"say\r", b"say\r")
}

#[test]
fn the_reset_line_conforms() -> Outcome {
    let Some(mut bench) = bench() else { return Ok(()) };
    bench.switch(PowerAsk::On);
    bench.hear(b"B\n");
    conformance::reset(&mut *bench.reset, &mut *bench.console, &mut RealClock(bench.time), b"\n")
}

#[test]
fn the_flash_conforms() -> Outcome {
    let Some(mut bench) = bench() else { return Ok(()) };
    bench.switch(PowerAsk::On);
    conformance::storage_refuses(&mut *bench.storage, &mut RealClock(bench.time))?;
    bench.switch(PowerAsk::Off);
    conformance::storage(&mut *bench.storage, &mut RealClock(bench.time), 0x1000)
}

#[test]
fn flash_and_line_outlive_power_cuts_and_resets() {
    let Some(mut bench) = bench() else { return };
    for letter in [b"B\n", b"C\n", b"D\n"] {
        bench.switch(PowerAsk::On);
        bench.hear(letter);
        bench.switch(PowerAsk::Off);
        assert!(!bench.qemu.powered());
    }
    bench.switch(PowerAsk::On);
    bench.hear(b"E\n");
    let wait = bench.wait();
    bench.reset.pulse(Duration::from_millis(1), &wait).unwrap();
    bench.hear(b"F\n");
    bench.switch(PowerAsk::Off);
    let mut count = [0; 4];
    bench.storage.read(0x100, &mut count, &wait).unwrap();
    assert_eq!(u32::from_le_bytes(count), 5);
    // What an eraser of the flash writes is there at the next boot.
    bench.storage.write(0x100, &[20, 0, 0, 0], &wait).unwrap();
    bench.switch(PowerAsk::On);
    bench.hear(b"V\n");
}

#[test]
fn a_line_held_in_reset_over_power_on_holds_the_processor() {
    let Some(mut bench) = bench() else { return };
    let wait = bench.wait();
    bench.reset.set(true, &wait).unwrap();
    bench.switch(PowerAsk::On);
    bench.switch(PowerAsk::Off);
    let mut count = [0xff; 4];
    bench.storage.read(0x100, &mut count, &wait).unwrap();
    assert_eq!(count, [0; 4], "the guest has not run");
    bench.switch(PowerAsk::On);
    bench.reset.set(false, &wait).unwrap();
    bench.hear(b"B\n");
}

#[test]
fn what_qemu_complains_of_is_told() {
    if proofbench_testkit::find("qemu-system-arm").is_none() {
        return;
    }
    let code = tempfile::tempdir().unwrap();
    let qemu = Qemu::prepare(&setup(&code, "no-such-board")).unwrap();
    let mut power = qemu.power();
    let wait = Wait::until(qemu.time().now() + Duration::from_secs(60), &Cancel::new());
    let e = power.set(PowerAsk::On, &wait).unwrap_err();
    assert_eq!(e.kind, ErrorKind::Driver);
    assert!(e.explain().contains("unsupported machine type"), "{}", e.explain());
    assert_eq!(power.state(&wait).unwrap(), PowerSeen::Off);
}
