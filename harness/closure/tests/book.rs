//! Every replay line of docs/closure.md ends in a finding, as the page says.

#![allow(clippy::unwrap_used)] // a test that cannot set up its ground may stop there

use proofbench_closure::replay::replay;
use proofbench_closure::subjects::by_name;
use proofbench_closure::trace::Trace;

#[test]
fn every_replay_line_of_the_page_still_ends_in_a_finding() {
    let page = include_str!("../../../docs/closure.md");
    let lines: Vec<&str> = page.split(['`', '\'']).filter(|part| part.contains("@cut=") && !part.contains('\n')).collect();
    assert!(lines.len() > 15, "{lines:#?}");
    for line in lines {
        let trace: Trace = line.parse().unwrap();
        let replayed = replay(by_name(&trace.subject).unwrap().as_ref(), &trace).unwrap_or_else(|why| panic!("{line}: {why}"));
        assert!(!replayed.findings.is_empty(), "{line} ends without a finding:\n{}", replayed.story.join("\n"));
    }
}
