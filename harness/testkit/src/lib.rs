//! Real peers for tests: found on this machine, started on a free port, waited for, ended with all that they started.
//!
//! A test whose peer is not installed says so and passes, unless `PROOFBENCH_PEERS=required` is set, as it is in CI: there it fails. Helpers here
//! panic when a peer misbehaves, as tests do.
#![allow(clippy::missing_panics_doc)] // a test's ground that cannot be laid ends the test

mod cable;
mod patch;
mod peer;
mod pty;

pub use cable::Cable;
pub use patch::Patch;
pub use peer::Peer;
pub use pty::Pty;

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Says that a missing peer fails the test.
const REQUIRED: &str = "PROOFBENCH_PEERS";
/// Names the Python that has the packages of PyPI.
const PYTHON: &str = "PROOFBENCH_PYTHON";

/// The program of this name in `PATH`, `/usr/sbin` or `/sbin`. `None`: not installed, and the test is to return at once.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    let found = folders.map(|f| f.join(program)).find(|p| p.is_file());
    if found.is_none() {
        missing(program);
    }
    found
}

/// The folder that a build script of the repository prints when it has made, or has found made, what it makes. `None` as for [`find`]: what is missing
/// is the last line that the script says.
pub fn built(script: &str) -> Option<PathBuf> {
    let done = Command::new(fixture(script)).stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("start {script}: {e}"));
    let last = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().last().unwrap_or_default().to_owned();
    if done.status.success() {
        return Some(PathBuf::from(last(&done.stdout)));
    }
    missing(&format!("what {script} makes ({})", last(&done.stderr)));
    None
}

/// A Python that can import these modules: `PROOFBENCH_PYTHON`, else the one of `target/peers`, else `python3`. `None` as for [`find`].
pub fn python(modules: &[&str]) -> Option<PathBuf> {
    let named = std::env::var_os(PYTHON).map(PathBuf::from);
    let made = root().join("target/peers/bin/python");
    let candidates = named.into_iter().chain([made, PathBuf::from("python3")]);
    let script = modules.iter().map(|m| format!("import {m}; ")).collect::<String>();
    let found = candidates.into_iter().find(|python| {
        let tried = Command::new(python).args(["-c", &script]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        tried.is_ok_and(|s| s.success())
    });
    if found.is_none() {
        missing(&format!("python3 with {}", modules.join(", ")));
    }
    found
}

/// A file that a command or a package makes. `None` as for [`find`].
pub fn made(file: &Path, by: &str) -> Option<PathBuf> {
    let found = file.is_file().then(|| file.to_path_buf());
    if found.is_none() {
        missing(&format!("{} (`{by}` makes it)", file.display()));
    }
    found
}

fn missing(what: &str) {
    assert!(std::env::var_os(REQUIRED).is_none_or(|v| v != "required"), "{what} is not installed, and {REQUIRED}=required");
    eprintln!("skipped: {what} is not installed");
}

/// A TCP port that nobody listens on now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free TCP port");
    listener.local_addr().expect("its number").port()
}

/// A UDP port that nobody listens on now.
pub fn free_udp_port() -> u16 {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free UDP port");
    socket.local_addr().expect("its number").port()
}

/// A file or folder of the repository, by its path from the root.
pub fn fixture(path: &str) -> PathBuf {
    root().join(path)
}

fn root() -> &'static Path {
    // This crate stands two folders below the root.
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("."))
}
