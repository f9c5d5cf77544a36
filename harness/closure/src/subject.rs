//! What is put through power cuts: code, a start, work to do, and what is legal to find afterwards.

use crate::flash::{Chip, Flash};
use crate::image::Image;
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What is legal to find, as a number below 2^48 that only the subject understands. It follows from what was asked of the store and acknowledged by it.
pub type World = u64;

/// Why the code under test did not do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failed {
    /// It reported an error that it should not have, or panicked.
    Wrong(String),
    /// It says that it is full, which what the cuts left behind makes legal: work ends here without a finding.
    Full,
}

impl Failed {
    /// A failure in these words.
    pub fn new(words: impl Into<String>) -> Self {
        Failed::Wrong(words.into())
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failed::Wrong(words) => words,
            Failed::Full => "it says that it is full",
        })
    }
}

/// Which promise was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Oracle {
    /// It does not open, or no image boots.
    Opens,
    /// Neither the old value nor the new one; an acknowledged value is gone; the running image is none of the legal ones.
    OldOrNew,
    /// Something that was not touched has changed.
    Others,
    /// It takes no further write, or loses it; a further update does not work.
    FurtherWrite,
    /// An image that was confirmed is not the one that runs.
    Downgrade,
    /// What it reports is not what happened.
    Truth,
    /// Work that was acknowledged came to nothing although everything is in order: to be done again. Less than a defect where the design says so.
    Progress,
}

impl fmt::Display for Oracle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Oracle::Opens => "opens",
            Oracle::OldOrNew => "old-or-new",
            Oracle::Others => "others-kept",
            Oracle::FurtherWrite => "further-write",
            Oracle::Downgrade => "no-downgrade",
            Oracle::Truth => "true-report",
            Oracle::Progress => "progress",
        })
    }
}

/// One oracle's objection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The broken promise.
    pub oracle: Oracle,
    /// Findings of one promise with different classes are different defects; empty if the subject tells none apart.
    pub class: String,
    /// What was seen and what was legal.
    pub detail: String,
}

impl Finding {
    /// An objection.
    pub fn new(oracle: Oracle, detail: impl Into<String>) -> Self {
        Self { oracle, class: String::new(), detail: detail.into() }
    }

    /// The same, told apart from others of its promise by its own words, which must not hold data.
    pub fn classed(oracle: Oracle, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { oracle, class: detail.clone(), detail }
    }
}

/// What a judgement says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What is legal from here on, now that it was seen which of the legal outcomes came about; none if nothing sensible can follow.
    pub world: Option<World>,
}

/// The next piece of work in a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What is legal if power goes within it.
    pub in_flight: World,
    /// What is legal once it was acknowledged.
    pub done: World,
}

/// Storage code with its oracle. Every method builds the code's objects anew from the flash: memory does not outlive a power-on, and what a method
/// does to the flash follows from the flash and the world alone.
pub trait Subject {
    /// Name in replay lines, with everything that decides its behaviour. No `@`.
    fn name(&self) -> String;
    /// The flash it lives on.
    fn chip(&self) -> Chip;
    /// Content and world before the first power-on; an error if it cannot even be set up.
    fn start(&self) -> Result<(Image, World), Failed>;
    /// What happens at power-on before anything is asked: opening, repair, booting.
    fn recover(&self, flash: &Flash) -> Result<(), Failed>;
    /// Looks at a recovered store. The flash is a copy: writing to try what still works changes nothing.
    fn judge(&self, flash: &Flash, world: World) -> Judged;
    /// What is there, in a few words for a reader of a replay. The flash is a copy.
    fn tell(&self, flash: &Flash) -> String;
    /// The work to do next; none if all is done.
    fn next(&self, world: World) -> Option<Step>;
    /// Does the work of [`Subject::next`].
    fn act(&self, flash: &Flash, world: World) -> Result<(), Failed>;
}

/// Runs a piece of the code under test; a panic in it is its failure and not ours.
pub fn guarded<T>(work: impl FnOnce() -> Result<T, Failed>) -> Result<T, Failed> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(Failed::new(format!("panicked: {}", words(panic.as_ref())))))
}

/// Judges; a panic of the code under test while it is questioned is a finding.
pub fn judged(subject: &dyn Subject, flash: &Flash, world: World) -> Judged {
    guarded(|| Ok(subject.judge(flash, world)))
        .unwrap_or_else(|failed| Judged { findings: vec![Finding::new(Oracle::Opens, failed.to_string())], world: None })
}

fn words(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without words")
}
