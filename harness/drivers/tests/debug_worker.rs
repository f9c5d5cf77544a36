//! What the parent makes of workers that answer, die, hang or talk nonsense. The workers here are shell scripts.
#![allow(clippy::unwrap_used)] // helpers of tests may fail like tests

use proofbench_channel::debug::{Attach, DebugPort, Protocol, Said, Survey, SurveyJob, WorkerSays};
use proofbench_channel::{Cancel, ChannelError, ErrorKind, Reset, Wait};
use proofbench_drivers::TimeBase;
use proofbench_drivers::debug::WorkerProbe;
use rstest::rstest;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::error::Error;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

fn job(attach: Attach) -> SurveyJob {
    SurveyJob { attach, max_ap: 0, ..SurveyJob::new(Protocol::Swd, 0, 0, None) }
}

fn answer() -> String {
    let survey = Survey { dpidr: Said::Value(0x2BA0_1477), attempts: 1, answered: 1, ..Survey::begun(job(Attach::Running)) };
    serde_json::to_string(&WorkerSays::Survey(Box::new(survey))).unwrap()
}

fn script(dir: &Path, body: &str) -> PathBuf {
    let path = dir.join("worker");
    std::fs::write(&path, format!("#!/bin/sh\nIFS= read -r job; printf '%s\\n' \"$job\" >> {0}/job\n{body}\n", dir.display())).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn ask(dir: &Path, body: &str, attach: Attach, within: Duration) -> Result<Survey, ChannelError> {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let time = TimeBase::real();
    let mut probe = WorkerProbe::new("1d50:6018:nowhere", Some(script(dir, body)), time)?;
    let wait = Wait::until(time.now() + within, &Cancel::new());
    probe.begin(&job(attach), &wait)?;
    probe.finish(&wait)
}

/// One script at a time: a file that another thread's fork still holds open for writing cannot be started.
static ONE: Mutex<()> = Mutex::new(());

const LONG: Duration = Duration::from_secs(20);

#[test]
fn an_answer_is_passed_on_and_the_job_was_passed_in() {
    let dir = tempfile::tempdir().unwrap();
    let survey = ask(dir.path(), &format!("echo '\"polling\"'\necho '{}'", answer()), Attach::PowerOnRace, LONG).unwrap();
    assert_eq!(survey.dpidr, Said::Value(0x2BA0_1477));
    let job = std::fs::read_to_string(dir.path().join("job")).unwrap();
    assert!(job.contains("1d50:6018:nowhere") && job.contains("power-on-race"), "{job}");
}

#[rstest]
#[case::dies("echo 'thread panicked at glasgow' >&2; exit 101", ErrorKind::Driver, "thread panicked at glasgow")]
#[case::killed("kill -9 $$", ErrorKind::Driver, "signal: 9")]
#[case::says_nothing("exit 0", ErrorKind::Driver, "without an answer")]
#[case::talks_nonsense("printf 'attached to \\033[31mnRF52\\n'", ErrorKind::Driver, "attached to")]
#[case::reports_a_failure(r#"echo '{"failed":{"kind":"disconnected","text":"open probe: not found"}}'"#, ErrorKind::Disconnected, "not found")]
#[case::answers_something_else(r#"echo '"done"'"#, ErrorKind::Driver, "Done")]
fn a_worker_that_fails_is_a_bench_error(#[case] body: &str, #[case] kind: ErrorKind, #[case] told: &str) {
    let dir = tempfile::tempdir().unwrap();
    let e = ask(dir.path(), body, Attach::Running, LONG).unwrap_err();
    assert_eq!(e.kind, kind, "{e}");
    let text = e.source().map(ToString::to_string).unwrap_or_default();
    assert!(text.contains(told), "{text}");
    assert!(!text.contains('\u{1b}'), "escape sequences must not pass: {text:?}");
}

#[test]
fn a_worker_that_hangs_is_killed_with_all_that_it_started() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("pid");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let time = TimeBase::real();
    let program = script(dir.path(), &format!("sleep 1000 & echo $! > {}; wait", fifo.display()));
    let mut probe = WorkerProbe::new("1d50:6018:nowhere", Some(program), time).unwrap();
    probe.begin(&job(Attach::Running), &Wait::until(time.now() + LONG, &Cancel::new())).unwrap();
    // Opening waits for the script, which has started its own child by then.
    let text = std::fs::read_to_string(&fifo).unwrap();
    let started = pidfd_open(Pid::from_raw(text.trim().parse().unwrap()).unwrap(), PidfdFlags::empty()).unwrap();
    let e = probe.finish(&Wait::until(time.now(), &Cancel::new())).unwrap_err();
    assert_eq!(e.kind, ErrorKind::Timeout);
    let ended = poll(&mut [PollFd::new(&started, PollFlags::IN)], Some(&Timespec { tv_sec: 20, tv_nsec: 0 })).unwrap();
    assert_eq!(ended, 1, "process {text} still runs");
}

#[test]
fn a_cancelled_survey_ends_its_worker() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let time = TimeBase::real();
    let mut probe = WorkerProbe::new("x", Some(script(dir.path(), "exec sleep 1000")), time).unwrap();
    let cancel = Cancel::new();
    let wait = Wait::until(time.now() + LONG, &cancel);
    probe.begin(&job(Attach::Running), &wait).unwrap();
    cancel.cancel();
    assert_eq!(probe.finish(&wait).unwrap_err().kind, ErrorKind::Cancelled);
}

#[test]
fn a_worker_that_is_not_there_is_named() {
    let time = TimeBase::real();
    let mut probe = WorkerProbe::new("x", Some(PathBuf::from("/nonexistent/worker")), time).unwrap();
    let e = probe.begin(&job(Attach::Running), &Wait::until(time.now() + LONG, &Cancel::new())).unwrap_err();
    assert!(e.to_string().contains("/nonexistent/worker"), "{e}");
}

/// A worker that does what it is told: holds until its input ends, surveys, pulses.
fn obedient(dir: &Path) -> PathBuf {
    let survey = answer();
    let body = format!(
        r#"case "$job" in
  *hold-reset*) echo '"holding"'; cat > /dev/null; echo '"done"' ;;
  *pulse-reset*) echo '"done"' ;;
  *power-on-race*) echo '"polling"'; echo '{survey}' ;;
  *) echo '{survey}' ;;
esac"#
    );
    script(dir, &body)
}

/// What the workers were told so far.
fn jobs(dir: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(dir.join("job")).unwrap_or_default();
    let act = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["act"].clone();
    text.lines()
        .map(|line| match act(line) {
            serde_json::Value::String(name) => name,
            serde_json::Value::Object(map) => map.iter().map(|(k, v)| if k == "survey" { k.clone() } else { format!("{k} {v}") }).collect(),
            other => other.to_string(),
        })
        .collect()
}

#[test]
fn one_probe_holds_the_line_or_surveys_and_never_both() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let time = TimeBase::real();
    let wait = Wait::until(time.now() + LONG, &Cancel::new());
    let mut probe = WorkerProbe::new("x", Some(obedient(dir.path())), time).unwrap();
    let mut line = probe.reset_line();
    let because = |e: ChannelError| (e.kind, e.source().map(ToString::to_string).unwrap_or_default());

    line.set(true, &wait).unwrap();
    line.set(true, &wait).unwrap();
    for refused in [probe.begin(&job(Attach::Running), &wait), probe.pulse_reset(&wait)] {
        let (kind, why) = because(refused.unwrap_err());
        assert!(kind == ErrorKind::Refused && why.contains("holds nRST"), "{kind:?} {why}");
    }
    line.set(false, &wait).unwrap();
    probe.begin(&job(Attach::PowerOnRace), &wait).unwrap();
    for refused in [line.set(true, &wait), line.pulse(Duration::from_millis(1), &wait), probe.pulse_reset(&wait)] {
        let (kind, why) = because(refused.unwrap_err());
        assert!(kind == ErrorKind::Refused && why.contains("survey by the same probe"), "{kind:?} {why}");
    }
    probe.finish(&wait).unwrap();
    line.pulse(Duration::from_millis(7), &wait).unwrap();
    assert_eq!(jobs(dir.path()), ["hold-reset", "survey", "pulse-reset 7"]);
}

#[test]
fn a_line_in_an_unknown_state_is_released_once_and_a_released_one_is_left_alone() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let time = TimeBase::real();
    let wait = Wait::until(time.now() + LONG, &Cancel::new());
    let mut line = WorkerProbe::new("x", Some(obedient(dir.path())), time).unwrap().reset_line();
    line.set(false, &wait).unwrap();
    line.set(false, &wait).unwrap();
    assert_eq!(jobs(dir.path()), ["pulse-reset 0"], "a run before this one may have left it low");
    line.set(true, &wait).unwrap();
    drop(line);
    // The hold was ended by its input, in order: no second worker had to let go.
    assert_eq!(jobs(dir.path()), ["pulse-reset 0", "hold-reset"]);
}

#[test]
fn a_pulse_on_a_held_line_ends_the_hold() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let time = TimeBase::real();
    let wait = Wait::until(time.now() + LONG, &Cancel::new());
    let mut probe = WorkerProbe::new("x", Some(obedient(dir.path())), time).unwrap();
    let mut line = probe.reset_line();
    line.set(true, &wait).unwrap();
    line.pulse(Duration::from_millis(1), &wait).unwrap();
    probe.begin(&job(Attach::Running), &wait).unwrap();
    probe.finish(&wait).unwrap();
    assert_eq!(jobs(dir.path()), ["hold-reset", "survey"]);
}

#[rstest]
#[case::cannot(r#"echo '{"failed":{"kind":"unsupported","text":"move nRST"}}'"#, ErrorKind::Unsupported)]
#[case::dies("exit 101", ErrorKind::Driver)]
#[case::says_something_else(r#"echo '"done"'"#, ErrorKind::Driver)]
fn a_line_that_is_not_held_is_an_error(#[case] body: &str, #[case] kind: ErrorKind) {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let time = TimeBase::real();
    let wait = Wait::until(time.now() + LONG, &Cancel::new());
    let mut probe = WorkerProbe::new("x", Some(script(dir.path(), body)), time).unwrap();
    assert_eq!(probe.reset_line().set(true, &wait).unwrap_err().kind, kind);
    // And nothing is taken for held.
    assert!(probe.begin(&job(Attach::Running), &wait).is_ok());
}
