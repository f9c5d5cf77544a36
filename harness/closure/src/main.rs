//! `proofbench-closure`: explores a subject, replays one chain of cuts, prints figures.

use proofbench_closure::explore::{Limits, explore};
use proofbench_closure::explored::Explored;
use proofbench_closure::replay::replay;
use proofbench_closure::subjects::{by_name, names};
use proofbench_closure::trace::Trace;
use std::process::ExitCode;
use std::time::Instant;

const USAGE: &str = "\
proofbench-closure list                                the subjects
proofbench-closure explore SUBJECT [OPTION..]          every content that power cuts can leave, each judged
proofbench-closure replay 'SUBJECT@cut=N,tear=T;..'    one chain of cuts again
proofbench-closure figures [SUBJECT..] [OPTION..]      one row of numbers for each subject
proofbench-closure seeds SUBJECT-WITHOUT-NUMBER FROM TO [OPTION..]   explores with each seed until something is found

options: --torn N (torn operations on one path, 1)  --depth N (cuts in a row, any number)  --images N (most power-ons, 1500000)  
         --weak (weak cells too)  --whole-erases, --whole-writes (never torn)
exit code: 0 nothing found, 1 a finding, 2 nothing found but CAPPED, 3 bad input";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        Some(("list", _)) => {
            println!("{}", names().join("\n"));
            Ok(0)
        }
        Some(("explore", rest)) => options(rest).and_then(|(subjects, limits)| one(&subjects, limits)),
        Some(("replay", [line])) => again(line),
        Some(("figures", rest)) => options(rest).and_then(|(subjects, limits)| figures(&subjects, limits)),
        Some(("seeds", rest)) => options(rest).and_then(|(words, limits)| seeds(&words, limits)),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(3)
        }
    }
}

fn options(words: &[String]) -> Result<(Vec<String>, Limits), String> {
    let (mut plain, mut limits) = (Vec::new(), Limits::default());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|n| n.parse::<usize>().ok()).ok_or_else(|| format!("{word} wants a number"));
        match word.as_str() {
            "--torn" => limits.torn = u8::try_from(number()?).map_err(|_| "--torn is at most 255".to_owned())?,
            "--images" => limits.images = number()?,
            "--depth" => limits.depth = Some(u32::try_from(number()?).map_err(|_| "--depth is too large".to_owned())?),
            "--weak" => limits.tears.weak = true,
            "--whole-erases" => limits.tears.erases = false,
            "--whole-writes" => limits.tears.writes = false,
            option if option.starts_with("--") => return Err(format!("{option} is no option\n\n{USAGE}")),
            plain_word => plain.push(plain_word.to_owned()),
        }
    }
    Ok((plain, limits))
}

fn told(explored: &Explored) -> u8 {
    for located in &explored.findings {
        println!("  {} ({} times): {}", located.finding.oracle, located.count, located.finding.detail);
        println!("    replay '{}'", located.trace);
    }
    match (explored.findings.is_empty(), explored.is_complete()) {
        (false, _) => 1,
        (true, false) => 2,
        (true, true) => 0,
    }
}

fn one(subjects: &[String], limits: Limits) -> Result<u8, String> {
    let [subject] = subjects else { return Err(USAGE.to_owned()) };
    let started = Instant::now();
    let explored = explore(by_name(subject)?.as_ref(), limits)?;
    let seconds = started.elapsed().as_secs_f64();
    println!("{}", explored.line());
    println!("  {seconds:.2} s, {:.0} images and {:.0} cuts a second", explored.stats.images as f64 / seconds, explored.stats.edges as f64 / seconds);
    Ok(told(&explored))
}

fn again(line: &str) -> Result<u8, String> {
    let trace: Trace = line.parse()?;
    let replayed = replay(by_name(&trace.subject)?.as_ref(), &trace)?;
    println!("{}", replayed.story.join("\n"));
    for finding in &replayed.findings {
        println!("{}: {}", finding.oracle, finding.detail);
    }
    if replayed.findings.is_empty() {
        println!("nothing found");
    }
    Ok(u8::from(!replayed.findings.is_empty()))
}

fn figures(subjects: &[String], limits: Limits) -> Result<u8, String> {
    let all = names();
    println!("| subject | extent | images | cuts walked | power-ons | depth | seconds | images/s | cuts/s | findings |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut found = 0;
    for subject in if subjects.is_empty() { &all } else { subjects } {
        let started = Instant::now();
        let explored = explore(by_name(subject)?.as_ref(), limits)?;
        let seconds = started.elapsed().as_secs_f64();
        let findings: Vec<String> = explored.findings.iter().map(|l| format!("{} x{}", l.finding.oracle, l.count)).collect();
        found = found.max(u8::from(!findings.is_empty()));
        let s = &explored.stats;
        println!(
            "| {subject} | {} | {} | {} | {} | {} | {seconds:.2} | {:.0} | {:.0} | {} |",
            explored.extent(),
            s.images,
            s.edges,
            s.boots,
            s.depth,
            s.images as f64 / seconds,
            s.edges as f64 / seconds,
            findings.join(", ")
        );
    }
    Ok(found)
}

fn seeds(words: &[String], limits: Limits) -> Result<u8, String> {
    let [subject, from, to] = words else { return Err(USAGE.to_owned()) };
    let number = |n: &String| n.parse::<u64>().map_err(|_| format!("`{n}` is not a number"));
    let (mut images, mut code) = (0, 0);
    for seed in number(from)?..number(to)? {
        let explored = explore(by_name(&format!("{subject}{seed}"))?.as_ref(), limits)?;
        images += explored.stats.images;
        if !explored.findings.is_empty() {
            println!("seed {seed}, {images} images in all: {}", explored.line());
            return Ok(told(&explored));
        }
        code = code.max(if explored.is_complete() { 0 } else { 2 });
    }
    println!("nothing found in {images} images");
    Ok(code)
}
