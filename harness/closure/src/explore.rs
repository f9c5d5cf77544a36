//! The closure: every flash content that any number of power cuts can leave, each booted once.
//!
//! Fewest torn operations first, breadth first within. A node is a content together with what is legal in it: two ways to one content with different
//! expectations are two nodes. A recovered content is judged once for each expectation, and its work is walked once.

use crate::explored::{Explored, Located, Stats};
use crate::flash::{Flash, Watch};
use crate::image::{Image, mix};
use crate::medium::{Tear, Tears};
use crate::subject::{Failed, Finding, Judged, Oracle, Subject, World, guarded, judged};
use crate::trace::{Cut, Trace};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Torn operations on one path; clean cuts are never limited.
    pub torn: u8,
    /// Which torn operations.
    pub tears: Tears,
    /// Power cuts in a row; none: any number. With a limit, one content at two depths is two nodes, so that all within the limit is found.
    pub depth: Option<u32>,
    /// Most contents to boot; beyond, the exploration is CAPPED.
    pub images: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { torn: 1, tears: Tears::ALL, depth: None, images: 1_500_000 }
    }
}

const NO_PARENT: u32 = u32::MAX;

struct Node {
    parent: u32,
    cut: Cut,
    world: World,
    torn: u8,
    depth: u32,
}

/// Digests are mixed already: folding them is hash enough, and this map is asked once for each cut.
#[derive(Default)]
struct Fold(u64);
impl Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.write_u64(u64::from(*b)));
    }
    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(23) ^ n).wrapping_mul(0x9fb2_1c65_1e98_df25);
    }
    fn write_u128(&mut self, n: u128) {
        self.write_u64((n as u64) ^ ((n >> 64) as u64));
    }
}

type Known<V> = HashMap<(u128, World), V, BuildHasherDefault<Fold>>;

/// All that the search remembers; also what watches the flash.
struct Book {
    subject: String,
    nodes: Vec<Node>,
    known: Known<u32>,
    queues: Vec<VecDeque<(u32, Image)>>,
    /// Nodes whose contents the flash keeps until the power-on is over.
    fresh: Vec<u32>,
    stats: Stats,
    findings: BTreeMap<(Oracle, String), Located>,
    /// Of the power-on that is walked: its node, its torn operations and depth, and the world of a cut in its present phase.
    parent: u32,
    torn: u8,
    depth: u32,
    world: World,
    most_depth: Option<u32>,
}

impl Watch for Book {
    fn met(&mut self, cut: Cut, digest: u128) -> bool {
        self.stats.edges += 1;
        if self.most_depth.is_some_and(|most| self.depth >= most) {
            return false;
        }
        let torn = self.torn + u8::from(!cut.tear.is_clean());
        let node = Node { parent: self.parent, cut, world: self.world, torn, depth: self.depth + 1 };
        let meets = self.meet(node, digest);
        self.fresh.extend(meets);
        meets.is_some()
    }
}

impl Book {
    /// Takes note of a content; its node if the content has to be kept for a power-on.
    fn meet(&mut self, node: Node, digest: u128) -> Option<u32> {
        let next = u32::try_from(self.nodes.len()).unwrap_or(NO_PARENT);
        let index = *self.known.entry((digest, deep(node.world, self.most_depth, node.depth))).or_insert(next);
        let torn = usize::from(node.torn);
        if index == next {
            self.nodes.push(node);
        } else {
            let known = &mut self.nodes[index as usize];
            if node.torn >= known.torn {
                return None;
            }
            // A path with fewer torn operations may spend one more: it is booted again from there.
            self.stats.by_torn[usize::from(known.torn)] -= 1;
            *known = node;
        }
        self.stats.by_torn[torn] += 1;
        Some(index)
    }

    /// Queues the contents that the flash kept, in the order in which their nodes were met.
    fn queue(&mut self, images: Vec<Image>) {
        let fresh = std::mem::take(&mut self.fresh);
        for (index, image) in fresh.into_iter().zip(images) {
            let torn = self.nodes[index as usize].torn;
            self.queues[usize::from(torn)].push_back((index, image));
        }
    }

    fn trace(&self, node: u32) -> Trace {
        let mut cuts = Vec::new();
        let mut at = node;
        while let Some(n) = self.nodes.get(at as usize).filter(|n| n.parent != NO_PARENT) {
            cuts.push(n.cut);
            at = n.parent;
        }
        cuts.reverse();
        Trace { subject: self.subject.clone(), cuts }
    }

    fn report(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            let trace = self.trace(self.parent);
            let torn = self.torn;
            match self.findings.get_mut(&(finding.oracle, finding.class.clone())) {
                Some(known) => {
                    known.count += 1;
                    if (torn, trace.cuts.len()) < (known.torn, known.trace.cuts.len()) {
                        *known = Located { finding, trace, torn, count: known.count };
                    }
                }
                None => {
                    self.findings.insert((finding.oracle, finding.class.clone()), Located { finding, trace, torn, count: 1 });
                }
            }
        }
    }
}

/// The key of a world at a depth, where the depth is limited: worlds leave their highest 16 bits free.
fn deep(world: World, limit: Option<u32>, depth: u32) -> World {
    limit.map_or(world, |_| world | (World::from(depth) << 48))
}

/// One recovery in so many is made twice.
const PROBE_EVERY: u64 = 100;

struct Search<'s> {
    subject: &'s dyn Subject,
    limits: Limits,
    book: Rc<RefCell<Book>>,
    judged: Known<Judged>,
    /// Recovered contents whose work was walked, with the fewest torn operations on the way to one.
    acted: Known<u8>,
}

/// Explores all that power cuts can make of `subject`. An error says why it could not be set up.
pub fn explore(subject: &dyn Subject, limits: Limits) -> Result<Explored, String> {
    let (image, world) = guarded(|| subject.start()).map_err(|failed| format!("failed to set up {}: {failed}", subject.name()))?;
    let levels = usize::from(limits.torn) + 1;
    let mut book = Book {
        subject: subject.name(),
        nodes: Vec::new(),
        known: Known::default(),
        queues: vec![VecDeque::new(); levels],
        fresh: Vec::new(),
        stats: Stats { by_torn: vec![0; levels], ..Stats::default() },
        findings: BTreeMap::new(),
        parent: NO_PARENT,
        torn: 0,
        depth: 0,
        world,
        most_depth: limits.depth,
    };
    let root = Node { parent: NO_PARENT, cut: Cut { at: 0, tear: Tear::Before }, world, torn: 0, depth: 0 };
    if let Some(index) = book.meet(root, image.digest()) {
        book.queues[0].push_back((index, image));
    }
    let book = Rc::new(RefCell::new(book));
    let mut search = Search { subject, limits, book, judged: Known::default(), acted: Known::default() };
    search.run();
    let mut book = search.book.borrow_mut();
    let mut stats = std::mem::take(&mut book.stats);
    stats.images = book.nodes.len();
    let findings = std::mem::take(&mut book.findings).into_values().collect();
    Ok(Explored { subject: subject.name(), limits, findings, stats })
}

impl Search<'_> {
    fn run(&mut self) {
        for level in 0..=self.limits.torn {
            loop {
                let Some((index, image)) = self.book.borrow_mut().queues[usize::from(level)].pop_front() else { break };
                let (world, torn, depth) = {
                    let book = self.book.borrow();
                    let node = &book.nodes[index as usize];
                    (node.world, node.torn, node.depth)
                };
                if torn != level {
                    continue; // met again with fewer torn operations, and booted from there
                }
                if self.book.borrow().stats.boots >= self.limits.images as u64 {
                    let mut book = self.book.borrow_mut();
                    book.stats.waiting = book.queues.iter().map(VecDeque::len).sum::<usize>() + 1;
                    return;
                }
                {
                    let mut book = self.book.borrow_mut();
                    book.stats.boots += 1;
                    book.stats.depth = book.stats.depth.max(depth);
                    (book.parent, book.torn, book.depth, book.world) = (index, torn, depth, world);
                }
                self.power_on(index, image, world, torn);
            }
            self.book.borrow_mut().stats.complete_to = Some(level);
        }
    }

    fn tears(&self, torn: u8) -> Tears {
        if torn < self.limits.torn { self.limits.tears } else { Tears::NONE }
    }

    /// One power-on: recovery, judgement, work; each operation of the first and the last is a cut.
    fn power_on(&mut self, index: u32, image: Image, world: World, torn: u8) {
        let chip = self.subject.chip();
        let probe = index == 0 || mix(u64::from(index)).is_multiple_of(PROBE_EVERY);
        let again = probe.then(|| image.clone());
        let flash = Flash::new(chip, image);
        let recovered = self.watched(&flash, torn, |subject, flash| subject.recover(flash));
        let digest = flash.image().digest();
        if let Some(image) = again {
            let second = Flash::new(chip, image);
            let _ = guarded(|| self.subject.recover(&second));
            let mut book = self.book.borrow_mut();
            book.stats.probes += 1;
            book.stats.probe_mismatches += u64::from(second.image().digest() != digest);
        }
        if let Err(failed) = recovered {
            let detail = told(&failed.to_string(), &flash);
            self.book.borrow_mut().report(vec![Finding::new(Oracle::Opens, detail)]);
            return;
        }
        let verdict = match self.judged.get(&(digest, world)) {
            Some(verdict) => verdict.clone(),
            None => {
                let verdict = judged(self.subject, &flash.fork(), world);
                self.book.borrow_mut().stats.judged += 1;
                self.judged.insert((digest, world), verdict.clone());
                verdict
            }
        };
        self.book.borrow_mut().report(verdict.findings);
        let Some(now) = verdict.world else { return };
        let depth = self.book.borrow().depth;
        let key = (digest, deep(now, self.limits.depth, depth));
        if self.acted.get(&key).is_some_and(|before| *before <= torn) {
            return;
        }
        self.acted.insert(key, torn);
        let mut end = now;
        if let Some(step) = self.subject.next(now) {
            self.book.borrow_mut().world = step.in_flight;
            let acted = self.watched(&flash, torn, |subject, flash| subject.act(flash, now));
            if acted == Err(Failed::Full) {
                self.book.borrow_mut().stats.full += 1;
                return;
            }
            if let Err(failed) = acted {
                let detail = told(&failed.to_string(), &flash);
                self.book.borrow_mut().report(vec![Finding::new(Oracle::FurtherWrite, detail)]);
                return;
            }
            end = step.done;
        }
        let left = flash.settled();
        let mut book = self.book.borrow_mut();
        book.stats.ops += u64::from(flash.ops());
        book.world = end;
        let cut = Cut { at: flash.ops(), tear: Tear::Before };
        if book.met(cut, left.digest()) {
            book.queue(vec![left]);
        }
    }

    fn watched(&self, flash: &Flash, torn: u8, work: impl FnOnce(&dyn Subject, &Flash) -> Result<(), Failed>) -> Result<(), Failed> {
        flash.watch(self.book.clone(), self.tears(torn));
        let done = guarded(|| work(self.subject, flash));
        let images = flash.unwatch();
        self.book.borrow_mut().queue(images);
        done
    }
}

fn told(failed: &str, flash: &Flash) -> String {
    flash.last_error().map_or_else(|| failed.to_owned(), |error| format!("{failed}; the flash said {error:?}"))
}

#[cfg(test)]
#[path = "explore_tests.rs"]
mod tests;
