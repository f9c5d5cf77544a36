//! Helper processes: each in a group of its own, ended with all that it started, and a user's program as one bounded call.

use crate::TimeBase;
use proofbench_channel::{ChannelError, ErrorKind, Wait};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Most bytes of a program's standard output that are kept.
pub const OUTPUT_MOST: usize = 1 << 20;
/// Most bytes of its complaints that are kept.
const COMPLAINT_MOST: usize = 2000;
/// How long the last words of a program that has ended may take to arrive.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A process and all that it started. Dropping it ends them.
///
/// The leader is not reaped before its group has been killed: until then its number cannot be anybody else's.
#[derive(Debug)]
pub struct Group {
    child: Child,
    status: Option<ExitStatus>,
}

impl Group {
    /// Starts `command` as leader of a new group: a Ctrl-C on the bench's terminal is the bench's to handle.
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        Ok(Self { child: command.process_group(0).spawn()?, status: None })
    }

    /// The leader, for its pipes.
    pub fn leader(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Whether the leader still runs.
    pub fn runs(&mut self) -> bool {
        let Some(pid) = self.pid().filter(|_| self.status.is_none()) else { return false };
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        matches!(waitid(WaitId::Pid(pid), look), Ok(None))
    }

    /// Ends every process of the group. The leader has ended when this returns; the others have been sent a signal that they cannot refuse.
    pub fn end(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            if let Some(group) = self.pid() {
                // A group that ended in between is what was wanted.
                let _ = kill_process_group(group, Signal::KILL);
            }
            self.status = self.child.wait().ok();
        }
        self.status
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

/// A user's program: an argument vector, never a shell line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Folder it runs in; `None` is the folder of this process.
    pub dir: Option<PathBuf>,
    /// Longest real time that one call may take.
    pub deadline: Duration,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Whether it ended with code 0.
    pub success: bool,
    /// Its code, if it was not killed.
    pub code: Option<i32>,
    /// How it ended, in words.
    pub status: String,
    /// What it wrote on standard output, at most [`OUTPUT_MOST`] bytes.
    pub stdout: Vec<u8>,
    /// What it complained of: escaped, at most 2000 bytes.
    pub stderr: String,
}

impl Program {
    /// Runs it once with `more` arguments after its own and `input` on standard input. A code other than 0 is no error here.
    ///
    /// At the end, at the deadline (`Timeout`) and on a cancel every process that it started is killed. A program that is not there is `Driver`.
    pub fn run(&self, more: &[&str], input: &[u8], time: TimeBase, wait: &Wait) -> Result<Finished, ChannelError> {
        let doing = format!("run `{}`", self.argv.iter().map(String::as_str).chain(more.iter().copied()).collect::<Vec<_>>().join(" "));
        wait.check(time.now(), &doing)?;
        let Some((program, rest)) = self.argv.split_first() else {
            return Err(ChannelError::caused(ErrorKind::Driver, "run a program", "its argument vector is empty"));
        };
        let mut command = Command::new(program);
        command.args(rest).args(more).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        let mut group = Group::spawn(&mut command).map_err(|e| ChannelError::caused(ErrorKind::Driver, &doing, e))?;
        if let Some(mut stdin) = group.leader().stdin.take() {
            let input = input.to_vec();
            // A program that does not read closes the pipe, or leaves this thread behind until the group is killed.
            std::thread::spawn(move || stdin.write_all(&input));
        }
        let stdout = group.leader().stdout.take().map(|out| collect(out, OUTPUT_MOST));
        let stderr = group.leader().stderr.take().map(|err| collect(err, COMPLAINT_MOST));
        let until = time.now() + self.deadline.mul_f64(time.speed());
        let wait = Wait { until: wait.until.min(until), cancel: wait.cancel.clone() };
        while group.runs() {
            let slice = time.slice(&wait, &doing)?;
            // The end of its output comes with its end, or at least wakes us to look.
            match &stdout {
                Some(end) if matches!(end.1.recv_timeout(slice), Err(RecvTimeoutError::Timeout)) => {}
                _ => std::thread::sleep(slice.min(Duration::from_millis(1))),
            }
        }
        let status = group.end();
        Ok(Finished {
            success: status.is_some_and(|s| s.success()),
            code: status.and_then(|s| s.code()),
            status: status.map_or_else(|| "unknown status".to_owned(), |s| s.to_string()),
            stdout: stdout.and_then(|c| c.0.recv_timeout(LAST_WORDS).ok()).unwrap_or_default(),
            stderr: escaped(&stderr.and_then(|c| c.0.recv_timeout(LAST_WORDS).ok()).unwrap_or_default()),
        })
    }
}

impl Program {
    /// Runs it as [`Program::run`] does, without input; a code other than 0 is `Driver` with its complaint.
    pub fn done(&self, more: &[&str], time: TimeBase, wait: &Wait) -> Result<Finished, ChannelError> {
        let finished = self.run(more, b"", time, wait)?;
        if finished.success {
            return Ok(finished);
        }
        let complaint = if finished.stderr.is_empty() { "without a complaint" } else { &finished.stderr };
        Err(ChannelError::caused(ErrorKind::Driver, format!("run `{}`", self.name()), format!("it ended with {}: {complaint}", finished.status)))
    }

    /// Checks that there is a program at all; `key` is how the rig file calls it.
    pub(crate) fn named(&self, key: &str) -> Result<(), ChannelError> {
        if self.name().is_empty() {
            return Err(ChannelError::caused(ErrorKind::Driver, format!("run `{key}`"), "its argument vector names no program"));
        }
        Ok(())
    }

    /// What a description says of it: the program, not its arguments.
    pub(crate) fn name(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }
}

/// Reads a pipe to its end on a thread of its own and keeps the first `most` bytes. The second receiver hears of the end.
fn collect(mut from: impl Read + Send + 'static, most: usize) -> (Receiver<Vec<u8>>, Receiver<()>) {
    let (tell, told) = sync_channel(1);
    let (ended, end) = sync_channel::<()>(0);
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        let _ = (&mut from).take(most as u64).read_to_end(&mut kept);
        // What is too much is read all the same: a full pipe would hold the program up.
        let _ = io::copy(&mut from, &mut io::sink());
        let _ = tell.send(kept);
        drop(ended);
    });
    (told, end)
}

fn escaped(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .trim()
        .chars()
        .flat_map(|c| if c == '\n' { "; ".chars().collect() } else { c.escape_debug().collect::<Vec<_>>() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proofbench_channel::Cancel;

    fn sh(script: &str, deadline: Duration) -> Program {
        Program { argv: ["sh", "-c", script, "sh"].map(str::to_owned).to_vec(), dir: None, deadline }
    }

    fn run(program: &Program, more: &[&str], input: &[u8]) -> Result<Finished, ChannelError> {
        let time = TimeBase::real();
        program.run(more, input, time, &Wait::until(time.now() + Duration::from_secs(60), &Cancel::new()))
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn arguments_and_input_arrive_and_the_output_comes_back() {
        let finished = run(&sh("cat; printf %s \"$1\"; printf 'a\\033[0m\\n' >&2; exit 3", LONG), &["x y"], b"in ").unwrap();
        assert_eq!(finished.stdout, b"in x y");
        assert_eq!((finished.success, finished.stderr.as_str()), (false, "a\\u{1b}[0m"));
        assert!(finished.status.contains('3'), "{}", finished.status);
    }

    #[test]
    fn a_flood_is_cut_and_does_not_hold_the_program_up() {
        let finished = run(&sh("head -c 3000000 /dev/zero", LONG), &[], b"").unwrap();
        assert_eq!((finished.success, finished.stdout.len()), (true, OUTPUT_MOST));
    }

    #[test]
    fn a_program_that_hangs_is_killed_at_its_deadline() {
        let e = run(&sh("sleep 1000 & wait", Duration::from_millis(50)), &[], b"").unwrap_err();
        assert_eq!(e.kind, ErrorKind::Timeout);
    }

    #[test]
    fn what_a_program_leaves_behind_does_not_hold_the_answer_up() {
        let finished = run(&sh("sleep 1000 & echo done", LONG), &[], b"").unwrap();
        assert_eq!(finished.stdout, b"done\n");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let program = Program { argv: vec!["/nowhere/switch".to_owned()], dir: None, deadline: LONG };
        assert!(run(&program, &["on"], b"").unwrap_err().to_string().contains("/nowhere/switch on"));
    }
}
