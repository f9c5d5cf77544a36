//! The process itself: started, waited for, killed.

use super::BoardSetup;
use super::fixture::Link;
use super::network::Segment;
use crate::TimeBase;
use crate::time::Ear;
use proofbench_channel::{ChannelError, ErrorKind, Millivolts, Power, PowerAsk, PowerSeen, Wait};
use serde::Deserialize;
use std::cell::RefCell;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Nothing of the device outlives its process.
const OFF_MIN: Duration = Duration::from_millis(20);
/// Longest line that says the board is ready.
const READY_MOST: u64 = 16 * 1024;
/// How much of what the board complained of goes into an error.
const COMPLAINT: u64 = 2_000;

/// What the board says when it is ready; the rest of its line is for other readers.
#[derive(Debug, Deserialize)]
struct Ready {
    fixture: u16,
}

/// The board's process, on or off.
#[derive(Debug)]
pub(super) struct Process {
    program: PathBuf,
    arguments: Vec<String>,
    dir: PathBuf,
    pub(super) time: TimeBase,
    child: Option<Child>,
    link: Option<Link>,
    /// Kept over power-off: a finger stays where it is.
    pub(super) button: bool,
    pub(super) nrst: bool,
    /// Likewise the network's cable.
    pub(super) cable: bool,
    asked: PowerAsk,
    /// Removed with the last channel.
    _scratch: Option<tempfile::TempDir>,
}

impl Process {
    pub(super) fn new(
        program: PathBuf,
        dir: &Path,
        debug: u16,
        setup: &BoardSetup,
        (time, account): (TimeBase, &Path),
        segment: Option<&Segment>,
        scratch: Option<tempfile::TempDir>,
    ) -> Self {
        let mut arguments: Vec<String> = Vec::new();
        let mut say = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        say("--dir", dir.display().to_string());
        say("--unit", setup.unit.to_string());
        say("--seed", setup.seed.to_string());
        say("--speed", setup.speed.to_string());
        say("--image", setup.image.display().to_string());
        say("--debug-port", debug.to_string());
        say("--clock", account.display().to_string());
        if let Some(segment) = segment {
            say("--net", segment.device.to_string());
            say("--gateway", segment.lab.to_string());
            say("--low-ports", segment.low_ports.to_string());
            say("--trust", segment.trust.display().to_string());
        }
        for defect in &setup.defects {
            say("--defect", defect.clone());
        }
        let dir = dir.to_path_buf();
        Self {
            program,
            arguments,
            dir,
            time,
            child: None,
            link: None,
            button: false,
            nrst: false,
            cable: false,
            asked: PowerAsk::Off,
            _scratch: scratch,
        }
    }

    /// Makes the flash file, and finds out early that a setup is wrong.
    pub(super) fn provision(&self) -> Result<(), ChannelError> {
        let doing = || format!("prepare {}", self.program.display());
        let made = Command::new(&self.program)
            .args(&self.arguments)
            .arg("--provision")
            .stdin(Stdio::null())
            .output()
            .map_err(|e| ChannelError::caused(ErrorKind::Driver, doing(), e))?;
        if made.status.success() {
            return Ok(());
        }
        let why = String::from_utf8_lossy(&made.stderr).trim().to_owned();
        Err(ChannelError::caused(ErrorKind::Driver, doing(), why))
    }

    /// Whether the device has power.
    pub(super) fn alive(&mut self) -> bool {
        self.child.as_mut().is_some_and(|c| matches!(c.try_wait(), Ok(None)))
    }

    /// The fixture's socket; `None` without power.
    pub(super) fn link(&mut self) -> Option<&mut Link> {
        if self.alive() { self.link.as_mut() } else { None }
    }

    fn on(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        let doing = || "switch the board on".to_owned();
        let failed = |e: std::io::Error| ChannelError::caused(ErrorKind::Driver, doing(), e);
        wait.check(self.time.now(), &doing())?;
        self.off();
        let complaints = File::create(self.dir.join("board.log")).map_err(failed)?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg("--parent-pipe");
        if self.button {
            command.arg("--button");
        }
        if self.nrst {
            command.arg("--nrst");
        }
        if self.cable {
            command.arg("--link-up");
        }
        // Its own group: a Ctrl-C on the bench's terminal is the bench's to handle, and must not cut the device's power.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(complaints).process_group(0);
        self.time.ear(Ear::Starts);
        let mut child = command.spawn().map_err(failed)?;
        let out = child.stdout.take();
        self.child = Some(child);
        let ready = self.ready(out, wait);
        let linked = ready.and_then(|ready| Link::new(ready.fixture, self.time));
        match linked {
            Ok(link) => {
                self.link = Some(link);
                Ok(())
            }
            Err(e) => {
                self.off();
                Err(e)
            }
        }
    }

    /// Waits for the line that says all of its sockets answer.
    fn ready(&mut self, out: Option<impl Read + Send + 'static>, wait: &Wait) -> Result<Ready, ChannelError> {
        let doing = "wait until the board is ready";
        let Some(out) = out else { return Err(ChannelError::new(ErrorKind::Driver, doing)) };
        let (tell, told) = channel();
        // Reading a pipe knows no deadline; the thread ends with the line, or with the process.
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(out.take(READY_MOST)).read_line(&mut line);
            let _ = tell.send(line);
        });
        loop {
            let slice = self.time.slice(wait, doing)?;
            match told.recv_timeout(slice) {
                Ok(line) => return serde_json::from_str(&line).map_err(|_| self.complaint(doing)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(self.complaint(doing)),
            }
        }
    }

    fn complaint(&self, doing: &str) -> ChannelError {
        let mut why = String::new();
        let log = File::open(self.dir.join("board.log"));
        let read = log.and_then(|f| f.take(COMPLAINT).read_to_string(&mut why));
        match read {
            Ok(_) if !why.trim().is_empty() => ChannelError::caused(ErrorKind::Driver, doing, why.trim().to_owned()),
            _ => ChannelError::caused(ErrorKind::Driver, doing, "the board ended without a word"),
        }
    }

    /// The power cut. The links go first: a terminal's number is given to the next who asks, and nobody may follow a stale link there.
    fn off(&mut self) {
        self.link = None;
        for name in ["console", "update"] {
            let _ = std::fs::remove_file(self.dir.join(name));
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.off();
    }
}

/// The supply of a board process.
pub(super) struct BoardPower(Rc<RefCell<Process>>);

impl BoardPower {
    pub(super) fn new(process: Rc<RefCell<Process>>) -> Self {
        Self(process)
    }
}

impl Power for BoardPower {
    fn set(&mut self, ask: PowerAsk, wait: &Wait) -> Result<(), ChannelError> {
        let mut process = self.0.borrow_mut();
        if wait.cancel.is_cancelled() && ask == PowerAsk::On {
            return Err(ChannelError::new(ErrorKind::Cancelled, "switch the board on"));
        }
        match ask {
            PowerAsk::Off => process.off(),
            PowerAsk::On if process.alive() => {}
            PowerAsk::On => process.on(wait)?,
        }
        process.asked = ask;
        Ok(())
    }

    fn state(&mut self, _: &Wait) -> Result<PowerSeen, ChannelError> {
        let mut process = self.0.borrow_mut();
        Ok(match (process.asked, process.alive()) {
            (_, true) => PowerSeen::On,
            (PowerAsk::Off, false) => PowerSeen::Off,
            (PowerAsk::On, false) => PowerSeen::Tripped("the board process ended by itself".to_owned()),
        })
    }

    fn rail(&mut self, wait: &Wait) -> Result<Option<Millivolts>, ChannelError> {
        let mut process = self.0.borrow_mut();
        let Some(link) = process.link() else { return Ok(Some(Millivolts(0))) };
        Ok(link.ask(&serde_json::json!({ "do": "rail" }), wait)?.rail_mv.map(Millivolts))
    }

    fn off_min(&self) -> Duration {
        OFF_MIN
    }

    fn dip(&mut self, to: Millivolts, hold: Duration, wait: &Wait) -> Result<(), ChannelError> {
        let mut process = self.0.borrow_mut();
        let hold_ms = u64::try_from(hold.as_millis()).unwrap_or(u64::MAX);
        let Some(link) = process.link() else { return Err(ChannelError::new(ErrorKind::Refused, "dip a supply that is off")) };
        link.ask(&serde_json::json!({ "do": "dip", "to_mv": to.0, "hold_ms": hold_ms }), wait)?;
        Ok(())
    }

    fn describe(&self) -> String {
        format!("board process {}", self.0.borrow().program.display())
    }
}
