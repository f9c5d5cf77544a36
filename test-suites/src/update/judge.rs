//! What became of an offer. Refused means more than the word: what runs is unchanged after two restarts, nothing crashed on the way, nothing waits to be
//! started, and afterwards the genuine image still goes in by the same path (that last part is the caller's: [`super::lab::Lab::control`]).

use super::lab::{Lab, format};
use super::path::{self, Restarted, Running, Step};
use proofbench_image::matrix::{Expect, Policy, Variant};
use proofbench_runner::{Bench, Trouble};

/// Restarts after an offer before what runs counts as unchanged.
const RESTARTS: u32 = 2;

/// How an offer is made final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// Asked to be tried; if that is refused, asked to be kept at once.
    Both,
    /// Asked to be kept at once, without a trial.
    Keep,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// What ran still runs and nothing else happened.
    Kept,
    /// Something else runs.
    Ran(Running),
    /// The device started again by itself although nothing had been installed.
    Crashed(String),
    /// The device does not come up any more.
    Dead(String),
    /// The device did not answer a request: not a refusal.
    Mute(String),
}

/// An offer with its answers and its fate.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    /// What the device said, step by step.
    pub said: String,
    /// Whether it agreed to try the image.
    pub agreed: bool,
    /// What became of it.
    pub fate: Fate,
}

/// Offers a file by the whole sequence of steps, whatever the device says to each, restarts twice, and looks at what runs.
pub(super) fn offer(bench: &mut Bench, lab: &Lab, bytes: &[u8], route: Route) -> Result<Outcome, Trouble> {
    // What a control left in the slot is genuine: started in the place of a refused offer it would look like the offer.
    path::erase(bench)?;
    let stale = path::offered_hash(bench)?;
    let uploaded = path::upload(bench, bytes)?;
    let mut said = format!("upload: {uploaded}");
    if uploaded == Step::Silent {
        // Only the restart shows whether it died of it; silence alone decides nothing.
        let fate = match after_restarts(bench, lab)? {
            Fate::Kept => Fate::Mute("the upload was not answered".to_owned()),
            other => other,
        };
        return Ok(Outcome { said, agreed: false, fate });
    }
    if stale.is_some() && matches!(uploaded, Step::Refused(_) | Step::Stalled(_)) {
        said.push_str("; not marked: the slot still holds an image from before");
        return Ok(Outcome { said, agreed: false, fate: after_restarts(bench, lab)? });
    }
    insist_and_look(bench, lab, bytes, route, said)
}

/// What becomes of an image of which the device got a part: every step that would start it, then the restarts.
pub(super) fn insist_and_look(bench: &mut Bench, lab: &Lab, whole: &[u8], route: Route, mut said: String) -> Result<Outcome, Trouble> {
    let Insisted { mute, agreed } = insist(bench, lab, whole, route, &mut said)?;
    let fate = match (after_restarts(bench, lab)?, mute) {
        (Fate::Kept, Some(step)) => Fate::Mute(format!("{step} was not answered")),
        (fate, _) => fate,
    };
    Ok(Outcome { said, agreed, fate })
}

/// How the device took the request to start what it was offered.
#[derive(Default)]
struct Insisted {
    /// The step that was met with silence.
    mute: Option<&'static str>,
    /// Whether it agreed to try the image.
    agreed: bool,
}

/// Asks for the offered image to be started, by the hashes that it could go by.
fn insist(bench: &mut Bench, lab: &Lab, bytes: &[u8], route: Route, said: &mut String) -> Result<Insisted, Trouble> {
    let mut how = Insisted::default();
    for hash in hashes(bench, lab, bytes)? {
        if route == Route::Both {
            let step = path::mark(bench, Some(&hash), false)?;
            said.push_str(&format!("; test: {step}"));
            match step {
                Step::Done => {
                    how.agreed = true;
                    break;
                }
                Step::Silent => how.mute = Some("the mark for trial"),
                Step::Refused(_) | Step::Stalled(_) => {}
            }
        }
        let step = path::mark(bench, Some(&hash), true)?;
        said.push_str(&format!("; keep: {step}"));
        match step {
            Step::Done => break,
            Step::Silent => how.mute = Some("the mark for good"),
            Step::Refused(_) | Step::Stalled(_) => {}
        }
    }
    Ok(how)
}

/// Hashes by which a device may know what it was given: what it says that it holds, what the file claims. Never the one that runs: marking that
/// would only confirm what is there.
fn hashes(bench: &mut Bench, lab: &Lab, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Trouble> {
    let mut all = Vec::new();
    all.extend(path::offered_hash(bench)?);
    all.extend(format(&lab.bind)?.claimed_hash(bytes));
    if all.is_empty() {
        all.push(vec![0; 32]);
    }
    all.dedup();
    all.retain(|h| *h != lab.baseline.hash);
    Ok(all)
}

/// Restarts and looks, twice.
pub(super) fn after_restarts(bench: &mut Bench, lab: &Lab) -> Result<Fate, Trouble> {
    for n in 1..=RESTARTS {
        match path::restart(bench)? {
            Restarted::NotReady(words) => return Ok(Fate::Dead(format!("restart {n}: {words}"))),
            Restarted::Ready(boot) if boot.boots > 1 => {
                return Ok(Fate::Crashed(format!("restart {n}: {} boots, the last one by `{}`", boot.boots, boot.cause)));
            }
            Restarted::Ready(_) => {}
        }
        let running = path::running(bench)?;
        if running != lab.baseline {
            return Ok(Fate::Ran(running));
        }
    }
    if path::pending(bench)? {
        return Ok(Fate::Mute("after two restarts the offered image still waits to be started".to_owned()));
    }
    Ok(Fate::Kept)
}

/// Whether the declaration says that an offer may go in.
pub(super) fn may_install(lab: &Lab, expect: Expect) -> bool {
    match expect {
        Expect::Refused => false,
        Expect::Installs => true,
        Expect::DeclaredBy(Policy::Downgrade) => lab.bind.downgrade == "allowed",
        Expect::DeclaredBy(Policy::SameVersion) => lab.bind.same_version == "allowed",
        Expect::DeclaredBy(Policy::UnsignedTail) => lab.bind.unsigned_tail,
    }
}

/// What is wrong with a fate, in words; `Ok(None)` if it is right. Silence is [`Trouble::Unreachable`].
pub(super) fn wrong(lab: &Lab, variant: &Variant, outcome: &Outcome) -> Result<Option<String>, Trouble> {
    let Outcome { said, fate, .. } = outcome;
    let about = format!("{} ({})", variant.id, variant.title);
    Ok(match fate {
        Fate::Kept => None,
        Fate::Ran(_) if may_install(lab, variant.expect) => None,
        Fate::Ran(running) => Some(format!("{about}: {running} runs instead of {}; {said}", lab.baseline)),
        Fate::Crashed(how) => Some(format!("{about}: the device restarted by itself; {how}; {said}")),
        Fate::Dead(how) => Some(format!("{about}: the device does not come up; {how}; {said}")),
        Fate::Mute(how) => return Err(Trouble::Unreachable(format!("{about}: {how}; {said}"))),
    })
}

/// Offers a variant by the trial step, by the keep step where the device refuses a trial, and by the keep step alone where it agreed to one (the refusal
/// then came later, and the other step may know less). Gives what is wrong; what the declaration allows to run is sent back.
pub(super) fn offer_and_judge(bench: &mut Bench, lab: &Lab, variant: &Variant) -> Result<Option<String>, Trouble> {
    let mut route = Route::Both;
    loop {
        let mut outcome = offer(bench, lab, &variant.bytes, route)?;
        if let Fate::Crashed(how) = &outcome.fate {
            // A restart out of the blue may be the supply's: it counts if the same offer brings it about again.
            bench.note(&format!("{}: {how}; offered once more", variant.id));
            let first = how.clone();
            outcome = offer(bench, lab, &variant.bytes, route)?;
            if outcome.fate == Fate::Kept {
                return Err(Trouble::Unreachable(format!("{}: the device restarted by itself at one of two offers: {first}", variant.id)));
            }
        }
        bench.note(&format!("{}: {:?}; {}", variant.id, outcome.fate, outcome.said));
        if let Some(what) = wrong(lab, variant, &outcome)? {
            return Ok(Some(what));
        }
        if matches!(outcome.fate, Fate::Ran(_)) {
            lab.go_back(bench)?;
            return Ok(None);
        }
        if route == Route::Keep || !outcome.agreed {
            return Ok(None);
        }
        route = Route::Keep;
    }
}
