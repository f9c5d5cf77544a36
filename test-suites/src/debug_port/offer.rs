//! Updates as events in the life of a debug lock: installed for trial, gone back, refused. How well the device checks images is another suite's subject.

use proofbench_channel::{Answer, Chunk};
use proofbench_runner::{Bench, Trouble};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// One request; the erase of a slot stands behind the first.
const REQUEST: Duration = Duration::from_secs(20);
/// Most pieces of one upload.
const PIECES: usize = 100_000;

/// A genuine image newer than the one that runs.
pub(super) struct Update {
    /// Its version, as declared.
    version: String,
    bytes: Vec<u8>,
    /// What runs before it.
    before: String,
}

fn core(version: &str) -> &str {
    version.split('+').next().unwrap_or(version)
}

/// The image after the one that runs, in the order of the dossier.
pub(super) fn next(bench: &mut Bench) -> Result<Update, Trouble> {
    let before = bench.ask("version")?;
    let upd = bench.dossier().ixit.rows(7).iter().filter_map(|r| r.upd()).find(|u| u.via == "update-channel" && u.trial).cloned();
    let Some(upd) = upd else {
        return Err(Trouble::IxitMissing("a row of 7-UpdMech with trial, via update-channel".to_owned()));
    };
    let after = upd.images.iter().skip_while(|i| core(&i.version) != core(&before)).nth(1);
    let Some(image) = after else {
        return Err(Trouble::IxitMissing(format!("a genuine image newer than {before} in {} images of 7-UpdMech", upd.images.len())));
    };
    let bytes = bench.image(&image.file)?;
    Ok(Update { version: image.version.clone(), bytes, before })
}

/// Uploads, marks for trial, restarts; the new version must say that it runs.
pub(super) fn install_for_trial(bench: &mut Bench, update: &Update) -> Result<(), Trouble> {
    if let Some(refusal) = upload(bench, &update.bytes)? {
        return Err(Trouble::Precondition(format!("the genuine image {} was refused: {refusal}", update.version)));
    }
    if let Some(refusal) = mark(bench)? {
        return Err(Trouble::Precondition(format!("the genuine image {} was not taken for trial: {refusal}", update.version)));
    }
    restart(bench)?;
    runs(bench, &update.version, "installed")
}

/// After an unconfirmed trial has ended: the old version must run again.
pub(super) fn went_back(bench: &mut Bench, update: &Update) -> Result<(), Trouble> {
    runs(bench, &update.before, "reverted")
}

/// Offers the image with one byte of its middle changed and restarts the device. It must have been refused on the way or at the start.
pub(super) fn offer_damaged(bench: &mut Bench, update: &Update) -> Result<(), Trouble> {
    let mut bytes = update.bytes.clone();
    let middle = bytes.len() / 2;
    if let Some(b) = bytes.get_mut(middle) {
        *b ^= 0x01;
    }
    if upload(bench, &bytes)?.is_none() {
        mark(bench)?;
    }
    restart(bench)?;
    runs(bench, &update.before, "refused")
}

fn runs(bench: &mut Bench, version: &str, after: &str) -> Result<(), Trouble> {
    let now = bench.ask("version")?;
    if core(&now) == core(version) {
        return Ok(());
    }
    Err(Trouble::Precondition(format!("{now} runs after an update that should have been {after}, and not {version}")))
}

/// The refusal, if there was one.
fn upload(bench: &mut Bench, bytes: &[u8]) -> Result<Option<String>, Trouble> {
    bench.quiet(true);
    let refusal = pieces(bench, bytes);
    bench.quiet(false);
    refusal
}

fn pieces(bench: &mut Bench, bytes: &[u8]) -> Result<Option<String>, Trouble> {
    let most = bench.update()?.max_chunk().max(1);
    let mut offset = 0usize;
    for _ in 0..PIECES {
        let end = offset.saturating_add(most).min(bytes.len());
        let first = offset == 0;
        let chunk = Chunk {
            offset: u32::try_from(offset).unwrap_or(u32::MAX),
            data: bytes.get(offset..end).unwrap_or_default(),
            total: first.then(|| u32::try_from(bytes.len()).unwrap_or(u32::MAX)),
            sha: first.then(|| Sha256::digest(bytes).into()),
        };
        let wait = bench.wait(bench.longest_piece(chunk.data.len()).max(REQUEST));
        match bench.update()?.chunk(&chunk, &wait)? {
            Answer::Accepted(next) if next as usize >= bytes.len() => return Ok(None),
            Answer::Accepted(next) => offset = next as usize,
            Answer::Refused(why) => return Ok(Some(why)),
            Answer::Silent => return Err(Trouble::Unreachable(format!("no answer to the piece at byte {offset} of an upload"))),
        }
    }
    Err(Trouble::Precondition("the upload makes no progress".to_owned()))
}

/// Asks to try what was uploaded. The refusal, if there was one.
fn mark(bench: &mut Bench) -> Result<Option<String>, Trouble> {
    let wait = bench.wait(REQUEST);
    let offered = match bench.update()?.state(&wait)? {
        Answer::Accepted(images) => images.into_iter().find(|i| !i.active && !i.hash.is_empty()).map(|i| i.hash),
        Answer::Refused(why) => return Ok(Some(why)),
        Answer::Silent => return Err(Trouble::Unreachable("no answer on the update path".to_owned())),
    };
    let Some(hash) = offered else { return Ok(Some("the device lists no image that was offered".to_owned())) };
    let wait = bench.wait(REQUEST);
    match bench.update()?.mark(Some(&hash), false, &wait)? {
        Answer::Accepted(_) => Ok(None),
        Answer::Refused(why) => Ok(Some(why)),
        Answer::Silent => Err(Trouble::Unreachable("no answer to the request to try an image".to_owned())),
    }
}

fn restart(bench: &mut Bench) -> Result<(), Trouble> {
    let within = Duration::from_millis(bench.bind().recovery_within_ms);
    bench.drain()?;
    let wait = bench.wait(REQUEST);
    if bench.update()?.restart(&wait)? != Answer::Accepted(()) {
        return Err(Trouble::Unreachable("the device did not take the restart request".to_owned()));
    }
    bench.wait_ready(within).map(|_| ())
}
