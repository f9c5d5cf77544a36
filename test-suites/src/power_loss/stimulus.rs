//! What the device is doing when its power goes: the acts of the bindings, each able to stop at a moment, so that a cut can fall anywhere in it.

use proofbench_channel::{Answer, Chunk, ErrorKind, Moment, UpdatePath, Wait};
use proofbench_model::bind::{Action, ButtonAction, ConsoleAction, SmpAction};
use proofbench_runner::{Bench, Trouble};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// One act that the device acknowledges.
#[derive(Debug, Clone)]
pub enum Step {
    /// Start the device and let it come up.
    Boot,
    /// A line on the console; its parameters are filled in.
    Console(ConsoleAction),
    /// An SMP request; its parameters are filled in.
    Smp(SmpAction),
    /// Hold a button of the fixture, release it, wait for the confirmation.
    Button(ButtonAction),
    /// Send an image, then ask that it be tried at the next boot.
    Install(Rc<Image>),
    /// Keep the image that runs on trial.
    Confirm,
}

/// A genuine image of the maker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Version that the device reports when it runs.
    pub version: String,
    /// Security counter that it carries.
    pub counter: u32,
    /// The name by which devices list it: SHA-256 of header and payload; none if the file is of a format we do not read.
    pub hash: Option<[u8; 32]>,
    /// The file.
    pub bytes: Vec<u8>,
}

impl Image {
    /// Whether a device that lists this hash, or else this version, means this image.
    pub fn is_listed_as(&self, hash: &[u8], version: &str) -> bool {
        match self.hash {
            Some(own) if !hash.is_empty() => hash == own,
            _ => version == self.version,
        }
    }
}

/// A request on the update path may take this long.
const REQUEST: Duration = Duration::from_secs(5);

/// Replaces `{name}` in a text.
fn fill(text: &str, params: &[(&str, &str)]) -> String {
    params.iter().fold(text.to_owned(), |t, (name, value)| t.replace(&format!("{{{name}}}"), value))
}

impl Step {
    /// The step of an action of a binding; what a program or a person does cannot be cut at a moment.
    pub fn of(action: &Action, params: &[(&str, &str)]) -> Option<Step> {
        match action {
            Action::Console(c) => {
                let mut c = c.clone();
                c.send = fill(&c.send, params);
                Some(Step::Console(c))
            }
            Action::Smp(s) => {
                let mut s = s.clone();
                s.body = s.body.iter().map(|(k, v)| (k.clone(), fill(v, params))).collect::<BTreeMap<_, _>>();
                Some(Step::Smp(s))
            }
            Action::Button(b) => Some(Step::Button(b.clone())),
            Action::Http(_) | Action::Command(_) | Action::Operator(_) => None,
        }
    }

    /// Whether the step needs a logged-in session before it.
    pub fn needs_session(&self) -> bool {
        matches!(self, Step::Console(c) if c.login)
    }

    /// Longest time that the step takes undisturbed.
    pub fn within(&self, bench: &Bench) -> Duration {
        match self {
            Step::Boot => Duration::from_millis(bench.bind().recovery_within_ms),
            Step::Console(c) => Duration::from_millis(c.within_ms),
            Step::Button(b) => Duration::from_millis(b.hold_ms + b.within_ms),
            Step::Smp(_) | Step::Confirm => REQUEST,
            Step::Install(image) => bench.longest_piece(image.bytes.len()).max(Duration::from_secs(120)),
        }
    }

    /// Does the step until it is acknowledged (true) or `until` has come. That the device falls silent is no error: its power may be gone.
    pub fn carry_out(&self, bench: &mut Bench, until: Moment) -> Result<bool, Trouble> {
        let left = |bench: &Bench| until.since(bench.now());
        match self {
            Step::Boot => {
                bench.power_on()?;
                let within = left(bench);
                Ok(bench.try_ready(within)?.is_some())
            }
            Step::Console(c) => {
                bench.drain()?;
                bench.send_line(&c.send)?;
                let within = left(bench);
                match bench.expect(&c.expect, within) {
                    Ok(found) => Ok(found.is_some()),
                    Err(Trouble::Unreachable(_)) => Ok(false),
                    Err(other) => Err(other),
                }
            }
            Step::Smp(s) => {
                let request = proofbench_channel::SmpRequest { group: s.group, id: s.id, write: s.write, body: s.body.clone() };
                let wait = bench.wait(left(bench).min(REQUEST));
                Ok(silence(bench.update()?.smp(&request, &wait))?.is_some())
            }
            Step::Button(b) => hold(bench, b, until),
            Step::Install(image) => install(bench, image, until),
            Step::Confirm => {
                let wait = bench.wait(left(bench).min(REQUEST));
                Ok(silence(bench.update()?.mark(None, true, &wait))?.is_some())
            }
        }
    }
}

/// Holds the button as long as its binding says, or until the moment has come; it is released whatever happens in between.
fn hold(bench: &mut Bench, b: &ButtonAction, until: Moment) -> Result<bool, Trouble> {
    bench.drain()?;
    let wait = bench.wait(REQUEST);
    bench.fixture()?.button(&b.name, true, &wait)?;
    let held = bench.sleep(Duration::from_millis(b.hold_ms).min(until.since(bench.now())));
    let wait = bench.wait(REQUEST);
    bench.fixture()?.button(&b.name, false, &wait)?;
    held?;
    let left = until.since(bench.now());
    match &b.expect {
        None => Ok(!left.is_zero()),
        Some(expect) => match bench.expect(expect, left) {
            Ok(found) => Ok(found.is_some()),
            Err(Trouble::Unreachable(_)) => Ok(false),
            Err(other) => Err(other),
        },
    }
}

/// An accepted answer; refusal, silence and a cable that lost its device are no acknowledgement.
fn silence<T>(answer: Result<Answer<T>, proofbench_channel::ChannelError>) -> Result<Option<T>, Trouble> {
    match answer {
        Ok(Answer::Accepted(value)) => Ok(Some(value)),
        Ok(Answer::Refused(_) | Answer::Silent) => Ok(None),
        Err(e) if matches!(e.kind, ErrorKind::Timeout | ErrorKind::Disconnected) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

fn one_piece(path: &mut dyn UpdatePath, image: &Image, sha: [u8; 32], at: usize, wait: &Wait) -> Result<Option<usize>, Trouble> {
    let to = (at + path.max_chunk().max(1)).min(image.bytes.len());
    let total = u32::try_from(image.bytes.len()).map_err(|_| Trouble::Harness("image larger than 4 GiB".to_owned()))?;
    let first = at == 0;
    let chunk = Chunk { offset: at as u32, data: &image.bytes[at..to], total: first.then_some(total), sha: first.then_some(sha) };
    Ok(silence(path.chunk(&chunk, wait))?.map(|next| next as usize))
}

fn install(bench: &mut Bench, image: &Image, until: Moment) -> Result<bool, Trouble> {
    let sha: [u8; 32] = Sha256::digest(&image.bytes).into();
    let mut at = 0;
    // The device says what it wants next; one that never gets on is given up after twice the number of pieces.
    let pieces = image.bytes.len() / bench.update()?.max_chunk().max(1) + 1;
    for _ in 0..2 * pieces + 8 {
        if at >= image.bytes.len() {
            break;
        }
        let request = bench.longest_piece(image.bytes.len()).max(REQUEST);
        let wait = bench.wait(until.since(bench.now()).min(request));
        if bench.now() >= until {
            return Ok(false);
        }
        match one_piece(bench.update()?, image, sha, at, &wait)? {
            Some(next) if next <= image.bytes.len() => at = next,
            _ => return Ok(false),
        }
    }
    if at < image.bytes.len() || bench.now() >= until {
        return Ok(false);
    }
    // The device names its images by the hash of its own format, so it is asked which one arrived.
    let wait = bench.wait(until.since(bench.now()).min(REQUEST));
    let Some(list) = silence(bench.update()?.state(&wait))? else { return Ok(false) };
    let Some(new) = list.iter().find(|i| !i.active && image.is_listed_as(&i.hash, &i.version)) else { return Ok(false) };
    let wait = bench.wait(until.since(bench.now()).min(REQUEST));
    Ok(silence(bench.update()?.mark(Some(&new.hash), false, &wait))?.is_some())
}

/// Steps one after the other, what comes before them, and how long the device is listened to afterwards.
#[derive(Debug, Clone)]
pub struct Stimulus {
    /// In words: "settings write".
    pub name: &'static str,
    /// The device is started (and a session opened, if a step needs one) before the first step, without being part of the disturbed act.
    pub running: bool,
    /// The acts.
    pub steps: Vec<Step>,
    /// Time after the last acknowledgement in which late work is still part of the act.
    pub settle: Duration,
}

impl Stimulus {
    /// Brings the device, which has no power, to just before the first step.
    pub fn prelude(&self, bench: &mut Bench) -> Result<(), Trouble> {
        if self.running {
            bench.power_on()?;
            let within = Duration::from_millis(bench.bind().recovery_within_ms);
            bench.wait_ready(within)?;
            if self.steps.iter().any(Step::needs_session) {
                bench.session()?;
            }
        }
        Ok(())
    }

    /// Carries out the first `count` steps until `until`; gives the number that was acknowledged. A step that is not acknowledged ends it.
    pub fn carry_out(&self, bench: &mut Bench, count: usize, until: Option<Moment>) -> Result<usize, Trouble> {
        for (done, step) in self.steps.iter().take(count).enumerate() {
            let end = bench.now() + step.within(bench);
            if !step.carry_out(bench, until.map_or(end, |u| u.min(end)))? {
                return Ok(done);
            }
        }
        Ok(count.min(self.steps.len()))
    }
}
