//! The queue of `sequential-storage`: a fixed row of pushes and pops.

use super::map::{MapCrate, New, Old, geometry, shown, told};
use crate::flash::{Chip, Flash};
use crate::image::{Image, mix};
use crate::medium::Medium;
use crate::port::{Port, at_once};
use crate::subject::{Failed, Finding, Judged, Oracle, Step, Subject, World};
use std::marker::PhantomData;

const PAGE: usize = 64;
const LEN: usize = 8;

/// What is done, in order. Enough to fill a page, go on to the next and free the first.
const WORK: [Work; 9] = [Work::Push, Work::Push, Work::Push, Work::Pop, Work::Push, Work::Pop, Work::Pop, Work::Push, Work::Pop];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Push,
    Pop,
}

/// The calls of one release, on a new object each.
pub trait QueueCrate: MapCrate {
    /// Appends.
    fn push<const W: usize>(flash: &Flash, value: &[u8]) -> Result<(), Failed>;
    /// Takes the oldest.
    fn pop<const W: usize>(flash: &Flash) -> Result<Option<Vec<u8>>, Failed>;
    /// The oldest, which stays.
    fn peek<const W: usize>(flash: &Flash) -> Result<Option<Vec<u8>>, Failed>;
}

type NewQueue<const W: usize> = sequential_storage::queue::QueueStorage<Port<W, PAGE>, NewCache>;
type NewCache = sequential_storage::cache::Cache<
    sequential_storage::cache::Uncached,
    sequential_storage::cache::Uncached,
    sequential_storage::cache::Uncached,
    (),
>;

fn open<const W: usize>(flash: &Flash) -> NewQueue<W> {
    let config = sequential_storage::queue::QueueConfig::new(0..flash.chip().size as u32);
    sequential_storage::queue::QueueStorage::new(Port::whole(flash), config, sequential_storage::cache::Cache::new_uncached())
}

impl QueueCrate for New {
    fn push<const W: usize>(flash: &Flash, value: &[u8]) -> Result<(), Failed> {
        told("push", at_once(async { open::<W>(flash).push(value, false).await }))
    }
    fn pop<const W: usize>(flash: &Flash) -> Result<Option<Vec<u8>>, Failed> {
        told("pop", at_once(async { open::<W>(flash).pop(&mut [0; PAGE]).await.map(|v| v.map(|v| v.to_vec())) }))
    }
    fn peek<const W: usize>(flash: &Flash) -> Result<Option<Vec<u8>>, Failed> {
        told("peek", at_once(async { open::<W>(flash).peek(&mut [0; PAGE]).await.map(|v| v.map(|v| v.to_vec())) }))
    }
}

impl QueueCrate for Old {
    fn push<const W: usize>(flash: &Flash, value: &[u8]) -> Result<(), Failed> {
        use sequential_storage_old::{cache::NoCache, queue};
        let mut port = Port::<W, PAGE>::whole(flash);
        told("push", at_once(async { queue::push(&mut port, 0..flash.chip().size as u32, &mut NoCache::new(), value, false).await }))
    }
    fn pop<const W: usize>(flash: &Flash) -> Result<Option<Vec<u8>>, Failed> {
        use sequential_storage_old::{cache::NoCache, queue};
        let mut port = Port::<W, PAGE>::whole(flash);
        let taken = at_once(async {
            queue::pop(&mut port, 0..flash.chip().size as u32, &mut NoCache::new(), &mut [0; PAGE]).await.map(|v| v.map(|v| v.to_vec()))
        });
        told("pop", taken)
    }
    fn peek<const W: usize>(flash: &Flash) -> Result<Option<Vec<u8>>, Failed> {
        use sequential_storage_old::{cache::NoCache, queue};
        let mut port = Port::<W, PAGE>::whole(flash);
        let seen = at_once(async {
            queue::peek(&mut port, 0..flash.chip().size as u32, &mut NoCache::new(), &mut [0; PAGE]).await.map(|v| v.map(|v| v.to_vec()))
        });
        told("peek", seen)
    }
}

/// A queue of one release.
pub struct Queue<C, const W: usize> {
    medium: Medium,
    pages: usize,
    code: PhantomData<C>,
}

/// The queue subject of this name.
pub fn by_name(store: &str, medium: Medium, words: &str) -> Option<Box<dyn Subject>> {
    let (words, pages) = geometry(words)?;
    Some(match (store, words) {
        ("sequential-storage-8.0.2", "w1") => Box::new(Queue::<New, 1> { medium, pages, code: PhantomData }),
        ("sequential-storage-8.0.2", "w4") => Box::new(Queue::<New, 4> { medium, pages, code: PhantomData }),
        ("sequential-storage-5.0.1", "w1") => Box::new(Queue::<Old, 1> { medium, pages, code: PhantomData }),
        ("sequential-storage-5.0.1", "w4") => Box::new(Queue::<Old, 4> { medium, pages, code: PhantomData }),
        _ => return None,
    })
}

/// Entry number `n`.
fn entry(n: usize) -> Vec<u8> {
    mix(n as u64).to_le_bytes()[..LEN].to_vec()
}

/// What the queue holds once the first `done` pieces of work are done.
fn holds(done: usize) -> Vec<Vec<u8>> {
    let pushes = WORK[..done].iter().filter(|w| **w == Work::Push).count();
    (done - pushes..pushes).map(entry).collect()
}

fn list(entries: &[Vec<u8>]) -> String {
    format!("[{}]", entries.iter().map(|e| shown(&Some(e.clone()))).collect::<Vec<_>>().join(" "))
}

fn listed(found: &Result<Vec<Vec<u8>>, Failed>) -> String {
    found.as_ref().map_or_else(Failed::to_string, |entries| list(entries))
}

/// Takes out all there is. More than there can be is an error and not an endless loop.
fn drain<C: QueueCrate, const W: usize>(flash: &Flash) -> Result<Vec<Vec<u8>>, Failed> {
    let mut out = Vec::new();
    while let Some(value) = C::pop::<W>(flash)? {
        out.push(value);
        if out.len() > WORK.len() {
            return Err(Failed::new("pop gives more entries than were ever pushed".to_owned()));
        }
    }
    Ok(out)
}

/// World: twice the number of acknowledged pieces of work, plus one while the next is in flight.
impl<C: QueueCrate, const W: usize> Subject for Queue<C, W> {
    fn name(&self) -> String {
        format!("{}/queue/{}/w{W}x{}", C::NAME, self.medium.name, self.pages)
    }
    fn chip(&self) -> Chip {
        Chip { medium: self.medium, word: W, page: PAGE, size: PAGE * self.pages }
    }
    fn start(&self) -> Result<(Image, World), Failed> {
        Ok((self.chip().erased(), 0))
    }
    fn recover(&self, flash: &Flash) -> Result<(), Failed> {
        C::peek::<W>(flash).map(|_| ())
    }
    fn judge(&self, flash: &Flash, world: World) -> Judged {
        let done = (world / 2) as usize;
        let legal = [done, done + (world % 2) as usize];
        let found = drain::<C, W>(&flash.fork());
        let Some(now) = legal.into_iter().find(|n| found.as_ref().ok() == Some(&holds(*n))) else {
            let detail = format!("the queue holds {}; legal are {}", listed(&found), legal.map(|n| list(&holds(n))).join(" and "));
            return Judged { findings: vec![Finding::new(Oracle::OldOrNew, detail)], world: None };
        };
        // Interrupted pushes use up space until what lies before them is popped: full is legal, but not for an empty queue.
        let mut expected = holds(now);
        let mut pushed = C::push::<W>(flash, &entry(99));
        if pushed == Err(Failed::Full) && drain::<C, W>(flash).is_ok() {
            expected.clear();
            pushed = C::push::<W>(flash, &entry(99));
        }
        expected.push(entry(99));
        let all = drain::<C, W>(flash);
        let mut findings = Vec::new();
        if pushed.is_err() || all.as_ref().ok() != Some(&expected) {
            findings.push(Finding::new(
                Oracle::FurtherWrite,
                format!("a further push gave {pushed:?}, and then the queue holds {}; legal is {}", listed(&all), list(&expected)),
            ));
        }
        let world = findings.is_empty().then_some(now as World * 2);
        Judged { findings, world }
    }
    fn tell(&self, flash: &Flash) -> String {
        listed(&drain::<C, W>(flash))
    }
    fn next(&self, world: World) -> Option<Step> {
        ((world / 2) < WORK.len() as World).then_some(Step { in_flight: world + 1, done: world + 2 })
    }
    fn act(&self, flash: &Flash, world: World) -> Result<(), Failed> {
        let done = (world / 2) as usize;
        match WORK[done] {
            Work::Push => C::push::<W>(flash, &entry(WORK[..done].iter().filter(|w| **w == Work::Push).count())),
            Work::Pop => C::pop::<W>(flash).map(|_| ()),
        }
    }
}
