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
