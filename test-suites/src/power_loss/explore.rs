//! The closure: every storage image that any number of power cuts can leave, each judged once.
//!
//! A boot is a function of the storage content (probed, see [`Stats::probes`]). So it is enough to boot every *distinct* image once, to take
//! each storage operation of that boot as a possible cut, and to go on with the images this yields until none is new: COMPLETE for any
//! number of cuts in any order. Clean cuts are unlimited. An interrupted operation leaves one of many contents, and several such marks survive
//! independently of each other (3^n), so the number of *torn* operations on one path is bounded: none, one complete, two sampled.
//!
//! Memory is linear in the number of distinct images: one [`Node`] each, and a storage content only as long as it waits to be booted.

use super::oracle::is_witness;
use super::trace::{Cut, Trace};
use proofbench_channel::{CrashVisitor, StateId, Tear};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

/// What is known from the history of a crash state and bounds what its recovery may show: a set of legal worlds, by number.
/// Two paths to one image with different sets are two nodes, for each has its own expectation.
pub type Facts = u32;

/// How a boot of one storage content ended, as far as every boot can be looked at cheaply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootEnd {
    /// Storage operations that the boot recorded.
    pub ops: u32,
    /// What oracles on the boot alone found: liveness, witnesses.
    pub findings: Vec<Finding>,
    /// Whether the device came up, so that its state can be asked.
    pub up: bool,
}

/// What a full judgement of a recovered image says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// The worlds that are legal from here on.
    pub facts: Facts,
}

/// One oracle's objection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Id of the oracle: "I1".
    pub oracle: &'static str,
    /// What was seen and what was legal.
    pub detail: String,
}

/// A device whose crash states can be walked. Every method leaves it without power.
pub trait Subject {
    /// Why the bench could not go on.
    type Trouble;
    /// Boots this content with recording until the device is up or its time is over.
    fn boot(&mut self, from: StateId) -> Result<BootEnd, Self::Trouble>;
    /// Walks every cut of the last boot; see [`proofbench_channel::CrashSpace::rebuild`].
    fn cuts(&mut self, torn: bool, visit: &mut CrashVisitor<'_>) -> Result<Vec<(u32, Tear, StateId)>, Self::Trouble>;
    /// Boots `from` once more and questions the device. `end` is what that boot left in the storage.
    fn judge(&mut self, from: StateId, end: StateId, facts: Facts) -> Result<Judged, Self::Trouble>;
    /// The expensive oracles on one recovered image: a further update, a factory reset.
    fn deep(&mut self, end: StateId, facts: Facts) -> Result<Vec<Finding>, Self::Trouble>;
    /// Forgets contents that are not in `keep`.
    fn forget_except(&mut self, keep: &[StateId]);
}

/// How far to go.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most distinct images to boot; beyond, the campaign is CAPPED.
    pub images: usize,
    /// Most judgements of distinct recovered images.
    pub judgements: usize,
    /// Whether one torn operation per path is followed completely.
    pub torn: bool,
    /// How many images with two torn operations are taken as a sample.
    pub twice_torn: usize,
    /// How many recovered images the expensive oracles look at.
    pub deep: usize,
    /// Stop when this many findings are there.
    pub stop_at: usize,
    /// Chooses samples.
    pub seed: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { images: 6_000, judgements: 800, torn: true, twice_torn: 64, deep: 32, stop_at: 8, seed: 1 }
    }
}

/// A content from which the exploration starts: a cut in the stimulus itself.
#[derive(Debug, Clone, Copy)]
pub struct Root {
    /// The cut.
    pub cut: Cut,
    /// Digest of the content.
    pub digest: u128,
    /// The content.
    pub state: StateId,
    /// What is legal after it.
    pub facts: Facts,
}

/// A finding with the shortest chain of cuts that led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// What.
    pub finding: Finding,
    /// How to get there.
    pub trace: Trace,
    /// Whether one of the expensive oracles said so.
    pub deep: bool,
}

/// A recovered image that was kept, with the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The content.
    pub state: StateId,
    /// What is legal from there on.
    pub facts: Facts,
    /// How to get there.
    pub trace: Trace,
}

/// What the exploration did. Every number stands in the report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Distinct images (with their history) met.
    pub images: usize,
    /// Cuts walked.
    pub edges: u64,
    /// Boots made to find and judge them.
    pub boots: u64,
    /// Cuts that led to an image already known: not booted again.
    pub pruned: u64,
    /// Most cuts in a row on a shortest path.
    pub depth: u32,
    /// Images by number of torn operations on their path.
    pub by_torn: [usize; 3],
    /// Distinct recovered images that were questioned in full.
    pub judged: usize,
    /// Distinct recovered images that were left out because the limit of judgements was reached.
    pub unjudged: usize,
    /// Recovered images that the expensive oracles looked at.
    pub deep: usize,
    /// Boots made twice to see whether a boot is a function of the storage content.
    pub probes: u64,
    /// Probes whose two boots left different contents.
    pub probe_mismatches: u64,
    /// Two-tear images that the sample left out.
    pub unsampled: u64,
    /// Whether every image of paths without a torn operation was booted.
    pub clean_complete: bool,
    /// Why the exploration is not complete; none if it is.
    pub capped: Option<String>,
}

impl Stats {
    /// One line for the report.
    pub fn line(&self, medium: &str) -> String {
        let end = match &self.capped {
            None => "COMPLETE".to_owned(),
            Some(why) if self.clean_complete => format!("COMPLETE for clean cuts, torn ones CAPPED ({why})"),
            Some(why) => format!("CAPPED ({why})"),
        };
        format!(
            "closure {end} on {medium}: {} images ({} clean, {} with one torn operation, {} with two as a sample), {} edges, {} boots, depth {}, {} pruned as identical, {} recovered images judged{}, {} tried for what must still work, {} boots made twice ({} differed); unstable bits not modelled",
            self.images,
            self.by_torn[0],
            self.by_torn[1],
            self.by_torn[2],
            self.edges,
            self.boots,
            self.depth,
            self.pruned,
            self.judged,
            if self.unjudged > 0 { format!(" and {} not", self.unjudged) } else { String::new() },
            self.deep,
            self.probes,
            self.probe_mismatches,
        )
    }
}

/// What came of an exploration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Explored {
    /// Findings in the order met, at most [`Limits::stop_at`].
    pub findings: Vec<Located>,
    /// Cuts without a witness: the first for each oracle. They prove nothing about the device, and nothing is proven while there are any.
    pub unwitnessed: Vec<Located>,
    /// The sample of recovered images that the expensive oracles looked at; their contents are still kept.
    pub recovered: Vec<Recovered>,
    /// The numbers.
    pub stats: Stats,
}

const NO_PARENT: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Node {
    parent: u32,
    cut: Cut,
    facts: Facts,
    state: StateId,
    depth: u32,
    torn: u8,
}

/// Digests are well mixed already: folding them is hash enough, and this map is asked once per edge.
#[derive(Default)]
struct Fold(u64);
impl Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.write_u64(u64::from(*b));
        }
    }
    fn write_u32(&mut self, n: u32) {
        self.write_u64(u64::from(n));
    }
    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(23) ^ n).wrapping_mul(0x9fb2_1c65_1e98_df25);
    }
    fn write_u128(&mut self, n: u128) {
        self.write_u64((n as u64) ^ ((n >> 64) as u64));
    }
}

type Known<V> = HashMap<(u128, Facts), V, BuildHasherDefault<Fold>>;

/// All that the search remembers, apart from the subject, so that a walk over the subject's cuts can write into it.
#[derive(Default)]
struct Book {
    nodes: Vec<Node>,
    known: Known<u32>,
    judged: Known<Facts>,
    queues: [VecDeque<u32>; 3],
    stats: Stats,
    findings: Vec<Located>,
    unwitnessed: Vec<Located>,
    /// Recovered images kept for the expensive oracles: content, facts, node.
    recovered: Vec<(StateId, Facts, u32)>,
    distinct_recovered: u64,
}

/// A small generator for samples; every draw follows from the seed and the number drawn for.
pub(super) fn draw(seed: u64, n: u64) -> u64 {
    let mut z = seed.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// An image as it is met: where from, by which cut, how often torn, how deep.
#[derive(Clone, Copy)]
struct Met {
    parent: u32,
    cut: Cut,
    facts: Facts,
    torn: u8,
    depth: u32,
}

impl Book {
    /// Takes note of an image; its node if the content has to be kept for a boot.
    fn meet(&mut self, met: Met, digest: u128) -> Option<u32> {
        let Met { parent, cut, facts, torn, depth } = met;
        let fresh = Node { parent, cut, facts, state: StateId(u32::MAX), depth, torn };
        let next = u32::try_from(self.nodes.len()).unwrap_or(NO_PARENT);
        let index = *self.known.entry((digest, facts)).or_insert(next);
        if index == next {
            self.nodes.push(fresh);
        } else {
            self.stats.pruned += 1;
            let node = &mut self.nodes[index as usize];
            if torn >= node.torn {
                return None;
            }
            // A path with fewer torn operations: it may spend one more, so the image is booted (again) from there.
            self.stats.by_torn[usize::from(node.torn)] -= 1;
            *node = fresh;
        }
        self.stats.by_torn[usize::from(torn)] += 1;
        self.queues[usize::from(torn)].push_back(index);
        Some(index)
    }

    fn trace(&self, node: u32) -> Trace {
        let mut cuts = Vec::new();
        let mut at = node;
        while let Some(n) = self.nodes.get(at as usize) {
            cuts.push(n.cut);
            at = n.parent;
        }
        cuts.reverse();
        Trace(cuts)
    }

    fn report(&mut self, node: u32, findings: Vec<Finding>, deep: bool, stop_at: usize) {
        for finding in findings {
            let trace = self.trace(node);
            if is_witness(finding.oracle) {
                if !self.unwitnessed.iter().any(|l| l.finding.oracle == finding.oracle) {
                    self.unwitnessed.push(Located { finding, trace, deep });
                }
            } else if self.findings.len() < stop_at {
                self.findings.push(Located { finding, trace, deep });
            }
        }
    }

    fn waiting(&self) -> usize {
        self.queues.iter().map(VecDeque::len).sum()
    }

    /// Keeps an even sample of the recovered images for the expensive oracles.
    fn keep_for_deep(&mut self, limits: &Limits, held: (StateId, Facts, u32)) {
        self.distinct_recovered += 1;
        if self.recovered.len() < limits.deep {
            self.recovered.push(held);
        } else if limits.deep > 0 {
            let at = draw(limits.seed, self.distinct_recovered) % self.distinct_recovered;
            if let Some(place) = usize::try_from(at).ok().and_then(|at| self.recovered.get_mut(at)) {
                *place = held;
            }
        }
    }

    fn contents_in_use(&self) -> Vec<StateId> {
        let queued = self.queues.iter().flatten().filter_map(|n| self.nodes.get(*n as usize)).map(|n| n.state);
        queued.chain(self.recovered.iter().map(|r| r.0)).collect()
    }
}

/// Explores all that the roots lead to: breadth first over distinct images, fewest torn operations first.
/// `also_keep` are contents that the caller still needs.
pub fn explore<S: Subject>(subject: &mut S, roots: &[Root], also_keep: &[StateId], limits: Limits) -> Result<Explored, S::Trouble> {
    let mut book = Book::default();
    for root in roots {
        book.stats.edges += 1;
        let torn = u8::from(!root.cut.tear.is_clean());
        let met = Met { parent: NO_PARENT, cut: root.cut, facts: root.facts, torn, depth: 1 };
        if let Some(node) = book.meet(met, root.digest) {
            book.nodes[node as usize].state = root.state;
        }
    }
    let mut search = Search { subject, limits, book, also_keep };
    search.run()?;
    let recovered = search.deep()?;
    let mut book = search.book;
    book.stats.images = book.nodes.len();
    Ok(Explored { findings: book.findings, unwitnessed: book.unwitnessed, recovered, stats: book.stats })
}

struct Search<'s, S: Subject> {
    subject: &'s mut S,
    limits: Limits,
    book: Book,
    also_keep: &'s [StateId],
}

/// How many booted images lie between two clearings of contents that nobody needs any more.
const FORGET_EVERY: usize = 512;

impl<S: Subject> Search<'_, S> {
    fn run(&mut self) -> Result<(), S::Trouble> {
        let mut booted = 0usize;
        for level in 0..3u8 {
            while let Some(index) = self.book.queues[usize::from(level)].pop_front() {
                if self.book.nodes[index as usize].torn != level {
                    continue; // met again with fewer torn operations, and booted from there
                }
                if self.book.findings.len() >= self.limits.stop_at {
                    self.book.stats.capped = Some(format!("stopped at the first {} findings", self.limits.stop_at));
                    return Ok(());
                }
                if booted >= self.limits.images {
                    self.book.stats.capped = Some(format!("at {booted} booted images, {} more were known", self.book.waiting() + 1));
                    return Ok(());
                }
                booted += 1;
                self.expand(index, level)?;
                if booted.is_multiple_of(FORGET_EVERY) {
                    let mut keep = self.book.contents_in_use();
                    keep.extend_from_slice(self.also_keep);
                    self.subject.forget_except(&keep);
                }
            }
            if level == 0 {
                self.book.stats.clean_complete = self.book.stats.unjudged == 0;
            }
        }
        if self.book.stats.unjudged > 0 {
            self.book.stats.capped = Some(format!("at {} judged recovered images", self.book.stats.judged));
        }
        Ok(())
    }

    /// Boots one image and meets every image that a cut in this boot leaves.
    fn expand(&mut self, index: u32, level: u8) -> Result<(), S::Trouble> {
        let node = self.book.nodes[index as usize];
        let limits = self.limits;
        let boot = self.subject.boot(node.state)?;
        let up = boot.up;
        self.book.stats.boots += 1;
        self.book.stats.depth = self.book.stats.depth.max(node.depth);
        self.book.report(index, boot.findings, false, limits.stop_at);

        let torn = match level {
            0 => limits.torn,
            1 => self.book.stats.by_torn[2] < limits.twice_torn && draw(limits.seed, u64::from(index)).is_multiple_of(8),
            _ => false,
        };
        let book = &mut self.book;
        let mut kept_nodes: Vec<Option<u32>> = Vec::new();
        let mut end_digest = None;
        let kept = self.subject.cuts(torn, &mut |at, tear, digest| {
            book.stats.edges += 1;
            let torn_now = level + u8::from(!tear.is_clean());
            let mut facts = node.facts;
            if at == boot.ops && tear.is_clean() {
                end_digest = Some(digest);
                if up {
                    match book.judged.get(&(digest, node.facts)) {
                        Some(after) => facts = *after,
                        None => {
                            kept_nodes.push(None);
                            return true;
                        }
                    }
                }
            } else if torn_now == 2 && (book.stats.by_torn[2] >= limits.twice_torn || !draw(limits.seed, digest as u64).is_multiple_of(8)) {
                book.stats.unsampled += 1;
                return false;
            }
            let met = Met { parent: index, cut: Cut { at, tear }, facts, torn: torn_now.min(2), depth: node.depth + 1 };
            let fresh = book.meet(met, digest);
            if fresh.is_some() {
                kept_nodes.push(fresh);
            }
            fresh.is_some()
        })?;
        let mut end_state = None;
        for (place, (_, _, state)) in kept_nodes.iter().zip(&kept) {
            match place {
                Some(n) => self.book.nodes[*n as usize].state = *state,
                None => end_state = Some(*state),
            }
        }
        if let (Some(digest), Some(end)) = (end_digest, end_state) {
            self.judge(index, node, boot.ops, digest, end)?;
        }
        // The search rests on a boot being a function of the storage content: boot one in a hundred twice.
        if index == 0 || draw(limits.seed ^ 0x5eed, u64::from(index)).is_multiple_of(100) {
            self.probe(node, end_digest)?;
        }
        Ok(())
    }

    /// Judges an image that was recovered for the first time with this history, and meets it as the start of the next boot.
    fn judge(&mut self, index: u32, node: Node, ops: u32, digest: u128, end: StateId) -> Result<(), S::Trouble> {
        let facts = if self.book.stats.judged < self.limits.judgements {
            let judged = self.subject.judge(node.state, end, node.facts)?;
            self.book.stats.judged += 1;
            self.book.stats.boots += 1;
            self.book.report(index, judged.findings, false, self.limits.stop_at);
            self.book.keep_for_deep(&self.limits, (end, judged.facts, index));
            judged.facts
        } else {
            self.book.stats.unjudged += 1;
            node.facts
        };
        self.book.judged.insert((digest, node.facts), facts);
        let met = Met { parent: index, cut: Cut { at: ops, tear: Tear::Before }, facts, torn: node.torn, depth: node.depth + 1 };
        if let Some(n) = self.book.meet(met, digest) {
            self.book.nodes[n as usize].state = end;
        }
        Ok(())
    }

    fn probe(&mut self, node: Node, first: Option<u128>) -> Result<(), S::Trouble> {
        let again = self.subject.boot(node.state)?;
        let mut second = None;
        self.subject.cuts(false, &mut |at, tear, digest| {
            if at == again.ops && tear.is_clean() {
                second = Some(digest);
            }
            false
        })?;
        self.book.stats.boots += 1;
        self.book.stats.probes += 1;
        self.book.stats.probe_mismatches += u64::from(first != second);
        Ok(())
    }

    /// The expensive oracles on the sample of recovered images.
    fn deep(&mut self) -> Result<Vec<Recovered>, S::Trouble> {
        let mut out = Vec::new();
        for (state, facts, node) in std::mem::take(&mut self.book.recovered) {
            if self.book.findings.len() < self.limits.stop_at {
                let findings = self.subject.deep(state, facts)?;
                self.book.stats.deep += 1;
                self.book.report(node, findings, true, self.limits.stop_at);
            }
            out.push(Recovered { state, facts, trace: self.book.trace(node) });
        }
        Ok(out)
    }
}

#[cfg(test)]
#[path = "explore_tests.rs"]
mod tests;
