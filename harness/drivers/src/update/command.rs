//! An update path by the user's own program: argument vector in, one JSON object out, no shell.
//!
//! The program is run once for each request, with its own arguments and then a verb:
//!
//! | verb | asks for | value of `accepted` |
//! | --- | --- | --- |
//! | `state` | the images that the device holds | list of images |
//! | `upload FILE` | the image in this file to be sent; the file is gone when the program ends | `true` |
//! | `mark HASH test`, `mark HASH confirm` | the image with this hash (hexadecimal), or `running`, to be tried, or kept | list of images after it |
//! | `erase` | the slot that does not run to be emptied | `true` |
//! | `restart` | the device to restart | `true` |
//!
//! It ends with code 0 and prints one of:
//!
//! - `{"accepted": ...}`: the device did it;
//! - `{"refused": "why"}`: the device refused, in its words;
//! - `{"silent": true}`: the device did not answer;
//! - `{"unsupported": true}`: the program has no such request; checks that need it are unresolved.
//!
//! An image is `{"slot": 0, "version": "1.2.0", "hash": "00ff..", "active": true, "confirmed": true, "pending": false, "permanent": false, "bootable": true}`.
//! `slot` and `version` must be there; `hash` may be left out if the device tells none; a flag that is left out is `false`. Slot 0 is the one that runs.
//! Other keys are refused, so that a misspelt flag is not a flag that is not set.
//!
//! Anything else, and a code other than 0, is an error of the bench that shows what was printed. What the program writes on standard error goes into
//! the journal. At its deadline, and on a cancel, it is killed with all that it started: an error too, for nobody knows what it had done. Arguments are
//! shown in errors: a secret belongs into a file that the program reads.
//!
//! Run against: programs made by the tests, among them ones that fail, hang, flood and are missing, and `fixtures/peers/update_command.py`, which can serve as
//! a pattern for a program of one's own. Not run against a real device's update tool.

use super::{Remarks, cannot, end_of, unhex, whole};
use crate::TimeBase;
use crate::child::Program;
use crate::text::shown;
use proofbench_channel::{Answer, ChannelError, Chunk, ErrorKind, ImageState, Intake, Moment, SmpReply, SmpRequest, UpdatePath, Wait};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::io::Write;
use std::time::Duration;

/// Most images that a program may list.
const IMAGES_MOST: usize = 16;

/// The program.
#[derive(Debug, Clone)]
pub struct CommandSetup {
    /// Run for every request, with the verb behind its own arguments.
    pub run: Program,
    /// The rig's time line.
    pub time: TimeBase,
}

/// An update path behind this program. Nothing is run here; an empty argument vector is an error.
pub fn open(setup: CommandSetup) -> Result<Box<dyn UpdatePath>, ChannelError> {
    setup.run.named("run")?;
    let remarks = Remarks::new(setup.time);
    Ok(Box::new(CommandPath { setup, remarks }))
}

struct CommandPath {
    setup: CommandSetup,
    remarks: Remarks,
}

/// What a program prints.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Printed<T> {
    Accepted(T),
    Refused(String),
    Silent(bool),
    Unsupported(bool),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    slot: u32,
    version: String,
    #[serde(default)]
    hash: String,
    #[serde(default)]
    active: bool,
    #[serde(default)]
    confirmed: bool,
    #[serde(default)]
    pending: bool,
    #[serde(default)]
    permanent: bool,
    #[serde(default)]
    bootable: bool,
}

impl Image {
    fn state(self) -> Result<ImageState, String> {
        let hash = unhex(&self.hash).ok_or_else(|| format!("its hash `{}` is not hexadecimal", shown(self.hash.as_bytes())))?;
        Ok(ImageState {
            slot: self.slot,
            version: shown(self.version.as_bytes()),
            hash,
            active: self.active,
            confirmed: self.confirmed,
            pending: self.pending,
            permanent: self.permanent,
            bootable: self.bootable,
        })
    }
}

impl CommandPath {
    fn ask<T: DeserializeOwned>(&mut self, verb: &[&str], wait: &Wait) -> Result<Answer<T>, ChannelError> {
        let finished = self.setup.run.done(verb, self.setup.time, wait)?;
        if !finished.stderr.is_empty() {
            self.remarks.add(format!("`{}` remarks: {}", verb[0], finished.stderr));
        }
        let doing = || format!("read the answer of `{}` to `{}`", self.setup.run.name(), verb[0]);
        let wrong = |why: &str| {
            let valid = r#"{"accepted": ...}, {"refused": "why"}, {"silent": true} or {"unsupported": true}"#;
            let printed = shown(finished.stdout.trim_ascii());
            ChannelError::caused(ErrorKind::Protocol, doing(), format!("it printed `{printed}`: {}; valid: {valid}", shown(why.as_bytes())))
        };
        match serde_json::from_slice(&finished.stdout).map_err(|e| wrong(&e.to_string()))? {
            Printed::Accepted(value) => Ok(Answer::Accepted(value)),
            Printed::Refused(why) => Ok(Answer::Refused(shown(why.as_bytes()))),
            Printed::Silent(true) => Ok(Answer::Silent),
            Printed::Unsupported(true) => cannot(verb[0], &format!("`{}`", self.setup.run.name())),
            Printed::Silent(false) | Printed::Unsupported(false) => Err(wrong("false says nothing")),
        }
    }

    fn images(&mut self, verb: &[&str], wait: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError> {
        let images: Vec<Image> = match self.ask(verb, wait)? {
            Answer::Accepted(images) => images,
            Answer::Refused(words) => return Ok(Answer::Refused(words)),
            Answer::Silent => return Ok(Answer::Silent),
        };
        let doing = || format!("read the images that `{}` lists", self.setup.run.name());
        if images.len() > IMAGES_MOST {
            return Err(ChannelError::caused(ErrorKind::Protocol, doing(), format!("{} of them; at most {IMAGES_MOST}", images.len())));
        }
        let states: Result<Vec<ImageState>, String> = images.into_iter().map(Image::state).collect();
        states.map(Answer::Accepted).map_err(|why| ChannelError::caused(ErrorKind::Protocol, doing(), why))
    }

    fn done(&mut self, verb: &[&str], wait: &Wait) -> Result<Answer<()>, ChannelError> {
        Ok(match self.ask::<bool>(verb, wait)? {
            Answer::Accepted(true) => Answer::Accepted(()),
            Answer::Accepted(false) => {
                let doing = format!("read the answer of `{}` to `{}`", self.setup.run.name(), verb[0]);
                return Err(ChannelError::caused(ErrorKind::Protocol, doing, "`accepted` is false; a refusal is {\"refused\": \"why\"}"));
            }
            Answer::Refused(words) => Answer::Refused(words),
            Answer::Silent => Answer::Silent,
        })
    }
}

impl UpdatePath for CommandPath {
    fn state(&mut self, wait: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError> {
        self.images(&["state"], wait)
    }

    fn chunk(&mut self, chunk: &Chunk<'_>, wait: &Wait) -> Result<Answer<u32>, ChannelError> {
        let image = whole(chunk, "a program")?;
        wait.check(self.setup.time.now(), "upload an image")?;
        let failed = |e: std::io::Error| ChannelError::caused(ErrorKind::Driver, "write the image for the program", e);
        let mut file = tempfile::Builder::new().prefix("proofbench-").suffix(".bin").tempfile().map_err(failed)?;
        file.write_all(image).and_then(|()| file.flush()).map_err(failed)?;
        let name = file.path().to_string_lossy().into_owned();
        Ok(match self.done(&["upload", &name], wait)? {
            Answer::Accepted(()) => Answer::Accepted(end_of(image)),
            Answer::Refused(words) => Answer::Refused(words),
            Answer::Silent => Answer::Silent,
        })
    }

    fn intake(&self) -> Intake {
        Intake::Whole
    }

    fn longest(&self, _: usize) -> Duration {
        self.setup.run.deadline.mul_f64(self.setup.time.speed())
    }

    fn mark(&mut self, hash: Option<&[u8]>, confirm: bool, wait: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError> {
        let hash: String = hash.map_or_else(|| "running".to_owned(), |h| h.iter().map(|b| format!("{b:02x}")).collect());
        self.images(&["mark", &hash, if confirm { "confirm" } else { "test" }], wait)
    }

    fn erase(&mut self, wait: &Wait) -> Result<Answer<()>, ChannelError> {
        self.done(&["erase"], wait)
    }

    fn restart(&mut self, wait: &Wait) -> Result<Answer<()>, ChannelError> {
        self.done(&["restart"], wait)
    }

    fn smp(&mut self, _: &SmpRequest, _: &Wait) -> Result<Answer<SmpReply>, ChannelError> {
        cannot("send an SMP request", "a program")
    }

    fn remarks(&mut self) -> Vec<(Moment, String)> {
        self.remarks.take()
    }

    fn describe(&self) -> String {
        format!("updates by the program `{}`", self.setup.run.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RealClock;
    use proofbench_channel::{Cancel, conformance};
    use proofbench_testkit::{fixture, python};
    use rstest::rstest;
    use std::path::Path;

    const LONG: Duration = Duration::from_secs(60);

    fn path(argv: &[&str], deadline: Duration) -> Box<dyn UpdatePath> {
        let run = Program { argv: argv.iter().map(|a| (*a).to_owned()).collect(), dir: None, deadline };
        open(CommandSetup { run, time: TimeBase::real() }).unwrap()
    }

    /// A program that says this to everything.
    fn saying(script: &str) -> Box<dyn UpdatePath> {
        path(&["sh", "-c", script, "sh"], LONG)
    }

    fn wait() -> Wait {
        Wait::until(Moment(0) + LONG, &Cancel::new())
    }

    /// The program of the fixtures on a state file of its own.
    fn wrapper(folder: &Path) -> Option<Box<dyn UpdatePath>> {
        let python = python(&[])?;
        let (script, state) = (fixture("fixtures/peers/update_command.py"), folder.join("state.json"));
        let words = [python.as_path(), script.as_path(), Path::new("--state"), state.as_path()];
        Some(path(&words.map(|w| w.to_str().unwrap()), LONG))
    }

    fn piece(image: &[u8]) -> Chunk<'_> {
        Chunk { offset: 0, data: image, total: Some(end_of(image)), sha: None }
    }

    #[test]
    fn a_program_with_a_state_conforms() -> conformance::Outcome {
        let folder = tempfile::tempdir().unwrap();
        let Some(mut path) = wrapper(folder.path()) else { return Ok(()) };
        conformance::update(&mut *path, &mut RealClock(TimeBase::real()))
    }

    #[test]
    fn an_image_goes_in_is_tried_kept_and_listed() {
        let folder = tempfile::tempdir().unwrap();
        let Some(mut path) = wrapper(folder.path()) else { return };
        assert_eq!(path.chunk(&piece(b"IMG 1.3.0 payload"), &wait()).unwrap(), Answer::Accepted(17));
        let Answer::Accepted(images) = path.state(&wait()).unwrap() else { panic!("a list") };
        let new = images.iter().find(|i| i.slot == 1).unwrap();
        assert_eq!((new.version.as_str(), new.pending, new.hash.len()), ("1.3.0", false, 32));
        let Answer::Accepted(images) = path.mark(Some(&new.hash), false, &wait()).unwrap() else { panic!("a list") };
        assert!(images.iter().any(|i| i.slot == 1 && i.pending));
        assert_eq!(path.restart(&wait()).unwrap(), Answer::Accepted(()));
        let Answer::Accepted(images) = path.mark(None, true, &wait()).unwrap() else { panic!("a list") };
        assert!(images.iter().any(|i| i.active && i.confirmed && i.version == "1.3.0"), "{images:?}");
        assert_eq!(path.erase(&wait()).unwrap(), Answer::Accepted(()));
        assert!(matches!(path.chunk(&piece(b"no image at all"), &wait()).unwrap(), Answer::Refused(words) if words.contains("magic")));
        assert!(matches!(path.mark(Some(&[7; 32]), true, &wait()).unwrap(), Answer::Refused(_)));
    }

    #[test]
    fn the_file_is_whole_and_gone_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let seen = folder.path().join("seen");
        let script = format!("cp \"$2\" {0}; echo \"$1 $2\" > {0}.args; echo '{{\"accepted\": true}}'", seen.display());
        let image: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
        assert_eq!(saying(&script).chunk(&piece(&image), &wait()).unwrap(), Answer::Accepted(100_000));
        assert_eq!(std::fs::read(&seen).unwrap(), image);
        let args = std::fs::read_to_string(seen.with_extension("args")).unwrap();
        let file = args.trim().strip_prefix("upload ").unwrap();
        assert!(!Path::new(file).exists());
    }

    #[test]
    fn the_verbs_arrive_as_arguments() {
        for (ask, words) in [
            ((|p, w| p.mark(Some(&[0, 255]), false, w).map(drop)) as fn(&mut dyn UpdatePath, &Wait) -> Result<(), ChannelError>, "mark 00ff test"),
            (|p, w| p.mark(None, true, w).map(drop), "mark running confirm"),
            (|p, w| p.erase(w).map(drop), "erase"),
            (|p, w| p.restart(w).map(drop), "restart"),
            (|p, w| p.state(w).map(drop), "state"),
        ] {
            let mut path = saying("echo \"$*\" >&2; echo '{\"silent\": true}'");
            ask(&mut *path, &wait()).unwrap();
            assert!(path.remarks()[0].1.ends_with(&format!("remarks: {words}")), "the journal is told");
        }
    }

    #[test]
    fn what_the_device_did_is_passed_on() {
        assert_eq!(saying("echo '{\"refused\": \"no\\u001b[0m\"}'").erase(&wait()).unwrap(), Answer::Refused("no\\u{1b}[0m".to_owned()));
        assert_eq!(saying("echo '{\"silent\": true}'").state(&wait()).unwrap(), Answer::Silent);
        assert_eq!(saying("echo '{\"unsupported\": true}'").erase(&wait()).unwrap_err().kind, ErrorKind::Unsupported);
    }

    #[rstest]
    #[case::nothing("true")]
    #[case::words("echo done")]
    #[case::another_key("echo '{\"ok\": true}'")]
    #[case::two_keys("echo '{\"accepted\": [], \"refused\": \"x\"}'")]
    #[case::two_objects("echo '{\"accepted\": []} {\"accepted\": []}'")]
    #[case::no_list("echo '{\"accepted\": true}'")]
    #[case::silent_false("echo '{\"silent\": false}'")]
    #[case::a_misspelt_flag("echo '{\"accepted\": [{\"slot\": 0, \"version\": \"1\", \"actve\": true}]}'")]
    #[case::no_version("echo '{\"accepted\": [{\"slot\": 0}]}'")]
    #[case::no_hexadecimal("echo '{\"accepted\": [{\"slot\": 0, \"version\": \"1\", \"hash\": \"xy\"}]}'")]
    #[case::half_a_byte("echo '{\"accepted\": [{\"slot\": 0, \"version\": \"1\", \"hash\": \"abc\"}]}'")]
    #[case::a_flood("head -c 3000000 /dev/zero")]
    #[case::nested_without_end("head -c 500000 /dev/zero | tr '\\0' '['")]
    #[case::too_many(
        "printf '{\"accepted\": ['; for i in $(seq 40); do printf '{\"slot\": 0, \"version\": \"1\"},'; done; echo '{\"slot\": 0, \"version\": \"1\"}]}'"
    )]
    fn what_is_no_answer_is_an_error_of_protocol_that_is_short(#[case] script: &str) {
        let e = saying(script).state(&wait()).unwrap_err();
        assert_eq!(e.kind, ErrorKind::Protocol);
        let why = std::error::Error::source(&e).unwrap().to_string();
        assert!(why.len() < 2_000, "{} characters", why.len());
    }

    #[test]
    fn a_program_that_fails_is_an_error_with_its_complaint() {
        let e = saying("echo '{\"accepted\": true}'; echo 'no route' >&2; exit 3").erase(&wait()).unwrap_err();
        assert_eq!(e.kind, ErrorKind::Driver);
        assert!(std::error::Error::source(&e).unwrap().to_string().contains("no route"));
    }

    #[test]
    fn a_program_that_hangs_is_killed_and_the_device_is_not_called_silent() {
        let mut path = path(&["sh", "-c", "sleep 1000 & wait", "sh"], Duration::from_millis(50));
        assert_eq!(path.state(&wait()).unwrap_err().kind, ErrorKind::Timeout);
    }

    #[test]
    fn a_part_of_an_image_runs_nothing() {
        let part = Chunk { offset: 0, data: &[1], total: Some(2), sha: None };
        assert_eq!(path(&["/nowhere/program"], LONG).chunk(&part, &wait()).unwrap_err().kind, ErrorKind::Unsupported);
    }

    #[test]
    fn no_program_is_an_error_when_it_is_opened() {
        let run = Program { argv: Vec::new(), dir: None, deadline: LONG };
        assert!(open(CommandSetup { run, time: TimeBase::real() }).is_err());
    }
}
