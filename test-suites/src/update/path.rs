//! The update path, step by step: what was asked, what the device said. Refusal and silence are data here; nobody judges.

use proofbench_channel::{Answer, ChannelError, Chunk, ErrorKind, ImageState, Intake};
use proofbench_image::Version;
use proofbench_runner::bench::Boot;
use proofbench_runner::{Bench, Capability, Trouble};
use sha2::{Digest, Sha256};
use std::fmt;
use std::time::Duration;

/// One request on the update path may take this long: an erase of a slot stands behind the first one.
const REQUEST: Duration = Duration::from_secs(20);
/// A request that was not answered is repeated this often: frames get lost on serial lines.
const REPEATS: u32 = 2;
/// A device that asks for the same piece again and again makes no progress after so many answers.
const STALLS: u32 = 4;

/// What a step came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// The device did it.
    Done,
    /// The device refused, in its words.
    Refused(String),
    /// The device answered and made no progress.
    Stalled(String),
    /// The device did not answer. Never a refusal.
    Silent,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Done => f.write_str("accepted"),
            Step::Refused(why) => write!(f, "refused ({why})"),
            Step::Stalled(why) => write!(f, "no progress ({why})"),
            Step::Silent => f.write_str("no answer"),
        }
    }
}

/// What runs: what the update path says and, where the dossier lets us ask, what the device says elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Running {
    /// Version as the update path gives it, in one spelling.
    pub version: String,
    /// Its hash as the update path gives it.
    pub hash: Vec<u8>,
    /// Version as the device gives it to the question `version`, in its own words.
    pub told: Option<String>,
}

impl Running {
    /// Whether the device calls itself this version elsewhere, too. A binding may read a version without its build number.
    pub fn calls_itself(&self, version: &str) -> bool {
        let Some(told) = &self.told else { return true };
        let full = spelled(told) == version;
        full || (!told.contains('+') && version.split_once('+').is_some_and(|(dotted, _)| dotted == told))
    }
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hash: String = self.hash.iter().take(4).map(|b| format!("{b:02x}")).collect();
        write!(f, "{} ({hash}..)", self.version)?;
        match &self.told {
            Some(told) if !self.calls_itself(&self.version) => write!(f, " that calls itself {told}"),
            _ => Ok(()),
        }
    }
}

/// Versions in one spelling: `1.2.0` and `1.2.0+0` are the same.
pub(super) fn spelled(version: &str) -> String {
    version.trim().parse::<Version>().map_or_else(|_| version.trim().to_owned(), |v| v.to_string())
}

/// What the device says that it holds.
pub(super) fn slots(bench: &mut Bench) -> Result<Vec<ImageState>, Trouble> {
    for _ in 0..=REPEATS {
        let wait = bench.wait(REQUEST);
        match bench.update()?.state(&wait)? {
            Answer::Accepted(images) => return Ok(images),
            Answer::Refused(why) => return Err(Trouble::Precondition(format!("the device does not tell what it holds: {why}"))),
            Answer::Silent => {}
        }
    }
    Err(Trouble::Unreachable("no answer on the update path".to_owned()))
}

/// What runs now.
pub(super) fn running(bench: &mut Bench) -> Result<Running, Trouble> {
    if !bench.has(Capability::UpdatePath) {
        // Without a path that tells what the slots hold there is the device's own word only.
        let told = bench.ask("version")?.trim().to_owned();
        return Ok(Running { version: spelled(&told), hash: Vec::new(), told: Some(told) });
    }
    let images = slots(bench)?;
    let Some(active) = images.iter().find(|i| i.active) else {
        return Err(Trouble::Precondition("the device names no image as the one that runs".to_owned()));
    };
    let (version, hash) = (spelled(&active.version), active.hash.clone());
    let told = if bench.can_ask("version") { Some(bench.ask("version")?.trim().to_owned()) } else { None };
    Ok(Running { version, hash, told })
}

/// Hash of the image in the slot that does not run, if the device tells.
pub(super) fn offered_hash(bench: &mut Bench) -> Result<Option<Vec<u8>>, Trouble> {
    Ok(slots(bench)?.into_iter().find(|i| !i.active && !i.hash.is_empty()).map(|i| i.hash))
}

/// Whether the device still means to start another image than the one that runs.
pub(super) fn pending(bench: &mut Bench) -> Result<bool, Trouble> {
    Ok(bench.has(Capability::UpdatePath) && slots(bench)?.iter().any(|i| !i.active && (i.pending || i.permanent)))
}

/// One piece; repeated if it was not answered. A whole image is not: what became of the first one is for the restart to show.
pub(super) fn chunk(bench: &mut Bench, piece: &Chunk<'_>) -> Result<Answer<u32>, Trouble> {
    let longest = bench.longest_piece(piece.data.len()).max(REQUEST);
    let repeats = if bench.update()?.intake() == Intake::Whole { 0 } else { REPEATS };
    for _ in 0..repeats {
        let wait = bench.wait(longest);
        match bench.update()?.chunk(piece, &wait)? {
            Answer::Silent => {}
            answer => return Ok(answer),
        }
    }
    let wait = bench.wait(longest);
    Ok(bench.update()?.chunk(piece, &wait)?)
}

/// How many bytes a piece of this path may have, for a transfer that breaks off, repeats or exchanges pieces. A path that takes whole images only
/// cannot do that, and the device is not asked: a transfer by the book in its place would show nothing.
pub(super) fn piece_len(bench: &mut Bench) -> Result<usize, Trouble> {
    match bench.update()?.intake() {
        Intake::Pieces(most) => Ok(most.max(1)),
        Intake::Whole => Err(ChannelError::new(ErrorKind::Unsupported, "send an image piece by piece").into()),
    }
}

/// What the first piece announces beside the length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Announce {
    /// The digest of the file, as a careful tool does.
    Digest,
    /// Nothing: the device has to keep its pieces in order by itself.
    Nothing,
}

/// The piece at `offset`. The first one announces the length of the file.
pub(super) fn piece(bytes: &[u8], offset: usize, len: usize, announce: Announce) -> Chunk<'_> {
    let end = offset.saturating_add(len).min(bytes.len());
    let first = offset == 0;
    Chunk {
        offset: u32::try_from(offset).unwrap_or(u32::MAX),
        data: bytes.get(offset..end).unwrap_or_default(),
        total: first.then(|| u32::try_from(bytes.len()).unwrap_or(u32::MAX)),
        sha: (first && announce == Announce::Digest).then(|| Sha256::digest(bytes).into()),
    }
}

/// Sends a file as a well-behaved tool does: in pieces, each where the device wants it, until it has all or stops.
pub(super) fn upload(bench: &mut Bench, bytes: &[u8]) -> Result<Step, Trouble> {
    upload_until(bench, bytes, bytes.len(), Announce::Digest)
}

/// As [`upload`], but stops before the piece that would pass `stop`.
pub(super) fn upload_until(bench: &mut Bench, bytes: &[u8], stop: usize, announce: Announce) -> Result<Step, Trouble> {
    bench.quiet(true);
    let step = send_pieces(bench, bytes, stop, announce);
    bench.quiet(false);
    step
}

fn send_pieces(bench: &mut Bench, bytes: &[u8], stop: usize, announce: Announce) -> Result<Step, Trouble> {
    let len = if stop < bytes.len() { piece_len(bench)? } else { bench.update()?.max_chunk().max(1) };
    let (mut offset, mut stalls) = (0, 0);
    // An empty file is offered too: its one piece announces that there is nothing to come.
    if stop == 0 && !bytes.is_empty() {
        return Ok(Step::Done);
    }
    loop {
        let next = match chunk(bench, &piece(bytes, offset, len, announce))? {
            Answer::Accepted(next) => next as usize,
            Answer::Refused(why) => return Ok(Step::Refused(format!("at byte {offset}: {why}"))),
            Answer::Silent => return Ok(Step::Silent),
        };
        if next >= bytes.len() || (offset < stop && next >= stop) {
            return Ok(Step::Done);
        }
        if next <= offset {
            stalls += 1;
            if stalls == STALLS {
                return Ok(Step::Stalled(format!("wants byte {next} again")));
            }
        }
        offset = next;
    }
}

/// Asks to try (or to keep) the image with this hash; without a hash, the one that runs.
pub(super) fn mark(bench: &mut Bench, hash: Option<&[u8]>, confirm: bool) -> Result<Step, Trouble> {
    let wait = bench.wait(REQUEST);
    Ok(match bench.update()?.mark(hash, confirm, &wait)? {
        Answer::Accepted(_) => Step::Done,
        Answer::Refused(why) => Step::Refused(why),
        Answer::Silent => Step::Silent,
    })
}

/// Empties the slot that does not run.
pub(super) fn erase(bench: &mut Bench) -> Result<Step, Trouble> {
    let wait = bench.wait(REQUEST);
    Ok(match bench.update()?.erase(&wait)? {
        Answer::Accepted(()) => Step::Done,
        Answer::Refused(why) => Step::Refused(why),
        Answer::Silent => Step::Silent,
    })
}

/// Longest time that the declaration gives a boot with work to do.
pub(super) fn recovery(bench: &Bench) -> Duration {
    Duration::from_millis(bench.bind().recovery_within_ms)
}

/// How a restart ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Restarted {
    /// Ready in time.
    Ready(Boot),
    /// Not ready, although its console spoke: what it said last.
    NotReady(String),
}

/// Restarts the device by the update path, by the supply if it does not take the request. A device that says nothing at all on its console, not even
/// after its supply was cut, is [`Trouble::Unreachable`]: that may be the bench.
pub(super) fn restart(bench: &mut Bench) -> Result<Restarted, Trouble> {
    let within = recovery(bench);
    let wait = bench.wait(REQUEST);
    bench.drain()?;
    let asked = if bench.has(Capability::UpdatePath) { bench.update()?.restart(&wait) } else { Ok(Answer::Silent) };
    let took = match asked {
        Ok(answer) => answer == Answer::Accepted(()),
        // A path that knows no such request leaves it to the supply.
        Err(e) if e.kind == ErrorKind::Unsupported => false,
        Err(e) => return Err(e.into()),
    };
    if took && let Some(boot) = bench.try_ready(within)? {
        return Ok(Restarted::Ready(boot));
    }
    if took && spoke(bench) {
        return Ok(Restarted::NotReady(last_words(bench)));
    }
    if !bench.has(Capability::Power) {
        return Err(Trouble::Unreachable("the device did not restart by the update path, and the rig cannot cut its supply".to_owned()));
    }
    bench.power_off()?;
    bench.power_on()?;
    match bench.try_ready(within)? {
        // It came up only after its supply was cut: alive, and yet not unattended.
        Some(_) if took => Ok(Restarted::NotReady("no sign of life until its supply was cut".to_owned())),
        Some(boot) => Ok(Restarted::Ready(boot)),
        None if spoke(bench) => Ok(Restarted::NotReady(last_words(bench))),
        None => Err(Trouble::Unreachable("nothing on the console after a restart and after a power cycle".to_owned())),
    }
}

fn spoke(bench: &Bench) -> bool {
    bench.boot_seen().boots > 0
}

/// What the device said last on its way up.
pub(super) fn last_words(bench: &Bench) -> String {
    let seen = bench.boot_seen();
    let words = seen.tripwire.as_ref().or(seen.log.last()).map_or("nothing after its boot line", String::as_str);
    format!("{} boot(s) and not ready; last line: {words}", seen.boots)
}
