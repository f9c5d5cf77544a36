//! The parent's side of the probe worker: one process a survey, under a deadline.
//!
//! probe-rs drivers block for ever on a silent peer and panic on some answers. In a process of its own that is an error of the bench, with what the
//! process said last; it is never taken for a silent port.
//!
//! Run against: the worker with probe-rs on the board process's Black Magic Probe server. Not run against a real probe or target.

use crate::TimeBase;
use crate::child::Group;
use proofbench_channel::debug::{DebugPort, Survey, SurveyJob, WorkerAct, WorkerJob, WorkerSays};
use proofbench_channel::{ChannelError, ErrorKind, Wait};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// The worker's program name.
const PROGRAM: &str = "proofbench-probe-worker";
/// Names another program.
const PROGRAM_VARIABLE: &str = "PROOFBENCH_PROBE_WORKER";
/// Most bytes that a worker may say.
const SAID_MAX: u64 = 4 << 20;
/// Most bytes of its complaints that are kept.
const COMPLAINT_MAX: usize = 2000;
/// The worker gives up by itself after this, should its parent be gone.
const WORKER_LIFE: Duration = Duration::from_secs(120);
/// How long letting go of nRST may take after a worker had to be killed.
const RELEASE: Duration = Duration::from_secs(2);
/// How long a reset pulse lasts.
const PULSE_MS: u64 = 10;

/// A probe that the worker process drives.
pub struct WorkerProbe {
    program: PathBuf,
    selector: String,
    time: TimeBase,
    running: Option<Running>,
}

struct Running {
    group: Group,
    lines: Receiver<Line>,
    complaints: Receiver<String>,
    /// Lines that `begin` took while it waited.
    early: Vec<WorkerSays>,
}

enum Line {
    Said(WorkerSays),
    Nonsense(String),
}

impl WorkerProbe {
    /// A probe by its selector (`VID:PID[:SERIAL]`, for a board `1d50:6018:127.0.0.1:PORT`). The worker is `program`, else what the variable
    /// `PROOFBENCH_PROBE_WORKER` names, else the one beside the running executable or in the folder above.
    pub fn new(selector: impl Into<String>, program: Option<PathBuf>, time: TimeBase) -> Result<Self, ChannelError> {
        let program = program.or_else(|| std::env::var_os(PROGRAM_VARIABLE).map(PathBuf::from)).or_else(beside).ok_or_else(|| {
            let help = format!("it stands neither beside this program nor in the folder above; build it, or name it in {PROGRAM_VARIABLE}");
            ChannelError::caused(ErrorKind::Disconnected, format!("find {PROGRAM}"), help)
        })?;
        Ok(Self { program, selector: selector.into(), time, running: None })
    }

    fn start(&self, act: WorkerAct) -> Result<Running, ChannelError> {
        let doing = || format!("start {}", self.program.display());
        let job = WorkerJob {
            selector: self.selector.clone(),
            speed: self.time.speed(),
            deadline_ms: u64::try_from(WORKER_LIFE.as_millis()).unwrap_or(u64::MAX),
            act,
        };
        let text = serde_json::to_vec(&job).map_err(|e| ChannelError::caused(ErrorKind::Driver, doing(), e))?;
        let mut command = Command::new(&self.program);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut group = Group::spawn(&mut command).map_err(|e| ChannelError::caused(ErrorKind::Driver, doing(), e))?;
        let (to_lines, lines) = sync_channel(64);
        let (to_complaints, complaints) = sync_channel(1);
        if let Some(out) = group.leader().stdout.take() {
            std::thread::spawn(move || read_lines(out, &to_lines));
        }
        if let Some(err) = group.leader().stderr.take() {
            std::thread::spawn(move || to_complaints.send(read_complaints(err)));
        }
        let mut running = Running { group, lines, complaints, early: Vec::new() };
        if let Some(mut stdin) = running.group.leader().stdin.take()
            && let Err(e) = stdin.write_all(&text)
        {
            running.kill();
            return Err(ChannelError::caused(ErrorKind::Driver, doing(), e));
        }
        Ok(running)
    }

    /// The next line, or why there is none. Whatever the reason, the process has ended then.
    fn next(&self, running: &mut Running, wait: &Wait, doing: &str) -> Result<WorkerSays, ChannelError> {
        loop {
            let slice = match self.time.slice(wait, doing) {
                Ok(slice) => slice,
                Err(e) => {
                    running.kill();
                    return Err(e);
                }
            };
            match running.lines.recv_timeout(slice) {
                Ok(Line::Said(said)) => return Ok(said),
                Ok(Line::Nonsense(line)) => {
                    running.kill();
                    return Err(ChannelError::caused(ErrorKind::Driver, doing, format!("the worker said `{line}`")));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let why = running.obituary();
                    return Err(ChannelError::caused(ErrorKind::Driver, doing, why));
                }
            }
        }
    }

    /// The worker's last word.
    fn answer(&self, running: &mut Running, wait: &Wait, doing: &str) -> Result<WorkerSays, ChannelError> {
        loop {
            let said = if running.early.is_empty() { self.next(running, wait, doing)? } else { running.early.remove(0) };
            match said {
                WorkerSays::Polling => {}
                WorkerSays::Failed { kind, text } => return Err(ChannelError::caused(kind.into(), doing, text)),
                other => return Ok(other),
            }
        }
    }

    /// After a worker had to be killed nobody knows how it left nRST.
    fn let_go_of_reset(&self) {
        let until = self.time.now() + RELEASE.mul_f64(self.time.speed());
        let wait = Wait::until(until, &proofbench_channel::Cancel::new());
        if let Ok(mut running) = self.start(WorkerAct::PulseReset(0)) {
            // Best effort: the error that led here is the one to report.
            let _ = self.answer(&mut running, &wait, "release nRST");
            running.kill();
        }
    }

    fn act(&self, act: WorkerAct, wait: &Wait, doing: &str) -> Result<WorkerSays, ChannelError> {
        let mut running = self.start(act)?;
        let answer = self.answer(&mut running, wait, doing);
        running.kill();
        answer
    }

    /// Selector and name of every probe that this machine has.
    pub fn list(&self, wait: &Wait) -> Result<Vec<(String, String)>, ChannelError> {
        match self.act(WorkerAct::List, wait, "list debug probes")? {
            WorkerSays::Probes(probes) => Ok(probes),
            other => Err(ChannelError::caused(ErrorKind::Driver, "list debug probes", format!("the worker said {other:?}"))),
        }
    }
}

impl DebugPort for WorkerProbe {
    fn begin(&mut self, job: &SurveyJob, wait: &Wait) -> Result<(), ChannelError> {
        const DOING: &str = "begin a survey of the debug port";
        if let Some(mut old) = self.running.take() {
            old.kill();
        }
        wait.check(self.time.now(), DOING)?;
        let mut running = self.start(WorkerAct::Survey(job.clone()))?;
        if job.attach == proofbench_channel::debug::Attach::PowerOnRace {
            // A failure is kept for `finish`, so that it is reported once and in one place.
            let first = self.next(&mut running, wait, DOING)?;
            running.early.push(first);
        }
        self.running = Some(running);
        Ok(())
    }

    fn finish(&mut self, wait: &Wait) -> Result<Survey, ChannelError> {
        const DOING: &str = "survey the debug port";
        let mut running = self.running.take().ok_or_else(|| ChannelError::new(ErrorKind::Refused, "finish a survey that was not begun"))?;
        let answer = self.answer(&mut running, wait, DOING);
        running.kill();
        match answer {
            Ok(WorkerSays::Survey(survey)) => Ok(*survey),
            Ok(other) => Err(ChannelError::caused(ErrorKind::Driver, DOING, format!("the worker said {other:?}"))),
            Err(e) => {
                if matches!(e.kind, ErrorKind::Timeout | ErrorKind::Cancelled | ErrorKind::Driver) {
                    self.let_go_of_reset();
                }
                Err(e)
            }
        }
    }

    fn pulse_reset(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        self.act(WorkerAct::PulseReset(PULSE_MS), wait, "pulse nRST by the probe").map(|_| ())
    }

    fn describe(&self) -> String {
        format!("probe-rs {} through {}", self.selector, self.program.display())
    }
}

impl Running {
    /// Ends the worker and whatever it started.
    fn kill(&mut self) -> Option<ExitStatus> {
        self.group.end()
    }

    fn obituary(&mut self) -> String {
        let complaints = self.complaints.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
        let status = self.kill().map_or_else(|| "unknown status".to_owned(), |s| s.to_string());
        format!("the worker ended without an answer ({status}); it said: {}", complaints.trim())
    }
}

fn read_lines(out: impl Read, to: &SyncSender<Line>) {
    for line in BufReader::new(out.take(SAID_MAX)).split(b'\n') {
        let Ok(bytes) = line else { return };
        let line = match serde_json::from_slice(&bytes) {
            Ok(said) => Line::Said(said),
            Err(_) => Line::Nonsense(String::from_utf8_lossy(&bytes).chars().take(200).flat_map(char::escape_debug).collect()),
        };
        if to.send(line).is_err() {
            return;
        }
    }
}

/// The last words on standard error.
fn read_complaints(mut err: impl Read) -> String {
    let mut tail: Vec<u8> = Vec::new();
    let mut piece = [0u8; 1024];
    while let Ok(n @ 1..) = err.read(&mut piece) {
        tail.extend_from_slice(&piece[..n]);
        let excess = tail.len().saturating_sub(COMPLAINT_MAX);
        tail.drain(..excess);
    }
    String::from_utf8_lossy(&tail).into_owned()
}

/// The worker beside the running executable, or in the folder above, where test executables find it.
fn beside() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    own.ancestors().skip(1).take(2).map(|folder| folder.join(PROGRAM)).find(|p| p.is_file())
}
