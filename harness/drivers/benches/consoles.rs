//! Figures of byte lines: `cargo bench -p proofbench-drivers --bench consoles`. They are printed, never asserted; that no byte is lost is asserted.

use proofbench_channel::{Cancel, Console, ConsoleRead, Moment, Wait};
use proofbench_drivers::TimeBase;
use proofbench_drivers::line::{LineAddress, LineConsole, LineSettings, LineSetup};
use proofbench_testkit::Pty;
use std::time::{Duration, Instant};

const CONSOLES: usize = 300;
/// Bytes that each device says while it is read.
const SAID: usize = 1024 * 1024;
/// Bytes that each device says while nobody reads: what a capture keeps holds them.
const UNREAD: usize = 3 * 1024 * 1024;
/// A device that has said nothing for so long is held up.
const STUCK: Duration = Duration::from_secs(30);

fn main() {
    let time = TimeBase::real();
    let devices: Vec<Pty> = (0..CONSOLES).map(|_| Pty::new()).collect();
    let mut consoles: Vec<LineConsole> = devices
        .iter()
        .map(|d| LineSetup::new(LineAddress::Path(d.node().to_path_buf()), LineSettings::default(), time))
        .map(|setup| LineConsole::open(&setup).unwrap_or_else(|e| panic!("{e}")))
        .collect();
    println!("{CONSOLES} consoles open: peak memory {} MiB", peak_mib());

    let begun = Instant::now();
    let talking = std::thread::spawn(move || {
        talk(&devices, SAID);
        devices
    });
    listen(&mut consoles, SAID, true);
    let devices = talking.join().unwrap_or_else(|_| panic!("the devices"));
    let total = (CONSOLES * SAID) as f64 / 1e6;
    println!("read at once:    {total:.0} MB, none lost, {:.0} MB/s over all, peak memory {} MiB", total / begun.elapsed().as_secs_f64(), peak_mib());

    let begun = Instant::now();
    talk(&devices, UNREAD);
    let held = peak_mib();
    listen(&mut consoles, UNREAD, false);
    let total = (CONSOLES * UNREAD) as f64 / 1e6;
    println!("read afterwards: {total:.0} MB, none lost, {:.0} MB/s over all, peak memory {held} MiB", total / begun.elapsed().as_secs_f64());
}

/// What device `n` says: a pattern of its own, so that nothing can be taken for another's.
fn pattern(n: usize) -> Vec<u8> {
    let step = u32::try_from(n).unwrap_or(0) * 2 + 1;
    (0u32..1024).flat_map(|i| i.wrapping_mul(step).to_le_bytes()).collect()
}

/// Every device says so much, all at the same time.
fn talk(devices: &[Pty], bytes: usize) {
    let patterns: Vec<Vec<u8>> = (0..devices.len()).map(pattern).collect();
    for _ in 0..bytes / 4096 {
        for (device, piece) in devices.iter().zip(&patterns) {
            let sent = device.send_until_stuck(piece, STUCK);
            assert_eq!(sent, piece.len(), "a device is held up");
        }
    }
}

/// Reads so much from every console and compares it.
fn listen(consoles: &mut [LineConsole], bytes: usize, wait_for_more: bool) {
    let patterns: Vec<Vec<u8>> = (0..consoles.len()).map(pattern).collect();
    let mut seen = vec![0usize; consoles.len()];
    let at_once = Wait::until(Moment(0), &Cancel::new());
    let begun = Instant::now();
    let mut piece = Vec::new();
    while seen.iter().any(|n| *n < bytes) {
        let mut idle = true;
        for (n, console) in consoles.iter_mut().enumerate() {
            piece.clear();
            match console.read(&mut piece, &at_once) {
                Ok(ConsoleRead::Bytes(_)) => idle = false,
                Ok(ConsoleRead::Silence) => continue,
                other => panic!("console {n}: {other:?}"),
            }
            let mut rest = piece.as_slice();
            while !rest.is_empty() {
                let expected = &patterns[n][seen[n] % 4096..];
                let length = rest.len().min(expected.len());
                assert!(rest[..length] == expected[..length], "console {n}: other bytes than its device said after {}", seen[n]);
                seen[n] += length;
                rest = &rest[length..];
            }
        }
        if idle {
            assert!(wait_for_more || begun.elapsed() < STUCK, "bytes are missing");
            std::thread::yield_now();
        }
    }
}

/// Most memory that this process has had at a time.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) / 1024
}
