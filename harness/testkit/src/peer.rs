//! A running peer: its output collected, its group killed and waited for at the end.

use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A peer that has not done what it should by then never will.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest that a peer may take that ends by itself.
const LIFE: Duration = Duration::from_secs(600);
/// Lines of output that are kept, and most bytes of a line.
const LINES_MOST: usize = 2_000;
const LINE_MOST: u64 = 64 * 1024;

#[derive(Default)]
struct Output {
    lines: VecDeque<String>,
    /// Lines that were dropped or looked at; `lines` starts after them.
    open: usize,
    /// Of its two streams, those that have not ended.
    readers: usize,
}

#[derive(Default)]
struct Shared {
    output: Mutex<Output>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Output> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process that a test talks to. Dropping it ends it; when the test panics, its output is shown.
pub struct Peer {
    name: String,
    child: Child,
    said: Arc<Shared>,
    ended: bool,
}

impl Peer {
    /// Starts it as leader of a group of its own. Standard output and standard error are collected line by line.
    pub fn start(command: &mut Command) -> Peer {
        Self::launch(command.stdin(Stdio::null()).stdout(Stdio::piped()))
    }

    /// Starts it with its standard input and output at the far end of a cable. Standard error is collected.
    pub fn on_cable(command: &mut Command, cable: &crate::Cable) -> Peer {
        Self::launch(command.stdin(OwnedFd::from(cable.far())).stdout(OwnedFd::from(cable.far())))
    }

    fn launch(command: &mut Command) -> Peer {
        let name = command.get_program().to_string_lossy().into_owned();
        let command = command.stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap_or_else(|e| panic!("start {name}: {e}"));
        let said = Arc::new(Shared::default());
        if let Some(out) = child.stdout.take() {
            listen(out, Arc::clone(&said));
        }
        if let Some(err) = child.stderr.take() {
            listen(err, Arc::clone(&said));
        }
        Peer { name, child, said, ended: false }
    }

    /// Process number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line, among those not yet returned, that contains `part`. Lines before it are passed over.
    pub fn wait_for_line(&mut self, part: &str) -> String {
        let until = Instant::now() + PATIENCE;
        let mut output = self.said.lock();
        loop {
            while output.open < output.lines.len() {
                output.open += 1;
                let line = &output.lines[output.open - 1];
                if line.contains(part) {
                    return line.clone();
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            // What has closed both its streams says nothing any more.
            if left.is_zero() || output.readers == 0 {
                drop(output);
                panic!("{} never said `{part}`", self.name);
            }
            output = self.said.changed.wait_timeout(output, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The port of a peer whose first words are `ready PORT`.
    pub fn ready(&mut self) -> u16 {
        let line = self.wait_for_line("ready ");
        let number = line.split_whitespace().skip_while(|w| *w != "ready").nth(1);
        number.and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{} said `{line}`", self.name))
    }

    /// Waits until something accepts connections on this port of 127.0.0.1.
    pub fn wait_for_port(&mut self, port: u16) {
        let until = Instant::now() + PATIENCE;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        while TcpStream::connect_timeout(&address, PATIENCE).is_err() {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("{} ended with {status} instead of listening on {port}", self.name);
            }
            assert!(Instant::now() < until, "{} never listened on {port}", self.name);
            std::thread::yield_now();
        }
    }

    /// Waits until something listens on this port of 127.0.0.1, without calling it: for peers that take one caller at a time.
    pub fn wait_for_listener(&mut self, port: u16) {
        let until = Instant::now() + PATIENCE;
        // `sl local_address rem_address st ..`; 0A is LISTEN.
        let place = format!("0100007F:{port:04X}");
        let listens = |table: &str| {
            table.lines().map(|l| l.split_whitespace().collect::<Vec<_>>()).any(|w| w.get(1) == Some(&place.as_str()) && w.get(3) == Some(&"0A"))
        };
        while !std::fs::read_to_string("/proc/net/tcp").is_ok_and(|table| listens(&table)) {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("{} ended with {status} instead of listening on {port}", self.name);
            }
            assert!(Instant::now() < until, "{} never listened on {port}", self.name);
            std::thread::yield_now();
        }
    }

    /// Waits until it has ended by itself, and says whether it was content.
    pub fn finish(&mut self) -> bool {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.success(),
                Ok(None) => {}
                Err(e) => panic!("wait for {}: {e}", self.name),
            }
            assert!(Instant::now() < until, "{} never ended", self.name);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// All lines so far.
    pub fn output(&self) -> Vec<String> {
        self.said.lock().lines.iter().cloned().collect()
    }

    /// Waits for its own end, all of its output read. A peer that goes on for ten minutes fails the test.
    pub fn end(&mut self) -> ExitStatus {
        let until = Instant::now() + LIFE;
        let mut output = self.said.lock();
        while output.readers > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(output);
                panic!("{} does not end", self.name);
            }
            output = self.said.changed.wait_timeout(output, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(output);
        self.ended = true;
        self.child.wait().unwrap_or_else(|e| panic!("wait for {}: {e}", self.name))
    }

    /// Kills it with all that it started, and waits for its end.
    pub fn kill(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- {} said:", self.name);
            for line in self.output() {
                eprintln!("{line}");
            }
        }
    }
}

fn listen(from: impl Read + Send + 'static, to: Arc<Shared>) {
    to.lock().readers += 1;
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        loop {
            let mut line = Vec::new();
            match (&mut from).take(LINE_MOST).read_until(b'\n', &mut line) {
                Ok(n) if n > 0 => {}
                _ => break,
            }
            let mut output = to.lock();
            if output.lines.len() == LINES_MOST {
                output.lines.pop_front();
                output.open = output.open.saturating_sub(1);
            }
            output.lines.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
            drop(output);
            to.changed.notify_all();
        }
        to.lock().readers -= 1;
        to.changed.notify_all();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Peer {
        Peer::start(Command::new("sh").args(["-c", script]))
    }

    #[test]
    fn lines_are_found_in_their_order() {
        let mut peer = sh("echo one; echo ready 4711 >&2; echo two; sleep 1000");
        assert_eq!(peer.ready(), 4711);
        peer.kill();
        assert!(peer.output().contains(&"one".to_owned()));
    }

    #[test]
    fn the_end_comes_after_the_last_line() {
        let mut peer = sh("echo last; exit 3");
        assert_eq!(peer.end().code(), Some(3));
        assert_eq!(peer.output(), ["last"]);
    }

    #[test]
    #[should_panic(expected = "instead of listening")]
    fn a_peer_that_ends_is_not_waited_for() {
        let port = crate::free_port();
        sh("exit 3").wait_for_port(port);
    }
}
