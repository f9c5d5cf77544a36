//! What the search itself must keep, shown on the toys.
use super::*;
use crate::replay::replay;
use crate::subjects::by_name;

fn run(name: &str, torn: u8) -> Explored {
    explore(by_name(name).unwrap().as_ref(), Limits { torn, ..Limits::default() }).unwrap()
}

#[test]
fn a_limit_of_images_is_said_and_is_never_complete() {
    let subject = by_name("toy-correct/nor").unwrap();
    let capped = explore(subject.as_ref(), Limits { images: 5, ..Limits::default() }).unwrap();
    assert!(!capped.is_complete());
    assert!(capped.extent().starts_with("CAPPED at 5 images"), "{}", capped.extent());
    assert_eq!(capped.stats.boots, 5);
}

#[test]
fn two_explorations_of_one_subject_are_equal() {
    assert_eq!(run("toy-no-commit/nor", 1), run("toy-no-commit/nor", 1));
}

#[test]
fn more_torn_operations_find_at_least_the_contents_of_fewer() {
    let (clean, once, twice) = (run("toy-correct/nor", 0), run("toy-correct/nor", 1), run("toy-correct/nor", 2));
    assert_eq!(clean.stats.by_torn[0], once.stats.by_torn[0]);
    assert_eq!(once.stats.by_torn[..2], twice.stats.by_torn[..2]);
    assert!(clean.stats.images < once.stats.images && once.stats.images <= twice.stats.images);
    assert!(twice.is_complete());
}

#[test]
fn a_cut_that_no_operation_reaches_is_no_replay() {
    let subject = by_name("toy-correct/nor").unwrap();
    let trace = "toy-correct/nor@cut=900,tear=before".parse().unwrap();
    assert!(replay(subject.as_ref(), &trace).unwrap_err().contains("no cut at 900"));
}

/// Code that keeps something over a loss of power, fails, or is full: what no store may do, and one thing that it may.
struct Odd(&'static str, std::cell::Cell<u8>);

impl Subject for Odd {
    fn name(&self) -> String {
        format!("odd-{}", self.0)
    }
    fn chip(&self) -> crate::flash::Chip {
        crate::flash::Chip { medium: crate::medium::NOR, word: 4, page: 64, size: 64 }
    }
    fn start(&self) -> Result<(Image, World), Failed> {
        Ok((self.chip().erased(), 0))
    }
    fn recover(&self, flash: &Flash) -> Result<(), Failed> {
        assert!(self.0 != "panics", "on purpose");
        if self.0 == "remembers" {
            self.1.set(self.1.get().wrapping_add(1));
            let _ = flash.write(0, &[self.1.get(); 4]);
        }
        Ok(())
    }
    fn judge(&self, _: &Flash, world: World) -> Judged {
        Judged { findings: Vec::new(), world: Some(world) }
    }
    fn tell(&self, _: &Flash) -> String {
        String::new()
    }
    fn next(&self, world: World) -> Option<crate::subject::Step> {
        (world == 0).then_some(crate::subject::Step { in_flight: 0, done: 1 })
    }
    fn act(&self, _: &Flash, _: World) -> Result<(), Failed> {
        if self.0 == "full" { Err(Failed::Full) } else { Ok(()) }
    }
}

fn odd(kind: &'static str) -> Explored {
    explore(&Odd(kind, std::cell::Cell::new(0)), Limits::default()).unwrap()
}

#[test]
fn memory_that_outlives_a_power_on_voids_the_exploration() {
    let explored = odd("remembers");
    assert!(!explored.is_complete());
    assert!(explored.extent().starts_with("VOID"), "{}", explored.extent());
}

#[test]
fn a_panic_of_the_code_under_test_is_its_finding() {
    let explored = odd("panics");
    assert!(explored.finding(Oracle::Opens).unwrap().finding.detail.contains("on purpose"));
}

#[test]
fn a_store_that_says_it_is_full_is_counted_and_not_condemned() {
    let explored = odd("full");
    assert_eq!((explored.findings.len(), explored.stats.full), (0, 1));
}
