//! Three small stores of one value, one correct and two with a classic mistake: the controls of the tool.
//!
//! A run that condemns the first or acquits one of the others shows that the tool is broken.

use crate::flash::{Chip, Flash};
use crate::image::{Image, mix};
use crate::medium::Medium;
use crate::subject::{Failed, Finding, Judged, Oracle, Step, Subject, World};

const WORD: usize = 4;
const PAGE: usize = 64;
/// Updates in one exploration.
const UPDATES: World = 4;
/// Magic, number, value, sum: four words of one record.
const RECORD: usize = 16;

/// What is done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// Nothing: two pages in turn, a record with a sum over it; the newest valid one counts.
    None,
    /// Two pages in turn, but the record has no sum or other mark that it is whole.
    NoCommitMark,
    /// One page, erased before the new value is there.
    EraseBeforeCopy,
}

/// A store of one 32-bit value.
#[derive(Debug, Clone, Copy)]
pub struct Toy {
    mistake: Mistake,
    medium: Medium,
}

/// The toy of this name.
pub fn by_name(name: &str, medium: Medium) -> Option<Box<dyn Subject>> {
    let mistake = match name {
        "toy-correct" => Mistake::None,
        "toy-no-commit" => Mistake::NoCommitMark,
        "toy-erase-first" => Mistake::EraseBeforeCopy,
        _ => return None,
    };
    Some(Box::new(Toy { mistake, medium }))
}

/// The value of update `n`: half of its bits, so that torn values differ from old and new ones.
fn value(n: World) -> u32 {
    mix(n) as u32
}

fn sum(number: u32, value: u32) -> u32 {
    mix((u64::from(number) << 32) | u64::from(value)) as u32
}

fn failed(error: crate::flash::FlashError) -> Failed {
    Failed::new(format!("flash error {error:?}"))
}

impl Toy {
    fn record(&self, flash: &Flash, page: usize) -> Result<Option<(u32, u32)>, Failed> {
        let mut bytes = [0; RECORD];
        flash.read(page * PAGE, &mut bytes).map_err(failed)?;
        let mut words = bytes.chunks_exact(WORD).map(|w| w.iter().rev().fold(0, |n, b| (n << 8) | u32::from(*b)));
        let mut word = || words.next().unwrap_or(u32::MAX);
        let (number, value, check) = (word(), word(), word());
        let valid = if self.mistake == Mistake::NoCommitMark { number != u32::MAX } else { check == sum(number, value) };
        Ok(valid.then_some((number, value)))
    }

    /// Page, number and value of the newest record.
    fn newest(&self, flash: &Flash) -> Result<Option<(usize, u32, u32)>, Failed> {
        let pages = if self.mistake == Mistake::EraseBeforeCopy { 1 } else { 2 };
        let mut best: Option<(usize, u32, u32)> = None;
        for page in 0..pages {
            if let Some((number, value)) = self.record(flash, page)?
                && best.is_none_or(|(_, newest, _)| number > newest)
            {
                best = Some((page, number, value));
            }
        }
        Ok(best)
    }

    fn store(&self, flash: &Flash, value: u32) -> Result<(), Failed> {
        let newest = self.newest(flash)?;
        let number = newest.map_or(0, |(_, number, _)| number + 1);
        let page = if self.mistake == Mistake::EraseBeforeCopy { 0 } else { newest.map_or(0, |(page, ..)| 1 - page) };
        flash.erase(page * PAGE, (page + 1) * PAGE).map_err(failed)?;
        for (i, word) in [number, value, sum(number, value)].into_iter().enumerate() {
            flash.write(page * PAGE + i * WORD, &word.to_le_bytes()).map_err(failed)?;
        }
        Ok(())
    }
}

/// World: twice the number of acknowledged updates, plus one while the next is in flight.
impl Subject for Toy {
    fn name(&self) -> String {
        let mistake = match self.mistake {
            Mistake::None => "toy-correct",
            Mistake::NoCommitMark => "toy-no-commit",
            Mistake::EraseBeforeCopy => "toy-erase-first",
        };
        format!("{mistake}/{}", self.medium.name)
    }
    fn chip(&self) -> Chip {
        Chip { medium: self.medium, word: WORD, page: PAGE, size: 2 * PAGE }
    }
    fn start(&self) -> Result<(Image, World), Failed> {
        let flash = Flash::new(self.chip(), self.chip().erased());
        self.store(&flash, value(0))?;
        Ok((flash.image(), 0))
    }
    fn recover(&self, flash: &Flash) -> Result<(), Failed> {
        self.newest(flash).map(|_| ())
    }
    fn judge(&self, flash: &Flash, world: World) -> Judged {
        let legal = [world / 2, world / 2 + world % 2];
        let found = self.newest(flash).map(|newest| newest.map(|(_, _, value)| value));
        let Some(now) = legal.into_iter().find(|n| found == Ok(Some(value(*n)))) else {
            let detail = format!("holds {found:x?}; legal are {:x?}", legal.map(value));
            return Judged { findings: vec![Finding::new(Oracle::OldOrNew, detail)], world: None };
        };
        let mut findings = Vec::new();
        let further = value(99);
        if self.store(flash, further).is_err() || !matches!(self.newest(flash), Ok(Some((_, _, v))) if v == further) {
            findings.push(Finding::new(Oracle::FurtherWrite, "does not keep a further value"));
        }
        Judged { findings, world: Some(now * 2) }
    }
    fn tell(&self, flash: &Flash) -> String {
        format!("{:x?}", self.newest(flash))
    }
    fn next(&self, world: World) -> Option<Step> {
        (world / 2 < UPDATES).then_some(Step { in_flight: world + 1, done: world + 2 })
    }
    fn act(&self, flash: &Flash, world: World) -> Result<(), Failed> {
        self.store(flash, value(world / 2 + 1))
    }
}
