//! The process itself: started, waited for, killed.

use super::crash::{Header, Log};
use super::qmp::Qmp;
use crate::TimeBase;
use crate::child::Group;
use crate::line::Door;
use crate::text::shown;
use proofbench_channel::{ChannelError, ErrorKind, PowerAsk, Wait};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How much of what QEMU complained of goes into an error.
const COMPLAINT: u64 = 2_000;
/// How often it is looked whether an armed operation is reached.
const LOOK: Duration = Duration::from_millis(1);
/// Runs a program that is killed when its parent dies (util-linux, which Debian always has): a bench that is killed must not leave machines running.
const SETPRIV: &str = "/usr/bin/setpriv";

/// The machine's process, on or off.
#[derive(Debug)]
pub(super) struct Process {
    pub program: PathBuf,
    arguments: Vec<String>,
    /// What the guest is told at the next power-on.
    pub values: BTreeMap<String, u64>,
    base: PathBuf,
    monitor: Door,
    pub time: TimeBase,
    running: Option<(Group, Qmp)>,
    /// Whether the reset line is held; kept over power-off.
    pub held: bool,
    pub asked: PowerAsk,
    /// The log of the flash, where the machine keeps one: begun anew at each power-on, unless a recording goes on.
    pub log: Option<Log>,
    pub keep_log: bool,
    /// Ends the watcher of an armed cut.
    watching: Option<Arc<AtomicBool>>,
    /// Removed with the last handle.
    scratch: tempfile::TempDir,
}

impl Process {
    pub fn new(
        program: PathBuf,
        (arguments, values): (Vec<String>, BTreeMap<String, u64>),
        base: PathBuf,
        monitor: Door,
        time: TimeBase,
        scratch: tempfile::TempDir,
    ) -> Self {
        Self {
            program,
            arguments,
            values,
            base,
            monitor,
            time,
            running: None,
            held: false,
            asked: PowerAsk::Off,
            log: None,
            keep_log: false,
            watching: None,
            scratch,
        }
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
        if let (Some(log), false) = (&self.log, self.keep_log) {
            log.begin(Header::default())?;
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
        command.args(self.filled()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(complaints);
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
        if self.keep_log {
            self.cut_when_stopped();
        }
        Ok(())
    }

    /// Kills the machine as soon as its flash has stopped before an armed operation. Without power nothing happens; the next power-on sees to it.
    pub fn cut_when_stopped(&mut self) {
        let (Some((group, _)), Some(log)) = (&mut self.running, self.log.clone()) else { return };
        let armed = log.header().is_ok_and(|h| h.stop_at > 0);
        let Some(pid) = i32::try_from(group.leader().id()).ok().and_then(Pid::from_raw).filter(|_| armed) else { return };
        let over = Arc::new(AtomicBool::new(false));
        if let Some(before) = self.watching.replace(Arc::clone(&over)) {
            before.store(true, Ordering::SeqCst);
        }
        // The leader is not reaped before `over` is set, so its number is nobody else's.
        std::thread::spawn(move || {
            while !over.load(Ordering::SeqCst) {
                if log.header().is_ok_and(|h| h.stopped) {
                    let _ = kill_process(pid, Signal::KILL);
                    return;
                }
                std::thread::sleep(LOOK);
            }
        });
    }

    /// The arguments with this power-on's numbers.
    fn filled(&self) -> Vec<String> {
        // Keyed by the operating system's randomness, anew for each.
        let random = std::hash::RandomState::new().build_hasher().finish() as u32;
        let one = |argument: &String| {
            let text = argument.replace("{qemu.random}", &format!("{random:08x}"));
            self.values.iter().fold(text, |text, (name, value)| text.replace(&format!("{{qemu.{name}}}"), &value.to_string()))
        };
        self.arguments.iter().map(one).collect()
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
        if let Some(over) = self.watching.take() {
            over.store(true, Ordering::SeqCst);
        }
        if let Some((mut group, _)) = self.running.take() {
            group.end();
        }
    }
}
