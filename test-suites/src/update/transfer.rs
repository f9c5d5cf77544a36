//! Transfers that do not go by the book: broken off, repeated, out of order, begun anew in the middle.
//!
//! Purpose: 5.3-2-2, rows U16 and U19. Verdict: VIOLATED if an unfinished image runs or harms the device, or if the device acknowledges a whole file and
//! then holds something else (two tries, with a plain transfer of the same file before and after). Refusing the odd transfer is as good as taking it, if a
//! plain one works afterwards.

use super::judge;
use super::lab::{Genuine, Lab};
use super::path::{self, Announce, Restarted, Step};
use super::{BUDGET, NEEDS, read_here};
use crate::report::{Report, each_row};
use proofbench_channel::Answer;
use proofbench_image::matrix::{self, Expect};
use proofbench_model::dossier::Row;
use proofbench_runner::{Bench, Check, Trouble};

const UNITS: &[&str] = &["5.3-2-2 b"];
const B: &str = "5.3-2-2 b";
const TWINS: &[&str] = &["late-refusal", "slow-copy", "size-refused-early", "silent-bad-command"];
const CONTROL: &str = "a plain transfer of the same genuine image goes in before and after";

/// U16: broken off.
pub const INTERRUPTED: Check = Check {
    id: "update/interrupted-transfer",
    title: "an image of which a part arrived is not started, and a transfer that goes on later ends well",
    units: UNITS,
    table: Some(7),
    row_wanted: Some(read_here),
    needs: NEEDS,
    permissions: &[],
    defects: &["partial-upload-boots"],
    twins: TWINS,
    control: CONTROL,
    budget: BUDGET,
    run: |bench| each_row(bench, UNITS, interrupted),
};

/// U16: pieces twice and in the wrong order.
pub const REPEATED: Check = Check {
    id: "update/repeated-pieces",
    title: "pieces that come twice or in the wrong order do not change what is installed",
    units: UNITS,
    table: Some(7),
    row_wanted: Some(read_here),
    needs: NEEDS,
    permissions: &[],
    defects: &["repeat-chunk-appends"],
    twins: TWINS,
    control: CONTROL,
    budget: BUDGET,
    run: |bench| each_row(bench, UNITS, repeated),
};

/// U19.
pub const SECOND: Check = Check {
    id: "update/second-update",
    title: "a second update that begins during the first ends as one of the two, whole",
    units: UNITS,
    table: Some(7),
    row_wanted: Some(read_here),
    needs: NEEDS,
    permissions: &[],
    defects: &["second-upload-mixes"],
    twins: TWINS,
    control: CONTROL,
    budget: BUDGET,
    run: |bench| each_row(bench, UNITS, second),
};

fn interrupted(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    const EXPECTED: &str = "a part of an image is never started, and the device takes the whole one afterwards";
    let piece = path::piece_len(bench)?;
    let mut lab = Lab::open(bench, row)?;
    lab.control_next(bench)?;
    let base = lab.next()?;
    let len = base.bytes.len();
    let stops = [len / 10, len / 2, len * 9 / 10, len.saturating_sub(1).saturating_sub((len - 1) % piece)];
    for stop in stops {
        // Nothing of an earlier, whole transfer must stand in the slot: it would make the image whole again.
        path::erase(bench)?;
        let uploaded = path::upload_until(bench, &base.bytes, stop, Announce::Digest)?;
        if uploaded != Step::Done {
            return Err(Trouble::NoOpportunity(format!("the transfer could not be taken to byte {stop}: {uploaded}")));
        }
        let variant = matrix::supplied("interrupted", "genuine image of which a part was sent", Vec::new(), Expect::Refused);
        let outcome = judge::insist_and_look(bench, &lab, &base.bytes, judge::Route::Both, format!("broken off at byte {stop} of {len}"))?;
        if let Some(what) = judge::wrong(&lab, &variant, &outcome)? {
            report.violated(bench, B, EXPECTED, &what);
            return Ok(());
        }
    }
    // Broken off and taken up again without a restart.
    path::upload_until(bench, &base.bytes, len / 2, Announce::Digest)?;
    bench.sleep(std::time::Duration::from_secs(2))?;
    if let Some(what) = ends_whole(bench, &lab, &base, "taken up again after a pause", &mut |bench| path::upload(bench, &base.bytes))? {
        report.violated(bench, B, EXPECTED, &what);
        return Ok(());
    }
    lab.conclude(bench, report, &base, EXPECTED, &format!("broken off at {stops:?} of {len} bytes: never started; taken up again: installed"))
}

fn repeated(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    const EXPECTED: &str = "what the device acknowledges as a whole file is that file";
    path::piece_len(bench)?;
    let mut lab = Lab::open(bench, row)?;
    lab.control_next(bench)?;
    let base = lab.next()?;
    for (about, skip) in [("every piece sent twice", false), ("every piece sent after the one that follows it", true)] {
        if let Some(what) = ends_whole(bench, &lab, &base, about, &mut |bench| odd_upload(bench, &base.bytes, skip))? {
            report.violated(bench, B, EXPECTED, &what);
            return Ok(());
        }
    }
    lab.conclude(bench, report, &base, EXPECTED, "pieces twice and out of order: the image was installed whole, or refused")
}

/// Sends each piece twice, or, with `skip`, first the piece after it.
fn odd_upload(bench: &mut Bench, bytes: &[u8], skip: bool) -> Result<Step, Trouble> {
    bench.quiet(true);
    let step = odd_pieces(bench, bytes, skip);
    bench.quiet(false);
    step
}

fn odd_pieces(bench: &mut Bench, bytes: &[u8], skip: bool) -> Result<Step, Trouble> {
    let len = path::piece_len(bench)?;
    let mut offset = 0;
    // Each turn either moves on or ends: at most one turn for each byte of the file.
    for _ in 0..=bytes.len() {
        // The first piece opens the transfer: one that comes before it belongs to no transfer.
        if skip
            && offset > 0
            && offset + len < bytes.len()
            && path::chunk(bench, &path::piece(bytes, offset + len, len, Announce::Nothing))? == Answer::Silent
        {
            return Ok(Step::Silent);
        }
        let next = match path::chunk(bench, &path::piece(bytes, offset, len, Announce::Nothing))? {
            Answer::Accepted(next) => next as usize,
            Answer::Refused(why) => return Ok(Step::Refused(format!("at byte {offset}: {why}"))),
            Answer::Silent => return Ok(Step::Silent),
        };
        if next >= bytes.len() {
            return Ok(Step::Done);
        }
        if next <= offset {
            return Ok(Step::Stalled(format!("wants byte {next} again")));
        }
        // The repeated piece: whatever the device says to it, its next wish counts.
        let mut wish = next;
        if !skip && offset > 0 {
            match path::chunk(bench, &path::piece(bytes, offset, len, Announce::Nothing))? {
                Answer::Accepted(next) => wish = next as usize,
                Answer::Refused(why) => return Ok(Step::Refused(format!("byte {offset} again: {why}"))),
                Answer::Silent => return Ok(Step::Silent),
            }
        }
        if wish >= bytes.len() {
            return Ok(Step::Done);
        }
        if wish < offset {
            return Ok(Step::Stalled(format!("goes back to byte {wish}")));
        }
        offset = wish;
    }
    Ok(Step::Stalled("no end".to_owned()))
}

fn second(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    const EXPECTED: &str = "of two overlapping updates one is installed whole, or both are refused, and a plain one works afterwards";
    path::piece_len(bench)?;
    let mut lab = Lab::open(bench, row)?;
    lab.control_next(bench)?;
    let base = lab.next()?;
    let newer = lab.newer_than(&lab.delivered);
    let Some(other) = newer.iter().find(|i| i.hash != base.hash).cloned() else {
        return Err(Trouble::IxitMissing("a second genuine image that is newer than the running one".to_owned()));
    };
    let begin = base.bytes.len() / 2;
    let mut overlap = |bench: &mut Bench| {
        path::erase(bench)?;
        path::upload_until(bench, &base.bytes, begin, Announce::Nothing)?;
        path::upload_until(bench, &other.bytes, other.bytes.len(), Announce::Nothing)
    };
    let about = format!("{} begun after {begin} bytes of {}", other.version, base.version);
    if let Some(what) = ends_whole(bench, &lab, &other, &about, &mut overlap)? {
        report.violated(bench, B, EXPECTED, &what);
        return Ok(());
    }
    lab.conclude(bench, report, &base, EXPECTED, &format!("{about}: installed whole, or refused"))
}

/// After an odd transfer that the device acknowledged as whole, the image must be installed; tried twice before it counts. A refused transfer is orderly.
fn ends_whole(
    bench: &mut Bench,
    lab: &Lab,
    image: &Genuine,
    about: &str,
    transfer: &mut dyn FnMut(&mut Bench) -> Result<Step, Trouble>,
) -> Result<Option<String>, Trouble> {
    let mut wrong = String::new();
    for _ in 0..2 {
        let uploaded = transfer(bench)?;
        bench.note(&format!("{about}: {uploaded}"));
        match uploaded {
            Step::Done => {}
            Step::Refused(_) | Step::Stalled(_) => return Ok(None),
            Step::Silent => return Err(Trouble::Unreachable(format!("{about}: the transfer was not answered"))),
        }
        let marked = path::mark(bench, Some(&image.hash), false)?;
        if marked == Step::Silent {
            return Err(Trouble::Unreachable(format!("{about}: the mark for trial was not answered")));
        }
        let said = format!("{about}: acknowledged to the last byte; mark for trial: {marked}");
        if let Restarted::NotReady(words) = path::restart(bench)? {
            return Ok(Some(format!("{said}; {words}")));
        }
        let running = path::running(bench)?;
        if image.runs(&running) {
            lab.go_back(bench)?;
            return Ok(None);
        }
        if running != lab.baseline {
            return Ok(Some(format!("{said}; {running} runs")));
        }
        wrong = format!("{said}; at two tries {running} still runs");
    }
    Ok(Some(wrong))
}
