//! The closure against a toy medium with toy boot loaders: what it must prove, what it must find, what it must say.

use super::*;
use proofbench_channel::Tear;
use rstest::rstest;
use std::convert::Infallible;

const CELLS: usize = 4;
const PENDING: usize = 8;
const TRIES: usize = 10;
const SIZE: usize = 11;
const SET: u8 = 0xaa;

/// A medium of a few bytes that writes the operations of a boot down.
struct Flash {
    bytes: Vec<u8>,
    ops: Vec<(usize, Vec<u8>)>,
}

impl Flash {
    fn write(&mut self, at: usize, data: &[u8]) {
        self.ops.push((at, data.to_vec()));
        self.bytes[at..at + data.len()].copy_from_slice(data);
    }
}

/// Copies slot 1 over slot 0, from the start after every cut: nothing that it reads is changed before the mark is cleared.
fn restartable(f: &mut Flash) -> bool {
    if f.bytes[PENDING] == SET {
        for i in 0..CELLS {
            let cell = f.bytes[CELLS + i];
            f.write(i, &[cell]);
        }
        f.write(PENDING, &[0]);
    }
    true
}

/// Exchanges the slots without writing down how far it got.
fn no_log(f: &mut Flash) -> bool {
    if f.bytes[PENDING] == SET {
        for i in 0..CELLS {
            let (a, b) = (f.bytes[i], f.bytes[CELLS + i]);
            f.write(i, &[b]);
            f.write(CELLS + i, &[a]);
        }
        f.write(PENDING, &[0]);
    }
    true
}

/// Clears its two-byte mark in one write and hangs on a half cleared one.
fn wide_mark(f: &mut Flash) -> bool {
    match (f.bytes[PENDING], f.bytes[PENDING + 1]) {
        (SET, SET) => {
            for i in 0..CELLS {
                let cell = f.bytes[CELLS + i];
                f.write(i, &[cell]);
            }
            f.write(PENDING, &[0, 0]);
            true
        }
        (0, 0) => true,
        _ => false,
    }
}

/// Counts boots that did not finish and gives up after three of them.
fn burns_tries(f: &mut Flash) -> bool {
    let tries = f.bytes[TRIES];
    if tries >= 3 {
        return false;
    }
    f.write(TRIES, &[tries + 1]);
    let up = restartable(f);
    f.write(TRIES, &[0]);
    up
}

/// A boot that depends on more than the storage.
fn moody(f: &mut Flash, boots: u64) -> bool {
    f.write(TRIES, &[(boots % 7) as u8]);
    true
}

struct Toy {
    loader: fn(&mut Flash, u64) -> bool,
    states: Vec<Option<Vec<u8>>>,
    last: (Vec<u8>, Vec<(usize, Vec<u8>)>),
    boots: u64,
    live_at_most: usize,
    deep_calls: usize,
}

fn digest(bytes: &[u8]) -> u128 {
    bytes.iter().fold(7u128, |h, b| (h ^ u128::from(*b)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b))
}

impl Toy {
    fn new(loader: fn(&mut Flash, u64) -> bool) -> Self {
        Self { loader, states: Vec::new(), last: (Vec::new(), Vec::new()), boots: 0, live_at_most: 0, deep_calls: 0 }
    }
    fn keep(&mut self, bytes: Vec<u8>) -> StateId {
        self.states.push(Some(bytes));
        self.live_at_most = self.live_at_most.max(self.states.iter().flatten().count());
        StateId((self.states.len() - 1) as u32)
    }
    fn bytes(&self, s: StateId) -> Vec<u8> {
        self.states[s.0 as usize].clone().expect("the search boots only what it kept")
    }
    /// The staged update as the one root.
    fn staged(&mut self) -> Vec<Root> {
        let bytes = vec![1, 1, 1, 1, 2, 2, 2, 2, SET, SET, 0];
        assert_eq!(bytes.len(), SIZE);
        let d = digest(&bytes);
        vec![Root { cut: Cut { at: 0, tear: Tear::Before }, digest: d, state: self.keep(bytes), facts: 3 }]
    }
}

impl Subject for Toy {
    type Trouble = Infallible;
    fn boot(&mut self, from: StateId) -> Result<BootEnd, Infallible> {
        let bytes = self.bytes(from);
        let mut f = Flash { bytes: bytes.clone(), ops: Vec::new() };
        self.boots += 1;
        let up = (self.loader)(&mut f, self.boots);
        let findings = if up { vec![] } else { vec![Finding { oracle: "L1", detail: "stays dark".to_owned() }] };
        let ops = f.ops.len() as u32;
        self.last = (bytes, f.ops);
        Ok(BootEnd { ops, findings, up })
    }
    fn cuts(&mut self, torn: bool, visit: &mut CrashVisitor<'_>) -> Result<Vec<(u32, Tear, StateId)>, Infallible> {
        let (mut bytes, ops) = self.last.clone();
        let mut kept = Vec::new();
        for (i, op) in ops.iter().map(Some).chain([None]).enumerate() {
            let at = i as u32;
            if visit(at, Tear::Before, digest(&bytes)) {
                kept.push((at, Tear::Before, self.keep(bytes.clone())));
            }
            let Some((off, data)) = op else { break };
            let mut tears = vec![Tear::HalfBits];
            tears.extend((1..data.len()).map(|n| Tear::Prefix(n as u32)));
            for tear in tears.into_iter().filter(|_| torn) {
                let mut left = bytes.clone();
                for (k, b) in data.iter().enumerate() {
                    let old = left[off + k];
                    left[off + k] = match tear {
                        Tear::Prefix(n) if k >= n as usize => old,
                        Tear::HalfBits => (old & 0xaa) | (b & 0x55),
                        _ => *b,
                    };
                }
                if visit(at, tear, digest(&left)) {
                    kept.push((at, tear, self.keep(left)));
                }
            }
            bytes[*off..off + data.len()].copy_from_slice(data);
        }
        Ok(kept)
    }
    fn judge(&mut self, _from: StateId, end: StateId, facts: Facts) -> Result<Judged, Infallible> {
        let slot = &self.bytes(end)[..CELLS];
        let whole = slot.iter().all(|c| *c == slot[0]) && (slot[0] == 1 || slot[0] == 2);
        let findings = if whole { vec![] } else { vec![Finding { oracle: "I1", detail: format!("mixed {slot:?}") }] };
        Ok(Judged { findings, facts })
    }
    fn deep(&mut self, end: StateId, _facts: Facts) -> Result<Vec<Finding>, Infallible> {
        self.deep_calls += 1;
        let _ = self.bytes(end);
        Ok(vec![])
    }
    fn forget_except(&mut self, keep: &[StateId]) {
        for (i, s) in self.states.iter_mut().enumerate() {
            if !keep.contains(&StateId(i as u32)) {
                *s = None;
            }
        }
    }
}

fn run(loader: fn(&mut Flash, u64) -> bool, limits: Limits) -> (Explored, Toy) {
    let mut toy = Toy::new(loader);
    let roots = toy.staged();
    let explored = explore(&mut toy, &roots, &[], limits).unwrap();
    (explored, toy)
}

#[rstest]
#[case::clean(false)]
#[case::torn(true)]
fn a_restartable_copy_is_proven_for_any_number_of_cuts(#[case] torn: bool) {
    let (explored, toy) = run(|f, _| restartable(f), Limits { torn, ..Limits::default() });
    assert_eq!(explored.findings, []);
    assert_eq!(explored.stats.capped, None);
    assert!(explored.stats.clean_complete);
    assert!(explored.stats.probes >= 1 && explored.stats.probe_mismatches == 0);
    assert_eq!(toy.deep_calls, explored.stats.deep);
    assert!(explored.stats.deep >= 1);
    assert_eq!(explored.stats.by_torn.iter().sum::<usize>(), explored.stats.images);
    assert_eq!(explored.stats.by_torn[1] > 0, torn);
}

#[test]
fn the_number_of_clean_images_is_the_number_of_operations_plus_one() {
    let (explored, _) = run(|f, _| restartable(f), Limits { torn: false, ..Limits::default() });
    // Four copied cells and the cleared mark; a later boot repeats the same contents.
    assert_eq!(explored.stats.images, 6);
    assert!(explored.stats.line("toy").starts_with("closure COMPLETE on toy: 6 images (6 clean, 0 with one torn operation"));
}

#[test]
fn a_swap_without_a_progress_log_is_found_by_one_clean_cut() {
    let (explored, _) = run(|f, _| no_log(f), Limits { torn: false, ..Limits::default() });
    let first = &explored.findings[0];
    assert_eq!(first.finding.oracle, "I1");
    assert_eq!(first.trace.0.len(), 2, "the staged root and one cut in the swap: {}", first.trace);
    assert!(first.trace.0[1].at >= 1);
}

#[test]
fn a_mark_written_in_two_halves_is_invisible_to_clean_cuts_and_found_by_a_torn_one() {
    let (clean, _) = run(|f, _| wide_mark(f), Limits { torn: false, ..Limits::default() });
    assert_eq!((clean.findings.len(), clean.stats.capped), (0, None));
    let (torn, _) = run(|f, _| wide_mark(f), Limits::default());
    let found = torn.findings.iter().find(|l| l.finding.oracle == "L1").unwrap();
    assert!(found.trace.0.iter().any(|c| !c.tear.is_clean()), "{}", found.trace);
}

#[test]
fn three_cuts_in_a_row_are_found_and_the_reproducer_is_the_shortest() {
    let (explored, _) = run(|f, _| burns_tries(f), Limits { torn: false, ..Limits::default() });
    let found = explored.findings.iter().find(|l| l.finding.oracle == "L1").unwrap();
    assert_eq!(found.trace.to_string(), "0/1/1/1", "root, then three boots cut just after the count went up");
}

#[test]
fn a_boot_that_depends_on_more_than_the_storage_is_noticed() {
    let (explored, _) = run(moody, Limits { images: 50, ..Limits::default() });
    assert!(explored.stats.probe_mismatches > 0);
}

#[rstest]
#[case::images(Limits { images: 3, ..Limits::default() }, "3 booted images")]
#[case::findings(Limits { stop_at: 1, torn: false, ..Limits::default() }, "first 1 findings")]
fn a_search_that_stopped_early_says_capped_and_why(#[case] limits: Limits, #[case] why: &str) {
    let (explored, _) = run(|f, _| no_log(f), limits);
    let line = explored.stats.line("toy");
    assert!(line.contains("CAPPED") && line.contains(why), "{line}");
}

#[test]
fn recovered_images_beyond_the_limit_are_counted_and_make_the_search_capped() {
    let (explored, _) = run(|f, _| no_log(f), Limits { judgements: 1, torn: false, ..Limits::default() });
    assert!(explored.stats.unjudged > 0);
    assert!(explored.stats.line("toy").contains("CAPPED"));
}

#[test]
fn two_torn_operations_are_a_sample_and_the_same_seed_takes_the_same_one() {
    let limits = |seed| Limits { torn: true, twice_torn: 10, seed, stop_at: 1000, ..Limits::default() };
    let (a, _) = run(|f, _| no_log(f), limits(5));
    let (b, _) = run(|f, _| no_log(f), limits(5));
    assert_eq!(a, b);
    assert!(a.stats.by_torn[2] > 0 && a.stats.by_torn[2] <= 10 + 64, "{:?}", a.stats.by_torn);
}

#[test]
fn one_image_reached_with_two_histories_is_judged_for_each() {
    let mut toy = Toy::new(|f, _| restartable(f));
    let mut roots = toy.staged();
    roots.push(Root { facts: 1, ..roots[0] });
    let explored = explore(&mut toy, &roots, &[], Limits { torn: false, ..Limits::default() }).unwrap();
    assert_eq!(explored.stats.images, 12);
    assert_eq!(explored.stats.judged, 2, "the recovered image, once with each history");
}
