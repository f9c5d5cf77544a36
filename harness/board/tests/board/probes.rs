//! Hosts of the debug port that share no code with ours, on the running device: Debian's OpenOCD over `remote_bitbang` (JTAG; release 0.12.0 has no SWD
//! there) and PyPI's pyOCD over its remote probe (SWD). Both meet the one lock.

use crate::switched::Switched;
use proofbench_testkit::{Peer, find, fixture, python};
use std::process::Command;

/// A word of the delivered image: the beginning of its payload.
const KNOWN: &str = "8400";

/// What OpenOCD says when it carries out `commands` after `init`.
fn openocd(board: &Switched, commands: &[&str]) -> Option<String> {
    let mut command = Command::new(find("openocd")?);
    let port = format!("remote_bitbang port {}", board.port("bitbang"));
    let all = [
        "adapter driver remote_bitbang",
        "remote_bitbang host 127.0.0.1",
        &port,
        "gdb_port disabled; tcl_port disabled; telnet_port disabled",
        "transport select jtag",
        "adapter speed 1000",
        "jtag newtap chip cpu -irlen 4 -ircapture 0x1 -irmask 0xf -expected-id 0x4ba00477",
        "dap create chip.dap -chain-position chip.cpu",
        "target create chip.core cortex_m -dap chip.dap -ap-num 0",
        "catch { init }",
    ];
    for c in all.iter().chain(commands).chain(&["shutdown"]) {
        command.args(["-c", c]);
    }
    let out = command.output().unwrap();
    Some(format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr)))
}

/// What pyOCD sees: identification, access port, then CPUID, a word of RAM and a word of the image.
fn pyocd(board: &Switched) -> Option<Vec<String>> {
    let python = python(&["pyocd"])?;
    let mut command = Command::new(python);
    command.arg(fixture("fixtures/peers/pyocd_survey.py")).arg(board.port("pyocd").to_string()).args(["e000ed00", "20000000", KNOWN]);
    let mut host = Peer::start(&mut command);
    host.wait_for_line("done");
    Some(host.output())
}

/// The known word, as the flash file has it.
fn known(board: &Switched) -> u32 {
    let at = usize::from_str_radix(KNOWN, 16).unwrap();
    u32::from_le_bytes(board.flash()[at..at + 4].try_into().unwrap())
}

#[test]
fn openocd_halts_reads_and_resumes_an_open_device() {
    let (board, mut terminal) = Switched::on(&["--defect", "debug-open"]);
    let Some(said) = openocd(&board, &["halt", "echo [read_memory 0x8400 32 1]", "mww 0x20000010 0x12345678", "mdw 0x20000010", "resume"]) else {
        return;
    };
    assert!(said.contains("Cortex-M4") && said.contains(&format!("{:#x}", known(&board))) && said.contains("0x20000010: 12345678"), "{said}");
    terminal.say("\r");
    terminal.expect("login: ");
}

#[test]
fn openocd_gets_nothing_out_of_a_locked_device() {
    let (board, mut terminal) = Switched::on(&[]);
    let Some(said) = openocd(&board, &["catch { echo [read_memory 0x8400 32 1] }"]) else { return };
    assert!(said.contains("tap/device found: 0x4ba00477"), "{said}");
    assert!(said.contains("STICKY ERROR") || said.contains("Failed to read memory"), "{said}");
    assert!(!said.contains(&format!("{:#x}", known(&board))), "{said}");
    terminal.say("\r");
    terminal.expect("login: ");
}

#[test]
fn openocd_restarts_the_device_by_srst() {
    let (board, mut terminal) = Switched::on(&[]);
    let Some(said) = openocd(&board, &["reset_config srst_only", "adapter assert srst", "adapter deassert srst"]) else { return };
    let log = terminal.expect("login: ");
    assert!(log.contains("cause=pin"), "{log} {said}");
}

#[test]
fn pyocd_sees_of_each_lock_what_it_leaves_to_be_seen() {
    let word = |line: &str| line.rsplit(' ').next().unwrap_or_default().to_owned();
    for (defect, cpuid, ram, flash) in [
        (None, "fault", "fault", "fault"),
        (Some("debug-open"), "410fc241", "value", "known"),
        (Some("debug-partial"), "410fc241", "value", "fault"),
        (Some("debug-flash-zero"), "410fc241", "value", "00000000"),
    ] {
        let (board, _terminal) = Switched::on(&defect.map_or(vec![], |d| vec!["--defect", d]));
        let Some(said) = pyocd(&board) else { return };
        assert_eq!(said[..2], ["dpidr 2ba01477", "idr0 24770011"], "{defect:?}");
        assert_eq!(word(&said[3]), cpuid, "{defect:?}: {said:?}");
        let expected = |said: &str| if u32::from_str_radix(said, 16).is_ok() { "value" } else { "fault" };
        assert_eq!(expected(&word(&said[4])), ram, "{defect:?}: {said:?}");
        let flash = if flash == "known" { format!("{:08x}", known(&board)) } else { flash.to_owned() };
        assert_eq!(word(&said[5]), flash, "{defect:?}: {said:?}");
    }
    let (board, _terminal) = Switched::on(&["--defect", "debug-silent"]);
    let Some(said) = pyocd(&board) else { return };
    assert_eq!(said, ["dpidr silent", "done"]);
}

#[test]
fn a_host_that_left_the_port_in_swd_mode_is_undone_by_a_power_cycle() {
    let (mut board, _terminal) = Switched::on(&[]);
    let (Some(_), Some(blind)) = (pyocd(&board), openocd(&board, &[])) else { return };
    assert!(blind.contains("all ones"), "the port listens to SWD: {blind}");
    assert_eq!(board.ask("off"), "ok");
    board.power_on();
    let Some(said) = openocd(&board, &[]) else { return };
    assert!(said.contains("tap/device found: 0x4ba00477"), "{said}");
}
