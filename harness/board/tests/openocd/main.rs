//! Debian's OpenOCD on the emulated debug port, over JTAG: a host that shares no code with ours. Not installed: the tests say so and pass.
#![allow(clippy::unwrap_used)] // helpers of tests may fail like tests

use proofbench_board::bitbang::Session;
use proofbench_board::probes::Conversation;
use proofbench_emulator::debug::{BareBoard, LockRules, RAM};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

const KNOWN: u32 = 0x4148_5431;

/// Serves one host until it hangs up.
fn serve(mut stream: TcpStream, board: &Mutex<BareBoard>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut session = Session::default();
    let mut received = [0u8; 4096];
    loop {
        let n = stream.read(&mut received)?;
        let mut answers = Vec::new();
        let goes_on = n > 0 && session.feed(&received[..n], &mut *board.lock().unwrap(), &mut answers);
        stream.write_all(&answers)?;
        if !goes_on {
            return Ok(());
        }
    }
}

fn installed() -> bool {
    let there = Command::new("openocd").arg("--version").output().is_ok();
    if !there {
        eprintln!("openocd is not installed: the cross-check over JTAG was not made (Debian: apt-get install openocd)");
    }
    there
}

/// What OpenOCD says when it carries out `commands` after `init` on a board with these rules.
fn openocd(rules: LockRules, commands: &[&str]) -> (String, Arc<Mutex<BareBoard>>) {
    let mut flash = vec![0xFF; 0x1_0000];
    flash[0x8400..0x8404].copy_from_slice(&KNOWN.to_le_bytes());
    let mut board = BareBoard::new(rules, true, flash, 250);
    board.set_power(true);
    board.spend(1_000_000_000);
    let board = Arc::new(Mutex::new(board));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let shared = Arc::clone(&board);
    let server = std::thread::spawn(move || serve(listener.accept().unwrap().0, &shared));
    let port_line = format!("remote_bitbang port {port}");
    let mut all: Vec<&str> = vec![
        "adapter driver remote_bitbang",
        "remote_bitbang host 127.0.0.1",
        &port_line,
        "gdb_port disabled; tcl_port disabled; telnet_port disabled",
        "transport select jtag",
        "adapter speed 1000",
        "jtag newtap chip cpu -irlen 4 -ircapture 0x1 -irmask 0xf -expected-id 0x4ba00477",
        "dap create chip.dap -chain-position chip.cpu",
        "target create chip.core cortex_m -dap chip.dap -ap-num 0",
        "catch { init }",
    ];
    all.extend(commands);
    all.push("shutdown");
    let mut command = Command::new("openocd");
    for c in all {
        command.args(["-c", c]);
    }
    let out = command.output().unwrap();
    // Should OpenOCD have ended before it connected, the server still waits for a host.
    drop(TcpStream::connect(("127.0.0.1", port)));
    let served = server.join();
    assert!(served.is_ok(), "the server panicked");
    (format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr)), board)
}

#[test]
fn an_open_part_is_halted_read_and_let_go() {
    if !installed() {
        return;
    }
    let rules = LockRules { never_locked: true, ..LockRules::conforming() };
    let ram = format!("echo [read_memory {RAM:#x} 32 1]");
    let (said, board) = openocd(rules, &["halt", "echo [read_memory 0x8400 32 1]", &ram, "mww 0x20000010 0x12345678", "mdw 0x20000010", "resume"]);
    assert!(said.contains("Cortex-M4"), "{said}");
    assert!(said.contains(&format!("{KNOWN:#x}")), "{said}");
    assert!(said.contains("0x20000010: 12345678"), "{said}");
    assert!(!board.lock().unwrap().wire.core_halted(), "{said}");
}

#[test]
fn a_locked_part_refuses_openocd_too() {
    if !installed() {
        return;
    }
    let (said, board) = openocd(LockRules::conforming(), &["catch { echo [read_memory 0x8400 32 1] }"]);
    assert!(said.contains("tap/device found: 0x4ba00477"), "{said}");
    assert!(said.contains("STICKY ERROR") || said.contains("Failed to read memory"), "{said}");
    assert!(!said.contains(&format!("{KNOWN:#x}")), "{said}");
    assert_eq!(board.lock().unwrap().wire.audit().flash_words, 0);
}

#[test]
fn a_silent_part_shows_no_tap() {
    if !installed() {
        return;
    }
    let rules = LockRules::of(|n| n == "debug-silent");
    let (said, _) = openocd(rules, &[]);
    assert!(said.contains("all ones"), "{said}");
}
