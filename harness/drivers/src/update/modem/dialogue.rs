//! What is said before and after a transfer: the way into the loader, and its verdict.

use super::line::Line;
use proofbench_channel::ChannelError;
use regex::bytes::Regex;
use std::time::Duration;

/// A line of the way into the loader.
#[derive(Debug, Clone)]
pub struct Step {
    /// Sent as it stands.
    pub send: Option<Vec<u8>>,
    /// Waited for.
    pub expect: Option<Regex>,
    /// How long.
    pub within: Duration,
}

/// What the loader prints after a transfer.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// It took the image. Without it, an acknowledged transfer is one that was taken.
    pub success: Option<Regex>,
    /// It did not.
    pub failure: Option<Regex>,
    /// How long it may think about it.
    pub within: Duration,
}

/// How the loader took the image, by its own words.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judged {
    Taken,
    Refused(String),
    /// It said neither; its last words.
    Unsaid(String),
}

/// Brings the device into its loader. Nothing if it got there; else what was not seen.
pub(super) fn enter(line: &mut Line<'_>, steps: &[Step]) -> Result<Option<String>, ChannelError> {
    for (n, step) in steps.iter().enumerate() {
        let about = |what: &str, line: &Line<'_>| Some(format!("step {} on the way into the loader: {what}{}", n + 1, line.last_words()));
        if let Some(send) = &step.send {
            // What came before the question is no answer to it.
            while line.pending()?.is_some() {}
            line.forget();
            if !line.put(send)? {
                return Ok(about("it could not be sent", line));
            }
        }
        let Some(expect) = &step.expect else { continue };
        let until = line.within(step.within);
        let end = loop {
            if let Some(found) = expect.find(line.words()) {
                break found.end();
            }
            if !line.listen(until)? {
                return Ok(about(&format!("`{expect}` was not seen"), line));
            }
        };
        // What comes after belongs to the next step, or is the receiver's first question.
        line.unread(end);
        line.forget();
    }
    Ok(None)
}

/// Listens for the loader's verdict after a transfer that it acknowledged. Its words during the transfer count.
pub(super) fn judged(line: &mut Line<'_>, verdict: &Verdict) -> Result<Judged, ChannelError> {
    if verdict.success.is_none() && verdict.failure.is_none() {
        return Ok(Judged::Taken);
    }
    let until = line.within(verdict.within);
    loop {
        let found = |pattern: &Option<Regex>, line: &Line<'_>| pattern.as_ref().is_some_and(|p| p.is_match(line.words()));
        if found(&verdict.failure, line) {
            return Ok(Judged::Refused(format!("the loader says{}", line.last_words())));
        }
        if found(&verdict.success, line) {
            return Ok(Judged::Taken);
        }
        if line.listen(until)? {
            continue;
        }
        // Nothing but a failure is looked for, and none came.
        let taken = verdict.success.is_none() && line.time.now() < line.wait.until;
        return Ok(if taken { Judged::Taken } else { Judged::Unsaid(line.last_words()) });
    }
}
