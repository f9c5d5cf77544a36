//! The process itself: started, waited for, killed.

use super::qmp::Qmp;
use crate::TimeBase;
use crate::child::Group;
use crate::line::Door;
use crate::text::shown;
use proofbench_channel::{ChannelError, ErrorKind, PowerAsk, Wait};
use std::fs::File;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How much of what QEMU complained of goes into an error.
const COMPLAINT: u64 = 2_000;
/// Runs a program that is killed when its parent dies (util-linux, which Debian always has): a bench that is killed must not leave machines running.
const SETPRIV: &str = "/usr/bin/setpriv";

/// The machine's process, on or off.
#[derive(Debug)]
pub(super) struct Process {
    pub program: PathBuf,
    arguments: Vec<String>,
    base: PathBuf,
    monitor: Door,
    pub time: TimeBase,
    running: Option<(Group, Qmp)>,
    /// Whether the reset line is held; kept over power-off.
    pub held: bool,
    pub asked: PowerAsk,
    /// Removed with the last handle.
    scratch: tempfile::TempDir,
}

impl Process {
    pub fn new(program: PathBuf, arguments: Vec<String>, base: PathBuf, monitor: Door, time: TimeBase, scratch: tempfile::TempDir) -> Self {
        Self { program, arguments, base, monitor, time, running: None, held: false, asked: PowerAsk::Off, scratch }
    }

    /// Whether the machine has power.
    pub fn alive(&mut self) -> bool {
        self.running.as_mut().is_some_and(|(group, _)| group.runs())
    }

    /// The monitor; `None` without power.
    pub fn qmp(&mut self) -> Option<&mut Qmp> {
        let (group, qmp) = self.running.as_mut()?;
        group.runs().then_some(qmp)
    }

    /// Power on. Returns when the processor runs, or is held in reset.
    pub fn on(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        let doing = "switch the machine on";
        let failed = |e: std::io::Error| ChannelError::caused(ErrorKind::Driver, doing, e);
        wait.check(self.time.now(), doing)?;
        self.off();
        // A connection of a machine that was killed while it started is nobody's.
        while let Ok(Some(stale)) = self.monitor.arrived() {
            drop(stale);
        }
        let complaints = File::create(self.complaints()).map_err(failed)?;
        let mut command = match Path::new(SETPRIV).is_file() {
            true => {
                let mut command = Command::new(SETPRIV);
                command.args(["--pdeathsig", "KILL"]).arg(&self.program);
                command
            }
            false => Command::new(&self.program),
        };
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(complaints);
        if !self.base.as_os_str().is_empty() {
            command.current_dir(&self.base);
        }
        let mut group = Group::spawn(&mut command).map_err(failed)?;
        let stream = self.greet(&mut group, wait)?;
        let mut qmp = Qmp::new(stream, self.time, wait).map_err(|e| self.complaint(e))?;
        if !self.held {
            qmp.execute("cont", wait)?;
        }
        self.running = Some((group, qmp));
        Ok(())
    }

    /// Waits until QEMU is at the monitor's door.
    fn greet(&self, group: &mut Group, wait: &Wait) -> Result<UnixStream, ChannelError> {
        let doing = "wait for QEMU to start";
        loop {
            let slice = self.time.slice(wait, doing)?;
            if let Some(stream) = self.monitor.wait(slice).map_err(|e| ChannelError::caused(ErrorKind::Driver, doing, e))? {
                stream.set_nonblocking(false).map_err(|e| ChannelError::caused(ErrorKind::Driver, doing, e))?;
                return Ok(stream);
            }
            if !group.runs() {
                return Err(self.complaint(ChannelError::new(ErrorKind::Driver, doing)));
            }
        }
    }

    fn complaints(&self) -> PathBuf {
        self.scratch.path().join("qemu.log")
    }

    /// The error with QEMU's own words, if it has said any.
    fn complaint(&self, e: ChannelError) -> ChannelError {
        let mut why = Vec::new();
        let read = File::open(self.complaints()).and_then(|f| f.take(COMPLAINT).read_to_end(&mut why));
        match read {
            Ok(n) if n > 0 => ChannelError::caused(e.kind, e.doing, shown(why.trim_ascii())),
            _ => e,
        }
    }

    /// The power cut: SIGKILL. The process has ended when this returns.
    pub fn off(&mut self) {
        if let Some((mut group, _)) = self.running.take() {
            group.end();
        }
    }
}
