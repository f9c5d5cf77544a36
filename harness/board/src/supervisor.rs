//! A switched board: a process that stays, holds the ports and the power switch, and starts and kills the device's process.
//!
//! Off is SIGKILL, on is a new process; the flash file is what survives. The ports are bound once and handed to each device's process, so their numbers
//! outlive it; while there is none, whoever connects is hung up on. The device ends with its supervisor: it notices that their connection ends.

use crate::conn::{Conn, Got};
use crate::doors::Doors;
use crate::run::Ready;
use crate::switch::Command as Ask;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Most connections to the switch at once, and longest line on one of them.
const CLIENTS_MOST: usize = 16;
const LINE_MOST: usize = 256;
/// How long a device's process may take to start, and to answer.
const START: Duration = Duration::from_secs(20);
const ANSWER: Duration = Duration::from_secs(5);
/// Longest answer of a device's process.
const ANSWER_MOST: u64 = 4096;
/// From letting go to nothing, in tenths of the time to the brown-out level.
const TO_NOTHING: u32 = 55;

/// How the switched board is set up.
#[derive(Debug, Clone)]
pub struct Switched {
    /// Folder of its ports and its flash.
    pub dir: PathBuf,
    /// Arguments of the device's process.
    pub arguments: Vec<String>,
    /// TCP port of the debug probe; 0 picks one.
    pub debug_port: u16,
    /// Whether the end of standard input ends the board.
    pub parent_pipe: bool,
    /// From letting the rail go to the brown-out level.
    pub slow_rail: Duration,
    /// Whether the network's cable is in, where there is a network.
    pub link: Option<bool>,
}

/// The supervisor. Dropping it kills the device.
pub struct Supervisor {
    setup: Switched,
    doors: Doors,
    listener: TcpListener,
    clients: Vec<(Conn, Vec<u8>)>,
    ready: Ready,
    device: Option<Running>,
    /// What the switch says.
    says: bool,
    lies: bool,
    relay: bool,
    back_feed_mv: u32,
    /// When nothing is left of the rail.
    dark_at: Option<Instant>,
}

struct Running {
    child: Child,
    link: UnixStream,
}

/// What a device's process says; what was not asked is absent.
#[derive(Debug, Default, Deserialize)]
struct Answer {
    #[serde(default)]
    rail_mv: Option<u32>,
    #[serde(default)]
    breaks: Option<u32>,
}

impl Supervisor {
    /// Binds every port. The supply is off.
    pub fn new(setup: Switched) -> io::Result<(Self, Ready)> {
        let doors = Doors::bind(setup.debug_port)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let ready = Ready {
            pid: std::process::id(),
            console: setup.dir.join("console"),
            update: setup.dir.join("update"),
            ports: doors.numbers()?,
            switch: Some(listener.local_addr()?.port()),
        };
        let supervisor = Self {
            setup,
            doors,
            listener,
            clients: Vec::new(),
            ready: ready.clone(),
            device: None,
            says: false,
            lies: false,
            relay: false,
            back_feed_mv: 0,
            dark_at: None,
        };
        // Names that a board left behind which was killed.
        supervisor.unlink();
        Ok((supervisor, ready))
    }

    /// Switches the supply on, as `on` on the switch port.
    pub fn switch_on(&mut self) -> io::Result<()> {
        self.says = true;
        self.close_relay()
    }

    /// Serves until the bench is gone.
    pub fn run(mut self) -> io::Result<()> {
        loop {
            let (parent, died) = self.wait()?;
            if parent && io::stdin().read(&mut [0; 64]).map_or(true, |n| n == 0) {
                return Ok(());
            }
            if died {
                // It says nothing unasked: this is its end.
                eprintln!("proofbench-board: the device's process ended by itself");
                self.kill();
            }
            if self.dark_at.is_some_and(|at| at <= Instant::now()) {
                self.kill();
            }
            if self.device.is_none() {
                self.doors.refuse();
            }
            if let Some(conn) = Conn::accept(&self.listener)
                && self.clients.len() < CLIENTS_MOST
            {
                self.clients.push((conn, Vec::new()));
            }
            let mut clients = std::mem::take(&mut self.clients);
            clients.retain_mut(|(conn, line)| self.serve(conn, line));
            self.clients = clients;
        }
    }

    /// Waits until something wants to be looked at: whether that is the parent's pipe, and whether it is the device's process.
    fn wait(&self) -> io::Result<(bool, bool)> {
        let stdin = rustix::stdio::stdin();
        let mut fds = vec![PollFd::new(&self.listener, PollFlags::IN)];
        fds.extend(self.clients.iter().map(|(conn, _)| conn.ask_fd()));
        if self.device.is_none() {
            fds.extend(self.doors.fds().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        }
        let device = fds.len();
        fds.extend(self.device.as_ref().map(|running| PollFd::new(&running.link, PollFlags::IN)));
        let parent = fds.len();
        if self.setup.parent_pipe {
            fds.push(PollFd::from_borrowed_fd(stdin, PollFlags::IN));
        }
        let timeout = self.dark_at.map(|at| {
            let left = at.saturating_duration_since(Instant::now());
            Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(left.subsec_nanos()) }
        });
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        let ready = |range: &[PollFd<'_>]| range.iter().any(|fd| !fd.revents().is_empty());
        Ok((ready(&fds[parent..]), ready(&fds[device..parent])))
    }

    /// Carries out what has arrived on one connection. False: it is over.
    fn serve(&mut self, conn: &mut Conn, line: &mut Vec<u8>) -> bool {
        if !conn.flush() {
            return false;
        }
        if conn.is_behind() {
            return true;
        }
        let mut arrived = [0; 512];
        let n = match conn.read(&mut arrived) {
            Got::Bytes(n) => n,
            Got::Nothing => return true,
            Got::Gone => return false,
        };
        for &byte in &arrived[..n] {
            if byte != b'\n' {
                line.push(byte);
                if line.len() > LINE_MOST {
                    return false;
                }
                continue;
            }
            let answer = match String::from_utf8_lossy(line).parse() {
                Ok(ask) => self.carry_out(ask).unwrap_or_else(|e| format!("error: {e}")),
                Err(why) => format!("error: {why}"),
            };
            line.clear();
            if !conn.send(format!("{answer}\n").as_bytes()) {
                return false;
            }
        }
        true
    }

    fn carry_out(&mut self, ask: Ask) -> io::Result<String> {
        let ok = || Ok("ok".to_owned());
        match ask {
            Ask::On => {
                self.says = true;
                if !self.lies {
                    self.close_relay()?;
                }
                ok()
            }
            Ask::Off => {
                self.says = false;
                if !self.lies {
                    self.open_relay();
                }
                ok()
            }
            Ask::State => Ok(if self.says { "on" } else { "off" }.to_owned()),
            Ask::Rail => Ok(self.ask(&json!({ "do": "rail" })).and_then(|a| a.rail_mv).unwrap_or(0).to_string()),
            Ask::Pid => Ok(self.device.as_ref().map_or("none".to_owned(), |running| running.child.id().to_string())),
            Ask::Breaks => Ok(self.ask(&json!({ "do": "breaks" })).and_then(|a| a.breaks).unwrap_or(0).to_string()),
            Ask::Ports => Ok(serde_json::to_string(&self.ready)?),
            Ask::SlowRail(slow) => {
                self.setup.slow_rail = slow;
                ok()
            }
            Ask::BackFeed(mv) => {
                self.back_feed_mv = mv;
                if !self.relay && self.device.is_some() {
                    self.open_relay();
                }
                ok()
            }
            Ask::Lie(lies) => {
                self.lies = lies;
                ok()
            }
            Ask::Link(_) if self.setup.link.is_none() => Ok("error: this board has no network: start it with --net".to_owned()),
            Ask::Link(up) => {
                self.setup.link = Some(up);
                self.ask(&json!({ "do": "link", "up": up }));
                ok()
            }
        }
    }

    /// Power, now.
    fn close_relay(&mut self) -> io::Result<()> {
        self.relay = true;
        self.dark_at = None;
        if self.ask(&json!({ "do": "supply", "on": true })).is_some() {
            return Ok(());
        }
        self.kill();
        self.start().inspect_err(|_| self.kill())
    }

    /// No power, as soon as the rail has followed.
    fn open_relay(&mut self) {
        self.relay = false;
        self.dark_at = None;
        let slow = self.setup.slow_rail;
        if slow.is_zero() && self.back_feed_mv == 0 {
            return self.kill();
        }
        let ms = u64::try_from(slow.as_millis()).unwrap_or(u64::MAX);
        let told = self.ask(&json!({ "do": "discharge", "ms": ms })).is_some()
            && self.ask(&json!({ "do": "back-feed", "mv": self.back_feed_mv })).is_some()
            && self.ask(&json!({ "do": "supply", "on": false })).is_some();
        if !told {
            self.kill();
        } else if self.back_feed_mv == 0 {
            self.dark_at = Some(Instant::now() + slow * TO_NOTHING / 10);
        }
    }

    fn start(&mut self) -> io::Result<()> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(&self.setup.arguments).arg("--supervised");
        if self.setup.link == Some(true) {
            command.arg("--link-up");
        }
        // Its own group: a Ctrl-C on the bench's terminal is the bench's to handle.
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null()).process_group(0);
        self.device = Some(Running { child: command.spawn()?, link: ours });
        // Ours alone now: its end is to be noticed.
        drop(command);
        if let Some(running) = &mut self.device {
            self.doors.hand_over(&running.link)?;
            running.hear(START)?;
        }
        Ok(())
    }

    /// Asks the device's process; `None` if there is none, or none that answers.
    fn ask(&mut self, request: &Value) -> Option<Answer> {
        let running = self.device.as_mut()?;
        let line = format!("{request}\n");
        running.link.write_all(line.as_bytes()).ok()?;
        running.hear(ANSWER).ok()
    }

    /// The power cut. The terminals' names go first: nobody may follow an old one to somebody else's terminal.
    fn kill(&mut self) {
        self.dark_at = None;
        if let Some(mut running) = self.device.take() {
            self.unlink();
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }

    fn unlink(&self) {
        for name in ["console", "update"] {
            let _ = std::fs::remove_file(self.setup.dir.join(name));
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Running {
    /// One line from the device's process.
    fn hear(&mut self, within: Duration) -> io::Result<Answer> {
        let until = Instant::now() + within;
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || line.len() as u64 > ANSWER_MOST {
                return Err(io::Error::new(ErrorKind::TimedOut, "the device's process does not answer"));
            }
            self.link.set_read_timeout(Some(left))?;
            let mut part = [0; 256];
            match self.link.read(&mut part) {
                Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the device's process ended")),
                Ok(n) => line.extend_from_slice(&part[..n]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(serde_json::from_slice(&line)?)
    }
}
