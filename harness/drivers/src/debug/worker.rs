//! The probe worker as a process: started with a job, listened to under a deadline, ended with all that it started.
//!
//! probe-rs drivers block for ever on a silent peer and panic on some answers. In a process of its own that is an error of the bench, with what the
//! process said last; it is never taken for a silent port.

use crate::TimeBase;
use crate::child::Group;
use proofbench_channel::debug::{WorkerAct, WorkerJob, WorkerSays};
use proofbench_channel::{Cancel, ChannelError, ErrorKind, Wait};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
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
const LIFE: Duration = Duration::from_secs(120);
/// A worker that only holds a line ends with its parent; this is for a parent that forgets.
const HOLDING_LIFE: Duration = Duration::from_secs(24 * 3600);
/// How long letting go of nRST may take after a worker had to be killed.
const RELEASE: Duration = Duration::from_secs(2);

/// Which worker drives which probe.
#[derive(Debug)]
pub(super) struct Worker {
    pub program: PathBuf,
    pub selector: String,
    pub time: TimeBase,
}

/// A worker at work.
pub(super) struct Running {
    group: Group,
    /// Open while a line is to be held.
    hold: Option<ChildStdin>,
    lines: Receiver<Line>,
    complaints: Receiver<String>,
    /// Lines that were taken before somebody asked for the last word.
    early: Vec<WorkerSays>,
}

enum Line {
    Said(WorkerSays),
    Nonsense(String),
}

impl Worker {
    /// The worker is `program`, else what the variable `PROOFBENCH_PROBE_WORKER` names, else the one beside the running executable or in the folder above.
    pub fn find(selector: String, program: Option<PathBuf>, time: TimeBase) -> Result<Self, ChannelError> {
        let program = program.or_else(|| std::env::var_os(PROGRAM_VARIABLE).map(PathBuf::from)).or_else(beside).ok_or_else(|| {
            let help = format!("it stands neither beside this program nor in the folder above; build it, or name it in {PROGRAM_VARIABLE}");
            ChannelError::caused(ErrorKind::Disconnected, format!("find {PROGRAM}"), help)
        })?;
        Ok(Self { program, selector, time })
    }

    /// Starts a process on this job.
    pub fn start(&self, act: WorkerAct) -> Result<Running, ChannelError> {
        let doing = || format!("start {}", self.program.display());
        let holds = act == WorkerAct::HoldReset;
        let life = if holds { HOLDING_LIFE } else { LIFE };
        let job = WorkerJob {
            selector: self.selector.clone(),
            speed: self.time.speed(),
            deadline_ms: u64::try_from(life.as_millis()).unwrap_or(u64::MAX),
            act,
        };
        let mut text = serde_json::to_vec(&job).map_err(|e| ChannelError::caused(ErrorKind::Driver, doing(), e))?;
        text.push(b'\n');
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
        let stdin = group.leader().stdin.take();
        let mut running = Running { group, hold: None, lines, complaints, early: Vec::new() };
        if let Some(mut stdin) = stdin {
            if let Err(e) = stdin.write_all(&text) {
                running.kill();
                return Err(ChannelError::caused(ErrorKind::Driver, doing(), e));
            }
            running.hold = Some(stdin).filter(|_| holds);
        }
        Ok(running)
    }

    /// Starts a process on this job and takes its first word; a failure is kept for [`Worker::answer`], so that it is reported once and in one place.
    pub fn start_and_hear(&self, act: WorkerAct, wait: &Wait, doing: &str) -> Result<Running, ChannelError> {
        let mut running = self.start(act)?;
        let first = self.next(&mut running, wait, doing)?;
        running.early.push(first);
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

    /// The worker's last word. What it held is let go first.
    pub fn answer(&self, running: &mut Running, wait: &Wait, doing: &str) -> Result<WorkerSays, ChannelError> {
        running.hold = None;
        loop {
            let said = if running.early.is_empty() { self.next(running, wait, doing)? } else { running.early.remove(0) };
            match said {
                WorkerSays::Polling | WorkerSays::Holding => {}
                WorkerSays::Failed { kind, text } => return Err(ChannelError::caused(kind.into(), doing, text)),
                other => return Ok(other),
            }
        }
    }

    /// A job from its beginning to its last word.
    pub fn act(&self, act: WorkerAct, wait: &Wait, doing: &str) -> Result<WorkerSays, ChannelError> {
        let mut running = self.start(act)?;
        let answer = self.answer(&mut running, wait, doing);
        running.kill();
        answer
    }

    /// After a worker had to be killed nobody knows how it left nRST. Says whether it is released for certain.
    pub fn let_go_of_reset(&self) -> bool {
        let until = self.time.now() + RELEASE.mul_f64(self.time.speed());
        let wait = Wait::until(until, &Cancel::new());
        // The error that led here is the one to report.
        self.act(WorkerAct::PulseReset(0), &wait, "release nRST").is_ok()
    }
}

impl Running {
    /// Ends the worker and whatever it started.
    pub fn kill(&mut self) -> Option<ExitStatus> {
        self.group.end()
    }

    /// What it said first, if [`Worker::start_and_hear`] started it.
    pub fn first_word(&self) -> Option<&WorkerSays> {
        self.early.first()
    }

    /// Whether the process still runs.
    pub fn runs(&mut self) -> bool {
        self.group.runs()
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
