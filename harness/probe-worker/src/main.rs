//! See the library's documentation. Standard input: one [`WorkerJob`] as a line of JSON; its end ends a hold. Standard output: [`WorkerSays`] lines.

use proofbench_channel::debug::{Failure, WorkerJob, WorkerSays};
use std::io::{BufRead, Read, Write};
use std::process::ExitCode;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// Longest job that is read.
const JOB_MAX: u64 = 64 * 1024;

fn main() -> ExitCode {
    // Not the locked handle: a driver that prints would wait for ever.
    let mut say = |line: &WorkerSays| {
        let mut text = serde_json::to_string(line).unwrap_or_default();
        text.push('\n');
        let mut out = std::io::stdout();
        // A parent that has gone away needs no answer.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    };
    let mut text = String::new();
    let read = std::io::stdin().lock().take(JOB_MAX).read_line(&mut text).map_err(|e| e.to_string());
    match read.and_then(|_| serde_json::from_str::<WorkerJob>(&text).map_err(|e| e.to_string())) {
        Ok(job) => {
            let last = proofbench_probe_worker::run(&job, &mut say, &mut wait_for_end);
            say(&last);
            ExitCode::SUCCESS
        }
        Err(e) => {
            say(&WorkerSays::Failed { kind: Failure::Driver, text: format!("read the job: {e}") });
            ExitCode::FAILURE
        }
    }
}

/// Returns at the end of standard input, or after `longest`.
fn wait_for_end(longest: Duration) {
    let (ended, end) = sync_channel::<()>(0);
    std::thread::spawn(move || {
        let mut rest = [0; 256];
        while matches!(std::io::stdin().read(&mut rest), Ok(1..)) {}
        drop(ended);
    });
    // Nothing is ever sent: the channel breaks, or the time is over.
    let _ = end.recv_timeout(longest);
}
