//! The other hosts: started on a port where their own protocol is served over the pins of the board.

use crate::facts::Facts;
use crate::{APS, Board, FLASH};
use proofbench_board::probes::Conversation;
use proofbench_board::{bitbang, pyocd};
use proofbench_emulator::debug::RAM;
use proofbench_testkit::{find, fixture, python};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Serves one host until it hangs up.
fn converse<C: Conversation>(mut stream: TcpStream, board: &Board) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut session = C::default();
    let mut received = [0u8; 4096];
    loop {
        let n = stream.read(&mut received)?;
        let mut answers = Vec::new();
        let goes_on = n > 0 && session.feed(&received[..n], &mut *board.lock().unwrap(), &mut answers);
        stream.write_all(&answers)?;
        if !goes_on {
            session.hang_up(&mut *board.lock().unwrap());
            return Ok(());
        }
    }
}

/// Runs the host that `command` makes for a port, while that port is served. What it reported, and everything it said.
fn run<C: Conversation>(board: &Board, command: impl FnOnce(u16) -> Command) -> (Facts, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = Arc::clone(board);
    let server = std::thread::spawn(move || converse::<C>(listener.accept().unwrap().0, &served));
    let out = command(port).stdin(Stdio::null()).output().unwrap();
    // Should the host have ended before it connected, the server still waits for one.
    drop(TcpStream::connect(("127.0.0.1", port)));
    assert!(server.join().is_ok(), "the server panicked");
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    (Facts::read(&said), said)
}

/// OpenOCD 0.12 gives up an access that only ever gets WAIT, says so in its log, and hands the script a zero without an error. The log counts: a zero after
/// its word of a stall is no value.
fn with_stalls(said: &str) -> String {
    let mut stalled = false;
    let mut out = String::new();
    for line in said.lines() {
        stalled |= line.contains("stalled (WAIT)");
        if let Some(fact) = line.trim().strip_prefix("PB ") {
            let zero = fact.rsplit_once("0x").is_some_and(|(_, digits)| digits.bytes().all(|b| b == b'0'));
            let name = fact.split(' ').next().unwrap_or_default();
            out += &if stalled && zero { format!("PB {name} refused: wait\n") } else { format!("{line}\n") };
            stalled = false;
        }
    }
    out
}

/// One fact of OpenOCD: the script's result, or that it failed.
const LOOK: &str =
    "proc look {name script} { if {[catch {uplevel #0 $script} r]} {echo \"PB $name refused: error\"} else {echo \"PB $name value $r\"} }";
/// Stops the core behind a memory access port and reads its program counter.
const CORE: &str = "proc core {mem} { $mem write_memory 0xe000edf0 32 0xa05f0003; if {([$mem read_memory 0xe000edf0 32 1] & 0x20000) == 0} { error running }; \
                    $mem write_memory 0xe000edf4 32 15; return [$mem read_memory 0xe000edf8 32 1] }";

/// OpenOCD over JTAG, by its own DAP and MEM-AP layers; no core is examined, because that would halt and reset.
pub fn openocd(board: &Board) -> Option<(Facts, String)> {
    let openocd = find("openocd")?;
    let mut lines: Vec<String> = [
        "transport select jtag",
        "adapter speed 1000",
        "jtag newtap chip cpu -irlen 4 -ircapture 0x1 -irmask 0xf -expected-id 0x4ba00477",
        "dap create chip.dap -chain-position chip.cpu",
        LOOK,
        CORE,
    ]
    .map(str::to_owned)
    .to_vec();
    lines.extend((0..APS).map(|n| format!("target create mem{n} mem_ap -dap chip.dap -ap-num {n}")));
    lines.push("catch { init }".to_owned());
    lines.push("look ctrl { chip.dap dpreg 4 }".to_owned());
    for n in 0..APS {
        lines.push(format!("look ap{n}.idr {{ chip.dap apreg {n} 0xfc }}"));
        lines.push(format!("look ap{n}.csw {{ chip.dap apreg {n} 0 }}"));
        for (name, address) in [("cpuid", 0xE000_ED00), ("ram", RAM), ("flash", FLASH)] {
            lines.push(format!("look ap{n}.{name} {{ mem{n} read_memory {address:#x} 32 1 }}"));
        }
        lines.push(format!("look ap{n}.core {{ core mem{n} }}"));
        lines.push(format!("catch {{ mem{n} write_memory 0xe000edf0 32 0xa05f0000 }}"));
    }
    lines.push("shutdown".to_owned());
    let (_, said) = run::<bitbang::Session>(board, |port| {
        let mut command = Command::new(openocd);
        command.args(["-c", "adapter driver remote_bitbang", "-c", "remote_bitbang host 127.0.0.1", "-c", &format!("remote_bitbang port {port}")]);
        command.args(["-c", "gdb_port disabled; tcl_port disabled; telnet_port disabled"]);
        for line in &lines {
            command.args(["-c", line]);
        }
        command
    });
    let mut facts = Facts::read(&with_stalls(&said));
    // The chain is asked before any command: its words are the identification.
    match said.split("tap/device found: ").nth(1).and_then(|rest| rest.split_whitespace().next()) {
        Some(id) => facts.add("id", id),
        None => assert!(said.contains("all ones"), "OpenOCD found neither a TAP nor a dead chain: {said}"),
    }
    Some((facts, said))
}

/// pyOCD over SWD, by its own layers.
pub fn pyocd(board: &Board) -> Option<(Facts, String)> {
    let python = python(&["pyocd"])?;
    let (facts, said) = run::<pyocd::Session>(board, |port| {
        let mut command = Command::new(python);
        command.arg(fixture("fixtures/peers/pyocd_look.py")).args(["--port", &port.to_string(), "--aps", &APS.to_string()]);
        command.args(["--ram", &format!("{RAM:#x}"), "--flash", &format!("{FLASH:#x}")]);
        command
    });
    assert!(said.contains("PB id "), "pyOCD did not even try: {said}");
    Some((facts, said))
}
