//! See the library's documentation. Standard input: one [`WorkerJob`] as JSON. Standard output: [`WorkerSays`] lines.

use proofbench_channel::debug::{Failure, WorkerJob, WorkerSays};
use std::io::{Read, Write};
use std::process::ExitCode;

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
    let read = std::io::stdin().take(JOB_MAX).read_to_string(&mut text).map_err(|e| e.to_string());
    match read.and_then(|_| serde_json::from_str::<WorkerJob>(&text).map_err(|e| e.to_string())) {
        Ok(job) => {
            let last = proofbench_probe_worker::run(&job, &mut say);
            say(&last);
            ExitCode::SUCCESS
        }
        Err(e) => {
            say(&WorkerSays::Failed { kind: Failure::Driver, text: format!("read the job: {e}") });
            ExitCode::FAILURE
        }
    }
}
